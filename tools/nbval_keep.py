"""A plugin of pytest: nbval's green run of a notebook leaves the executed notebook.

Beside the outputs it holds the digest (`stale.py`) of all that they depend on, and the
seconds that the run took. A notebook with a red cell leaves nothing.
A kernel that never answers, as it got a port that another one has, is started again.
"""

import os
from pathlib import Path

import nbformat
import pytest
from nbval import kernel
from stale import EXECUTED, Uses

WIDGET = "application/vnd.jupyter.widget-view+json"


def twice(start):
    """The same function, called once more after it raised a RuntimeError."""

    def again(**how):
        try:
            return start(**how)
        except RuntimeError:
            return start(**how)

    return again


kernel.start_new_kernel = twice(kernel.start_new_kernel)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before the first cell: what the notebook is about to be run with."""
    notebook = getattr(item.parent, "nb", None)
    if notebook is not None and "mmdl_run" not in notebook.metadata:
        digest = Uses(item.config.rootpath).digest(item.path)
        facts = {"digest": digest, "passed": 0, "seconds": 0.0}
        notebook.metadata.mmdl_run = nbformat.from_dict(facts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Keep the outputs of a cell that passed; after the last one, the notebook."""
    report = yield
    notebook = getattr(item.parent, "nb", None)
    if notebook is None or call.when != "call":
        return report
    run = notebook.metadata.mmdl_run
    run.seconds += report.duration
    outputs = _shown(item.cell.source, item.test_outputs or [])
    if any(WIDGET in output.get("data", {}) for output in outputs):
        report.outcome = "failed"
        report.longrepr = f"expected no live widget in a page, got one in {item.name}."
    if report.passed:
        run.passed += 1
        item.cell.outputs, item.cell.execution_count = outputs, run.passed
    if run.passed == sum(cell.cell_type == "code" for cell in notebook.cells):
        root = item.config.rootpath
        _write(root / EXECUTED / item.path.relative_to(root), notebook)
    return report


def _shown(source: str, outputs: list) -> list:
    """Without the value of a last line that ends in a semicolon, as in a notebook."""
    if not source.rstrip().endswith(";"):
        return outputs
    return [out for out in outputs if out["output_type"] != "execute_result"]


def _write(target: Path, notebook) -> None:
    """Write the executed notebook; it is complete or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    nbformat.write(notebook, part)
    os.replace(part, target)
