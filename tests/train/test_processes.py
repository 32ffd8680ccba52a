"""Two processes end where one does, whatever kind of model they train."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.train.small import CASES, batches, close, train

ROOT = Path(__file__).parents[2]
MEANS = ("first stage", "second stage", "frozen")  # losses that draw nothing
WORKER = """
import os, sys
import torch
from tests.train import small
torch.set_num_threads(1)
rank, folder = int(os.environ["RANK"]), sys.argv[1]
for case in small.CASES:
    state, history = small.train(case, ema=0.9)
    found = state, history.losses, history.average
    torch.save(found, f"{folder}/{case} {rank}.pt")
    state, _ = small.train(case, accumulate=2)
    torch.save(state, f"{folder}/{case} {rank} of four.pt")

class Apart(small.Line):
    # begins elsewhere in each process, and keeps a running mean
    def __init__(self):
        super().__init__(drop=0.0)
        torch.manual_seed(rank)
        for p in self.parameters():
            torch.nn.init.normal_(p)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("on", torch.ones(1, dtype=torch.bool))

    def loss(self, batch, *, phase="main", generator=None):
        self.mean.lerp_(batch["x"].mean(0), 0.1)
        return super().loss(batch, phase=phase, generator=generator)

model = Apart()
start = model.state_dict()["body.0.weight"].clone()
watched = []
history = small.fit(model, small.batches, steps=5, lr=1e-2,
                    watch=lambda step, *_: watched.append(step))
torch.save((start, model.state_dict(), history.losses, watched), f"{folder}/{rank}.pt")

def torn(step):
    batch = small.batches(step)
    batch["x"][0] *= torch.nan if step == 3 else 1
    return batch

try:
    small.fit(small.Plain(), torn, steps=6)
except FloatingPointError as error:
    torch.save(str(error), f"{folder}/error {rank}.pt")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes left."""
    folder = tmp_path_factory.mktemp("two")
    script = folder / "worker.py"
    script.write_text(WORKER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", str(script), str(folder)]
    own = {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1", "MMDL_QUIET": "1"}
    place = os.environ | own | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(launch, capture_output=True, timeout=300, env=place)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return folder


@pytest.mark.parametrize("case", [case for case in CASES if case != "gan"])
def test_two_processes_equal_one_with_two_slices(folder, case):
    want, history = train(case, accumulate=2, ema=0.9)
    for rank in (0, 1):
        found, losses, average = torch.load(folder / f"{case} {rank}.pt")
        assert close(found, want, atol=1e-5)
        assert close(average, history.average, atol=1e-5)
        for name, values in losses.items():
            assert values == pytest.approx(history.losses[name], rel=1e-4)


@pytest.mark.parametrize("case", MEANS)
def test_two_processes_equal_one_for_losses_that_are_means(folder, case):
    want, _ = train(case)
    found, *_ = torch.load(folder / f"{case} 0.pt")
    assert close(found, want, atol=1e-4)


@pytest.mark.parametrize("case", ["dropout", "noise", "second stage"])
def test_two_processes_with_two_slices_equal_one_with_four(folder, case):
    want, _ = train(case, accumulate=4)
    assert close(torch.load(folder / f"{case} 1 of four.pt"), want, atol=1e-5)


def test_processes_begin_and_stay_equal(folder):
    (start, one, losses, watched), (other, two, same, unseen) = (
        torch.load(folder / f"{rank}.pt") for rank in (0, 1)
    )
    assert not torch.equal(start, other)
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
    assert (one["body.0.weight"] - start).abs().max() < 0.06
    assert losses == same
    assert (watched, unseen) == ([0, 1, 2, 3, 4], [])


def test_a_running_mean_is_that_of_the_whole_batch(folder):
    mean = torch.zeros(4)
    for step in range(5):
        mean.lerp_(batches(step)["x"].mean(0), 0.1)
    _, state, *_ = torch.load(folder / "0.pt")
    assert torch.allclose(state["mean"], mean, atol=1e-6)


def test_nan_in_one_process_stops_both(folder):
    words = [torch.load(folder / f"error {rank}.pt") for rank in (0, 1)]
    assert words[0] == words[1]
    assert "at step 3 of phase 'main'" in words[0]
