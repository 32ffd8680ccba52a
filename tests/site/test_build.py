"""A build that was interrupted, and then run again, gives the undisturbed site."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240  # seconds, on a busy machine
CODE = "import build_site, pathlib, sys; build_site.build(pathlib.Path(sys.argv[1]))"
PAGES = 8
# anything that depends on the time or the place of a build
ASIDE = {".buildinfo", "objects.inv"}


@pytest.fixture
def repository(tmp_path):
    """A small book with the real settings and extension."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    for name in ("_ext", "_templates", "_static"):
        ignore = shutil.ignore_patterns("vendor", "__pycache__")
        shutil.copytree(ROOT / "book" / name, tmp_path / "book" / name, ignore=ignore)
    (tmp_path / "book/references.bib").touch()
    pages = [f"book/page{i}" for i in range(PAGES)]
    for i, page in enumerate(pages):
        shutil.copy(ROOT / "book/_static/shapes.png", tmp_path / f"book/{i}.png")
        text = f"# Page {i}\n\nWord{i}.\n\n![A picture of many shapes]({i}.png)\n"
        text += f"\n```{{index}} entry{i}\n```\n\n$x_{i}$\n"
        (tmp_path / f"{page}.md").write_text(text)
    front = tmp_path / f"{pages[-1]}.md"
    api = "```{mmdl-api}\nmmdl_lib.record\n```\n"
    front.write_text(f"{front.read_text()}\n{api}")
    files = "\n".join(f"  - file: {page}" for page in pages[1:])
    contents = f"format: jb-book\nroot: {pages[0]}\nchapters:\n{files}\n"
    (tmp_path / "_toc.yml").write_text(contents)
    return tmp_path


def start(root):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(root)],
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,
        # in the background of a shell, an interrupt is not listened to
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(root):
    process = start(root)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, text[-3000:]


def interrupt(root, when, how):
    """Start a build, and stop it with all that it started once `when` holds."""
    process, until = start(root), time.monotonic() + PATIENCE
    while process.poll() is None and not when(root / "_build"):
        assert time.monotonic() < until, "expected the build to come that far."
        time.sleep(0.002)
    assert process.poll() is None, process.stdout.read()[-3000:]
    os.killpg(process.pid, how)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0


def tree(root):
    site = root / "_build/html"
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and path.name not in ASIDE
    }


def some_trees(build):
    return len(list(build.glob(".doctrees/book/*.doctree"))) >= 3


def some_pages(build):
    return len(list(build.glob("html/book/*.html"))) >= 3


def all_pages(build):
    return len(list(build.glob("html/book/*.html"))) == PAGES


def test_interrupted_builds_end_as_an_undisturbed_one(repository):
    finish(repository)
    whole = tree(repository)
    assert {"book/page3.html", "_images/3.png", "genindex.html"} <= set(whole)
    assert b"word3" in whole["searchindex.js"]
    for when, how in (
        (some_trees, signal.SIGKILL),
        (some_pages, signal.SIGINT),
        (all_pages, signal.SIGKILL),
    ):
        shutil.rmtree(repository / "_build")
        interrupt(repository, when, how)
        finish(repository)
        again = tree(repository)
        assert set(again) == set(whole), when.__name__
        assert [n for n in whole if again[n] != whole[n]] == [], when.__name__


def test_a_failed_build_leaves_its_mark_and_a_page_too_few_is_a_failure(repository):
    page = repository / "book/page2.md"
    good = page.read_text()
    page.write_text(good + "\n{ref}`nowhere`\n")
    process = start(repository)
    text, _ = process.communicate(timeout=PATIENCE)
    assert (
        process.returncode != 0 and "expected a build without warnings" in text.lower()
    )
    assert (repository / "_build/unfinished").exists()
    page.write_text(good)
    finish(repository)
    assert not (repository / "_build/unfinished").exists()
    (repository / "_build/html/book/more.html").write_text("no entry of _toc.yml")
    process = start(repository)
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and "book/more.html" in text
