r"""Spearman's rank correlation: do two values put things in the same order?

$$\rho = r(\text{rank}(x), \text{rank}(y))$$

with Pearson's r. Equal values share the mean of the ranks that they fill; the textbook
formula $1 - 6 \sum d_i^2 / (n^3 - n)$ holds only without such ties.

**Source** Spearman 1904, doi 10.2307/1412159. Word similarity sets and STS-B in GLUE
(arXiv 1804.07461) are scored with it.
**Range** -1 (order reversed) to 1 (same order).
**Official implementation** `scipy.stats.spearmanr`.
**Quirks** Not defined where one side never changes: scipy warns and returns NaN, ours
raises. Any function that keeps the order changes nothing, so nothing is said about how
far apart two values are.
"""

from collections.abc import Sequence

from torch import Tensor

from mmdl_lib.borders import check_same_length
from mmdl_lib.metrics.pearson import check_column, pearson


def ranks(values: Tensor | Sequence[float | int]) -> Tensor:
    """Ranks from 1; equal values share their mean rank.

    Raises:
        ValueError: NaN or infinity, or more than one axis.

    Example:
        >>> ranks([10.0, 30.0, 10.0, 20.0]).tolist()
        [1.5, 4.0, 1.5, 3.0]
    """
    values = check_column("values", values)
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    # the last rank of a group is the number of values up to it
    last = count.cumsum(0)
    return (last - (count - 1) / 2).double()[place]


def spearman(
    x: Tensor | Sequence[float | int], y: Tensor | Sequence[float | int]
) -> float:
    """Spearman's rank correlation coefficient.

    Args:
        x: (n,) values.
        y: (n,) values that belong to them.

    Returns:
        A number from -1 to 1.

    Raises:
        ValueError: fewer than two pairs, unequal lengths, NaN or infinity, or a side
            that never changes.

    Example:
        Ranks (1.5, 1.5, 3) and (1, 2, 3): 1.5 / (sqrt(1.5) sqrt(2)).

        >>> round(spearman([5.0, 5.0, 9.0], [0.1, 0.2, 70.0]), 4)
        0.866
    """
    x, y = check_column("x", x), check_column("y", y)
    check_same_length(x=x, y=y)
    return pearson(ranks(x), ranks(y))
