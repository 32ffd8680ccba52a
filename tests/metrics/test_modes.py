"""Modes found: counted by hand, and the ways to be wrong that must count as such."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import ring
from mmdl_lib.metrics.modes import modes

CENTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0]])


def test_a_hand_computed_example():
    points = torch.tensor([[0.0, 2.9], [0.5, 0.0], [10.0, 0.0], [5.0, 0.0]])
    found = modes(points, CENTERS, deviation=1)
    assert found.found == 2 and found.good == 0.75
    assert found.share.tolist() == [0.5, 0.25]
    assert modes(points, CENTERS, deviation=1, reach=2).good == 0.5


def test_a_mode_needs_its_least_share_and_a_point_within_reach():
    points = CENTERS[[0] * 99 + [1]]
    assert modes(points, CENTERS, deviation=1).found == 1  # 1 of 50 is too few
    assert modes(points, CENTERS, deviation=1, least=0.02).found == 2
    assert modes(points, CENTERS, deviation=1, least=0).found == 2
    # no point at all is never found, however small the least share
    assert modes(points[:99], CENTERS, deviation=1, least=0).found == 1


def test_the_data_itself_finds_all_modes_and_one_place_finds_one():
    points = ring.sample(4000, generator=generator(0))
    true = modes(points, ring.centers(), deviation=ring.DEVIATION)
    assert true.found == 8
    # two normal numbers within three deviations: 1 - exp(-9 / 2) = 0.989
    assert true.good == pytest.approx(0.989, abs=0.006)
    one = modes(points[:1].expand(500, 2), ring.centers(), deviation=ring.DEVIATION)
    assert one.found == 1
    far = modes(points + 9, ring.centers(), deviation=ring.DEVIATION)
    assert (far.found, far.good) == (0, 0.0)


def test_the_ring_is_eight_equal_parts_at_radius_two():
    assert torch.allclose(ring.centers().norm(dim=1), torch.full((8,), 2.0))
    assert torch.allclose(ring.centers().sum(0), torch.zeros(2), atol=1e-5)
    with pytest.raises(ValueError, match="n expected a whole number from 1 up"):
        ring.sample(0)
