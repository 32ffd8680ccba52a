r"""Gain of one method's rank correlation with people over another's, on the same items.

$$g = \rho(z, y) - \rho(x, y)$$

with Spearman's $\rho$, people's scores $y$ and what the methods say, $x$ and $z$. The
interval is the paired percentile bootstrap's: draw n items with repetition, take both
correlations on this draw, keep their difference, do so many times, and cut off 2.5
percent at either end. A draw that is hard for one method is hard for the other, so the
difference moves less than two separate intervals suggest.

**Source** Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13
and 15.
**Range** -2 to 2; 0 where both agree with people equally well. p lies above 0 and is 1
at most.
**Official implementation** None; `scipy.stats.bootstrap`, paired, by
percentiles, with a difference of `spearmanr` gives the same interval up to the
luck of the draw.
**Quirks** All three need the same items: leave out what one method lacks for all
methods first. p is twice the smaller share of draws on either side of zero, where one
is added to shares and draws, so that it is never 0; it is no less than 2 / (draws + 1).
Items drawn twice are ties, and share their mean rank. Draws in which a side never
changes are left out. Items that share a word are not independent, and the interval is
then too narrow.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_same_length
from mmdl_lib.metrics.pearson import check_column
from mmdl_lib.metrics.spearman import spearman

CHUNK = 2**21  # items drawn at a time


class Gain(NamedTuple):
    """The gain, its interval, and how surprising it were where there is none."""

    gain: float
    low: float
    high: float
    p: float


def correlation_gain(
    x: Tensor | Sequence[float | int],
    z: Tensor | Sequence[float | int],
    y: Tensor | Sequence[float | int],
    *,
    samples: int = 2_000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Gain:
    """How much better z agrees with y than x does, with a paired interval.

    Args:
        x: (n,) what the old method says.
        z: (n,) what the new method says of the same items.
        y: (n,) what people say of them.
        samples: how often the items are drawn anew.
        level: what the interval covers.
        generator: of the draws.

    Raises:
        ValueError: fewer than two items, unequal lengths, NaN or infinity, a column
            that never changes, or a level that is none.

    Example:
        People say 1, 2, 3; x says it reversed and z as they do: 1 - (-1).

        >>> g = torch.Generator().manual_seed(0)
        >>> found = correlation_gain([3.0, 2, 1], [1.0, 2, 3], [1.0, 2, 3], generator=g)
        >>> round(found.gain, 3), round(found.low, 3), found.p < 0.002
        (2.0, 2.0, True)
    """
    x, z, y = (check_column(k, v) for k, v in zip("xzy", (x, z, y), strict=True))
    check_same_length(x=x, y=y)
    check_same_length(z=z, y=y)
    check_number("samples", samples, 1, whole=True)
    check_number("level", level)
    if not 0 < level < 1:
        raise ValueError(f"level expected a number between 0 and 1, got {level}.")
    gain, n, drawn = spearman(z, y) - spearman(x, y), len(y), []
    rows = max(1, CHUNK // n)
    for start in range(0, samples, rows):
        many = min(rows, samples - start)
        item = torch.randint(0, n, (many, n), generator=generator).to(y.device)
        count = y.new_zeros(many, n).scatter_add_(1, item, y.new_ones(many, n))
        people = _drawn(y, count)
        # both methods on the same draw
        drawn.append(_agree(z, people, count) - _agree(x, people, count))
    found = torch.cat(drawn)
    found = found[found.isfinite()]
    if len(found) == 0:
        raise ValueError("items expected to differ in some draw, got none that do.")
    ends = y.new_tensor([(1 - level) / 2, (1 + level) / 2])
    low, high = found.quantile(ends).tolist()
    below, above = (1 + int((found <= 0).sum()), 1 + int((found >= 0).sum()))
    return Gain(gain, low, high, min(1.0, 2 * min(below, above) / (len(found) + 1)))


def _drawn(values: Float[Tensor, " n"], count: Float[Tensor, "s n"]) -> Tensor:
    """Unit vectors (s, n) of ranks among the items of each draw, weighted by count."""
    _, place = values.unique(return_inverse=True)
    group = count.new_zeros(len(count), int(place.max()) + 1)
    group.index_add_(1, place, count)
    # the last rank of a group is the number of items up to it
    rank = (group.cumsum(1) - (group - 1) / 2)[:, place]
    rank = rank - (rank * count).sum(1, keepdim=True) / count.sum(1, keepdim=True)
    return rank / (rank.square() * count).sum(1, keepdim=True).sqrt()


def _agree(values: Tensor, people: Float[Tensor, "s n"], count: Tensor) -> Tensor:
    """Spearman's correlation in each draw."""
    return (_drawn(values, count) * people * count).sum(1)
