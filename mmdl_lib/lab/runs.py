"""What many arms do: random rows as batches, a training, an accuracy, smooth curves."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib import pretrained
from mmdl_lib.core import Model, generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab.engine import short, smoke
from mmdl_lib.train import History, fit


def rows(
    batch_size: int,
    seed: int,
    *,
    change: Callable[[dict, torch.Generator], dict] | None = None,
    **data: Tensor,
) -> Callable[[int], dict]:
    """`batches(step)` of random rows, a pure function of the step.

    Arms with the same seed see the same rows in the same order: they are paired.

    Args:
        batch_size: rows in a batch.
        seed: of the order.
        change: makes another batch of it with the generator of the step, such as views.
        data: tensors of equal length by name; bytes become pixels in [-1, 1].

    Raises:
        ValueError: no tensors, or tensors of unequal length.
    """
    lengths = {len(tensor) for tensor in data.values()}
    if len(lengths) != 1:
        raise ValueError(f"expected tensors of one length, got {sorted(lengths)}.")
    (count,) = lengths

    def batches(step: int) -> dict:
        random = generator(1_000_003 * seed + step)
        row = torch.randint(count, (batch_size,), generator=random)
        batch = {name: _floats(tensor[row]) for name, tensor in data.items()}
        return change(batch, random) if change else batch

    return batches


def few(
    label: Int[Tensor, " n"], count: int, seed: int, *, classes: int = 10
) -> Int[Tensor, " m"]:
    """Row numbers of `count` labeled examples, equally many of each class."""
    order = torch.randperm(len(label), generator=generator(seed))
    each = count // classes
    return torch.cat([order[label[order] == k][:each] for k in range(classes)])


def _floats(tensor: Tensor) -> Tensor:
    return to_float(tensor) if tensor.dtype == torch.uint8 else tensor


def train(model: Model, batches: Callable, *, steps: int, **options) -> History:
    """`mmdl_lib.train.fit`; a hundredth of the steps in a smoke run."""
    return fit(model, batches, steps=short(steps), **options)


@torch.no_grad()
def logits(
    model: nn.Module, image: Tensor, *, batch_size: int = 500
) -> Float[Tensor, "b k"]:
    """What a classifier in eval mode says of pictures, bytes or floats."""
    model.eval()
    return torch.cat([model(_floats(part)) for part in image.split(batch_size)])


def accuracy(model: nn.Module, image: Tensor, label: Int[Tensor, " b"]) -> float:
    """Share of right names in eval mode, in [0, 1]."""
    return (logits(model, image).argmax(1) == label).double().mean().item()


def means(values: list[float], every: int) -> list[float]:
    """Means of `every` values each, rounded: a curve as short as its figure.

    Example:
        >>> means([1.0, 3.0, 5.0, 7.0, 9.0], 2)
        [2.0, 6.0, 9.0]
    """
    parts = [values[i : i + every] for i in range(0, len(values), every)]
    return [round(sum(part) / len(part), 4) for part in parts]


def reached(curve: list[float], level: float | int) -> int:
    """The first place at which a falling curve is at a level, or its length.

    Example:
        >>> reached([3.0, 2.0, 1.0], 2.5), reached([3.0, 2.0], 1.5)
        (1, 2)
    """
    return next((i for i, value in enumerate(curve) if value <= level), len(curve))


@torch.no_grad()
def recalibrate(
    model: nn.Module, batches: Iterable, forward: Callable | None = None
) -> nn.Module:
    """BatchNorm's running statistics anew, as plain means; the model in eval mode.

    In the middle of a short training the running averages lag behind the weights, which
    costs more accuracy than most things that a recipe compares.

    Args:
        model: what has the norms.
        batches: inputs of `forward`.
        forward: by default the model itself.
    """
    kinds = nn.modules.batchnorm._BatchNorm
    norms = [module for module in model.modules() if isinstance(module, kinds)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches that follow
    model.train()
    for batch in batches:
        (forward or model)(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def cost(build: Callable[[], tuple[nn.Module, Tensor]]) -> tuple[float, int]:
    """Multiply-adds of one forward pass, and the numbers that its layers give out.

    Nothing is computed: all happens on the meta device.

    Args:
        build: makes the model and its input.
    """
    made = []

    def note(module, inputs, output):
        if not list(module.children()):
            made.append(output.numel())

    with torch.device("meta"):
        model, x = build()
        for module in model.modules():
            module.register_forward_hook(note)
        with FlopCounterMode(display=False) as counter:
            model.eval()(x)
    return counter.get_total_flops() / 2, sum(made)


def save_weights(model: Model, slug: str, source: str = "shapes", **options) -> None:
    """`pretrained.save`; a smoke run leaves the shipped weights as they are."""
    if not smoke():
        pretrained.save(model, slug, source, **options)
