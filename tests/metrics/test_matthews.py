"""Matthews correlation: by hand, its laws, what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.matthews import matthews


@st.composite
def guesses(draw, most=5):
    """Predictions and labels of up to `most` classes."""
    b, classes = draw(st.integers(1, 12)), draw(st.integers(1, most))
    g = generator(draw(st.integers(0, 10_000)))
    return tuple(torch.randint(0, classes, (b,), generator=g) for _ in range(2))


def test_matthews_by_hand_its_lowest_value_and_its_zero():
    label = torch.tensor([0, 0, 1, 1])
    assert matthews(1 - label, label) == pytest.approx(-1)
    assert matthews(torch.ones(4).long(), label) == 0
    # R_K of three classes: c 2, s 4, said (2, 1, 1), true (1, 2, 1)
    predicted, label = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    found = (3 * 4 - 5) / ((16 - 6) * (16 - 6)) ** 0.5
    assert matthews(predicted, label) == pytest.approx(found)


@given(guesses(most=2))
def test_matthews_of_two_classes_is_pearson_of_zeros_and_ones(pair):
    predicted, label = pair
    x, y = predicted.double(), label.double()
    x, y = x - x.mean(), y - y.mean()
    norm = x.norm() * y.norm()
    found = (x @ y / norm).item() if norm > 1e-9 else 0
    assert matthews(predicted, label) == pytest.approx(found, abs=1e-9)


@given(guesses(), st.randoms(use_true_random=False))
def test_names_order_copies_and_sides_do_not_matter(pair, random):
    predicted, label = pair
    found = matthews(predicted, label)
    assert -1 <= found <= 1
    turn = torch.tensor([3, 0, 4, 1, 2])
    rows = list(range(len(label)))
    random.shuffle(rows)
    renamed = matthews(turn[predicted], turn[label])
    mixed = matthews(predicted[rows], label[rows])
    twice = matthews(predicted.repeat(2), label.repeat(2))
    turned = matthews(label, predicted)
    assert (renamed, mixed, twice, turned) == pytest.approx((found,) * 4)


@given(guesses())
def test_a_perfect_guess_scores_one_if_there_are_two_classes(pair):
    _, label = pair
    assert matthews(label, label) == pytest.approx(float(len(set(label.tolist())) > 1))


LONG = torch.zeros(2).long()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: matthews(LONG, LONG[:1]), "as many as labels, got 2 and 1"),
        (lambda: matthews(LONG[:0], LONG[:0]), "predictions and label"),
        (lambda: matthews(LONG / 2, LONG), "predictions expected integers"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
