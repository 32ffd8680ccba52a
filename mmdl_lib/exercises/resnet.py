"""Exercises of the chapter on ResNet (`sec-resnet`)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl_lib.core import generator
from mmdl_lib.exercises import Hint, call, judge
from mmdl_lib.models.resnet import Basic


def exercise_1(answer) -> None:
    """Predict: what does option B cost?

    How many more parameters has ResNet-34 with option B than with option A? Each
    projection is a 1 x 1 convolution without bias, followed by BatchNorm.

    Raises:
        Hint: BatchNorm forgotten, a 3 x 3 convolution, projections everywhere, or none.
    """
    last = "not right: at which three places do the dimensions change, and how?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: who recognizes the copies?

    Write `recognized(pictures, copies)`: features `(n, d)` of n pictures and of a noisy
    copy of each, in the same order. It returns the share of the copies whose nearest
    picture, by the cosine, is their own.

    Raises:
        Hint: products or distances instead of cosines, pictures that look for copies, a
            number of copies, or the mean of all cosines.
    """
    g = generator(0)
    pictures = torch.randn(40, 5, generator=g) * torch.linspace(0.5, 3, 40)[:, None]
    noise = 0.5 * torch.randn(40, 5, generator=g)
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=[(pictures, pictures + noise)])


def exercise_3(answer) -> None:
    """Change the code: count the cost of a convolution.

    Write `multiply_adds(inputs, outputs, kernel, side, stride)` for a square picture of
    `side` pixels, a multiple of the stride, padded so that only the stride shrinks it.

    Raises:
        Hint: two operations each, no stride, the kernel once, the kernel or the
            channels missing.
    """
    cases = [(3, 64, 7, 224, 4), (8, 16, 3, 32, 1)]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=0)


def exercise_4(answer) -> None:
    """Investigate: let a block begin as the identity.

    Write `begin_as_identity(block)`: it changes one tensor of a `Basic` block such that
    the block passes a non-negative input on unchanged, and still learns. It returns
    the block.

    Raises:
        Hint: the residual is not zero, it was zeroed where it cannot learn any more, or
            more than one tensor was changed.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        before = Basic(4, 4, 1, "A")
    block = call(answer, before)
    if not isinstance(block, Basic):
        raise Hint(f"return the block, not a {type(block).__name__}.")
    try:
        y, x = _learn(block)
    except Exception as error:
        raise Hint(f"your block does not run any more: {error!s:.80}") from error
    if y.shape != x.shape or not torch.allclose(y, x, atol=1e-6):
        raise Hint("the block still changes its input: what is applied last to F(x)?")
    _check_learning(block, before)


def _learn(block: nn.Module) -> tuple[Tensor, Tensor]:
    """Output and input, after the gradients of a random loss have been taken."""
    x = torch.rand(6, 4, 5, 5, generator=generator(1))
    with torch.enable_grad():
        y = block(x)
        (y * torch.randn(y.shape, generator=generator(2))).sum().backward()
    return y, x


def _check_learning(block: nn.Module, before: nn.Module) -> None:
    convolutions = [m for m in block.residual.modules() if isinstance(m, nn.Conv2d)]
    if any(not conv.weight.any() for conv in convolutions):
        raise Hint(
            "a convolution of zeros stands before a norm, which divides by a spread of "
            "zero: its first gradient explodes. Look at the norm itself."
        )
    norms = [m for m in block.residual.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms or norms[-1].weight.grad is None or not norms[-1].weight.grad.any():
        raise Hint("no gradient reaches the last norm: leave the first one alone.")
    old = dict(before.named_parameters())
    new = dict(block.named_parameters())
    if {n: p.shape for n, p in new.items()} != {n: p.shape for n, p in old.items()}:
        raise Hint("change the values of a tensor, not the parts of the block.")
    changed = [n for n, p in new.items() if not torch.equal(p, old[n])]
    if len(changed) > 1:
        raise Hint(f"one tensor is enough, got changes of {', '.join(changed)}.")


def _nearest(like):
    """The share of diagonal places that are the largest of their row."""

    def share(pictures: Tensor, copies: Tensor) -> Tensor:
        table = like(copies, pictures)
        return (table.argmax(1) == torch.arange(len(table))).double().mean()

    return share


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def _cost(inputs: int, outputs: int, kernel: int, side: int, stride: int) -> int:
    return inputs * outputs * kernel**2 * (side // stride) ** 2


def _zero_of(*names: str):
    """A change of the block that sets tensors to zero."""

    def change(block: Basic) -> Basic:
        for name, value in block.named_parameters():
            if name in names:
                value.data.zero_()
        return block

    return change


def _moved(block: Basic) -> Basic:
    block.residual[0][1].bias.data.fill_(1)
    return _zero_of(LAST)(block)


FIRST, LAST = "residual.0.1.weight", "residual.2.1.weight"
WEIGHTS = 64 * 128 + 128 * 256 + 256 * 512  # where ResNet-34 changes dimensions
NORMS = 2 * (128 + 256 + 512)

SOLUTIONS = {
    1: WEIGHTS + NORMS,
    2: _nearest(_cosines),
    3: _cost,
    4: _zero_of(LAST),
}
MISTAKES = {
    1: [
        (WEIGHTS, "BatchNorm has two parameters for each channel: add them."),
        (WEIGHTS + NORMS // 2, "BatchNorm has a factor and an offset: two a channel."),
        (9 * WEIGHTS + NORMS, "that is a 3 x 3 convolution: a projection is 1 x 1."),
        (9 * WEIGHTS, "that is a 3 x 3 convolution without its norm."),
        (0, "option A costs nothing, option B does: it has weights."),
    ],
    2: [
        (
            _nearest(lambda a, b: a @ b.T),
            "a product grows with the length of the picture: divide it out.",
        ),
        (
            _nearest(lambda a, b: -torch.cdist(a, b)),
            "that is the nearest by distance: use the cosine.",
        ),
        (
            _nearest(lambda a, b: -_cosines(a, b)),
            "the nearest picture has the *largest* cosine.",
        ),
        (
            _nearest(lambda a, b: _cosines(b, a)),
            "each copy looks for its picture; yours lets pictures look for a copy.",
        ),
        (
            lambda p, c: 40 * _nearest(_cosines)(p, c),
            "that is a number of copies: return a share.",
        ),
        (
            lambda p, c: F.cosine_similarity(p, c).mean(),
            "that is how alike a copy and its picture are: who is *nearest*?",
        ),
    ],
    3: [
        (lambda *a: 2 * _cost(*a), "a multiply and an add count as one here."),
        (
            lambda i, o, k, n, s: _cost(i, o, k, n, 1),
            "with a stride fewer positions are computed.",
        ),
        (
            lambda i, o, k, n, s: _cost(i, o, k, n, s) * s,
            "the stride acts in both directions.",
        ),
        (
            lambda i, o, k, n, s: _cost(i, o, k, n, s) / k,
            "the kernel has kernel x kernel weights.",
        ),
        (
            lambda i, o, k, n, s: _cost(i, o, 1, n, s),
            "each position sees kernel x kernel inputs.",
        ),
        (
            lambda i, o, k, n, s: _cost(1, o, k, n, s),
            "each output channel looks at all input channels.",
        ),
        (lambda i, o, k, n, s: _cost(i, 1, k, n, s), "count all output channels."),
        (
            lambda i, o, k, n, s: _cost(i, o, k, n, s) * s // n,
            "count all positions, in both directions.",
        ),
        (
            lambda i, o, k, n, s: i * o * k * k,
            "that is the number of weights: count positions too.",
        ),
    ],
    4: [
        (lambda block: block, "the block still changes its input"),
        (lambda block: block.residual, "return the block, not a Sequential"),
        (lambda block: 0, "return the block, not a int"),
        (lambda block: nn.Identity(), "return the block, not a Identity"),
        (_zero_of(LAST, FIRST), "leave the first one alone"),
        (_zero_of(FIRST), "leave the first one alone"),
        (_zero_of("residual.2.0.weight"), "its first gradient explodes"),
        (_zero_of(LAST, "residual.0.0.weight"), "its first gradient explodes"),
        (_moved, "one tensor is enough"),
    ],
}
