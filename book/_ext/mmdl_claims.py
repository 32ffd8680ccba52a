"""The page of claims: the forest plot of `viz.claims` over all chapters, with counts.

The filter by verdict is plain HTML and CSS (`:has`), each chapter a fold: no script.
"""

import html
import json
from pathlib import Path

from docutils import nodes
from mmdl_tables import Table

from mmdl_lib.record import VERDICTS
from mmdl_lib.viz.claims import badge, check, count, forest


class Claims(Table):
    """The `claims` of `results/<slug>.json` and `<slug>_claims.json`, a fold each."""

    def run(self) -> list[nodes.Node]:
        chapters = {}
        for file in self.files():
            self.env.note_dependency(str(file))
            found = json.loads(file.read_text(encoding="utf-8"))
            rows = found.get("claims", []) if isinstance(found, dict) else []
            rows = [row for row in rows if self.sound(row, file)]
            if rows:
                chapters[file] = rows
        if not chapters:
            return [self.sentence("No claim has been measured yet.")]
        every = [row for rows in chapters.values() for row in rows]
        made = [self.chances(len(every)), raw('<div class="mmdl-claims">')]
        made.append(raw(choices(every)))
        for file, rows in chapters.items():
            made += self.chapter(file, rows)
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

    def chances(self, total: int) -> nodes.paragraph:
        text = (
            f"**{total} claims** with intervals of 95 %: were there nothing behind any "
        )
        text += f"of them, about {total / 40:.1g} would still read *holds* by chance."
        return self.sentence(text)

    def chapter(self, file: Path, rows: list[dict]) -> list[nodes.Node]:
        slug = file.stem.removesuffix("_claims")
        name = f"{slug}, on a GPU" if file.parent.name == "gpu" else slug
        head = f"<summary><strong>{html.escape(name)}</strong>: {count(rows)}</summary>"
        where = nodes.paragraph("", "", nodes.Text("Chapter: "))
        where += self.link(f"sec-{slug}")
        return [raw(f"<details open>{head}"), where, raw(f"{forest(rows)}</details>")]


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def choices(rows: list[dict]) -> str:
    """Radio buttons that say how many claims they leave on the page."""
    said = [row["verdict"] for row in rows]
    parts = [_choice("all", f"all ({len(rows)})", "checked")]
    parts += [_choice(v, f"{badge(v)} ({said.count(v)})") for v in VERDICTS]
    return f"<fieldset><legend>Show</legend>{''.join(parts)}</fieldset>"


def _choice(value: str, words: str, state: str = "") -> str:
    button = f'<input type="radio" name="mmdl-claims" value="{value}" {state}>'
    return f"<label>{button} {words}</label> "


def setup(app):
    app.add_directive("mmdl-claims", Claims)
