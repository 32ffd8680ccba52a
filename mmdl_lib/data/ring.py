"""Eight small Gaussians on a circle: the plane's smallest picture of many modes."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number

MODES, RADIUS, DEVIATION = 8, 2.0, 0.04


def centers() -> Float[Tensor, "k 2"]:
    """Their middles, from the right, against the clock."""
    angle = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def sample(n: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "n 2"]:
    """Points from all eight, each equally likely.

    Raises:
        ValueError: no whole number above 0.
    """
    check_number("n", n, 1, whole=True)
    which = torch.randint(MODES, (n,), generator=generator)
    return centers()[which] + DEVIATION * torch.randn(n, 2, generator=generator)
