"""All exercises, found in the folder: blank fails, solutions pass, mistakes get their
hint, and anything else gets a polite one.

The solutions that must pass are those of the notebooks: they were written without the
checker's own.
"""

import ast
import importlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.exercises import Hint, check

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "mmdl_lib/exercises").glob("[a-z]*.py"))
CHAPTERS = {
    p.stem: importlib.import_module(f"mmdl_lib.exercises.{p.stem}") for p in FILES
}
EXERCISES = [
    (slug, int(name.removeprefix("exercise_")))
    for slug, chapter in CHAPTERS.items()
    for name in vars(chapter)
    if name.startswith("exercise_")
]
each = pytest.mark.parametrize(
    ("slug", "number"), EXERCISES, ids=[f"{s}-{n}" for s, n in EXERCISES]
)
MISTAKES = [
    (slug, number, i)
    for slug, chapter in CHAPTERS.items()
    for number, rows in chapter.MISTAKES.items()
    for i in range(len(rows))
]


def ask(slug, number, answer):
    return getattr(CHAPTERS[slug], f"exercise_{number}")(answer)


def cells(slug):
    (path,) = ROOT.glob(f"notebooks/*/{slug}.ipynb")
    found = json.loads(path.read_text("utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in found}


def answer_of(code, name):
    """What a cell hands to the checker, after the lines before it have run."""
    space = {"math": math, "torch": torch, "F": F, "nn": nn}
    for node in ast.parse(code).body:
        call = getattr(node, "test", getattr(node, "value", None))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
            assert ast.literal_eval(call.args[0]) == name
            return eval(ast.unparse(call.args[1]), space)
        exec(ast.unparse(node), space)
    raise AssertionError(f"expected a call of check in the cell of {name}.")


def test_exercises_are_numbered_from_one_and_have_both_tables():
    assert EXERCISES
    for slug, chapter in CHAPTERS.items():
        numbers = [n for s, n in EXERCISES if s == slug]
        assert numbers == list(range(1, len(numbers) + 1))
        assert list(chapter.SOLUTIONS) == list(chapter.MISTAKES) == numbers


@each
def test_each_exercise_states_its_task(slug, number):
    task = getattr(CHAPTERS[slug], f"exercise_{number}").__doc__
    assert re.match(r"(Predict|Change|Investigate|Design)\b[\w, ]*: ", task)
    assert "Raises:\n        Hint: " in task and len(task) > 200


@each
def test_the_notebook_asks_it_and_what_it_asks_with_is_blank(slug, number, capsys):
    name = f"{slug}-{number}"
    assert (
        check(name, answer_of(cells(slug)[f"{slug}-exercise-{number}"], name)) is False
    )
    assert capsys.readouterr().out.startswith(f"{name}: not answered yet")


@each
@pytest.mark.parametrize("blank", [None, ..., ""])
def test_a_blank_answer_is_not_yet_answered(slug, number, blank, capsys):
    assert check(f"{slug}-{number}", blank) is False
    assert capsys.readouterr().out == f"{slug}-{number}: not answered yet.\n"


@each
def test_the_solution_of_the_notebook_and_our_own_pass(slug, number):
    code = cells(slug)[f"{slug}-solution-{number}"]
    ask(slug, number, answer_of(code, f"{slug}-{number}"))
    ask(slug, number, CHAPTERS[slug].SOLUTIONS[number])


@each
def test_a_solution_passes_where_the_notebook_has_switched_gradients_off(slug, number):
    with torch.no_grad():
        assert check(f"{slug}-{number}", CHAPTERS[slug].SOLUTIONS[number])


@pytest.mark.parametrize(
    ("slug", "number", "i"), MISTAKES, ids=[f"{s}-{n}-{i}" for s, n, i in MISTAKES]
)
def test_each_mistake_gets_its_hint(slug, number, i):
    mistake, words = CHAPTERS[slug].MISTAKES[number][i]
    with pytest.raises(Hint, match=re.escape(words)):
        ask(slug, number, mistake)


@pytest.mark.parametrize(
    ("slug", "number"),
    [(s, n) for s, n in EXERCISES if callable(CHAPTERS[s].SOLUTIONS[n])],
)
def test_a_right_answer_of_another_shape_is_wrong(slug, number):
    right = CHAPTERS[slug].SOLUTIONS[number]

    def stacked(*inputs):
        value = right(*inputs)
        if isinstance(value, str | nn.Module):
            return [value, value]
        value = torch.as_tensor(value)
        return torch.stack([value, value])

    def widened(*inputs):
        value = right(*inputs)
        shaped = isinstance(value, torch.Tensor) and value.ndim > 0
        return value[None] if shaped else [value, value]

    for answer in (stacked, widened):
        with pytest.raises(Hint, match="expected|return|gradient"):
            ask(slug, number, answer)


@each
def test_a_right_answer_in_another_type_is_right_or_lacks_a_gradient(slug, number):
    right = CHAPTERS[slug].SOLUTIONS[number]

    def typed(make):
        if not callable(right):
            return make(right)
        return lambda *inputs: make(right(*inputs))

    def array(value):
        if isinstance(value, str | nn.Module) or (slug, number) == ("history", 4):
            return value
        return np.asarray(torch.as_tensor(value, dtype=torch.float64).detach())

    for make in (array, lambda value: getattr(array(value), "tolist", lambda: value)()):
        try:
            ask(slug, number, typed(make))
        except Hint as hint:
            assert "the value is right" in str(hint) and "gradient" in str(hint)


class Nothing:
    pass


def unfinished(*_):
    raise NotImplementedError


def speechless(*_):
    raise KeyError


def endless(*inputs):
    return endless(*inputs)


VALUES = [
    -7,
    0.123,
    True,
    math.nan,
    math.inf,
    10**400,
    1j,
    "text",
    b"text",
    [],
    [[1], 2],
]
VALUES += [
    (),
    {},
    {"a": 1},
    {1, 2},
    object(),
    Nothing,
    ValueError,
    range(3),
    [None, "a"],
]
VALUES += [torch.zeros(0), torch.zeros(3, 2), torch.zeros(2, 1, 1, 1, 1), np.zeros(4)]
VALUES += [torch.zeros(2, dtype=torch.complex64), torch.zeros(2, device="meta")]
VALUES += [torch.ones(5, dtype=torch.bool), torch.full((1,), -3), np.array(["a"])]
VALUES += [
    torch.eye(3).to_sparse(),
    nn.Linear(2, 2),
    {"healthy": "healthy"},
    [[0.0]] * 3,
]
FUNCTIONS = [
    unfinished,
    speechless,
    endless,
    lambda: 1,
    lambda *_: None,
    lambda *_: ...,
]
FUNCTIONS += [lambda *a: a, lambda *a: a[0], lambda *a: a[-1], len, print, torch.sum]
FUNCTIONS += [lambda *_, value=value: value for value in VALUES]


@each
def test_any_other_answer_gets_one_polite_sentence(slug, number, recwarn):
    for answer in [*VALUES, *FUNCTIONS]:
        with pytest.raises(Hint) as caught:
            ask(slug, number, answer)
        words = str(caught.value)
        assert 10 < len(words) < 250 and "\n" not in words, (answer, words)
    assert not [w.message for w in recwarn if "mmdl_lib" in w.filename]
