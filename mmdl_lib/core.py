"""What every model shares: the interface, configs, seeds and profiles."""

import dataclasses
import functools
import importlib
import os
import pkgutil
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class Config:
    """Base of all configs: a frozen dataclass whose choices are checked.

    A field annotated with `Literal` takes only its choices, one annotated with a plain
    type only that type, so that a typo is one sentence and never a silent default.

    Raises:
        ValueError: a field holds something that its annotation does not allow.

    Example:
        >>> from mmdl_lib.models.vit import ViTConfig
        >>> ViTConfig.from_dict(ViTConfig(width=64).to_dict()) == ViTConfig(width=64)
        True
    """

    def __new__(cls, **values):
        # here and not in __post_init__, where a type checker's hook would come first
        hints = get_type_hints(cls)
        for name, value in values.items():
            if name in hints and not _fits(value, hints[name]):
                raise ValueError(
                    f"{cls.__name__} expected {name} as {_words(hints[name])}, got "
                    f"{value!r:.60}."
                )
        return super().__new__(cls)

    def to_dict(self) -> dict:
        """Plain values for JSON; a config inside says its class under "class"."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain = {name: _plain(value) for name, value in values.items()}
        return {"class": type(self).__name__} | plain

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """The config that `to_dict` wrote.

        Raises:
            ValueError: another kind of config, unknown or missing fields, bad values.
        """
        kind = values.get("class", cls.__name__)
        if kind != cls.__name__:
            raise ValueError(f"expected a {cls.__name__}, got a {kind}.")
        hints = get_type_hints(cls)
        unknown = [n for n in values if n != "class" and n not in hints]
        if unknown:
            raise ValueError(
                f"{cls.__name__} expected fields among {', '.join(hints)}, got "
                f"{', '.join(unknown)}."
            )
        given = {n: _rebuilt(v, hints[n]) for n, v in values.items() if n != "class"}
        return cls(**given)


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inner)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(_fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, inner))
    if origin is None and isinstance(hint, type):
        return "None" if hint is types.NoneType else hint.__name__
    return str(hint)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _rebuilt(value: Any, hint: Any) -> Any:
    """A JSON value in the types that the annotation names."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else [hint]
    if isinstance(value, dict):
        for one in options:
            if isinstance(one, type) and one.__name__ == value.get("class"):
                return one.from_dict(value)
        raise ValueError(f"expected {_words(hint)}, got {value.get('class')!r}.")
    if isinstance(value, list):
        for one in options:
            if isinstance(one, type) and issubclass(one, tuple):  # a NamedTuple
                return one(*value)
        hint = next((one for one in options if get_origin(one) is tuple), tuple)
        inner = get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            inner = inner[:1] * len(value)
        inner = inner if len(inner) == len(value) else (object,) * len(value)
        return tuple(map(_rebuilt, value, inner))
    return value


def _with_rows(loss: Callable) -> Callable:
    """The same loss, which refuses a batch without rows before it looks at it.

    A mean over nothing is NaN, and stays: in running means, then in all weights.
    """

    @functools.wraps(loss)
    def checked(self, batch, **how):
        rows = [len(x) for x in batch.values() if isinstance(x, Tensor) and x.ndim]
        if 0 in rows:
            raise ValueError("batch expected at least one row, got none.")
        return loss(self, batch, **how)

    return checked


class Model(nn.Module):
    """Abstract base of all models.

    A subclass names its sizes in `PRESETS`, the counts to check in `PAPER_PARAMS`, how
    it is trained in `STAGES`, and writes `loss` and `example_batch`. Every `loss`
    refuses a batch without rows.

    Attributes:
        STAGES: stages follow each other, each trained by a `fit` of its own; the phases
            inside one stage take turns in every step, as the two players of a GAN do.
        LEARNED: share of its first loss below which a batch that is learned by heart
            falls in 40 steps, by phase; None for a player of a min-max game.

    What a model may also have, found by name (the contract tests call it):
    `encode_*(...)` and `features(...)` of a picture or text; `sample(...)` and
    `generate(...)`, random through `generator=`; `logits(tokens, mask, ...)` where
    position t knows only tokens up to t. Their positional arguments are named as the
    keys of a batch, or `n` for a number of rows.
    """

    PRESETS: ClassVar[dict] = {}
    PAPER_PARAMS: ClassVar[dict[str, int]] = {}
    STAGES: ClassVar[tuple[tuple[str, ...], ...]] = (("main",),)
    LEARNED: ClassVar[dict[str, float | None]] = {"main": 0.5}

    def __init_subclass__(cls, **how):
        super().__init_subclass__(**how)
        owner = next(kind for kind in cls.__mro__ if "loss" in vars(kind))
        # of a class that is no model, such as a mixin, it has not been seen before
        if owner is cls or not issubclass(owner, Model):
            cls.loss = _with_rows(cls.loss)

    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def from_preset(cls, name: str) -> "Model":
        """A freshly initialized model of a named size.

        Raises:
            ValueError: the name is not in `PRESETS`.
        """
        if name not in cls.PRESETS:
            known = ", ".join(cls.PRESETS)
            raise ValueError(
                f"{cls.__name__} expected one of the presets {known}, got {name!r}."
            )
        return cls(cls.PRESETS[name])

    @classmethod
    def phases(cls) -> tuple[str, ...]:
        """The phases of all stages, in order."""
        return tuple(phase for stage in cls.STAGES for phase in stage)

    def loss(
        self,
        batch: dict,
        *,
        phase: str = "main",
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Loss terms of one batch; the value under "loss" is minimized.

        Args:
            batch: what `example_batch` makes.
            phase: one of `STAGES`.
            generator: where all randomness comes from; None is torch's global one.

        Raises:
            ValueError: no row.
        """
        raise NotImplementedError

    def learners(self, phase: str = "main") -> list[nn.Module]:
        """Modules that a phase trains; all else stands still meanwhile.

        Standing still means: no gradient, evaluation mode, BatchNorm untouched.
        """
        return [self]

    def trainable(self, phase: str = "main") -> list[nn.Parameter]:
        """Parameters that a phase updates, each once."""
        found = [p for module in self.learners(phase) for p in module.parameters()]
        return [p for p in dict.fromkeys(found) if p.requires_grad]

    def after_step(self, step: int, *, phase: str = "main") -> None:
        """Called after each update of a phase, for clamps and moving averages."""

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """A random batch of `n` rows in the shapes that the model eats."""
        raise NotImplementedError


def models() -> dict[str, type[Model]]:
    """Every model of the book by "slug.Class"; the only place that looks for them.

    Example:
        >>> models()["clip.CLIP"].__name__
        'CLIP'
    """
    package = importlib.import_module("mmdl_lib.models")
    found = {}
    for slug in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package.__name__}.{slug}")
        for name, kind in vars(module).items():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and issubclass(kind, Model):
                found[f"{slug}.{name}"] = kind
    return dict(sorted(found.items()))


def _next_seed(generator) -> int:
    """A number from a generator, which goes on; a GPU is not waited for."""
    if generator.device.type == "cuda":
        # seed and place of its counter are known on the host
        place = generator.get_offset()
        generator.set_offset(place + 4)
        return (generator.initial_seed() + 0x9E3779B97F4A7C15 * (place + 1)) % 2**62
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


@contextmanager
def seeded(generator: torch.Generator | None) -> Iterator[None]:
    """Let layers that know no generator, such as dropout, draw from one.

    Inside, torch's global generators are seeded from the given one; afterwards they
    are as before. With None nothing happens.
    """
    if generator is None:
        yield
        return
    seed = _next_seed(generator)
    devices = [] if generator.device.type == "cpu" else [generator.device]
    with torch.random.fork_rng(devices, device_type=generator.device.type):
        torch.manual_seed(seed)
        yield


def device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def pick(*, cpu: Value, gpu: Value) -> Value:
    """One setting per profile; `MMDL_PROFILE=cpu` or `gpu` overrides the device.

    Raises:
        ValueError: `MMDL_PROFILE` holds another word.
    """
    profile = os.environ.get("MMDL_PROFILE")
    if profile not in (None, "cpu", "gpu"):
        raise ValueError(f"expected MMDL_PROFILE to be cpu or gpu, got {profile!r}.")
    if profile is None:
        profile = "cpu" if device().type == "cpu" else "gpu"
    return cpu if profile == "cpu" else gpu


def generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A random generator of its own, so that no global state is touched."""
    return torch.Generator(device).manual_seed(seed)
