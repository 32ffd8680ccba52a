"""Exercises of the chapter on ResNet (`sec-resnet`)."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, compare, scalar
from mmdl_lib.models.resnet import Basic

STEPS_UP = ((64, 128), (128, 256), (256, 512))  # where ResNet-34 changes dimensions


def exercise_1(answer) -> None:
    """Predict: what does option B cost?

    How many more parameters has ResNet-34 with option B than with option A? Each
    projection is a 1 x 1 convolution without bias, followed by BatchNorm.

    Raises:
        Hint: BatchNorm forgotten, a 3 x 3 convolution, projections everywhere, or none.
    """
    value = scalar(answer).item()
    weights = sum(a * b for a, b in STEPS_UP)
    norms = sum(2 * b for _, b in STEPS_UP)
    if value == weights + norms:
        return
    wrong = {
        weights: "BatchNorm has two parameters for each channel: add them.",
        weights + norms // 2: "BatchNorm has a factor and an offset: two a channel.",
        9 * weights + norms: "that is a 3 x 3 convolution: a projection is 1 x 1.",
        9 * weights: "that is a 3 x 3 convolution without its norm.",
        0: "option A costs nothing, option B does: it has weights.",
    }
    if value in wrong:
        raise Hint(wrong[value])
    raise Hint("not right: at which three places do the dimensions change, and how?")


def exercise_2(answer) -> None:
    """Change the code: write the block.

    Write `block(x, residual, shortcut)`, eq. (2) with the ReLU that follows it.
    `residual` and `shortcut` are functions of x.

    Raises:
        Hint: no ReLU, one too early, a missing term, a difference.
    """
    x = torch.randn(2, 3, 4, 4, generator=generator(0))

    def residual(y: Tensor) -> Tensor:
        return 0.5 - y.flip(-1)

    def shortcut(y: Tensor) -> Tensor:
        return 0.7 * y

    f, s = residual(x), shortcut(x)
    wrong = [
        ("the sum goes through a ReLU: section 3.2.", f + s),
        ("the ReLU comes after the addition, not before.", F.relu(f) + s),
        ("one ReLU after the addition is enough.", F.relu(F.relu(f) + s)),
        ("the shortcut is missing: that is a plain block.", F.relu(f)),
        ("use shortcut(x), which may be a projection, and not x.", F.relu(f + x)),
        ("the residual is missing.", F.relu(s)),
        ("F is added to the shortcut, not subtracted.", F.relu(s - f)),
    ]
    compare(call(answer, x, residual, shortcut), F.relu(f + s), wrong)


def exercise_3(answer) -> None:
    """Change the code: count the cost of a convolution.

    Write `multiply_adds(inputs, outputs, kernel, side, stride)` for a square picture of
    `side` pixels, a multiple of the stride, padded so that only the stride shrinks it.

    Raises:
        Hint: two operations each, no stride, the kernel once, the kernel or the
            channels missing.
    """
    for inputs, outputs, kernel, side, stride in (
        (3, 64, 7, 224, 4),
        (8, 16, 3, 32, 1),
    ):
        out = side // stride
        right = inputs * outputs * kernel**2 * out**2
        wrong = [
            ("a multiply and an add count as one here.", 2 * right),
            ("with a stride fewer positions are computed.", right * stride**2),
            ("the stride acts in both directions.", right * stride),
            ("the kernel has kernel x kernel weights.", right / kernel),
            ("each position sees kernel x kernel inputs.", right / kernel**2),
            ("each output channel looks at all input channels.", right / inputs),
            ("count all output channels.", right / outputs),
            ("count all positions, in both directions.", right / out),
            ("that is the number of weights: count positions too.", right / out**2),
        ]
        value = scalar(call(answer, inputs, outputs, kernel, side, stride)).double()
        pairs = [(hint, torch.tensor(float(v)).double()) for hint, v in wrong]
        # where a mistake changes nothing (stride one), it is no mistake
        pairs = [(h, v) for h, v in pairs if v != right]
        compare(value, torch.tensor(float(right)).double(), pairs)


def exercise_4(answer) -> None:
    """Investigate: let a block begin as the identity.

    Write `begin_as_identity(block)`: it changes one tensor of a `Basic` block such that
    the block passes a non-negative input on unchanged, and still learns. It returns
    the block.

    Raises:
        Hint: the residual is not zero, it was zeroed where it cannot learn any more, or
            more than one tensor was changed.
    """
    torch.manual_seed(0)
    before = Basic(4, 4, 1, "A")
    block = call(answer, copy.deepcopy(before))
    if not isinstance(block, nn.Module):
        raise Hint(f"return the block, not a {type(block).__name__}.")
    x = torch.rand(6, 4, 5, 5, generator=generator(1))
    with torch.enable_grad():
        y = block(x)
        (y * torch.randn(y.shape, generator=generator(2))).sum().backward()
    if not torch.allclose(y, x, atol=1e-6):
        raise Hint("the block still changes its input: what is applied last to F(x)?")
    convolutions = [m for m in block.residual.modules() if isinstance(m, nn.Conv2d)]
    if any(not conv.weight.any() for conv in convolutions):
        raise Hint(
            "a convolution of zeros stands before a norm, which divides by a spread of "
            "zero: its first gradient explodes. Look at the norm itself."
        )
    last = [m for m in block.residual.modules() if isinstance(m, nn.BatchNorm2d)][-1]
    if not last.weight.grad.any():
        raise Hint("no gradient reaches the last norm: leave the first one alone.")
    old = dict(before.named_parameters())
    changed = [n for n, p in block.named_parameters() if not torch.equal(p, old[n])]
    if len(changed) > 1:
        raise Hint(f"one tensor is enough, got changes of {', '.join(changed)}.")
