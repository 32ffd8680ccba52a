"""Notebooks without solutions, with blanks that mark themselves.

An exercise becomes two cells: the blank, and a check whose last line is the number of
points. That is how nbgrader counts, and what a student without it sees; the cells
carry its metadata. Below a design stands a cell for words, which is marked by hand.
"""

import ast
import re
import zipfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from classroom.chapters import ROOT, exercises, tags

FOLDER, ARCHIVE, CONFIG = "student", "student-notebooks.zip", "nbgrader_config.py"
SCHEMA = 3  # of nbgrader's metadata
DATE = (2026, 1, 1, 0, 0, 0)  # in the archive: the same notebooks, the same bytes
FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w-]+)\}\s*(?P<title>.*)$")
CODE = re.compile(
    r"^(?P<indent>[ \t]*)#+ ?BEGIN SOLUTION.*?#+ ?END SOLUTION[^\n]*", re.S | re.M
)
DESIGN = re.compile(r"\*\*(?P<number>\d+)\. [^*]*\b[Dd]esign\b")
NBGRADER = """# For a course's folder: nbgrader reads this where it is started.
c = get_config()  # noqa: F821
c.ClearSolutions.enabled = False  # the blanks are blank already
c.Execute.timeout = 600  # seconds for a cell: some train
"""
HAND_IN = """## Hand in

Write your name between the quotes and run the cell: it judges your answers again and
writes them into a file, `score-<your name>.json`. That file is what you hand in."""
SCORE = """from mmdl_lib.exercises import score

name = ""  # yours, as your teacher knows it
if name:
    score(name)"""


def write(out: Path, source: Path = ROOT / "notebooks") -> list[Path]:
    """The student version of all notebooks in `out/student`, also as one archive, and
    settings for nbgrader.

    Returns:
        What was written; the archive is last.

    Raises:
        ValueError: `out` lies inside the notebooks, two notebooks have one name, or an
            exercise cannot be made into a blank.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"expected a folder outside of {source.name}, got {out}.")
    found = source.rglob("*.ipynb")
    paths = sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)
    names = [path.name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected notebooks of different names, got two {twice[0]}.")
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    written = [out / FOLDER / name for name in names]
    for path, copy in zip(paths, written, strict=True):
        try:
            notebook = student_version(nbformat.read(path, as_version=4), path.stem)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from error
        nbformat.write(notebook, copy)
    (out / CONFIG).write_text(NBGRADER, "utf-8")
    return [*written, out / CONFIG, _archive(out / ARCHIVE, written)]


def _archive(path: Path, files: list[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            place = zipfile.ZipInfo(f"{path.stem}/{file.name}", DATE)
            place.external_attr = 0o644 << 16
            archive.writestr(place, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return path


def student_version(notebook, slug: str):
    """A copy without solutions, whose exercises are blanks and checks.

    Raises:
        ValueError: an exercise that cannot be made into a blank, or two of one number.
    """
    student = without_solutions(notebook)
    stars = {e.number: e.stars for e in exercises(notebook.cells, slug)}
    made, numbers, designs = [], [], []
    for cell in student.cells:
        found = _check_in(cell)
        if found:
            number, blank, check = _taken_apart(cell.source, *found)
            points = stars.get(number, 1)
            made += _blank(cell, blank), _graded(slug, number, check, points)
            numbers.append(number)
            continue
        made.append(cell)
        for match in DESIGN.finditer(cell.source if _is_prose(cell) else ""):
            number = int(match["number"])  # it may ask for a number or a function, too
            made.append(_for_words(slug, number, stars.get(number, 1)))
            designs.append(number)
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise ValueError(f"expected one exercise {twice[0]}, got two.")
    if numbers or designs:
        made.append(new_markdown_cell(HAND_IN, id=f"{slug}-hand-in"))
        made.append(new_code_cell(SCORE, id=f"{slug}-score"))
    student.cells = made
    return student


# blanks and checks


def _check_in(cell) -> tuple[ast.Expr, ast.expr] | None:
    """The statement of a cell that checks an answer, and the answer."""
    if _is_prose(cell) or "check(" not in cell.source:
        return None
    for node in ast.parse(re.sub(r"^[%!]", "#", cell.source, flags=re.M)).body:
        call = getattr(node, "test", getattr(node, "value", None))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
            if isinstance(node, ast.Assert):
                raise ValueError(f"cell {cell.id}: expected the tag solution.")
            if len(call.args) != 2 or not isinstance(call.args[0], ast.Constant):
                raise ValueError(f"cell {cell.id}: expected check(name, answer).")
            return node, call.args[1]
    return None


def _taken_apart(source: str, node: ast.Expr, answer: ast.expr) -> tuple[int, str, str]:
    """Number, blank and check of an exercise."""
    name = node.value.args[0].value
    number = int(name.rpartition("-")[2])
    lines = source.splitlines()
    before = "\n".join(lines[: node.lineno - 1]).rstrip()
    if isinstance(answer, ast.Constant) and answer.value is ...:
        variable = f"answer_{number}"
        before = f"{before}\n{variable} = ...".lstrip()
    elif isinstance(answer, ast.Name) and before:
        variable = answer.id
    else:
        raise ValueError(f"expected check({name!r}, ...) or a name that stands above.")
    if "".join(lines[node.end_lineno :]).strip():
        raise ValueError(f"expected nothing below check({name!r}, ...) in its cell.")
    return number, before, f'check("{name}", {variable})'


def _blank(cell, source: str):
    cell.source = source
    cell.metadata["nbgrader"] = _marks(cell.id, cell, solution=True)
    return cell


def _graded(slug: str, number: int, check: str, points: int):
    """The points are the cell's value: nbgrader reads them, a student sees them."""
    # imported anew: a reader's cell may have given the name to something else
    source = f"from mmdl_lib.exercises import check\n\n{points} * {check}"
    cell = new_code_cell(source, id=f"{slug}-check-{number}")
    cell.metadata["nbgrader"] = _marks(cell.id, cell, points=points)
    return cell


def _for_words(slug: str, number: int, points: int):
    cell = new_markdown_cell("*Your answer:*", id=f"{slug}-answer-{number}")
    cell.metadata["nbgrader"] = _marks(cell.id, cell, solution=True, points=points)
    return cell


def _marks(name: str, cell, *, solution: bool = False, points: int | None = None):
    """What nbgrader wants to know of a cell; one with points is graded."""
    marks = {
        "schema_version": SCHEMA,
        "grade_id": name,
        "cell_type": cell.cell_type,
        "solution": solution,
        "grade": points is not None,
        "locked": not solution,
        "task": False,
    }
    return marks | ({} if points is None else {"points": points})


def _is_prose(cell) -> bool:
    return cell.cell_type == "markdown"


# without solutions


def without_solutions(notebook):
    """A copy without cells tagged `solution`, solution blocks and rubrics."""
    student = nbformat.from_dict(notebook)
    cells, hidden = [], False
    for cell in notebook.cells:
        cell = nbformat.from_dict(cell)
        before = cell.source
        if cell.cell_type == "markdown":
            cell.source, hidden = _without_blocks(before, hidden)
        elif hidden:
            continue
        else:
            cell.source = CODE.sub(r"\g<indent>...", before)
            if cell.source != before:
                cell.outputs, cell.execution_count = [], None
        emptied = before.strip() and not cell.source.strip()
        if "solution" not in tags(cell) and not emptied:
            cells.append(cell)
    if hidden:
        raise ValueError("expected {solution-end} after {solution-start}, got none.")
    student.cells = cells
    return student


def _without_blocks(source: str, hidden: bool) -> tuple[str, bool]:
    """Markdown without solutions; `hidden` is whether a gated solution is open."""
    kept, closing = [], None
    for line in source.splitlines():
        opened = FENCE.match(line)
        if closing is not None:
            closing = None if line.rstrip() == closing else closing
        elif opened and opened["name"] in ("solution-start", "solution-end"):
            hidden = opened["name"] == "solution-start"
            closing = opened["fence"]
        elif opened and not hidden and _is_solution(opened):
            closing = opened["fence"]
        elif not hidden:
            kept.append(line)
    if closing is not None:
        raise ValueError(f"expected the solution block to end with {closing}.")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n"), hidden


def _is_solution(opened: re.Match) -> bool:
    """Whether a block gives an exercise away: a solution, or a design's rubric."""
    titled = opened["name"] in ("admonition", "dropdown")
    told = opened["title"].lower().startswith(("solution", "rubric"))
    return opened["name"] == "solution" or (titled and told)
