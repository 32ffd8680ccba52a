"""Pack the built site into one archive that opens without a network.

Command: python tools/zip_site.py
Reads _build/html, writes _build/multimodal-deep-learning.zip: the same bytes for the
same site. Unpack it and open index.html.

A page that was opened from a file may not read other files, and the search shows lines
of the pages it found. So the archive's search page carries the text of all pages.
"""

import json
import sys
import zipfile
from pathlib import Path

from bs4 import BeautifulSoup

BUILD = Path(__file__).resolve().parents[1] / "_build"
NAME = "multimodal-deep-learning"
TEXTS = "_static/search-texts.js"
SEARCH = '<script src="_static/searchtools.js'
# the search asks for `./page.html`; what is here need not be fetched
SCRIPT = """const TEXTS = %s;
const ask = window.fetch;
window.fetch = (url, ...rest) => {
  const text = TEXTS[String(url).replace(/^\\.\\//, "")];
  return text === undefined ? ask(url, ...rest) : Promise.resolve(new Response(text));
};
"""


def texts(site: Path) -> str:
    """A script that answers the search's requests: the words of each page."""
    found = {}
    for folder in ("book", "notebooks"):
        for page in sorted((site / folder).rglob("*.html")):
            soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
            main = soup.find(attrs={"role": "main"}) or soup.new_tag("div")
            name = page.relative_to(site).as_posix()
            found[name] = f'<div role="main">{_plain(main)}</div>'
    return SCRIPT % json.dumps(found, ensure_ascii=False)


def _plain(main) -> str:
    """The words, inside of whatever has an id: the search looks for places by id."""
    for node in main.select("script, style, .headerlink"):
        node.decompose()
    for node in main.find_all(True):
        if node.get("id"):
            node.name, node.attrs = "div", {"id": node["id"]}
        else:
            node.unwrap()
    return main.decode_contents()


def pack(site: Path, target: Path) -> int:
    """Write the archive and return the number of its files; source maps stay out.

    Raises:
        FileNotFoundError: the site has not been built.
        ValueError: its search page is not the one that we know.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"expected the built site in {site}: run `make book`.")
    files = {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in sorted(site.rglob("*"))
        if path.is_file() and path.suffix != ".map" and path.name != ".buildinfo"
    }
    files |= _search(site)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            # a fixed date keeps the archive the same from build to build
            date = (2026, 1, 1, 0, 0, 0)
            entry = zipfile.ZipInfo(f"{NAME}/{name}", date_time=date)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return len(files)


def _search(site: Path) -> dict[str, bytes]:
    """The search page and the texts that it shows lines of."""
    page = (site / "search.html").read_text("utf-8")
    if page.count(SEARCH) != 1:
        raise ValueError(f"expected {SEARCH} once in search.html.")
    page = page.replace(SEARCH, f'<script src="{TEXTS}"></script>\n{SEARCH}')
    return {"search.html": page.encode(), TEXTS: texts(site).encode()}


def main():
    target = BUILD / f"{NAME}.zip"
    try:
        count = pack(BUILD / "html", target)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
