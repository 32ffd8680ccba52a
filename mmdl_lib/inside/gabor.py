"""Gabor filters, and how much of a learned filter is one."""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor


def gabor(
    angle: float,
    phase: float = 0.0,
    *,
    size: int = 15,
    wave: float = 6.0,
    sigma: float = 2.8,
    center: tuple[float | int, float | int] = (0.0, 0.0),
) -> Float[Tensor, "size size"]:
    """A wave inside a window, with mean zero and length one.

    Args:
        angle: across which direction the wave runs, in radians; 0 finds upright edges.
        phase: of the wave at the center; 0 is even, pi / 2 odd.
        size: height and width.
        wave: length of the wave in pixels.
        sigma: width of the window in pixels.
        center: x and y of the window, seen from the middle of the filter.
    """
    y, x = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    x, y = x - center[0], y - center[1]
    along = x * math.cos(angle) + y * math.sin(angle)
    window = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
    filter = window * torch.cos(2 * math.pi * along / wave + phase)
    # even light gives no answer
    filter = filter - window * filter.sum() / window.sum()
    return filter / filter.norm()


def gabor_share(filters: Float[Tensor, "n c size size"]) -> Float[Tensor, " n"]:
    """Share of each filter, in [0, 1], that the best Gabor of a grid explains.

    A filter of several colors is reduced to its strongest mix of them and its mean is
    taken away. The grid has 8 angles, 3 waves, 2 windows, 9 places and any phase; so
    many tries fit something to noise as well, hence compare with random filters.
    """
    size = filters.shape[-1]
    bank = []
    for angle, wave, sigma, dx, dy in itertools.product(
        range(8), (0.6, 1.0, 1.6), (0.2, 0.35), (-1, 0, 1), (-1, 0, 1)
    ):
        place = {"center": (0.2 * size * dx, 0.2 * size * dy), "size": size}
        place |= {"wave": wave * size, "sigma": sigma * size}
        pair = [gabor(angle * math.pi / 8, p, **place) for p in (0.0, math.pi / 2)]
        # an orthonormal basis of the two, so that any phase can be reached
        bank.append(torch.linalg.qr(torch.stack(pair).flatten(1).T).Q.T)
    flat = filters.flatten(2) - filters.flatten(2).mean(2, keepdim=True)
    strongest = torch.linalg.svd(flat, full_matrices=False).Vh[:, 0]
    found = torch.einsum("gpk,nk->ngp", torch.stack(bank), strongest)
    return found.square().sum(2).max(1).values
