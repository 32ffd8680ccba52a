"""Steps of the random views against kornia's functions."""

import kornia
import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import views

FACTOR = torch.tensor([0.2, 0.7, 1.0, 1.3, 1.8, 0.0])


def pictures(h=16, w=20):
    """Pictures in [0, 1], kornia's range."""
    return torch.rand(6, 3, h, w, generator=generator(0))


def ours(step, x, *given):
    return (step(2 * x - 1, *given) + 1) / 2


def peers():
    enhance, color = kornia.enhance, kornia.color
    turn = FACTOR - 0.9
    yield "brightness", FACTOR, enhance.adjust_brightness_accumulative
    yield "contrast", FACTOR, enhance.adjust_contrast_with_mean_subtraction
    yield "saturation", FACTOR, enhance.adjust_saturation_with_gray_subtraction
    # kornia counts the wheel in radians
    yield "hue", turn, lambda x, t: enhance.adjust_hue(x, 2 * torch.pi * t)
    yield "gray", None, lambda x: color.rgb_to_grayscale(x).expand_as(x)
    yield "solarize", None, lambda x: enhance.solarize(x, 0.5)


@pytest.mark.parametrize(("name", "value", "peer"), list(peers()))
def test_kornia_agrees_on_colors(name, value, peer, agree):
    given = () if value is None else (value,)
    agree(
        f"augmentation {name}",
        ours(getattr(views, name), pictures(), *given),
        peer(pictures(), *given),
        tolerance=1e-5,
        ours=f"mmdl_lib.data.views.{name}",
        package="kornia",
        reference="kornia",
    )


def test_kornia_agrees_on_blur_and_edges(agree):
    x, sigma = pictures(33, 33), torch.linspace(0.4, 1.2, 6)
    peer = kornia.filters.gaussian_blur2d(x, (15, 15), sigma[:, None].expand(6, 2))
    inside = slice(8, -8)  # where no border is near
    agree(
        "augmentation blur, away from the border",
        ours(views.blur, x, sigma)[..., inside, inside],
        peer[..., inside, inside],
        tolerance=1e-5,
        ours="mmdl_lib.data.views.blur",
        package="kornia",
        reference="kornia",
    )
    slopes = kornia.filters.spatial_gradient(x, mode="sobel", normalized=True)
    agree(
        "augmentation sobel",
        ours(views.sobel, x),
        (2 * slopes.square().sum(2).sqrt()).clamp(0, 1),
        tolerance=1e-5,
        ours="mmdl_lib.data.views.sobel",
        package="kornia",
        reference="kornia",
    )
