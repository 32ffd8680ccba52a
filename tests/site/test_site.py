"""The built pages, as a browser shows them."""

import functools
import gzip
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
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
AXE = ROOT / "node_modules/axe-core/axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
MEGABYTE = 1_000_000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


def visit(browser, url, **options):
    """A page and everything that it complained about or asked of other hosts."""
    page, faults = browser.new_page(**options), []
    page.on("console", lambda m: m.type == "error" and faults.append(m.text))
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on("requestfailed", lambda r: faults.append(f"failed: {r.url}"))
    local = ("http://127.0.0.1", "data:", "blob:", "file:")
    page.on("request", lambda r: r.url.startswith(local) or faults.append(r.url))
    page.goto(url, wait_until="networkidle")
    return page, faults


@functools.cache
def soup(name):
    return BeautifulSoup((SITE / name).read_text(), "html.parser")


def toc_files(entry):
    """All documents that a part of `_toc.yml` names."""
    if isinstance(entry, list):
        return [name for part in entry for name in toc_files(part)]
    if isinstance(entry, dict):
        own = [entry[key] for key in ("root", "file") if key in entry]
        return own + toc_files([v for v in entry.values() if isinstance(v, list)])
    return []


def test_every_entry_of_the_toc_has_a_page_and_there_are_no_others():
    named = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert CLIP.removesuffix(".html") in named
    assert sorted(f"{name}.html" for name in named) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_no_cell_of_a_page_ended_in_an_error(name):
    # a second build does not repeat the warning of a first one that failed
    assert soup(name).select(".output.traceback") == []


@pytest.mark.parametrize("name", PAGES + OTHERS)
def test_a_page_has_no_fault_and_fits_a_phone(browser, address, name):
    size = {"width": 390, "height": 844}
    page, faults = visit(browser, address + name, viewport=size)
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES + OTHERS)
def test_axe_finds_nothing_serious(browser, address, name, scheme):
    assert AXE.exists(), "expected axe-core in node_modules: run `npm install`."
    page, _ = visit(browser, address + name, color_scheme=scheme)
    # the theme's script may come last on a busy machine; without it this times out
    page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")["violations"]
    serious = [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][-150:]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
    page.close()
    assert serious == [], "\n".join(serious)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_weighs_at_most_a_megabyte(browser, address, name):
    page, asked = browser.new_page(), set()
    page.on("request", lambda r: asked.add(r.url))
    page.goto(address + name, wait_until="networkidle")
    page.close()
    weights = {
        path: len(gzip.compress((SITE / unquote(path)).read_bytes()))
        for path in {urlparse(url).path.lstrip("/") for url in asked if "http" in url}
    }
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:5]
    assert sum(weights.values()) <= MEGABYTE, heaviest


@pytest.mark.parametrize("name", ["index.html", INDEX, CLIP])
def test_a_page_opens_from_a_file(browser, name):
    page, faults = visit(browser, (SITE / name).as_uri())
    assert faults == []
    assert page.locator("article h1").count() == 1
    page.close()


def test_search_works_from_a_file(browser):
    page = browser.new_page()
    page.goto((SITE / "search.html").as_uri() + "?q=InfoNCE")
    page.wait_for_selector(".search li a", timeout=20_000)
    assert "Glossary" in page.locator(".search").inner_text()
    page.close()


@pytest.mark.parametrize("site", ["served", "file"])
def test_formulas_are_typeset(browser, address, site):
    base = address if site == "served" else SITE.as_uri() + "/"
    page, _ = visit(browser, base + CLIP)
    page.wait_for_selector("mjx-container", timeout=20_000)
    assert page.locator("mjx-merror").count() == 0
    page.close()


def test_search_finds_infonce(browser, address):
    page, _ = visit(browser, address + "search.html?q=InfoNCE")
    page.wait_for_selector(".search li a", timeout=20_000)
    assert "CLIP" in page.locator(".search").inner_text()
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
def test_the_tab_key_reaches_search_text_and_demo(browser, address, name):
    page, _ = visit(browser, address + name)
    reached = set()
    for _ in range(150):
        page.keyboard.press("Tab")
        reached.add(focused(page))
    wanted = {".search-button-field", "#main-content"}
    if page.locator("mmdl-demo button").count():
        wanted.add("mmdl-demo")
    assert wanted <= reached
    page.close()


def test_the_first_tab_skips_to_the_text(browser, address):
    page, _ = visit(browser, address + CLIP)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    page.close()


def test_a_key_opens_the_search(browser, address):
    page, _ = visit(browser, address + INDEX)
    page.keyboard.press("Control+k")
    page.keyboard.type("temperature")
    page.keyboard.press("Enter")
    page.wait_for_selector(".search li a", timeout=20_000)
    page.close()


def test_the_demo_of_the_landing_page_answers(browser, address):
    page, faults = visit(browser, address + INDEX)
    page.locator("mmdl-demo button").first.click()
    answer = page.locator("mmdl-demo").get_by_text("this browser")
    answer.wait_for(timeout=60_000)
    assert faults == []
    page.close()


def test_a_chapter_can_be_launched_downloaded_and_traced(browser, address):
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
            assert soup(target.lstrip("/")).find(id=anchor), link["href"]


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_of_the_text_has_an_alternative(name):
    for picture in soup(name).find("article").find_all("img"):
        alt = picture.get("alt", "")
        assert len(alt) > 20, picture.get("src")
    for drawing in soup(name).find("article").select("svg[role=img]"):
        assert len(drawing.get("aria-label", "")) > 20


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
