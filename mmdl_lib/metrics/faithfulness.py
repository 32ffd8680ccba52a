r"""Faithfulness: does a generated picture show what it was asked to show?

A scene of the shapes world says what should be there, and a fixed program reads from
the picture what is. So no network judges another network. With $a$ asked and $s$ seen
objects of a picture, as multisets of (color, shape),

$$\text{object} = \frac{|a \cap s|}{|a|},\qquad
\text{count} = [\,|a| = |s|\,],\qquad
\text{exact} = [\,a = s \text{ and the relation holds}\,],$$

each a mean over the pictures; `color` and `shape` are as `object` with one attribute.

**Source** this book; in spirit DALL-Eval (Cho et al. 2023, arXiv 2202.04053) and
GenEval (Ghosh et al. 2023, arXiv 2310.11513), which let a detector read photographs.
**Range** 0 to 1, higher is better.
**Official implementation** none: the world is ours.
**Quirks** The reader itself errs on about one drawn object in a hundred, so a perfect
generator scores 0.98 or so; score drawn pictures of the same scenes for the ceiling, or
count only scenes whose drawn picture is read right (`exactly`). What it misreads are
objects of one color that touch. A picture with additional objects loses `count` and
`exact`, not `object`. The relation is that of the first two objects; it counts as
missed where one of them is not seen.
"""

from collections import Counter
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from mmdl_lib.borders import check_image, check_same_length


class Faithfulness(NamedTuple):
    """Means over the pictures, each from 0 to 1."""

    count: float
    color: float
    shape: float
    object: float
    relation: float  # over scenes of two or more objects; NaN where there is none
    exact: float


def faithfulness(images: Tensor, scenes) -> Faithfulness:
    """Compare pictures with the scenes that were asked for.

    Args:
        images: (b, 3, h, h), uint8 in [0, 255] or floats in [-1, 1].
        scenes: b scenes of `mmdl_lib.data.shapes`, whose captions were the prompts.

    Raises:
        ValueError: no pictures, another number of scenes, or another shape.

    Example:
        >>> from mmdl_lib.data import shapes
        >>> scenes = shapes.sample(8, seed=1, objects=2)
        >>> faithfulness(scenes.render(), scenes).exact
        1.0
        >>> other = shapes.sample(8, seed=2, objects=2)
        >>> round(faithfulness(other.render(), scenes).exact, 1)
        0.0
    """
    found = _scores(images, scenes)
    related = [row[4] for row in found if row[4] is not None]
    means = [sum(part) / len(found) for part in zip(*(r[:4] for r in found))]  # noqa: B905
    relation = sum(related) / len(related) if related else float("nan")
    return Faithfulness(*means, relation, sum(row[5] for row in found) / len(found))


def exactly(images: Tensor, scenes) -> Bool[Tensor, " b"]:
    """Which pictures are `exact`; arguments and errors as in `faithfulness`.

    Example:
        >>> from mmdl_lib.data import shapes
        >>> scenes = shapes.sample(3, seed=1, objects=2)
        >>> exactly(scenes.render()[[0, 0, 2]], scenes)
        tensor([ True, False,  True])
    """
    return torch.tensor([row[5] == 1.0 for row in _scores(images, scenes)])


def _scores(images: Tensor, scenes) -> list[tuple]:
    if getattr(images, "dtype", None) != torch.uint8:
        check_image(images, name="pictures")
    check_same_length(pictures=images, scenes=scenes)
    rows = zip(scenes.seen_in(images), scenes.things(), strict=True)
    return [_score(seen, asked) for seen, asked in rows]


def _score(seen: list, asked: list) -> tuple:
    """One picture: count, color, shape, object, relation or None, exact."""
    shares = [
        _share(Counter(map(of, seen)), Counter(map(of, asked)))
        for of in (_color, _shape, _object)
    ]
    count = float(len(seen) == len(asked))
    relation = float(_related(seen, *asked[:2])) if len(asked) > 1 else None
    exact = count == shares[2] == 1.0 and relation in (None, 1.0)
    return count, *shares, relation, float(exact)


def _color(thing) -> str:
    return thing.color


def _shape(thing) -> str:
    return thing.shape


def _object(thing) -> tuple[str, str]:
    return thing.color, thing.shape


def _share(seen: Counter, asked: Counter) -> float:
    return (seen & asked).total() / asked.total()


def _related(seen: list, one, other) -> bool:
    """Whether two different seen objects stand as the two asked ones do."""
    wanted = _side(one, other)
    return any(
        _side(a, b) == wanted
        for i, a in enumerate(seen)
        for j, b in enumerate(seen)
        if i != j and _object(a) == _object(one) and _object(b) == _object(other)
    )


def _side(one, other) -> str:
    """Where the first object stands from the second, by the larger distance."""
    dx, dy = one.x - other.x, one.y - other.y
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"
