"""Hygiene of the notebooks.

    python tools/notebooks.py check            report what a notebook must not have
    python tools/notebooks.py strip            remove outputs not kept on purpose
    python tools/notebooks.py student OUT      versions without solutions, for a class

`check` and `strip` take paths after the command; without any they look at `notebooks/`.
"""

import ast
import functools
import importlib.metadata
import json
import re
import sys
import tomllib
import warnings
from pathlib import Path

import nbformat
from classroom import students
from nbstripout._utils import strip_output

ROOT = Path(__file__).resolve().parents[1]
KEPT = "nbval-check-output"  # deterministic text that nbval compares
LINES = 15  # of a code cell, blank lines not counted
BODY = 10  # of a function in a cell
ALT = 20  # letters of the shortest useful alternative text
TITLE = r"# \d+(\.\d+)+ \S"  # the plan and the contents get the number from here
KERNEL = "python3"  # nbval runs no cell of a notebook that names another
UNTOUCHED = {"torch", "numpy"}  # what the first cell must leave as Colab has it


# what the rules read from the library and its project file


@functools.cache
def drawing() -> set[str]:
    """What viz exports that demands alt, read without importing anything."""
    folder, found = ROOT / "mmdl_lib/viz", set()
    exported = {
        alias.name
        for node in ast.walk(ast.parse((folder / "__init__.py").read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            arguments = getattr(node, "args", None)
            named = {a.arg for a in arguments.kwonlyargs} if arguments else set()
            found |= {node.name} if "alt" in named else set()
    return found & exported


@functools.cache
def needed() -> set[str]:
    """Packages that mmdl_lib needs beside torch, numpy and what comes with torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    brought = _names(importlib.metadata.requires("torch") or [])
    return _names(project["dependencies"]) - UNTOUCHED - brought


def _names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", line).group().lower() for line in requirements}


# check


def faults(path: Path) -> list[str]:
    """One sentence for each thing that is wrong in a notebook."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # repeated ids are reported below
            notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
            nbformat.validate(notebook)
        names = [c.get("id") for c in json.loads(path.read_text("utf-8"))["cells"]]
    except Exception as error:
        words = str(error).split("\n")[0]
        return [f"expected a notebook of format 4.5, cannot read it: {words}"]
    # a slug such as vq_vae keeps its own underscore, as everywhere else
    slug = re.sub("_further$", "-further", path.stem)
    repeated = {n for n in names if n and names.count(n) > 1}
    found = [
        f"expected each cell id once, got {name} {names.count(name)} times."
        for name in sorted(repeated)
    ]
    # nbformat gives the second of two equal ids a new one when it reads them
    for cell, name in zip(notebook.cells, names, strict=True):
        cell["id"] = name or ""
    for i, cell in enumerate(notebook.cells):
        name = cell.get("id", f"number {i}")
        found += [f"cell {name}: {fault}" for fault in _cell_faults(cell, slug)]
    return _notebook_faults(notebook, slug) + found


def _notebook_faults(notebook, slug: str) -> list[str]:
    found, cells = [], notebook.cells
    first = cells[0].source.splitlines() if cells else [""]
    if not cells or cells[0].cell_type != "markdown" or first[0] != f"(sec-{slug})=":
        found.append(f"expected the label (sec-{slug})= on the first line.")
    elif not re.match(TITLE, "\n".join(first[1:]).lstrip()):
        found.append(
            "expected a title with its number, '# 2.2.5 ...', below the label."
        )
    if not notebook.metadata.get("mmdl", {}).get("asks", "").endswith("?"):
        found.append("expected a question under mmdl.asks in the notebook's metadata.")
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != KERNEL:
        found.append(f"expected the kernel {KERNEL}, got {kernel}: no test runs it.")
    code = [cell for cell in cells if cell.cell_type == "code"]
    found += _first_cell_faults(code[0].source if code else "")
    return found


def _first_cell_faults(source: str) -> list[str]:
    """The first code cell installs what is missing and leaves torch and numpy alone."""
    if "find_spec(" not in source or '"mmdl_lib"' not in source:
        return [
            "expected a first code cell that installs mmdl_lib where "
            'find_spec("mmdl_lib") is None.'
        ]
    tree = _parse(source)
    words = [n.value for n in ast.walk(tree or ast.Module([])) if _is_text(n)]
    named = sorted(UNTOUCHED & {w for word in words for w in word.split()})
    if "--no-deps" not in words or named:
        return [
            "expected a first cell that installs with --no-deps and never names torch "
            f"or numpy, got {', '.join(named) or 'no --no-deps'}."
        ]
    missing = sorted(needed() - {w for word in words for w in word.split()})
    if missing:
        return [f"expected a first cell that installs {', '.join(missing)} as well."]
    return []


def _cell_faults(cell, slug: str) -> list[str]:
    found = []
    if not re.fullmatch(rf"{slug}-[\w-]+", cell.get("id", "")):
        found.append(f"expected a fixed id such as {slug}-why.")
    if re.fullmatch(rf"{slug}-(score|hand-in|(check|answer)-\d+)", cell.get("id", "")):
        found.append("expected an id that the version for students leaves free.")
    if cell.cell_type != "code":
        return found
    if KEPT not in _tags(cell):
        if cell.outputs:
            found.append(f"expected no output without the tag {KEPT}.")
        if cell.execution_count is not None:
            found.append("expected no execution count.")
    elif cell.outputs and cell.execution_count is None:
        found.append(
            "expected an execution count beside a kept output: nbval needs it."
        )
    lines = sum(bool(line.strip()) for line in cell.source.splitlines())
    if lines > LINES:
        found.append(f"expected at most {LINES} lines, got {lines}.")
    tree = _parse(cell.source)
    if tree is None:
        return [*found, "expected Python that can be parsed."]
    return found + _code_faults(tree, cell)


def _code_faults(tree: ast.Module, cell) -> list[str]:
    found, mentioned = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.append(f"expected no class, got {node.name}: it belongs in mmdl_lib.")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if lines > BODY:
                found.append(
                    f"expected functions of at most {BODY} lines, got {node.name} of "
                    f"{lines}."
                )
        if isinstance(node, ast.Call):
            found += _alt_faults(node)
        if isinstance(node, ast.Name):
            mentioned.add(node.id)
    if mentioned & {"plt", "pyplot"}:
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if len(alt) < ALT:
            found.append("expected alternative text under mystnb.image.alt.")
    return found


def _alt_faults(call: ast.Call) -> list[str]:
    owner = getattr(call.func, "value", None)
    name = getattr(call.func, "attr", "")
    if name not in drawing() or getattr(owner, "id", "") != "viz":
        return []
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    alt = given.get("alt")
    if None in given and alt is None:  # **words: seen when it runs
        return []
    if alt is None or (_is_text(alt) and len(alt.value.strip()) < ALT):
        return [f"expected viz.{name}(..., alt=...) of at least {ALT} letters."]
    return []


def _parse(source: str) -> ast.Module | None:
    """The syntax tree of a cell; lines for IPython and the shell are left out."""
    plain = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.M)
    try:
        return ast.parse(plain)
    except SyntaxError:
        return None


def _is_text(node) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


# strip


def strip(path: Path) -> bool:
    """Remove outputs and counts, but for cells whose output is kept; was any there?"""
    notebook = nbformat.read(path, as_version=4)
    before = nbformat.writes(notebook)
    kept = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and KEPT in _tags(cell):
            kept[cell.id] = cell.outputs, cell.execution_count
    extra = ["metadata.widgets", "cell.metadata.execution", "cell.metadata.collapsed"]
    notebook = strip_output(notebook, False, False, True, extra)
    for cell in notebook.cells:
        if cell.id in kept:
            cell.outputs, cell.execution_count = kept[cell.id]
    if nbformat.writes(notebook) == before:
        return False
    nbformat.write(notebook, path)
    return True


# command line


def _notebooks(paths: list[Path]) -> list[Path]:
    found = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"expected a notebook or a folder, got {path}.")
        found += sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def main(arguments: list[str]) -> int:
    command, *rest = arguments or [""]
    paths = [Path(p) for p in rest] or [ROOT / "notebooks"]
    try:
        if command == "check":
            return _check(_notebooks(paths))
        if command == "strip":
            changed = [path for path in _notebooks(paths) if strip(path)]
            print(f"{len(changed)} notebooks stripped.")
            return 0
        if command == "student" and len(rest) == 1:
            *written, _, archive = students.write(Path(rest[0]))
            print(f"{len(written)} notebooks written to {rest[0]}, all in {archive}.")
            return 0
    except ValueError as error:
        print(error)
        return 1
    print(__doc__)
    return 2


def _check(paths: list[Path]) -> int:
    count = 0
    for path in paths:
        for fault in faults(path):
            print(f"{path.name}: {fault}")
            count += 1
    print(f"{len(paths)} notebooks, {count} faults.")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
