"""Exercises of SimCLR: blank fails, the solution passes, each mistake gets its hint."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.exercises import Hint, check, simclr


def limit(positive, negative):
    return (negative.max() - positive).clamp(min=0)


def loss(first, second, temperature):
    z = F.normalize(torch.cat([first, second]), dim=1)
    table = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    return F.cross_entropy(table, torch.arange(len(z)).roll(len(first)))


def rate(w, gradient, trust, weight_decay):
    return trust * w.norm() / (gradient.norm() + weight_decay * w.norm())


def test_the_solutions_pass():
    simclr.exercise_1(math.log(63))
    simclr.exercise_1(4.14)
    simclr.exercise_2(limit)
    simclr.exercise_3(loss)
    simclr.exercise_4(rate)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_blank_fails(number, capsys):
    assert not check(f"simclr-{number}", ...)
    assert "not answered" in capsys.readouterr().out


def unmasked(first, second, t):
    z = F.normalize(torch.cat([first, second]), dim=1)
    return F.cross_entropy(z @ z.T / t, torch.arange(10).roll(5))


def dots(first, second, t):
    z = torch.cat([first, second])
    table = (z @ z.T / t).fill_diagonal_(-torch.inf)
    return F.cross_entropy(table, torch.arange(10).roll(5))


def crossed(first, second, t):
    one, two = F.normalize(first, dim=1), F.normalize(second, dim=1)
    return F.cross_entropy(one @ two.T / t, torch.arange(5))


def both(first, second, t):
    return (crossed(first, second, t) + crossed(second, first, t)) / 2


def partnerless(first, second, t):
    z = F.normalize(torch.cat([first, second]), dim=1)
    table = (z @ z.T / t).fill_diagonal_(-torch.inf)
    partner = torch.eye(10, dtype=torch.bool).roll(5, 1)
    return (table.masked_fill(partner, -torch.inf).logsumexp(1) - table[partner]).mean()


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, math.log(64), "not compared with itself"),
        (1, math.log(62), "partner stands in the denominator"),
        (1, math.log(32), "both views of each picture"),
        (1, math.log(31), "both views of the other pictures"),
        (1, math.log2(63), "in bits"),
        (1, 10 * math.log(63), "temperature cancels"),
        (1, 0.1 * math.log(63), "temperature cancels"),
        (1, 1 / 63, "take -log"),
        (1, 0.0, "so do all strangers"),
        (2, lambda p, n: n.max() - p, "never below zero"),
        (2, lambda p, n: (n - p).mean(), "not the mean"),
        (2, lambda p, n: (n - p).relu().mean(), "not the mean"),
        (2, lambda p, n: (n - p).relu().sum(), "not the sum"),
        (2, lambda p, n: (n.min() - p).relu(), "not the least"),
        (2, lambda p, n: (p - n.max()).relu(), "the sign"),
        (2, lambda p, n: (p - n).max().relu(), "the sign"),
        (2, lambda p, n: (n.max() - p + 1).relu(), "no margin"),
        (2, lambda p, n: n.max().relu(), "partner's similarity"),
        (3, dots, "divide each vector"),
        (3, lambda a, b, t: loss(a, b, 1), "divide by the temperature"),
        (3, lambda a, b, t: loss(a, b, 1 / t), "do not multiply"),
        (3, unmasked, "mask the diagonal"),
        (3, crossed, "2N rows"),
        (3, both, r"\*same\* view"),
        (3, partnerless, "in the denominator, too"),
        (3, lambda a, b, t: 10 * loss(a, b, t), "not the sum"),
        (3, lambda a, b, t: 2 * loss(a, b, t), "not by N"),
        (3, lambda a, b, t: -loss(a, b, t), "mind the sign"),
        (4, lambda w, g, t, d: t * g.norm() / w.norm(), "upside down"),
        (4, lambda w, g, t, d: t**2 / rate(w, g, t, d), "upside down"),
        (4, lambda w, g, t, d: rate(w, g, t, 0), "decay is missing"),
        (4, lambda w, g, t, d: t * w.norm() / (g.norm() + d), "decay acts"),
        (4, lambda w, g, t, d: rate(w, g, 1, d), "trust coefficient"),
        (
            4,
            lambda w, g, t, d: t * w.norm() ** 2 / (g.norm() ** 2 + d * w.norm() ** 2),
            "not squared",
        ),
        (4, lambda w, g, t, d: t * w.norm() / (g + d * w).norm(), "the code's form"),
        (
            4,
            lambda w, g, t, d: (
                t * w.norm(dim=1) / (g.norm(dim=1) + d * w.norm(dim=1))
            ).mean(),
            "not of its rows",
        ),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(simclr, f"exercise_{number}")(mistake)
