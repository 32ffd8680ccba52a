"""Property norms of a made world: what people say when they are asked about a thing.

People list what comes to their mind of each of the 64 kinds of things of
`lab.stories`; how many of them name a property is its production frequency.
"""

from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_same_length
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, SHAPES

SHARED = {  # properties that several colors or shapes have
    "is warm": ("red", "yellow", "orange", "pink"),
    "has corners": ("square", "triangle", "star", "cross"),
    "is round": ("circle", "ring", "moon"),
}


@cache
def properties() -> dict[str, Bool[Tensor, " k"]]:
    """Which of the 64 kinds have each property."""
    kind = torch.arange(len(COLORS) * len(SHAPES))
    color, shape = kind // len(SHAPES), kind % len(SHAPES)
    found = {f"is {name}": color == i for i, name in enumerate(COLORS)}
    found |= {f"is a {name}": shape == i for i, name in enumerate(SHAPES)}
    for name, members in SHARED.items():
        of, place = (COLORS, color) if members[0] in COLORS else (SHAPES, shape)
        found[name] = torch.isin(place, torch.tensor([of.index(m) for m in members]))
    return found


def listed(
    seed: int,
    *,
    people: int = 30,
    says: float | int = 0.5,
    wrong: float | int = 0.02,
) -> Float[Tensor, "k q"]:
    """Production frequencies: the share of people who name each property of each kind.

    Args:
        seed: of who names what.
        people: how many are asked.
        says: chance that one names a property that the thing has.
        wrong: chance that one names a property that it has not.

    Raises:
        ValueError: nobody, or no shares.
    """
    check_number("people", people, 1, whole=True)
    check_number("says", says, 0, 1)
    check_number("wrong", wrong, 0, 1)
    true = torch.stack(list(properties().values()), 1)
    chance = torch.where(true, float(says), float(wrong))
    drawn = torch.rand(people, *true.shape, generator=generator(seed))
    return (drawn < chance).float().mean(0)


def column_correlations(
    said: Float[Tensor, "n q"], true: Float[Tensor, "n q"]
) -> Float[Tensor, " q"]:
    """Pearson's correlation of each column with its own; 0 where one does not vary.

    Raises:
        ValueError: no rows, or other numbers of rows.

    Example:
        >>> said = torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
        >>> column_correlations(said, said.flip(0)).round().tolist()
        [-1.0, 0.0]
    """
    check_same_length(said=said, true=true)
    a, b = said - said.mean(0), true - true.mean(0)
    size = a.norm(dim=0) * b.norm(dim=0)
    return (a * b).sum(0) / torch.where(size > 0, size, 1.0)
