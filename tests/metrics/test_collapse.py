"""Spread and effective rank: their ends, their laws, a case by hand."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.metrics.collapse import effective_rank, spread


def test_equal_vectors_have_no_spread_and_rank_one():
    same = torch.tensor([[0.3, -1.7, 2.9]]).repeat(50, 1)
    assert spread(same) == pytest.approx(0, abs=1e-7)
    assert effective_rank(same) == 1


def test_vectors_in_all_directions_have_spread_one_and_full_rank():
    x = torch.randn(20_000, 8, generator=generator(0))
    assert spread(x) == pytest.approx(1, abs=0.01)
    assert effective_rank(x) == pytest.approx(8, abs=0.01)


def test_a_line_has_rank_one_and_a_plane_rank_two():
    g = generator(1)
    line = torch.randn(500, 1, generator=g) @ torch.randn(1, 6, generator=g) + 3
    assert effective_rank(line) == pytest.approx(1, abs=1e-4)
    t = torch.arange(360) * math.pi / 180
    circle = torch.stack([t.cos(), t.sin(), 0 * t], 1)
    assert effective_rank(circle) == pytest.approx(2, abs=1e-6)


def test_spread_ignores_lengths_and_rank_ignores_the_mean_and_scale():
    g = generator(2)
    x = torch.randn(100, 5, generator=g)
    lengths = torch.rand(100, 1, generator=g) + 0.5
    assert spread(lengths * x) == pytest.approx(spread(x), rel=1e-6)
    assert effective_rank(3 * x + 7) == pytest.approx(effective_rank(x), rel=1e-5)


def test_effective_rank_by_hand():
    # singular values 3 and 1: shares 3/4 and 1/4
    x = torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(x) == pytest.approx(math.exp(entropy), rel=1e-6)


def test_one_vector_and_nan_are_named():
    with pytest.raises(ValueError, match="at least two, got shape \\(1, 3\\)"):
        spread(torch.ones(1, 3))
    with pytest.raises(ValueError, match="finite"):
        effective_rank(torch.tensor([[1.0], [math.nan]]))
