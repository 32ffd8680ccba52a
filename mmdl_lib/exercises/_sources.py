"""A reader's function as source that runs alone: with what it uses, as text.

The text is what a teacher reads and runs again. Imports come first, then the values
and functions of the notebook that it needs, in the order in which they need each other.
"""

import ast
import dis
import inspect
import linecache
import math
import sys
import textwrap
import types
from typing import Any

from torch import Tensor

LAMBDA = "answer"  # what a function without a name is called
HOMES = ("torch", "torch.nn.functional", "math")  # of functions that know no module


class Lost(Exception):
    """Why something cannot be kept, as the end of a sentence."""


def written(function: Any) -> tuple[str, str]:
    """The source of a function with all that it needs, and its name in there.

    Raises:
        Lost: no source, or it uses something that is neither imported, nor a function
            or small value of the notebook.
    """
    gather = _Gather()
    name = getattr(function, "__name__", "")
    name = name if name.isidentifier() else LAMBDA
    gather.add(name, function)
    return "\n".join([*sorted(gather.imports), *gather.parts]) + "\n", name


class _Gather:
    """What a function needs, found by going through its names."""

    def __init__(self):
        self.imports, self.parts, self.seen = set(), [], {}

    def add(self, name: str, value: Any) -> None:
        if name in self.seen:
            if self.seen[name] is not value:
                raise Lost(f"it uses two things of the name {name}")
            return
        self.seen[name] = value
        found = _imported(name, value)
        if found is not None:
            self.imports.add(found)
        elif isinstance(value, type) or callable(inspect.unwrap(value)):
            self._source(name, value)
        else:
            self.parts.append(f"{name} = {self._literal(name, value)}")

    def _source(self, name: str, value: Any) -> None:
        function = inspect.unwrap(value)
        if not isinstance(function, types.FunctionType | type):
            raise Lost(_not_inside(name, value))
        source = _lambda(name, function) or _text(name, function)
        known = _names_around(function)
        for needed in sorted(_free(compile(source, "<answer>", "exec"))):
            if needed in known:
                self.add(needed, known[needed])
        self.parts.append("\n\n" + source)

    def _literal(self, name: str, value: Any) -> str:
        if isinstance(value, Tensor):
            self.imports.add("import torch")
            return f"torch.tensor({_plain(name, value.tolist())}, dtype={value.dtype})"
        return _plain(name, value)


def _plain(name: str, value: Any) -> str:
    """Python's own notation of a value, which gives the same value again."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if type(value) in (list, tuple):
        inside = "".join(f"{_plain(name, one)}, " for one in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    try:
        if ast.literal_eval(repr(value)) == value:
            return repr(value)
    except Exception:
        pass
    raise Lost(_not_inside(name, value))


def _not_inside(name: str, value: Any) -> str:
    kind = type(value).__name__
    return f"it uses {name}, a {kind} of the notebook: make that inside the function"


def _imported(name: str, value: Any) -> str | None:
    """The line that imports it, None for what belongs to the notebook."""
    if isinstance(value, types.ModuleType):
        if not _installed(value.__name__):
            raise Lost(f"it uses your own module {value.__name__}")
        return f"import {value.__name__} as {name}"
    own = getattr(value, "__name__", None)
    for home in (getattr(value, "__module__", None), *HOMES):
        if (
            not isinstance(own, str)
            or not own.isidentifier()
            or home not in sys.modules
        ):
            continue
        same = getattr(sys.modules[home], own, None) is value
        if same and home != "__main__" and _installed(home):
            return f"from {home} import {own} as {name}"
    return None


def _installed(module: str) -> bool:
    """Whether others have this module too: Python's own, ours, or a package."""
    top = module.partition(".")[0]
    where = getattr(sys.modules.get(top), "__file__", None) or ""
    packaged = "site-packages" in where or "dist-packages" in where
    return (
        packaged or top in sys.stdlib_module_names - {"__main__"} or top == "mmdl_lib"
    )


def _names_around(function: Any) -> dict[str, Any]:
    """What the names in a function mean: those around it before the notebook's."""
    if isinstance(function, type):
        return vars(sys.modules[function.__module__])
    known = dict(function.__globals__)
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        known[name] = cell.cell_contents
    return known


def _free(code: types.CodeType) -> set[str]:
    """Names that code takes from outside of itself."""
    read, stored = set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            read.add(step.argval)
        elif step.opname == "STORE_NAME":
            stored.add(step.argval)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            read |= _free(inner)
    return read - stored


def _text(name: str, function: Any) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(function))
        ast.parse(source)
    except Exception as error:
        raise Lost(f"the source of {name} is not found") from error
    defined = getattr(ast.parse(source).body[0], "name", None)
    return source if defined in (name, None) else f"{source}\n\n{name} = {defined}\n"


def _lambda(name: str, function: Any) -> str | None:
    """The source of a function without a name, None for others."""
    if getattr(function, "__name__", "") != "<lambda>":
        return None
    code = function.__code__
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        tree = ast.Module([])
    found = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
    }
    if len(found) != 1:
        raise Lost("a lambda's source is not found: write the function with def")
    return f"{name} = {found.pop()}\n"
