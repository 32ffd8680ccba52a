"""Pearson and Spearman: by hand, their laws, what they refuse."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mmdl_lib.metrics.pearson import pearson
from mmdl_lib.metrics.spearman import ranks, spearman

numbers = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=20
)


def columns(pairs):
    x, y = (torch.tensor(v, dtype=torch.float64) for v in zip(*pairs, strict=True))
    assume(len(set(x.tolist())) > 1 and len(set(y.tolist())) > 1)
    return x, y


def test_by_hand():
    assert pearson([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]) == pytest.approx(0.6)
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
def test_order_copies_sides_and_straight_lines_do_not_matter(pairs, random):
    x, y = columns(pairs)
    order = list(range(len(x)))
    random.shuffle(order)
    for score in (pearson, spearman):
        found = score(x, y)
        assert -1 <= found <= 1
        assert score(y, x) == pytest.approx(found, abs=1e-9)
        assert score(x[order], y[order]) == pytest.approx(found, abs=1e-9)
        assert score(x.repeat(2), y.repeat(2)) == pytest.approx(found, abs=1e-9)
        assert score(3 * x + 1, y) == pytest.approx(found, abs=1e-9)
        assert score(-x, y) == pytest.approx(-found, abs=1e-9)
        assert score(x, x) == pytest.approx(1)


@given(numbers)
def test_spearman_sees_only_the_order(pairs):
    x, y = columns(pairs)
    assert spearman(x.exp(), y**3) == pytest.approx(spearman(x, y), abs=1e-12)


def test_huge_values_do_not_overflow():
    assert pearson([1e300, 2e300, 3e300], [1.0, 3.0, 2.0]) == pytest.approx(0.5)


@pytest.mark.parametrize("score", [pearson, spearman])
@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        ([], [], "at least one of x and y, got none"),
        ([1.0], [1.0], "at least two pairs, got one"),
        ([1.0, 2.0], [1.0], "as many x as y, got 2 and 1"),
        ([1.0, math.nan], [1.0, 2.0], "finite numbers as x, got 1 NaN"),
        ([1.0, 2.0], [1.0, math.inf], "finite numbers as y, got 1 NaN"),
        ([1.0, 1.0], [1.0, 2.0], "x to change, got the same value"),
        ([1.0, 2.0], [0.0, 0.0], "y to change, got the same value"),
    ],
)
def test_bad_input_gets_one_clear_sentence(score, x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        score(x, y)
