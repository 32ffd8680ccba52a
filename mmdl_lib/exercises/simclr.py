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
    """Change the code: views with the same label are partners.

    Write `loss(z, label, temperature)` for (m, p) projections and (m,) labels, each of
    which occurs at least twice: the mean over views of the mean over their partners of
    l_ij, with the denominator of the paper's eq. (1).

    Raises:
        Hint: no normalization, no temperature or a product, the own view as candidate
            or as partner, partners not as candidates, a sum over partners, the log of
            a mean, one mean over all pairs, a sum over views, the sign.
    """
    z = torch.randn(7, 4, generator=generator(1))
    label = torch.tensor([0, 1, 0, 2, 1, 0, 2])
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[(z, label, 0.3)])


def _limit(positive: Tensor, negative: Tensor) -> Tensor:
    return F.relu(negative.max() - positive)


def _shares(z: Tensor, temperature: float, *, normal=True, own=False) -> Tensor:
    """Logarithms of the softmax over candidates, one row a view."""
    z = F.normalize(z, dim=1) if normal else z
    table = z @ z.T / temperature
    if not own:
        table = table.masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)
    return table.log_softmax(1)


def _partners(label: Tensor) -> Tensor:
    return (label[:, None] == label) & ~torch.eye(len(label), dtype=torch.bool)


def _mean(share: Tensor, partner: Tensor) -> Tensor:
    return (-share.masked_fill(~partner, 0).sum(1) / partner.sum(1)).mean()


def _loss(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    return _mean(_shares(z, temperature), _partners(label))


def _own_partner(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    share = _shares(z, temperature, own=True)
    return _mean(share, label[:, None] == label)


def _strangers_only(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    """Each partner among strangers, the other partners left out."""
    share, partner = _shares(z, temperature), _partners(label)
    rest = share.masked_fill(partner, -torch.inf).logsumexp(1, keepdim=True)
    return _mean(share - torch.logaddexp(share, rest), partner)


def _inside(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    share, partner = _shares(z, temperature), _partners(label)
    found = share.masked_fill(~partner, -torch.inf).logsumexp(1)
    return (partner.sum(1).log() - found).mean()


def _pooled(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    share, partner = _shares(z, temperature), _partners(label)
    return -share[partner].mean()


def _summed(z: Tensor, label: Tensor, temperature: float) -> Tensor:
    share, partner = _shares(z, temperature), _partners(label)
    return -share[partner].sum() / len(z)


CANCELS = "the temperature cancels when all similarities are equal."
MEAN = "not the mean: which stranger is left when tau is tiny?"
SIGN = "the sign: it costs when a stranger is *more* similar."

SOLUTIONS = {1: math.log(63), 2: _limit, 3: _loss}
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
            lambda z, y, t: _mean(_shares(z, t, normal=False), _partners(y)),
            "sim is the cosine: divide each vector by its length.",
        ),
        (lambda z, y, t: _loss(z, y, 1.0), "divide by the temperature."),
        (
            lambda z, y, t: _loss(z, y, 1 / t),
            "divide by the temperature, do not multiply.",
        ),
        (
            lambda z, y, t: _mean(_shares(z, t, own=True), _partners(y)),
            "a view is no candidate for itself: mask the diagonal.",
        ),
        (_own_partner, "a view is neither its own partner nor its own candidate."),
        (_strangers_only, "all other views stand in the denominator, partners too."),
        (_inside, "the mean of logarithms, not the logarithm of the mean."),
        (_pooled, "first the mean over a view's partners, then over views."),
        (_summed, "the mean over a view's partners, not the sum."),
        (
            lambda z, y, t: len(z) * _loss(z, y, t),
            "take the mean over the views, not the sum.",
        ),
        (lambda *a: -_loss(*a), "a loss is minimized: mind the sign."),
    ],
}
