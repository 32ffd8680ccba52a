"""Exercises of the chapter on Vokenization and imagination (`sec-vokenization`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: the hinge of one token.

    A token has relevance 0.6 to its own picture, and 0.5, 0.2, -0.1 to three others.
    The margin is 0.5. What is the mean of the hinge over the three others?

    Raises:
        Hint: the sum, the own picture among the wrong ones, no margin, no zero.
    """
    last = "write max(0, 0.5 - 0.6 + r) for each of the three, and take the mean."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=2e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: how far two texts share their vokens.

    Write `agreement(vokens, other)` for two tables (b, t) of vokens of the same tokens,
    -100 where there is none: the share of tokens with the same voken, among those that
    have one in both.

    Raises:
        Hint: padding counted as equal, padding counted at all, a mean of rows.
    """
    last = "first choose the places where both tables have a voken."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=_tables(), near=1e-5, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: a picture for a word, from its neighbors.

    Write `imagine(word, words, pictures, k)`: the mean of the pictures (n, p) of the k
    words (n, d) whose cosine with `word` (d,) is largest.

    Raises:
        Hint: inner products of unequal lengths, the farthest, all words, a sum.
    """
    cases = []
    for n, d, p, k in ((9, 4, 3, 2), (12, 6, 5, 4)):
        g = generator(n)
        words = torch.randn(n, d, generator=g) * torch.rand(n, 1, generator=g) * 4
        word, pictures = torch.randn(d, generator=g), torch.randn(n, p, generator=g)
        cases.append((word, words, pictures, k))
    last = "rank the words by cosine, keep k rows of the pictures, and take their mean."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-4, otherwise=last)


def exercise_4(answer) -> None:
    """Predict: what a step of masked multimodal modeling asks.

    FLAVA in small reads 64 pairs in a step. Half of the pictures, on average, get the
    text of another row. Of the 16 patches of a picture 6 are hidden. For how many
    hidden patches, on average, must the net name the code in masked multimodal
    modeling?

    Raises:
        Hint: patches of exchanged pairs, patches that are seen, one picture only.
    """
    last = "count the pictures that keep their text, and 6 patches for each of them."
    judge(answer, SOLUTIONS[4], MISTAKES[4], near=0.01, otherwise=last)


def _tables() -> list[tuple[Tensor, Tensor]]:
    cases = []
    for seed in range(3):
        g = generator(seed)
        first = torch.randint(3, (4, 7), generator=g)
        second = torch.where(torch.rand(4, 7, generator=g) < 0.5, first, 2 - first)
        length = torch.tensor([[7], [2], [4], [3]])
        gone = torch.arange(7) >= length
        first, second = (x.masked_fill(gone, -100) for x in (first, second))
        second[0, 0] = -100  # a piece that no old one covers
        cases.append((first, second))
    return cases


def _agreement(vokens: Tensor, other: Tensor) -> Tensor:
    both = (vokens != -100) & (other != -100)
    return ((vokens == other) & both).sum() / both.sum()


def _with_padding(vokens: Tensor, other: Tensor) -> Tensor:
    return (vokens == other).float().mean()


def _one_side(vokens: Tensor, other: Tensor) -> Tensor:
    some = vokens != -100
    return (vokens == other)[some].float().mean()


def _of_rows(vokens: Tensor, other: Tensor) -> Tensor:
    both = (vokens != -100) & (other != -100)
    return (((vokens == other) & both).sum(1) / both.sum(1)).mean()


def _diluted(vokens: Tensor, other: Tensor) -> Tensor:
    return ((vokens == other) & (vokens != -100)).float().mean()


def _imagine(word, words, pictures, k, *, unit=True, largest=True) -> Tensor:
    score = words @ word
    if unit:
        score = score / words.norm(dim=1)
    return pictures[score.topk(k, largest=largest).indices].mean(0)


SOLUTIONS = {1: 0.4 / 3 + 0.1 / 3, 2: _agreement, 3: _imagine, 4: 192}
MISTAKES = {
    1: [
        (0.5, "that is the sum over the three: take the mean."),
        (0.25, "your mean has four terms: the own picture is none of the wrong ones."),
        (0.1, "negative terms count as zero, for a pair beyond the margin is done."),
        (0.0, "the margin is missing: 0.6 against 0.5 is right, but not by 0.5."),
        (0.4, "that is the hardest picture alone; here all three count."),
    ],
    2: [
        (_with_padding, "padding is equal to padding: count only places with vokens."),
        (_one_side, "a place with a voken in only one of the tables must not count."),
        (_diluted, "divide by the places with a voken in both, not by all places."),
        (_of_rows, "that is a mean of rows: short texts then count as much as long."),
    ],
    3: [
        (
            lambda *given: _imagine(*given, unit=False),
            "long vectors win your inner product: divide by their lengths.",
        ),
        (
            lambda *given: _imagine(*given, largest=False),
            "those are the words that are least alike.",
        ),
        (
            lambda word, words, pictures, k: pictures.mean(0),
            "that is the mean of all pictures: choose k first.",
        ),
        (
            lambda word, words, pictures, k: k * _imagine(word, words, pictures, k),
            "that is a sum: divide by k.",
        ),
    ],
    4: [
        (384, "exchanged pairs hide patches, too, but are asked only if they match."),
        (512, "only hidden patches are asked: 6 of the 16."),
        (320, "those are the patches that the net sees: asked are the hidden ones."),
        (6, "that is one picture: how many of the 64 keep their own text?"),
        (1024, "those are all patches: take the hidden ones of pairs that match."),
    ],
}
