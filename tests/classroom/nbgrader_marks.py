"""nbgrader releases the student notebooks and marks them: right all points, wrong none.

Run by `make nbgrader`; nbgrader lies in an environment of its own, the kernel in ours.
Handed in is only what the exercises need, so that no chapter trains here.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from classroom import students

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from test_students import answered  # noqa: E402

NBGRADER = ROOT / ".venv-nbgrader/bin"
FIRST = (
    "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn"
)
MARKS = """
import json, sys
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps([
        [who, grade.name, grade.auto_score, grade.max_score, grade.needs_manual_grade]
        for who in ("right", "wrong")
        for notebook in book.find_submission("book", who).notebooks
        for grade in notebook.grades
    ]))
"""


def handed_in(path, who):
    """A student notebook with answers, without the cells that no exercise needs."""
    notebook, slug = nbformat.read(path, as_version=4), path.stem
    notebook.cells = [c for c in notebook.cells if "nbgrader" in c.metadata]
    for cell in notebook.cells:
        number = cell.id.rpartition("-")[2]
        if "-exercise-" in cell.id and who == "right":
            cell.source = answered(slug, number, cell.source)
        elif "-exercise-" in cell.id and int(number) % 2:  # others stay blank
            cell.source = re.sub(r"\.\.\.", "0.123", cell.source)
        elif "-answer-" in cell.id and who == "right":
            cell.source = "Three arms."
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST))
    return notebook


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """Points of all students by cell, as the gradebook has them."""
    course, out = (tmp_path_factory.mktemp(name) for name in ("course", "class"))
    *paths, config, _ = students.write(out)
    paths = [path for path in paths if not path.stem.endswith("_further")]
    (course / config.name).write_bytes(config.read_bytes())
    (course / "source/book").mkdir(parents=True)
    for path in paths:
        (course / "source/book" / path.name).write_bytes(path.read_bytes())
    kernel = course / "share/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": start, "display_name": "Python 3", "language": "python"}
    kernel.write_text(json.dumps(told))
    search = os.pathsep.join([str(NBGRADER), os.environ["PATH"]])
    place = os.environ | {"PATH": search, "JUPYTER_PATH": str(course / "share")}
    # read by the kernel; nbgrader's own Python finds nothing of ours in there
    place |= {"PYTHONPATH": str(ROOT), "MMDL_QUIET": "1"}

    def run(*command):
        done = subprocess.run(
            [NBGRADER / command[0], *command[1:]],
            cwd=course, env=place, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run("nbgrader", "generate_assignment", "book", "--create")
    for who in ("right", "wrong"):
        folder = course / "submitted" / who / "book"
        folder.mkdir(parents=True)
        for path in sorted((course / "release/book").glob("*.ipynb")):
            nbformat.write(handed_in(path, who), folder / path.name)
    run("nbgrader", "autograde", "book", "--create")
    rows = json.loads(run("python", "-c", MARKS))
    asked = {p.stem: nbformat.read(p, as_version=4) for p in paths}
    return rows, asked


def test_nbgrader_marks_every_exercise_and_every_design(marks):
    rows, asked = marks
    expected = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for notebook in asked.values()
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    for student in ("right", "wrong"):
        found = {name: most for who, name, _, most, _ in rows if who == student}
        assert found == expected


@pytest.mark.parametrize(("who", "share"), [("right", 1), ("wrong", 0)])
def test_right_answers_get_all_points_and_others_none(marks, who, share):
    scores = {
        name: (score, share * most)
        for student, name, score, most, _ in marks[0]
        if student == who and "-check-" in name
    }
    assert scores and {n: s for n, s in scores.items() if s[0] != s[1]} == {}


def test_words_wait_for_a_teacher_and_none_get_no_point(marks):
    words = [row for row in marks[0] if "-answer-" in row[1]]
    assert words
    for who, _, score, _, waits in words:
        assert waits is (who == "right") and (score is None or score == 0)
