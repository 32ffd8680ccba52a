"""Exercises of the chapter on EfficientNet (`sec-efficientnet`)."""

import math

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar

ALPHA, BETA, GAMMA, PHI = 1.2, 1.1, 1.15, 3


def exercise_1(answer) -> None:
    """Predict: what do three steps cost?

    By which factor do the multiply-adds grow from phi = 0 to phi = 3 with the paper's
    coefficients, if we forget rounding? One percent is near enough.

    Raises:
        Hint: two instead of 1.92, no squares, one square, a product with phi.
    """
    value = scalar(answer).item()
    one = ALPHA * BETA**2 * GAMMA**2
    if abs(value / one**PHI - 1) < 0.01:
        return
    wrong = {
        2.0**PHI: "that is 2^3: the product is near two, but it is not two.",
        (ALPHA * BETA * GAMMA) ** PHI: "width and resolution enter squared.",
        (ALPHA * BETA * GAMMA**2) ** PHI: "width enters squared, too.",
        (ALPHA * BETA**2 * GAMMA) ** PHI: "resolution enters squared, too.",
        (ALPHA**2 * BETA**2 * GAMMA**2) ** PHI: "depth does not enter squared.",
        one * PHI: "phi is an exponent, not a factor.",
        one: "that is one step: phi is three.",
    }
    for mistaken, hint in wrong.items():
        if abs(value / mistaken - 1) < 0.01:
            raise Hint(hint)
    raise Hint("not right: which power of d, w and r does the cost contain?")


def _rounded(channels: int, width: float, divisor: int) -> int:
    scaled = channels * width
    near = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * scaled else near


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
    got = torch.stack([scalar(call(answer, *case)).double() for case in cases])

    def each(function) -> Tensor:
        return torch.tensor([float(function(*case)) for case in cases]).double()

    near = each(lambda c, w, d: max(d, int(c * w + d / 2) // d * d))
    wrong = [
        ("where the nearest multiple is a tenth too small, go one up.", near),
        ("round to the nearest multiple, not always down.", each(_down)),
        ("round to the nearest multiple, not always up.", each(_up)),
        ("at least one divisor: no layer has zero channels.", each(_without_least)),
        ("the result must be a multiple of the divisor.", each(lambda c, w, d: c * w)),
        (
            "the result must be a multiple of the divisor.",
            each(lambda c, w, d: round(c * w)),
        ),
    ]
    compare(got, each(_rounded), wrong)


def _down(channels: int, width: float, divisor: int) -> int:
    return max(divisor, int(channels * width) // divisor * divisor)


def _up(channels: int, width: float, divisor: int) -> int:
    return math.ceil(channels * width / divisor) * divisor


def _without_least(channels: int, width: float, divisor: int) -> int:
    near = int(channels * width + divisor / 2) // divisor * divisor
    return near + divisor if 0 < near < 0.9 * channels * width else near


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
    got = torch.stack([scalar(call(answer, *case)).double() for case in cases])

    def each(function) -> Tensor:
        return torch.tensor([float(function(*case)) for case in cases]).double()

    def right(i: int, o: int, k: int, e: int) -> int:
        return (e > 1) * i * i * e + i * e * k * k + i * e * o

    wrong = [
        (
            "the middle one filters each channel alone: kernel^2 weights a channel.",
            each(lambda i, o, k, e: right(i, o, k, e) + k * k * i * e * (i * e - 1)),
        ),
        (
            "with expand = 1 there is no first convolution.",
            each(lambda i, o, k, e: i * i * e + i * e * k * k + i * e * o),
        ),
        (
            "the first convolution widens the inputs: it has weights, too.",
            each(lambda i, o, k, e: i * e * k * k + i * e * o),
        ),
        (
            "a kernel has k x k weights.",
            each(lambda i, o, k, e: right(i, o, k, e) - i * e * (k * k - k)),
        ),
        (
            "the projection starts from the wide end.",
            each(lambda i, o, k, e: right(i, o, k, e) - i * e * o + i * o),
        ),
        (
            "the filters work on the wide end.",
            each(lambda i, o, k, e: right(i, o, k, e) - k * k * i * (e - 1)),
        ),
        (
            "that is a plain convolution.",
            each(lambda i, o, k, e: i * o * k * k),
        ),
    ]
    compare(got, each(right), wrong)


def exercise_4(answer) -> None:
    """Change the code: drop whole residuals.

    Write `drop(residual, rate, draw)`, what a block adds to its input in training.
    `draw` holds one uniform number in [0, 1) for each row; a row survives where its
    number is below 1 - rate. Keep the mean.

    Raises:
        Hint: not scaled, scaled by another factor, the others dropped, all kept.
    """
    x = torch.randn(4, 3, 2, 2, generator=generator(0))
    rate, draw = 0.25, torch.tensor([0.1, 0.5, 0.74, 0.9])
    alive = (draw < 1 - rate).view(4, 1, 1, 1)
    right = x * alive / (1 - rate)
    wrong = [
        ("the mean shrinks: divide the survivors by their share.", x * alive),
        ("divide by the share that survives, not by the rate.", x * alive / rate),
        ("divide by the share that survives, do not multiply.", x * alive * (1 - rate)),
        ("you keep those that should go.", x * ~alive / (1 - rate)),
        ("you keep those that should go.", x * ~alive / rate),
        ("you keep those that should go, and the mean shrinks.", x * ~alive),
        ("no row is dropped: multiply by zero where it does not survive.", x),
        (
            "scaling alone is what eval mode would do with a wrong rule: drop rows.",
            x * (1 - rate),
        ),
    ]
    value = call(answer, x, rate, draw)
    if getattr(value, "shape", None) != x.shape:
        raise Hint(
            f"expected the shape of the residual, {tuple(x.shape)}, got "
            f"{tuple(getattr(value, 'shape', ()))}: give `draw` axes of size one."
        )
    compare(value, right, wrong)


def exercise_5(answer) -> None:
    """Investigate: which nets are worth their cost?

    Write `front(cost, score)`: True for each net that no other net beats, that is, no
    other has at most its cost and a higher score, or a lower cost and at least its
    score.

    Raises:
        Hint: the best score only, dear and bad nets, the order of the list, ties.
    """
    cost = torch.tensor([4.0, 1.0, 2.0, 3.0, 2.0, 8.0, 5.0, 9.0, 1.5])
    score = torch.tensor([0.7, 0.4, 0.6, 0.5, 0.55, 0.9, 0.7, 0.3, 0.2])
    right = _front(cost, score)
    got = call(answer, cost, score)
    try:
        got = torch.as_tensor(got).double()
    except Exception as error:
        raise Hint("expected one True or False for each net.") from error
    if got.shape != cost.shape:
        raise Hint(f"expected {len(cost)} values, one a net, got {tuple(got.shape)}.")
    ties = (~((cost <= cost[:, None]) & (score > score[:, None])).any(1)).double()
    running = torch.tensor(
        [float(s >= score[: i + 1].max()) for i, s in enumerate(score)]
    )
    wrong = [
        (
            "that is the best score alone: a cheap net may be worth it, too.",
            (score == score.max()).double(),
        ),
        ("that is the cheapest net alone.", (cost == cost.min()).double()),
        ("a net with the same score and a higher cost is beaten.", ties),
        ("the nets are in no order: compare each with all.", running.double()),
        ("you found the nets that are beaten.", 1 - right.double()),
        ("worth it are high scores and low costs.", _front(cost, -score).double()),
        ("worth it are high scores and low costs.", _front(-cost, score).double()),
    ]
    compare(got, right.double(), wrong)


def _front(cost: Tensor, score: Tensor) -> Tensor:
    cheaper, better = cost < cost[:, None], score > score[:, None]
    beaten = (~(cost > cost[:, None]) & better) | (cheaper & ~(score < score[:, None]))
    return ~beaten.any(1)
