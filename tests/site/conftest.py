"""A small site with our directives, for the tests of what they make."""

import sys
from io import StringIO
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book/_ext"), str(ROOT / "tools")]


@pytest.fixture
def build(tmp_path):
    """Build a small site of one page; returns its HTML and Sphinx's warnings."""

    def run(text, files=None):
        source, out = tmp_path / "source", tmp_path / "out"
        files = {"index.md": f"(here)=\n# Page\n\n{text}\n", **(files or {})}
        for name, content in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(content)
        parts = "evidence claims plan cards terms text_to_image".split()
        names = ["myst_parser", *(f"mmdl_{part}" for part in parts)]
        options = {"extensions": names}
        folders, warnings = (source, None, out, tmp_path / "trees"), StringIO()
        with docutils_namespace():  # forget what an earlier test registered
            app = Sphinx(*folders, "html", options, status=None, warning=warnings)
            app.build()
        return (out / "index.html").read_text(), warnings.getvalue()

    return run
