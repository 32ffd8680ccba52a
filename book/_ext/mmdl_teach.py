"""What a lecturer finds: links below each chapter's title, the map of prerequisites,
and the class pack of each chapter.

The files of the pack are written by `make class` (tools/classroom); this extension
names them. `book/teaching/<slug>.toml` holds what students get wrong in a chapter, and
what to discuss.
"""

import html
import json
import re
import sys
import tomllib
from pathlib import Path

import networkx
from docutils import nodes
from mmdl_cards import finished
from mmdl_plan import Page, Pages
from mmdl_tables import raw

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from classroom import chapters, plans  # noqa: E402

EXECUTED = "_build/executed"
PUBLISHED = "gh-pages"  # the branch that holds the site, see CONTRIBUTING.md
TOOK = re.compile(r"this run: (\d+) s .*?, ([\d,]+) MB")
# what a chapter's pack holds: name, file below class/
PACK = {
    "slides": "slides/{slug}.html",
    "handout": "handouts/{slug}.pdf",
    "notebook for students": "student/{slug}.ipynb",
    "quiz for Moodle": "quiz/{slug}-quiz-moodle.xml",
    "quiz as QTI": "quiz/{slug}-quiz-qti.zip",
}
HEAD = ("slides", "handout")
WIDE, HIGH, BETWEEN, BELOW = 152, 44, 14, 40  # boxes of the map, in pixels


def links(app, doctree) -> None:
    """Below the title of a chapter: where it runs, what belongs to it, what it took."""
    env = app.env
    root, file = Path(env.srcdir), env.docname
    title = next(doctree.findall(nodes.title), None)
    if title is None or not file.startswith("notebooks/"):
        return
    slug = Path(file).stem
    settings = app.config.html_theme_options
    places = [("Colab", colab(settings, file))]
    if not slug.endswith("_further"):
        up = "../" * file.count("/")
        student = f"class/{PACK['notebook for students'].format(slug=slug)}"
        places.append(("Colab for students", colab(settings, student, PUBLISHED)))
        places += [(name, f"{up}class/{PACK[name].format(slug=slug)}") for name in HEAD]
    places.append(("cite", app.builder.get_relative_uri(file, "book/cite")))
    shown = [f'<a href="{html.escape(url)}">{name}</a>' for name, url in places]
    took = measured(root / EXECUTED / f"{file}.ipynb")
    words = f" <span>{took}</span>" if took else ""
    line = raw(f'<p class="mmdl-links">{" ".join(shown)}{words}</p>')
    title.parent.insert(title.parent.index(title) + 1, line)


def colab(settings: dict, file: str, branch: str = "") -> str:
    """The address at which Colab opens a notebook of the book."""
    place = settings["repository_url"].removeprefix("https://github.com/")
    host = settings["launch_buttons"]["colab_url"]
    branch = branch or settings["repository_branch"]
    return f"{host}/github/{place}/blob/{branch}/{file.removesuffix('.ipynb')}.ipynb"


def measured(copy: Path) -> str:
    """What the last cell of an executed notebook said about its run; else nothing."""
    if not copy.exists():
        return ""
    text = json.dumps(json.loads(copy.read_text("utf-8"))["cells"][-3:])
    found = TOOK.search(text)
    if not found:
        return ""
    return f"This page took {found[1]} s and {found[2]} MB on two CPU cores."


class Class(Pages):
    """The class pack of each chapter: files, plans, misconceptions, discussion."""

    def run(self) -> list[nodes.Node]:
        made = []
        for page in finished(self.pages()):
            try:
                made += self.chapter(chapters.Chapter(page, self.root))
            except ValueError as error:
                self.warn(str(error))
        return made

    def chapter(self, chapter) -> list[nodes.Node]:
        page, slug = chapter.page, chapter.slug
        name = f"{page.number} {page.title.split(':')[0]}"
        box = nodes.section(ids=[f"class-{slug}"], names=[f"class-{slug}"])
        box += nodes.title("", name)
        box += nodes.paragraph("", "", *self.titled(page))
        files = [
            f'<a href="../class/{path.format(slug=slug)}">{name}</a>'
            for name, path in PACK.items()
        ]
        box += raw(f'<p class="mmdl-links">{" ".join(files)}</p>')
        for length in plans.LENGTHS:
            box += self.fold(f"A plan for {length} minutes", self.plan(chapter, length))
        told = self.told(slug)
        if told:
            box += self.fold("What students get wrong", self.wrong(told))
            box += self.fold("To discuss", self.discussion(told))
        return [box]

    def fold(self, title: str, content: list[nodes.Node]) -> nodes.container:
        """Closed until a reader opens it."""
        box = nodes.container()
        head = f'<details class="mmdl-fold"><summary>{title}</summary>'
        box += [raw(head), *content, raw("</details>")]
        return box

    def plan(self, chapter, length: int) -> list[nodes.Node]:
        rows, clock = [], 0
        for row in plans.plan(chapter, length):
            span = f"{clock}-{clock + row.minutes}"
            rows.append([span, self.section(chapter.page, row.section), row.what])
            clock += row.minutes
        label = f"{chapter.page.number} in {length} minutes"
        return [self.table(["minutes", "section", "what"], rows, label=label)]

    def section(self, page: Page, title: str) -> list[nodes.Node]:
        """A link to a section of the chapter."""
        here = self.env.app.builder.get_relative_uri(self.env.docname, page.file)
        place = f"{here}#{nodes.make_id(title)}"
        return [nodes.reference("", "", *self.inline(title), refuri=place)]

    def told(self, slug: str) -> dict:
        """What the chapter's fragment says.

        A fragment without one of its parts is a warning.
        """
        path = self.root / "book/teaching" / f"{slug}.toml"
        self.env.note_dependency(str(path))
        if not path.exists():
            self.warn(f"expected book/teaching/{slug}.toml, got none.")
            return {}
        told = tomllib.loads(path.read_text("utf-8"))
        wrong, discuss = told.get("misconceptions", []), told.get("discussion", [])
        if len(wrong) < 2 or len(discuss) != 3:
            self.warn(
                f"{path.name}: expected two or more misconceptions and three questions "
                f"to discuss, got {len(wrong)} and {len(discuss)}."
            )
        return {"misconceptions": wrong, "discussion": discuss}

    def wrong(self, told: dict) -> list[nodes.Node]:
        box = nodes.definition_list()
        for entry in told["misconceptions"]:
            item = nodes.definition_list_item()
            item += nodes.term("", "", *self.inline(entry["said"]))
            item += nodes.definition("", self.sentence(entry["but"]))
            box += item
        return [box]

    def discussion(self, told: dict) -> list[nodes.Node]:
        box = nodes.enumerated_list(enumtype="arabic", suffix=".", prefix="")
        for text in told["discussion"]:
            box += nodes.list_item("", self.sentence(text))
        return [box]


class Map(Pages):
    """The written chapters, each below what it presupposes."""

    def run(self) -> list[nodes.Node]:
        known = {}
        for page in finished(self.pages()):
            try:
                known[Path(page.file).stem] = chapters.Chapter(page, self.root)
            except ValueError as error:
                self.warn(str(error))
        graph = networkx.DiGraph()
        graph.add_nodes_from(known)
        for slug, chapter in known.items():
            graph.add_edges_from(
                (need, slug) for need in chapter.needs if need in known
            )
        if not networkx.is_directed_acyclic_graph(graph):
            cycle = " -> ".join(a for a, _ in networkx.find_cycle(graph))
            self.warn(f"expected chapters that do not need each other, got {cycle}.")
            return []
        return [raw(self.drawn(known, graph))]

    def drawn(self, known: dict, graph) -> str:
        """The map as SVG in a box that scrolls."""
        order = list(known)
        rows = [
            sorted(r, key=order.index) for r in networkx.topological_generations(graph)
        ]
        width = max(map(len, rows)) * (WIDE + BETWEEN) + BETWEEN
        height = len(rows) * (HIGH + BELOW) - BELOW + 2
        place = {
            slug: ((width - len(row) * (WIDE + BETWEEN)) / 2 + i * (WIDE + BETWEEN), y)
            for y, row in enumerate(rows)
            for i, slug in enumerate(row)
        }
        lines = [_arrow(place[a], place[b]) for a, b in graph.edges]
        boxes = [self.box(known[slug].page, *place[slug]) for slug in order]
        said = "; ".join(filter(None, (_needs(known, graph, slug) for slug in order)))
        size = f'width="{width:.0f}" height="{height:.0f}"'
        return (
            f'<div class="mmdl-map" tabindex="0" role="group" aria-label="Map of the '
            f'chapters: {said}."><svg {size} viewBox="0 0 {width:.0f} {height:.0f}">'
            f"{''.join(lines + boxes)}</svg></div>"
        )

    def box(self, page: Page, x: float, y: int) -> str:
        url = self.env.app.builder.get_relative_uri(self.env.docname, page.file)
        name = html.escape(re.split(r"[:,]", page.title)[0])
        top, middle = y * (HIGH + BELOW) + 1, x + WIDE / 2
        text = f'<text x="{middle:.0f}"'
        return (
            f'<a href="{url}"><rect x="{x:.0f}" y="{top}" width="{WIDE}" '
            f'height="{HIGH}" rx="6"/>{text} y="{top + 18}">{page.number}</text>'
            f'{text} y="{top + 35}">{name}</text></a>'
        )


def _needs(known: dict, graph, slug: str) -> str:
    needs = [known[need].page.number for need in graph.predecessors(slug)]
    return f"{known[slug].page.number} needs {', '.join(needs)}" if needs else ""


def _arrow(start: tuple, end: tuple) -> str:
    x0, y0 = start[0] + WIDE / 2, start[1] * (HIGH + BELOW) + HIGH + 1
    x1, y1 = end[0] + WIDE / 2, end[1] * (HIGH + BELOW) + 1
    half = BELOW / 2
    return (
        f'<path d="M{x0:.0f} {y0} C{x0:.0f} {y0 + half:.0f} {x1:.0f} {y1 - half:.0f} '
        f'{x1:.0f} {y1}"/>'
    )


def setup(app):
    app.add_directive("mmdl-class", Class)
    app.add_directive("mmdl-map", Map)
    app.connect("doctree-read", links)
