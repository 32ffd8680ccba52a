"""Precision and recall: by brute force, what they are for, and what they refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics import precision_recall as module
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.precision_recall import precision_recall


def shares(real, fake, k=3):
    return precision_recall(Features(real, "x"), Features(fake, "x"), k=k)[:2]


def covered(points, of, k):
    hits = 0
    for p in points:
        inside = False
        for i, center in enumerate(of):
            others = sorted(
                (center - o).norm().item() for j, o in enumerate(of) if j != i
            )
            inside |= (p - center).norm().item() <= others[k - 1]
        hits += inside
    return hits / len(points)


@settings(deadline=None, max_examples=50)
@given(
    st.tuples(st.integers(4, 9), st.integers(4, 9), st.integers(1, 3)),
    st.integers(1, 3),
    st.integers(0, 10_000),
)
def test_one_ball_after_the_other_gives_the_same(sizes, k, seed):
    m, n, d = sizes
    g = generator(seed)
    # whole numbers, so that points are equal and lie on borders
    x, y = (torch.randint(0, 4, (s, d), generator=g).double() for s in (m, n))
    found = shares(x, y, k)
    assert found == pytest.approx((covered(y, x, k), covered(x, y, k)))
    assert shares(y, x, k) == pytest.approx(found[::-1])
    order = torch.randperm(m, generator=g)
    assert shares(x[order], y, k) == pytest.approx(found)
    assert shares(2 * x + 1, 2 * y + 1, k) == pytest.approx(found)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_the_data_themselves_are_perfect_and_more_neighbors_cover_more(seed, k):
    g = generator(seed)
    x, y = torch.randn(2, 12, 3, generator=g, dtype=torch.float64)
    assert shares(x, x, k) == (1, 1)
    less, more = shares(x, y, k), shares(x, y, k + 1)
    assert all(a <= b for a, b in zip(less, more, strict=True))


def test_a_generator_that_repeats_one_mode_has_precision_and_no_recall():
    g = generator(0)
    real = torch.cat([torch.randn(100, 2, generator=g) + 20 * i for i in range(4)])
    precision, recall = shares(real, torch.randn(100, 2, generator=g))
    assert precision > 0.9 and recall < 0.3
    wide = 40 * torch.randn(400, 2, generator=g)
    precision, recall = shares(real, wide)
    assert precision < 0.3 and recall > 0.7


def test_rows_at_a_time_change_nothing(monkeypatch):
    g = generator(1)
    x, y = torch.randn(2, 50, 3, generator=g)
    before = shares(x, y)
    monkeypatch.setattr(module, "ROWS", 7)
    assert shares(x, y) == before


def test_equal_points_make_balls_of_radius_zero():
    x = torch.zeros(5, 2)
    assert shares(x, x + 1e-3) == (0, 0)
    assert shares(x, x) == (1, 1)
    # rounding does not tell copies apart
    copies = torch.randn(20, 50, generator=generator(3)).repeat(4, 1)
    assert shares(copies, copies.flip(0)) == (1, 1)


def test_far_from_zero_nothing_changes():
    g = generator(2)
    x, y = torch.randn(2, 40, 3, generator=g, dtype=torch.float64)
    assert shares(x + 1e6, y + 1e6) == shares(x, y)


def test_bad_k_gets_one_clear_sentence():
    x = torch.zeros(4, 2)
    for k in (0, 4):
        with pytest.raises(
            ValueError, match=f"k expected a whole number from 1 to 3, got {k}"
        ):
            shares(x, x, k)
    with pytest.raises(ValueError, match="two samples or more, got 1"):
        shares(x[:1], x, 1)
