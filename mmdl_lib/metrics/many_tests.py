r"""Many comparisons at once: p-values that count how often one has looked.

Of m tests on nothing, about 0.05 m come out below 0.05. Adjusted p-values make up for
it; compare them with 0.05 as usual. With $p_{(1)} \le \dots \le p_{(m)}$:

- **Bonferroni**: $m\,p$.
- **Holm**: $\max_{j \le i} (m - j + 1)\,p_{(j)}$, never larger than Bonferroni's.
- **Benjamini and Hochberg**: $\min_{j \ge i} m\,p_{(j)} / j$.

The first two keep the chance of any false alarm at 5 percent, whatever the tests have
to do with one another. The third keeps the expected share of false alarms among the
alarms at 5 percent, where tests are independent or positively dependent.

**Source** Holm 1979, jstor 4615733; Benjamini and Hochberg 1995, doi
10.1111/j.2517-6161.1995.tb02031.x.
**Range** 0 to 1, in the order of the tests.
**Official implementation** `statsmodels.stats.multitest.multipletests`;
`scipy.stats.false_discovery_control` for the third.
**Quirks** They count the comparisons that they are told of. Those that were looked at
and not written down count as well.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdl_lib.metrics.pearson import check_column


def bonferroni(p: Tensor | Sequence[float | int]) -> Tensor:
    """Each p-value times the number of tests.

    Args:
        p: (m,) p-values.

    Raises:
        ValueError: none, or one outside 0 to 1.

    Example:
        >>> [round(x, 3) for x in bonferroni([0.01, 0.04, 0.03]).tolist()]
        [0.03, 0.12, 0.09]
    """
    p = _checked(p)
    return (len(p) * p).clamp(max=1)


def holm(p: Tensor | Sequence[float | int]) -> Tensor:
    """The least times m, the next times m - 1, ...; none below one before it.

    Args:
        p: (m,) p-values.

    Raises:
        ValueError: none, or one outside 0 to 1.

    Example:
        3 * 0.01, then 2 * 0.03, then 1 * 0.04, which may not fall below 0.06.

        >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03]).tolist()]
        [0.03, 0.06, 0.06]
    """
    p = _checked(p)
    order = p.argsort()
    left = torch.arange(len(p), 0, -1, device=p.device)
    found = torch.empty_like(p)
    found[order] = (left * p[order]).cummax(0).values
    return found.clamp(max=1)


def benjamini_hochberg(p: Tensor | Sequence[float | int]) -> Tensor:
    """The i-th least times m / i; none above one after it.

    Args:
        p: (m,) p-values.

    Raises:
        ValueError: none, or one outside 0 to 1.

    Example:
        3 * 0.01, then 3/2 * 0.03, which may not exceed 3/3 * 0.04.

        >>> [round(x, 3) for x in benjamini_hochberg([0.01, 0.04, 0.03]).tolist()]
        [0.03, 0.04, 0.04]
    """
    p = _checked(p)
    order = p.argsort(descending=True)
    place = torch.arange(len(p), 0, -1, device=p.device)
    found = torch.empty_like(p)
    found[order] = (len(p) * p[order] / place).cummin(0).values
    return found


def _checked(p: Tensor | Sequence[float | int]) -> Tensor:
    p = check_column("p", p)
    if len(p) == 0:
        raise ValueError("p expected at least one p-value, got none.")
    low, high = p.min().item(), p.max().item()
    if low < 0 or high > 1:
        raise ValueError(f"p expected 0 to 1, got {low:.3g} to {high:.3g}.")
    return p
