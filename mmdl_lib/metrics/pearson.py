r"""Pearson's correlation: how well a straight line says one value from the other.

$$r = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}
{\sqrt{\sum_i (x_i - \bar x)^2} \sqrt{\sum_i (y_i - \bar y)^2}}$$

**Source** Pearson 1895, doi 10.1098/rspl.1895.0041. GLUE (arXiv 1804.07461) scores
STS-B with it and with Spearman's.
**Range** -1 to 1; 0 says that no straight line helps.
**Official implementation** `scipy.stats.pearsonr`, as GLUE uses it.
**Quirks** It is not defined where one side never changes: scipy warns and returns NaN,
ours raises, for a NaN in a table of means poisons the row. Values are divided by the
largest one first, so that huge ones do not overflow when squared.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdl_lib.borders import check_finite, check_same_length


def pearson(
    x: Tensor | Sequence[float | int], y: Tensor | Sequence[float | int]
) -> float:
    """Pearson's correlation coefficient r.

    Args:
        x: (n,) values.
        y: (n,) values that belong to them.

    Returns:
        A number from -1 to 1.

    Raises:
        ValueError: fewer than two pairs, unequal lengths, NaN or infinity, or a side
            that never changes.

    Example:
        Deviations (-1, 0, 1) and (-1, 1, 0): 1 / (sqrt(2) sqrt(2)).

        >>> round(pearson([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), 4)
        0.5
    """
    x, y = (torch.as_tensor(v, dtype=torch.float64).flatten() for v in (x, y))
    check_same_length(x=x, y=y)
    if len(x) < 2:
        raise ValueError("expected at least two pairs, got one.")
    for name, values in (("x", x), ("y", y)):
        check_finite(name, values)
        if (values == values[0]).all():
            raise ValueError(f"expected {name} to change, got the same value always.")
    x, y = (v / v.abs().max() for v in (x, y))
    x, y = x - x.mean(), y - y.mean()
    return ((x / x.norm()) @ (y / y.norm())).clamp(-1, 1).item()
