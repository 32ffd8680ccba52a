r"""Williams's test: do two methods agree with the same people equally well?

$$t = (r_{zy} - r_{xy}) \sqrt{\frac{(n - 1)(1 + r_{xz})}
{2 \frac{n - 1}{n - 3} |R| + \bar r^2 (1 - r_{xz})^3}}$$

with $|R| = 1 - r_{xy}^2 - r_{zy}^2 - r_{xz}^2 + 2 r_{xy} r_{zy} r_{xz}$ and
$\bar r = (r_{xy} + r_{zy}) / 2$. Under equal correlations it nearly follows Student's t
with n - 3 degrees of freedom. Methods that say nearly the same ($r_{xz}$ near 1) can be
told apart with far fewer items than two that do not.

**Source** Williams 1959, doi 10.1111/j.2517-6161.1959.tb00346.x; recommended, and
compared with others, by Steiger 1980, doi 10.1037/0033-2909.87.2.245.
**Range** t from minus to plus infinity, positive where z agrees better; p from 0 to 1.
**Official implementation** None in Python; R's `psych::r.test` and `cocor`.
**Quirks** Made for Pearson's correlations of normal values, and close there. With
Spearman's it is one approximation more, which is common in the field. Treating the two
correlations as if they came from different items (Fisher's z for independent ones)
is wrong here: it ignores $r_{xz}$ and misses many a gain.
"""

from math import ceil, sqrt
from statistics import NormalDist
from typing import NamedTuple

from mmdl_lib.borders import check_number
from mmdl_lib.record import beyond


class Compared(NamedTuple):
    """Student's t and how likely one so large is where there is no gain."""

    t: float
    p: float


def williams(
    r_xy: float | int, r_zy: float | int, *, r_xz: float | int, n: int
) -> Compared:
    """Test of two correlations that share a side and the items.

    Args:
        r_xy: correlation of the old method with people.
        r_zy: correlation of the new method with people.
        r_xz: correlation of the two methods.
        n: items.

    Raises:
        ValueError: no correlation, fewer than four items, three correlations that no
            data can have, or that lie on one line.

    Example:
        0.4 against 0.5 with 103 items; |R| = 0.62:
        0.1 * sqrt(102 * 1.1 / (2 * 1.02 * 0.62 + 0.45^2 * 0.9^3)).

        >>> found = williams(0.4, 0.5, r_xz=0.1, n=103)
        >>> round(found.t, 3), round(found.p, 3)
        (0.891, 0.375)
    """
    room = _room(r_xy, r_zy, r_xz)
    check_number("n", n, 4, whole=True)
    middle = (r_xy + r_zy) / 2
    below = 2 * (n - 1) / (n - 3) * room + middle**2 * (1 - r_xz) ** 3
    t = (r_zy - r_xy) * sqrt((n - 1) * (1 + r_xz) / below)
    return Compared(t, beyond(t, n - 3))


def pairs_needed(
    r_xy: float | int,
    r_zy: float | int,
    *,
    r_xz: float | int,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Items that a two-sided test needs to see this gain so often.

    From the large-sample variance of a difference of two correlations that share a side
    (Olkin and Siotani 1976, as in Steiger 1980).

    Args:
        r_xy: correlation of the old method with people.
        r_zy: correlation of the new method with people.
        r_xz: correlation of the two methods.
        power: how often the gain is to be seen.
        alpha: how often one is to be seen where there is none.

    Raises:
        ValueError: as in `williams`, equal correlations, or a share that is none.

    Example:
        A gain of 0.02 between methods that agree to 0.9 with one another.

        >>> pairs_needed(0.30, 0.32, r_xz=0.9)
        3530
    """
    _room(r_xy, r_zy, r_xz)
    for name, share in (("power", power), ("alpha", alpha)):
        check_number(name, share)
        if not 0 < share < 1:
            raise ValueError(f"{name} expected a number between 0 and 1, got {share}.")
    if r_xy == r_zy:
        raise ValueError(f"r_zy expected another value than r_xy, got {r_zy} for both.")
    squares = r_xy**2 + r_zy**2
    shared = r_xz * (1 - squares) - r_xy * r_zy * (1 - squares - r_xz**2) / 2
    variance = (1 - r_xy**2) ** 2 + (1 - r_zy**2) ** 2 - 2 * shared
    quantile = NormalDist().inv_cdf
    wide = quantile(1 - alpha / 2) + quantile(power)
    return ceil(variance * (wide / (r_zy - r_xy)) ** 2)


def _room(r_xy, r_zy, r_xz) -> float:
    """Determinant of the three correlations: positive where data can have them."""
    for name, r in (("r_xy", r_xy), ("r_zy", r_zy), ("r_xz", r_xz)):
        check_number(name, r, -1, 1)
    room = 1 - r_xy**2 - r_zy**2 - r_xz**2 + 2 * r_xy * r_zy * r_xz
    if not room > 0:
        raise ValueError(
            "r_xy, r_zy and r_xz expected correlations that data can have and that do "
            f"not lie on one line, got {r_xy:.3g}, {r_zy:.3g} and {r_xz:.3g}."
        )
    return room
