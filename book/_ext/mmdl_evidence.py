"""What is covered and what agrees: tables from `book/coverage` and `results/parity`."""

import csv
import html
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from mmdl_plan import chapters
from mmdl_tables import Table, raw

ROW = re.compile(r"[SF]\d{3}")
PARITY = ["what", "ours", "reference", "version"]
PARITY += ["largest_difference", "tolerance", "test"]
# references that we wrote ourselves, in another way than the code that they are
# compared with, where no package computes the same
OWN = ("as functions", "by brute force", "by hand", "sorted by NumPy", "neighbors of")
KINDS = {"models": "Models", "metrics": "Metrics"}  # by the package of our code


class Coverage(Table):
    """Rows of `book/coverage/<slug>.csv` (row, anchor, title) by chapter, in the order
    of the book, and how many of all."""

    option_spec = {"s": directives.nonnegative_int, "f": directives.nonnegative_int}

    def run(self) -> list[nodes.Node]:
        rows = []
        for file in sorted((self.root / "book/coverage").glob("*.csv")):
            self.env.note_dependency(str(file))
            with file.open(encoding="utf-8", newline="") as stream:
                rows += [row | {"file": file.name} for row in csv.DictReader(stream)]
        self.check(rows)
        total = self.options["s"] + self.options["f"]
        shown = len(rows)
        text = (
            f"So far the book shows **{shown} of {total} rows** ({shown / total:.0%})."
        )
        made = [self.sentence(text), self.meter(shown, total)]
        titles = chapters(self.root)
        files = sorted({row["file"] for row in rows})
        order = [*titles, *(Path(file).stem for file in files)]
        for file in sorted(files, key=lambda name: order.index(Path(name).stem)):
            here = [row for row in rows if row["file"] == file]
            title = titles.get(Path(file).stem, Path(file).stem)
            made.append(self.chapter(here, f"{title}: {len(here)} rows"))
        return made

    def chapter(self, rows: list[dict], label: str) -> nodes.table:
        cells = [
            [self.link(row["anchor"], row["title"] or ""), row["row"] or ""]
            for row in sorted(rows, key=lambda row: row["row"] or "")
        ]
        return self.table(["topic", "row"], cells, label=label)

    def meter(self, shown: int, total: int) -> nodes.raw:
        alt = f"{shown} of {total} rows are shown"
        html = f'<meter max="{total}" value="{shown}" aria-label="{alt}">{alt}</meter>'
        return raw(f'<p class="mmdl-meter">{html}</p>')

    def check(self, rows: list[dict]) -> None:
        seen = {}
        largest = {"S": self.options["s"], "F": self.options["f"]}
        written = {Path(name).name for name in self.env.found_docs}
        for row in rows:
            name, file = row["row"] or "", row["file"]
            known = ROW.fullmatch(name) and 0 < int(name[1:]) <= largest[name[0]]
            if not known:
                self.warn(f"{file}: expected a row of the inventory, got {name!r}.")
            if name in seen:
                self.warn(f"{file}: expected {name} once, {seen[name]} has it, too.")
            seen[name] = file
        for file in {row["file"] for row in rows}:
            if Path(file).stem not in written:
                self.warn(f"{file}: expected the name of a page, such as clip.csv.")


class Parity(Table):
    """Records of `results/parity/*.json`: a row for each file, its comparisons in a
    fold below."""

    def run(self) -> list[nodes.Node]:
        found = {}
        for file in sorted((self.root / "results/parity").glob("*.json")):
            self.env.note_dependency(str(file))
            for record in json.loads(file.read_text(encoding="utf-8")):
                if self.complete(record, PARITY, f"parity/{file.name}"):
                    found.setdefault(file.stem, []).append(record)
        if not found:
            return [self.sentence("No comparison has been recorded yet.")]
        made, groups = [self.counts(found)], {}
        for records in found.values():
            groups.setdefault(kind(records), []).append(records)
        for title in [*KINDS.values(), "Data and training"]:
            if title in groups:
                made.append(nodes.paragraph("", "", nodes.strong("", title)))
                made += [node for group in groups[title] for node in self.fold(group)]
        return made

    def counts(self, found: dict) -> nodes.paragraph:
        every = [record for records in found.values() for record in records]
        own = sum(is_own(record) for record in every)
        return self.sentence(
            f"**{len(every)} comparisons** of {len(found)} models, metrics and other "
            f"parts. {own} of them, marked *our own*, compare with a second program of "
            "ours, because no package computes the same: they show that two ways of "
            "writing it agree, and less than the others."
        )

    def fold(self, records: list[dict]) -> list[nodes.Node]:
        """One row: what, with how many references, how near to the limit."""
        names = list(dict.fromkeys(name(record) for record in records))
        seen = dict.fromkeys(source(record) for record in records)
        near = max(records, key=_share)
        limit = f"{near['largest_difference']:.2g} of {near['tolerance']:.2g}"
        words = "nearest to its limit: " + limit if _share(near) else "no difference"
        plural = "s" * (len(records) != 1)
        words = (
            f"<strong>{html.escape(', '.join(names))}</strong>: {len(records)} "
            f"comparison{plural} with {html.escape('; '.join(seen))}; {words}"
        )
        head = ["what", "reference", "largest difference", "allowed", "test"]
        rows = [self.cells(record) for record in records]
        table = self.table(head, rows, label=f"Comparisons of {', '.join(names)}")
        start = f'<details class="mmdl-fold"><summary>{words}</summary>'
        return [raw(start), table, raw("</details>")]

    def cells(self, record: dict) -> list:
        found, allowed = record["largest_difference"], record["tolerance"]
        if not found <= allowed:
            self.warn(f"parity: expected at most {allowed}, got {found}.")
        return [
            record["what"],
            [nodes.Text(source(record))],
            [nodes.Text(f"{found:.2g}")],
            [nodes.Text(f"{allowed:.2g}")],
            [nodes.literal("", record["test"])],
        ]


def _share(record: dict) -> float:
    """How much of the tolerance a difference takes; a tolerance may be zero."""
    found, allowed = record["largest_difference"], record["tolerance"]
    return found / allowed if allowed else float(found > 0)


def name(record: dict) -> str:
    """What is compared, without the packages around it."""
    return record["ours"].rpartition(".")[2]


def source(record: dict) -> str:
    """The reference with its version; whether it is of ours."""
    if is_own(record):
        return f"our own: {record['reference']}"
    return f"{record['reference']} {record['version']}"


def is_own(record: dict) -> bool:
    return any(words in record["reference"] for words in OWN)


def kind(records: list[dict]) -> str:
    package = records[0]["ours"].split(".")[1:2]
    return KINDS.get("".join(package), "Data and training")


def setup(app):
    app.add_directive("mmdl-coverage", Coverage)
    app.add_directive("mmdl-parity", Parity)
    app.connect("env-get-outdated", outdated)


def outdated(app, env, added, changed, removed) -> list[str]:
    """Read the tables again when one of their files has come or gone."""
    root = Path(app.srcdir)
    folders = ("results/**/*.json", "book/coverage/*.csv")
    files = sorted(str(path) for pattern in folders for path in root.glob(pattern))
    before, env.mmdl_results = getattr(env, "mmdl_results", None), files
    pages = {f"book/{name}" for name in ("claims", "parity", "coverage", "cite")}
    pages = (pages | {"book/text_to_image"}) & set(env.found_docs)
    return [] if before == files else sorted(pages)
