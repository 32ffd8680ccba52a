"""Win rate: by hand, coverage of its interval, its laws, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from mmdl_lib.core import generator
from mmdl_lib.metrics import win_rate as module
from mmdl_lib.metrics.win_rate import win_rate


def test_an_example_by_hand():
    assert win_rate(torch.tensor([1.0, 1.0, 0.5, 0.0])).rate == 0.625


@pytest.mark.parametrize(("n", "wins"), [(20, 10), (50, 35), (200, 20)])
def test_the_interval_is_that_of_the_binomial_law(n, wins):
    outcomes = (torch.arange(n) < wins).float()
    out = win_rate(outcomes, generator=generator(0))
    want = binom.ppf([0.025, 0.975], n, wins / n) / n
    # the law has steps of 1 / n, and the draw may fall on either side of an end
    assert out.low == pytest.approx(want[0], abs=1.01 / n)
    assert out.high == pytest.approx(want[1], abs=1.01 / n)


def test_about_95_of_100_intervals_hold_the_truth():
    g, hits = generator(1), 0
    for _ in range(200):
        outcomes = (torch.rand(100, generator=g) < 0.6).float()
        out = win_rate(outcomes, samples=1000, generator=g)
        hits += out.low <= 0.6 <= out.high
    assert 180 <= hits <= 198


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30))
def test_laws(outcomes):
    outcomes = torch.tensor(outcomes)
    out, again = (
        win_rate(outcomes, samples=200, generator=generator(0)) for _ in range(2)
    )
    assert out == again
    assert 0 <= out.low <= out.high <= 1
    other = win_rate(1 - outcomes, samples=200, generator=generator(0))
    assert other.rate == pytest.approx(1 - out.rate)
    assert (other.low, other.high) == pytest.approx((1 - out.high, 1 - out.low))
    assert win_rate(outcomes.flip(0)).rate == pytest.approx(out.rate)
    one = win_rate(torch.ones(len(outcomes)), samples=50)
    assert one == (1, 1, 1)


def test_more_prompts_and_a_lower_level_make_it_narrower():
    outcomes = torch.tensor([1.0, 0.0, 1.0])
    widths = []
    for copies, level in ((10, 0.95), (10, 0.5), (100, 0.5)):
        out = win_rate(outcomes.repeat(copies), level=level, generator=generator(0))
        widths.append(out.high - out.low)
    assert widths[0] > widths[1] > widths[2]


def test_parts_of_the_draw_change_nothing(monkeypatch):
    outcomes = (torch.arange(40) < 25).float()
    before = win_rate(outcomes, samples=101, generator=generator(0))
    monkeypatch.setattr(module, "CHUNK", 400)
    after = win_rate(outcomes, samples=101, generator=generator(0))
    assert after == before


@pytest.mark.parametrize(
    ("outcomes", "settings", "sentence"),
    [
        ([], {}, "outcomes expected at least one"),
        ([1.0, torch.nan], {}, "outcomes expected finite numbers, got 1 NaN"),
        ([1.0, 2.0], {}, "expected 0 to 1, got 1 to 2"),
        ([-1.0, 1.0], {}, "expected 0 to 1, got -1 to 1"),
        ([1.0], {"level": 1.0}, "level expected a number between 0 and 1, got 1.0"),
        ([1.0], {"samples": 0}, "samples expected a whole number from 1 up, got 0"),
    ],
)
def test_bad_outcomes_get_one_clear_sentence(outcomes, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        win_rate(torch.tensor(outcomes), **settings)
