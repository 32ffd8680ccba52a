"""Exercises of the chapter on history (`sec-history`)."""

import itertools

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar
from mmdl_lib.metrics.top_k import top_k_accuracy


def exercise_1(answer) -> None:
    """Predict: how many parameters has AlexNet's second layer?

    256 kernels of 5 x 5, each with a bias. The first layer has 96 maps, and the net is
    spread over two GPUs.

    Raises:
        Hint: no groups, no biases, the kernel once, or one GPU's share only.
    """
    value = scalar(answer).item()
    weights = 256 * 5 * 5 * 48
    if value == weights + 256:
        return
    wrong = {
        2 * weights + 256: "a kernel sees only the 48 maps of its own GPU.",
        2 * weights: "a kernel sees only the 48 maps of its own GPU, and has a bias.",
        weights: "the biases are missing: one for each kernel.",
        weights + 48: "one bias for each kernel, not for each map that it sees.",
        weights // 5 + 256: "a kernel is 5 x 5.",
        weights // 2 + 128: "that is one GPU: count both.",
        weights // 4 + 256: "there are two groups, not four.",
    }
    if value in wrong:
        raise Hint(wrong[value])
    raise Hint("not right: kernels x (height x width x maps that it sees + bias).")


def exercise_2(answer) -> None:
    """Change the code: write one step of Oja's rule.

    Write `step(weight, x, rate)`, which returns the new weight (d,).

    Raises:
        Hint: Hebb's rule, a leak of another kind, a wrong sign, no rate, or only the
            change.
    """
    for seed in range(2):
        x, weight = torch.randn(2, 5, generator=generator(seed)).unbind()
        rate, y = 0.1 + 0.1 * seed, weight @ x
        grow, leak = x * y, y**2 * weight
        compare(
            _vector(call(answer, weight, x, rate), 5),
            weight + rate * (grow - leak),
            [
                ("that is Hebb's rule: the leak is missing.", weight + rate * grow),
                ("return the new weight, not its change.", rate * (grow - leak)),
                ("the leak has to shrink the weight.", weight + rate * (grow + leak)),
                ("the rate belongs to both terms.", weight + rate * grow - leak),
                ("the rate is missing.", weight + grow - leak),
                ("the leak grows with y squared.", weight + rate * (grow - y * weight)),
                ("the leak is y^2 times w, not x.", weight + rate * (grow - y**2 * x)),
                ("the leak needs y^2 in front of w.", weight + rate * (grow - weight)),
            ],
        )


def _vector(value, n: int) -> Tensor:
    value = torch.as_tensor(value)
    if value.shape != (n,):
        raise Hint(f"expected a vector of {n} numbers, got shape {tuple(value.shape)}.")
    return value


def exercise_3(answer) -> None:
    """Change the code: write the error that ImageNet is judged by.

    Write `top_k_error(logits, label, k)`: the share of rows of `logits` (b, classes)
    whose label (b,) is not among the k highest scores. No two scores are equal.

    Raises:
        Hint: the accuracy, another k, the lowest scores, a count, percent, or a share
            of all guesses.
    """
    for seed, (b, classes, k) in enumerate(((49, 10, 3), (61, 20, 5))):
        logits = torch.randn(b, classes, generator=generator(seed))
        label = torch.randint(classes, (b,), generator=generator(seed + 9))
        # half of the rows know a little
        logits[: b // 2].scatter_add_(1, label[: b // 2, None], torch.ones(b, 1))
        error = {n: 1 - top_k_accuracy(logits, label, n) for n in (1, k - 1, k, k + 1)}
        right = error[k]
        lowest = 1 - top_k_accuracy(-logits, label, k)
        count = "that is a number of rows: divide by how many there are."
        wrong = [
            ("that is the accuracy: the error is one minus it.", 1 - right),
            ("that is the top-1 error: k guesses are allowed.", error[1]),
            ("one guess too few: topk(k).", error[k - 1]),
            ("one guess too many: topk(k).", error[k + 1]),
            ("those are the lowest scores.", lowest),
            (count, b * right),
            (count, b * (1 - right)),
            ("give a share between 0 and 1, not percent.", 100 * right),
            ("one hit in k guesses is a full hit.", 1 - (1 - right) / k),
        ]
        value = scalar(call(answer, logits, label, k)).double()
        pairs = [(hint, torch.tensor(float(v)).double()) for hint, v in wrong]
        pairs = [(hint, v) for hint, v in pairs if v != right]
        compare(value, torch.tensor(right).double(), pairs)


def exercise_4(answer) -> None:
    """Change the code: write the lift of a rule.

    Write `lift(baskets, left, right)`. `baskets` (n, items) says what each basket
    holds; `left` and `right` are lists of columns. The lift is how much more often both
    sides occur together than they would if they had nothing to do with each other.

    Raises:
        Hint: the confidence in either direction, the support, any instead of all, a
            difference, an inverse, or counts that are not shares.
    """
    for seed in range(2):
        baskets = torch.rand(60, 5, generator=generator(seed)) < 0.6
        baskets[:, 3] |= baskets[:, 0]
        left, right = [0, 1], [3]
        one, two = (baskets[:, side].all(1).float() for side in (left, right))
        p, q, both = one.mean(), two.mean(), (one * two).mean()
        loose = baskets[:, left].any(1).float()
        wrong = [
            (
                "that is the confidence: divide by the share of the right side.",
                both / p,
            ),
            ("that is the confidence from right to left.", both / q),
            ("that is the support: compare with the product of the shares.", both),
            (
                "a side is there when all of its items are.",
                (loose * two).mean() / loose.mean() / q,
            ),
            ("divide by the product, do not subtract it.", both - p * q),
            ("that is upside down.", p * q / both),
            (
                "those are counts: divide each by the number of baskets.",
                both / (p * q) / 60,
            ),
        ]
        compare(scalar(call(answer, baskets, left, right)), both / (p * q), wrong)


def exercise_5(answer) -> None:
    """Investigate: parity of three bits, by hand.

    Give `(hidden, output)`: weights of threshold units. `hidden` (k, 4) sees the bits
    and a constant 1; `output` (k + 1,) sees the hidden answers and a constant 1. The
    net shall answer +1 if an odd number of the three bits is +1, else -1.

    Raises:
        Hint: shapes that do not fit, parity of two bits, the opposite, an OR, or how
            many of the eight patterns are wrong.
    """
    try:
        hidden, output = (torch.as_tensor(part).float() for part in answer)
    except Exception as error:
        raise Hint("expected two lists of weights: (hidden, output).") from error
    if hidden.ndim != 2 or hidden.shape[1] != 4 or output.shape != (len(hidden) + 1,):
        raise Hint(
            "expected shapes (k, 4) and (k + 1,), got "
            f"{tuple(hidden.shape)} and {tuple(output.shape)}."
        )
    bits = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)))
    value = _threshold(_threshold(bits, hidden.T), output[:, None])[:, 0]
    odd = bits.prod(1)
    if torch.equal(value, odd):
        return
    others = {
        "that is the opposite: change the sign of the output's weights.": -odd,
        "that is the parity of the first two bits.": -bits[:, 0] * bits[:, 1],
        "that is an OR: three bits that are on must give +1, two must not.": bits.amax(
            1
        ),
    }
    for hint, mistaken in others.items():
        if torch.equal(value, mistaken):
            raise Hint(hint)
    wrong = int((value != odd).sum())
    raise Hint(
        f"{wrong} of the 8 patterns are wrong: let hidden unit i ask whether at least "
        "i bits are on."
    )


def _threshold(inputs: Tensor, weight: Tensor) -> Tensor:
    inputs = torch.nn.functional.pad(inputs, (0, 1), value=1.0)
    return torch.where(inputs @ weight >= 0, 1.0, -1.0)
