"""Calibration error: by hand, its laws, what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.calibration import expected_calibration_error


@st.composite
def distributions(draw):
    """Rows of probabilities and labels."""
    b, classes = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    g = generator(draw(st.integers(0, 10_000)))
    logits = 3 * torch.randn(b, classes, generator=g, dtype=torch.float64)
    return logits.softmax(1), torch.randint(0, classes, (b,), generator=g)


def test_calibration_by_hand():
    probability = torch.tensor([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 2)
    label = torch.tensor([0, 0, 0, 1, 0, 0])
    # four at 0.95 with three right, two at 0.55 that are both right
    found = 4 / 6 * 0.2 + 2 / 6 * 0.45
    assert expected_calibration_error(probability, label, bins=10) == pytest.approx(
        found, abs=1e-6
    )
    # in one bin the gaps are averaged before they are measured
    assert expected_calibration_error(probability, label, bins=1) == pytest.approx(
        abs(5 / 6 - (4 * 0.95 + 2 * 0.55) / 6), abs=1e-6
    )


def test_a_confidence_between_two_bins_belongs_to_the_upper_one():
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.6, 0.4, 0.0]])
    label = torch.tensor([0, 1, 1])
    # with 0.5 in the lower of two bins, it would be (0.5 + 0.75 + 0.6) / 3
    assert expected_calibration_error(probability, label, bins=2) == pytest.approx(
        abs(1 - 0.5 - 0.75 - 0.6) / 3
    )


@given(distributions(), st.integers(1, 20))
def test_calibration_is_a_share_and_no_less_than_the_gap_of_one_bin(case, bins):
    probability, label = case
    found = expected_calibration_error(probability, label, bins=bins)
    single = expected_calibration_error(probability, label, bins=1)
    assert single - 1e-9 <= found <= 1
    twice = torch.cat([probability] * 2), label.repeat(2)
    assert expected_calibration_error(*twice, bins=bins) == pytest.approx(found)


@given(distributions())
def test_sure_and_right_is_calibrated_sure_and_wrong_is_not(case):
    probability, label = case
    sure = torch.nn.functional.one_hot(label, probability.shape[1]).double()
    assert expected_calibration_error(sure, label) == 0
    assert expected_calibration_error(sure.roll(1, 1), label) == 1


LONG, FLOAT = torch.zeros(2).long(), torch.full((2, 2), 0.5)
NAN = torch.full((2, 2), torch.nan)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: expected_calibration_error(NAN, LONG), "4 NaN or infinite"),
        (lambda: expected_calibration_error(FLOAT * 2, LONG), "sum to 1"),
        (
            lambda: expected_calibration_error(
                torch.tensor([[1.5, -0.5], [0.5, 0.5]]), LONG
            ),
            "sum to 1",
        ),
        (
            lambda: expected_calibration_error(FLOAT, LONG[:1]),
            "as many as labels, got 2 and 1",
        ),
        (lambda: expected_calibration_error(FLOAT, LONG + 2), "0 to 1, got 2 to 2"),
        (
            lambda: expected_calibration_error(FLOAT, LONG, bins=0),
            "bins expected a whole number from 1 up, got 0",
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
