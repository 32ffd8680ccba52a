"""The plan of the book and the tables of its parts, from what is there.

A written page carries its number in its title, `# 2.2.5 BYOL`, and is found in
`_toc.yml`. A notebook may say what it asks (`"mmdl": {"asks": ...}`, its metadata) and
how many minutes it takes (in its first cell). `book/plan.csv` names what is to come.
"""

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

import yaml
from docutils import nodes
from mmdl_tables import Table
from sphinx.addnodes import pending_xref

TITLE = re.compile(r"^# (?P<number>\d[\d.]*) (?P<title>\S.*)$", re.M)
MINUTES = re.compile(r"\b(\d+(?: to \d+|-\d+)?) minutes\b")


class Page(NamedTuple):
    """A page of the plan; one without `file` is not written."""

    number: str
    title: str
    file: str = ""
    asks: str = ""
    minutes: str = ""

    @property
    def order(self) -> list[int]:
        """Sorts 2.2.10 behind 2.2.9."""
        return [int(part) for part in self.number.split(".")]


def files(entry) -> list[str]:
    """Every file that `_toc.yml` names, in order and without suffix."""
    if isinstance(entry, list):
        return [file for part in entry for file in files(part)]
    if not isinstance(entry, dict):
        return []
    here = [value for key, value in entry.items() if key in ("root", "file")]
    return here + files([v for v in entry.values() if isinstance(v, list)])


def head(root: Path, file: str) -> Page | None:
    """What the beginning of a page says; None where its title has no number."""
    for path in (root / f"{file}.ipynb", root / f"{file}.md"):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            break
    else:
        return None  # Sphinx says so
    more = {}
    if path.suffix == ".ipynb":
        notebook = json.loads(text)
        text = "".join(notebook["cells"][0]["source"])
        minutes = MINUTES.search(text)
        more = {"minutes": minutes[1] if minutes else ""}
        more["asks"] = notebook["metadata"].get("mmdl", {}).get("asks", "")
    title = TITLE.search(text)
    return title and Page(title["number"], title["title"], file, **more)


def pages(root: Path) -> list[Page]:
    """All pages of the plan in the order of their numbers, written ones first read.

    Raises:
        ValueError: two written pages with the same number.
    """
    with (root / "book/plan.csv").open(encoding="utf-8", newline="") as stream:
        found = {row["number"]: Page(**row) for row in csv.DictReader(stream)}
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    for page in filter(None, (head(root, file) for file in files(toc))):
        before = found.get(page.number)
        if before is not None and before.file:
            raise ValueError(
                f"expected one page of number {page.number}, got {before.file} and "
                f"{page.file}."
            )
        found[page.number] = page
    return sorted(found.values(), key=lambda page: page.order)


def chapters(root: Path) -> dict[str, str]:
    """Written chapters in the order of the book: slug -> number and title; none where
    there is no table of contents."""
    if not (root / "_toc.yml").exists():
        return {}
    written = [page for page in pages(root) if page.file]
    return {Path(page.file).stem: f"{page.number} {page.title}" for page in written}


class Pages(Table):
    """What the two directives share."""

    def pages(self) -> list[Page]:
        for name in ("_toc.yml", "book/plan.csv"):
            self.env.note_dependency(str(self.root / name))
        try:
            found = pages(self.root)
        except ValueError as error:
            self.warn(str(error))
            return []
        for page in found:
            self.env.note_dependency(str(self.root / f"{page.file}.ipynb"))
        return found

    def titled(self, page: Page) -> list[nodes.Node]:
        """The title, as a link where the page is written."""
        if page.file not in self.env.found_docs:
            return self.inline(page.title)
        link = pending_xref(
            refdomain="std",
            reftype="doc",
            reftarget=f"/{page.file}",
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )
        link += nodes.inline("", page.title, classes=["std", "std-doc"])
        return [link]


class Plan(Pages):
    """The whole book as nested lists; what is written is a link."""

    def run(self) -> list[nodes.Node]:
        made, section = [], None
        for page in self.pages():
            words = [nodes.Text(f"{page.number} "), *self.titled(page)]
            depth = len(page.order)
            if depth == 1:
                made.append(nodes.paragraph("", "", nodes.strong("", "", *words)))
                section = None
                continue
            item = nodes.list_item("", nodes.paragraph("", "", *words))
            place = made if depth == 2 or section is None else section
            section = item if depth == 2 else section
            if not len(place) or not isinstance(place[-1], nodes.bullet_list):
                place += [nodes.bullet_list()]
            place[-1] += item
        return made


class Part(Pages):
    """A table of the chapters of one part, such as 2.2."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        part = self.arguments[0]
        found = [p for p in self.pages() if p.number.startswith(f"{part}.")]
        if not found:
            self.warn(f"expected a part that has chapters, got {part!r}.")
            return []
        rows = []
        for page in found:
            time = f"{page.minutes} minutes" if page.minutes else "written"
            time = time if page.file else "planned"
            rows.append([page.number, self.titled(page), page.asks, time])
        head = ["section", "chapter", "asks", "state"]
        return [self.table(head, rows, label=f"Chapters of section {part}")]


def setup(app):
    app.add_directive("mmdl-plan", Plan)
    app.add_directive("mmdl-part", Part)
