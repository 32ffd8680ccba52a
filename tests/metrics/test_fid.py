"""Frechet distance: closed forms, its laws, few samples, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid, frechet_distance

SIZES = st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(1, 5))


def normal(n, d, g):
    return torch.randn(n, d, generator=g, dtype=torch.float64)


def distance(x, y):
    return fid(Features(x, "x"), Features(y, "x")).value


def a_rotation(d, g):
    return torch.linalg.qr(normal(d, d, g)).Q


def test_gaussians_with_the_same_axes_have_a_closed_form():
    g = generator(0)
    turn, one, two = a_rotation(4, g), *(normal(2, 4, g).exp())
    covariances = [turn @ v.diag() @ turn.T for v in (one, two)]
    means = normal(2, 4, g)
    # the squared distance of the means, and of the standard deviations
    want = (means[0] - means[1]).square().sum() + (
        one.sqrt() - two.sqrt()
    ).square().sum()
    found = frechet_distance(means[0], covariances[0], means[1], covariances[1])
    assert found == pytest.approx(want.item())


def test_the_distance_to_a_single_point_is_the_spread_and_the_way():
    zero, one = torch.zeros(3, 3), torch.eye(3)
    mean, other = torch.zeros(3), torch.tensor([1.0, 2.0, 2.0])
    assert frechet_distance(mean, one, other, zero) == pytest.approx(9 + 3)


@settings(deadline=None)
@given(SIZES, st.integers(0, 10_000))
def test_laws_of_a_squared_distance(sizes, seed):
    m, n, d = sizes
    g = generator(seed)
    x, y, z = normal(m, d, g), normal(n, d, g) + 1, normal(n, d, g)
    before = distance(x, y)
    assert before >= 0
    # fewer samples than features, too: nothing but rounding is left
    assert distance(x, x) == pytest.approx(0, abs=1e-9)
    assert distance(y, x) == pytest.approx(before)
    roots = [distance(*pair) ** 0.5 for pair in ((x, z), (x, y), (y, z))]
    assert roots[0] <= roots[1] + roots[2] + 1e-9
    turn, shift = a_rotation(d, g), normal(1, d, g)
    assert distance(x @ turn + shift, y @ turn + shift) == pytest.approx(before)
    assert distance(3 * x, 3 * y) == pytest.approx(9 * before)
    order = torch.randperm(m, generator=g)
    assert distance(x[order], y) == pytest.approx(before)


def test_a_shift_alone_gives_its_squared_length():
    x = normal(30, 5, generator(1))
    assert distance(x, x + 2) == pytest.approx(20)


def test_copies_change_the_covariance_only_by_dividing_by_n_minus_one():
    x, y = normal(200, 3, generator(2)), normal(200, 3, generator(3)) + 1
    assert distance(x.repeat(5, 1), y.repeat(5, 1)) == pytest.approx(
        distance(x, y), rel=0.01
    )


def test_covariances_divide_by_one_less_than_each_number_of_samples():
    # variances 2 / 1 and 4 / 3 around the same mean
    real = Features(torch.tensor([[0.0], [2.0]]), "pixels")
    fake = Features(torch.tensor([[0.0], [0.0], [2.0], [2.0]]), "pixels")
    found = (2**0.5 - (4 / 3) ** 0.5) ** 2
    assert fid(real, fake).value == pytest.approx(found)


def test_small_samples_make_it_too_large():
    values = []
    for n in (20, 80, 320):
        pairs = [normal(2 * n, 10, generator(seed)).split(n) for seed in range(5)]
        values.append(sum(distance(*pair) for pair in pairs))
    assert values[0] > 2 * values[1] > 4 * values[2] > 0


def test_far_from_zero_it_does_not_lose_its_digits():
    x = normal(50, 3, generator(4))
    y = x * 1.1
    assert distance(x + 1e6, y + 1e6) == pytest.approx(distance(x, y), rel=1e-6)


def test_one_feature_is_enough_and_one_sample_is_not():
    x = torch.tensor([[0.0], [2.0]])
    assert distance(x, x + 1) == pytest.approx(1)
    with pytest.raises(ValueError, match="two samples or more, .* got 1 and 2"):
        distance(x[:1], x)
    with pytest.raises(ValueError, match="two samples or more, .* got 2 and 1"):
        distance(x, x[:1])


def test_nan_in_moments_is_refused():
    good = torch.zeros(2), torch.eye(2)
    with pytest.raises(ValueError, match="mean expected finite numbers, got 1 NaN"):
        frechet_distance(*good, torch.tensor([0.0, torch.nan]), good[1])
