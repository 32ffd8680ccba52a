"""The only training loop: AdamW, warmup and cosine, on Accelerate, resumable."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm.auto import tqdm

from mmdl_lib.core import Model


@dataclass
class History:
    """Loss terms by step, and the seconds of the run that ended it."""

    losses: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    def last(self, name: str = "loss") -> float:
        """The latest value of a loss term."""
        return self.losses[name][-1]


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
    phase: str = "main",
    precision: str = "no",
    checkpoint: str | Path | None = None,
    every: int = 500,
) -> History:
    """Train a model in place.

    Args:
        model: what to train.
        batches: the batch of a step, a pure function of the step: this is what makes a
            resumed run equal to an undisturbed one.
        steps: number of updates.
        lr: peak learning rate of AdamW.
        warmup: share of the steps on which the learning rate rises.
        weight_decay: on matrices only, never on biases, norms and scalars.
        clip: largest norm of the gradient.
        phase: which loss and which parameters.
        precision: "no", "bf16" or "fp16", as Accelerate names them.
        checkpoint: file to resume from where it exists, written every `every` steps.
        every: steps between checkpoints.

    Raises:
        ValueError: a checkpoint that cannot be read, or of another run.
        FloatingPointError: the loss is not finite.
    """
    accelerator = Accelerator(mixed_precision=precision)
    history, began = History(), time.perf_counter()
    rise = max(1, round(warmup * steps))
    optimizer = torch.optim.AdamW(_groups(model.trainable(phase), weight_decay), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=rise)
    )
    start = 0
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    if checkpoint is not None and Path(checkpoint).exists():
        start, history = _restore(Path(checkpoint), parts, steps)
    model.to(accelerator.device).train()
    optimizer = accelerator.prepare(optimizer)
    quiet = os.environ.get("MMDL_QUIET") == "1"
    for step in tqdm(range(start, steps), initial=start, total=steps, disable=quiet):
        batch = {k: v.to(accelerator.device) for k, v in batches(step).items()}
        with accelerator.autocast():
            terms = model.loss(batch, phase=phase)
        if not torch.isfinite(terms["loss"]):
            raise FloatingPointError(
                f"expected a finite loss, got {terms['loss'].item()} at step {step}: "
                "lower the learning rate."
            )
        optimizer.zero_grad()
        accelerator.backward(terms["loss"])
        accelerator.clip_grad_norm_(model.trainable(phase), clip)
        optimizer.step()
        schedule.step()
        model.after_step(step)
        for name, value in terms.items():
            history.losses.setdefault(name, []).append(value.item())
        if checkpoint is not None and (step + 1) % every == 0:
            _store(Path(checkpoint), parts, step + 1, steps, history)
    history.seconds = time.perf_counter() - began
    return history


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
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _restore(path: Path, parts: dict, steps: int) -> tuple[int, History]:
    try:
        state = torch.load(path, weights_only=True)
        step, total, losses = state["step"], state["steps"], state["losses"]
    except Exception as error:
        raise ValueError(
            f"expected a checkpoint of fit() in {path}, which cannot be read: delete "
            "it to start again."
        ) from error
    if total != steps:
        raise ValueError(
            f"expected a checkpoint of a run of {steps} steps in {path}, got one of "
            f"{total}: delete it or name another file."
        )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    return step, History(losses)
