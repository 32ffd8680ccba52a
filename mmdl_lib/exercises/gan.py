"""Exercises of the chapter on generative adversarial networks (`sec-gan`)."""

import math

import torch

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge
from mmdl_lib.models.gan import best_logit


def exercise_1(answer) -> None:
    """Predict: what does the best D say?

    At some place real examples have the density 0.3, drawn ones 0.1. What does the best
    D say there, as a probability that the example is real?

    Raises:
        Hint: the density of one kind, the logit, real and drawn exchanged, a coin.
    """
    last = "not right: of all examples at this place, which share is real?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-6, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: a distance between two tables, measured by a game.

    Write `distance(p, q)` for probabilities (k,) above zero that sum to 1: the
    Jensen-Shannon divergence in nats, from the value that the best D reaches.

    Raises:
        Hint: the value itself, twice the distance, a KL, a mean over places.
    """
    cases = []
    for k, seed in ((3, 0), (5, 1), (8, 2)):
        p, q = torch.rand(2, k, generator=generator(seed)) + 0.05
        cases.append((p / p.sum(), q / q.sum()))
    same = torch.tensor([0.25, 0.75])
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=[*cases, (same, same)])


def exercise_3(answer) -> None:
    """Change the code: a D that stops where it is sure enough.

    Write `hinge(real, fake)` for D's scores (b,) of real and (m,) of drawn examples: a
    loss that is zero for a real score of 1 and more and for a drawn score of -1 and
    less, and grows with slope 1 on the other side. Means over both kinds, then the sum.

    Raises:
        Hint: kinds exchanged, one kind only, one mean over all, no margin.
    """
    cases = []
    for b, m, seed in ((4, 4, 0), (3, 7, 1), (6, 2, 2)):
        g = generator(seed)
        real = 2 * torch.randn(b, generator=g)
        cases.append((real, 2 * torch.randn(m, generator=g)))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _value(p, q):
    logit = best_logit(p, q)
    real = torch.nn.functional.logsigmoid(logit)
    return (p * real).sum() + (q * torch.nn.functional.logsigmoid(-logit)).sum()


def _distance(p, q):
    return (_value(p, q) + math.log(4)) / 2


def _hinge(real, fake):
    return (1 - real).relu().mean() + (1 + fake).relu().mean()


SOLUTIONS = {1: 0.75, 2: _distance, 3: _hinge}
MISTAKES = {
    1: [
        (0.3, "that is the density of the real ones: how many others are there?"),
        (0.25, "that is the share of the drawn ones."),
        (math.log(3), "that is D's logit: put it through the sigmoid."),
        (3, "that is how many real ones there are for each drawn one."),
        (0.5, "a coin is right only where both densities are equal."),
    ],
    2: [
        (_value, "that is the value of the game: what is it where p and q are equal?"),
        (
            lambda p, q: _value(p, q) + math.log(4),
            "that is twice the distance: see the formula of the value.",
        ),
        (
            lambda p, q: (p * (p / q).log()).sum(),
            "that is a KL divergence, in which p and q cannot be exchanged.",
        ),
        (
            lambda p, q: (_value(p, q) / len(p) + math.log(4)) / 2,
            "an expectation is a sum weighted by p or q, not a mean over places.",
        ),
    ],
    3: [
        (
            lambda real, fake: _hinge(fake, real),
            "real and drawn are exchanged: a real score of 5 must cost nothing.",
        ),
        (
            lambda real, fake: (1 - real).relu().mean(),
            "that asks nothing of drawn examples: D could say yes to all.",
        ),
        (
            lambda real, fake: torch.cat([1 - real, 1 + fake]).relu().mean(),
            "one mean over both kinds: take a mean for each, then the sum.",
        ),
        (
            lambda real, fake: (-real).relu().mean() + fake.relu().mean(),
            "without a margin a score of 0.01 is as good as one of 1.",
        ),
    ],
}
