"""Exercises of the chapter on Imagen and Parti (`sec-imagen`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what becomes of a pixel?

    A believed picture has 1,000 numbers: 990 of them are 0.5, ten are 4. Dynamic
    thresholding at 99.5 % follows. What is a number that was 0.5 afterwards?

    Raises:
        Hint: static thresholding, a percentile that is lower, another direction.
    """
    last = "not right: first find s, which five numbers of a thousand exceed at most."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-4, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: dynamic thresholding.

    Write `threshold(x0, percentile)` for pictures x0 (b, c, h, w): each is cut to its
    own [-s, s] and divided by s. s is the percentile of the absolute numbers of that
    picture, and at least 1.

    Raises:
        Hint: the whole batch, no lower bound, no division, no absolute values.
    """
    cases = []
    for b, h, percentile, seed in ((3, 4, 0.995, 0), (2, 5, 0.9, 1), (4, 3, 0.95, 2)):
        x = torch.randn(b, 3, h, h, generator=generator(seed)) + 0.3
        sizes = 0.2 + 4 * torch.rand(b, 1, 1, 1, generator=generator(seed))
        sizes[0] = 0.1
        cases.append((sizes * x, percentile))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: the code of the nearest direction.

    Write `nearest(z, codes)` for vectors z (n, d) and codes (k, d): for each vector the
    number of the code with the largest cosine.

    Raises:
        Hint: distances of vectors of any length, one side scaled, the smallest.
    """
    cases = []
    for n, d, k, seed in ((20, 3, 8, 0), (30, 2, 16, 1), (25, 4, 12, 2)):
        z = torch.randn(n, d, generator=generator(seed))
        codes = torch.randn(k, d, generator=generator(seed + 10))
        long = 0.2 + 3 * torch.rand(k, 1, generator=generator(seed + 20))
        cases.append((z, long * codes))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _cut(x0: Tensor, s: Tensor) -> Tensor:
    s = s.reshape(-1, 1, 1, 1)
    return x0.clamp(-s, s) / s


def _size(x0: Tensor, percentile: float) -> Tensor:
    return x0.abs().flatten(1).quantile(percentile, dim=1)


def _threshold(x0: Tensor, percentile: float) -> Tensor:
    return _cut(x0, _size(x0, percentile).clamp(min=1))


def _whole_batch(x0: Tensor, percentile: float) -> Tensor:
    s = x0.abs().flatten().quantile(percentile).clamp(min=1)
    return x0.clamp(-s, s) / s


def _always(x0: Tensor, percentile: float) -> Tensor:
    return _cut(x0, _size(x0, percentile))


def _uncut(x0: Tensor, percentile: float) -> Tensor:
    return x0 / _size(x0, percentile).clamp(min=1).reshape(-1, 1, 1, 1)


def _undivided(x0: Tensor, percentile: float) -> Tensor:
    s = _size(x0, percentile).clamp(min=1)
    return _cut(x0, s) * s.reshape(-1, 1, 1, 1)


def _signed(x0: Tensor, percentile: float) -> Tensor:
    return _cut(x0, x0.flatten(1).quantile(percentile, dim=1).clamp(min=1))


def _nearest(z: Tensor, codes: Tensor) -> Tensor:
    return (z @ F.normalize(codes, dim=1).T).argmax(1)


def _distance(z: Tensor, codes: Tensor) -> Tensor:
    return torch.cdist(z, codes).argmin(1)


def _half(z: Tensor, codes: Tensor) -> Tensor:
    return torch.cdist(F.normalize(z, dim=1), codes).argmin(1)


def _product(z: Tensor, codes: Tensor) -> Tensor:
    return (z @ codes.T).argmax(1)


def _opposite(z: Tensor, codes: Tensor) -> Tensor:
    return (z @ F.normalize(codes, dim=1).T).argmin(1)


def _other_axis(z: Tensor, codes: Tensor) -> Tensor:
    return (F.normalize(z, dim=1) @ codes.T).argmax(0)


SOLUTIONS = {1: 0.125, 2: _threshold, 3: _nearest}
MISTAKES = {
    1: [
        (0.5, "that is static thresholding: here all is divided by s, too."),
        (1.0, "that divides by 0.5: is the percentile of 99.5 % not among the ten?"),
        (2.0, "the range shrinks to [-1, 1]: divide by s."),
        (4.0, "that is s: what becomes of 0.5?"),
    ],
    2: [
        (_whole_batch, "one wild picture would change all: each has an s of its own."),
        (_always, "a picture within [-1, 1] stays as it is: s is at least 1."),
        (_uncut, "what is beyond s is still beyond 1: cut before you divide."),
        (_undivided, "cut, but not divided: the range is still [-s, s]."),
        (_signed, "both signs count: the percentile is that of absolute numbers."),
    ],
    3: [
        (_distance, "that is the distance: long and short vectors differ there."),
        (_half, "the codes have lengths, too: scale both sides to one."),
        (_product, "a long code wins too often: divide by the codes' lengths."),
        (_opposite, "that is the smallest cosine."),
        (_other_axis, "one number for each vector, not for each code."),
    ],
}
