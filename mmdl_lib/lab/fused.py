"""Judges of fused word vectors: do near words look alike, are they of a kind?

A judge says of each pair of words how alike they are, by what is in no vector:

| judge | who says it |
|---|---|
| color, outline | another artist's drawing of both words |
| kind | WordNet's editors: same topic or not |
| senses | people: how strongly each of six senses feels the thing |

All pairs are pairs within a twentieth of the words (`lab.grounded.fold`), so that
twentieths are apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number, check_same_length
from mmdl_lib.data import word_pictures, words
from mmdl_lib.lab.grounded import fold, part
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models.concat_fusion import fused_cosine, pool
from mmdl_lib.models.ppmi import shifted_ppmi

GAMMAS = tuple(i / 10 for i in range(11))
JUDGES = ("color", "outline", "kind", "senses")


def of_part(seed: int, known: Sequence[str]) -> list[str]:
    """The words of a seed's twentieth.

    Raises:
        ValueError: a seed that is neither measured nor a pilot's.
    """
    return [word for word in known if fold(word) == part(seed)]


def text_vectors(some: Sequence[str]) -> Float[Tensor, "n 50"]:
    """GloVe, of length one."""
    return words.glove().unit()[list(some)]


def picture_vectors(some: Sequence[str]) -> Float[Tensor, "n 128"]:
    """Mean of EfficientNet's features of each word's pictures."""
    data = word_pictures.load()
    return pool(data.feature, *data.only(some), len(some))


def bags(some: Sequence[str]) -> Float[Tensor, "n k"]:
    """Visual words of each word's pictures, counted together."""
    data = word_pictures.load()
    picture, place = data.only(some)
    empty = torch.zeros(len(some), data.count.shape[1])
    return empty.index_add_(0, place, data.count[picture])


def cosines(vectors: Float[Tensor, "n d"]) -> Float[Tensor, " p"]:
    """Cosines of all pairs, each once; a vector of zeros has 0 with all."""
    unit = F.normalize(vectors.double(), dim=1)
    return above(unit @ unit.T)


def above(table: Float[Tensor, "n n"]) -> Float[Tensor, " p"]:
    """The cells above the diagonal, row by row."""
    return table[tuple(torch.triu_indices(*table.shape, 1))]


def judged(judge: str, some: Sequence[str]) -> Float[Tensor, " p"]:
    """How alike the pairs of some words are.

    Raises:
        ValueError: another judge.
        KeyError: a word that the judge does not know.
    """
    check_choice("judge", judge, JUDGES)
    data = word_pictures.load()
    if judge == "senses":
        felt = words.senses()[list(some)].double()
        return -above(torch.cdist(felt, felt))
    if judge == "kind":
        kind = [data.kind[data.index[word]] for word in some]
        same = [[float(a == b) for b in kind] for a in kind]
        return above(torch.tensor(same, dtype=torch.float64))
    place = {data.words[w]: i for i, w in enumerate(data.looked.tolist())}
    rows = [place[word] for word in some]
    if judge == "color":
        seen = data.color[rows].double()
        return -above(torch.cdist(seen, seen))
    ink = data.outline[rows].flatten(1).double()
    both = ink @ ink.T
    return above(both / (ink.sum(1)[:, None] + ink.sum(1) - both))


def known_to(judge: str) -> list[str]:
    """Words with pictures that a judge knows, in alphabetical order."""
    data = word_pictures.load()
    if judge in ("color", "outline"):
        return [data.words[w] for w in data.looked.tolist()]
    if judge == "kind":
        return [w for w, kind in zip(data.words, data.kind, strict=True) if kind]
    return list(data.words)


def apart(some: Sequence[str]) -> Bool[Tensor, " p"]:
    """Which pairs share no picture.

    Words of one name, such as "acoustic" and "guitar", share its picture: that they are
    alike by pictures only says that someone wrote both words.
    """
    data = word_pictures.load()
    shows = torch.zeros(len(some), len(data.code))
    picture, place = data.only(some)
    shows[place, picture] = 1
    return above(shows @ shows.T) == 0


def curve(judge: str, some: Sequence[str], image=None) -> list[float]:
    """Spearman's correlation with a judge at each of `GAMMAS`, over pairs `apart`."""
    kept = apart(some)
    said = judged(judge, some)[kept]
    text = cosines(text_vectors(some))[kept]
    image = cosines(picture_vectors(some) if image is None else image)[kept]
    return [spearman(fused_cosine(text, image, gamma), said) for gamma in GAMMAS]


def ppmi_bags(some: Sequence[str], known: Sequence[str]) -> Float[Tensor, "n k"]:
    """Bags weighed by PPMI; what is by chance is counted on all known words."""
    place = {word: i for i, word in enumerate(known)}
    return shifted_ppmi(bags(known))[[place[word] for word in some]]


class Directions(NamedTuple):
    """Directions of a table of vectors, from some rows and for any others.

    Attributes:
        center: the mean of the rows.
        axes: one column a direction.
    """

    center: Float[Tensor, " d"]
    axes: Float[Tensor, "d k"]

    def __call__(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """What rows have of each direction."""
        return (rows - self.center) @ self.axes


def most(rows: Float[Tensor, "n d"], rank: int) -> Directions:
    """The directions in which rows differ most (principal components)."""
    check_number("rank", rank, 1, min(rows.shape), whole=True)
    center = rows.mean(0)
    axes = torch.linalg.svd(rows - center, full_matrices=False)[2][:rank].T
    return Directions(center, axes)


def shared(
    text: Float[Tensor, "n d"],
    image: Float[Tensor, "n m"],
    rank: int,
    *,
    penalty: float | int = 1.0,
) -> tuple[Directions, Directions, Float[Tensor, " k"]]:
    """The directions that two tables share (canonical correlation analysis).

    The first pair of directions has the largest correlation over the rows, the next one
    the largest among what is left, and so on. A direction is as long as its
    correlation, so that what is hardly shared counts for little.

    Args:
        text: a row a word.
        image: a row for the same word.
        rank: how many pairs.
        penalty: added to the variance of every direction, in mean variances; it holds
            back directions in which rows hardly differ.

    Returns:
        Directions of the text, of the image, and the correlations (with a penalty,
        somewhat below them).

    Raises:
        ValueError: other numbers of rows, too large a rank, a penalty below zero.
    """
    check_same_length(text=text, image=image)
    check_number("rank", rank, 1, min(*text.shape, image.shape[1]), whole=True)
    check_number("penalty", penalty, 0)
    centers = text.mean(0), image.mean(0)
    x, y = text - centers[0], image - centers[1]
    evened = [_evened(rows, penalty) for rows in (x, y)]
    # both tables with even variances; singular values are the correlations
    u, s, v = torch.linalg.svd(evened[0] @ (x.T @ y / len(x)) @ evened[1])
    one, other = (
        Directions(center, root @ side[:, :rank] * s[:rank])
        for center, root, side in zip(centers, evened, (u, v.T), strict=True)
    )
    return one, other, s[:rank]


def _evened(rows: Tensor, penalty: float | int) -> Tensor:
    """The inverse square root of the covariance of centered rows."""
    spread, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
    return axes @ torch.diag((spread + penalty * spread.mean()) ** -0.5) @ axes.T
