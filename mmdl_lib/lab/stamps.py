"""Stamps: by which recipe, with which versions, where and when a group was measured."""

import ast
import datetime
import functools
import hashlib
import inspect
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

import mmdl_lib

# of numbers from before this module, whose recipes wrote no stamp
OLD = {"recipe": "before the laboratory", "date": "unknown"}


def digest(functions: Iterable[Callable]) -> str:
    """Twelve letters that change with the code of the arms, not with words on it.

    Comments and docstrings do not count.
    """
    files = {inspect.getsourcefile(_plain(function)) for function in functions}
    texts = [_code(Path(file).read_text("utf-8")) for file in sorted(files)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _plain(function: Callable) -> Callable:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


class _WithoutWords(ast.NodeTransformer):
    def visit_Expr(self, node):
        text = isinstance(node.value, ast.Constant) and isinstance(
            node.value.value, str
        )
        return None if text else self.generic_visit(node)


def _code(text: str) -> str:
    # as Python 3.11 writes it: 3.12 has a field more, 3.13 leaves empty ones out
    how = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    tree = _WithoutWords().visit(ast.parse(text))
    return ast.dump(tree, **how).replace(", type_params=[]", "")


def today(recipe: str) -> dict:
    """The stamp of what is measured here and now."""
    return {
        "recipe": recipe,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mmdl_lib": mmdl_lib.__version__,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "date": datetime.date.today().isoformat(),
    }


def add(
    whole: dict, group: str, seed: int | None, seconds: float | int, recipe: str
) -> None:
    """Note a finished run under `stamps`; runs of one kind and day share an entry."""
    now, entries = today(recipe), whole.setdefault("stamps", {}).setdefault(group, [])
    for entry in entries:
        if now.items() <= entry.items():
            break
    else:
        entries.append(entry := now | {"seconds": 0.0, "seeds": []})
    entry["seconds"] = round(entry["seconds"] + seconds, 1)
    if seed is not None and seed not in entry["seeds"]:
        entry["seeds"].append(seed)


def seconds(whole: dict) -> float | int:
    """Seconds of computing that the stamps of a file add up to."""
    entries = [e for group in whole.get("stamps", {}).values() for e in group]
    return sum(entry.get("seconds", 0.0) for entry in entries)


def foreign(whole: dict, group: str, recipe: str) -> bool:
    """Whether some run of a group came from other code than the recipe's of today."""
    entries = whole.get("stamps", {}).get(group, [])
    return any(entry["recipe"] != recipe for entry in entries)


def forget(whole: dict, group: str, seed: int | None) -> None:
    """Drop a group, or one seed of it, and its stamp."""
    entries = whole.get("stamps", {}).get(group, [])
    if seed is None:
        whole.pop(group, None)
        entries.clear()
        return
    whole.get(group, {}).pop(str(seed), None)
    for entry in entries:
        entry["seeds"] = [s for s in entry.get("seeds", []) if s != seed]
    entries[:] = [entry for entry in entries if entry["seeds"]]
