"""Exercises of the chapter on the Transformer (`sec-transformer`)."""

import math

import torch
from torch import Tensor

from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how large are the products?

    In the base model, queries and keys of a head have 64 channels. Say that their
    components are independent, of mean zero and variance one. What is the standard
    deviation of the product of a query and a key, before it is scaled?

    Raises:
        Hint: the variance, after the scale, the width of the model, all heads.
    """
    last = "not right: 64 products of variance one are added up."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: one step further is a rotation.

    Write `turn(k, width)`: the matrix M (width, width) with PE(pos + k) = M PE(pos) for
    every position, for the waves of the chapter (sine and cosine side by side).

    Raises:
        Hint: turned back, one frequency for all, sines before cosines, no rotation.
    """
    last = "each pair of channels turns by its own angle, k / 10000^(2i / width)."
    cases = [(1, 4), (3, 6), (7, 8)]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, otherwise=last)


def exercise_3(answer) -> None:
    """Investigate: how small can the smoothed loss become?

    Write `floor(epsilon, k)`: the smallest value, in nats, of the loss with label
    smoothing `epsilon` over `k` tokens, whatever the model says.

    Raises:
        Hint: zero, one term only, another share for the rest, bits.
    """
    last = "the loss is smallest where the model says the target itself: its entropy."
    cases = [(0.1, 10), (0.3, 5), (0.1, 37_000)]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, otherwise=last)


def _turn(k: int, width: int, *, sign: int = 1, power: int = 2) -> Tensor:
    turned = torch.zeros(width, width)
    for i in range(width // 2):
        angle = sign * k / 10000 ** (power * i / width)
        sine, cosine = math.sin(angle), math.cos(angle)
        turned[2 * i, 2 * i : 2 * i + 2] = torch.tensor([cosine, sine])
        turned[2 * i + 1, 2 * i : 2 * i + 2] = torch.tensor([-sine, cosine])
    return turned


def _halves(k: int, width: int) -> Tensor:
    order = [*range(0, width, 2), *range(1, width, 2)]
    return _turn(k, width)[order][:, order]


def _floor(epsilon: float, k: int) -> float:
    truth, rest = 1 - epsilon + epsilon / k, epsilon / k
    return -truth * math.log(truth) - (k - 1) * rest * math.log(rest)


def _copied(epsilon: float, k: int) -> float:
    rest = epsilon / (k - 1)
    return -(1 - epsilon) * math.log(1 - epsilon) - epsilon * math.log(rest)


def _only_truth(epsilon: float, k: int) -> float:
    truth = 1 - epsilon + epsilon / k
    return -truth * math.log(truth)


SOLUTIONS = {1: 8, 2: _turn, 3: _floor}
MISTAKES = {
    1: [
        (64, "that is the variance: take its root."),
        (1, "that is after the division by the root of d_k."),
        (512**0.5, "a head does not see all 512 channels: it has 64."),
        (512, "that is the width of the model: a head has 64 channels."),
        (0.125, "that is what the products are multiplied by."),
    ],
    2: [
        (lambda k, width: _turn(k, width, sign=-1), "that turns back: it undoes k."),
        (
            lambda k, width: _turn(k, width, power=0),
            "each pair of channels has a frequency of its own.",
        ),
        (
            lambda k, width: _turn(k, width, power=1),
            "the exponent is 2i / width: i counts pairs, 2i channels.",
        ),
        (_halves, "sine and cosine of one frequency stand side by side."),
        (lambda k, width: torch.eye(width), "that leaves each position where it is."),
    ],
    3: [
        (lambda epsilon, k: 0.0, "zero is out of reach: the target is not sure."),
        (
            _copied,
            "every one of the k tokens gets epsilon / k, the truth among them.",
        ),
        (_only_truth, "add what the other k - 1 tokens cost."),
        (
            lambda epsilon, k: _floor(epsilon, k) / math.log(2),
            "in nats: the logarithm is the natural one.",
        ),
        (
            lambda epsilon, k: math.log(k),
            "that is the loss of a model that knows nothing.",
        ),
    ],
}
