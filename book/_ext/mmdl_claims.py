"""The page of claims: the forest plot of `viz.claims` over all chapters, with counts.

Chapters stand in the order of the book. The filters by verdict and by chapter are plain
HTML and CSS (`:has`), each chapter is a fold: no script.
"""

import html
import json
from pathlib import Path

from docutils import nodes
from mmdl_plan import chapters
from mmdl_tables import Table, raw

from mmdl_lib.record import VERDICTS
from mmdl_lib.viz.claims import badge, check, count, forest


class Claims(Table):
    """The `claims` of `results/<slug>.json` and `<slug>_<more>.json`, a fold each."""

    def run(self) -> list[nodes.Node]:
        found = {}
        for file in self.files():
            self.env.note_dependency(str(file))
            whole = json.loads(file.read_text(encoding="utf-8"))
            rows = whole.get("claims", []) if isinstance(whole, dict) else []
            rows = [row for row in rows if self.sound(row, file)]
            if rows:
                found[file] = rows
        if not found:
            return [self.sentence("No claim has been measured yet.")]
        every = [row for rows in found.values() for row in rows]
        titles = chapters(self.root)
        order = [*titles, *sorted({slug(file, titles) for file in found} - set(titles))]
        made = [self.chances(every), raw('<div class="mmdl-claims">')]
        made.append(raw(verdicts(every) + by_chapter(found, titles, order)))
        for file in sorted(found, key=lambda file: order.index(slug(file, titles))):
            made += self.chapter(file, found[file], titles)
        return [*made, raw("</div>")]

    def files(self) -> list[Path]:
        """Measured on a CPU, then with the profile of a GPU: never mixed."""
        folder = self.root / "results"
        return sorted(folder.glob("*.json")) + sorted(folder.glob("gpu/*.json"))

    def sound(self, row: dict, file: Path) -> bool:
        try:
            check(row)
        except ValueError as error:
            self.warn(f"{file.name}: {error}")
            return False
        return True

    def chances(self, rows: list[dict]) -> nodes.paragraph:
        total, heads = len(rows), sum(row["headline"] for row in rows)
        text = f"**{total} claims**, {heads} of them headlines of their chapter: "
        text += f"{count(rows)}. With intervals of 95 %, were there nothing behind any "
        text += f"of them, about {total / 40:.1g} would still read *holds* by chance."
        return self.sentence(text)

    def chapter(self, file: Path, rows: list[dict], titles: dict) -> list[nodes.Node]:
        key = slug(file, titles)
        name = titles.get(key, key) + ", on a GPU" * on_gpu(file)
        head = f"<summary><strong>{html.escape(name)}</strong>: {count(rows)}</summary>"
        where = nodes.paragraph("", "", nodes.Text("Chapter: "))
        where += self.link("sec-" + key.replace("_further", "-further"))
        start = f'<details open data-chapter="{html.escape(key)}">{head}'
        return [raw(start), where, raw(f"{forest(rows)}</details>")]


def slug(file: Path, titles: dict) -> str:
    """The chapter of a file of results: `captioning_looks` belongs to `captioning`."""
    own = [key for key in titles if f"{file.stem}_".startswith(f"{key}_")]
    return max(own, key=len, default=file.stem)


def on_gpu(file: Path) -> bool:
    return file.parent.name == "gpu"


def verdicts(rows: list[dict]) -> str:
    """Radio buttons that say how many claims they leave on the page."""
    said = [row["verdict"] for row in rows]
    parts = [_choice("claims", "all", f"all ({len(rows)})", "checked")]
    parts += [_choice("claims", v, f"{badge(v)} ({said.count(v)})") for v in VERDICTS]
    return f"<fieldset><legend>Verdict</legend>{''.join(parts)}</fieldset>"


def by_chapter(found: dict, titles: dict, order: list[str]) -> str:
    """Radio buttons of the chapters, and the style sheet that makes them work."""
    keys = {slug(file, titles) for file in found}
    parts, rules = [_choice("chapter", "every", "all", "checked")], []
    for key in (key for key in order if key in keys):
        value = html.escape(key)
        short = titles.get(key, key).partition(":")[0]
        parts.append(_choice("chapter", value, html.escape(short)))
        chosen = f'.mmdl-claims:has([name="mmdl-chapter"][value="{value}"]:checked)'
        hidden = f'details[data-chapter]:not([data-chapter="{value}"])'
        rules.append(f"{chosen} {hidden} {{ display: none; }}")
    choices = f"<fieldset><legend>Chapter</legend>{''.join(parts)}</fieldset>"
    return f"{choices}<style>{''.join(rules)}</style>"


def _choice(name: str, value: str, words: str, state: str = "") -> str:
    button = f'<input type="radio" name="mmdl-{name}" value="{value}" {state}>'
    return f"<label>{button} {words}</label> "


def setup(app):
    app.add_directive("mmdl-claims", Claims)
