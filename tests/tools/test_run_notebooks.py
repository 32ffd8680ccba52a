"""Notebooks run where something changed, and what they computed is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
KEPT = "nbval-check-output"


def write(path, *sources, **first):
    cells = [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    cells[0].update(first)
    notebook = new_notebook(cells=cells)
    notebook.metadata.mmdl = {"asks": "Why?"}
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    (root / "mmdl_lib").mkdir()
    for name in ("__init__", "left", "right"):
        (root / f"mmdl_lib/{name}.py").write_text("value = 1\n")
    (root / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    code = "from mmdl_lib import {0}\n{0}.value"
    for name in ("left", "right"):
        write(root / f"notebooks/ch/{name}.ipynb", code.format(name), "print('end')")
    return root


def run(root, patience=60, before=""):
    code = f"{before}\nimport sys, pathlib, run_notebooks as r\n"
    code += "sys.exit(r.main([], pathlib.Path(sys.argv[1]), int(sys.argv[2])))"
    paths = os.pathsep.join([str(root), str(ROOT / "tools")])
    place = os.environ | {"PYTHONPATH": paths}
    command = [sys.executable, "-c", code, str(root), str(patience)]
    done = subprocess.run(command, env=place, cwd=root, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def values(root):
    """What the first cell of each notebook gave in its last green run."""
    found = {}
    for path in (root / "_build/executed").rglob("*.ipynb"):
        notebook = nbformat.read(path, 4)
        found[path.stem] = notebook.cells[0].outputs[0]["data"]["text/plain"]
    return found


def test_what_changed_runs_again_and_only_that(repository):
    code, text = run(repository)
    assert code == 0 and "2 notebooks, 2 to run." in text, text
    assert values(repository) == {"left": "1", "right": "1"}
    copy = repository / "_build/executed/notebooks/ch/left.ipynb"
    executed = json.loads(copy.read_text())
    assert [cell["execution_count"] for cell in executed["cells"]] == [1, 2]
    assert executed["metadata"]["mmdl_run"]["seconds"] > 0
    (repository / "mmdl_lib/left.py").write_text("value = 2\n")
    code, text = run(repository)
    assert code == 0 and "2 notebooks, 1 to run." in text
    assert values(repository) == {"left": "2", "right": "1"}
    assert "2 notebooks, 0 to run." in run(repository)[1]


def test_a_semicolon_hides_the_value_of_the_last_line_and_nothing_else(tmp_path):
    (tmp_path / "mmdl_lib").mkdir()
    write(tmp_path / "notebooks/ch/quiet.ipynb", "print(1)\n2;", "print(3)\n4")
    assert run(tmp_path)[0] == 0
    copy = tmp_path / "_build/executed/notebooks/ch/quiet.ipynb"
    quiet, loud = nbformat.read(copy, 4).cells
    assert [out["output_type"] for out in quiet.outputs] == ["stream"]
    assert [out["output_type"] for out in loud.outputs] == ["stream", "execute_result"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import time; time.sleep(90)", "Timeout of 2 seconds exceeded"),
        ("import ipywidgets as w\nw.IntSlider()", "expected no live widget"),
    ],
)
def test_a_red_notebook_is_named_and_never_shown(tmp_path, source, complaint):
    (tmp_path / "mmdl_lib").mkdir()
    write(tmp_path / "notebooks/ch/red.ipynb", "1", source)
    code, text = run(tmp_path, 2 if "sleep" in source else 60)
    assert code == 1 and "got red: red.ipynb" in text and complaint in text
    assert not (tmp_path / "_build").exists()


SILENT = """
from nbval import kernel
start, tries = kernel.start_new_kernel, []
def silent(**how):
    tries.append(how)
    if len(tries) <= {}:
        raise RuntimeError("Kernel didn't respond in 60 seconds")
    return start(**how)
kernel.start_new_kernel = silent
"""


@pytest.mark.parametrize(("silent", "code"), [(1, 0), (2, 1)])
def test_a_kernel_that_does_not_answer_is_started_once_more(tmp_path, silent, code):
    (tmp_path / "mmdl_lib").mkdir()
    write(tmp_path / "notebooks/ch/one.ipynb", "1")
    found, text = run(tmp_path, before=SILENT.format(silent))
    assert found == code, text
    assert ("Kernel didn't respond" in text) == bool(code)


def test_an_output_that_is_kept_on_purpose_must_come_again(tmp_path):
    (tmp_path / "mmdl_lib").mkdir()
    path = tmp_path / "notebooks/ch/kept.ipynb"
    old = [new_output("stream", name="stdout", text="2\n")]
    tags = {"metadata": {"tags": [KEPT]}, "execution_count": 1}
    for number, code in ((1, 1), (2, 0)):
        write(path, f"print({number})", outputs=old, **tags)
        assert run(tmp_path)[0] == code
