"""The step benchmarks of this folder on a GPU, both sides in turns, as JSON.

Run: python benchmarks/on_gpu.py [--out FILE]

Every case of `vision_steps`, `language_steps`, `dalle_step` and `unet_step` is built on
the GPU and measured as there, but a step ends when the GPU has finished it. At these
sizes a step is mostly the launching of kernels; the ratio says whether ours launches
more of them than the reference. A case that cannot run on a GPU says why.
"""

import argparse
import json
import statistics
from pathlib import Path

import dalle_step
import language_steps
import torch
import unet_step
import vision_steps

SECONDS = 6.0


def finished(run):
    """The same step, which ends when the GPU is done."""

    def whole():
        run()
        torch.cuda.synchronize()

    return whole


def cases() -> dict:
    """Makers of both sides by name."""
    found = dict(vision_steps.CASES)
    found |= {name: make for name, make in language_steps.CASES.items()}
    found["dalle"] = dalle_step.dalle
    return found | {f"U-Net, {name}": make for name, make in unet_step.CASES.items()}


def measured(make) -> dict:
    """Median milliseconds of both sides and the median of their ratios."""
    torch.manual_seed(0)
    ours, peer = make()
    times = vision_steps.measure(finished(ours), finished(peer), seconds=SECONDS)
    sides = [1e3 * statistics.median(side) for side in zip(*times, strict=True)]
    ratio = statistics.median(a / b for a, b in times)
    names = ("ours_ms", "peer_ms", "ratio")
    found = dict(zip(names, (round(x, 3) for x in (*sides, ratio)), strict=True))
    return found | {"pairs": len(times)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="file for the numbers, as JSON")
    out = parser.parse_args().out
    if not torch.cuda.is_available():
        raise SystemExit("expected a GPU that torch can use, got none.")
    torch.set_default_device("cuda")
    found = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    for name, make in cases().items():
        try:
            found[name] = measured(make)
        except (RuntimeError, ImportError) as error:
            found[name] = {"failed": str(error).split("\n")[0]}
        print(name, found[name], flush=True)
    if out:
        out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
