"""Exercises of the chapter on EfficientNet (`sec-efficientnet`)."""

import math

import torch
from torch import Tensor

from mmdl_lib.exercises import judge

ALPHA, BETA, GAMMA, PHI = 1.2, 1.1, 1.15, 3


def exercise_1(answer) -> None:
    """Predict: what do three steps cost?

    By which factor do the multiply-adds grow from phi = 0 to phi = 3 with the paper's
    coefficients, if we forget rounding? One percent is near enough.

    Raises:
        Hint: two instead of 1.92, no squares, one square, a product with phi.
    """
    last = "not right: which power of d, w and r does the cost contain?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0.01, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: round the channels.

    Write `rounded(channels, width, divisor)`: channels times width, to the nearest
    multiple of the divisor (a half goes up), at least one divisor; and where that lies
    more than a tenth below the wish, one divisor more.

    Raises:
        Hint: always down, always up, no rule of a tenth, no least value, no multiple.
    """
    cases = [(24, 1.2, 8), (32, 1.1, 8), (3, 1.0, 8), (10, 1.0, 8), (320, 1.4, 8)]
    cases += [(40, 1.1, 16), (9, 1.15, 2), (20, 1.0, 8)]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, near=0)


def exercise_3(answer) -> None:
    """Change the code: count the weights of a block.

    Write `weights(inputs, outputs, kernel, expand)`: the weights of an MBConv's three
    convolutions, without norms and without the squeeze. With `expand=1` there is no
    first convolution.

    Raises:
        Hint: a full middle convolution, no expansion, the kernel once, an expansion
            by one, a projection from the narrow end.
    """
    cases = [(16, 24, 3, 6), (40, 40, 5, 6), (32, 16, 3, 1)]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=0)


def exercise_4(answer) -> None:
    """Investigate: which nets are worth their cost?

    Write `front(cost, score)`: True for each net that no other net beats, that is, no
    other has at most its cost and a higher score, or a lower cost and at least its
    score.

    Raises:
        Hint: the best score only, dear and bad nets, the order of the list, ties.
    """
    cost = torch.tensor([4.0, 1.0, 2.0, 3.0, 2.0, 8.0, 5.0, 9.0, 1.5])
    score = torch.tensor([0.7, 0.4, 0.6, 0.5, 0.55, 0.9, 0.7, 0.3, 0.2])
    judge(answer, SOLUTIONS[4], MISTAKES[4], cases=[(cost, score)], near=0)


def _nearest(channels: int, width: float, divisor: int) -> int:
    return max(divisor, int(channels * width + divisor / 2) // divisor * divisor)


def _rounded(channels: int, width: float, divisor: int) -> int:
    near = _nearest(channels, width, divisor)
    return near + divisor if near < 0.9 * channels * width else near


def _down(channels: int, width: float, divisor: int) -> int:
    return max(divisor, int(channels * width) // divisor * divisor)


def _up(channels: int, width: float, divisor: int) -> int:
    return math.ceil(channels * width / divisor) * divisor


def _without_least(channels: int, width: float, divisor: int) -> int:
    small = channels * width < divisor / 2
    return 0 if small else _rounded(channels, width, divisor)


def _weights(inputs: int, outputs: int, kernel: int, expand: int) -> int:
    wide = inputs * expand
    first = inputs * wide if expand > 1 else 0
    return first + wide * kernel**2 + wide * outputs


def _front(cost: Tensor, score: Tensor) -> Tensor:
    cheaper, better = cost < cost[:, None], score > score[:, None]
    beaten = (~(cost > cost[:, None]) & better) | (cheaper & ~(score < score[:, None]))
    return ~beaten.any(1)


def _front_with_ties(cost: Tensor, score: Tensor) -> Tensor:
    return ~((cost <= cost[:, None]) & (score > score[:, None])).any(1)


MULTIPLE = "the result must be a multiple of the divisor."
SENSE = "worth it are high scores and low costs."
ONE = ALPHA * BETA**2 * GAMMA**2

SOLUTIONS = {1: ONE**PHI, 2: _rounded, 3: _weights, 4: _front}
MISTAKES = {
    1: [
        (2.0**PHI, "that is 2^3: the product is near two, but it is not two."),
        ((ALPHA * BETA * GAMMA) ** PHI, "width and resolution enter squared."),
        ((ALPHA * BETA * GAMMA**2) ** PHI, "width enters squared, too."),
        ((ALPHA * BETA**2 * GAMMA) ** PHI, "resolution enters squared, too."),
        ((ALPHA * BETA * GAMMA) ** (2 * PHI), "depth does not enter squared."),
        (ONE * PHI, "phi is an exponent, not a factor."),
        (ONE, "that is one step: phi is three."),
    ],
    2: [
        (_nearest, "where the nearest multiple is a tenth too small, go one up."),
        (_down, "round to the nearest multiple, not always down."),
        (_up, "round to the nearest multiple, not always up."),
        (_without_least, "at least one divisor: no layer has zero channels."),
        (lambda c, w, d: c * w, MULTIPLE),
        (lambda c, w, d: round(c * w), MULTIPLE),
    ],
    3: [
        (
            lambda i, o, k, e: (e > 1) * i * i * e + (i * e * k) ** 2 + i * e * o,
            "the middle one filters each channel alone: kernel^2 weights a channel.",
        ),
        (
            lambda i, o, k, e: i * i * e + i * e * k * k + i * e * o,
            "with expand = 1 there is no first convolution.",
        ),
        (
            lambda i, o, k, e: i * e * k * k + i * e * o,
            "the first convolution widens the inputs: it has weights, too.",
        ),
        (
            lambda i, o, k, e: _weights(i, o, k, e) - i * e * (k * k - k),
            "a kernel has k x k weights.",
        ),
        (
            lambda i, o, k, e: _weights(i, o, k, e) - i * e * o + i * o,
            "the projection starts from the wide end.",
        ),
        (
            lambda i, o, k, e: _weights(i, o, k, e) - k * k * i * (e - 1),
            "the filters work on the wide end.",
        ),
        (lambda i, o, k, e: i * o * k * k, "that is a plain convolution."),
    ],
    4: [
        (
            lambda c, s: s == s.max(),
            "that is the best score alone: a cheap net may be worth it, too.",
        ),
        (lambda c, s: c == c.min(), "that is the cheapest net alone."),
        (
            _front_with_ties,
            "a net with the same score and a higher cost is beaten.",
        ),
        (
            lambda c, s: s >= s.cummax(0).values,
            "the nets are in no order: compare each with all.",
        ),
        (lambda c, s: ~_front(c, s), "you found the nets that are beaten."),
        (lambda c, s: _front(c, -s), SENSE),
        (lambda c, s: _front(-c, s), SENSE),
        (lambda c, s: True, "expected 9 numbers, got shape ()."),
    ],
}
