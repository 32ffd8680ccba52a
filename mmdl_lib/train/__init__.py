"""The only training loop: AdamW by default, warmup and cosine, on Accelerate."""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from tqdm.auto import tqdm

from mmdl_lib.core import Model


@dataclass
class History:
    """What a run leaves behind, beside the trained model.

    Attributes:
        losses: loss terms by step.
        seconds: of the run that ended it; a resumed run counts only itself.
        average: moving average of the weights where `ema` was given.
    """

    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    average: dict[str, Tensor] | None = None

    def last(self, name: str = "loss") -> float:
        """The latest value of a loss term."""
        return self.losses[name][-1]


class Ema:
    """Moving average of a model's floating-point state: a = d a + (1 - d) w."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        state = model.state_dict()
        self.state = {k: v.clone() for k, v in state.items() if v.is_floating_point()}

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        for name, value in model.state_dict().items():
            if name in self.state:
                # the average follows the weights' device; a fresh one starts on the CPU
                kept = self.state[name] = self.state[name].to(value.device)
                kept.lerp_(value, 1 - self.decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return self.state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from stored averages."""
        self.state = {name: value.clone() for name, value in state.items()}


class _Loss(nn.Module):
    """A model whose forward pass is its loss: what several processes can wrap."""

    def __init__(self, model: Model, phase: str):
        super().__init__()
        self.model, self.phase = model, phase

    def forward(self, batch: dict) -> dict[str, Tensor]:
        return self.model.loss(batch, phase=self.phase)


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: linear up, then half a cosine down to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def fit(
    model: Model,
    batches: Callable[[int], dict[str, Tensor]],
    *,
    steps: int,
    lr: float = 1e-3,
    warmup: float = 0.05,
    weight_decay: float = 0.0,
    clip: float = 1.0,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    accumulate: int = 1,
    ema: float | None = None,
    phase: str = "main",
    precision: str = "no",
    checkpoint: str | Path | None = None,
    every: int = 500,
) -> History:
    """Train a model in place, on the accelerator where there is one.

    Under `accelerate launch` or `torchrun` each process takes its share of every batch
    and gradients are averaged: for a loss that is a mean over rows this equals one
    process. A loss over pairs, such as CLIP's, then compares only within a share; so it
    does with `accumulate`.

    Args:
        model: what to train.
        batches: the batch of a step, a pure function of the step: this is what makes a
            resumed run equal to an undisturbed one.
        steps: number of updates.
        lr: peak learning rate.
        warmup: share of the steps on which the learning rate rises.
        weight_decay: on matrices only, never on biases, norms and scalars.
        clip: largest norm of the gradient.
        optimizer: class that is called with two groups of parameters and `lr`.
        accumulate: number of slices into which a batch is cut to save memory.
        ema: decay of a moving average of the weights, returned in the history.
        phase: which loss and which parameters.
        precision: "no", "bf16" or "fp16", as Accelerate names them.
        checkpoint: file to resume from where it exists, written every `every` steps.
        every: steps between checkpoints.

    Raises:
        ValueError: a checkpoint that cannot be read, or of another run; a batch that
            the slices do not divide; fp16 without a GPU.
        OSError: a checkpoint that cannot be written.
        FloatingPointError: the loss is not finite.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise ValueError("expected a GPU for precision fp16, got none: use bf16 or no.")
    # Accelerate keeps the first precision of a process; a notebook may try several
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=precision)
    history, began, start = History(), time.perf_counter(), 0
    rise = max(1, round(warmup * steps))
    optimizer = optimizer(_groups(model.trainable(phase), weight_decay), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=rise)
    )
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    if ema is not None:
        parts["ema"] = Ema(model, ema)
    if accelerator.scaler is not None:
        parts["scaler"] = accelerator.scaler
    if checkpoint is not None and Path(checkpoint).exists():
        start, history = _restore(Path(checkpoint), parts, steps)
    model.to(accelerator.device).train()
    loss, optimizer = accelerator.prepare(_Loss(model, phase), optimizer)
    quiet = os.environ.get("MMDL_QUIET") == "1" or not accelerator.is_main_process
    for step in tqdm(range(start, steps), initial=start, total=steps, disable=quiet):
        terms = _step(accelerator, loss, optimizer, batches(step), accumulate, clip)
        if not math.isfinite(terms["loss"]):
            raise FloatingPointError(
                f"expected a finite loss, got {terms['loss']} at step {step}: lower "
                "the learning rate."
            )
        schedule.step()
        model.after_step(step)
        if ema is not None:
            parts["ema"].update(model)
        for name, value in terms.items():
            history.losses.setdefault(name, []).append(value)
        if checkpoint is not None and (step + 1) % every == 0:
            if accelerator.is_main_process:
                _store(Path(checkpoint), parts, step + 1, steps, history)
            accelerator.wait_for_everyone()
    history.seconds = time.perf_counter() - began
    history.average = parts["ema"].state if ema is not None else None
    return history


def _step(accelerator, loss, optimizer, batch, accumulate, clip) -> dict[str, float]:
    """One update; the terms are means over the slices of this process."""
    optimizer.zero_grad()
    terms = {}
    for i, part in enumerate(_slices(batch, accelerator, accumulate)):
        part = {k: v.to(accelerator.device) for k, v in part.items()}
        # gradients travel between processes once, with the last slice
        last = i == accumulate - 1
        with nullcontext() if last else accelerator.no_sync(loss):
            with accelerator.autocast():
                found = loss(part)
            accelerator.backward(found["loss"] / accumulate)
        for name, value in found.items():
            terms[name] = terms.get(name, 0.0) + value.item() / accumulate
        if not math.isfinite(terms["loss"]):
            return terms
    accelerator.clip_grad_norm_(loss.parameters(), clip)
    optimizer.step()
    return terms


def _slices(batch: dict, accelerator: Accelerator, accumulate: int) -> list[dict]:
    """The slices of a batch that are this process's to compute."""
    size, count = len(next(iter(batch.values()))), accelerator.num_processes
    if size % (count * accumulate):
        raise ValueError(
            f"expected a batch that {count} processes with {accumulate} slices each "
            f"divide, got {size} rows."
        )
    own = size // count
    first, rows = accelerator.process_index * own, own // accumulate
    return [
        {k: v[first + i * rows : first + (i + 1) * rows] for k, v in batch.items()}
        for i in range(accumulate)
    ]


def _groups(parameters: list[Tensor], weight_decay: float) -> list[dict]:
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _store(path: Path, parts: dict, step: int, steps: int, history: History) -> None:
    """Write to a file beside it, then rename: a reader never sees half a file."""
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"step": step, "steps": steps, "losses": history.losses}
    state["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        state["random_cuda"] = torch.cuda.get_rng_state_all()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(state, temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"expected a place for checkpoints that can be written, got {path}: "
            "name another one or make room."
        ) from error


def _restore(path: Path, parts: dict, steps: int) -> tuple[int, History]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        step, total, losses = state["step"], state["steps"], state["losses"]
    except Exception as error:
        raise ValueError(
            f"expected a checkpoint of fit() in {path}, which cannot be read: delete "
            "it to start again."
        ) from error
    if total != steps or not parts.keys() <= state.keys():
        raise ValueError(
            f"expected a checkpoint of a run of {steps} steps with the same settings "
            f"in {path}, got one of {total}: delete it or name another file."
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    if torch.cuda.is_available() and "random_cuda" in state:
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return step, History(losses)
