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

    def loss(self, batch, *, phase="main", generator=None):
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
import test_fit as t
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


class Plain(Line):
    """Without dropout, so that slices and processes can be compared."""

    def __init__(self):
        super().__init__()
        self.body[1] = nn.Identity()


def plain(**options):
    model = Plain()
    history = fit(model, batches, steps=20, lr=1e-2, **options)
    return model.state_dict(), history


class Noted(Plain):
    """Keeps the gradients of each step; AdamW alone would hide a wrong factor."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def after_step(self, step, *, phase="main"):
        self.seen.append(torch.cat([p.grad.flatten() for p in self.parameters()]))


def test_slices_of_a_batch_add_up_to_the_whole_batch():
    whole, sliced = Noted(), Noted()
    options = {"steps": 20, "lr": 1e-2, "clip": 1e9}
    expected = fit(whole, batches, **options)
    history = fit(sliced, batches, accumulate=4, **options)
    for one, other in zip(whole.seen, sliced.seen, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)
    assert history.losses["loss"] == pytest.approx(expected.losses["loss"], rel=1e-4)


def test_a_batch_that_slices_do_not_divide_is_named_in_one_sentence():
    with pytest.raises(ValueError, match="3 slices each divide, got 32 rows"):
        plain(accumulate=3)


WORKER = """
import sys
sys.path.insert(0, {folder!r})
import test_fit as t
from accelerate import PartialState
t.plain(accumulate={slices}, checkpoint={path!r}, every=20)
assert PartialState().num_processes == 2
"""


@pytest.mark.parametrize("slices", [1, 2])
def test_two_processes_end_where_one_does(tmp_path, slices):
    path, script = tmp_path / "two.pt", tmp_path / "worker.py"
    folder = os.path.dirname(__file__)
    script.write_text(WORKER.format(folder=folder, path=str(path), slices=slices))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launch += ["--nproc_per_node", "2", str(script)]
    place = os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(launch, check=True, capture_output=True, timeout=120, env=place)
    found, (expected, _) = torch.load(path)["model"], plain()
    for name in expected:
        assert torch.allclose(found[name], expected[name], atol=1e-5), name


def test_the_moving_average_follows_its_formula_and_survives_a_kill(tmp_path):
    _, short = plain(ema=0.5, checkpoint=tmp_path / "a.pt", every=1)
    model, average = Plain(), None
    seen = []

    class Watched(Plain):
        def after_step(self, step, *, phase="main"):
            seen.append({k: v.clone() for k, v in self.state_dict().items()})

    start = {k: v.clone() for k, v in model.state_dict().items()}
    fit(Watched(), batches, steps=20, lr=1e-2)
    for name, value in start.items():
        average = value
        for state in seen:
            average = 0.5 * average + 0.5 * state[name]
        assert torch.allclose(short.average[name], average, atol=1e-6), name
    _, resumed = plain(ema=0.5, checkpoint=tmp_path / "a.pt")
    assert same(resumed.average, short.average)


def test_half_precision_trains_near_full_precision():
    full, _ = plain()
    half, history = plain(precision="bf16")
    assert history.last() < 0.7 * history.losses["loss"][0]
    assert all(value.dtype == torch.float32 for value in half.values())
    gap = max((full[name] - half[name]).abs().max().item() for name in full)
    assert 0 < gap < 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="speaks of machines without one")
def test_fp16_without_a_gpu_is_named_in_one_sentence():
    with pytest.raises(ValueError, match="expected a GPU for precision fp16"):
        plain(precision="fp16")


def test_a_place_that_cannot_be_written_is_named_in_one_sentence(tmp_path):
    with pytest.raises(OSError, match="place for checkpoints that can be written"):
        plain(checkpoint=tmp_path / "missing" / "line.pt", every=1)


def test_a_checkpoint_without_the_average_is_of_another_run(tmp_path):
    plain(checkpoint=tmp_path / "a.pt", every=20)
    with pytest.raises(ValueError, match="with the same settings"):
        plain(checkpoint=tmp_path / "a.pt", ema=0.9)
