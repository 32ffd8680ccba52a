"""What a run leaves behind, read from the device in blocks."""

import math
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor

from mmdl_lib.core import Model

BLOCK = 50  # steps between two readings


@dataclass
class History:
    """What a run leaves behind, beside the trained model.

    Attributes:
        losses: loss terms by step. In a stage of several phases a name begins with its
            phase, such as "generator/loss".
        seconds: of the run that ended it; a resumed run counts only itself.
        average: moving average of the weights where `ema` was given.
    """

    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    average: dict[str, Tensor] | None = None

    def last(self, name: str = "loss") -> float:
        """The latest value of a loss term.

        Raises:
            KeyError: no such term.
        """
        if not self.losses.get(name):
            known = ", ".join(self.losses) or "none, as no step was made"
            raise KeyError(f"expected one of the terms {known}, got {name!r}.")
        return self.losses[name][-1]


class Readings:
    """Loss terms that stay on the device until a block of steps is read at once.

    To read a number is to wait for the accelerator. So each step only notes its tensors
    here; `read` fetches them together, and looks whether they and the weights are
    finite. Where they are not, the model goes back to the last block that was: neither
    a checkpoint nor the model is left with NaN.

    Attributes:
        losses: what has been read, by term.
    """

    def __init__(self, accelerator: Accelerator, model: Model, losses, *, phases):
        self.accelerator, self.model, self.losses = accelerator, model, losses
        self.several = len(phases) > 1
        self.waiting: list[tuple[int, str, dict[str, Tensor], Tensor]] = []
        self._keep()

    def add(
        self, step: int, phase: str, terms: dict[str, Tensor], norm: Tensor
    ) -> dict:
        """Note the terms of a phase in a step, and the norm of its gradient.

        Returns:
            The terms under the names of `losses`.
        """
        self.waiting.append((step, phase, terms, norm))
        return self._named(phase, terms)

    def read(self, *, now: bool) -> None:
        """Fetch what waits, as means over processes: now, or where a block is full.

        Raises:
            FloatingPointError: a loss, a gradient or a weight is not finite.
        """
        if not now and self.waiting[-1][0] - self.waiting[0][0] + 1 < BLOCK:
            return
        noted = [x for *_, terms, norm in self.waiting for x in (*terms.values(), norm)]
        sound = _sound(self.model).to(noted[0].dtype)
        block = torch.stack([x.to(sound.device) for x in (*noted, sound)])
        numbers = iter(self.accelerator.reduce(block, "mean").tolist())
        for step, phase, terms, _ in self.waiting:
            found = {name: next(numbers) for name in terms}
            norm = next(numbers)
            self._check("loss", found["loss"], step, phase)
            # the scaler of fp16 skips such a step by itself
            if self.accelerator.scaler is None:
                self._check("gradient", norm, step, phase)
            for name, value in self._named(phase, found).items():
                self.losses.setdefault(name, []).append(value)
        self._check("weight", math.inf if next(numbers) < 1 else 0.0, step, phase)
        self.waiting.clear()
        self._keep()

    def _named(self, phase: str, terms: dict) -> dict:
        return {f"{phase}/{k}": v for k, v in terms.items()} if self.several else terms

    def _keep(self) -> None:
        state = self.model.state_dict()
        self.kept = {name: value.clone() for name, value in state.items()}

    def _check(self, what: str, value: float, step: int, phase: str) -> None:
        if math.isfinite(value):
            return
        began = self.waiting[0][0]
        self.model.load_state_dict(self.kept)
        raise FloatingPointError(
            f"expected a finite {what}, got {value} at step {step} of phase {phase!r}: "
            f"lower the learning rate (the model is back at the start of step {began})."
        )


def _sound(model: Model) -> Tensor:
    """1 where all parameters are finite and no buffer holds NaN, else 0.

    An infinite buffer is no fault: causal masks are made of them.
    """
    parameters = [p.isfinite().all() for p in model.parameters()]
    buffers = [~b.isnan().any() for b in model.buffers()]
    return torch.stack(parameters + buffers).all()
