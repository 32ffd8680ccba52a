"""What goes wrong when a generator draws several objects, kind by kind.

Each picture is in one kind, the first that fits, told from what the fixed program reads
in it. A failure that the kinds do not know, such as an object between two shapes, is
read as the nearest that they do.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from mmdl_lib.data.shapes import COLORS, Scenes, to_bytes
from mmdl_lib.lab import categories as ca

# in the order in which they are tried
KINDS = {
    "right": "all asked objects, and no others",
    "empty": "no object",
    "omitted": "too few objects",
    "added": "too many objects",
    "swapped": "all colors and shapes, on the wrong objects",
    "color bled": "all shapes; an asked color on two of them, another one gone",
    "color of neither": "all shapes; a color that nobody asked for",
    "shape blended": "all colors; an asked shape in two of them, another one gone",
    "shape of neither": "all colors; a shape that nobody asked for",
    "twice the same": "asked objects only, one of them twice, another one gone",
    "several": "colors and shapes are wrong at once",
}


def kind(seen: Sequence, asked: Sequence) -> str:
    """The kind of one picture: the key of `KINDS` that fits first.

    Args:
        seen, asked: what is there and what should be; each has a color and a shape.
    """
    there, wanted = (Counter((t.color, t.shape) for t in x) for x in (seen, asked))
    if there == wanted:
        return "right"
    if len(seen) != len(asked):
        found = "omitted" if len(seen) < len(asked) else "added"
        return found if seen else "empty"
    colors, own_colors = (Counter(t.color for t in x) for x in (seen, asked))
    shapes, own_shapes = (Counter(t.shape for t in x) for x in (seen, asked))
    if shapes == own_shapes:
        if colors == own_colors:
            return "swapped"
        return (
            "color bled" if colors.keys() <= own_colors.keys() else "color of neither"
        )
    if colors == own_colors:
        known = shapes.keys() <= own_shapes.keys()
        return "shape blended" if known else "shape of neither"
    return "twice the same" if there.keys() <= wanted.keys() else "several"


class Wrong(NamedTuple):
    """An object whose color or shape is wrong, and whose it is instead."""

    part: str
    got: str
    others: bool  # it is the color or shape of another asked object


def wrong(seen: Sequence, asked: Sequence) -> Iterator[Wrong]:
    """Wrong colors where all shapes are there, wrong shapes where all colors are.

    Objects are told apart by what is right, so asked ones must differ in both. Swapped
    pictures give none: there a color that is wrong and a shape that is are the same.
    """
    found = kind(seen, asked)
    if found.startswith(("color", "shape")):
        part, other = ("color", "shape") if found[0] == "c" else ("shape", "color")
        own = {getattr(t, other): getattr(t, part) for t in asked}
        for thing in seen:
            got = getattr(thing, part)
            if got != own[getattr(thing, other)]:
                yield Wrong(part, got, got in own.values())


def different(asked: Scenes) -> Scenes:
    """Those whose objects differ from each other in color and in shape."""
    rows = [
        i
        for i, things in enumerate(asked.things())
        if len({t.color for t in things})
        == len({t.shape for t in things})
        == len(things)
    ]
    return asked[rows]


def mixed(asked: Scenes, part: str) -> Scenes:
    """The scenes, the first object in the second's color or shape."""
    values = getattr(asked, part).clone()
    values[:, 0] = values[:, 1]
    return replace(asked, **{part: values})


def prompts(of: str, n: int, *, seed: int) -> Scenes:
    """So many prompts of `categories.KINDS` whose objects differ in color and shape."""
    many = ca.scenes(of, 3 * n, seed=seed)
    return different(many)[: ca.short(n, least=4)]


def counted(image: Float[Tensor, "b 3 32 32"], asked: Scenes) -> dict:
    """Share of each kind; wrong colors and shapes, and how many are another's.

    Args:
        image: in [-1, 1].
        asked: what each should show.
    """
    pairs = list(zip(asked.seen_in(to_bytes(image)), asked.things(), strict=True))
    found = Counter(kind(*pair) for pair in pairs)
    rows = [row for pair in pairs for row in wrong(*pair)]
    result = {"pictures": len(pairs)}
    result["kinds"] = {name: found[name] / len(pairs) for name in KINDS}
    for part in ("color", "shape"):
        hits = [row.others for row in rows if row.part == part]
        result[part] = {"wrong": len(hits), "other's": sum(hits)}
        result[part]["share"] = sum(hits) / len(hits) if hits else None
        # an object has seven wrong colors, of which so many are another's
        others = max(1, int(asked.count.max()) - 1)
        result[part]["chance"] = others / (len(COLORS) - 1)
    return result
