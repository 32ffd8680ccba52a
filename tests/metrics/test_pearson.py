"""Pearson's correlation: by hand, its laws, far from zero, what it refuses."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.pearson import pearson

numbers = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=20
)


def columns(pairs):
    x, y = (torch.tensor(v, dtype=torch.float64) for v in zip(*pairs, strict=True))
    assume(len(set(x.tolist())) > 1 and len(set(y.tolist())) > 1)
    return x, y


def exact(x, y):
    """The square of r in fractions, in which no digit is lost, and its sign."""
    x, y = ([Fraction(v) for v in column.tolist()] for column in (x, y))
    x, y = ([v - sum(column) / len(column) for v in column] for column in (x, y))
    both = sum(a * b for a, b in zip(x, y, strict=True))
    square = both * both / (sum(a * a for a in x) * sum(b * b for b in y))
    return math.copysign(math.sqrt(square), both)


def test_by_hand():
    assert pearson([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]) == pytest.approx(0.6)


@given(numbers, st.randoms(use_true_random=False))
def test_order_copies_sides_and_straight_lines_do_not_matter(pairs, random):
    x, y = columns(pairs)
    order = list(range(len(x)))
    random.shuffle(order)
    found = pearson(x, y)
    assert -1 <= found <= 1
    assert pearson(y, x) == pytest.approx(found, abs=1e-9)
    assert pearson(x[order], y[order]) == pytest.approx(found, abs=1e-9)
    assert pearson(x.repeat(2), y.repeat(2)) == pytest.approx(found, abs=1e-9)
    assert pearson(3 * x + 1, y) == pytest.approx(found, abs=1e-9)
    assert pearson(-x, y) == pytest.approx(-found, abs=1e-9)
    assert pearson(x, x) == pytest.approx(1)


@pytest.mark.parametrize("away", [0.0, 1e6, 1e12, -1e15, 3e15])
def test_far_from_zero_no_digit_is_lost(away):
    g = generator(0)
    x = away + 10 * torch.randn(50, generator=g, dtype=torch.float64)
    y = torch.randn(50, generator=g, dtype=torch.float64) + (x - away) / 10
    assert pearson(x, y) == pytest.approx(exact(x, y), abs=1e-15)
    assert pearson(y, x) == pytest.approx(exact(x, y), abs=1e-15)


def test_huge_and_tiny_values_stay_in_range():
    assert pearson([1e300, 2e300, 3e300], [1.0, 3.0, 2.0]) == pytest.approx(0.5)
    assert pearson([1e-320, 2e-320, 3e-320], [1.0, 3.0, 2.0]) == pytest.approx(0.5)
    assert pearson([1e308, -1e308, 0.0], [1.0, -1.0, 0.0]) == pytest.approx(1)
    # the smallest change that a number close to 1 can make
    assert pearson([1 + 2**-52, 1.0, 1.0], [1.0, 0.0, 0.0]) == pytest.approx(1)


def test_whole_numbers_and_half_precision_are_taken_as_they_are():
    x, y = torch.tensor([2**53 - 1, 2**53 - 2, 2**53 - 3]), torch.tensor([3, 2, 1])
    assert pearson(x, y) == pytest.approx(1)
    assert pearson(x.tolist(), y.half()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        ([], [], "x and y expected at least one, got none"),
        ([1.0], [1.0], "x and y expected at least two pairs, got one"),
        ([1.0, 2.0], [1.0], "x expected as many as y, got 2 and 1"),
        ([1.0, math.nan], [1.0, 2.0], "x expected finite numbers, got 1 NaN"),
        ([1.0, 2.0], [1.0, math.inf], "y expected finite numbers, got 1 NaN"),
        ([1.0, 1.0], [1.0, 2.0], "x expected to change, got the same value"),
        ([1.0, 2.0], [0.0, 0.0], "y expected to change, got the same value"),
    ],
)
def test_bad_input_gets_one_clear_sentence(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        pearson(x, y)
