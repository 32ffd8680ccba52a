"""Where attention to a color word falls: on the object that it names, or elsewhere?

A picture with objects of two colors asks a fair question. Take the attention that the
word "red" gets: is it larger in the cells that show red than in those that show blue?
Attention that knows nothing of colors is right half of the time, whatever the places
and sizes of the objects; and so is attention that is the same everywhere.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_same_length
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.models.attngan import AttnGAN, ground

LEAST = 10  # pixels of a color that count as shown, as for the reader of pictures


class Looks(NamedTuple):
    """What attention to color words says of the colors in the picture.

    Attributes:
        own: share of pairs of colors in which a word gets more attention where its own
            color is than where the other one is; 0.5 by chance.
        lift: attention of a word where its color is, as a multiple of its mean over all
            cells; 1 by chance.
        pairs: how many pairs there were; without any, chance stands.
    """

    own: float
    lift: float
    pairs: int


def shown(image: Tensor, side: int) -> Float[Tensor, "b 8 n"]:
    """Share of each cell that each color covers; cells line by line, side x side."""
    seen = shapes.color_map(image)
    each = F.one_hot(seen + 1, len(shapes.COLORS) + 1)[..., 1:].float()
    cells = F.avg_pool2d(rearrange(each, "b h w k -> b k h w"), 32 // side)
    return cells.flatten(2)


def judged(
    weights: Float[Tensor, "b n t"],
    tokens: Int[Tensor, "b t"],
    covered: Float[Tensor, "b 8 n"],
) -> Looks:
    """Compare the attention of each color word in its own cells and in others'.

    Args:
        weights: of each cell for each word, or of each word for each cell.
        tokens: of the section's tokenizer.
        covered: as from `shown`.

    Raises:
        ValueError: other numbers of rows.
    """
    check_same_length(weights=weights, tokens=tokens)
    check_same_length(weights=weights, covered=covered)
    ids = torch.tensor([t2i.tokenizer().ids[color] for color in shapes.COLORS])
    right, lift = [], []
    pixels = covered.sum(2) * (32 * 32 // covered.shape[2])
    for w, said, cover, count in zip(weights, tokens, covered, pixels, strict=True):
        hits = said == ids[:, None]
        here = ((hits.sum(1) == 1) & (count >= LEAST)).nonzero()[:, 0]
        if len(here) < 2:
            continue
        word = w[:, hits[here].int().argmax(1)]
        # mean attention of word j in the cells of color i
        mean = (cover[here] @ word) / cover[here].sum(1, keepdim=True)
        own = mean.diagonal()
        better = (own > mean).double() + (own == mean).double() / 2
        away = ~torch.eye(len(here), dtype=torch.bool)
        right += better[away].tolist()
        lift += (own / word.mean(0).clamp(min=1e-12)).tolist()
    if not right:
        return Looks(0.5, 1.0, 0)
    return Looks(sum(right) / len(right), sum(lift) / len(lift), len(right))


@torch.no_grad()
def drawn(model: AttnGAN, scenes: Scenes, *, seed: int = 0):
    """Pictures for the scenes' texts, and which words the last stage's cells look at.

    Returns:
        pictures (b, 3, h, h) in [-1, 1], and weights (b, n, t).
    """
    read = model.read(*t2i.tokenizer()(t2i.texts(scenes)))
    cells, _ = model.hidden(read, generator(seed))
    image = model.paint[-1](cells[-1]).tanh()
    return image, model.refine[-1].look(cells[-2], read).weights


def looks(model: AttnGAN, scenes: Scenes, *, seed: int = 0) -> Looks:
    """Where the cells of drawn pictures look, against what became of them."""
    image, weights = drawn(model, scenes, seed=seed)
    tokens, _ = t2i.tokenizer()(t2i.texts(scenes))
    return judged(weights, tokens, shown(image, round(weights.shape[1] ** 0.5)))


@torch.no_grad()
def finds(model: AttnGAN, scenes: Scenes) -> Looks:
    """Where the matching net finds the words in real pictures of the scenes."""
    image = to_float(scenes.render())
    tokens, mask = t2i.tokenizer()(t2i.texts(scenes))
    regions, _ = model.regions(image)
    words = model.read(tokens, mask).words
    found = ground(words, regions, mask, gamma1=model.config.gamma1)
    side = round(regions.shape[1] ** 0.5)
    return judged(found.weights.mT, tokens, shown(image, side))


def glow(
    weights: Float[Tensor, "n t"], tokens: Int[Tensor, " t"], word: str
) -> Float[Tensor, "3 s s"]:
    """How much each cell looks at a word, as a gray picture of two pixels a cell.

    White is the cell that looks at it most; nothing is said of how much that is.

    Raises:
        ValueError: a text without this word.
    """
    at = (tokens == t2i.tokenizer().ids[word]).nonzero()[:, 0]
    if not len(at):
        raise ValueError(f"word expected one of the text, got {word!r}.")
    side = round(len(weights) ** 0.5)
    seen = weights[:, at[0]].reshape(side, side) / weights[:, at[0]].max()
    big = seen.repeat_interleave(2, 0).repeat_interleave(2, 1)
    return (2 * big - 1).expand(3, -1, -1)
