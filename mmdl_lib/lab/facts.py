"""What can be said of two groups of objects: nine facts, true or false."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import torch

from mmdl_lib.borders import check_items, check_number
from mmdl_lib.data.shapes import COLORS, RELATIONS, SHAPES, SIZES, Scenes

COUNTS = ("one", "two", "three")
VALUES = {"count": COUNTS, "size": SIZES, "color": COLORS, "shape": SHAPES}
INVERSE = dict(zip(RELATIONS, (*RELATIONS[1::-1], *RELATIONS[:1:-1]), strict=True))
Choice = torch.Generator


class Group(NamedTuple):
    """Objects that are alike."""

    count: str
    size: str
    color: str
    shape: str


class Facts(NamedTuple):
    """What can be said of a scene: the first group stands `relation` the other."""

    one: Group
    relation: str
    other: Group

    @property
    def turned(self) -> "Facts":
        """The same facts, told from the other group."""
        return Facts(self.other, INVERSE[self.relation], self.one)


SLOTS = (*product(("one", "other"), VALUES), ("relation", ""))  # the nine facts


def below(n: int, generator: Choice) -> int:
    return int(torch.randint(n, (), generator=generator))


def pick(options: Sequence, generator: Choice):
    return options[below(len(options), generator)]


def happens(chance: float | int, generator: Choice) -> bool:
    return float(torch.rand((), generator=generator)) < chance


def draw(n: int, *, generator: Choice, counts: int = 2, twins: bool = False):
    """True facts of n scenes; the two groups differ in color and in shape.

    Args:
        n: how many.
        generator: of all that is random.
        counts: objects of a group, at most; 1 or 2, as more do not fit the picture.
        twins: both groups have the same shape.

    Returns:
        A list of `Facts`.
    """
    check_number("n", n, 1, whole=True)
    check_number("counts", counts, 1, 2, whole=True)
    out = []
    for _ in range(n):
        colors, shapes = (
            torch.randperm(8, generator=generator)[:2].tolist() for _ in "cs"
        )
        shapes = [shapes[0]] * 2 if twins else shapes
        one, other = (
            Group(
                COUNTS[below(counts, generator)],
                pick(SIZES, generator),
                COLORS[color],
                SHAPES[shape],
            )
            for color, shape in zip(colors, shapes, strict=True)
        )
        out.append(Facts(one, pick(RELATIONS, generator), other))
    return out


def value(facts: Facts, slot: tuple[str, str]) -> str:
    """What is said at one of the `SLOTS`."""
    part = getattr(facts, slot[0])
    return getattr(part, slot[1]) if slot[1] else part


def picture(facts: Sequence[Facts]) -> Scenes:
    """The scenes: each group in its half of the picture, alike objects in a row.

    Raises:
        ValueError: no facts, or a group of three, which does not fit.
    """
    check_items("facts", facts, Facts)
    rows = [_row(scene) for scene in facts]
    count = torch.tensor([len(row) for row in rows])
    rows = [row + [(0, 0, 0, 0.0, 0.0)] * (4 - len(row)) for row in rows]
    shape, color, size, x, y = torch.tensor(rows, dtype=torch.float32).unbind(-1)
    names = {"shape": shape.long(), "color": color.long(), "size": size.long()}
    more = {"texture": torch.zeros(len(rows), 4).long(), "row": torch.arange(len(rows))}
    center = torch.stack([x, y], -1)
    return Scenes(count, center=center, style="default", seed=0, **names, **more)


def _row(facts: Facts) -> list[tuple]:
    first = facts if facts.relation in ("left of", "above") else facts.turned
    out = []
    for group, across in ((first.one, 8.0), (first.other, 24.0)):
        if group.count == "three":
            raise ValueError("picture expected one or two objects a group, got three.")
        for along in (16.0,) if group.count == "one" else (8.0, 24.0):
            names = SHAPES.index(group.shape), COLORS.index(group.color)
            at = (across, along) if first.relation == "left of" else (along, across)
            out.append((*names, SIZES.index(group.size), *at))
    return out
