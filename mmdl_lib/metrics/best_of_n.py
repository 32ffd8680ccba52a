r"""Best of n: what is shown if n pictures are drawn and only the best is kept.

$$\mathbb{E} \max(v_1, \dots, v_n) \approx \sum_{i=n}^{m}
\binom{i-1}{n-1} \bigg/ \binom{m}{n} \; v_{(i)}$$

$v_{(1)} \le \dots \le v_{(m)}$ are the values of $m$ draws for one prompt. The sum is
the mean over all sets of $n$ among them: no bias, and no second drawing.

**Source** counting: of all sets of n among m draws, the i-th smallest is the largest in
binomial(i - 1, n - 1).
**Range** that of the values; it never falls with n.
**Official implementation** none. For values 0 and 1 with a share p of ones the
expectation is $1 - (1 - p)^n$, and the estimate is one minus the probability that a set
of n without repetition holds no one.
**Quirks** The best by which measure? Where one measure chooses and another one judges,
`judged` gives the judge's values, and the sum runs over them in the chooser's order: it
may then fall with n. Never draw n with repetition from m draws: that gives the maximum
too low.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers


def best_of_n(
    values: Float[Tensor, "b m"],
    n: int,
    *,
    judged: Float[Tensor, "b m"] | None = None,
) -> float:
    """Expected value of what is shown after n draws, as the mean over prompts.

    Args:
        values: one row of m draws for each prompt; the largest of n is shown. Of equal
            ones that which comes last.
        n: how many are drawn before the best is shown, at most m.
        judged: what the shown draw is worth to somebody else; by default its value.

    Raises:
        ValueError: no prompts, no floats, NaN or infinity, two shapes, or n outside 1
            to m.

    Example:
        Pairs of 1, 2 and 3 have the maxima 2, 3 and 3.

        >>> round(best_of_n(torch.tensor([[2.0, 1.0, 3.0]]), 2), 4)
        2.6667
    """
    check_numbers("values", values, "b m")
    if 0 in values.shape:
        raise ValueError(f"values expected some, got shape {tuple(values.shape)}.")
    if judged is not None:
        check_numbers("judged", judged, "b m")
        if judged.shape != values.shape:
            one, two = tuple(values.shape), tuple(judged.shape)
            raise ValueError(f"judged expected shape {one} of the values, got {two}.")
    m = values.shape[1]
    check_number("n", n, 1, m, whole=True)
    whole = math.comb(m, n)
    share = [math.comb(i - 1, n - 1) / whole for i in range(1, m + 1)]
    order = values.sort(dim=1, stable=True).indices
    ordered = (values if judged is None else judged).gather(1, order).double()
    weight = torch.tensor(share, dtype=torch.float64, device=values.device)
    return (ordered * weight).sum(1).mean().item()


def normal_maximum(n: int) -> float:
    """Expected maximum of n independent standard normal numbers.

    Raises:
        ValueError: an n below one, or above a million.

    Example:
        For two it is one over the root of pi.

        >>> round(normal_maximum(2), 6), round(math.pi**-0.5, 6)
        (0.56419, 0.56419)
    """
    check_number("n", n, 1, 1_000_000, whole=True)
    x = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    below = torch.special.log_ndtr(x)
    density = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    # the maximum is at x if one is there and all others are below
    return torch.trapezoid(x * n * density * ((n - 1) * below).exp(), x).item()
