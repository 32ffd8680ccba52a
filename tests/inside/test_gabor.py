"""Gabor filters: blind to even light, tuned to an angle; shares of known filters."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.inside.gabor import gabor, gabor_share


def grating(angle, size=15, wave=6.0):
    y, x = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    return torch.cos(2 * math.pi / wave * (x * math.cos(angle) + y * math.sin(angle)))


@pytest.mark.parametrize("phase", [0.0, 0.7, math.pi / 2])
def test_even_light_gives_no_answer_and_the_length_is_one(phase):
    g = gabor(0.4, phase, center=(1, -1))
    assert g.sum().abs() < 1e-5 and g.norm().item() == pytest.approx(1)


def test_the_answer_is_largest_at_its_own_angle():
    answers = [
        (gabor(math.radians(30)) * grating(math.radians(a))).sum()
        for a in range(0, 180, 15)
    ]
    assert torch.stack(answers).argmax() == 2


def test_angle_zero_finds_upright_edges():
    edge = torch.ones(15, 15)
    edge[:, :7], edge[:, 7] = -1, 0
    odd = [(gabor(a, math.pi / 2) * edge).sum().abs() for a in (0.0, math.pi / 2)]
    assert odd[0] > 1 and odd[1] < 1e-4


def test_a_gabor_is_all_gabor_in_any_phase_and_color():
    color = torch.tensor([0.5, -1.0, 0.2])[:, None, None]
    own = [gabor(math.pi / 4, p, size=7, wave=7.0, sigma=2.45) for p in (0.0, 0.4, 2.0)]
    filters = torch.stack([color * g + 3 for g in own])
    assert (gabor_share(filters) > 0.99).all()


def test_noise_is_gabor_in_part_only():
    share = gabor_share(torch.randn(64, 3, 7, 7, generator=generator(0)))
    assert 0.1 < share.mean() < 0.3 and share.max() < 0.6
