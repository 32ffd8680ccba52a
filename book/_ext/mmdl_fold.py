"""Code that only draws a figure or prepares the notebook is folded on its page.

A reader sees the figure and opens the code with a click. The notebooks carry no tags
for this: the tag is added while the site reads them, and only there.
"""

import ast
import json

from mmdl_lib import viz

DRAW = set(viz.__all__) - {"explore"}
SHARE = 0.6  # of a cell's lines that must belong to the call that draws


def folded(app, docname: str, source: list[str]) -> None:
    """Add the tag `hide-input` to the cells of a notebook that need not be read."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        plain = cell["cell_type"] == "code" and not any("hide" in tag for tag in tags)
        if plain and (prepares(cell.get("id", "")) or draws("".join(cell["source"]))):
            cell["metadata"]["tags"] = [*tags, "hide-input"]
    source[0] = json.dumps(notebook)


def prepares(name: str) -> bool:
    """Whether a cell installs or imports."""
    return name.endswith(("-install", "-imports"))


def draws(code: str) -> bool:
    """Whether a cell ends in a call of `viz` that makes up most of its lines; to lay
    out a diagram is drawing, however long."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a line for the shell
        return False
    calls = [node for node in tree.body if _is_drawing(node)]
    if not calls or calls[-1] is not tree.body[-1]:
        return False
    if calls[-1].value.func.attr == "diagram":
        return True
    lines = sum(node.end_lineno - node.lineno + 1 for node in calls)
    return lines >= SHARE * sum(bool(line.strip()) for line in code.splitlines())


def _is_drawing(node: ast.stmt) -> bool:
    call = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    function = getattr(call, "func", None)
    owner = getattr(function, "value", None)
    return getattr(owner, "id", "") == "viz" and getattr(function, "attr", "") in DRAW


def setup(app):
    app.connect("source-read", folded)
