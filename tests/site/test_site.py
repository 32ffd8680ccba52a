"""The built pages, as a browser shows them."""

import functools
import http.server
import shutil
import threading
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

SITE = Path(__file__).resolve().parents[2] / "_build/html"
PAGES = sorted(
    str(p.relative_to(SITE))
    for folder in ("book", "notebooks")
    for p in (SITE / folder).rglob("*.html")
)
CLIP = "notebooks/ch3_4_text_for_vision/clip.html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


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
    local = ("http://127.0.0.1", "data:", "blob:")
    page.on("request", lambda r: r.url.startswith(local) or faults.append(r.url))
    page.goto(url, wait_until="networkidle")
    return page, faults


def test_there_are_pages():
    assert CLIP in PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_fault_and_fits_a_phone(browser, address, name):
    size = {"width": 390, "height": 844}
    page, faults = visit(browser, address + name, viewport=size)
    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_formulas_are_typeset(browser, address):
    page, _ = visit(browser, address + CLIP)
    page.wait_for_selector("mjx-container", timeout=20_000)
    assert page.locator("mjx-merror").count() == 0
    page.close()


def test_search_finds_infonce(browser, address):
    page, _ = visit(browser, address + "search.html?q=InfoNCE")
    page.wait_for_selector(".search li a", timeout=20_000)
    assert "CLIP" in page.locator(".search").inner_text()
    page.close()


@pytest.mark.parametrize("name", PAGES)
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


@functools.cache
def soup(name):
    return BeautifulSoup((SITE / name).read_text(), "html.parser")
