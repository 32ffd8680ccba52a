"""Tables that the build makes from files: what their directives share.

A fault in a file is a warning of Sphinx, and the book is built with warnings as errors:
a page never shows a number that its file does not hold.
"""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)


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


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")
