"""ReaL accuracy: by hand, its laws, what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.real import real_accuracy


@st.composite
def guesses(draw, most=5):
    """Predictions and labels of up to `most` classes."""
    b, classes = draw(st.integers(1, 12)), draw(st.integers(1, most))
    g = generator(draw(st.integers(0, 10_000)))
    return tuple(torch.randint(0, classes, (b,), generator=g) for _ in range(2))


def test_real_counts_any_accepted_label_and_passes_over_empty_sets():
    predicted = torch.tensor([0, 1, 2, 3])
    assert real_accuracy(predicted, [{0, 9}, {1}, {5}, []]) == pytest.approx(2 / 3)
    assert real_accuracy(predicted, [[0], [1], [2], [3]]) == 1


@given(guesses(), st.randoms(use_true_random=False))
def test_real_is_accuracy_on_sets_of_one_and_grows_with_the_sets(pair, random):
    predicted, label = pair
    single = [{y} for y in label.tolist()]
    found = real_accuracy(predicted, single)
    assert found == pytest.approx((predicted == label).double().mean().item())
    wider = [{y, random.randrange(5)} for y in label.tolist()]
    assert real_accuracy(predicted, wider) >= found


LONG = torch.zeros(2).long()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: real_accuracy(LONG, [{1}]), "as many as label sets, got 2 and 1"),
        (lambda: real_accuracy(LONG[:0], []), "predictions and label"),
        (lambda: real_accuracy(LONG, [set(), set()]), "not empty, got only"),
        (lambda: real_accuracy(LONG / 2, [{1}, {1}]), "predictions expected integers"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
