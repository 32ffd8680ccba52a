"""fit(): it learns, it stops at nonsense, and a killed run resumes bit for bit."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from mmdl_lib.core import Model, generator
from mmdl_lib.train import fit, warmup_cosine


class Line(Model):
    def __init__(self):
        super().__init__(None)
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.Linear(16, 1))

    def loss(self, batch, *, phase="main"):
        error = (self.body(batch["x"]) - batch["x"].sum(1, keepdim=True)) ** 2
        return {"loss": error.mean()}


def batches(step):
    return {"x": torch.randn(32, 4, generator=generator(step))}


def run(path=None, **options):
    model = Line()
    torch.manual_seed(1)
    history = fit(model, batches, steps=60, lr=1e-2, checkpoint=path, **options)
    return model.state_dict(), history


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_falls():
    _, history = run()
    assert history.last() < 0.3 * history.losses["loss"][0]


def test_the_schedule_rises_then_falls_to_zero():
    rate = [warmup_cosine(s, steps=100, warmup=10) for s in range(101)]
    assert rate[:10] == sorted(rate[:10])
    assert rate[10] == 1
    assert rate[10:] == sorted(rate[10:], reverse=True)
    assert rate[100] == pytest.approx(0, abs=1e-9)


SCRIPT = """
import sys, time
sys.path.insert(0, {folder!r})
import test_train as t
draw = t.batches
def slow(step):
    time.sleep(0.02)
    return draw(step)
t.batches = slow
t.run({path!r}, every=1)
"""


@pytest.mark.parametrize("wait", [0.05, 0.4])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, wait):
    path = tmp_path / "line.pt"
    script = SCRIPT.format(folder=os.path.dirname(__file__), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", script])
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < torch.load(path)["step"] < 60
    resumed, history = run(path)
    undisturbed, expected = run()
    assert same(resumed, undisturbed)
    assert history.losses == expected.losses


def test_a_damaged_checkpoint_is_named_in_one_sentence(tmp_path):
    path = tmp_path / "line.pt"
    run(path, every=60)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be read: delete it"):
        run(path)


def test_a_checkpoint_of_another_run_is_named_in_one_sentence(tmp_path):
    path = tmp_path / "line.pt"
    fit(Line(), batches, steps=2, checkpoint=path, every=1)
    with pytest.raises(ValueError, match="a run of 60 steps .* got one of 2"):
        run(path)


def test_a_loss_that_is_not_finite_names_the_step():
    def broken(step):
        return {"x": batches(step)["x"] * (torch.nan if step == 3 else 1)}

    with pytest.raises(FloatingPointError, match="got nan at step 3"):
        fit(Line(), broken, steps=10)
