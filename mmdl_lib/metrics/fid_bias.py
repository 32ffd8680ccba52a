r"""How much too large FID is because samples are finite, and a way around it.

For Gaussian features with covariance $\Sigma$, eigenvalues $\lambda_i$, and equal
distributions of $m$ real and $n$ generated pictures, to first order in $1/m$ and $1/n$,

$$\mathbb{E} \, d^2 \approx \left(\frac{1}{m} + \frac{1}{n}\right)
\left(\frac{5}{4} \sum_i \lambda_i +
\frac{1}{2} \sum_{i, j} \frac{\lambda_i \lambda_j}{\lambda_i + \lambda_j}\right).$$

The means differ by $\sum \lambda_i$ in the bracket; the rest is the second order of the
trace term, $\frac{1}{2} \sum_{ij} \Delta_{ij}^2 / (\lambda_i + \lambda_j)$, with the
variances $\lambda_i \lambda_j (1 + \delta_{ij})$ of an empirical covariance. With $d$
equal eigenvalues $\lambda$ the bracket is $\lambda d (d + 5) / 4$: the bias grows with
the square of the width.

**Source** the formula is derived here; extrapolation to infinitely many samples is that
of Chong and Forsyth, CVPR 2020, arXiv 1911.07023.
**Range** the bias is never negative; an extrapolated value can be, by chance.
**Official implementation** `fid_infinity` of mchong6/FID_IS_infinity, which adds
quasi-random noise for the generator; ours cuts subsets from given samples.
**Quirks** Features of networks are no Gaussians, so the formula is a guide. The bias
depends on the generator: equal numbers of pictures do not make it equal for two.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_items, check_number, check_numbers
from mmdl_lib.metrics.features import Features, check_same_source
from mmdl_lib.metrics.fid import FID, fid


def fid_bias(covariance: Float[Tensor, "d d"], real: int, fake: int) -> float:
    """Expected FID of two samples of one Gaussian, to first order.

    Args:
        covariance: of the features.
        real: how many real pictures.
        fake: how many generated ones.

    Raises:
        ValueError: no square matrix, NaN or infinity, or fewer than two of either.

    Example:
        One feature of variance 2: three halves of it, times 1/100 + 1/100.

        >>> round(fid_bias(torch.tensor([[2.0]]), 100, 100), 6)
        0.06
    """
    check_numbers("covariance", covariance, "d d")
    if 0 in covariance.shape or covariance.shape[0] != covariance.shape[1]:
        shape = tuple(covariance.shape)
        raise ValueError(f"covariance expected a square matrix, got shape {shape}.")
    check_number("real", real, 2, whole=True)
    check_number("fake", fake, 2, whole=True)
    value = torch.linalg.eigvalsh(covariance.double()).clamp(min=0)
    # a pair of zeros adds nothing
    pair = value[:, None] * value / (value[:, None] + value).clamp(min=1e-300)
    return (1 / real + 1 / fake) * (1.25 * value.sum() + 0.5 * pair.sum()).item()


def fid_at_infinity(
    real: Features,
    fake: Features,
    *,
    sizes: Sequence[int],
    repeats: int = 4,
    generator: torch.Generator | None = None,
) -> FID:
    """FID at 1 / n = 0 on the straight line through its values for subsets.

    Args:
        real: features of real pictures; all are used each time, so what their number
            adds to FID stays.
        fake: features of generated ones, by the same network.
        sizes: how many generated pictures the subsets hold, two sizes at least.
        repeats: subsets of each size.
        generator: of the subsets.

    Raises:
        ValueError: two sources or widths, one size, or one outside 2 to all.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> x = Features(torch.randn(20_000, 8, generator=g), "noise")
        >>> y = Features(torch.randn(800, 8, generator=g), "noise")
        >>> out = fid_at_infinity(x, y, sizes=[50, 100, 200], repeats=8, generator=g)
        >>> abs(out.value) < 0.7 * fid(x, y).value
        True
    """
    check_same_source(real, fake)
    check_number("repeats", repeats, 1, whole=True)
    check_items("sizes", sizes, int, least=2)
    for size in sizes:
        check_number("sizes", size, 2, len(fake), whole=True)
    if len(set(sizes)) < 2:
        raise ValueError(f"sizes expected two that differ, got {list(sizes)}.")
    rows = []
    for size in sizes:
        for _ in range(repeats):
            some = torch.randperm(len(fake), generator=generator)[:size]
            part = Features(fake.values[some.to(fake.values.device)], fake.source)
            rows.append((1 / size, fid(real, part).value))
    x, y = torch.tensor(rows, dtype=torch.float64).T
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return FID((y.mean() - slope * x.mean()).item(), fake.source)
