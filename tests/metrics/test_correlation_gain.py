"""Gain of a correlation: by hand, coverage, false alarms, its laws, what it refuses."""

import math

import pytest
import torch
from scipy import stats

from mmdl_lib.core import generator
from mmdl_lib.metrics import correlation_gain as module
from mmdl_lib.metrics.correlation_gain import correlation_gain
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.metrics.williams import williams


def columns(n, seed, *, x=0.5, z=0.5, between=0.6):
    """Normal columns whose correlations are known."""
    wanted = torch.tensor([[1, between, x], [between, 1, z], [x, z, 1]])
    g = generator(seed)
    return (torch.randn(n, 3, generator=g) @ torch.linalg.cholesky(wanted).T).T


def test_by_hand():
    # rho of (1, 2, 3, 4) with (2, 1, 4, 3) is 0.6 and with (4, 3, 2, 1) it is -1
    people, new, old = [2.0, 1, 4, 3], [1.0, 2, 3, 4], [3.0, 4, 1, 2]
    found = correlation_gain(old, new, people, samples=50, generator=generator(0))
    assert found.gain == pytest.approx(1.6)


def test_a_draw_is_scored_as_if_its_items_had_been_copied():
    x = torch.tensor([3.0, 1, 1, 2, 5, 5, 0])
    y = torch.tensor([1.0, 1, 4, 2, 3, 9, 0])
    count = torch.tensor([[2.0, 0, 1, 3, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1]])
    count = count.double()
    x, y = x.double(), y.double()
    said = module._agree(x, module._drawn(y, count), count)
    for found, times in zip(said, count, strict=True):
        copies = times.long()
        want = spearman(x.repeat_interleave(copies), y.repeat_interleave(copies))
        assert found.item() == pytest.approx(want, abs=1e-12)


def test_about_95_of_100_intervals_hold_the_truth_and_5_of_100_are_false_alarms():
    hits = alarms = 0
    for seed in range(200):
        x, z, y = columns(80, seed)
        found = correlation_gain(x, z, y, samples=400, generator=generator(seed))
        hits += found.low <= 0 <= found.high
        alarms += found.p < 0.05
    # five standard errors of 200 trials are 0.077
    assert 175 <= hits <= 200
    assert 1 <= alarms <= 25


def test_two_methods_that_say_nearly_the_same_are_told_apart_by_less():
    widths = []
    for between in (0.1, 0.9):
        x, z, y = columns(300, 0, between=between)
        found = correlation_gain(x, z, y, generator=generator(0))
        widths.append(found.high - found.low)
    assert widths[1] < 0.5 * widths[0]


def test_bootstrap_and_williams_agree_where_values_are_normal():
    x, z, y = columns(400, 3, x=0.3, z=0.45)
    found = correlation_gain(x, z, y, generator=generator(0), samples=5000)
    r = [spearman(a, b) for a, b in ((x, y), (z, y), (x, z))]
    tested = williams(r[0], r[1], r_xz=r[2], n=400)
    assert found.gain == pytest.approx(r[1] - r[0])
    error = (found.high - found.low) / 2 / 1.96
    assert found.gain / error == pytest.approx(tested.t, rel=0.15)
    x, z, y = columns(400, 4, x=0.3, z=0.35)
    found = correlation_gain(x, z, y, generator=generator(0), samples=5000)
    r = [spearman(a, b) for a, b in ((x, y), (z, y), (x, z))]
    p = williams(r[0], r[1], r_xz=r[2], n=400).p
    assert 0.02 < p < 0.6 and found.p == pytest.approx(p, rel=0.25)


def test_the_interval_is_that_of_scipy():
    x, z, y = columns(60, 5, x=0.2, z=0.5)

    def gain(x, z, y):
        rank = [stats.rankdata(v) for v in (x, z, y)]
        return stats.pearsonr(rank[1], rank[2])[0] - stats.pearsonr(rank[0], rank[2])[0]

    theirs = stats.bootstrap(
        [v.numpy() for v in (x, z, y)], gain, paired=True, vectorized=False,
        n_resamples=2000, method="percentile", rng=0,
    )  # fmt: skip
    found = correlation_gain(x, z, y, samples=4000, generator=generator(0))
    ends = theirs.confidence_interval
    # 2,000 draws leave about 0.01 open at either end
    assert found.low == pytest.approx(ends.low, abs=0.025)
    assert found.high == pytest.approx(ends.high, abs=0.025)


def test_laws():
    x, z, y = columns(40, 1)
    find = {"samples": 101}
    found = correlation_gain(x, z, y, generator=generator(0), **find)
    turned = correlation_gain(z, x, y, generator=generator(0), **find)
    assert turned.gain == pytest.approx(-found.gain)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert turned.p == pytest.approx(found.p)
    same = correlation_gain(x, x, y, generator=generator(0), **find)
    assert same == (0, 0, 0, 1)
    order = correlation_gain(x.exp(), z**3, y * 2, generator=generator(0), **find)
    assert order == pytest.approx(found)


def test_parts_of_the_draw_change_nothing(monkeypatch):
    x, z, y = columns(40, 1)
    before = correlation_gain(x, z, y, samples=101, generator=generator(0))
    monkeypatch.setattr(module, "CHUNK", 400)
    assert correlation_gain(x, z, y, samples=101, generator=generator(0)) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"x": [1.0, 2.0]}, "x expected as many as y, got 2 and 3"),
        ({"z": [1.0, 2.0]}, "z expected as many as y, got 2 and 3"),
        ({"y": [1.0, 2.0, math.nan]}, "y expected finite numbers, got 1 NaN"),
        ({"z": [1.0, 1.0, 1.0]}, "x expected to change, got the same value"),
        ({"level": 1.0}, "level expected a number between 0 and 1, got 1.0"),
        ({"samples": 0}, "samples expected a whole number from 1 up, got 0"),
    ],
)
def test_bad_input_gets_one_clear_sentence(change, sentence):
    given = {"x": [1.0, 2.0, 3.0], "z": [2.0, 1.0, 3.0], "y": [1.0, 3.0, 2.0]}
    with pytest.raises(ValueError, match=sentence):
        correlation_gain(**(given | change))
