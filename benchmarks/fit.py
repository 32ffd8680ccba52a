"""One step of `fit` beside one of a bare loop in torch, on the same model.

Run: python benchmarks/fit.py [case ...]

Both sides run in one process, in turns, step by step, with one thread, on equal models
and the same batch: gradient, clipping, AdamW with the same schedule, the loss kept. The
bare step is made and timed while `fit` asks for its next batch; what lies between two
such calls is a step of `fit`, its checks, draws and readings included. Printed: the
median step of each side, the ratio of the whole times, and what is allowed. Cases:
resnet (tiny, batch 64), clip (tiny, batch 64), small (a net of two layers: what `fit`
costs beside nothing). Where there is a GPU, nothing is timed, as the sides would wait
for each other: torch's debug mode for synchronization counts how often 200 steps of
`fit` wait for it.
"""

import statistics
import sys
import time
import warnings

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import Model, generator
from mmdl_lib.models.clip import CLIP
from mmdl_lib.models.resnet import ResNet
from mmdl_lib.train import fit, warmup_cosine

ALLOWED = 1.03
STEPS = 200
OPTIONS = {"lr": 1e-3, "weight_decay": 1e-4}


class Small(Model):
    """A step of less than a millisecond."""

    PRESETS = {"tiny": None}

    def __init__(self, config):
        super().__init__(config)
        self.body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def loss(self, batch, *, phase="main", generator=None):
        return {"loss": F.mse_loss(self.body(batch["x"]), batch["y"])}

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        draw = {"generator": generator}
        return {"x": torch.randn(n, 64, **draw), "y": torch.randn(n, 10, **draw)}


CASES = {"resnet": ResNet, "clip": CLIP, "small": Small}


def bare(model, batch):
    """A step of the loop that one would write by hand."""
    model.train()
    wide = [p for p in model.parameters() if p.ndim > 1]
    narrow = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": wide, "weight_decay": OPTIONS["weight_decay"]}]
    groups += [{"params": narrow, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=OPTIONS["lr"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, steps=STEPS, warmup=STEPS // 20)
    )
    losses = []

    def step():
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())

    return step


def measure(kind: type[Model]) -> list[tuple[float, float]]:
    """Seconds of both sides by step, after ten steps to get warm."""
    ours, peer = kind.from_preset("tiny"), kind.from_preset("tiny")
    batch = kind.example_batch(ours.config, 64, generator=generator(0))
    step, marks = bare(peer, batch), []

    def batches(_):
        start = time.perf_counter()
        step()
        marks.append((start, time.perf_counter()))
        return batch

    fit(ours, batches, steps=STEPS, **OPTIONS)
    pairs = zip(marks, marks[1:], strict=False)
    return [(after[0] - end, end - start) for (start, end), after in pairs][10:]


def waits(kind: type[Model]) -> int:
    """How often a run waits for the GPU: for four readings, and while it is set up."""
    model = kind.from_preset("tiny")
    batch = kind.example_batch(model.config, 64, generator=generator(0))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            fit(model, lambda step: batch, steps=STEPS, **OPTIONS)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in found)


def main() -> None:
    if torch.cuda.is_available():
        for name in sys.argv[1:] or CASES:
            print(f"{name}: {waits(CASES[name])} waits in {STEPS} steps on a GPU")
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in sys.argv[1:] or CASES:
        ours, peer = zip(*measure(CASES[name]), strict=True)
        ratio = sum(ours) / sum(peer)
        middle = statistics.median(a / b for a, b in zip(ours, peer, strict=True))
        verdict = "ok" if middle <= ALLOWED else f"above {ALLOWED}"
        print(
            f"{name}: fit {1e3 * statistics.median(ours):.2f} ms, bare "
            f"{1e3 * statistics.median(peer):.2f} ms, ratio {ratio:.3f} in all, "
            f"{middle:.3f} in the middle ({verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
