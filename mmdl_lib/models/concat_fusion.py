"""Joining word vectors and image vectors: two unit parts, one weight.

**Paper** Kiela and Bottou, "Learning Image Embeddings using Convolutional Neural
Networks for Improved Multi-Modal Semantics", EMNLP 2014, doi 10.3115/v1/D14-1005. The
weight: Bruni, Tran and Baroni, "Multimodal Distributional Semantics", JAIR 2014, doi
10.1613/jair.4135.

**Book** `sec-concat_fusion`

**Symbols**
- `text (n, d)` = V_text, `image (n, m)` = V_img; row i of both is the same word
- `gamma` = the weight of the text, from 0 to 1; the image gets 1 - gamma
- `fuse` = F = gamma V_text (+) (1 - gamma) V_img, (+) for side by side

**Start** Nothing is learned by steps.

**Differs from the paper**
- A word without a picture, or without a vector, is refused: a part of length zero
  would leave its word with cosines of another scale.
- A mean of pictures is one of vectors of length one, so that no picture counts more
  for being bright.

**Builds on** nothing.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice, check_integers, check_number, check_numbers


def fuse(
    text: Float[Tensor, "n d"], image: Float[Tensor, "n m"], gamma: float | int = 0.5
) -> Float[Tensor, "n e"]:
    """Word vectors that hold both: weighted unit parts side by side, e = d + m.

    Their length is the same for all words, sqrt(gamma^2 + (1 - gamma)^2).

    Args:
        text: a vector of each word.
        image: a vector of each word's pictures, in the same order.
        gamma: 1 for text alone, 0 for pictures alone.

    Raises:
        ValueError: no word, unequal numbers of words, a vector of length zero, or
            gamma outside [0, 1].

    Example:
        >>> fuse(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 9.0]]), 0.5)
        tensor([[0.3000, 0.4000, 0.0000, 0.5000]])
    """
    check_number("gamma", gamma, 0, 1)
    check_pairs(text, image)
    # F = gamma V_text (+) (1 - gamma) V_img, with parts of length one
    return torch.cat([gamma * _unit(text), (1 - gamma) * _unit(image)], dim=1)


def fused_cosine(cosine_text, cosine_image, gamma: float | int = 0.5):
    r"""What the cosine of two fused words is, without fusing them.

    $$\cos = \frac{\gamma^2 \cos_t + (1-\gamma)^2 \cos_v}{\gamma^2 + (1-\gamma)^2}$$

    Args:
        cosine_text: cosines of the text parts, any shape, or a number.
        cosine_image: cosines of the image parts, the same shape.
        gamma: as in `fuse`.

    Raises:
        ValueError: gamma outside [0, 1], or cosines of other pairs.

    Example:
        >>> round(fused_cosine(0.2, 0.6, 0.5), 6)
        0.4
    """
    share = text_share(gamma)
    check_cosines(cosine_text, cosine_image)
    return share * cosine_text + (1 - share) * cosine_image


def text_share(gamma: float | int) -> float:
    """The weight of the text in the cosine: gamma^2 / (gamma^2 + (1 - gamma)^2).

    Raises:
        ValueError: gamma outside [0, 1].

    Example:
        >>> text_share(0.75)
        0.9
    """
    check_number("gamma", gamma, 0, 1)
    return gamma**2 / (gamma**2 + (1 - gamma) ** 2)


def balanced(spread_text: float | int, spread_image: float | int) -> float:
    """The weight at which both parts move the cosine equally far.

    A part moves it by its weight squared times the spread of its cosines over pairs of
    words: a part whose cosines are all nearly alike has no vote, whatever its weight.

    Args:
        spread_text: standard deviation of the cosines by text, above zero.
        spread_image: the same by pictures.

    Raises:
        ValueError: no number above zero.

    Example:
        >>> round(balanced(0.01, 0.16), 6)
        0.8
    """
    check_number("spread_text", spread_text, above=0)
    check_number("spread_image", spread_image, above=0)
    # gamma^2 spread_text = (1 - gamma)^2 spread_image
    return 1 / (1 + (spread_text / spread_image) ** 0.5)


def pool(
    features: Float[Tensor, "p m"],
    picture: Int[Tensor, " r"],
    word: Int[Tensor, " q"],
    words: int,
    *,
    how: str = "mean",
) -> Float[Tensor, "words m"]:
    """One vector a word from all of its pictures, which may belong to several words.

    Args:
        features: one row a picture.
        picture: numbers of pictures.
        word: the word that the picture of the same place shows.
        words: how many words there are; each needs a picture.
        how: "mean" of pictures of length one, or "max" in each feature.

    Raises:
        ValueError: unpaired rows, numbers out of range, a picture of zeros, a word
            without picture, or another `how`.

    Example:
        >>> features = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> pool(features, torch.tensor([0, 1, 2]), torch.tensor([0, 0, 1]), 2)
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]])
    """
    check_choice("how", how, ("mean", "max"))
    check_number("words", words, 1, whole=True)
    _check_features("features", features)
    _check_rows("picture", picture, len(features))
    _check_rows("word", word, words)
    if len(picture) != len(word):
        raise ValueError(
            f"expected as many pictures as words, row by row, got {len(picture)} and "
            f"{len(word)}."
        )
    bare = (torch.bincount(word, minlength=words) == 0).nonzero().flatten().tolist()
    if bare:
        raise ValueError(
            f"expected a picture of each of {words} words, got none of {len(bare)}, "
            f"such as number {bare[0]}: leave them out, or imagine their pictures."
        )
    if how == "mean":
        rows = _unit(features)[picture]
        total = rows.new_zeros(words, features.shape[1]).index_add_(0, word, rows)
        return total / torch.bincount(word, minlength=words)[:, None]
    rows = features[picture]
    empty, owner = rows.new_zeros(words, rows.shape[1]), word[:, None].expand_as(rows)
    return empty.scatter_reduce_(0, owner, rows, "amax", include_self=False)


def dispersion(features: Float[Tensor, "p m"]) -> float:
    """How unlike the pictures of a word are: one minus their mean pairwise cosine.

    Kiela et al. 2014, "Improving Multi-Modal Representations Using Image Dispersion",
    doi 10.3115/v1/P14-2135: larger for abstract words.

    Raises:
        ValueError: fewer than two pictures, or one of zeros.

    Example:
        >>> round(dispersion(torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 1.0]])), 4)
        0.6667
    """
    _check_features("features", features)
    n = len(features)
    if n < 2:
        raise ValueError(f"expected two pictures or more, got {n}.")
    # the squared length of a sum of unit vectors is n plus all cosines of two
    total = _unit(features).sum(0).square().sum().item()
    return 1 - (total - n) / (n * (n - 1))


def nearest(
    vectors: Float[Tensor, "n e"], asked: Int[Tensor, " q"], k: int = 5
) -> tuple[Float[Tensor, "q k"], Int[Tensor, "q k"]]:
    """The k words of largest cosine with each of some words, itself left out.

    Args:
        vectors: fused or not; all words that may be an answer.
        asked: their numbers.
        k: how many.

    Returns:
        Cosines, largest first, and numbers of words.

    Raises:
        ValueError: numbers out of range, a vector of length zero, or k too large.
    """
    _check_features("vectors", vectors)
    _check_rows("asked", asked, len(vectors))
    check_number("k", k, 1, len(vectors) - 1, whole=True)
    unit, cosines, rows = _unit(vectors), [], []
    for some in asked.split(256):  # a table of all would not fit
        table = unit[some] @ unit.T
        table[torch.arange(len(some)), some] = -torch.inf
        best = table.topk(k)
        cosines.append(best.values)
        rows.append(best.indices)
    return torch.cat(cosines), torch.cat(rows)


def check_pairs(text: Tensor, image: Tensor) -> None:
    """Two tables, row i of each for the same word, no row of length zero.

    Raises:
        ValueError: anything else, in one sentence.
    """
    _check_features("text", text)
    _check_features("image", image)
    if len(text) != len(image):
        raise ValueError(
            f"expected a row of text and one of image for each word, got {len(text)} "
            f"and {len(image)} rows."
        )


def check_cosines(cosine_text, cosine_image) -> None:
    """Check that each pair has both cosines; a number is that of all pairs.

    Raises:
        ValueError: two tensors of different shapes.
    """
    shapes = [tuple(getattr(x, "shape", ())) for x in (cosine_text, cosine_image)]
    if all(shapes) and shapes[0] != shapes[1]:
        one, two = shapes
        raise ValueError(f"expected both cosines of each pair, got {one} and {two}.")


def _check_features(name: str, values: Tensor) -> None:
    check_numbers(name, values, "n d")
    if 0 in values.shape:
        raise ValueError(f"{name} expected at least one row and one number, got none.")
    length = values.square().sum(1)
    if (length == 0).any():
        row = int((length == 0).nonzero()[0])
        raise ValueError(
            f"{name} expected vectors with a direction, got zeros in row {row}: a word "
            "without a vector is left out before."
        )


def _check_rows(name: str, values: Tensor, n: int) -> None:
    check_integers(name, values, None)
    if values.ndim != 1 or len(values) == 0:
        got = tuple(values.shape)
        raise ValueError(f"{name} expected at least one number in a row, got {got}.")
    check_integers(name, values, 0, n - 1)


def _unit(values: Tensor) -> Tensor:
    return F.normalize(values, dim=1, eps=torch.finfo(values.dtype).tiny)
