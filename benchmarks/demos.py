"""Seconds from a demo's files to its first answer, in Chromium.

Command: python benchmarks/demos.py [TIMES]
Wants at most 2 s (design of the book, budgets); each demo is loaded TIMES times, 5 by
default, from a server on this machine. Needs the built site: `make book`.
"""

import sys
from pathlib import Path
from statistics import median

from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import PATIENCE, launch, serve  # noqa: E402

SITE = ROOT / "_build/html"
MARKS = "[...new Set(performance.getEntriesByType('mark').map((m) => m.name))]"


def pages() -> dict[str, str]:
    """The first page that shows each demo."""
    found = {}
    for path in sorted(SITE.rglob("*.html")):
        soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for demo in soup.select("mmdl-demo:not(:has(script))"):  # with a network
            found.setdefault(demo["name"], path.relative_to(SITE).as_posix())
    return found


def seconds(browser, url: str, demo: str) -> float:
    """From the last file to the first answer, once."""
    page = browser.new_page()
    page.goto(url, wait_until="networkidle")
    element = page.locator(f"mmdl-demo[name={demo}]").first
    element.get_by_role("button", name="Load the").click()
    marks = [f"mmdl-{demo}-files", f"mmdl-{demo}-answer"]
    page.wait_for_function(f"{MARKS}.includes('{marks[1]}')", timeout=PATIENCE)
    took = page.evaluate("m => performance.measure('t', ...m).duration", marks)
    page.close()
    return took / 1000


def main(times: int) -> None:
    with sync_playwright() as playwright, serve(SITE) as address:
        browser = launch(playwright)
        for demo, page in pages().items():
            runs = [seconds(browser, address + page, demo) for _ in range(times)]
            print(f"{demo:10} {median(runs):5.2f} s, at most {max(runs):5.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
