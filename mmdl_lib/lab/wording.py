"""Captions whose words cannot be guessed: synonyms, and words about something else.

On the web, most words beside a picture do not follow from it. Here a caption names the
color and the shape of a single object, each by one of its synonyms, and fillers stand
anywhere around them. `recipes/clip_claims.py` and its chapter use both worlds: with
synonyms and fillers, and without.
"""

from itertools import product

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, SHAPES

PAD, START, END, FIRST = 0, 1, 2, 3
SAME = {
    "red": "scarlet crimson ruby cherry",
    "green": "emerald lime olive jade",
    "blue": "navy azure cobalt sapphire",
    "yellow": "gold lemon amber mustard",
    "orange": "tangerine apricot pumpkin carrot",
    "purple": "violet plum lilac mauve",
    "pink": "rose salmon blush coral",
    "cyan": "turquoise aqua teal mint",
    "circle": "disc dot ball round",
    "square": "box block tile quad",
    "triangle": "wedge delta pyramid trigon",
    "star": "pentagram asterisk sparkle twinkle",
    "cross": "plus x crucifix rood",
    "heart": "valentine love darling sweetheart",
    "ring": "hoop loop annulus band",
    "moon": "crescent sickle lune luna",
}
SYNONYMS = 5  # of each word, itself included
FILLERS = ["".join(p) for p in product("bdgklmnrvz", "aeiou", "bflmnrsvzj")]
MOST = 4  # fillers of a caption
WORDS = [w for name in (*COLORS, *SHAPES) for w in (name, *SAME[name].split())]
VOCAB = FIRST + len(WORDS) + len(FILLERS)
CONTEXT = MOST + 4


def write(
    color: Int[Tensor, " b"],
    shape: Int[Tensor, " b"],
    *,
    synonyms: int = SYNONYMS,
    most: int = MOST,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
    """Tokens and mask of one caption for each object.

    Args:
        color, shape: numbers of `COLORS` and `SHAPES`.
        synonyms: words that stand for each color and each shape; 1 for the name alone.
        most: 0 to that many fillers stand before, between and behind the two words.
        generator: of the choice of words.

    Raises:
        ValueError: more synonyms or fillers than there are.
    """
    check_number("synonyms", synonyms, 1, SYNONYMS, whole=True)
    check_number("most", most, 0, MOST, whole=True)
    b = len(color)
    said = torch.randint(synonyms, (2, b), generator=generator)
    names = SYNONYMS * torch.stack([color, len(COLORS) + shape]) + said
    count = torch.randint(most + 1, (b, 1), generator=generator)
    filler = len(WORDS) + torch.randint(
        len(FILLERS), (b, most + 2), generator=generator
    )
    # the first two of a random order of the places that the caption has
    order = torch.rand(b, most + 2, generator=generator)
    order[torch.arange(most + 2) >= count + 2] = 2.0
    place = order.argsort(1)[:, :2].sort(1).values
    tokens = torch.full((b, most + 4), PAD)
    tokens[:, 0] = START
    tokens[:, 1:-1] = FIRST + filler.scatter(1, place, names.T)
    mask = torch.arange(most + 4) < count + 4
    tokens = tokens.where(mask, PAD)
    return tokens.scatter(1, count + 3, END), mask


def names() -> tuple[Int[Tensor, "64 4"], Bool[Tensor, "64 4"]]:
    """The 64 classes, each as color and shape by their first words."""
    color, shape = torch.arange(64) // 8, torch.arange(64) % 8
    return write(color, shape, synonyms=1, most=0, generator=generator(0))


def read(tokens: Int[Tensor, "b t"]) -> list[str]:
    """The captions as words."""
    words = WORDS + FILLERS
    return [
        " ".join(words[i - FIRST] for i in row if i >= FIRST) for row in tokens.tolist()
    ]
