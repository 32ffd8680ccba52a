"""Exercises of the chapter on SimCLR (`sec-simclr`)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does a net that knows nothing pay?

    All 2N projections are the same vector. What is NT-Xent for N = 32 pictures, in
    nats, at temperature 0.1? Two decimals are enough.

    Raises:
        Hint: own view counted, partner not counted, one view only, bits, or zero.
    """
    last = "not right: how many candidates are there, and how likely is each?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1.3e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Predict, then check: the limit of a small temperature.

    Write `limit(positive, negative)`: what tau * l_ij goes to when tau goes to 0, for
    the similarity of the partner, a number, and those of the strangers, (n,).

    Raises:
        Hint: below zero, a mean, a sum, the easiest stranger, the wrong sign, a margin.
    """
    g = generator(0)
    strangers = [torch.rand(6, generator=g) * 1.6 - 0.8 for _ in range(4)]
    cases = [
        (torch.tensor(partner), negative)
        for partner, negative in zip((0.9, 0.1, -0.6, -0.9), strangers, strict=True)
    ]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: write the loss.

    Write `loss(first, second, temperature)`, NT-Xent of two (N, p) tensors.

    Raises:
        Hint: no normalization, no temperature or a product, the own view, one
            direction, strangers of the same view missing, the partner missing, a sum.
    """
    first, second = torch.randn(2, 5, 4, generator=generator(1))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[(first, second, 0.3)])


def exercise_4(answer) -> None:
    """Investigate: the local rate of LARS.

    Write `local_rate(w, gradient, trust, weight_decay)` for one matrix. Then change the
    scale of both: which of them does the step follow, and which does it ignore?

    Raises:
        Hint: upside down, squared norms, no decay, no trust, the norm of the largest
            entry, decay times one.
    """
    w, gradient = torch.randn(2, 3, 4, generator=generator(2))
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=[(w, gradient, 0.02, 0.3)])


def _limit(positive: Tensor, negative: Tensor) -> Tensor:
    return F.relu(negative.max() - positive)


def _table(first: Tensor, second: Tensor, temperature: float, normal=True) -> Tensor:
    z = torch.cat([first, second])
    z = F.normalize(z, dim=1) if normal else z
    return z @ z.T / temperature


def _others(table: Tensor) -> Tensor:
    own = torch.eye(len(table), dtype=torch.bool)
    return table.masked_fill(own, -torch.inf)


def _entropy(table: Tensor) -> Tensor:
    n = len(table)
    return F.cross_entropy(table, torch.arange(n).roll(n // 2))


def _loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    return _entropy(_others(_table(first, second, temperature)))


def _crossed(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    one, two = F.normalize(first, dim=1), F.normalize(second, dim=1)
    return F.cross_entropy(one @ two.T / temperature, torch.arange(len(one)))


def _partnerless(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    table = _others(_table(first, second, temperature))
    partner = torch.eye(len(table), dtype=torch.bool).roll(len(first), 1)
    below = table.masked_fill(partner, -torch.inf).logsumexp(1)
    return (below - table[partner]).mean()


def _rate(w: Tensor, gradient: Tensor, trust: float, decay: float) -> Tensor:
    return trust * w.norm() / (gradient.norm() + decay * w.norm())


def _rate_of_rows(w: Tensor, gradient: Tensor, trust: float, decay: float) -> Tensor:
    size, slope = w.norm(dim=1), gradient.norm(dim=1)
    return (trust * size / (slope + decay * size)).mean()


def _squared(w: Tensor, gradient: Tensor, trust: float, decay: float) -> Tensor:
    size, slope = w.norm() ** 2, gradient.norm() ** 2
    return trust * size / (slope + decay * size)


CANCELS = "the temperature cancels when all similarities are equal."
MEAN = "not the mean: which stranger is left when tau is tiny?"
SIGN = "the sign: it costs when a stranger is *more* similar."

SOLUTIONS = {1: math.log(63), 2: _limit, 3: _loss, 4: _rate}
MISTAKES = {
    1: [
        (math.log(64), "a view is not compared with itself: k != i."),
        (math.log(62), "the partner stands in the denominator too."),
        (math.log(32), "both views of each picture are candidates: 2N, not N."),
        (math.log(31), "both views of the other pictures are candidates."),
        (math.log2(63), "that is in bits: the paper's log is the natural one."),
        (math.log(63) / 0.1, CANCELS),
        (0.1 * math.log(63), CANCELS),
        (1 / 63, "that is the share of the partner: take -log of it."),
        (0.0, "agreeing with the partner is not enough: so do all strangers."),
    ],
    2: [
        (
            lambda p, n: n.max() - p,
            "a loss of this kind is never below zero: when is it zero?",
        ),
        (lambda p, n: (n - p).mean(), MEAN),
        (lambda p, n: (n - p).relu().mean(), MEAN),
        (lambda p, n: (n.mean() - p).relu(), MEAN),
        (lambda p, n: n.mean(), MEAN),
        (lambda p, n: (n - p).relu().sum(), "not the sum: which stranger is left?"),
        (
            lambda p, n: (n.min() - p).relu(),
            "the most similar stranger counts, not the least.",
        ),
        (lambda p, n: (p - n.max()).relu(), SIGN),
        (lambda p, n: (p - n).max().relu(), SIGN),
        (lambda p, n: (n.max() - p + 1).relu(), "there is no margin here."),
        (lambda p, n: n.max().relu(), "the partner's similarity is missing."),
        (lambda p, n: n.max(), "the partner's similarity is missing."),
        (
            lambda p, n: 0.0,
            "it is zero only where no stranger is more similar than the partner.",
        ),
    ],
    3: [
        (
            lambda a, b, t: _entropy(_others(_table(a, b, t, normal=False))),
            "sim is the cosine: divide each vector by its length.",
        ),
        (lambda a, b, t: _loss(a, b, 1.0), "divide by the temperature."),
        (
            lambda a, b, t: _loss(a, b, 1 / t),
            "divide by the temperature, do not multiply.",
        ),
        (
            lambda a, b, t: _entropy(_table(a, b, t)),
            "a view is not its own stranger: mask the diagonal.",
        ),
        (_crossed, "both views ask for their partner: 2N rows."),
        (
            lambda a, b, t: (_crossed(a, b, t) + _crossed(b, a, t)) / 2,
            "strangers seen in the *same* view count as well.",
        ),
        (_partnerless, "the partner stands in the denominator, too."),
        (
            lambda a, b, t: 2 * len(a) * _loss(a, b, t),
            "take the mean over the 2N views, not the sum.",
        ),
        (lambda *a: 2 * _loss(*a), "divide by 2N, not by N."),
        (lambda *a: -_loss(*a), "a loss is minimized: mind the sign."),
    ],
    4: [
        (
            lambda w, g, t, d: t * g.norm() / w.norm(),
            "upside down: a long weight may take a long step.",
        ),
        (lambda w, g, t, d: t**2 / _rate(w, g, t, d), "upside down."),
        (
            lambda w, g, t, d: _rate(w, g, t, 0.0),
            "weight decay is missing in the denominator.",
        ),
        (
            lambda w, g, t, d: t * w.norm() / (g.norm() + d),
            "decay acts on the length of the weight.",
        ),
        (lambda w, g, t, d: _rate(w, g, 1.0, d), "the trust coefficient is missing."),
        (_squared, "lengths, not squared lengths."),
        (
            lambda w, g, t, d: t * w.norm() / (g + d * w).norm(),
            "that is the code's form, |g + decay w|; write the paper's.",
        ),
        (_rate_of_rows, "the length of the whole matrix, not of its rows."),
    ],
}
