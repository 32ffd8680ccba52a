"""What a run was asked for: checked at the border, and written into checkpoints."""

import dataclasses
import hashlib
import math
from typing import Any

import torch
from torch import Tensor

from mmdl_lib.core import Model
from mmdl_lib.train.phases import Phase

# settings that are kept as they were given
KEPT = ("stage", "steps", "seed", "weight_decay", "clip", "ema", "precision")


def check_options(model: Any, batches: Any, stage: Any, **options) -> None:
    """Check what `fit` was given, of whatever type.

    Raises:
        ValueError: one sentence that names the first option that cannot be.
    """
    _expect(isinstance(model, Model), "a model of mmdl_lib.core.Model", model)
    _expect(callable(batches), "batches as a function of the step", batches)
    known = range(len(model.STAGES))
    _expect(_whole(stage) and stage in known, f"a stage among {[*known]}", stage)
    steps, lr, clip, ema = (options[name] for name in ("steps", "lr", "clip", "ema"))
    _expect(_whole(steps) and steps >= 0, "steps as a whole number >= 0", steps)
    for name in ("accumulate", "every"):
        value = options[name]
        _expect(_whole(value) and value >= 1, f"{name} as a whole number >= 1", value)
    _expect(_whole(options["seed"]), "seed as a whole number", options["seed"])
    names = model.STAGES[stage]
    for rate in rates_of(lr, names).values():
        _expect(_between(rate), "lr as a finite number >= 0", rate)
    decay, warmup = options["weight_decay"], options["warmup"]
    _expect(_between(decay), "weight_decay as a finite number >= 0", decay)
    _expect(_between(warmup, 1.0), "warmup as a share of the steps in [0, 1]", warmup)
    _expect(ema is None or _between(ema, 1.0), "ema as None or a decay in [0, 1]", ema)
    positive = clip is None or (_between(clip) and clip > 0)
    _expect(positive, "clip as None or a finite norm above 0", clip)
    _expect(
        callable(options["optimizer"]), "optimizer as a class", options["optimizer"]
    )
    for name in ("schedule", "watch"):
        value = options[name]
        _expect(value is None or callable(value), f"{name} as a function", value)
    precision = options["precision"]
    _expect(
        precision in ("no", "bf16", "fp16"), "precision no, bf16 or fp16", precision
    )
    if precision == "fp16" and not torch.cuda.is_available():
        raise ValueError("expected a GPU for precision fp16, got none: use bf16 or no.")


def rates_of(lr: Any, phases: tuple[str, ...]) -> dict[str, Any]:
    """A learning rate for each phase.

    Raises:
        ValueError: a dict with other names than those of the phases.
    """
    if not isinstance(lr, dict):
        return dict.fromkeys(phases, lr)
    if set(lr) != set(phases):
        raise ValueError(
            f"expected a learning rate for each of the phases {', '.join(phases)}, got "
            f"{', '.join(map(str, lr)) or 'none'}."
        )
    return lr


def check_batch(batch: Any, slices: int) -> dict[str, Tensor]:
    """Check a batch: tensors with equally many rows, which the slices divide.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(batch, dict) or not batch:
        raise ValueError(
            f"expected a batch as a dict of tensors, got {type(batch).__name__}"
            f"{' without entries' if isinstance(batch, dict) else ''}."
        )
    for name, value in batch.items():
        if not isinstance(value, Tensor) or value.ndim == 0:
            kind = type(value).__name__
            kind = "a single number" if isinstance(value, Tensor) else kind
            raise ValueError(
                f"expected a tensor with one row for each example as {name!r} of a "
                f"batch, got {kind}."
            )
    rows = {name: len(value) for name, value in batch.items()}
    size = next(iter(rows.values()))
    if any(count != size for count in rows.values()):
        raise ValueError(f"expected equally many rows in a batch, got {rows}.")
    if size == 0 or size % slices:
        raise ValueError(
            f"expected a batch that {slices} slices (accumulate x processes) divide, "
            f"got {size} rows."
        )
    return batch


def check_terms(terms: Any, phase: str) -> None:
    """Check that a model's loss is a dict of single numbers, with one to minimize.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(terms, dict) or "loss" not in terms:
        raise ValueError(
            f"expected a dict with 'loss' from the loss of phase {phase!r}, got "
            f"{', '.join(terms) if isinstance(terms, dict) else type(terms).__name__}."
        )
    for name, value in terms.items():
        if not isinstance(value, Tensor) or value.ndim:
            raise ValueError(
                f"expected {name!r} of phase {phase!r} as a tensor of one number, got "
                f"{tuple(value.shape) if isinstance(value, Tensor) else value!r:.40}."
            )
    if not terms["loss"].requires_grad:
        raise ValueError(
            f"expected a loss that depends on the learners of phase {phase!r}, got one "
            "without a gradient."
        )


def settings_of(
    phases: list[Phase], factors: list[float], *, processes: int, **given
) -> dict[str, Any]:
    """What must be equal for a checkpoint to go on, by a name that a reader knows.

    Args:
        phases: their optimizers and options.
        factors: the schedule, by its values.
        processes: their number; only its product with `accumulate` matters.
        given: the arguments of `fit`.
    """
    model = given["model"]
    found = {"model": type(model).__name__} | _config(model.config)
    for name, value in model.state_dict().items():
        found[f"shape of {name}"] = tuple(value.shape)
    found |= {name: given[name] for name in KEPT}
    found["accumulate x processes"] = given["accumulate"] * processes
    found |= {f"lr of {phase.name}": phase.lr for phase in phases}
    for phase in phases:
        found |= _described(phase)
    found["warmup"] = given["warmup"] if given["schedule"] is None else None
    found["schedule"] = hashlib.sha256(repr(factors).encode()).hexdigest()[:12]
    return found


def _config(config: Any) -> dict[str, str]:
    if not dataclasses.is_dataclass(config):
        return {"config": repr(config)}
    names = [field.name for field in dataclasses.fields(config)]
    return {f"config.{name}": repr(getattr(config, name)) for name in names}


def _described(phase: Phase) -> dict[str, Any]:
    """The kind of a phase's optimizer, and its options group by group."""
    optimizer = phase.optimizer.optimizer  # the one that Accelerate wraps
    found = {f"optimizer of {phase.name}": type(optimizer).__name__}
    for group in optimizer.param_groups:
        for option in sorted(group.keys() - {"params", "lr", "initial_lr"}):
            found.setdefault(f"{option} of {phase.name}", []).append(
                repr(group[option])
            )
    return found | {f"rates of {phase.name}": phase.rates}


def _expect(holds: bool, what: str, got: Any) -> None:
    if not holds:
        raise ValueError(f"expected {what}, got {got!r:.60}.")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _between(value: Any, high: float = math.inf) -> bool:
    """Whether it is a finite number in [0, high]; False for NaN, bool and text."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and 0 <= value <= high and value < math.inf
