"""`python -m mmdl_lib`: device, versions and sizes, for a question or a bug report.

`python -m mmdl_lib search FOLDER "a red star"` finds pictures by words.
"""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import mmdl_lib
from mmdl_lib.core import Model, device, models, pick

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
    for label, kind in models().items():
        slug = label.split(".")[0]
        lines += [f"  {slug} {p}: {parameters(kind, p):,}" for p in kind.PRESETS]
    lines.append("weights")
    for file in sorted((HERE / "weights").glob("*.safetensors")):
        lines.append(f"  {file.name}: {file.stat().st_size / 1e6:.2f} MB")
    return lines


if __name__ == "__main__":
    if sys.argv[1:2] == ["search"]:
        from mmdl_lib.search import main

        sys.exit(main(sys.argv[2:]))
    sys.stdout.write("\n".join(report()) + "\n")
