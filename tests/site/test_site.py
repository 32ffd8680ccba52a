"""The built pages, as a browser shows them."""

import functools
import gzip
import os
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from browser import PATIENCE, browser, serious, serve, visit  # noqa: E402
from build_site import named  # noqa: E402
from zip_site import NAME, pack  # noqa: E402

__all__ = ["browser", "serious", "visit"]  # fixtures
SITE = Path(os.environ.get("MMDL_SITE", ROOT / "_build/html"))
PAGES = sorted(
    str(p.relative_to(SITE))
    for folder in ("book", "notebooks")
    for p in (SITE / folder).rglob("*.html")
)
INDEX = "book/index.html"
CLIP = "notebooks/ch3_4_text_for_vision/clip.html"
# pages that Sphinx adds: search, index of names, source of a module
OTHERS = ["search.html", "genindex.html", "_modules/mmdl_lib/models/clip.html"]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def address():
    with serve(SITE) as url:
        yield url


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The archive for reading without a network, unpacked."""
    folder = tmp_path_factory.mktemp("archive")
    pack(SITE, folder / "book.zip")
    zipfile.ZipFile(folder / "book.zip").extractall(folder)
    return folder / NAME


@functools.cache
def soup(name):
    return BeautifulSoup((SITE / name).read_text(), "html.parser")


@functools.cache
def anchors(name):
    """All places of a page that a link can name."""
    return {tag["id"] for tag in soup(name).find_all(id=True)}


def test_every_entry_of_the_toc_has_a_page_and_there_are_no_others():
    names = named(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert CLIP.removesuffix(".html") in names
    assert sorted(f"{name}.html" for name in names) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_no_cell_of_a_page_ended_in_an_error(name):
    # a second build does not repeat the warning of a first one that failed
    assert soup(name).select(".output.traceback") == []


@pytest.mark.parametrize("name", PAGES + OTHERS)
def test_a_page_on_a_phone_and_in_the_dark(visit, serious, address, name):
    """One visit: no fault, no wider than the phone, light enough, nothing for axe.

    Then the same page on a desk, in the dark, for axe again.
    """
    asked, size = set(), {"width": 390, "height": 844}
    page, faults = visit(
        address + name, viewport=size, color_scheme="light", asked=asked
    )
    shown(page, "light")
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious(page) == []
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(color_scheme="dark")
    shown(page, "dark")
    page.wait_for_function(FADED)
    assert serious(page) == []
    page.close()
    weights = {
        path: len(gzip.compress((SITE / unquote(path)).read_bytes()))
        for path in {urlparse(url).path.lstrip("/") for url in asked if "http" in url}
    }
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:5]
    assert name in weights and sum(weights.values()) <= MEGABYTE, heaviest
    # the whole book's search index is for the search page alone
    assert ("searchindex.js" in weights) == (name == "search.html")


# colors that fade from one theme to the other have arrived
FADED = """() => document.getAnimations().every(
  (a) => !(a instanceof CSSTransition) || a.playState != "running")"""


def shown(page, scheme):
    """The theme's script may come last on a busy machine; without it this times out."""
    page.wait_for_function(
        f"() => document.documentElement.dataset.theme == '{scheme}'"
    )


@pytest.mark.parametrize("name", [INDEX, CLIP])
def test_a_page_opens_from_a_file(visit, unpacked, name):
    page, faults = visit((unpacked / name).as_uri())
    assert faults == []
    assert page.locator("article h1").count() == 1
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_each_card_shows_its_figure_whole(visit, address, width):
    page, _ = visit(address + INDEX, viewport={"width": width, "height": 900})
    over = page.locator(".mmdl-card-picture").evaluate_all(
        """(boxes) => boxes.map((box) => {
          const drawn = box.querySelector("figure > *");
          const [a, b] = [box, drawn ?? box].map((x) => x.getBoundingClientRect());
          return drawn && b.height > 20 ? Math.max(
            a.top - b.top, b.bottom - a.bottom, a.left - b.left, b.right - a.right
          ) : 1000;
        })"""
    )
    assert len(over) > 20 and max(over) <= 1, over
    page.close()


def test_the_address_of_the_site_leads_to_the_first_page():
    front = soup("index.html")
    assert front.html["lang"] == "en"
    assert front.title.string == soup(INDEX).title.string.split(" \u2014 ")[-1]
    assert front.find("a")["href"] == INDEX
    assert front.find("meta", {"http-equiv": "refresh"})["content"].endswith(INDEX)


def test_the_address_of_the_site_opens_from_a_file(visit, unpacked):
    page, _ = visit((unpacked / "index.html").as_uri())
    page.locator("article h1").wait_for()
    assert page.url.endswith(INDEX)
    page.close()


def summaries(page):
    """The words that the search shows of the pages it found."""
    page.wait_for_function(
        "() => document.querySelector('.search-summary').innerText.includes('finished')"
    )
    page.locator(".search p.context").first.wait_for()
    return page.locator(".search p.context").all_inner_texts()


@pytest.mark.parametrize("site", ["served", "file"])
def test_the_search_shows_lines_of_what_it_found(visit, address, unpacked, site):
    base = address if site == "served" else unpacked.as_uri() + "/"
    page, faults = visit(base + "search.html?q=InfoNCE")
    found = summaries(page)
    assert len(found) > 3
    assert sum("InfoNCE".lower() in text.lower() for text in found) > 2
    assert {"CLIP", "Glossary"} <= set(page.locator(".search").inner_text().split())
    assert faults == []
    page.close()


def test_the_archive_shows_the_lines_that_the_site_shows(visit, address, unpacked):
    shown = []
    for base in (address, unpacked.as_uri() + "/"):
        page, _ = visit(base + "search.html?q=temperature")
        page.wait_for_load_state("networkidle")
        shown.append(sorted(" ".join(text.split()) for text in summaries(page)))
        page.close()
    site, archive = shown
    assert len(site) == len(archive) > 10
    # a line is cut at so many letters, blanks of the markup included: few may differ
    assert len(set(site) - set(archive)) <= len(site) // 10
    said = [sum("temperature" in line.lower() for line in lines) for lines in shown]
    assert said[0] == said[1] > 5


@pytest.mark.parametrize("site", ["served", "file"])
def test_formulas_are_typeset(visit, address, unpacked, site):
    base = address if site == "served" else unpacked.as_uri() + "/"
    page, _ = visit(base + CLIP)
    page.wait_for_selector("mjx-container", timeout=PATIENCE)
    assert page.locator("mjx-merror").count() == 0
    page.close()


def focused(page):
    """Where the keyboard is: the main text, the search, the demo, or elsewhere."""
    return page.evaluate(
        """() => {
          const inside = (s) => document.activeElement.closest(s) !== null;
          return ["mmdl-demo", "#main-content", ".search-button-field", "dialog"]
            .find(inside) ?? "";
        }"""
    )


@pytest.mark.parametrize("name", [INDEX, CLIP])
def test_the_tab_key_reaches_search_text_and_demo(visit, address, name):
    page, _ = visit(address + name)
    reached = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        reached.add(focused(page))
    wanted = {".search-button-field", "#main-content"}
    if page.locator("mmdl-demo button").count():
        wanted.add("mmdl-demo")
    assert wanted <= reached
    page.close()


def test_the_first_tab_skips_to_the_text(visit, address):
    page, _ = visit(address + CLIP)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*#main-content", timeout=PATIENCE)
    page.close()


def test_a_key_opens_the_search(visit, address):
    page, _ = visit(address + INDEX)
    page.keyboard.press("Control+k")
    page.keyboard.type("temperature")
    page.keyboard.press("Enter")
    page.wait_for_selector(".search li a", timeout=PATIENCE)
    page.close()


def test_the_demo_of_the_landing_page_answers(visit, address):
    page, faults = visit(address + INDEX)
    page.locator("mmdl-demo button").first.click()
    answer = page.locator("mmdl-demo").get_by_text("this browser")
    answer.wait_for(timeout=PATIENCE)
    assert faults == []
    page.close()


def test_a_chapter_can_be_launched_downloaded_and_traced(visit, address):
    links = [a["href"] for a in soup(CLIP).find_all("a", href=True)]
    source = CLIP.replace(".html", ".ipynb")
    assert any("colab.research.google.com" in x and source in x for x in links)
    assert any(x.endswith("_sources/" + source) for x in links)
    assert any("github.com" in x and f"/edit/main/{source}" in x for x in links)
    assert any("github.com" in x and f"/blob/main/{source}" in x for x in links)
    assert soup(CLIP).find("a", class_="left-prev")
    assert soup(CLIP).find("a", class_="right-next")


@pytest.mark.parametrize("name", PAGES + OTHERS)
def test_internal_links_and_anchors_exist(name):
    for link in soup(name).find_all("a", href=True):
        if "://" in link["href"] or link["href"].startswith("mailto:"):
            continue
        target, anchor = urldefrag(urljoin("/" + name, link["href"]))
        assert (SITE / target.lstrip("/")).exists(), link["href"]
        if anchor and target.endswith(".html"):
            assert anchor in anchors(target.lstrip("/")), link["href"]


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_of_the_text_has_an_alternative(name):
    for picture in soup(name).find("article").find_all("img"):
        alt = picture.get("alt", "")
        assert len(alt) > 20, picture.get("src")
    for drawing in soup(name).find("article").select("svg[role=img]"):
        assert len(drawing.get("aria-label", "")) > 20


def test_a_page_that_breaks_the_policy_complains(visit, tmp_path):
    (tmp_path / "index.html").write_text("<script>eval('1')</script>")
    with serve(tmp_path) as url:
        page, faults = visit(url)
    assert any("unsafe-eval" in fault for fault in faults)
    page.close()


def test_an_explorer_answers_under_the_policy(visit, address):
    page, faults = visit(address + CLIP)
    explorer = page.locator(".mmdl-explore").filter(has=page.locator("[type=range]"))
    slider = explorer.first.locator("input[type=range]").first
    shown = explorer.first.locator("[aria-live=polite]").first
    before = shown.inner_html()
    slider.focus()
    slider.press("ArrowRight")
    assert shown.inner_html() != before
    assert faults == []
    page.close()


def test_what_is_served_comes_with_its_license():
    for name in ("mathjax/LICENSE", "fontawesome/LICENSE.txt"):
        text = (SITE / "_static/vendor" / name).read_text("utf-8")
        assert "License" in text
    credits = soup("book/credits.html").text
    for words in ("MathJax 3.2.2", "Font Awesome Free", "onnxruntime-web 1.30.0"):
        assert words in credits


def test_only_the_icons_in_use_are_served():
    script = SITE / "_static/scripts/fontawesome.js"
    assert script.stat().st_size < 50_000


def test_every_public_module_is_in_the_api_reference():
    names = ("api", "api_models", "api_data", "api_metrics")
    pages = [soup(f"book/{name}.html") for name in names]
    skipped = {"demos", "exercises", "weights"}
    for file in (ROOT / "mmdl_lib").rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if any(p.startswith("_") for p in parts) or skipped & set(parts):
            continue
        name = ".".join(parts)
        assert any(page.find(id=f"module-{name}") for page in pages), name
