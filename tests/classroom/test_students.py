"""What students get: no solution, blanks that fail their check, marks for nbgrader."""

import ast
import json
import math
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from classroom import students
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from torch import nn

from mmdl_lib.exercises import check

ROOT = Path(__file__).resolve().parents[2]
PRINTED = [new_output("stream", name="stdout", text="1\n")]


def clean():
    return new_notebook(cells=[new_markdown_cell("# Title\n\nWords.", id="demo-title")])


def code(source, *, tags=()):
    cell = new_code_cell(source, id="demo-x")
    cell.metadata.tags = list(tags)
    return cell


SOLVED = """Before.

```{exercise}
:label: demo-1
The task.
```

````{admonition} Solution to the first exercise
:class: dropdown
SECRET
```python
SECRET
```
````

Between.

:::{solution} demo-1
SECRET
:::

```{admonition} A remark
Stays.
```"""


def test_students_keep_the_tasks_and_lose_the_solutions():
    notebook = clean()
    words = "### BEGIN SOLUTION\n    y = 'SECRET'\n    ### END SOLUTION"
    notebook.cells += [
        new_markdown_cell(SOLVED, id="demo-solved"),
        code("y = 'SECRET'", tags=["solution"]),
        new_markdown_cell(
            "Kept.\n\n```{solution-start} demo-2\n```\n\nSECRET", id="demo-a"
        ),
        new_code_cell("z = 'SECRET'", id="demo-c", outputs=PRINTED),
        new_markdown_cell("SECRET\n\n```{solution-end}\n```\n\nAfter.", id="demo-b"),
        new_code_cell(
            f"def f():\n    {words}\n    return y", id="demo-d", outputs=PRINTED
        ),
    ]
    before = nbformat.writes(notebook)
    student = students.without_solutions(notebook)
    text = nbformat.writes(student)
    assert "SECRET" not in text
    for kept in ("Before.", "The task.", "Between.", "Stays.", "Kept.", "After."):
        assert kept in text
    assert student.cells[-1].source == "def f():\n    ...\n    return y"
    assert student.cells[-1].outputs == []
    assert nbformat.writes(notebook) == before
    nbformat.validate(student)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```{solution-start} a\n```\ntext", "{solution-end} after {solution-start}"),
        ("```{solution} a\ntext", "the solution block to end with ```"),
    ],
)
def test_a_solution_that_does_not_end_is_an_error_and_hides_nothing(source, message):
    notebook = clean()
    notebook.cells.append(new_markdown_cell(source, id="demo-x"))
    with pytest.raises(ValueError) as caught:
        students.without_solutions(notebook)
    assert message in str(caught.value)


def version(*cells):
    return students.student_version(new_notebook(cells=list(cells)), "demo").cells


def test_a_rubric_below_a_design_is_out_and_a_place_for_words_is_in():
    text = "**4. Design an experiment** (★★★, 30 minutes). Plan.\n\n"
    rubric = ":::{dropdown} Rubric for (b)\nSECRET\n:::\n\nAfter."
    aside = ":::{dropdown} An aside\nStays.\n:::"
    three = [f"**{n}. Predict** (★, 3 minutes). x" for n in (1, 2, 3)]
    shown = [new_markdown_cell(t) for t in (*three, f"{aside}\n\n{text}{rubric}")]
    found = version(*shown)
    assert found[3].source == f"{aside}\n\n{text}After."
    marks = found[4].metadata.nbgrader
    assert (marks.grade, marks.solution, marks.points) == (True, True, 3)
    assert [cell.id for cell in found[4:]] == [
        "demo-answer-4", "demo-hand-in", "demo-score",
    ]  # fmt: skip


def test_an_exercise_may_ask_for_code_and_for_a_design():
    text = "**1. Investigate, then design an experiment** (★★, 9 minutes). x"
    found = version(new_markdown_cell(text), code('check("demo-1", ...);'))
    assert [cell.id for cell in found[1:4]] == [
        "demo-answer-1",
        "demo-x",
        "demo-check-1",
    ]
    assert [cell.metadata.nbgrader.points for cell in (found[1], found[3])] == [2, 2]


BOOK = sorted(ROOT.glob("notebooks/*/*.ipynb"))


@pytest.mark.parametrize("path", BOOK, ids=[path.stem for path in BOOK])
def test_what_is_folded_for_students_are_answers_to_questions_only(path):
    made = students.student_version(nbformat.read(path, as_version=4), path.stem)
    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    folds = re.findall(r"^[:`]{3,}\{(?:dropdown|admonition)\} *(.*)$", text, re.M)
    assert set(folds) <= {"Answer"}


def test_a_blank_becomes_a_variable_and_a_check_that_gives_points():
    blank, test, *_ = version(code('# think\ncheck("demo-1", ...);'))
    assert blank.source == "# think\nanswer_1 = ..."
    assert test.source.endswith('\n1 * check("demo-1", answer_1)')
    blank, test, *_ = version(
        new_code_cell('def f(x):\n    return ...\n\n\ncheck("demo-12", f);', id="a")
    )
    assert blank.source == "def f(x):\n    return ..."
    assert test.id == "demo-check-12" and test.source.endswith('check("demo-12", f)')


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code('check("demo-1", 3)')], "expected check('demo-1', ...) or a name"),
        ([code('check("demo-1", f)')], "a name that stands above"),
        ([code('check("demo-1")')], "expected check(name, answer)"),
        ([code('assert check("demo-1", 3)')], "expected the tag solution"),
        ([code('check("demo-1", ...)\nx = 1')], "expected nothing below check"),
        ([code('check("demo-1", ...)')] * 2, "expected one exercise 1, got two"),
    ],
)
def test_an_exercise_that_makes_no_blank_is_one_sentence(cells, message):
    with pytest.raises(ValueError) as caught:
        version(*cells)
    assert message in str(caught.value) and str(caught.value).endswith(".")


def test_two_notebooks_of_one_name_or_a_folder_inside_are_refused(tmp_path):
    for place in ("a", "b", "a/.ipynb_checkpoints"):
        (tmp_path / "notebooks" / place).mkdir(parents=True)
        nbformat.write(clean(), tmp_path / "notebooks" / place / "demo.ipynb")
    with pytest.raises(ValueError, match="different names, got two demo.ipynb"):
        students.write(tmp_path / "class", tmp_path / "notebooks")
    with pytest.raises(ValueError, match="a folder outside of notebooks"):
        students.write(tmp_path / "notebooks/class", tmp_path / "notebooks")


# the book's own notebooks


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    """The archive, unpacked in an empty folder: notebooks by slug."""
    out, place = (tmp_path_factory.mktemp(name) for name in ("class", "student"))
    *_, archive = students.write(out)
    first = archive.read_bytes()
    assert students.write(out)[-1].read_bytes() == first
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(place)
    paths = sorted(place.glob("student-notebooks/*.ipynb"))
    return {path.stem: nbformat.read(path, as_version=4) for path in paths}


ORIGINAL = {path.stem: path for path in sorted(ROOT.glob("notebooks/*/*.ipynb"))}
EXERCISES = [
    cell["id"].replace("-exercise-", "-")
    for path in ORIGINAL.values()
    for cell in json.loads(path.read_text("utf-8"))["cells"]
    if re.fullmatch(r"\w+-exercise-\d+", cell["id"]) and cell["cell_type"] == "code"
]


def named(notebook):
    return {cell.id: cell for cell in notebook.cells}


def run(*sources):
    """The value of the last line of the last of some cells, as a notebook shows it."""
    space = {"math": math, "torch": torch, "F": F, "nn": nn, "check": check}
    *lines, last = ast.parse("\n".join(sources)).body
    exec(compile(ast.Module(lines, []), "<cell>", "exec"), space)
    return eval(ast.unparse(last), space)


def answered(slug, number, blank):
    """The solution of the book's notebook in the place of a blank."""
    cells = named(nbformat.read(ORIGINAL[slug], as_version=4))
    source = cells[f"{slug}-solution-{number}"].source
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assert) and "check(" in ast.unparse(node.test):
            answer = ast.unparse(node.test.args[1])
            before = "\n".join(source.splitlines()[: node.lineno - 1])
            variable = f"answer_{number}"
            return f"{before}\n{variable} = {answer}" if variable in blank else before
    raise AssertionError(f"expected assert check(...) in the solution of {slug}.")


def test_the_archive_holds_every_notebook_and_no_solution(handed_out):
    assert list(handed_out) == sorted(ORIGINAL)
    for slug, notebook in handed_out.items():
        nbformat.validate(notebook)
        assert "-solution-" not in nbformat.writes(notebook)
        asked = [e for e in EXERCISES if e.rpartition("-")[0] == slug]
        marked = [c.id for c in notebook.cells if re.search(r"-check-\d+$", c.id)]
        assert [name.replace("-check-", "-") for name in marked] == asked


@pytest.mark.parametrize("name", EXERCISES)
def test_every_blank_gets_no_point_and_its_solution_all(handed_out, name, capsys):
    slug, _, number = name.rpartition("-")
    cells = named(handed_out[slug])
    blank, test = cells[f"{slug}-exercise-{number}"], cells[f"{slug}-check-{number}"]
    assert run(blank.source, test.source) == 0
    assert "not answered yet" in capsys.readouterr().out
    points = test.metadata.nbgrader.points
    assert run(answered(slug, number, blank.source), test.source) == points > 0


def test_marks_are_what_nbgrader_wants(handed_out):
    for notebook in handed_out.values():
        marks = [
            c.metadata.nbgrader for c in notebook.cells if "nbgrader" in c.metadata
        ]
        names = [mark.grade_id for mark in marks]
        assert len(names) == len(set(names))
        for mark in marks:
            assert mark.schema_version == 3 and mark.locked != mark.solution
            assert ("points" in mark) == mark.grade


def test_a_check_cannot_be_given_to_something_else(handed_out):
    cells = named(handed_out["simclr"])
    cheat = "check = lambda *_: True\nanswer_1 = 3"
    assert run(cheat, cells["simclr-check-1"].source) == 0


def test_the_last_cell_does_nothing_without_a_name(handed_out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = named(handed_out["simclr"])["simclr-score"].source
    exec(source, {})
    assert not list(tmp_path.iterdir())
    assert "score(name)" in source
