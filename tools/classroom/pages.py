"""A folder that is served on this machine, and Chromium to look at it."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves without a word."""

    def log_message(self, *_):
        pass


@contextmanager
def serve(folder: Path, handler=Quiet) -> Iterator[str]:
    """The address at which a folder is served."""
    handler = functools.partial(handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextmanager
def browser() -> Iterator[Browser]:
    """The Chromium of this machine.

    Raises:
        FileNotFoundError: there is none.
    """
    path = shutil.which("chromium")
    if path is None:
        raise FileNotFoundError(
            "expected the program chromium: run tools/ensure_chromium.sh."
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def open_pages(folder: Path, size=(1280, 720)) -> Iterator[tuple[Page, str]]:
    """A page of a browser, and the address of the folder."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    with serve(folder) as address, browser() as chromium:
        yield chromium.new_page(viewport=viewport), address
