"""Exercises of the chapter on history (`sec-history`)."""

import itertools

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, judge, numbers
from mmdl_lib.metrics.top_k import top_k_accuracy


def exercise_1(answer) -> None:
    """Predict: how many parameters has AlexNet's second layer?

    256 kernels of 5 x 5, each with a bias. The first layer has 96 maps, and the net is
    spread over two GPUs.

    Raises:
        Hint: no groups, no biases, the kernel once, or one GPU's share only.
    """
    last = "not right: kernels x (height x width x maps that it sees + bias)."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: write one step of Oja's rule.

    Write `step(weight, x, rate)`, which returns the new weight (d,).

    Raises:
        Hint: Hebb's rule, a leak of another kind, a wrong sign, no rate, or only the
            change.
    """
    cases = []
    for seed in range(2):
        x, weight = torch.randn(2, 5, generator=generator(seed))
        cases.append((weight, x, 0.1 + 0.1 * seed))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: write the error that ImageNet is judged by.

    Write `top_k_error(logits, label, k)`: the share of rows of `logits` (b, classes)
    whose label (b,) is not among the k highest scores. No two scores are equal.

    Raises:
        Hint: the accuracy, another k, the lowest scores, a count, percent, or a share
            of all guesses.
    """
    cases = []
    for seed, (b, classes, k) in enumerate(((49, 10, 3), (61, 20, 5))):
        logits = torch.randn(b, classes, generator=generator(seed))
        label = torch.randint(classes, (b,), generator=generator(seed + 9))
        # half of the rows know a little
        logits[: b // 2].scatter_add_(1, label[: b // 2, None], torch.ones(b, 1))
        cases.append((logits, label, k))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def exercise_4(answer) -> None:
    """Investigate: parity of three bits, by hand.

    Give `(hidden, output)`: weights of threshold units. `hidden` (k, 4) sees the bits
    and a constant 1; `output` (k + 1,) sees the hidden answers and a constant 1. The
    net shall answer +1 if an odd number of the three bits is +1, else -1.

    Raises:
        Hint: shapes that do not fit, parity of two bits, the opposite, an OR, or how
            many of the eight patterns are wrong.
    """
    try:
        hidden, output = answer
    except Exception as error:
        raise Hint("expected two lists of weights: (hidden, output).") from error
    hidden, output = numbers(hidden, "rows of weights"), numbers(output, "weights")
    if hidden.ndim != 2 or hidden.shape[1] != 4 or output.shape != (len(hidden) + 1,):
        raise Hint(
            "expected shapes (k, 4) and (k + 1,), got "
            f"{tuple(hidden.shape)} and {tuple(output.shape)}."
        )
    bits = list(itertools.product((-1.0, 1.0), repeat=3))
    bits = torch.tensor(bits, dtype=torch.float64)
    value = _threshold(_threshold(bits, hidden.T), output[:, None])[:, 0]
    odd = bits.prod(1)
    wrong = int((value != odd).sum())
    last = (
        f"{wrong} of the 8 patterns are wrong: let hidden unit i ask whether at least "
        "i bits are on."
    )
    others = [
        (-odd, "that is the opposite: change the sign of the output's weights."),
        (-bits[:, 0] * bits[:, 1], "that is the parity of the first two bits."),
        (
            bits.amax(1),
            "that is an OR: three bits that are on must give +1, two must not.",
        ),
    ]
    judge(value, odd, others, near=0, otherwise=last)


def _threshold(inputs: Tensor, weight: Tensor) -> Tensor:
    inputs = torch.nn.functional.pad(inputs, (0, 1), value=1.0)
    return (inputs @ weight >= 0).double() * 2 - 1


def _step(weight: Tensor, x: Tensor, rate: float) -> Tensor:
    y = weight @ x
    return weight + rate * (x * y - y**2 * weight)


def _hebb(weight: Tensor, x: Tensor, rate: float) -> Tensor:
    return weight + rate * x * (weight @ x)


def _error(logits: Tensor, label: Tensor, k: int) -> float:
    return 1 - top_k_accuracy(logits, label, k)


COUNT = [[1, 1, 1, 2], [1, 1, 1, 0], [1, 1, 1, -2]]  # at least one, two, three bits on
ROWS = "that is a number of rows: divide by how many there are."

SOLUTIONS = {
    1: 256 * (5 * 5 * 48 + 1),
    2: _step,
    3: _error,
    4: (COUNT, [1, -1, 1, -0.5]),
}
MISTAKES = {
    1: [
        (614_656, "a kernel sees only the 48 maps of its own GPU."),
        (614_400, "a kernel sees only the 48 maps of its own GPU, and has a bias."),
        (307_200, "the biases are missing: one for each kernel."),
        (307_248, "one bias for each kernel, not for each map that it sees."),
        (61_440 + 256, "a kernel is 5 x 5."),
        (153_600 + 128, "that is one GPU: count both."),
        (76_800 + 256, "there are two groups, not four."),
    ],
    2: [
        (_hebb, "that is Hebb's rule: the leak is missing."),
        (lambda w, x, r: _step(w, x, r) - w, "return the new weight, not its change."),
        (
            lambda w, x, r: 2 * _hebb(w, x, r) - _step(w, x, r),
            "the leak has to shrink the weight.",
        ),
        (
            lambda w, x, r: _hebb(w, x, r) - (w @ x) ** 2 * w,
            "the rate belongs to both terms.",
        ),
        (lambda w, x, r: _step(w, x, 1.0), "the rate is missing."),
        (
            lambda w, x, r: _hebb(w, x, r) - r * (w @ x) * w,
            "the leak grows with y squared.",
        ),
        (
            lambda w, x, r: _hebb(w, x, r) - r * (w @ x) ** 2 * x,
            "the leak is y^2 times w, not x.",
        ),
        (lambda w, x, r: _hebb(w, x, r) - r * w, "the leak needs y^2 in front of w."),
        (lambda w, x, r: w @ x, "expected 5 numbers, got shape ()."),
    ],
    3: [
        (top_k_accuracy, "that is the accuracy: the error is one minus it."),
        (
            lambda s, y, k: _error(s, y, 1),
            "that is the top-1 error: k guesses are allowed.",
        ),
        (lambda s, y, k: _error(s, y, k - 1), "one guess too few: topk(k)."),
        (lambda s, y, k: _error(s, y, k + 1), "one guess too many: topk(k)."),
        (lambda s, y, k: _error(-s, y, k), "those are the lowest scores."),
        (lambda s, y, k: len(y) * _error(s, y, k), ROWS),
        (lambda s, y, k: len(y) * (1 - _error(s, y, k)), ROWS),
        (
            lambda *a: 100 * _error(*a),
            "give a share between 0 and 1, not percent.",
        ),
        (
            lambda s, y, k: 1 - (1 - _error(s, y, k)) / k,
            "one hit in k guesses is a full hit.",
        ),
    ],
    4: [
        (3, "expected two lists of weights"),
        ((COUNT, [1, -1, 1]), "got (3, 4) and (3,)"),
        ((COUNT, [-1, 1, -1, 0.5]), "that is the opposite"),
        (([[1, 1, 0, 1], [1, 1, 0, -1]], [1, -1, -1]), "parity of the first two bits"),
        (([[1, 1, 1, 2]], [1, 0]), "that is an OR"),
        (([[1, 1, 1, -2]], [1, 0]), "3 of the 8 patterns are wrong"),
    ],
}
