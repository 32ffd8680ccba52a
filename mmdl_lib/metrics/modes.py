"""How many modes of a known mixture a generator has found, and how well it hits them.

Only where the modes are known, as in a world that was made: a point counts as good when
it lies within a few deviations of a middle, and a mode as found when it has its share.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers


class Modes(NamedTuple):
    """What points have found.

    Attributes:
        found: number of modes with at least `least` of their fair share of points.
        good: share of the points within `reach` deviations of a middle, from 0 to 1.
        share: share of all points that are good and nearest to each mode, (k,).
    """

    found: int
    good: float
    share: Float[Tensor, " k"]


def modes(
    points: Float[Tensor, "n d"],
    centers: Float[Tensor, "k d"],
    *,
    deviation: float | int,
    reach: float | int = 3,
    least: float | int = 0.1,
) -> Modes:
    """Count the modes that points have found.

    Args:
        points: what was drawn.
        centers: the middles of the modes.
        deviation: of each mode, along each axis.
        reach: how many deviations from its middle a good point may lie.
        least: share of 1 / k, the fair share, from which a mode counts as found.

    Raises:
        ValueError: no points or no middles, other widths, numbers that are not finite.

    Example:
        >>> # two of three points lie on the first mode, the third on neither
        >>> points = torch.tensor([[0.0, 0.0], [0.1, 0.0], [1.0, 1.0]])
        >>> centers = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        >>> found = modes(points, centers, deviation=0.1)
        >>> found.found, round(found.good, 2)
        (1, 0.67)
    """
    check_numbers("points", points, "n d")
    check_numbers("centers", centers, "k d")
    check_number("deviation", deviation, above=0)
    check_number("reach", reach, above=0)
    check_number("least", least, 0, 1)
    if 0 in (len(points), len(centers)) or points.shape[1] != centers.shape[1]:
        raise ValueError(
            "points and centers expected rows of equal width, at least one each, got "
            f"{tuple(points.shape)} and {tuple(centers.shape)}."
        )
    far, nearest = torch.cdist(points, centers).min(1)
    good = far <= reach * deviation
    count = nearest[good].bincount(minlength=len(centers))
    fair = len(points) / len(centers)
    found = int((count >= max(1, least * fair)).sum())
    return Modes(found, good.double().mean().item(), count / len(points))
