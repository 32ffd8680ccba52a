"""Exercises of the chapter on image captioning (`sec-captioning`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does the doubly stochastic term cost?

    64 cells, a caption of 8 words, each looks at one cell alone, always another one.
    The sum over cells of (1 - looks)^2?

    Raises:
        Hint: a mean, equal looks, the cells that were looked at, all cells.
    """
    last = "not right: how many looks does each of the 64 cells get?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-6, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the mean of the regions that are real.

    Write `average(regions, mask)` for regions (b, n, d) and a mask (b, n), true where
    there is a region: the mean region of each picture (b, d).

    Raises:
        Hint: zero rows in the mean, a sum, one number of regions for all pictures,
            what stands in masked rows, a weighted table.
    """
    cases = []
    for b, n, d in ((3, 4, 2), (2, 5, 3), (4, 3, 6)):
        g = generator(n)
        regions = torch.randn(b, n, d, generator=g)
        real = 1 + torch.arange(b)[:, None] % n
        cases.append((regions, torch.arange(n) < real))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: each sample against the mean of the others.

    Write `advantage(reward)` for rewards (b, s) of s samples of each picture.

    Raises:
        Hint: the sample in its own baseline, a mean over pictures, the baseline alone,
            the sign, a sum in the place of a mean.
    """
    cases = [(torch.rand(b, s, generator=generator(s)),) for b, s in ((3, 5), (4, 2))]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _average(regions: Tensor, mask: Tensor) -> Tensor:
    real = mask[..., None]
    return (regions * real).sum(1) / real.sum(1)


def _over_all(regions: Tensor, mask: Tensor) -> Tensor:
    return (regions * mask[..., None]).mean(1)


def _no_mask(regions: Tensor, mask: Tensor) -> Tensor:
    return regions.mean(1)


def _one_count(regions: Tensor, mask: Tensor) -> Tensor:
    return (regions * mask[..., None]).sum(1) / mask.sum(1).max()


def _summed(regions: Tensor, mask: Tensor) -> Tensor:
    return (regions * mask[..., None]).sum(1)


def _each_real(regions: Tensor, mask: Tensor) -> Tensor:
    return regions[mask].mean(0).expand(len(regions), -1)


def _rest(reward: Tensor) -> Tensor:
    return (reward.sum(1, keepdim=True) - reward) / (reward.shape[1] - 1)


SOLUTIONS = {1: 56, 2: _average, 3: lambda reward: reward - _rest(reward)}
MISTAKES = {
    1: [
        (56 / 64, "that is a mean over cells: the sum is asked for."),
        (64 * (1 - 8 / 64) ** 2, "that is the cost of equal looks."),
        (8, "those are the looks; what do the cells without one cost?"),
        (0, "only a cell with exactly one look costs nothing."),
        (64, "eight cells got their look: they cost nothing."),
    ],
    2: [
        (_no_mask, "what stands in masked rows counts: where is the mask?"),
        (_over_all, "zeros are counted as regions: divide by how many are real."),
        (_one_count, "each picture has its own number of regions."),
        (_summed, "that is the sum; the mean is asked for."),
        (_each_real, "that is one mean for all pictures."),
    ],
    3: [
        (
            lambda r: r - r.mean(1, keepdim=True),
            "the sample is part of its own baseline: leave it out.",
        ),
        (
            lambda r: r - r.mean(0, keepdim=True),
            "compare samples of one picture, not pictures.",
        ),
        (lambda r: r - r.mean(), "each picture needs a baseline of its own."),
        (_rest, "that is the baseline: what is the advantage?"),
        (lambda r: _rest(r) - r, "better than the others must be above zero."),
        (
            lambda r: 2 * r - r.sum(1, keepdim=True),
            "the mean of the others, not their sum.",
        ),
    ],
}
