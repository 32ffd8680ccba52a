"""Has a representation collapsed? Spread and effective rank of a batch of vectors.

Two numbers tell what a falling loss hides. The spread is zero when all vectors point
the same way (complete collapse). The effective rank also sees the other case: vectors
that differ, but only along a few directions (dimensional collapse).
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_numbers


def spread(vectors: Float[Tensor, "n d"]) -> float:
    """Deviation of directions: about 1 where they fill the sphere, 0 where they agree.

    Vectors get length one; the deviation of each coordinate is averaged and multiplied
    by sqrt(d), in the spirit of Chen and He 2021 (arXiv 2011.10566, section 4.1).

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.

    Example:
        >>> import torch
        >>> spread(torch.ones(4, 3))
        0.0
    """
    x = _checked(vectors)
    # 1e-12 of normalize keeps a vector of zeros where it is
    directions = F.normalize(x, dim=1)
    return (directions.std(0, correction=0).mean() * x.shape[1] ** 0.5).item()


def effective_rank(vectors: Float[Tensor, "n d"]) -> float:
    """Exponential of the entropy of the singular values, from 1 to min(n, d).

    The singular values of the centered vectors are divided by their sum first (Roy and
    Vetterli 2007, "The effective rank"). Vectors that are all equal have rank 1 here.

    Raises:
        ValueError: as in `spread`.

    Example:
        >>> import torch
        >>> round(effective_rank(torch.cat([torch.eye(3), -torch.eye(3)])), 3)
        3.0
    """
    x = _checked(vectors)
    values = (x - x.mean(0)).svd().S
    # rounding leaves a trace of the mean even where all vectors are equal
    if values.sum() <= 1e-9 * x.norm():
        return 1.0
    share = values / values.sum()
    return (-(share * share.clamp(min=1e-30).log()).sum()).exp().item()


def _checked(vectors: Tensor) -> Tensor:
    check_numbers("vectors", vectors, "n d")
    if len(vectors) < 2 or vectors.shape[1] == 0:
        raise ValueError(
            f"vectors expected at least two, got shape {tuple(vectors.shape)}."
        )
    return vectors.detach().cpu().double()
