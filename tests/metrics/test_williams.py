"""Williams's test: by hand, false alarms, power, its laws, and what it refuses."""

import pytest
import torch
from scipy import stats

from mmdl_lib.core import generator
from mmdl_lib.metrics.williams import pairs_needed, williams
from mmdl_lib.record import beyond


def correlations(n, times, seed, *, x, z, between):
    """r_xy, r_zy and r_xz of many draws of n normal items."""
    wanted = torch.tensor([[1, between, x], [between, 1, z], [x, z, 1]]).double()
    g = generator(seed)
    drawn = torch.randn(times, n, 3, generator=g, dtype=torch.float64)
    drawn = drawn @ torch.linalg.cholesky(wanted).T
    unit = drawn - drawn.mean(1, keepdim=True)
    unit = unit / unit.norm(dim=1, keepdim=True)
    r = unit.mT @ unit
    return torch.stack([r[:, 0, 2], r[:, 1, 2], r[:, 0, 1]], 1).tolist()


def test_by_hand():
    # |R| = 1 - 0.25 - 0.36 - 0.64 + 2 * 0.5 * 0.6 * 0.8 = 0.23, mean 0.55
    below = 2 * 19 / 17 * 0.23 + 0.55**2 * 0.2**3
    want = 0.1 * (19 * 1.8 / below) ** 0.5
    found = williams(0.5, 0.6, r_xz=0.8, n=20)
    assert found.t == pytest.approx(want)
    assert found.p == pytest.approx(2 * stats.t.sf(want, 17))


@pytest.mark.parametrize("free", [1, 2, 3, 8, 17, 400])
def test_students_tail_is_that_of_scipy(free):
    for t in (0.0, 0.3, -1.7, 4.0):
        want = 2 * stats.t.sf(abs(t), free)
        assert beyond(t, free) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(("n", "r", "between"), [(20, 0.3, 0.2), (100, 0.6, 0.9)])
def test_about_five_of_a_hundred_are_false_alarms(n, r, between):
    drawn = correlations(n, 2000, 0, x=r, z=r, between=between)
    p = [williams(x, z, r_xz=xz, n=n).p for x, z, xz in drawn]
    share = sum(one < 0.05 for one in p) / len(p)
    # three standard errors of 2,000 trials
    assert share == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("x", "z", "between"), [(0.4, 0.5, 0.7), (0.75, 0.8, 0.7), (0.6, 0.7, 0.1)]
)
def test_so_many_pairs_see_the_gain_in_80_of_100(x, z, between):
    n = pairs_needed(x, z, r_xz=between)
    drawn = correlations(n, 1000, 1, x=x, z=z, between=between)
    seen = sum(williams(*two, r_xz=xz, n=n).p < 0.05 for *two, xz in drawn)
    assert seen / 1000 == pytest.approx(0.8, abs=0.04)


def test_laws():
    found = williams(0.3, 0.5, r_xz=0.4, n=50)
    turned = williams(0.5, 0.3, r_xz=0.4, n=50)
    assert turned.t == pytest.approx(-found.t) and turned.p == pytest.approx(found.p)
    assert williams(0.4, 0.4, r_xz=0.4, n=50) == (0, 1)
    assert williams(0.3, 0.5, r_xz=0.8, n=50).p < found.p
    assert williams(0.3, 0.5, r_xz=0.4, n=80).p < found.p
    wide = pairs_needed(0.3, 0.5, r_xz=0.4)
    assert pairs_needed(0.5, 0.3, r_xz=0.4) == wide
    assert pairs_needed(0.3, 0.4, r_xz=0.4) > 3 * wide
    assert pairs_needed(0.3, 0.5, r_xz=0.8) < wide
    assert pairs_needed(0.3, 0.5, r_xz=0.4, power=0.9) > wide
    assert pairs_needed(0.3, 0.5, r_xz=0.4, alpha=0.001) > wide


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"r_xy": 1.2}, "r_xy expected a number from -1 to 1, got 1.2"),
        ({"r_xz": 1.0}, "correlations that data can have"),
        ({"r_xz": -0.9}, "correlations that data can have"),
        ({"n": 3}, "n expected a whole number from 4 up, got 3"),
    ],
)
def test_bad_correlations_get_one_clear_sentence(change, sentence):
    given = {"r_xy": 0.5, "r_zy": 0.6, "r_xz": 0.5, "n": 30} | change
    with pytest.raises(ValueError, match=sentence):
        williams(given.pop("r_xy"), given.pop("r_zy"), **given)


def test_equal_correlations_and_impossible_shares_have_no_number_of_pairs():
    with pytest.raises(ValueError, match="another value than r_xy, got 0.5 for both"):
        pairs_needed(0.5, 0.5, r_xz=0.5)
    for name in ("power", "alpha"):
        with pytest.raises(ValueError, match=f"{name} expected a number between"):
            pairs_needed(0.5, 0.6, r_xz=0.5, **{name: 1.0})
