"""KID: by brute force, without bias, its subsets, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.kid import kid, mmd2

SIZES = st.tuples(st.integers(2, 7), st.integers(2, 7), st.integers(1, 4))


def kernel(a, b):
    return (float(a @ b) / len(a) + 1) ** 3


def by_pairs(x, y):
    m, n = len(x), len(y)
    own = sum(kernel(x[i], x[j]) for i in range(m) for j in range(m) if i != j)
    other = sum(kernel(y[i], y[j]) for i in range(n) for j in range(n) if i != j)
    across = sum(kernel(a, b) for a in x for b in y)
    return own / (m * (m - 1)) + other / (n * (n - 1)) - 2 * across / (m * n)


@settings(deadline=None)
@given(SIZES, st.integers(0, 10_000))
def test_one_pair_after_the_other_gives_the_same(sizes, seed):
    m, n, d = sizes
    g = generator(seed)
    x, y = (torch.randn(k, d, generator=g, dtype=torch.float64) for k in (m, n))
    found = mmd2(x, y)
    assert found == pytest.approx(by_pairs(x, y))
    assert mmd2(y, x) == pytest.approx(found)
    assert mmd2(x[torch.randperm(m, generator=g)], y) == pytest.approx(found)


def test_it_has_no_bias():
    g, values = generator(0), []
    for _ in range(2000):
        values.append(mmd2(*torch.randn(2, 5, 3, generator=g)))
    values = torch.tensor(values)
    error = values.std() / len(values) ** 0.5
    assert abs(values.mean()) < 3 * error
    assert values.min() < 0
    # the estimate that compares samples with themselves would lie far from zero
    assert error < 0.1


def test_it_grows_with_the_distance():
    x = torch.randn(100, 4, generator=generator(1))
    values = [mmd2(x, x + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)


def test_subsets_come_from_the_generator_and_the_whole_set_has_no_spread():
    g = generator(2)
    real, fake = (Features(torch.randn(30, 3, generator=g), "x") for _ in range(2))
    one, two, other = (
        kid(real, fake, subsets=5, size=10, generator=generator(s)) for s in (0, 0, 1)
    )
    assert one == two != other
    assert one.std > 0
    whole = kid(real, fake, subsets=4, size=30, generator=generator(3))
    assert whole.mean == pytest.approx(mmd2(real.values, fake.values))
    assert whole.std == pytest.approx(0, abs=1e-9)
    many = kid(real, fake, subsets=3000, size=10, generator=generator(4))
    assert many.mean == pytest.approx(whole.mean, abs=4 * many.std / 3000**0.5)


def test_bad_sizes_get_one_clear_sentence():
    x = Features(torch.zeros(5, 2), "x")
    for size in (1, 6):
        with pytest.raises(
            ValueError, match=f"size expected a whole number from 2 to 5, got {size}"
        ):
            kid(x, x, size=size)
    with pytest.raises(
        ValueError, match="subsets expected a whole number from 1 up, got 0"
    ):
        kid(x, x, subsets=0, size=2)
    with pytest.raises(ValueError, match="two samples or more, got 1"):
        kid(Features(x.values[:1], "x"), x, size=2)


def test_mean_and_deviation_are_those_of_the_subsets_that_the_generator_draws():
    g = generator(3)
    x, y = torch.randn(2, 9, 2, generator=g, dtype=torch.float64)
    real, fake = Features(x, "pixels"), Features(y, "pixels")
    found = kid(real, fake, subsets=3, size=4, generator=generator(7))
    draws, values = generator(7), []
    for _ in range(3):
        rows = [torch.randperm(9, generator=draws)[:4] for _ in range(2)]
        values.append(mmd2(x[rows[0]], y[rows[1]]))
    mean = sum(values) / 3
    spread = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5
    assert (found.mean, found.std) == pytest.approx((mean, spread))
