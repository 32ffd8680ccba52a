"""Older ways to let word vectors hear of pictures, on one set of words.

All begin with GloVe's vectors of `data.things` and the pictures of some of its words,
and are asked about words whose pictures none has seen.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_integers, check_number, check_same_length
from mmdl_lib.core import generator
from mmdl_lib.data import things
from mmdl_lib.models.bovw_svd import k_means
from mmdl_lib.models.grounded_space import perceptual_loss
from mmdl_lib.models.imagined import ridge
from mmdl_lib.models.multimodal_skipgram import picture_hinge


class Split(NamedTuple):
    """Words, and which of them have shown their picture.

    Attributes:
        text, picture: of length one, the picture less the mean of those shown.
        shown: two thirds of all words.
    """

    text: Float[Tensor, "n d"]
    picture: Float[Tensor, "n p"]
    shown: Bool[Tensor, " n"]


def split(seed: int) -> Split:
    """All things; which are shown is drawn by the seed."""
    known = things.load()
    order = torch.randperm(len(known), generator=generator(seed))
    shown = torch.zeros(len(known), dtype=torch.bool)
    shown[order[: 2 * len(known) // 3]] = True
    text, picture = (F.normalize(x, dim=1) for x in (known.text, known.picture))
    return Split(text, F.normalize(picture - picture[shown].mean(0), dim=1), shown)


def clusters(picture: Float[Tensor, "n p"], k: int, seed: int) -> Int[Tensor, " n"]:
    """Which of k clusters each picture belongs to."""
    centers = k_means(picture, k, generator=generator(seed))
    return torch.cdist(picture, centers).argmin(1)


def tuned_table(
    text: Float[Tensor, "n d"],
    rows: Int[Tensor, " m"],
    cluster: Int[Tensor, " m"],
    *,
    steps: int = 100,
    lr: float | int = 0.03,
) -> Float[Tensor, "n d"]:
    """Visual word2vec in small: word vectors move until they tell their cluster.

    Args:
        text: the vectors to begin with, one a word.
        rows: words that have a picture.
        cluster: of the picture of each.
        steps: of Adam, on all of them at once.
        lr: its rate.

    Returns:
        The vectors after it.

    Raises:
        ValueError: words without a cluster, rows out of range, a rate not above zero.
    """
    check_same_length(rows=rows, cluster=cluster)
    check_integers("rows", rows, 0, len(text) - 1)
    check_number("lr", lr, above=0)
    table = text.clone().requires_grad_()
    head = torch.zeros(text.shape[1], int(cluster.max()) + 1, requires_grad=True)
    optimizer = torch.optim.Adam([table, head], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(table[rows] @ head, cluster).backward()
        optimizer.step()
    return table.detach()


def hinged(
    some: Split,
    seed: int,
    *,
    steps: int = 100,
    lr: float | int = 0.03,
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n p"]]:
    """Multimodal skip-gram without its text: vectors and a map, by the hinge.

    Args:
        some: words and pictures.
        seed: of the map's start, and of the wrong pictures, 20 a word.
        steps: of Adam, on all shown words at once.
        lr: its rate.

    Returns:
        The vectors u after it, and z = M u.
    """
    g, rows = generator(seed), some.shown.nonzero()[:, 0]
    table = some.text.clone().requires_grad_()
    map_ = torch.zeros(some.text.shape[1], some.picture.shape[1])
    map_ = (map_ + 0.1 * torch.randn(map_.shape, generator=g)).requires_grad_()
    optimizer = torch.optim.Adam([table, map_], lr=lr)
    own, seen = some.picture[rows], torch.ones(len(rows), 20, dtype=torch.bool)
    for _ in range(steps):
        wrong = own[torch.randint(len(rows), (len(rows), 20), generator=g)]
        optimizer.zero_grad()
        picture_hinge(table[rows] @ map_, own, wrong, seen, margin=0.5).backward()
        optimizer.step()
    return table.detach(), (table @ map_).detach()


def ways(some: Split, seed: int, *, k: int = 20, steps: int = 100) -> dict[str, Tensor]:
    """Vectors of all words: by text alone, and by three ways to hear of pictures."""
    rows = some.shown.nonzero()[:, 0]
    cluster = clusters(some.picture[rows], k, seed)
    found = ridge(some.text[rows], some.picture[rows], penalty=1.0)
    table, mapped = hinged(some, seed, steps=steps)
    return {
        "text": some.text,
        "tuned": tuned_table(some.text, rows, cluster, steps=steps),
        "hinged": table,
        "hinged, mapped": mapped,
        "imagined": found(some.text),
    }


def follows(vectors: Float[Tensor, "n d"], some: Split) -> dict[str, float]:
    """Correlation of cosines with those of the pictures, for words shown and new."""
    return {
        name: -perceptual_loss(vectors[which], some.picture[which]).item()
        for name, which in (("shown", some.shown), ("new", ~some.shown))
    }
