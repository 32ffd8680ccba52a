"""Notebooks show what their last green run computed.

`tools/run_notebooks.py` leaves executed copies, each with the digest of everything that
its run depends on. The site executes nothing.
"""

import json
from pathlib import Path

from sphinx.util import logging

LOG = logging.getLogger(__name__)
EXECUTED = "_build/executed"


def with_outputs(app, docname: str, source: list[str]) -> None:
    """Put the outputs of the executed copy into a notebook while it is read."""
    copy = Path(app.srcdir) / EXECUTED / f"{docname}.ipynb"
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook, done = json.loads(source[0]), {"cells": []}
    if copy.exists():
        done = json.loads(copy.read_text("utf-8"))
    cells, run = code_cells(notebook), code_cells(done)
    if [_code(cell) for cell in cells] != [_code(cell) for cell in run]:
        words = "expected a green run of this notebook: python tools/run_notebooks.py."
        LOG.warning(words, location=docname)
        return
    for cell, executed in zip(cells, run, strict=True):
        cell["outputs"] = executed["outputs"]
        cell["execution_count"] = executed["execution_count"]
    source[0] = json.dumps(notebook)


def code_cells(notebook: dict) -> list[dict]:
    """The cells that can have outputs."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _code(cell: dict) -> str:
    return "".join(cell["source"])


def outdated(app, env, added, changed, removed) -> list[str]:
    """Pages whose notebook has run since they were read; Sphinx sees its source."""
    folder = Path(app.srcdir) / EXECUTED
    now = {}
    for path in folder.rglob("*.ipynb"):
        facts = json.loads(path.read_text("utf-8"))["metadata"].get("mmdl_run", {})
        now[path.relative_to(folder).with_suffix("").as_posix()] = facts.get("digest")
    before, env.mmdl_digests = getattr(env, "mmdl_digests", {}), now
    return [name for name in env.found_docs if before.get(name) != now.get(name)]


def setup(app):
    app.connect("source-read", with_outputs)
    app.connect("env-get-outdated", outdated)
