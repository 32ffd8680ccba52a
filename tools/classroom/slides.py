"""One deck a chapter, for RevealJS, by sphinx-revealjs.

A deck has a title, the goals, and one slide for each cell tagged `slide` or `predict`.
A slide shows the cell, or what the author wrote for it in the cell's metadata under
`mmdl.slide`; of a cell that draws, the figure alone. The prose up to the next slide
becomes the speaker's notes (key S). Questions hide their answer until the next key. The
decks open without a network and print by `?print-pdf`.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from classroom.chapters import (
    ANSWER,
    HEADING,
    ROOT,
    Chapter,
    Question,
    asked,
    is_prose,
    on_deck,
    tags,
    words,
)
from classroom.pages import open_pages

WIDTH, HEIGHT = 1280, 720
# go through the slides with all that appears step by step; heading, width, height
MEASURE = """async () => {
  const found = [];
  for (let i = 0; i < Reveal.getTotalSlides(); i++) {
    Reveal.slide(i, 0, 99);
    await new Promise((done) => setTimeout(done, 50));
    const slide = Reveal.getCurrentSlide();
    const title = slide.querySelector("h1")?.textContent ?? `number ${i + 1}`;
    found.push([title, slide.scrollWidth, slide.scrollHeight]);
  }
  return found;
}"""
PARTS = {"deck.py": "conf.py", "deck.css": "deck.css", "deck.js": "deck.js"}
TITLE = re.compile(r"^#+ (.+)$", re.M)
PROMISE = re.compile(r"^# .+\n+(?P<first>.+?[.?!])(?:\s|$)", re.M)
EQUATION = re.compile(r"^\$\$ *\(eq-[\w-]+\)$", re.M)
CITE = re.compile(r"(\{cite(?::\w+)?\}`)([^`]+)(?=`)")
PAPERS = """# Papers

```{{bibliography}}
:filter: docname in docnames
:keyprefix: {slug}-
```"""
ROLE = re.compile(
    r"\{(?P<role>term|doc|ref|eq|numref)\}"
    r"`(?:(?P<text>[^`<]+?) *<[^`>]+>|(?P<name>[^`]+))`"
)
OTHERWISE = {"eq": "the equation", "ref": "below", "numref": "below"}


def write(out: Path, chapters: list[Chapter], root: Path = ROOT) -> list[Path]:
    """Write the decks of chapters that have slides into the folder `out`.

    Raises:
        ValueError: a chapter without slides.
        RuntimeError: the converter found something that it could not read.
    """
    source = root / "_build/decks"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for own, name in PARTS.items():
        shutil.copy(Path(__file__).with_name(own), source / name)
    shutil.copy(root / "book/references.bib", source)
    names = [chapter.slug for chapter in chapters]
    for chapter in chapters:
        text = json.dumps(deck(chapter), ensure_ascii=False)
        (source / f"{chapter.slug}.ipynb").write_text(text, "utf-8")
    contents = "\n".join(["# Slides", "", "```{toctree}", *names, "```", ""])
    (source / "index.md").write_text(contents, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-b", "revealjs", "-q", "-W"]
    command += ["-d", str(source / ".doctrees")]
    command += ["--keep-going", str(source), str(out)]
    if subprocess.run(command).returncode:
        raise RuntimeError("expected slides without warnings; see above.")
    return [out / f"{name}.html" for name in names]


def check(out: Path, chapters: list[Chapter]) -> None:
    """Open every slide in Chromium.

    Raises:
        ValueError: a slide is higher or wider than 1280 x 720 pixels, or asks for a
            file that is not there.
    """
    with open_pages(out.parents[1]) as (page, address):
        lost = []
        page.on("requestfailed", lambda request: lost.append(request.url))
        page.on("response", lambda r: lost.append(r.url) if r.status >= 400 else None)
        page.on(
            "request", lambda r: lost.append(r.url) if address not in r.url else None
        )
        for chapter in chapters:
            place = (out / f"{chapter.slug}.html").relative_to(out.parents[1])
            page.goto(f"{address}{place}")
            page.wait_for_function("window.MathJax?.startup?.promise ?? true")
            for title, width, height in page.evaluate(MEASURE):
                if width > WIDTH or height > HEIGHT:
                    raise ValueError(
                        f"{chapter.slug}, slide {title!r}: expected at most {WIDTH} x "
                        f"{HEIGHT} pixels, got {width} x {height}: write mmdl.slide."
                    )
        wanted = [url for url in lost if not url.startswith(("data:", "blob:"))]
        if wanted:
            raise ValueError(f"expected slides with all their files, got {wanted[0]}.")


def deck(chapter: Chapter) -> dict:
    """A notebook with one heading of the first level for each slide.

    Raises:
        ValueError: no cell is tagged `slide`.
    """
    if not chapter.slides:
        raise ValueError(
            f"{chapter.slug}: expected cells with the tag slide, got none."
        )
    cells = [_title(chapter), _goals(chapter)]
    heading, before = chapter.page.title, None
    for cell in chapter.cells[1:]:
        found = TITLE.findall(words(cell)) if is_prose(cell) else []
        if on_deck(cell):
            heading = found[0] if found else heading
            before = slide(cell, heading)
            cells += before
        elif is_prose(cell) and before and not found:
            cells.append(_prose(_notes(words(cell))))
        heading = found[-1] if found else heading
        before = None if found and not on_deck(cell) else before
    if any("{cite" in words(cell) for cell in cells):
        cells = [_own_papers(cell, f"{chapter.slug}-") for cell in cells]
        cells.append(_prose(PAPERS.format(slug=chapter.slug)))
    for number, cell in enumerate(cells):
        cell["id"] = f"slide-{number}"
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    about["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def slide(cell: dict, heading: str) -> list[dict]:
    """The cells of one slide."""
    written = cell["metadata"].get("mmdl", {}).get("slide")
    title = f"# {_plain(heading)}"
    if "predict" in tags(cell):
        return [_prose(f"{title}\n\n{_question(asked(cell))}")]
    if is_prose(cell):
        text = written or HEADING.sub("", words(cell))
        made = [_prose(f"{title}\n\n{_plain(text)}")]
        return made + [_prose(_notes(words(cell)))] * bool(written)
    # a figure needs the whole slide; its code is on the page
    drawn = any("text/html" in output.get("data", {}) for output in cell["outputs"])
    code = "show" in tags(cell) and not written and not drawn
    quiet = {"tags": [] if code else ["remove-input"]}
    text = f"{title}\n\n{_plain(written)}" if written else title
    return [_prose(text), cell | {"metadata": quiet}]


def _title(chapter: Chapter) -> dict:
    found = PROMISE.search(words(chapter.cells[0]))
    own = chapter.cells[0]["metadata"].get("mmdl", {}).get("slide")
    promise = own or (found["first"] if found else "")
    name = f"# {chapter.page.number} {_plain(chapter.page.title)}"
    return _prose(f"{name}\n\n{_plain(promise)}")


def _goals(chapter: Chapter) -> dict:
    lines = [f"- {_plain(goal)}" for goal in chapter.goals]
    return _prose("\n".join(["# You will be able to", "", *lines]))


def _question(question: Question) -> str:
    parts = [_plain(question.text), ""]
    parts += [f"{i}. {_plain(option)}" for i, option in enumerate(question.options, 1)]
    right = [
        f"- **{i + 1} is right**: {_plain(question.feedback[i])}"
        for i in sorted(question.right)
    ]
    hidden = [":::{revealjs-fragments}", *right, ":::"]
    wrong = [f"{i}. {_plain(why)}" for i, why in enumerate(question.feedback, 1)] + [
        _plain(question.remark)
    ]
    return "\n".join([*parts, "", *hidden, "", _notes("\n".join(wrong))])


def _own_papers(cell: dict, prefix: str) -> dict:
    """A cell that cites the entries of its own deck; no link leads to another deck."""
    if not is_prose(cell):
        return cell

    def named(found: re.Match) -> str:
        keys = [prefix + key.strip() for key in found[2].split(",")]
        return found[1] + ",".join(keys)

    return cell | {"source": CITE.sub(named, words(cell))}


def _notes(text: str) -> str:
    """The speaker's notes; a longer fence than any inside."""
    text = ANSWER.sub("", HEADING.sub("", text))
    return f":::::{{revealjs-notes}}\n{_plain(text)}\n:::::"


def _plain(text: str) -> str:
    """Markdown whose references lead nowhere else."""
    text = EQUATION.sub("$$", text)

    def said(found: re.Match) -> str:
        known = found["text"] or OTHERWISE.get(found["role"], found["name"])
        return known.rsplit("/", 1)[-1]

    return ROLE.sub(said, text).strip()


def _prose(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text}
