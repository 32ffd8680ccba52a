"""One phase of a stage: who learns, by which optimizer, and who stands still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from mmdl_lib.core import Model
from mmdl_lib.train.processes import mean_buffers, mean_gradients


class Phase:
    """What a phase trains, with an optimizer of its own.

    Attributes:
        name: of the phase.
        lr: peak learning rate.
        parameters: what it updates.
        rates: the same for each group of the optimizer, which may have its own.

    Raises:
        ValueError: the phase has nothing to train.
    """

    def __init__(
        self,
        model: Model,
        name: str,
        accelerator: Accelerator,
        *,
        lr: float,
        weight_decay: float,
        optimizer: Callable[..., torch.optim.Optimizer],
    ):
        self.model, self.name, self.lr = model, name, lr
        self.accelerator = accelerator
        self.parameters = model.trainable(name)
        if not self.parameters:
            raise ValueError(
                f"expected parameters to train in phase {name!r} of "
                f"{type(model).__name__}, got none."
            )
        own = set(self.parameters)
        self.flags = [(p, p in own) for p in model.parameters()]
        self.modes = _modes(model, name)
        groups = _groups(self.parameters, weight_decay)
        self.optimizer = accelerator.prepare(optimizer(groups, lr=lr))
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def begin(self, factor: float) -> None:
        """Let the learners learn at a share of the peak rate, and all else stand still.

        Every time: the other phases and a `watch` that evaluates change modes.
        """
        _set(self.flags, self.modes)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad()

    def update(self, clip: float | None) -> Tensor:
        """One step of the optimizer.

        Returns:
            The norm of this phase's gradient before clipping, on the device.
        """
        mean_gradients(self.accelerator, self.parameters)
        self.accelerator.unscale_gradients(self.optimizer)
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if clip is not None:
            clip_grads_with_norm_(self.parameters, clip, norm)
        self.optimizer.step()
        mean_buffers(self.accelerator, self.model)
        return norm


def _groups(parameters: list[Tensor], weight_decay: float) -> list[dict]:
    """Matrices decay; biases, gains and offsets of norms, and scalars do not."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _modes(model: Model, phase: str) -> list[tuple[nn.Module, bool]]:
    """Who trains and who evaluates in a phase; a module's own `train` is respected."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    for module in model.learners(phase):
        module.train()
    found = [(module, module.training) for module in model.modules()]
    _set([], before)
    return found


def _set(flags: list[tuple[Tensor, bool]], modes: list[tuple[nn.Module, bool]]) -> None:
    for parameter, flag in flags:
        if parameter.requires_grad is not flag:
            parameter.requires_grad_(flag)
    for module, mode in modes:
        if module.training is not mode:
            module.training = mode


@contextmanager
def for_now(model: Model, phases: list[Phase]) -> Iterator[None]:
    """Afterwards gradients flow as before, and modules that learned stay in training
    mode, the others in the mode that they had."""
    flags = [(p, p.requires_grad) for p in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    learned = [(m, True) for phase in phases for m, mode in phase.modes if mode]
    try:
        yield
    finally:
        _set(flags, modes + learned)
