"""Cards of the finished chapters, and how to cite the book: from what is there."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import yaml
from docutils import nodes
from mmdl_plan import Page, Pages
from mmdl_tables import Table, raw

FIGURE = re.compile(r'<figure class="mmdl-figure[^>]*>.*?</figure>', re.S)
CAPTION = re.compile(r"<figcaption.*?</figcaption>", re.S)
EXECUTED = "_build/executed"
LARGEST = 100_000  # letters of a picture on a card
PACKAGES = ("torch", "numpy", "matplotlib", "transformers", "jupyter-book")


class Cards(Pages):
    """A card for each written chapter: picture, title, what it asks, minutes."""

    def run(self) -> list[nodes.Node]:
        box = nodes.container(classes=["mmdl-cards"])
        for page in finished(self.pages()):
            card = nodes.container(classes=["mmdl-card"])
            copy = self.root / EXECUTED / f"{page.file}.ipynb"
            self.env.note_dependency(str(copy))
            card += raw(f'<div class="mmdl-card-picture">{picture(copy)}</div>')
            title = [nodes.Text(f"{page.number} "), *self.titled(page)]
            card += nodes.paragraph("", "", nodes.strong("", "", *title))
            minutes = f" {page.minutes} minutes." if page.minutes else ""
            card += self.sentence(f"{page.asks}{minutes}")
            box += card
        return [box]


def finished(pages: list[Page]) -> list[Page]:
    """The written chapters; what they have in further experiments belongs to them."""
    written = [page for page in pages if page.file and page.asks]
    return [page for page in written if not page.file.endswith("_further")]


def picture(copy: Path) -> str:
    """The figure of an executed notebook that stands for it: the one tagged `card`,
    else the first drawn by `viz.schema`, else the first with pictures in it; empty
    where there is none."""
    if not copy.exists():
        return ""
    found = []
    for cell in json.loads(copy.read_text("utf-8"))["cells"]:
        tagged = "card" in cell["metadata"].get("tags", [])
        for output in cell.get("outputs", []):
            markup = "".join(output.get("data", {}).get("text/html", ""))
            figure = FIGURE.search(markup)
            fits = figure and len(figure[0]) < LARGEST
            if fits and (tagged or "<image" in figure[0]):
                drawn = "mmdl-schema" in figure[0]
                found.append((tagged, drawn, CAPTION.sub("", figure[0])))
    return max(found, key=lambda one: one[:2], default=("",))[-1]


class Cite(Pages):
    """BibTeX of the book and its chapters from `CITATION.cff`, versions and seeds."""

    def run(self) -> list[nodes.Node]:
        for name in ("CITATION.cff", "_config.yml"):
            self.env.note_dependency(str(self.root / name))
        facts, settings = (
            yaml.safe_load((self.root / name).read_text("utf-8"))
            for name in ("CITATION.cff", "_config.yml")
        )
        missing = [key for key in ("title", "version", "authors") if not facts.get(key)]
        if missing:
            self.warn(f"CITATION.cff: expected {', '.join(missing)}.")
            return []
        year = str(settings.get("copyright", ""))
        made = [code(bibtex(facts, year))]
        entries = [chapter(facts, year, page) for page in finished(self.pages())]
        made += [raw('<details class="mmdl-fold"><summary>Each chapter</summary>')]
        made += [code("\n\n".join(entries)), raw("</details>")]
        rows = [["mmdl_lib", facts["version"]]]
        rows += [[name, version(name)] for name in PACKAGES]
        label = "Versions that made these pages"
        return [*made, self.table(["package", "version"], rows, label=label)]


def bibtex(facts: dict, year: str) -> str:
    """The whole book."""
    fields = {"author": authors(facts), "title": f"{{{facts['title']}}}", "year": year}
    fields |= {"version": facts["version"], "url": facts.get("repository-code", "")}
    return entry("misc", "mmdl", fields)


def chapter(facts: dict, year: str, page) -> str:
    fields = {"author": authors(facts), "title": f"{{{page.title}}}"}
    fields |= {"booktitle": f"{{{facts['title']}}}", "chapter": page.number}
    fields |= {"year": year, "version": facts["version"]}
    fields["url"] = f"{facts.get('repository-code', '')}/blob/main/{page.file}.ipynb"
    return entry("incollection", f"mmdl-{Path(page.file).stem}", fields)


def authors(facts: dict) -> str:
    """A group stands in braces of its own, so that BibTeX does not split its name."""
    people = []
    for who in facts["authors"]:
        given = who.get("given-names")
        full = f"{who['family-names']}, {given}" if given else f"{{{who['name']}}}"
        people.append(full)
    return " and ".join(people)


def entry(kind: str, key: str, fields: dict) -> str:
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def code(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language="bibtex")


class Seeds(Table):
    """Which seeds stand behind the claims of each file of results."""

    def run(self) -> list[nodes.Node]:
        rows = []
        for file in sorted((self.root / "results").glob("*.json")):
            self.env.note_dependency(str(file))
            whole = json.loads(file.read_text(encoding="utf-8"))
            found = [c["seeds"] for c in whole.get("claims", []) if "seeds" in c]
            if found:
                least, most = min(found), max(found)
                words = str(most) if least == most else f"{least} to {most}"
                rows.append([file.stem, str(len(found)), words])
        if not rows:
            return [self.sentence("No claim has been measured yet.")]
        head = ["results", "claims", "seeds of a claim"]
        return [self.table(head, rows, label="Seeds behind the claims")]


def setup(app):
    app.add_directive("mmdl-cards", Cards)
    app.add_directive("mmdl-cite", Cite)
    app.add_directive("mmdl-seeds", Seeds)
