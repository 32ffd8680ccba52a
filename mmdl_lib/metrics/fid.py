r"""Frechet distance of two sets of features; with Inception's features it is the FID.

$$d^2 = \lVert \mu_1 - \mu_2 \rVert^2 +
\text{tr}\left(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\right)$$

Both sets are taken for Gaussians, with the means $\mu$ and the covariances $\Sigma$ of
the features; $d$ is then the 2-Wasserstein distance between the two Gaussians.

**Source** Heusel et al., NIPS 2017, arXiv 1706.08500, eq. (6); Dowson and Landau, 1982.
**Range** 0 up, lower is better; 0 if means and covariances are equal, whatever else is
not.
**Official implementation** `fid.py` of bioinf-jku/TTUR; `pytorch-fid` and torchmetrics.
**Quirks**

- FID is $d^2$, although it is called a distance.
- A finite sample makes it too large, the more so the smaller the sample and the wider
  the features: compare only values from equally many samples. With fewer samples than
  features the covariance has no full rank; the formula still holds, and so does this
  code, where the official one adds 1e-6 to the diagonal if its root fails.
- The official codes take the root of the product, which is not symmetric, and drop what
  is imaginary. We write $\Sigma_i = A_i A_i^T$; the trace of the root is the sum of the
  singular values of $A_1^T A_2$, real and never negative.
- Covariances divide by n - 1, so one picture has none.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_numbers
from mmdl_lib.metrics.features import Features, check_same_source


class FID(NamedTuple):
    """The squared distance, and which features it is measured in."""

    value: float
    source: str


def fid(real: Features, fake: Features) -> FID:
    """Frechet distance (squared) between two sets of features.

    Args:
        real: features of real pictures.
        fake: features of generated ones, by the same network.

    Raises:
        ValueError: features of two sources or widths, or fewer than two of either.

    Example:
        The same set, moved by (3, 4):

        >>> x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
        >>> moved = Features(x + torch.tensor([3.0, 4.0]), "pixels")
        >>> out = fid(Features(x, "pixels"), moved)
        >>> round(out.value, 6), out.source
        (25.0, 'pixels')
    """
    source = check_same_source(real, fake)
    if min(len(real), len(fake)) < 2:
        raise ValueError(
            "features expected two samples or more, as a covariance needs, got "
            f"{len(real)} and {len(fake)}."
        )
    return FID(frechet_distance(*_moments(real), *_moments(fake)), source)


def _moments(features: Features):
    values = features.values.double()
    # atleast_2d because the covariance of a single feature comes as a number
    return values.mean(0), torch.atleast_2d(values.T.cov())


def frechet_distance(
    mean: Float[Tensor, " d"],
    covariance: Float[Tensor, "d d"],
    other_mean: Float[Tensor, " d"],
    other_covariance: Float[Tensor, "d d"],
) -> float:
    """Squared Frechet distance between two Gaussians.

    Args:
        mean: of the first.
        covariance: of the first, symmetric and without negative eigenvalues.
        other_mean: of the second.
        other_covariance: of the second.

    Raises:
        ValueError: NaN or infinity, no floats, or shapes that do not fit.

    Example:
        Standard deviations 1 and 3, means 0 and 2: (0 - 2)^2 + (1 - 3)^2.

        >>> one, two = (torch.tensor([[v]], dtype=torch.float64) for v in (1, 9))
        >>> round(frechet_distance(0 * one[0], one, 0 * one[0] + 2, two), 9)
        8.0
    """
    for m, c in ((mean, covariance), (other_mean, other_covariance)):
        check_numbers("mean", m, "d")
        check_numbers("covariance", c, "d d")
        if not c.shape == 2 * m.shape == 2 * mean.shape:
            raise ValueError(
                f"covariance expected shape {tuple(2 * mean.shape)}, got "
                f"{tuple(c.shape)} for a mean of {tuple(m.shape)}."
            )
    one, two = covariance.double(), other_covariance.double()
    shift = (mean.double() - other_mean.double()).square().sum()
    root = torch.linalg.svdvals(_factor(one).T @ _factor(two)).sum()
    # eq. (6); rounding can leave a trifle below zero
    return (shift + one.trace() + two.trace() - 2 * root).clamp(min=0).item()


def _factor(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """A matrix A with covariance = A A^T."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()
