"""What all tests in a browser share: a server, Chromium, a visitor, axe.

The server sends the Content-Security-Policy that `book/how_to.md` names: a page that
breaks it complains on its console, and no page may complain.
"""

import re
from pathlib import Path

import pytest
from classroom import pages

ROOT = Path(__file__).resolve().parents[1]
MODULES = ROOT / "node_modules"
AXE = MODULES / "axe-core/axe.min.js"
# milliseconds: a busy machine may take long, and nothing here measures time
PATIENCE = 120_000
POLICY = re.search(
    r"^(default-src 'self';.*)$", (ROOT / "book/how_to.md").read_text("utf-8"), re.M
)[1]


class Handler(pages.Quiet):
    """Serves quietly, under the policy."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()


def serve(folder: Path):
    """The address at which a folder is served under the policy."""
    return pages.serve(folder, Handler)


@pytest.fixture(scope="module")
def browser():
    with pages.browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def visit(browser):
    """Opens a page; gives it and all that it complained about or asked of others.

    All addresses that it asks for are added to `asked`.
    """

    def open_page(url, *, asked=None, **options):
        page, faults = browser.new_page(**options), []
        page.set_default_timeout(PATIENCE)
        page.on(
            "console",
            lambda m: m.type in ("error", "warning") and faults.append(m.text),
        )
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("requestfailed", lambda r: faults.append(f"failed: {r.url}"))
        local = ("http://127.0.0.1", "data:", "blob:", "file:")
        page.on("request", lambda r: r.url.startswith(local) or faults.append(r.url))
        if asked is not None:
            page.on("request", lambda r: asked.add(r.url))
        page.goto(url, wait_until="networkidle")
        return page, faults

    return open_page


@pytest.fixture(scope="session")
def serious():
    """What axe finds in a part of a page, of weight."""
    if not AXE.exists():
        pytest.skip("axe-core is not there: run `npm install`.")

    def find(page, part="html"):
        page.add_script_tag(path=AXE)
        found = page.evaluate("part => axe.run(part).then((r) => r.violations)", part)
        return [
            f"{v['id']}: {n['html'][:200]} {n['failureSummary'][-150:]}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for n in v["nodes"]
        ]

    return find
