r"""Win rate of one model against another, side by side, with an interval.

$$w = \frac{1}{n} \sum_i o_i,\qquad o_i = 1, \tfrac{1}{2}, 0
\text{ for win, tie, loss}$$

People, or a model, see two answers to one prompt and choose. The interval is the
percentile bootstrap's: draw n outcomes with repetition, take their mean, do so many
times, and cut off 2.5 percent at either end.

**Source** Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
Side by side judgments are how, among others, GLIDE was compared (Nichol et al., 2022,
arXiv 2112.10741).
**Range** 0 to 1; 1/2 for equal models.
**Official implementation** None; `scipy.stats.bootstrap(method="percentile")` gives the
same interval up to the luck of the draw.
**Quirks** Some count ties as losses for both, or leave them out; half a win each is
what makes the two models' rates add up to 1. Several judgments of one prompt are not
independent: average them first and give one number for each prompt, or the interval is
too narrow. With few prompts it is too narrow anyway; if all are won it is a single
point.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers

CHUNK = 2**22  # outcomes drawn at a time


class WinRate(NamedTuple):
    """The rate and the ends of its interval."""

    rate: float
    low: float
    high: float


def win_rate(
    outcomes: Float[Tensor, " n"],
    *,
    samples: int = 10_000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> WinRate:
    """Win rate with its bootstrap interval.

    Args:
        outcomes: 1 for a win, 0 for a loss, 1/2 for a tie, or the mean of several
            judgments of one prompt.
        samples: how often the outcomes are drawn anew.
        level: what the interval covers.
        generator: of the draws.

    Raises:
        ValueError: no outcomes, one outside 0 to 1, or a level that is none.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> out = win_rate(torch.tensor([1.0, 0.5, 0.0, 1.0] * 25), generator=g)
        >>> out.rate, 0.53 < out.low < 0.57, 0.68 < out.high < 0.72
        (0.625, True, True)
    """
    check_numbers("outcomes", outcomes)
    check_number("samples", samples, 1, whole=True)
    check_number("level", level)
    n = len(outcomes)
    if n == 0:
        raise ValueError("outcomes expected at least one, got none.")
    low, high = outcomes.min().item(), outcomes.max().item()
    if low < 0 or high > 1:
        raise ValueError(f"outcomes expected 0 to 1, got {low:.3g} to {high:.3g}.")
    if not 0 < level < 1:
        raise ValueError(f"level expected a number between 0 and 1, got {level}.")
    outcomes, means = outcomes.double(), []
    for start in range(0, samples, max(1, CHUNK // n)):
        rows = min(max(1, CHUNK // n), samples - start)
        drawn = torch.randint(0, n, (rows, n), generator=generator)
        means.append(outcomes[drawn.to(outcomes.device)].mean(1))
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.cat(means).quantile(ends.to(outcomes.device)).tolist()
    return WinRate(outcomes.mean().item(), low, high)
