"""Code that displays itself, as it stands in the file."""

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
    """The code of functions, methods, properties or classes, as it stands in the file.

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
        code = textwrap.dedent(inspect.getsource(item)).strip()
    except (OSError, TypeError) as error:
        raise ValueError(
            "source expected a function, a method or a class written in Python, got "
            f"{item!r:.60}."
        ) from error
    module = getattr(item, "__module__", None) or item.__name__
    return code, module, getattr(item, "__qualname__", module)
