"""Exercises of EfficientNet: blank fails, solutions pass, mistakes get their hint."""

import math

import pytest
import torch

from mmdl_lib.exercises import Hint, check
from mmdl_lib.exercises import efficientnet as chapter
from mmdl_lib.models.efficientnet import (
    EfficientNetConfig,
    MBConv,
    StageSpec,
    drop_connect,
    round_filters,
)


def rounded(channels, width, divisor):
    near = max(divisor, int(channels * width + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels * width else near


def weights(i, o, k, e):
    return (i * i * e if e > 1 else 0) + i * e * k * k + i * e * o


def drop(residual, rate, draw):
    alive = (draw < 1 - rate).view(-1, 1, 1, 1)
    return residual * alive / (1 - rate)


def front(cost, score):
    def beaten(c, s):
        return ((cost <= c) & (score > s) | (cost < c) & (score >= s)).any()

    return torch.tensor([not beaten(c, s) for c, s in zip(cost, score, strict=True)])


def test_the_solutions_pass():
    chapter.exercise_1(7.08)
    chapter.exercise_2(rounded)
    chapter.exercise_3(weights)
    chapter.exercise_4(drop)
    chapter.exercise_5(front)


def test_the_solutions_are_what_the_model_does():
    assert round_filters(24, 1.2, 8) == rounded(24, 1.2, 8)
    block = MBConv(16, StageSpec(5, 6, 24, 1, 1), EfficientNetConfig(squeeze=0.0), 0.0)
    convs = [m for m in block.modules() if isinstance(m, torch.nn.Conv2d)]
    assert sum(m.weight.numel() for m in convs) == weights(16, 24, 5, 6)
    x, g = torch.ones(5, 1, 1, 1), torch.Generator().manual_seed(1)
    draw = torch.rand(5, 1, 1, 1, generator=torch.Generator().manual_seed(1)).flatten()
    assert torch.equal(drop_connect(x, 0.5, generator=g), drop(x, 0.5, draw))


@pytest.mark.parametrize("number", range(1, 6))
def test_blank_fails(number, capsys):
    assert not check(f"efficientnet-{number}", ...)
    assert not check(f"efficientnet-{number}", lambda *a: ...) or number == 1
    assert "not answered" in capsys.readouterr().out


def nearest(c, w, d):
    return max(d, int(c * w + d / 2) // d * d)


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, 8, "it is not two"),
        (1, 1.518**3, "enter squared"),
        (1, (1.2 * 1.1 * 1.15**2) ** 3, "width enters squared"),
        (1, (1.2 * 1.21 * 1.15) ** 3, "resolution enters squared"),
        (1, 1.518**6, "depth does not"),
        (1, 5.76, "an exponent"),
        (1, 1.92, "one step"),
        (1, 100, "which power"),
        (2, nearest, "a tenth too small"),
        (2, lambda c, w, d: max(d, int(c * w) // d * d), "always down"),
        (2, lambda c, w, d: math.ceil(c * w / d) * d, "always up"),
        (
            2,
            lambda c, w, d: 0 if c * w < d / 2 else rounded(c, w, d),
            "at least one divisor",
        ),
        (2, lambda c, w, d: c * w, "a multiple of"),
        (2, lambda c, w, d: round(c * w), "a multiple of"),
        (
            3,
            lambda i, o, k, e: (e > 1) * i * i * e + (i * e * k) ** 2 + i * e * o,
            "each channel alone",
        ),
        (3, lambda i, o, k, e: i * i * e + i * e * k * k + i * e * o, "expand = 1"),
        (3, lambda i, o, k, e: i * e * k * k + i * e * o, "widens the inputs"),
        (3, lambda i, o, k, e: (e > 1) * i * i * e + i * e * k + i * e * o, "k x k"),
        (3, lambda i, o, k, e: (e > 1) * i * i * e + i * e * k * k + i * o, "wide end"),
        (
            3,
            lambda i, o, k, e: (e > 1) * i * i * e + i * k * k + i * e * o,
            "filters work on the wide",
        ),
        (3, lambda i, o, k, e: i * o * k * k, "plain convolution"),
        (4, lambda x, r, u: drop(x, r, u) * (1 - r), "mean shrinks: divide"),
        (4, lambda x, r, u: drop(x, r, u) * (1 - r) / r, "not by the rate"),
        (4, lambda x, r, u: drop(x, r, u) * (1 - r) ** 2, "do not multiply"),
        (4, lambda x, r, u: (x - drop(x, r, u) * (1 - r)) / (1 - r), "should go"),
        (4, lambda x, r, u: x - drop(x, r, u) * (1 - r), "and the mean shrinks"),
        (4, lambda x, r, u: x.clone(), "no row is dropped"),
        (4, lambda x, r, u: x * (1 - r), "scaling alone"),
        (4, lambda x, r, u: u < 1 - r, "axes of size one"),
        (5, lambda c, s: s == s.max(), "best score alone"),
        (5, lambda c, s: c == c.min(), "cheapest net alone"),
        (
            5,
            lambda c, s: ~((c <= c[:, None]) & (s > s[:, None])).any(1),
            "the same score and a higher cost",
        ),
        (5, lambda c, s: s >= s.cummax(0).values, "in no order"),
        (5, lambda c, s: ~front(c, s), "that are beaten"),
        (5, lambda c, s: front(c, -s), "high scores and low costs"),
        (5, lambda c, s: front(-c, s), "high scores and low costs"),
        (5, lambda c, s: True, "one a net"),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(chapter, f"exercise_{number}")(mistake)
