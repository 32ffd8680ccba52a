"""Exercises of the chapter on BYOL, SwAV and DINO (`sec-byol`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, judge


def exercise_1(answer) -> None:
    """Predict: what does a net pay that knows nothing?

    Prediction and target are independent random directions. What is the expectation of
    BYOL's symmetrized loss?

    Raises:
        Hint: one side only, collapsed, opposite, one cosine for the other.
    """
    last = "not right: what is the mean cosine of two independent directions?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Predict and compute: how long does a target remember?

    Write `half_life(tau)`: after how many steps of eq. (1) is the share of the target's
    old weights one half? A real number, no rounding.

    Raises:
        Hint: the mean age, the inverse, the sign, the factor one half missing.
    """
    cases = [(0.9,), (0.99,), (0.996,)]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: write the loss.

    Write `byol_loss(q1, q2, z1, z2)`: predictions and target projections of both views,
    each (b, p), not normalized. The mean over the batch; no gradient reaches z.

    Raises:
        Hint: the own view, no normalization, one side, another mean, a gradient to z.
    """
    vectors = torch.randn(4, 5, 3, generator=generator(0))
    inputs = [x.clone().requires_grad_() for x in vectors]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[tuple(inputs)])
    loss = call(answer, *inputs)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise Hint("the value is right, but no gradient reaches q: it could not learn.")
    grads = torch.autograd.grad(loss.sum(), inputs, allow_unused=True)
    if any(g is not None and g.any() for g in grads[2:]):
        raise Hint("the value is right, but gradients reach z: where is the sg?")
    if any(g is None or not g.any() for g in grads[:2]):
        raise Hint(
            "the value is right, but no gradient reaches one of the predictions."
        )


def exercise_4(answer) -> None:
    """Investigate: write a smoke detector.

    Write `diagnose(p)` for probabilities (n, k) of n pictures over k outputs. Return
    "one-hot" where all pictures get the same single output, "uniform" where no picture
    gets any in particular, and "healthy" otherwise.

    Raises:
        Hint: only single rows are looked at, or only their mean.
    """
    n, k = 64, 8
    noise = 0.1 * torch.randn(n, k, generator=generator(2))
    sure = 9 * F.one_hot(torch.arange(n) % k, k)
    same = 9 * F.one_hot(torch.full((n,), 3), k)
    cases = {
        "healthy": (sure + noise).softmax(1),
        "uniform": noise.softmax(1),
        "one-hot": (same + noise).softmax(1),
    }
    found = {name: call(answer, p) for name, p in cases.items()}
    if not all(isinstance(v, str) and v in cases for v in found.values()):
        raise Hint('return "healthy", "uniform" or "one-hot".')
    if found == {name: name for name in cases}:
        return
    if found["healthy"] == found["uniform"] and found["one-hot"] == "one-hot":
        raise Hint(
            "the mean over pictures is flat in both cases: look at single rows, too."
        )
    if found["healthy"] == found["one-hot"] and found["uniform"] == "uniform":
        raise Hint(
            "every row is sure in both cases: look at the mean over pictures, too."
        )
    if len(set(found.values())) == 1:
        raise Hint("all three cases get the same answer.")
    raise Hint(
        "two entropies tell: that of the mean row, and the mean of the rows' entropies."
    )


def _half_life(tau: float) -> float:
    return math.log(0.5) / math.log(tau)


def _one(q: Tensor, z: Tensor) -> Tensor:
    return 2 - 2 * F.cosine_similarity(q, z, dim=1)


def _loss(q1: Tensor, q2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    return (_one(q1, z2.detach()) + _one(q2, z1.detach())).mean()


def _unscaled(q1: Tensor, q2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    return ((q1 - z2) ** 2 + (q2 - z1) ** 2).sum(1).mean()


def _entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp(min=1e-12).log()).sum(-1)


def _diagnose(p: Tensor) -> str:
    half = 0.5 * math.log(p.shape[1])
    if _entropy(p.mean(0)) < half:
        return "one-hot"
    return "healthy" if _entropy(p).mean() < half else "uniform"


def _swapped(p: Tensor) -> str:
    names = {"healthy": "one-hot", "one-hot": "healthy", "uniform": "uniform"}
    return names[_diagnose(p)]


ONE_WAY = "that is one direction: swap the views and add."

SOLUTIONS = {1: 4, 2: _half_life, 3: _loss, 4: _diagnose}
MISTAKES = {
    1: [
        (2, "that is one direction, eq. (2): the symmetrized loss adds both."),
        (0, "that is the loss of a perfect, or a collapsed, net."),
        (8, "that is the loss of opposite directions: random ones are orthogonal."),
        (1, "2 - 2 cos, not 1 - cos, and there are two of them."),
    ],
    2: [
        (lambda t: 1 / (1 - t), "1 / (1 - tau) is the mean age, not the half-life."),
        (
            lambda t: 1 / _half_life(t),
            "that is log(tau) / log(1/2): solve tau^n = 1/2 for n.",
        ),
        (
            lambda t: -_half_life(t),
            "your sign is wrong: both logarithms are negative.",
        ),
        (lambda t: 0.5 / t, "after n steps the share is tau^n, not n tau."),
        (
            lambda t: _half_life(1 - t),
            "the share that is left is tau^n, not (1 - tau)^n.",
        ),
        (
            lambda t: 0.5 / (1 - t),
            "each step takes a share of what is left, not of the beginning.",
        ),
    ],
    3: [
        (
            lambda q, r, y, z: (_one(q, y) + _one(r, z)).mean(),
            "each prediction meets the target of the other view.",
        ),
        (_unscaled, "bring both to length one first."),
        (lambda q, r, y, z: _one(q, z).mean(), ONE_WAY),
        (lambda q, r, y, z: _one(r, y).mean(), ONE_WAY),
        (
            lambda *a: _loss(*a) / 2,
            "2 - 2 cos, and both directions are added, not averaged.",
        ),
        (lambda *a: _loss(*a) - 4, "2 - 2 cos: the constant is missing."),
        (
            lambda q, *a: len(q) * _loss(q, *a),
            "take the mean over the batch, not the sum.",
        ),
        (
            lambda q, *a: _loss(q, *a) / q.shape[1],
            "sum over the p coordinates, then the mean over the batch.",
        ),
        (
            lambda q, r, y, z: _one(q, z) + _one(r, y),
            "return one number, the mean over the batch.",
        ),
        (lambda q, r, y, z: (_one(q, z) + _one(r, y)).mean(), "where is the sg?"),
        (lambda *a: _loss(*a).detach(), "it could not learn"),
        (lambda *a: _loss(*a).item(), "it could not learn"),
        (lambda q, r, y, z: _loss(q, r.detach(), y, z), "one of the predictions"),
    ],
    4: [
        (lambda p: "collapsed", 'return "healthy", "uniform" or "one-hot".'),
        (lambda p: p, 'return "healthy", "uniform" or "one-hot".'),
        (lambda p: "healthy", "all three cases get the same answer"),
        (
            lambda p: "one-hot" if _entropy(p.mean(0)) < 1 else "healthy",
            "look at single rows",
        ),
        (
            lambda p: "healthy" if _entropy(p).mean() < 1 else "uniform",
            "look at the mean over pictures",
        ),
        (_swapped, "two entropies tell"),
    ],
}
