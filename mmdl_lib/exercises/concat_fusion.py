"""Exercises of the chapter on joined word and image vectors (`sec-concat_fusion`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: the cosine of two fused words.

    Their text parts have cosine 0.2, their image parts 0.8; the text's weight is 0.8.

    Raises:
        Hint: a linear mix, the parts confused, squares without their sum, no mix.
    """
    last = "square the weights, then divide by the sum of the squares."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0.002, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: all cosines for a weight, without fused vectors.

    Write `table(text, image, gamma)`: the cosines (n, n) of all pairs of fused words,
    from text (n, d) and image (n, m), whose rows have any length.

    Raises:
        Hint: a linear mix, rows that were not made unit, no division, weights swapped.
    """
    cases = []
    for n, d, m, gamma in ((5, 4, 7, 0.3), (3, 6, 2, 0.8)):
        g = generator(n)
        text, image = torch.randn(n, d, generator=g), torch.randn(n, m, generator=g)
        cases.append((3 * text, image, gamma))
    last = "two tables of cosines, each from unit rows, then one weight for each table."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, near=1e-4, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: positive PMI of words and visual words.

    Write `ppmi(count)` for counts (n, k), how often the pictures of each word have each
    visual word, all rows and columns above zero: max(0, log p(w, v) / (p(w) p(v))).

    Raises:
        Hint: negative values kept, shares of rows alone, log of two, infinite cells.
    """
    cases = []
    for n, k in ((6, 4), (3, 8)):
        count = torch.poisson(3 * torch.rand(n, k, generator=generator(n)) + 0.5,
                              generator=generator(k))  # fmt: skip
        cases.append((count + torch.eye(n, k),))
    last = "divide by the sum of all, compare with the product of both margins."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-4, otherwise=last)


def _cosines(x: Tensor, *, unit: bool = True) -> Tensor:
    x = F.normalize(x, dim=1) if unit else x
    return x @ x.T


def _table(text, image, gamma) -> Tensor:
    g, h = gamma**2, (1 - gamma) ** 2
    return (g * _cosines(text) + h * _cosines(image)) / (g + h)


def _linear(text, image, gamma) -> Tensor:
    return gamma * _cosines(text) + (1 - gamma) * _cosines(image)


def _lengths(text, image, gamma) -> Tensor:
    return F.cosine_similarity(
        *(torch.cat([gamma * text, (1 - gamma) * image], 1)[i] for i in
          ((slice(None), None), (None, slice(None)))), dim=2)  # fmt: skip


def _undivided(text, image, gamma) -> Tensor:
    return gamma**2 * _cosines(text) + (1 - gamma) ** 2 * _cosines(image)


def _swapped(text, image, gamma) -> Tensor:
    return _table(text, image, 1 - gamma)


def _pmi(count) -> Tensor:
    share = count / count.sum()
    return (share / share.sum(1, keepdim=True) / share.sum(0)).log()


def _ppmi(count) -> Tensor:
    return _pmi(count).clamp(min=0)


def _finite(count) -> Tensor:
    return _pmi(count).nan_to_num(neginf=0)


def _rows(count) -> Tensor:
    return (count / count.sum(1, keepdim=True) / count.sum()).log().clamp(min=0)


def _bits(count) -> Tensor:
    return _ppmi(count) / torch.tensor(2.0).log()


SOLUTIONS = {1: (0.64 * 0.2 + 0.04 * 0.8) / 0.68, 2: _table, 3: _ppmi}
MISTAKES = {
    1: [
        (0.32, "that mixes by 0.8 and 0.2; in a product each weight stands twice."),
        (0.7647, "you gave the text's weight to the pictures."),
        (0.16, "the fused vectors are no longer of length one: divide."),
        (0.5, "that is the mean: it belongs to gamma 0.5."),
    ],
    2: [
        (_linear, "you weigh by gamma; in a product of two words it stands twice."),
        (_lengths, "the longer part rules: make both parts of length one before."),
        (_undivided, "a word's cosine with itself must be one: divide."),
        (_swapped, "you gave the text's weight to the pictures."),
    ],
    3: [
        (_pmi, "pairs rarer than by chance are kept below zero; PPMI cuts them at 0."),
        (_finite, "only the infinite cells were cut; all below zero must be 0."),
        (_rows, "you never ask how often the visual word stands anywhere."),
        (_bits, "your logarithm is that of base two; ours is natural."),
    ],
}
