"""What every model shares: the interface, the batch vocabulary, seeds and profiles."""

import os
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

Value = TypeVar("Value")


class Model(nn.Module):
    """Abstract base of all models.

    A subclass names its sizes in `PRESETS`, the counts to check in `PAPER_PARAMS`, its
    training phases in `PHASES`, and writes `loss` and `example_batch`.
    """

    PRESETS: ClassVar[dict] = {}
    PAPER_PARAMS: ClassVar[dict[str, int]] = {}
    PHASES: ClassVar[tuple[str, ...]] = ("main",)

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

    def loss(self, batch: dict, *, phase: str = "main") -> dict[str, Tensor]:
        """Loss terms of one batch; the value under "loss" is minimized."""
        raise NotImplementedError

    def trainable(self, phase: str = "main") -> list[nn.Parameter]:
        """Parameters that the given phase updates."""
        return [p for p in self.parameters() if p.requires_grad]

    def after_step(self, step: int) -> None:
        """Called after each optimizer step, for clamps and moving averages."""

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """A random batch of `n` rows in the shapes that the model eats."""
        raise NotImplementedError


def check_image(image: Tensor) -> None:
    """Check a batch of pictures at the border.

    Args:
        image: (b, c, h, w), floating point, pixels in [-1, 1].

    Raises:
        ValueError: another number of axes, an integer type, or values out of range.
    """
    if image.ndim != 4 or not image.is_floating_point():
        raise ValueError(
            "expected pictures as floats of shape (b, c, h, w), got "
            f"{image.dtype} of shape {tuple(image.shape)}."
        )
    if image.is_meta or image.numel() == 0:
        return
    low, high = image.min().item(), image.max().item()
    # `not` also catches NaN; 1e-3 leaves room for half precision and resizing
    if not (low >= -1.001 and high <= 1.001):
        raise ValueError(
            f"expected pixels in [-1, 1], got values from {low:.3g} to {high:.3g}."
        )


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
