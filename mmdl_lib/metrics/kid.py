r"""KID: kernel distance of two sets of features, free of bias.

$$\widehat{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{m (m - 1)} +
\frac{\sum_{i \ne j} k(y_i, y_j)}{n (n - 1)} - \frac{2 \sum_{i, j} k(x_i, y_j)}{m n}$$

$$k(x, y) = \left(\frac{x^T y}{d} + 1\right)^3$$

**Source** Binkowski et al., ICLR 2018, arXiv 1801.01401; the estimate is that of
Gretton et al., JMLR 2012.
**Range** Lower is better; 0 on average for equal distributions. It has no bias, so a
single value may lie below 0.
**Official implementation** `compute_scores.py` of mbinkowski/MMD-GAN; torchmetrics.
**Quirks** KID is $MMD^2$. It is the mean over random subsets, in torchmetrics 100 of
1,000; the standard deviation is that between subsets, which share samples: it is not
the error of the mean. Values are often printed times 1,000.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers
from mmdl_lib.metrics.features import Features, check_same_source


class KID(NamedTuple):
    """Mean and standard deviation over subsets, and which features were used."""

    mean: float
    std: float
    source: str


def kid(
    real: Features,
    fake: Features,
    *,
    subsets: int = 100,
    size: int = 1000,
    generator: torch.Generator | None = None,
) -> KID:
    """Kernel distance, as the mean over random subsets.

    Args:
        real: features of real pictures.
        fake: features of generated ones, by the same network.
        subsets: how many subsets are drawn.
        size: samples of each kind in a subset, without repetition.
        generator: of the subsets; each draws from the real samples first.

    Raises:
        ValueError: two sources or widths, fewer samples than a subset needs, or
            subsets of fewer than two.

    Example:
        One feature; all real ones are 1, all fake ones 0: kernels 8, 1 and 1.

        >>> one, zero = (Features(torch.full((4, 1), v), "pixels") for v in (1.0, 0.0))
        >>> kid(one, zero, subsets=2, size=3)
        KID(mean=7.0, std=0.0, source='pixels')
    """
    source = check_same_source(real, fake)
    if min(len(real), len(fake)) < 2:
        raise ValueError("features expected two samples or more, got 1.")
    check_number("size", size, 2, min(len(real), len(fake)), whole=True)
    check_number("subsets", subsets, 1, whole=True)
    values = []
    for _ in range(subsets):
        some = [
            x.values[torch.randperm(len(x), generator=generator)[:size]]
            for x in (real, fake)
        ]
        values.append(mmd2(*some))
    values = torch.tensor(values, dtype=torch.float64)
    return KID(values.mean().item(), values.std(correction=0).item(), source)


def mmd2(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]) -> float:
    """The unbiased estimate from two whole sets, of two samples at least.

    Raises:
        ValueError: fewer, two widths, no floats, NaN or infinity.

    Example:
        Two equal pairs. Each sample meets itself across the sets, but not within: the
        estimate is below zero.

        >>> x = torch.tensor([[0.0], [1.0]])
        >>> mmd2(x, x)  # 1 + 1 - 2 (1 + 1 + 1 + 8) / 4
        -3.5
    """
    for name, part in (("x", x), ("y", y)):
        check_numbers(name, part, "n d")
    m, n = len(x), len(y)
    if min(m, n) < 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            "x and y expected two samples or more of one width, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    x, y = x.double(), y.double()
    own, other = _kernel(x, x), _kernel(y, y)
    # a sample is not compared with itself
    within = (own.sum() - own.trace()) / (m * (m - 1))
    within = within + (other.sum() - other.trace()) / (n * (n - 1))
    return (within - 2 * _kernel(x, y).mean()).item()


def _kernel(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    return (x @ y.T / x.shape[1] + 1) ** 3
