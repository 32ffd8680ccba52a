"""Code that displays itself: what it computes, as it stands in the file."""

import ast
import inspect
import re
import textwrap


class Source:
    """Code that displays itself, in the colors of the notebook or page around it.

    It is shown as Markdown and not as HTML because JupyterLab, Colab and the page all
    color a Markdown code block in their own theme, light or dark.
    """

    def __init__(self, title: str, code: str):
        self.title = title
        self.code = code

    def __repr__(self) -> str:
        return self.title

    def __str__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        runs = re.findall(r"`{3,}", self.code)
        fence = "`" * max(3, 1 + max(map(len, runs), default=0))
        return f"{fence}python\n{self.code}\n{fence}"


def source(*objects) -> Source:
    """The code of functions, methods, properties or classes, as it stands in the file,
    without docstrings and without checks of what is given: a page explains them.

    Raises:
        ValueError: nothing was given, or an object that has no Python source.
    """
    if not objects:
        raise ValueError("source expected a function, a method or a class, got none.")
    parts, names, place = [], [], None
    for item in objects:
        code, module, name = _code_of(item)
        if module not in (place, "__main__"):
            code = f"# {module.replace('.', '/')}.py\n{code}"
        parts.append(code)
        names.append(name)
        place = module
    return Source("source of " + ", ".join(names), "\n\n".join(parts))


def _code_of(item) -> tuple[str, str, str]:
    item = inspect.unwrap(getattr(item, "fget", None) or item)
    try:
        code = _computes(textwrap.dedent(inspect.getsource(item)).strip())
    except (OSError, TypeError) as error:
        raise ValueError(
            "source expected a function, a method or a class written in Python, got "
            f"{item!r:.60}."
        ) from error
    module = getattr(item, "__module__", None) or item.__name__
    return code, module, getattr(item, "__qualname__", module)


def _computes(code: str) -> str:
    """The lines of code that compute something."""
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        body = getattr(node, "body", None)
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        dropped = [part for part in body if _is_docstring(part) or _is_check(part)]
        if len(dropped) == len(body):  # the rest would be no Python
            continue
        for part in dropped:
            follows = [other.lineno for other in body if other.lineno > part.end_lineno]
            end = part.end_lineno
            # with the blank lines behind it, if nothing stands in between
            while follows and end < follows[0] - 1 and not (lines[end] or "").strip():
                end += 1
            lines[part.lineno - 1 : end] = [None] * (end - part.lineno + 1)
    return "\n".join(line for line in lines if line is not None)


def _is_docstring(node: ast.stmt) -> bool:
    value = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _is_check(node: ast.stmt) -> bool:
    """A call of `check_...`, or an `if` that only raises."""
    if isinstance(node, ast.If):
        return not node.orelse and isinstance(node.body[-1], ast.Raise)
    call = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    name = getattr(call, "func", None)
    return getattr(name, "id", "").lstrip("_").startswith("check_")
