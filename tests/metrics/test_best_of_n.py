"""Best of n: all sets by brute force, closed forms, laws, and what it refuses."""

import math
from itertools import combinations

import pytest
import torch
from scipy.stats import norm

from mmdl_lib.core import generator
from mmdl_lib.metrics.best_of_n import best_of_n, normal_maximum


def draws(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7])
def test_it_is_the_mean_over_all_sets(n):
    values, other = draws(4, 7), draws(4, 7, seed=1)
    best, shown = [], []
    for row, judged in zip(values.tolist(), other.tolist(), strict=True):
        for some in combinations(range(7), n):
            top = max(some, key=lambda i: row[i])
            best.append(row[top])
            shown.append(judged[top])
    assert best_of_n(values, n) == pytest.approx(sum(best) / len(best))
    found = best_of_n(values, n, judged=other)
    assert found == pytest.approx(sum(shown) / len(shown))


def test_zeros_and_ones_follow_one_minus_the_power():
    p, n = 0.3, 8
    values = (draws(4000, 40) < p).float()
    assert best_of_n(values, n) == pytest.approx(1 - (1 - p) ** n, abs=0.006)


def test_one_draw_is_the_mean_and_it_never_falls_with_n():
    values = draws(5, 16)
    found = [best_of_n(values, n) for n in range(1, 17)]
    assert found[0] == pytest.approx(values.double().mean().item())
    assert found[-1] == pytest.approx(values.double().amax(1).mean().item())
    assert all(a <= b for a, b in zip(found, found[1:], strict=False))


def test_the_mean_over_two_halves_has_no_bias():
    values = torch.randn(20_000, 6, generator=generator(3))
    assert best_of_n(values, 5) == pytest.approx(normal_maximum(5), abs=0.02)


def test_a_judge_who_disagrees_sees_it_fall():
    values = draws(50, 8)
    assert best_of_n(values, 4, judged=1 - values) < best_of_n(1 - values, 1)
    constant = torch.ones(50, 8)
    assert best_of_n(values, 4, judged=constant) == pytest.approx(1)


def test_normal_maxima_have_the_known_closed_forms():
    root = math.sqrt(math.pi)
    want = {1: 0, 2: 1 / root, 3: 1.5 / root}
    want[4] = 6 / root / math.pi * math.atan(math.sqrt(2))
    for n, value in want.items():
        assert normal_maximum(n) == pytest.approx(value, abs=1e-9)
    # far out the median of the maximum is near
    assert normal_maximum(10_000) == pytest.approx(norm.ppf(0.5**1e-4), abs=0.1)


@pytest.mark.usefixtures("as_a_reader")
@pytest.mark.parametrize(
    ("values", "n", "judged", "sentence"),
    [
        (torch.ones(2, 3), 4, None, "n expected a whole number from 1 to 3, got 4"),
        (torch.ones(2, 3), 0, None, "n expected a whole number from 1 to 3, got 0"),
        (torch.ones(0, 3), 1, None, "values expected some, got shape"),
        (torch.ones(2, 3), 1, torch.ones(2, 2), "judged expected shape"),
        (torch.ones(3), 1, None, "values expected floats of shape"),
    ],
)
def test_bad_input_gets_one_sentence(values, n, judged, sentence):
    with pytest.raises(ValueError, match=sentence):
        best_of_n(values, n, judged=judged)
