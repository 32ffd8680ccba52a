"""Handouts: what is on paper, and what is not."""

from types import SimpleNamespace

import pdfplumber
import pytest
from classroom import handouts
from classroom.chapters import ROOT, Page, chapters
from pypdf import PdfReader

SITE = ROOT / "_build/html"
MARGIN = 16 / 25.4 * 72  # points, as print.css has it
LONG = "x" * 300
PAGE = """<html><head><link href="{style}" rel="stylesheet">
<script>window.MathJax = {{}}</script>
<script defer src="{math}"></script></head><body><article class="bd-article">
<section id="top"><h1>9.{n} Toys {n}<a class="headerlink" href="#top">#</a></h1>
<p class="mmdl-links"><a href="../../class/slides.html">slidesword</a></p>
<p>Read <a href="https://example.org/a">one</a>, <a href="https://example.org/b">two</a>
and <a href="https://example.org/a">one again</a>, <a href="{other}.html#top">next</a>,
<a href="../../book/bibliography.html#id7">Abel 2020</a>, \\(x_1\\). {more}</p>
<details class="admonition hide above-input"><summary>Code</summary><pre>folded{n}</pre>
</details><pre>{long}</pre><div class="mmdl-explore"><fieldset><label><span>tau</span>
<input type="range" value="1" data-words='["cold", "warm"]'></label></fieldset></div>
<details class="sd-dropdown"><summary>Answer</summary><div class="sd-summary-content">
<p>secret{n}</p></div></details><details class="sd-dropdown"><summary>Rubric</summary>
<div class="sd-summary-content">rubricword</div></details>
<div class="tag_solution">solutionword</div><h2 id="h">Last heading</h2></section>
</article></body></html>"""
WORKS = """<div class="citation" id="id7"><p>Abel. A work.</p></div>
<div class="citation" id="id8"><p>Bebel. Another.</p></div>"""


def toys(folder, more=""):
    """Two chapters of a built site."""
    (folder / "notebooks/part").mkdir(parents=True)
    (folder / "book").mkdir()
    (folder / "book/bibliography.html").write_text(WORKS)
    style = (ROOT / "book/_static/custom.css").as_uri()
    math = (SITE / "_static/vendor/mathjax/tex-chtml.js").as_uri()
    made = []
    for n, (slug, other) in enumerate((("one", "two"), ("two", "one")), start=1):
        page = Page(f"9.{n}", f"Toys {n}", f"notebooks/part/{slug}")
        given = {"n": n, "other": other, "style": style, "math": math}
        text = PAGE.format(long=LONG, more=more, **given)
        (folder / f"{page.file}.html").write_text(text)
        made.append(SimpleNamespace(page=page, slug=slug))
    return made


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The handouts of the toys: their readers by name."""
    folder = tmp_path_factory.mktemp("toys")
    of = toys(folder)
    paths = handouts.write(folder, folder / "out", of)
    paths += handouts.write(folder, folder / "out", of[:1], code=True)
    return {path.stem: PdfReader(path) for path in paths}


def words(reader):
    """All text, with single spaces."""
    return " ".join(" ".join(p.extract_text() for p in reader.pages).split())


def test_folded_code_is_printed_only_where_it_is_asked_for(printed):
    assert {*printed} == {"one", "two", "book", "one-code", "book-code"}
    assert "folded1" not in words(printed["one"])
    assert "folded1" in words(printed["one-code"])


def test_answers_stand_at_the_end_and_solutions_nowhere(printed):
    text = words(printed["one"])
    assert "Answer 1 stands at the end of the chapter." in text
    assert text.index("Last heading") < text.index("secret1")
    for word in ("rubricword", "solutionword", "slidesword"):
        assert word not in text


def test_a_slider_says_which_state_is_shown(printed):
    assert "Shown: tau = warm. The page has the others." in words(printed["one"])


def test_addresses_are_numbered_once_and_works_listed_if_cited(printed):
    text = words(printed["one"])
    assert "Links 1. https://example.org/a 2. https://example.org/b" in text
    assert "one1, two2 and one again1, next," in text.replace(" ,", ",")
    assert "References Abel. A work." in text
    assert "Bebel" not in text


def test_no_place_of_this_machine_is_in_a_file(printed):
    for reader in printed.values():
        for page in reader.pages:
            for note in page.get("/Annots", []):
                address = str(note.get_object().get("/A", {}).get("/URI", "https:"))
                assert address.startswith("https:"), address


def test_a_file_has_a_title_a_language_tags_and_page_numbers(printed):
    for name, title in (("one", "9.1 Toys 1"), ("book", handouts.BOOK)):
        root = printed[name].trailer["/Root"]
        assert printed[name].metadata.title == title
        assert root["/Lang"] == "en"
        assert root["/MarkInfo"]["/Marked"]
        assert [m.title for m in printed[name].outline if not isinstance(m, list)]
    last = printed["book"].pages[-1].extract_text()
    # the foot of a page comes first in a file
    assert " ".join(last.split()).startswith("39.2 Toys 2 ")


def test_the_book_says_where_its_chapters_begin_and_links_them(printed):
    front = " ".join(printed["book"].pages[0].extract_text().split())
    assert front.startswith("1 Multimodal Deep Learning 9.1 Toys 1 2 9.2 Toys 2 3")
    assert len(printed["book"].pages) == 3
    inner = [n.get_object() for n in printed["book"].pages[1]["/Annots"]]
    assert any("/Dest" in note or "/D" in note.get("/A", {}) for note in inner)


def test_a_chapter_that_begins_elsewhere_than_expected_is_printed_again(tmp_path):
    of = toys(tmp_path)
    with (
        handouts.browser() as chromium,
        handouts.prepared(chromium, tmp_path, of, code=False) as page,
    ):
        handouts.book(page, of, [2, 9], tmp_path / "book.pdf")
    front = PdfReader(tmp_path / "book.pdf").pages[0].extract_text()
    assert " ".join(front.split()).startswith(
        f"1 {handouts.BOOK} 9.1 Toys 1 2 9.2 Toys 2 3"
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (r"\(\frac\)", "one: expected formulas of known signs, got"),
        (
            '<img src="gone.png" alt="A dot">',
            "one: expected the picture .*gone.png, got",
        ),
    ],
)
def test_a_page_that_is_broken_is_not_printed(tmp_path, more, words):
    of = toys(tmp_path, more)
    with pytest.raises(ValueError, match=words):
        handouts.write(tmp_path, tmp_path / "out", of)


def test_no_chapter_and_no_site_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a chapter to print, got none"):
        handouts.write(tmp_path, tmp_path / "out", [])
    of = toys(tmp_path / "there")
    with pytest.raises(FileNotFoundError, match=r"one.html of a built site: run `make"):
        handouts.write(tmp_path / "elsewhere", tmp_path / "out", of)


@pytest.fixture(scope="module")
def simclr(tmp_path_factory):
    path = tmp_path_factory.mktemp("simclr") / "simclr.pdf"
    of = [chapter for chapter in chapters() if chapter.slug == "simclr"]
    with (
        handouts.browser() as chromium,
        handouts.prepared(chromium, SITE, of, code=False) as page,
    ):
        handouts.to_pdf(page, path)
    with pdfplumber.open(path) as pdf:
        yield pdf


def test_the_main_path_of_simclr_fits_fourteen_pages(simclr):
    assert len(simclr.pages) in range(8, 15)


def test_nothing_is_wider_than_the_page(simclr, printed, tmp_path):
    assert sum(len(page.chars) for page in simclr.pages) > 15_000
    toy = pdfplumber.open(printed["one"].stream)
    assert sum(char["text"] == "x" for char in toy.pages[0].chars) >= len(LONG)
    for page in simclr.pages + toy.pages:
        for thing in page.chars + page.images:
            assert thing["x0"] >= MARGIN - 2, thing
            assert thing["x1"] <= page.width - MARGIN + 2, thing


def test_every_page_is_numbered_and_no_heading_stands_last(simclr):
    headings = []
    for number, page in enumerate(simclr.pages, start=1):
        lines = sorted(page.extract_text_lines(), key=lambda line: line["top"])
        assert lines[-1]["text"].endswith(f" {number}")
        headings.append(lines[-2]["chars"][0]["size"])
    assert max(headings) < 10.5
