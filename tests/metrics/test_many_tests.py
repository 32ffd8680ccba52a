"""Many tests: by hand, closed testing, false alarms, their laws, what they refuse."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mmdl_lib.core import generator
from mmdl_lib.metrics.many_tests import benjamini_hochberg, bonferroni, holm

ALL = (bonferroni, holm, benjamini_hochberg)
shares = st.lists(st.integers(0, 50).map(lambda x: x / 50), min_size=1, max_size=6)


def test_by_hand():
    p = [0.02, 0.01, 0.3, 0.025]
    assert bonferroni(p).tolist() == pytest.approx([0.08, 0.04, 1, 0.1])
    # 4 * 0.01, 3 * 0.02, 2 * 0.025 raised to 0.06, 1 * 0.3
    assert holm(p).tolist() == pytest.approx([0.06, 0.04, 0.3, 0.06])
    # 0.3, 4/3 * 0.025, 4/2 * 0.02 lowered to it, 4 * 0.01 too
    want = [0.1 / 3, 0.1 / 3, 0.3, 0.1 / 3]
    assert benjamini_hochberg(p).tolist() == pytest.approx(want)


@given(shares)
def test_holm_is_the_closed_test_of_bonferroni(p):
    # a test is adjusted to the largest Bonferroni p of all sets that hold it
    rows = range(len(p))
    sets = [s for k in rows for s in combinations(rows, k + 1)]
    joint = {s: min(1, len(s) * min(p[i] for i in s)) for s in sets}
    want = [max(joint[s] for s in sets if i in s) for i in rows]
    assert holm(p).tolist() == pytest.approx(want)


@given(shares)
def test_benjamini_hochberg_is_that_of_scipy(p):
    want = stats.false_discovery_control(p)
    assert benjamini_hochberg(p).tolist() == pytest.approx(want)


@given(shares)
def test_laws(p):
    p = torch.tensor(p, dtype=torch.float64)
    one, two, three = (adjust(p) for adjust in ALL)
    assert (p <= three + 1e-12).all()
    assert (three <= two + 1e-12).all() and (two <= one + 1e-12).all()
    assert (one <= 1).all()
    order = torch.randperm(len(p), generator=generator(len(p)))
    for adjust, found in zip(ALL, (one, two, three), strict=True):
        assert torch.allclose(adjust(p[order]), found[order])
        assert torch.allclose(adjust(p[:1]), p[:1])


def test_false_alarms_stay_at_five_of_a_hundred():
    g = generator(0)
    nothing = torch.rand(2000, 40, generator=g, dtype=torch.float64)
    anything = [(nothing < 0.05).any(1).double().mean().item()]
    for adjust in ALL:
        alarms = torch.stack([adjust(row) for row in nothing]) < 0.05
        anything.append(alarms.any(1).double().mean().item())
    assert anything[0] == pytest.approx(1 - 0.95**40, abs=0.03)
    assert anything[1:] == pytest.approx([0.05] * 3, abs=0.015)


def test_the_share_of_false_alarms_is_kept_where_much_is_there():
    g = generator(1)
    p = torch.rand(1000, 40, generator=g, dtype=torch.float64)
    p[:, :20] = p[:, :20] ** 8  # twenty of forty are no nothing
    alarms = torch.stack([benjamini_hochberg(row) for row in p]) < 0.05
    strict = torch.stack([holm(row) for row in p]) < 0.05
    false = alarms[:, 20:].sum(1) / alarms.sum(1).clamp(min=1)
    # half of the tests are on nothing, which halves the share
    assert false.mean().item() == pytest.approx(0.025, abs=0.01)
    assert strict[:, 20:].any(1).double().mean() < 0.05
    assert alarms[:, :20].sum() > 1.3 * strict[:, :20].sum()


@pytest.mark.parametrize("adjust", ALL)
@pytest.mark.parametrize(
    ("p", "sentence"),
    [
        ([], "p expected at least one p-value, got none"),
        ([0.1, 1.2], "p expected 0 to 1, got 0.1 to 1.2"),
        ([-0.1, 0.2], "p expected 0 to 1, got -0.1 to 0.2"),
        ([0.1, float("nan")], "p expected finite numbers, got 1 NaN"),
    ],
)
def test_bad_shares_get_one_clear_sentence(adjust, p, sentence):
    with pytest.raises(ValueError, match=sentence):
        adjust(p)
