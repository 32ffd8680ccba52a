"""Run the notebooks that changed and build the site strictly.

Command: python tools/build_site.py
A build that was interrupted or failed leaves its mark, and the next one starts with
no page: Sphinx would take half a site for a finished one, without its pictures, search
and index. Executed notebooks are kept all the same.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run_notebooks  # noqa: E402
from stale import ROOT  # noqa: E402

PAGES = ("html", ".doctrees")
# where the address of the site leads to; Jupyter Book writes one without words
FRONT = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="0; url={page}">
<link rel="icon" href="_static/favicon.png">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<p>The book begins on <a href="{page}">its first page</a>.</p>
</body>
</html>
"""


def build(root: Path = ROOT) -> None:
    """The site, in `_build/html`.

    Raises:
        RuntimeError: a warning, or a page too many or too few.
    """
    folder = root / "_build"
    mark = folder / "unfinished"
    if mark.exists() or not (folder / "html").exists():
        for name in PAGES:
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    mark.touch()
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(root)]
    place = os.environ | {"MMDL_BUILD": "1", "MMDL_QUIET": "1"}
    if subprocess.run([*command, "-W", "--keep-going"], env=place).returncode:
        raise RuntimeError("Expected a build without warnings; see above.")
    contents, settings = (
        yaml.safe_load((root / name).read_text("utf-8"))
        for name in ("_toc.yml", "_config.yml")
    )
    front = FRONT.format(page=f"{contents['root']}.html", title=settings["title"])
    (folder / "html/index.html").write_text(front, "utf-8")
    wanted = set(named(contents))
    pages = {str(p.relative_to(folder / "html")) for p in written(folder / "html")}
    if pages != {f"{name}.html" for name in wanted}:
        odd = sorted(pages ^ {f"{name}.html" for name in wanted})
        raise RuntimeError(f"Expected one page for each entry of _toc.yml, got {odd}.")
    mark.unlink()


def named(entry) -> list[str]:
    """All documents that a part of `_toc.yml` names."""
    if isinstance(entry, list):
        return [name for part in entry for name in named(part)]
    if isinstance(entry, dict):
        own = [entry[key] for key in ("root", "file") if key in entry]
        return own + named([v for v in entry.values() if isinstance(v, list)])
    return []


def written(site: Path) -> list[Path]:
    """The pages of the book, without those that Sphinx adds."""
    folders = ("book", "notebooks")
    return [page for name in folders for page in (site / name).rglob("*.html")]


def main() -> int:
    if run_notebooks.main([]):
        return 1
    try:
        build()
    except RuntimeError as error:
        print(error)
        return 1
    print(f"The book is at {ROOT / '_build/html/index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
