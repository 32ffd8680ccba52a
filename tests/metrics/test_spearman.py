"""Spearman's rank correlation: by hand, its laws, what it refuses."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mmdl_lib.metrics.spearman import ranks, spearman

numbers = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=20
)


def columns(pairs):
    x, y = (torch.tensor(v, dtype=torch.float64) for v in zip(*pairs, strict=True))
    assume(len(set(x.tolist())) > 1 and len(set(y.tolist())) > 1)
    return x, y


def test_by_hand():
    # d = (1, 1, 1, 1) without ties: 1 - 6 * 4 / 60
    assert spearman([1.0, 2.0, 3.0, 40.0], [2.0, 1.0, 4.0, 3.0]) == pytest.approx(0.6)


def test_equal_values_share_their_mean_rank():
    assert ranks([7.0, 7.0, 7.0]).tolist() == [2, 2, 2]
    assert ranks([3.0, 1.0, 3.0, 0.0]).tolist() == [3.5, 2, 3.5, 1]
    # ranks (1.5, 1.5, 3, 4) and (1, 2, 3.5, 3.5)
    assert spearman([1.0, 1.0, 2.0, 3.0], [0.0, 1.0, 5.0, 5.0]) == pytest.approx(
        4 / math.sqrt(4.5 * 4.5)
    )


@given(numbers, st.randoms(use_true_random=False))
def test_order_copies_and_sides_do_not_matter(pairs, random):
    x, y = columns(pairs)
    order = list(range(len(x)))
    random.shuffle(order)
    found = spearman(x, y)
    assert -1 <= found <= 1
    assert spearman(y, x) == pytest.approx(found, abs=1e-9)
    assert spearman(x[order], y[order]) == pytest.approx(found, abs=1e-9)
    assert spearman(x.repeat(2), y.repeat(2)) == pytest.approx(found, abs=1e-9)
    assert spearman(-x, y) == pytest.approx(-found, abs=1e-9)
    assert spearman(x, x) == pytest.approx(1)


@given(numbers)
def test_spearman_sees_only_the_order(pairs):
    x, y = columns(pairs)
    assert spearman(x.exp(), y**3) == pytest.approx(spearman(x, y), abs=1e-12)


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
        spearman(x, y)
