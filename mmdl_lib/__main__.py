"""`python -m mmdl_lib`: device, versions and sizes, for a question or a bug report."""

import importlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import mmdl_lib
from mmdl_lib.core import Model, device, pick

HERE = Path(__file__).resolve().parent


def parameters(kind: type[Model], preset: str) -> int:
    """Number of parameters of a preset, counted without memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in kind.from_preset(preset).parameters())


def report() -> list[str]:
    """The lines that the command prints."""
    name = device().type
    if name == "cuda":
        name = f"cuda, {torch.cuda.get_device_name()}"
    lines = [f"mmdl_lib {mmdl_lib.__version__} on Python {platform.python_version()}"]
    lines += [f"device {name}, profile {pick(cpu='cpu', gpu='gpu')}"]
    for package in ("torch", "numpy", "accelerate", "safetensors", "einops"):
        try:
            lines.append(f"  {package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"  {package} is not installed")
    lines.append("models, parameters")
    for file in sorted((HERE / "models").glob("[a-z]*.py")):
        module = importlib.import_module(f"mmdl_lib.models.{file.stem}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and issubclass(kind, Model):
                lines += [
                    f"  {file.stem} {preset}: {parameters(kind, preset):,}"
                    for preset in kind.PRESETS
                ]
    lines.append("weights")
    for file in sorted((HERE / "weights").glob("*.safetensors")):
        lines.append(f"  {file.name}: {file.stat().st_size / 1e6:.2f} MB")
    return lines


if __name__ == "__main__":
    sys.stdout.write("\n".join(report()) + "\n")
