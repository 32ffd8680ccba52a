r"""Pearson's correlation: how well a straight line says one value from the other.

$$r = \frac{\sum_i (x_i - \bar x)(y_i - \bar y)}
{\sqrt{\sum_i (x_i - \bar x)^2} \sqrt{\sum_i (y_i - \bar y)^2}}$$

**Source** Pearson 1895, doi 10.1098/rspl.1895.0041. GLUE (arXiv 1804.07461) scores
STS-B with it and with Spearman's.
**Range** -1 to 1; 0 says that no straight line helps.
**Official implementation** `scipy.stats.pearsonr`, as GLUE uses it.
**Quirks** It is not defined where one side never changes: scipy warns and returns NaN,
ours raises, for a NaN in a table of means poisons the row. Values are divided by a
power of two first, so that huge ones do not overflow when squared; that loses no digit.
"""

from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from mmdl_lib.borders import check_items, check_numbers, check_same_length


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
    x, y = check_column("x", x), check_column("y", y)
    check_same_length(x=x, y=y)
    if len(x) < 2:
        raise ValueError("x and y expected at least two pairs, got one.")
    for name, values in (("x", x), ("y", y)):
        if (values == values[0]).all():
            raise ValueError(f"{name} expected to change, got the same value always.")
    x, y = _direction(x), _direction(y)
    return (x @ y).clamp(-1, 1).item()


def check_column(name: str, values: Tensor | Sequence[float | int]) -> Tensor:
    """Finite numbers in float64.

    Raises:
        ValueError: something else, or more than one axis.

    Example:
        >>> check_column("x", [1, 2.5]).tolist()
        [1.0, 2.5]
    """
    if not isinstance(values, Tensor):
        check_items(name, values, Real, least=0)
        values = torch.tensor(values, dtype=torch.float64)
    values = values.double()
    check_numbers(name, values)
    return values


def _direction(values: Tensor) -> Tensor:
    """Deviations from the mean, as a vector of length one."""
    # a power of two: it takes away no digit, and squares stay in range
    exponent = torch.frexp(values.abs().max()).exponent
    values = torch.ldexp(values, -exponent)
    # far from zero the mean is rounded, and what is left of it is taken off once more
    values = values - values.mean()
    values = values - values.mean()
    values = torch.ldexp(values, -torch.frexp(values.abs().max()).exponent)
    return values / values.norm()
