"""Tables that the build makes from measured files: coverage and parity.

A fault in a file is a warning of Sphinx, and the book is built with warnings as errors:
a page never shows a number that its file does not hold.
"""

import csv
import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)
ROW = re.compile(r"[SF]\d{3}")
PARITY = ["what", "ours", "reference", "version"]
PARITY += ["largest_difference", "tolerance", "test"]


class Table(SphinxDirective):
    """What the directives share."""

    @property
    def root(self) -> Path:
        return Path(self.env.srcdir)

    def warn(self, text: str) -> None:
        LOG.warning(text, location=self.get_location(), type="mmdl")

    def inline(self, text) -> list[nodes.Node]:
        """A cell's text; it may hold roles and formulas."""
        return self.state.inline_text(str(text), self.lineno)[0]

    def sentence(self, text: str) -> nodes.paragraph:
        return nodes.paragraph("", "", *self.inline(text))

    def table(self, head: list[str], rows: list[list], *, label: str) -> nodes.table:
        """A table whose cells are strings or lists of nodes."""
        table = nodes.table(classes=["mmdl-table"])
        table += nodes.title("", label)
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=1) for _ in head]
        group += nodes.thead("", self.row(head))
        group += nodes.tbody("", *(self.row(cells) for cells in rows))
        table += group
        return table

    def row(self, cells: list) -> nodes.row:
        row = nodes.row()
        for cell in cells:
            content = cell if isinstance(cell, list) else self.inline(cell)
            row += nodes.entry("", nodes.paragraph("", "", *content))
        return row

    def link(self, label: str, text: str = "") -> list[nodes.Node]:
        """A reference to a label of any page, by default with the title that stands
        there; Sphinx warns where there is no such label."""
        reference = pending_xref(
            refdomain="std",
            reftype="ref",
            reftarget=label,
            refexplicit=bool(text),
            refwarn=True,
            refdoc=self.env.docname,
        )
        reference += nodes.inline("", text, classes=["std", "std-ref"])
        return [reference]

    def complete(self, record: dict, keys: list[str], file: str) -> bool:
        missing = [key for key in keys if key not in record]
        if missing:
            name = record.get("id") or record.get("what") or "a record"
            self.warn(f"{file}: expected {', '.join(missing)} in {name!r}.")
        return not missing


class Coverage(Table):
    """Rows of `book/coverage/<slug>.csv` (row, anchor, title), and how many of all."""

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
        cells = [
            [row["row"], row["title"], self.link(row["anchor"], "read it")]
            for row in sorted(rows, key=lambda row: row["row"])
        ]
        label = f"Rows that are shown, {shown} of {total}"
        table = self.table(["row", "topic", "where"], cells, label=label)
        return [self.sentence(text), self.meter(shown, total), table]

    def meter(self, shown: int, total: int) -> nodes.raw:
        alt = f"{shown} of {total} rows are shown"
        html = f'<meter max="{total}" value="{shown}" aria-label="{alt}">{alt}</meter>'
        return nodes.raw("", f'<p class="mmdl-meter">{html}</p>', format="html")

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
    """Records of `results/parity/*.json`, one table for each of our classes."""

    def run(self) -> list[nodes.Node]:
        tables = {}
        for file in sorted((self.root / "results/parity").glob("*.json")):
            self.env.note_dependency(str(file))
            for record in json.loads(file.read_text(encoding="utf-8")):
                if self.complete(record, PARITY, f"parity/{file.name}"):
                    tables.setdefault(record["ours"], []).append(self.cells(record))
        if not tables:
            return [self.sentence("No comparison has been recorded yet.")]
        head = ["what", "reference", "largest difference", "allowed", "test"]
        return [self.table(head, rows, label=ours) for ours, rows in tables.items()]

    def cells(self, record: dict) -> list:
        found, allowed = record["largest_difference"], record["tolerance"]
        if not found <= allowed:
            self.warn(f"parity: expected at most {allowed}, got {found}.")
        return [
            record["what"],
            [nodes.Text(f"{record['reference']} {record['version']}")],
            [nodes.Text(f"{found:.2g}")],
            [nodes.Text(f"{allowed:.2g}")],
            [nodes.literal("", record["test"])],
        ]


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
    pages = {"book/claims", "book/parity", "book/coverage"} & set(env.found_docs)
    return [] if before == files else sorted(pages)
