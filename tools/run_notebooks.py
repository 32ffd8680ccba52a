"""Run and check the notebooks that changed, by nbval, two at a time.

Command: python tools/run_notebooks.py [NOTEBOOK ...]
A notebook runs when something that it uses (`stale.py`) is not what it was in its last
green run. nbval executes it and compares the outputs that are kept on purpose; what it
computed becomes the page (`book/_ext/mmdl_notebooks.py`): no notebook is run twice.
Executed copies lie in _build/executed.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
import pytest

TOOLS = str(Path(__file__).resolve().parent)
sys.path.insert(0, TOOLS)
from stale import EXECUTED, ROOT, Uses  # noqa: E402

WORKERS, PATIENCE = 2, 120  # seconds for one cell
OPTIONS = ["-q", "--nbval-lax", "-p", "nbval_keep", "-p", "no:cacheprovider"]


def executed(path: Path, root: Path = ROOT) -> Path:
    """Where the executed copy of a notebook lies."""
    return root / EXECUTED / path.relative_to(root)


def last_run(path: Path, root: Path = ROOT) -> dict:
    """Digest and seconds of a notebook's last green run; empty where there is none."""
    copy = executed(path, root)
    if not copy.exists():
        return {}
    return nbformat.read(copy, as_version=4).metadata.get("mmdl_run", {})


def execute(paths: list[Path], root: Path, patience: float) -> None:
    """Have nbval run notebooks in two processes, as the site shows them."""
    # the workers find the plugin, the kernels what the site asks for
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [known, TOOLS]))
    os.environ["MMDL_BUILD"] = os.environ["MMDL_QUIET"] = "1"
    options = [*OPTIONS, "--rootdir", str(root), f"--nbval-cell-timeout={patience}"]
    if len(paths) > 1:
        options += ["-n", str(WORKERS), "--dist", "loadfile"]
    pytest.main([*map(str, paths), *options])


def main(names: list[str], root: Path = ROOT, patience: float = PATIENCE) -> int:
    """Run what changed; 0 when all is green."""
    every = sorted((root / "notebooks").glob("*/*.ipynb"))
    chosen = [Path(name).resolve() for name in names] or every
    uses, began = Uses(root), time.perf_counter()
    now = {path: uses.digest(path) for path in chosen}
    stale = [path for path in chosen if last_run(path, root).get("digest") != now[path]]
    print(f"{len(chosen)} notebooks, {len(stale)} to run.", flush=True)
    if stale:
        execute(stale, root, patience)
    red = [
        path.name for path in stale if last_run(path, root).get("digest") != now[path]
    ]
    if red:
        print(f"Expected green notebooks, got red: {', '.join(red)}.")
        return 1
    took = time.perf_counter() - began
    seconds = sum(last_run(path, root)["seconds"] for path in chosen)
    print(f"Took {took:.0f} s; all, one after the other, {seconds:.0f} s.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
