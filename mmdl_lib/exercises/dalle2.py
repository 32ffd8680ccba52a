"""Exercises of the chapter on DALL-E 2 (`sec-dalle2`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how loud is a unit vector?

    An embedding of length one has 768 numbers, spread evenly. Noise of deviation 1 is
    mixed in, alpha-bar is 0.5. How large is signal over noise, as a ratio of mean
    squares?

    Raises:
        Hint: numbers of size one, a ratio of sizes, upside down, alpha-bar twice.
    """
    last = "not right: what is the mean square of 768 numbers whose squares sum to 1?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-5, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: walk along the arc.

    Write `walk(one, two, share)` for vectors (b, d) of length one that are neither
    equal nor opposite: the point of the shorter arc at this share of its angle.

    Raises:
        Hint: a straight line, one that is made longer, the wrong end, degrees of cos.
    """
    cases = []
    for b, d, share, seed in ((2, 3, 0.25, 0), (3, 8, 0.7, 1), (1, 5, 0.4, 2)):
        one, two = (_unit(b, d, seed=2 * seed + k) for k in (0, 1))
        cases.append((one, two, share))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: keep the nearer of several.

    Write `keep(pictures, text)` for embeddings (n, b, d), n for each of b captions, and
    texts (b, d): of each caption's n the one with the largest product, (b, d).

    Raises:
        Hint: the farthest, the first, a mean, one for all, the nearest of strangers.
    """
    cases = []
    for n, b, d, seed in ((2, 4, 5, 0), (3, 3, 4, 1), (4, 6, 3, 2)):
        cases.append((_unit(n * b, d, seed=seed).reshape(n, b, d),))
        cases[-1] += (_unit(b, d, seed=seed + 10),)
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _unit(n: int, d: int, *, seed: int) -> Tensor:
    return F.normalize(torch.randn(n, d, generator=generator(seed)), dim=-1)


def _walk(one: Tensor, two: Tensor, share: float) -> Tensor:
    angle = (one * two).sum(-1, keepdim=True).acos()
    parts = ((1 - share) * angle).sin() * one + (share * angle).sin() * two
    return parts / angle.sin()


def _straight(one: Tensor, two: Tensor, share: float) -> Tensor:
    return (1 - share) * one + share * two


def _stretched(one: Tensor, two: Tensor, share: float) -> Tensor:
    return F.normalize(_straight(one, two, share), dim=-1)


def _cosine(one: Tensor, two: Tensor, share: float) -> Tensor:
    angle = (one * two).sum(-1, keepdim=True)
    parts = ((1 - share) * angle).sin() * one + (share * angle).sin() * two
    return parts / angle.sin()


def _undivided(one: Tensor, two: Tensor, share: float) -> Tensor:
    return _walk(one, two, share) * (one * two).sum(-1, keepdim=True).acos().sin()


def _picked(pictures: Tensor, which: Tensor) -> Tensor:
    return pictures[which, torch.arange(pictures.shape[1])]


def _products(pictures: Tensor, text: Tensor) -> Tensor:
    return (pictures * text).sum(-1)


def _keep(pictures: Tensor, text: Tensor) -> Tensor:
    return _picked(pictures, _products(pictures, text).argmax(0))


def _farthest(pictures: Tensor, text: Tensor) -> Tensor:
    return _picked(pictures, _products(pictures, text).argmin(0))


def _one_for_all(pictures: Tensor, text: Tensor) -> Tensor:
    return pictures[_products(pictures, text).mean(1).argmax()]


def _strangers(pictures: Tensor, text: Tensor) -> Tensor:
    everyone = pictures.flatten(0, 1)
    return everyone[(everyone @ text.T).argmax(0)]


SOLUTIONS = {1: 1 / 768, 2: _walk, 3: _keep}
MISTAKES = {
    1: [
        (1.0, "that would be for numbers of size one: these are far smaller."),
        (768**-0.5, "that is a ratio of sizes: mean squares are asked."),
        (768.0, "upside down: signal over noise."),
        (0.5 / 768, "both sides are halved at alpha-bar 0.5: the signal, too."),
    ],
    2: [
        (_straight, "that is a straight line: halfway it is shorter than one."),
        (_stretched, "of length one, but not at even speed: shares of the angle."),
        (lambda a, b, s: _walk(b, a, s), "share 0 is the first vector."),
        (_cosine, "the product is the cosine of the angle, not the angle."),
        (_undivided, "shorter than one: by what must it be divided?"),
    ],
    3: [
        (_farthest, "those are the farthest."),
        (lambda p, t: p[0], "that is always the first: look at the products."),
        (lambda p, t: p.mean(0), "a mean of several is none of them."),
        (_one_for_all, "each caption chooses for itself."),
        (_strangers, "only among the tries that were drawn for this caption."),
    ],
}
