"""Exercises of BYOL: blank fails, the solution passes, each mistake gets its hint."""

import math

import pytest
import torch.nn.functional as F

from mmdl_lib.exercises import Hint, byol, check


def half_life(tau):
    return math.log(0.5) / math.log(tau)


def one(q, z):
    return 2 - 2 * F.cosine_similarity(q, z, dim=1)


def loss(q1, q2, z1, z2):
    return (one(q1, z2.detach()) + one(q2, z1.detach())).mean()


def scaled(axes, start=lambda s, e: (s / e).exp(), more=0):
    def sinkhorn(scores, epsilon, iterations):
        q = start(scores, epsilon)
        for _ in range(iterations + more):
            for axis in axes:
                q = q / q.sum(axis, keepdim=True)
        return q

    return sinkhorn


def entropy(p):
    return -(p * p.clamp(min=1e-12).log()).sum(-1)


def diagnose(p):
    half = 0.5 * math.log(p.shape[1])
    if entropy(p.mean(0)) < half:
        return "one-hot"
    return "healthy" if entropy(p).mean() < half else "uniform"


def test_the_solutions_pass():
    byol.exercise_1(4)
    byol.exercise_2(half_life)
    byol.exercise_3(loss)
    byol.exercise_4(scaled((0, 1)))
    byol.exercise_5(diagnose)


@pytest.mark.parametrize("name", [f"byol-{i}" for i in range(1, 6)])
def test_blank_fails(name, capsys):
    assert not check(name, ...)
    assert "not answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, 2, "adds both"),
        (1, 0, "collapsed"),
        (1, 8, "random ones are orthogonal"),
        (1, 1, "2 - 2 cos"),
        (1, 3, "mean cosine"),
        (2, lambda t: 1 / (1 - t), "mean age"),
        (2, lambda t: 1 / half_life(t), "solve"),
        (2, lambda t: -half_life(t), "sign"),
        (2, lambda t: 0.5 / t, "not n tau"),
        (2, lambda t: half_life(1 - t), r"not \(1 - tau\)"),
        (2, lambda t: 0.5 / (1 - t), "of what is left"),
        (3, lambda q, r, y, z: (one(q, y) + one(r, z)).mean(), "other view"),
        (
            3,
            lambda q, r, y, z: ((q - z) ** 2 + (r - y) ** 2).sum(1).mean(),
            "length one",
        ),
        (3, lambda q, r, y, z: one(q, z).mean(), "one direction"),
        (3, lambda q, r, y, z: one(r, y).mean(), "one direction"),
        (3, lambda *a: loss(*a) / 2, "does not average"),
        (3, lambda *a: loss(*a) - 4, "constant is missing"),
        (3, lambda *a: 5 * loss(*a), "not the sum"),
        (3, lambda *a: loss(*a) / 3, "p coordinates"),
        (3, lambda q, r, y, z: one(q, z) + one(r, y), "one number"),
        (3, lambda q, r, y, z: (one(q, z) + one(r, y)).mean(), "where is the sg"),
        (3, lambda *a: loss(*a).detach(), "could not learn"),
        (3, lambda q, r, y, z: loss(q, r.detach(), y, z), "one of the predictions"),
        (4, scaled((1, 0)), "columns first"),
        (4, scaled((1,)), "softmax"),
        (4, scaled((0,)), "at the end, too"),
        (4, scaled((0, 1), lambda s, e: (s * e).exp()), "do not multiply"),
        (4, scaled((0, 1), lambda s, e: s / e), "exponential of the scores"),
        (4, scaled((0, 1), lambda s, e: s.exp()), "where is epsilon"),
        (4, scaled((0, 1), more=-1), "number of iterations"),
        (4, scaled((0, 1), more=1), "number of iterations"),
        (4, lambda s, e, i: (s / e).exp(), "one row for each picture"),
        (4, lambda s, e, i: s.T, "shape of the scores"),
        (5, lambda p: "collapsed", "return"),
        (5, lambda p: "healthy", "the same answer"),
        (
            5,
            lambda p: "one-hot" if entropy(p.mean(0)) < 1 else "healthy",
            "look at single rows",
        ),
        (
            5,
            lambda p: "healthy" if entropy(p).mean() < 1 else "uniform",
            "look at the mean over pictures",
        ),
        (
            5,
            lambda p: {"healthy": "one-hot", "one-hot": "healthy"}.get(
                diagnose(p), "uniform"
            ),
            "two entropies",
        ),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(byol, f"exercise_{number}")(mistake)
