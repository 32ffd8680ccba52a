"""Code that a reader need not see is folded on its page, under a bar that says what is
inside.

A notebook with the tag `show` on any cell is folded *by intent*: its code is folded but
for the cells that carry the tag. In a notebook without it, cells that only draw or
prepare are folded. The tags that hide are added while the site reads a notebook, and
only there.
"""

import ast
import json
import re

from mmdl_lib import viz

SHOW = "show"
DRAW = set(viz.__all__) - {"explore"}
SHARE = 0.6  # of a cell's lines that must belong to the call that draws
SETUP = re.compile(r"-(install|imports)(-\w+)*$")  # ids of cells that prepare
COMMENT = re.compile(r"#+ *(\S.*)")
PLACES = {"source": "show the source", "table": "draw the table"}
PLACES |= {"explore": "let the figure move", "claims": "draw the claims"}
# what a cell without a comment is called, by the first name that it calls
CALLS = {"fit": "train", "results": "read the results", "load": "load the weights"}


def folded(app, docname: str, source: list[str]) -> None:
    """Add the tag `hide-input` to the cells of a notebook that need not be read."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    by_intent = any(SHOW in _tags(cell) for cell in cells)
    for cell in cells:
        code, tags = "".join(cell["source"]), _tags(cell)
        if any(tag.startswith(("hide", "remove")) for tag in tags):
            continue
        unread = prepares(cell.get("id", "")) or draws(code)
        if SHOW in tags if by_intent else not unread:
            continue
        bar = {"code_prompt_show": label(cell), "code_prompt_hide": label(cell)}
        cell["metadata"]["mystnb"] = bar | cell["metadata"].get("mystnb", {})
        cell["metadata"]["tags"] = [*tags, "hide-input"]
    source[0] = json.dumps(notebook)


def _tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def label(cell: dict) -> str:
    """What a bar says: the comment on the cell's first line, else what its calls do."""
    code = "".join(cell["source"]).strip()
    comment = COMMENT.match(code)
    if comment:
        return f"Code: {comment[1].rstrip('. ')}"
    if SETUP.search(cell.get("id", "")):
        return "Setup"
    does = _does(code)
    return f"Code: {does}" if does else "Code"


def _does(code: str) -> str:
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a line for the shell
        return ""
    last = tree.body[-1] if tree.body else None
    name = _called(getattr(last, "value", None))
    if name == "explore" or _is_drawing(last):
        return PLACES.get(name, "draw the figure")
    calls = [_called(node) for node in ast.walk(tree)]
    found = [does for name, does in CALLS.items() if name in calls]
    if not found and isinstance(last, ast.Assert):
        return "check"
    return found[0] if found else ""


def _called(node) -> str:
    """The last part of the name that a call calls; empty for anything else."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


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
    if _called(calls[-1].value) in ("diagram", "schema"):
        return True
    lines = sum(node.end_lineno - node.lineno + 1 for node in calls)
    rest = (line.strip() for line in code.splitlines())
    return lines >= SHARE * sum(bool(x) and not x.startswith("#") for x in rest)


def _is_drawing(node: ast.stmt | None) -> bool:
    call = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    owner = getattr(getattr(call, "func", None), "value", None)
    return getattr(owner, "id", "") == "viz" and _called(call) in DRAW


def setup(app):
    app.connect("source-read", folded)
