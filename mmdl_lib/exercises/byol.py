"""Exercises of the chapter on BYOL, SwAV and DINO (`sec-byol`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar


def exercise_1(answer) -> None:
    """Predict: what does a net pay that knows nothing?

    Prediction and target are independent random directions. What is the expectation of
    BYOL's symmetrized loss?

    Raises:
        Hint: one side only, collapsed, opposite, one cosine for the other.
    """
    value = scalar(answer).item()
    if value == 4:
        return
    wrong = {
        2: "that is one direction, eq. (2): the symmetrized loss adds both.",
        0: "that is the loss of a perfect, or a collapsed, net.",
        8: "that is the loss of opposite directions: random ones are orthogonal.",
        1: "2 - 2 cos, not 1 - cos, and there are two of them.",
    }
    if value in wrong:
        raise Hint(wrong[value])
    raise Hint("not right: what is the mean cosine of two independent directions?")


def exercise_2(answer) -> None:
    """Predict and compute: how long does a target remember?

    Write `half_life(tau)`: after how many steps of eq. (1) is the share of the target's
    old weights one half? A real number, no rounding.

    Raises:
        Hint: the mean age, the inverse, the sign, the factor one half missing.
    """
    taus = (0.9, 0.99, 0.996)
    right = torch.tensor([math.log(0.5) / math.log(t) for t in taus])
    found = torch.stack([scalar(call(answer, t)).float() for t in taus])
    wrong = [
        (
            "1 / (1 - tau) is the mean age, not the half-life.",
            [1 / (1 - t) for t in taus],
        ),
        ("that is log(tau) / log(1/2): solve tau^n = 1/2 for n.", 1 / right),
        ("your sign is wrong: both logarithms are negative.", -right),
        ("after n steps the share is tau^n, not n tau.", [0.5 / t for t in taus]),
        (
            "the share that is left is tau^n, not (1 - tau)^n.",
            [math.log(0.5) / math.log(1 - t) for t in taus],
        ),
        (
            "each step takes a share of what is left, not of the beginning.",
            [0.5 / (1 - t) for t in taus],
        ),
    ]
    compare(found, right, [(hint, torch.as_tensor(v)) for hint, v in wrong])


def exercise_3(answer) -> None:
    """Change the code: write the loss.

    Write `byol_loss(q1, q2, z1, z2)`: predictions and target projections of both views,
    each (b, p), not normalized. The mean over the batch; no gradient reaches z.

    Raises:
        Hint: the own view, no normalization, one side, another mean, a gradient to z.
    """
    q1, q2, z1, z2 = torch.randn(4, 5, 3, generator=generator(0))
    z1.requires_grad_(), z2.requires_grad_()

    def one(q: Tensor, z: Tensor) -> Tensor:
        return 2 - 2 * F.cosine_similarity(q, z, dim=1)

    right = (one(q1, z2) + one(q2, z1)).mean()
    plain = ((q1 - z2) ** 2).sum(1) + ((q2 - z1) ** 2).sum(1)
    wrong = [
        (
            "each prediction meets the target of the other view.",
            one(q1, z1) + one(q2, z2),
        ),
        ("bring both to length one first.", plain),
        ("that is one direction: swap the views and add.", one(q1, z2)),
        ("that is one direction: swap the views and add.", one(q2, z1)),
        ("the paper adds both directions, it does not average them.", right / 2),
        ("2 - 2 cos, not 1 - cos.", right / 2),
        ("2 - 2 cos: the constant is missing.", right - 4),
        ("take the mean over the batch, not the sum.", 5 * right),
        ("sum over the p coordinates, then the mean over the batch.", right / 3),
    ]
    pairs = [(hint, v.detach().mean()) for hint, v in wrong]
    value = call(answer, q1.requires_grad_(), q2.requires_grad_(), z1, z2)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise Hint("return one number, the mean over the batch.")
    compare(value.reshape(()), right.detach(), pairs)
    inputs = [x.clone().detach().requires_grad_() for x in (q1, q2, z1, z2)]
    with torch.enable_grad():
        loss = answer(*inputs).sum()
    if not loss.requires_grad:
        raise Hint("the value is right, but no gradient reaches q: it could not learn.")
    grads = torch.autograd.grad(loss, inputs, allow_unused=True)
    if any(g is not None and g.any() for g in grads[2:]):
        raise Hint("the value is right, but gradients reach z: where is the sg?")
    if any(g is None or not g.any() for g in grads[:2]):
        raise Hint(
            "the value is right, but no gradient reaches one of the predictions."
        )


def exercise_4(answer) -> None:
    """Change the code: share a batch among clusters.

    Write `sinkhorn(scores, epsilon, iterations)` for scores (b, k): the exponential of
    scores / epsilon; then, so many times, divide each column by its sum and each row by
    its sum.

    Raises:
        Hint: rows first, one kind only, epsilon multiplied, no exponential, too often.
    """
    scores = torch.rand(8, 3, generator=generator(1)) * 2 - 1
    epsilon, count = 0.3, 2

    def scale(q: Tensor, axes: tuple, times: int = count) -> Tensor:
        for _ in range(times):
            for axis in axes:
                q = q / q.sum(axis, keepdim=True)
        return q

    start = (scores / epsilon).exp()
    right = scale(start, (0, 1))
    wrong = [
        ("columns first, then rows: the last step makes rows sum to one.", (1, 0)),
        ("that is a softmax: the columns have to share the batch, too.", (1,)),
        ("rows have to sum to one at the end, too.", (0,)),
    ]
    pairs = [(hint, scale(start, axes)) for hint, axes in wrong]
    pairs += [
        (
            "divide by epsilon, do not multiply.",
            scale((scores * epsilon).exp(), (0, 1)),
        ),
        ("start with the exponential of the scores.", scale(scores / epsilon, (0, 1))),
        ("where is epsilon?", scale(scores.exp(), (0, 1))),
        ("respect the number of iterations.", scale(start, (0, 1), 1)),
        ("respect the number of iterations.", scale(start, (0, 1), 3)),
        ("the result has to be (b, k), one row for each picture.", start),
    ]
    value = call(answer, scores, epsilon, count)
    if not isinstance(value, Tensor) or value.shape != right.shape:
        raise Hint("return a tensor of the shape of the scores, (b, k).")
    compare(value, right, pairs)


def exercise_5(answer) -> None:
    """Investigate: write a smoke detector.

    Write `diagnose(p)` for probabilities (n, k) of n pictures over k outputs. Return
    "one-hot" where all pictures get the same single output, "uniform" where no picture
    gets any in particular, and "healthy" otherwise.

    Raises:
        Hint: only single rows are looked at, or only their mean.
    """
    n, k = 64, 8
    g = generator(2)
    noise = 0.1 * torch.randn(n, k, generator=g)
    sure = 9 * F.one_hot(torch.arange(n) % k, k)
    same = 9 * F.one_hot(torch.full((n,), 3), k)
    cases = {
        "healthy": (sure + noise).softmax(1),
        "uniform": noise.softmax(1),
        "one-hot": (same + noise).softmax(1),
    }
    found = {name: call(answer, p) for name, p in cases.items()}
    if set(found.values()) - set(cases):
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
