r"""Precision and recall of a generator: is it realistic, and does it cover the data?

$$\text{precision} = \frac{1}{n} \sum_j [\, y_j \in M(X) \,],\quad
\text{recall} = \frac{1}{m} \sum_i [\, x_i \in M(Y) \,],\quad
M(X) = \bigcup_i B\left(x_i, \lVert x_i - NN_k(x_i) \rVert\right)$$

$X$ are features of $m$ real pictures, $Y$ of $n$ generated ones. The region $M$ that a
set covers is the union of balls around its points, each reaching to the k-th nearest
neighbor in the set.

**Source** Kynkaanniemi et al., NeurIPS 2019, arXiv 1904.06991, section 2.
**Range** 0 to 1, higher is better.
**Official implementation** kynkaat/improved-precision-and-recall-metric.
**Quirks** The border belongs to a ball. A point is not its own neighbor, but a copy of
it is, so k + 1 equal points make balls of radius 0. Balls of far outliers are large,
and one of them may cover everything. The values depend on the numbers of samples and on
k (3 by habit), so keep both fixed.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.metrics.features import Features, check_same_source

ROWS = 1024  # of the table of distances at a time


class PrecisionRecall(NamedTuple):
    """Both shares, and which features were used."""

    precision: float
    recall: float
    source: str


def precision_recall(real: Features, fake: Features, *, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall.

    Args:
        real: features of real pictures.
        fake: features of generated ones, by the same network.
        k: a ball reaches to the k-th nearest neighbor.

    Raises:
        ValueError: two sources or widths, or not more than k samples of each kind.

    Example:
        A generator that has learned one of two clusters well:

        >>> real = Features(torch.tensor([[0.0], [1.0], [10.0], [11.0]]), "pixels")
        >>> fake = Features(torch.tensor([[0.2], [0.7], [0.9]]), "pixels")
        >>> precision_recall(real, fake, k=1)
        PrecisionRecall(precision=1.0, recall=0.5, source='pixels')
    """
    source = check_same_source(real, fake)
    if min(len(real), len(fake)) < 2:
        raise ValueError("features expected two samples or more, got 1.")
    check_number("k", k, 1, min(len(real), len(fake)) - 1, whole=True)
    x, y = real.values.double(), fake.values.double()
    precision, recall = _inside(y, x, k), _inside(x, y, k)
    return PrecisionRecall(
        precision.double().mean().item(), recall.double().mean().item(), source
    )


def _squared(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]):
    """Squared distances, some rows of the table at a time."""
    for some in x.split(ROWS):
        size = some.square().sum(1, keepdim=True) + y.square().sum(1)
        far = size - 2 * some @ y.T
        # equal points are at distance 0, whatever rounding leaves
        yield far.where(far > 1e-12 * size, 0)


def _inside(points: Float[Tensor, "m d"], of: Float[Tensor, "n d"], k: int):
    """Which points lie in the region that a set covers."""
    center = of.mean(0)
    points, of = points - center, of - center
    # the nearest of all is the point itself
    radius = torch.cat([far.kthvalue(k + 1, 1).values for far in _squared(of, of)])
    # the border belongs to the ball, so rounding must not push it out
    radius = radius * (1 + 1e-9)
    return torch.cat([(far <= radius).any(1) for far in _squared(points, of)])
