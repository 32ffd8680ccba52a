"""F1: by hand, its laws, what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.f1 import f1

AVERAGES = ("binary", "macro", "micro")


@st.composite
def guesses(draw, most=5):
    """Predictions and labels of up to `most` classes."""
    b, classes = draw(st.integers(1, 12)), draw(st.integers(1, most))
    g = generator(draw(st.integers(0, 10_000)))
    return tuple(torch.randint(0, classes, (b,), generator=g) for _ in range(2))


def test_f1_by_hand_in_all_three_averages():
    predicted = torch.tensor([0, 0, 1, 1, 2, 2])
    label = torch.tensor([0, 0, 0, 1, 1, 2])
    # class 0: TP 2 FN 1; class 1: TP 1 FP 1 FN 1; class 2: TP 1 FP 1
    assert f1(predicted, label, average="macro") == pytest.approx(
        (4 / 5 + 2 / 4 + 2 / 3) / 3
    )
    assert f1(predicted, label, average="micro") == pytest.approx(4 / 6)
    assert f1(torch.tensor([1, 1, 0]), torch.tensor([1, 0, 1])) == 0.5


def test_f1_without_any_positive_is_zero_and_absent_classes_do_not_count():
    zeros = torch.zeros(3).long()
    assert f1(zeros, zeros) == 0
    far = torch.tensor([0, 4])
    assert f1(far, far, average="macro") == 1


@given(guesses())
def test_micro_f1_is_accuracy_and_names_of_classes_do_not_matter(pair):
    predicted, label = pair
    accuracy = (predicted == label).double().mean().item()
    assert f1(predicted, label, average="micro") == pytest.approx(accuracy)
    turn = torch.tensor([3, 0, 4, 1, 2])
    for average in ("macro", "micro"):
        found = f1(predicted, label, average=average)
        assert f1(turn[predicted], turn[label], average=average) == pytest.approx(found)


@given(guesses(most=2), st.randoms(use_true_random=False))
def test_order_and_copies_and_sides_do_not_matter(pair, random):
    predicted, label = pair
    rows = list(range(len(label)))
    random.shuffle(rows)
    for average in AVERAGES:
        found = f1(predicted, label, average=average)
        assert 0 <= found <= 1
        mixed = f1(predicted[rows], label[rows], average=average)
        twice = f1(predicted.repeat(2), label.repeat(2), average=average)
        # precision and recall change places, TP stays
        turned = f1(label, predicted, average=average)
        assert (mixed, twice, turned) == pytest.approx((found,) * 3)


@given(guesses())
def test_a_perfect_guess_scores_one(pair):
    _, label = pair
    assert f1(label, label, average="macro") == pytest.approx(1)
    assert f1(label, label, average="micro") == 1


LONG = torch.zeros(2).long()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: f1(LONG, LONG[:1]), "as many as labels, got 2 and 1"),
        (lambda: f1(LONG[:0], LONG[:0]), "predictions and label"),
        (
            lambda: f1(LONG + 2, LONG),
            "predictions expected numbers from 0 to 1, got 2 to 2",
        ),
        (lambda: f1(LONG - 1, LONG, average="macro"), "from 0 up, got -1 to -1"),
        (
            lambda: f1(LONG, LONG, average="weighted"),
            "average expected one of 'binary', 'macro', 'micro', got 'weighted'",
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
