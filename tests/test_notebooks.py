"""The notebook tool: each rule finds its fault, and students get no solution."""

import importlib.util
import inspect
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mmdl_lib import viz

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools/notebooks.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

FIRST = """import importlib.util, subprocess, sys

if importlib.util.find_spec("mmdl_lib") is None:
    needed = "einops jaxtyping accelerate safetensors tqdm"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "mmdl_lib"]
    subprocess.run([*pip, *needed.split()], check=True)"""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def clean():
    cells = [
        new_markdown_cell("(sec-demo)=\n# 2.1.3 Title\n\nWords.", id="demo-title"),
        new_code_cell(FIRST, id="demo-first"),
        new_code_cell("%matplotlib inline\n!true\nx = 1", id="demo-one"),
    ]
    metadata = {"kernelspec": KERNEL, "mmdl": {"asks": "Why?"}}
    return new_notebook(cells=cells, metadata=metadata)


def faults(notebook, folder):
    path = folder / "demo.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")  # nbformat would mend repeated ids
    return tool.faults(path)


def test_a_clean_notebook_has_no_fault(tmp_path):
    assert faults(clean(), tmp_path) == []


def code(source, *, tags=(), **options):
    cell = new_code_cell(source, id="demo-x", **options)
    cell.metadata.tags = list(tags)
    return cell


LONG = "def f():\n" + "    x = 1\n" * 10
PRINTED = [new_output("stream", name="stdout", text="1\n")]
SHORT_ALT = {"mystnb": {"image": {"alt": "a plot"}}}
GOOD_ALT = {"mystnb": {"image": {"alt": "The loss falls over all steps."}}}


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (code("1", outputs=PRINTED), "no output without the tag nbval-check-output"),
        (code("1", execution_count=3), "no execution count"),
        (code("1", tags=["nbval-check-output"], outputs=PRINTED), "nbval needs it"),
        (code("x = 1\n" * 16), "at most 15 lines, got 16"),
        (code("class A:\n    pass"), "no class, got A"),
        (code(LONG), "functions of at most 10 lines, got f of 11"),
        (code("x = ("), "Python that can be parsed"),
        (code("fig, ax = plt.subplots()"), "alternative text under mystnb.image.alt"),
        (code("plt.plot(x)", metadata=SHORT_ALT), "alternative text under"),
        (code("viz.bars({})"), "viz.bars(..., alt=...) of at least 20 letters"),
        (code("viz.heat(x, alt='short')"), "viz.heat(..., alt=...)"),
        (new_code_cell("1", id="3f2a9b1c"), "a fixed id such as demo-why"),
        (new_markdown_cell("x", id="a1"), "a fixed id such as demo-why"),
        (new_code_cell("1", id="demo-score"), "an id that the version for students"),
        (new_markdown_cell("x", id="demo-answer-2"), "an id that the version for"),
        (new_markdown_cell("x", id="demo-one"), "each cell id once, got demo-one 2"),
    ],
)
def test_each_fault_of_a_cell_is_found(tmp_path, cell, fault):
    notebook = clean()
    notebook.cells.append(cell)
    found = faults(notebook, tmp_path)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    "cell",
    [
        code("1", tags=["nbval-check-output"], outputs=PRINTED, execution_count=3),
        code("x = 1\n\n" * 15),
        code("viz.bars({}, alt=f'one bar at {x}')"),
        code("viz.bars({}, **words)"),
        code("viz.bars({}, alt='a sentence that is long enough')"),
        code("np.bars()\nviz.source(f)\nviz.table(rows, caption='x')"),
        new_code_cell("plt.plot(x)", id="demo-x", metadata=GOOD_ALT),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path, cell):
    notebook = clean()
    notebook.cells.append(cell)
    assert faults(notebook, tmp_path) == []


@pytest.mark.parametrize(
    ("place", "source", "fault"),
    [
        (0, "# Title", "the label (sec-demo)= on the first line"),
        (0, "(sec-other)=\n# Title", "the label (sec-demo)="),
        (0, "(sec-demo)=\nNo title", "a title with its number"),
        (0, "(sec-demo)=\n# Title", "a title with its number"),
        (1, "import mmdl_lib", "a first code cell that installs mmdl_lib"),
        (1, FIRST.replace('"--no-deps", ', ""), "got no --no-deps"),
        (1, FIRST.replace('"mmdl_lib"]', '"mmdl_lib", "torch"]'), "numpy, got torch"),
        (1, FIRST.replace("einops ", ""), "a first cell that installs einops as"),
    ],
)
def test_each_fault_of_a_notebook_is_found(tmp_path, place, source, fault):
    notebook = clean()
    notebook.cells[place].source = source
    found = faults(notebook, tmp_path)
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize("kernel", [{}, {"kernelspec": KERNEL | {"name": "mmdl"}}])
def test_a_kernel_that_no_test_would_run_is_a_fault(tmp_path, kernel):
    notebook = clean()
    del notebook.metadata["kernelspec"]
    notebook.metadata.update(nbformat.from_dict(kernel))
    (fault,) = faults(notebook, tmp_path)
    assert fault.startswith("expected the kernel python3, got ")


@pytest.mark.parametrize("asks", [{}, {"mmdl": {"asks": "No question."}}])
def test_a_chapter_that_asks_nothing_is_a_fault(tmp_path, asks):
    notebook = clean()
    del notebook.metadata["mmdl"]
    notebook.metadata.update(nbformat.from_dict(asks))
    (fault,) = faults(notebook, tmp_path)
    assert fault.startswith("expected a question under mmdl.asks")


def test_whatever_viz_draws_demands_an_alternative_text():
    """The tool reads files; here the same is asked of the imported functions."""
    functions = inspect.getmembers(viz, inspect.isfunction)
    asked = {n for n, f in functions if "alt" in inspect.signature(f).parameters}
    assert tool.drawing() == asked
    assert {"bars", "diagram", "images", "scatter", "silhouettes"} <= asked


def test_the_first_cell_names_what_the_library_depends_on():
    assert {"einops", "jaxtyping", "safetensors"} <= tool.needed()
    # filelock comes with torch
    assert not {"torch", "numpy", "filelock"} & tool.needed()


def test_a_file_that_is_no_notebook_is_reported(tmp_path):
    (tmp_path / "bad.ipynb").write_text("{}")
    (fault,) = tool.faults(tmp_path / "bad.ipynb")
    assert fault.startswith("expected a notebook of format 4.5")


def test_strip_keeps_ids_and_tagged_outputs_and_nothing_else(tmp_path):
    notebook = clean()
    kept = ["nbval-check-output"]
    notebook.cells[2].outputs, notebook.cells[2].execution_count = PRINTED, 5
    notebook.cells.append(code("2", tags=kept, outputs=PRINTED, execution_count=6))
    path = tmp_path / "demo.ipynb"
    nbformat.write(notebook, path)
    assert tool.strip(path) is True
    assert tool.strip(path) is False
    stripped = nbformat.read(path, as_version=4)
    assert [c.id for c in stripped.cells] == [c.id for c in notebook.cells]
    assert [len(c.get("outputs", [])) for c in stripped.cells] == [0, 0, 0, 1]
    assert stripped.cells[2].execution_count is None
    assert stripped.cells[3].execution_count == 6
    assert tool.faults(path) == []


def test_the_command_line_answers_with_its_status(tmp_path, capsys):
    path = tmp_path / "demo.ipynb"
    nbformat.write(clean(), path)
    assert tool.main(["check", str(path)]) == 0
    assert "1 notebooks, 0 faults." in capsys.readouterr().out
    notebook = clean()
    notebook.cells[2].outputs = PRINTED
    nbformat.write(notebook, path)
    assert tool.main(["check", str(path)]) == 1
    assert tool.main(["strip", str(path)]) == 0
    assert tool.main(["check", str(tmp_path)]) == 0
    assert tool.main(["check", str(tmp_path / "none")]) == 1
    assert "expected a notebook or a folder, got" in capsys.readouterr().out
    assert tool.main([]) == 2
    assert tool.main(["student"]) == 2
