"""The checker: blank, right, wrong and unknown, and what a reader's code may do."""

import math
import warnings

import numpy as np
import pytest
import torch

from mmdl_lib.exercises import ANY, Hint, call, check, judge


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


def longer(x, numbers, *_):
    numbers.append(3)
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
        (longer, "try a small case"),
        (lambda *_: "text", "expected one number, got str"),
        (lambda *_: torch.zeros(2), r"expected one number, got shape \(2,\)"),
        (lambda *_: torch.tensor(2j), "expected one number, got Tensor"),
        (lambda *_: torch.tensor(math.nan), "not finite"),
        (lambda *_: 3, "try a small case"),
    ],
)
def test_what_goes_wrong_inside_an_answer_becomes_a_hint(answer, hint):
    case = torch.randn(3, 4), [1, 2], torch.tensor(1.0)
    with pytest.raises(Hint, match=hint):
        judge(answer, lambda *_: 1.0, [], cases=[case])
    assert case[1] == [1, 2]


def test_a_hint_is_one_line_even_for_long_errors(capsys):
    def shouting(*_):
        raise ValueError("first\nsecond " * 50)

    assert check("clip-2", shouting) is False
    assert capsys.readouterr().out.count("\n") == 1


def test_gradients_are_on_while_an_answer_runs_and_off_again_after():
    with torch.no_grad():
        assert call(lambda x: torch.tensor(torch.is_grad_enabled()), torch.ones(1))
        assert not torch.is_grad_enabled()


def test_an_answer_that_warns_is_judged_in_silence(recwarn):
    def limit(positive, negative):
        warnings.warn("deprecated", stacklevel=1)
        return (negative.max() - positive).relu()

    assert check("simclr-2", limit) and not recwarn.list


def test_a_mistake_has_to_fit_in_every_case():
    mistakes = [(lambda x: x * x, "squared"), (lambda x: -x, "the sign")]
    cases = [(torch.tensor(0.0),), (torch.tensor(1.0),), (torch.tensor(-2.0),)]
    for answer, hint in ((mistakes[0][0], "squared"), (lambda x: 4 * x * x, "small")):
        with pytest.raises(Hint, match=hint):
            judge(answer, lambda x: x, mistakes, cases=cases)


def test_any_stands_for_every_number_and_for_no_other_shape():
    mistakes = [((3, ANY), "the first")]
    for answer, hint in (((3, 7), "the first"), ((4, 7), "small"), ((3,), "2 numbers")):
        with pytest.raises(Hint, match=hint):
            judge(answer, (1, 2), mistakes)


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (4, 4), (), (1,)])
def test_nothing_broadcasts(shape):
    right = torch.ones(4)
    with pytest.raises(Hint, match="expected 4 numbers, got shape"):
        judge(torch.ones(shape), right, [])
    judge(right.long().tolist(), right, [])


def test_exact_numbers_allow_no_difference_and_others_a_little():
    judge(100_001, 100_000, [])
    with pytest.raises(Hint):
        judge(100_001, 100_000, [], near=0)
    with pytest.raises(Hint):
        judge(100_020, 100_000, [])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("clip-1", 10.4),
        ("clip-1", np.float32(10.397)),
        ("clip-1", torch.tensor([10.3972], dtype=torch.half)),
        ("simclr-1", 4.14),
        ("efficientnet-1", 7.08),
    ],
)
def test_a_predicted_number_may_be_rounded_and_of_any_type(name, answer):
    assert check(name, answer) is True
