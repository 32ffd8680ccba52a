"""The only training loop: AdamW by default, warmup and cosine, on Accelerate."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor
from tqdm.auto import tqdm

from mmdl_lib.core import Model
from mmdl_lib.nn.average import Average
from mmdl_lib.train.draws import draws
from mmdl_lib.train.history import History, Readings
from mmdl_lib.train.phases import Phase, for_now
from mmdl_lib.train.processes import begin_equal
from mmdl_lib.train.schedule import factors
from mmdl_lib.train.settings import (
    check_batch,
    check_options,
    check_terms,
    rates_of,
    settings_of,
)
from mmdl_lib.train.state import Checkpoint


def fit(
    model: Model,
    batches: Callable[[int], dict[str, Tensor]],
    *,
    steps: int,
    stage: int = 0,
    lr: float | dict[str, float] = 1e-3,
    warmup: float = 0.05,
    schedule: Callable[[int, int], float] | None = None,
    weight_decay: float = 0.0,
    clip: float | None = 1.0,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    accumulate: int = 1,
    ema: float | None = None,
    precision: str = "no",
    checkpoint: str | Path | None = None,
    every: int = 500,
    watch: Callable[[int, Model, dict[str, Tensor]], None] | None = None,
    seed: int = 0,
) -> History:
    """Train a stage of a model in place, on the accelerator where there is one.

    The phases of the stage take turns in every step, on the same batch, each with an
    optimizer of its own; what a phase does not train has no gradient and is in
    evaluation mode meanwhile. Afterwards gradients flow as before, what has been
    trained is in training mode, and the model is on the device on which it came.

    All randomness comes from `seed`, the step, the phase and the slice of the batch:
    torch's global state neither matters nor changes.

    Under `accelerate launch` or `torchrun` each process takes its share of every batch
    and gradients are averaged: for a loss that is a mean over rows this equals one
    process. A loss over pairs, such as CLIP's, then compares only within a share, and a
    loss that draws noise draws it for each share: two processes equal one process with
    `accumulate=2`. All processes begin with the weights of the first.

    Losses stay on the device and are read every 50 steps, at checkpoints and at the
    end; only then is it noticed that one is not finite, and the model goes back to
    where it was read before (this costs one copy of the weights). An accelerator thus
    works while the next batch is prepared. In fp16 the scaler waits in every step.

    Args:
        model: what to train.
        batches: the batch of a step, a pure function of the step: this is what makes a
            resumed run equal to an undisturbed one.
        steps: number of updates of each phase; 0 leaves the model as it is.
        stage: which of `model.STAGES`.
        lr: peak learning rate, of all phases or for each.
        warmup: share of the steps on which the learning rate rises; for the default
            schedule.
        schedule: (step, steps) -> share of the peak rate; default `warmup_cosine`.
        weight_decay: on matrices only, never on biases, norms and scalars.
        clip: largest norm of the gradient of a phase; None for no limit.
        optimizer: class that is called with two groups of parameters and `lr`.
        accumulate: number of slices into which a batch is cut to save memory.
        ema: decay of a moving average of the weights, returned in the history.
        precision: "no", "bf16" or "fp16", as Accelerate names them.
        checkpoint: file to resume from where it exists, written every `every` steps and
            at the end.
        every: steps between checkpoints.
        watch: called as `watch(step, model, terms)` after each step, in the first
            process, with the terms still on the device.
        seed: of everything that the training draws.

    Raises:
        ValueError: an option, batch or loss that cannot be; a checkpoint that is
            damaged, or of a run with other settings, which are named.
        OSError: a checkpoint that cannot be written.
        FloatingPointError: a loss, gradient or weight is not finite.
    """
    given = dict(locals())
    check_options(**given)
    home = next(model.parameters()).device
    began, names = time.perf_counter(), model.STAGES[stage]
    shares, rates = factors(schedule, steps=steps, warmup=warmup), rates_of(lr, names)
    # Accelerate keeps the first precision of a process; a notebook may try several
    AcceleratorState._reset_state()
    accelerator = Accelerator(mixed_precision=precision)
    first = accelerator.is_main_process
    begin_equal(accelerator, model.to(accelerator.device))
    how = {"weight_decay": weight_decay, "optimizer": optimizer}
    phases = [Phase(model, name, accelerator, lr=rates[name], **how) for name in names]
    average = None if ema is None else Average(model, ema)
    parts = {"model": model, "ema": average, "scaler": accelerator.scaler}
    parts |= {f"optimizer of {phase.name}": phase.optimizer for phase in phases}
    settings = settings_of(phases, shares, processes=accelerator.num_processes, **given)
    kept = Checkpoint(checkpoint, every, settings, parts, writes=first)
    start, losses = kept.resume()
    readings = Readings(accelerator, model, losses, phases=names)
    silent = os.environ.get("MMDL_QUIET") == "1" or not first
    left = tqdm(range(start, steps), initial=start, total=steps, disable=silent)
    with for_now(model, phases):
        for step in left:
            with draws(accelerator.device, seed, step):
                slices = _slices(batches(step), accelerator, accumulate)
            terms = {}
            for phase in phases:
                phase.begin(shares[step])
                found = _gradients(phase, slices, accelerator, (seed, step, phase.name))
                terms |= readings.add(step, phase.name, found, phase.update(clip))
                with torch.no_grad():
                    model.after_step(step, phase=phase.name)
            if average is not None:
                average.update()
            if watch is not None and first:
                watch(step, model, terms)
            readings.read(now=step + 1 == steps or kept.due(step + 1))
            if kept.due(step + 1):
                kept.write(step + 1, readings.losses)
                accelerator.wait_for_everyone()
    model.to(home)  # the reader's tensors are there, too
    seconds = time.perf_counter() - began
    state = {k: v.to(home) for k, v in average.state.items()} if average else None
    return History(readings.losses, seconds, state)


def _gradients(
    phase: Phase, slices: dict[int, dict], accelerator: Accelerator, place: tuple
) -> dict[str, Tensor]:
    """Leave the gradient of a phase; the terms are means over this process's slices."""
    total = {}
    for number, part in slices.items():
        part = {name: _moved(x, accelerator.device) for name, x in part.items()}
        with draws(accelerator.device, *place, number) as generator:
            with accelerator.autocast():
                found = phase.model.loss(part, phase=phase.name, generator=generator)
            check_terms(found, phase.name)
            shares = {name: _wide(value) / len(slices) for name, value in found.items()}
            accelerator.backward(shares["loss"])
        for name, share in shares.items():
            total[name] = total.get(name, 0) + share.detach()
    return total


def _slices(batch, accelerator: Accelerator, accumulate: int) -> dict[int, dict]:
    """The slices of a batch that are this process's, by their number among all."""
    count = accelerator.num_processes * accumulate
    check_batch(batch, count)
    rows = len(next(iter(batch.values()))) // count
    first = accelerator.process_index * accumulate
    return {
        i: {name: value[i * rows : (i + 1) * rows] for name, value in batch.items()}
        for i in range(first, first + accumulate)
    }


def _moved(value: Tensor, device: torch.device) -> Tensor:
    """On the device; from pinned memory, so that nobody waits for the copy."""
    if device.type == "cuda" and value.device.type == "cpu":
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device)


def _wide(value: Tensor) -> Tensor:
    """In float32 at least: a loss in half precision has three digits."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
