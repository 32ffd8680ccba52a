"""Two things side by side, what is said of them, and words that no caption holds.

A caption names two things and how they stand, each by its first name: "red circle left
blue square". Texts without pictures know four more names for each color and each shape.
Half of them say that two names are one: "scarlet disc is red circle". So what a picture
of a scarlet disc looks like can only be known by way of the texts. `recipes/flava.py`
and its page use both.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.data.shapes.scenes import RELATIONS, relation
from mmdl_lib.lab.wording import SAME

COLORS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = tuple(name.split()[0] for name in RELATIONS)
NAMES = 5  # of each color and shape, the one in captions included
CLS, SEP, MASK = 2, 3, 4
PLACE, IS = 5, 9  # the first word for a place; the only verb
COLOR, SHAPE = 10, 10 + NAMES * len(COLORS)  # the first names of each kind
MEANT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PLACES, "is"]
WORDS = MEANT + [w for n in (*COLORS, *SHAPES) for w in (n, *SAME[n].split())]
SIDE = 16  # pixels of a picture


def scenes(n: int, seed: int) -> Scenes:
    """Two large things each, of four colors and four shapes."""
    looks = {"colors": COLORS, "shapes": SHAPES, "sizes": "large", "textures": "solid"}
    return shapes.sample(n, seed=seed, objects=2, held_out="include", **looks)


def meanings(found: Scenes) -> Int[Tensor, "b 5"]:
    """Color, shape, place, color, shape, each from 0 to 3: the first thing first."""
    color = torch.tensor([shapes.COLORS.index(name) for name in COLORS])
    shape = torch.tensor([shapes.SHAPES.index(name) for name in SHAPES])
    colors = (found.color[:, :2, None] == color).long().argmax(2)
    looks = (found.shape[:, :2, None] == shape).long().argmax(2)
    columns = (colors[:, 0], looks[:, 0], relation(found), colors[:, 1], looks[:, 1])
    return torch.stack(columns, 1)


def turned(meaning: Int[Tensor, "b 5"]) -> Int[Tensor, "b 5"]:
    """The same said from the other thing: what is left of it stands right of that."""
    back = meaning[:, [3, 4, 2, 0, 1]]
    back[:, 2] = back[:, 2] ^ 1
    return back


def said(
    meaning: Int[Tensor, "b 5"], name: Int[Tensor, "b 4"] | None = None
) -> Int[Tensor, "b 7"]:
    """Tokens of sentences: [CLS], five words, [SEP].

    Args:
        meaning: of `meanings`; a place of 4 stands for "is".
        name: which of its five names each of the four attributes gets; the first
            without.
    """
    name = torch.zeros_like(meaning[:, :4]) if name is None else name
    kind = torch.tensor([COLOR, SHAPE, COLOR, SHAPE])
    words = kind + NAMES * meaning[:, [0, 1, 3, 4]] + name
    tokens = torch.full((len(meaning), 7), CLS)
    tokens[:, 6], tokens[:, 3] = SEP, PLACE + meaning[:, 2]
    tokens[:, [1, 2, 4, 5]] = words
    return tokens


def other_names(b: int, random: torch.Generator) -> Int[Tensor, "b 4"]:
    """Names that no caption holds, one for each attribute."""
    return torch.randint(1, NAMES, (b, 4), generator=random)


def texts(b: int, random: torch.Generator) -> Int[Tensor, "b 7"]:
    """Sentences without a picture, in any names; each second one says what is what."""
    check_number("b", b, 1, whole=True)
    meaning = torch.randint(4, (b, 5), generator=random)
    same = torch.arange(b) % 2 == 1
    meaning[same, 3:], meaning[same, 2] = meaning[same, :2], IS - PLACE
    return said(meaning, torch.randint(NAMES, (b, 4), generator=random))


def changed(meaning: Int[Tensor, "b 5"], random: torch.Generator) -> Tensor:
    """One of the four attributes is another one, so that the sentence is false."""
    rows = torch.arange(len(meaning))
    column = torch.tensor([0, 1, 3, 4])[torch.randint(4, rows.shape, generator=random)]
    new = meaning.clone()
    new[rows, column] += torch.randint(1, 4, rows.shape, generator=random)
    return new % 4


def swapped(
    meaning: Int[Tensor, "b 5"],
) -> tuple[Int[Tensor, "m 5"], Bool[Tensor, "b"]]:
    """The two colors exchanged, and for which sentences that says something else."""
    new = meaning[:, [3, 1, 2, 0, 4]]
    turn = turned(meaning)
    false = (new != meaning).any(1) & (new != turn).any(1)
    return new[false], false


def read(tokens: Int[Tensor, "b t"]) -> list[str]:
    """Sentences as words."""
    return [" ".join(WORDS[i] for i in row if i > 3) for row in tokens.tolist()]
