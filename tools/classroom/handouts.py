"""Handouts: each chapter, and the book, as PDF for paper.

Chromium prints the pages of the built site with `book/_static/print.css`. Before, a
script (`handout.js`) takes away what paper cannot do: folded code goes, sliders become
words, answers move to the end, solutions go, addresses become numbered notes.
"""

import re
from collections.abc import Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup
from playwright.sync_api import Page
from pypdf import PdfReader

from classroom.chapters import ROOT, Chapter
from classroom.pages import browser

STYLE = ROOT / "book/_static/print.css"
SCRIPT = Path(__file__).with_name("handout.js")
PATIENCE = 120_000  # milliseconds: a busy machine may take long
BOOK = "Multimodal Deep Learning"
# what a page needs on paper: its styles, and the formulas
NEEDED = re.compile(
    r'<link[^>]*rel="stylesheet"[^>]*>'
    r"|<script>\s*window\.MathJax\s*=[^<]*</script>"
    r"|<script[^>]*/mathjax/[^>]*></script>"
)
SHELL = """<!doctype html>
<html lang="en" data-theme="light" data-mode="light" data-content_root="../../">
<head><meta charset="utf-8"><title>{title}</title>{needed}</head>
<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
</div></div></main></body></html>
"""


def write(
    site: Path, out: Path, of: Sequence[Chapter], *, code: bool = False
) -> list[Path]:
    """Print each chapter, and all of them as a book with a table of contents.

    Args:
        site: the built site.
        out: a folder, made if needed: `<slug>.pdf` and `book.pdf`, or with code
            `<slug>-code.pdf` and `book-code.pdf`.
        of: the chapters.
        code: whether folded code is printed.

    Raises:
        ValueError: no chapter, one without a page, or a formula that fails.
        FileNotFoundError: no Chromium, or the site is not built.
    """
    if not of:
        raise ValueError("expected a chapter to print, got none.")
    for chapter in of:
        if not address(site, chapter).exists():
            raise FileNotFoundError(
                f"expected the page {address(site, chapter)} of a built site: run "
                "`make book`."
            )
    out.mkdir(parents=True, exist_ok=True)
    ending = "-code.pdf" if code else ".pdf"
    written = []
    with browser() as chromium:
        for chapter in of:
            written.append(out / f"{chapter.slug}{ending}")
            with prepared(chromium, site, [chapter], code=code) as page:
                to_pdf(page, written[-1])
        begins = expected(written)
        written.append(out / f"book{ending}")
        with prepared(chromium, site, of, code=code) as page:
            book(page, of, begins, written[-1])
    return written


def address(site: Path, chapter: Chapter) -> Path:
    """The page of a chapter."""
    return (site / f"{chapter.page.file}.html").resolve()


def title(chapter: Chapter) -> str:
    """Number and title."""
    return f"{chapter.page.number} {chapter.page.title}"


@contextmanager
def prepared(chromium, site: Path, of: Sequence[Chapter], *, code: bool):
    """A page with the articles of chapters, made for paper.

    Raises:
        ValueError: a formula that MathJax cannot set, or a picture that is not there.
    """
    places = [address(site, chapter) for chapter in of]
    texts = [{"address": p.as_uri(), "html": p.read_text("utf-8")} for p in places]
    named = title(of[0]) if len(of) == 1 else BOOK
    page = chromium.new_page(color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.emulate_media(media="print", color_scheme="light")
    shell = SHELL.format(title=escape(named), needed=needed(texts))
    answer = {"body": shell, "content_type": "text/html; charset=utf-8"}
    page.route(places[0].as_uri(), lambda route: route.fulfill(**answer))
    page.goto(places[0].as_uri())
    page.add_style_tag(path=STYLE)
    page.add_script_tag(path=SCRIPT)
    page.evaluate("(pages) => handout.gather(pages)", texts)
    settings = {"shown": code, "works": works(site), "titles": [title(c) for c in of]}
    faults = page.evaluate("(settings) => handout.prepare(settings)", settings)
    if faults:
        names = ", ".join(chapter.slug for chapter in of)
        raise ValueError(f"{names}: {faults[0]}")
    yield page
    page.close()


def needed(texts: Sequence[dict]) -> str:
    """The tags of pages that load styles and formulas, each once."""
    found = [tag for text in texts for tag in NEEDED.findall(text["html"])]
    return "\n".join(dict.fromkeys(found))


def works(site: Path) -> list[dict[str, str]]:
    """The entries of the bibliography: its places and their HTML."""
    text = (site / "book/bibliography.html").read_text("utf-8")
    entries = BeautifulSoup(text, "html.parser").select("div.citation")
    return [{"id": e["id"], "html": e.p.decode_contents()} for e in entries]


def to_pdf(page: Page, path: Path) -> None:
    """Print a page, with bookmarks and with tags for those who listen."""
    page.pdf(path=path, prefer_css_page_size=True, outline=True, tagged=True)


def expected(alone: Sequence[Path]) -> list[int]:
    """Where chapters begin behind one page of contents, by their own handouts."""
    sizes = [len(PdfReader(path).pages) for path in alone]
    return [2 + sum(sizes[:i]) for i in range(len(sizes))]


def book(page: Page, of: Sequence[Chapter], begins: list[int], path: Path) -> None:
    """Print all chapters behind their contents; once more if these were wrong.

    Raises:
        ValueError: chapters that begin on other pages each time.
    """
    for _ in range(2):
        numbers = zip(map(title, of), begins, strict=True)
        contents = [{"title": name, "page": begin} for name, begin in numbers]
        page.evaluate("(given) => handout.front(...given)", [BOOK, contents])
        to_pdf(page, path)
        found = starts(path, [title(chapter) for chapter in of])
        if found == begins:
            return
        begins = found
    raise ValueError(f"expected chapters that begin at {begins}, got {found}.")


def starts(path: Path, titles: Sequence[str]) -> list[int]:
    """The pages on which titles stand, by the bookmarks of a file."""
    reader = PdfReader(path)
    marks = [mark for mark in reader.outline if not isinstance(mark, list)]
    # where a title is broken into lines, its bookmark has lost the space
    pages = {_joined(m.title): reader.get_destination_page_number(m) + 1 for m in marks}
    if missing := [name for name in titles if _joined(name) not in pages]:
        raise ValueError(f"expected a bookmark {missing[0]!r}, got {sorted(pages)}.")
    return [pages[_joined(name)] for name in titles]


def _joined(words: str) -> str:
    return "".join(words.split())
