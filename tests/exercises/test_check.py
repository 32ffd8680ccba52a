"""The checker: blank, right, wrong and unknown, and what a reader's code may do."""

import pytest
import torch

from mmdl_lib.exercises import Hint, call, check, compare, scalar


@pytest.mark.parametrize("blank", [None, ..., ""])
@pytest.mark.parametrize("name", [f"clip-{i}" for i in range(1, 6)])
def test_a_blank_answer_is_not_yet_answered(name, blank, capsys):
    assert check(name, blank) is False
    assert capsys.readouterr().out == f"{name}: not answered yet.\n"


def test_one_line_says_whether_the_answer_is_right(capsys):
    assert check("clip-1", 10.397) is True
    assert check("clip-1", 3.0) is False
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "clip-1: right."
    assert lines[1].startswith("clip-1: not right: ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip-9", "one of the exercises 1, 2, 3, 4, 5 of 'clip', got 9"),
        ("clop-1", "a chapter that has exercises, got 'clop'"),
        ("clip", "a name such as 'clip-2', got 'clip'"),
        ("clip.clip-1", "a name such as 'clip-2'"),
    ],
)
def test_an_unknown_exercise_is_answered_in_one_sentence(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        check(name, 1)
    assert str(caught.value).endswith(".")


def unfinished(*_):
    raise NotImplementedError


def broken(*_):
    return torch.zeros(2) @ torch.zeros(3)


def in_place(x, *_):
    x /= x.norm(dim=-1, keepdim=True)
    return x.sum()


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (3, "expected a function, got int"),
        (unfinished, "not answered yet"),
        (lambda *_: None, "returns nothing"),
        (lambda *_: ..., "returns nothing"),
        (broken, "your function raised RuntimeError: "),
        (lambda: 1, "your function raised TypeError: "),
        (in_place, "changes its input"),
        (lambda *_: "text", "expected one number, got str"),
        (lambda *_: torch.zeros(2), r"expected one number, got shape \(2,\)"),
    ],
)
def test_what_goes_wrong_inside_an_answer_becomes_a_hint(answer, hint):
    with pytest.raises(Hint, match=hint):
        scalar(call(answer, torch.randn(3, 4), torch.randn(3, 4), torch.tensor(1.0)))


def test_a_hint_is_one_line_even_for_long_errors(capsys):
    def shouting(*_):
        raise ValueError("first\nsecond " * 50)

    assert check("clip-2", shouting) is False
    assert capsys.readouterr().out.count("\n") == 1


def test_gradients_are_on_while_an_answer_runs_and_off_again_after():
    with torch.no_grad():
        assert call(lambda x: torch.tensor(torch.is_grad_enabled()), torch.ones(1))
        assert not torch.is_grad_enabled()


def test_a_value_that_is_not_finite_gets_its_own_hint():
    with pytest.raises(Hint, match="not finite"):
        compare(torch.tensor(float("nan")), torch.tensor(1.0), [])
