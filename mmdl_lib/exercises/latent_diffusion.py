"""Exercises of the chapter on latent diffusion (`sec-latent_diffusion`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does guidance make of a share?

    In the training set 60 % of the pictures of a nurse show a woman, and 40 % of all
    pictures do; there are two groups. A net that has learned both exactly draws "a
    nurse" with a guidance of 4. What share of its pictures show a woman?

    Raises:
        Hint: no division by the share of all, a line drawn farther, no guidance, w for
            the scale.
    """
    last = (
        "not right: which two numbers does guidance weigh for each of the two groups?"
    )
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: what passes a clamp?

    Write `passed(x, grad, low, high)`: the gradient that goes on to x when `grad`
    arrives at clamp(x, low, high), so that a step against the gradient may lead back
    into the limits, but never farther out.

    Raises:
        Hint: nothing passes outside, all passes, the other direction, one limit only.
    """
    cases = []
    for seed in range(4):
        x = 3 * torch.randn(3, 5, generator=generator(seed))
        grad = torch.randn(3, 5, generator=generator(10 + seed))
        cases.append((x, grad, -1.0 - 0.2 * seed, 0.5))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: several prompts, some of them unwanted.

    Write `judged(x, texts, weights)` for features x (b, d) of pictures, texts (p, d)
    and weights (p,): for each picture the sum over texts of weight times half of the
    squared angle in radians. Features have any length.

    Raises:
        Hint: lengths, no square, no half, weights without a sign, a mean over texts.
    """
    cases = []
    for b, p, d, seed in ((2, 3, 4, 0), (1, 2, 3, 1), (4, 1, 5, 2)):
        random = generator(seed)
        x, texts = (torch.randn(n, d, generator=random) for n in (b, p))
        cases.append((3 * x, texts, torch.randn(p, generator=random)))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _passed(x: Tensor, grad: Tensor, low: float, high: float) -> Tensor:
    stuck = ((x > high) & (grad < 0)) | ((x < low) & (grad > 0))
    return torch.where(stuck, 0.0, grad)


def _plain(x: Tensor, grad: Tensor, low: float, high: float) -> Tensor:
    return torch.where((x >= low) & (x <= high), grad, 0.0)


def _upper(x: Tensor, grad: Tensor, low: float, high: float) -> Tensor:
    return torch.where((x > high) & (grad < 0), 0.0, grad)


def _angles(x: Tensor, texts: Tensor) -> Tensor:
    cosine = F.normalize(x, dim=-1) @ F.normalize(texts, dim=-1).T
    return cosine.clamp(-1, 1).acos()


def _judged(x: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
    return (weights * _angles(x, texts).square() / 2).sum(1)


def _long(x: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
    return (weights * (x @ texts.T).clamp(-1, 1).acos().square() / 2).sum(1)


SOLUTIONS = {
    1: 0.6**4 / 0.4**3 / (0.6**4 / 0.4**3 + 0.4**4 / 0.6**3),
    2: _passed,
    3: _judged,
}
MISTAKES = {
    1: [
        (
            0.6**4 / (0.6**4 + 0.4**4),
            "guidance divides by what holds without the word: which power has that?",
        ),
        (1.2, "a share above 1: guidance adds logs of probabilities, not shares."),
        (0.6, "that is a scale of 1: this one is 4."),
        (
            0.6**5 / 0.4**4 / (0.6**5 / 0.4**4 + 0.4**5 / 0.6**4),
            "that takes the scale for w: here the scale is 1 + w.",
        ),
    ],
    2: [
        (_plain, "what is outside never comes back: which gradients lead inward?"),
        (lambda x, g, low, high: g, "all passes: a pixel may run away for ever."),
        (
            lambda x, g, low, high: _passed(x, -g, low, high) * -1,
            "a step goes against the gradient: which sign leads back?",
        ),
        (_upper, "there is a lower limit, too."),
    ],
    3: [
        (_long, "a cosine needs features of length one."),
        (lambda x, t, w: (w * _angles(x, t)).sum(1), "the angle is squared."),
        (
            lambda x, t, w: (w * _angles(x, t).square()).sum(1),
            "half of the squared angle is asked.",
        ),
        (
            lambda x, t, w: (w.abs() * _angles(x, t).square() / 2).sum(1),
            "an unwanted text keeps its sign: it pushes away.",
        ),
        (
            lambda x, t, w: (w * _angles(x, t).square() / 2).mean(1),
            "a sum over texts, not a mean.",
        ),
    ],
}
