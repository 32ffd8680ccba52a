"""Checkpoints: killed anywhere, a run ends at the same bits; others are refused."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch

from mmdl_lib.core import Config, Model
from mmdl_lib.train import fit
from mmdl_lib.train.state import _sealed
from tests.train.small import CASES, Plain, Ring, batches, ring, same, train

ROOT = Path(__file__).parents[2]
STEPS = 7


class Killed(BaseException):
    """Ends a run as a signal does: nothing on the way may catch it."""


def ends(case, **options):
    """All that a run leaves, to be compared bit for bit."""
    state, history = train(case, steps=STEPS, ema=0.9, **options)
    losses = {k: torch.tensor(v) for k, v in history.losses.items()}
    return state | losses | {f"average {k}": v for k, v in history.average.items()}


def rise(error):
    def call(*given, **named):
        raise error

    return call


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_any_step_ends_at_the_same_bits(case, tmp_path):
    want, path = ends(case), tmp_path / "a.pt"
    for every in (1, 3):
        for last in range(STEPS):

            def kill(step, model, terms, last=last):
                if step == last:
                    raise Killed

            with pytest.raises(Killed):
                ends(case, checkpoint=path, every=every, watch=kill)
            torch.manual_seed(last)
            assert same(ends(case, checkpoint=path, every=every), want)
            path.unlink()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("what", ["replace", "fsync"])
def test_a_run_killed_while_it_writes_ends_at_the_same_bits(
    case, what, tmp_path, monkeypatch
):
    want, path, real = ends(case), tmp_path / "a.pt", getattr(os, what)
    for last in range(STEPS):
        calls = []

        def kill(*given, last=last, calls=calls):
            calls.append(given)
            return rise(Killed())() if len(calls) == last + 1 else real(*given)

        monkeypatch.setattr(os, what, kill)
        with pytest.raises(Killed):
            ends(case, checkpoint=path, every=1)
        assert path.exists() == (last > 0)
        monkeypatch.setattr(os, what, real)
        assert same(ends(case, checkpoint=path, every=1), want)
        path.unlink()


SCRIPT = """
import sys, time
from tests.train import small
kind, rows, own = small.CASES[{case!r}]
def slow(step):
    time.sleep(0.02)
    return rows(step)
small.CASES[{case!r}] = kind, slow, own
small.train({case!r}, steps=60, checkpoint={path!r}, every=1)
"""


@pytest.mark.parametrize(("case", "wait"), [("gan", 0.05), ("dropout", 0.4)])
def test_a_run_that_the_system_kills_ends_at_the_same_bits(tmp_path, case, wait):
    path = tmp_path / "a.pt"
    script = SCRIPT.format(case=case, path=str(path))
    place = os.environ | {"PYTHONPATH": str(ROOT), "MMDL_QUIET": "1"}
    place["OMP_NUM_THREADS"] = "1"  # as this process: more threads round differently
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, env=place, cwd=ROOT)
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    begun = []
    rows = CASES[case][1]

    def counted(step):
        begun.append(step)
        return rows(step)

    model = CASES[case][0]()
    options = {"steps": 60, "lr": 1e-2} | CASES[case][2]
    history = fit(model, counted, checkpoint=path, every=1, **options)
    assert 0 < begun[0] < 60
    want, expected = train(case, steps=60)
    assert same(model.state_dict(), want)
    assert history.losses == expected.losses


@pytest.mark.parametrize("steps", [3, 5, 8])
def test_the_end_is_always_kept(tmp_path, steps):
    path = tmp_path / "a.pt"
    want, _ = train("noise", steps=steps, checkpoint=path, every=5)
    again, history = train("noise", steps=steps, checkpoint=path, every=5)
    assert same(again, want)
    assert len(history.losses["loss"]) == steps
    untouched = {"checkpoint": path, "every": 5, "watch": rise(AssertionError())}
    train("noise", steps=steps, **untouched)


def test_one_flipped_bit_anywhere_is_noticed(tmp_path):
    path = tmp_path / "a.pt"
    train("noise", steps=1, checkpoint=path)
    whole = path.read_bytes()
    for place in [*range(0, 80), *range(80, len(whole), 97), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read: delete it to start"):
            train("noise", steps=1, checkpoint=path)
    path.write_bytes(whole)
    train("noise", steps=1, checkpoint=path)


@pytest.mark.parametrize("content", [b"", b"mmdl fit 1\n", b"cut"])
def test_a_cut_file_is_named(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read: delete it to start again"):
        train("noise", checkpoint=path)


def test_no_code_runs_from_a_checkpoint(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    buffer = io.BytesIO()
    torch.save({"step": Trap()}, buffer)
    path = tmp_path / "a.pt"
    path.write_bytes(_sealed(buffer.getvalue()))
    with pytest.raises(ValueError, match="cannot be read"):
        train("noise", checkpoint=path)
    assert not (tmp_path / "sprung").exists()


def flat(step, steps):
    return 1.0


class Wide(Plain):
    def __init__(self):
        super().__init__()
        self.body[2] = torch.nn.Linear(16, 1, bias=False)


OTHERS = [
    ({"lr": 2e-2}, "lr of main 0.01 instead of 0.02"),
    ({"optimizer": torch.optim.SGD}, "optimizer of main 'AdamW' instead of 'SGD'"),
    ({"schedule": flat}, "warmup 0.05 instead of None"),
    ({"warmup": 0.5}, "warmup 0.05 instead of 0.5"),
    ({"steps": 8}, "steps 4 instead of 8"),
    ({"seed": 1}, "seed 0 instead of 1"),
    ({"ema": 0.9}, "ema None instead of 0.9"),
    ({"precision": "bf16"}, "precision 'no' instead of 'bf16'"),
    ({"accumulate": 2}, "accumulate x processes 1 instead of 2"),
    ({"weight_decay": 0.1}, "weight_decay 0.0 instead of 0.1"),
    ({"clip": None}, "clip 1.0 instead of None"),
]


@pytest.mark.parametrize(("options", "words"), OTHERS)
def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path, options, words):
    path, given = tmp_path / "a.pt", {"steps": 4, "lr": 1e-2}
    fit(Plain(), batches, checkpoint=path, **given)
    model = Plain()
    with pytest.raises(ValueError, match=f"got one with {words}") as error:
        fit(model, batches, checkpoint=path, **given | options)
    assert "\n" not in str(error.value)
    assert same(model.state_dict(), Plain().state_dict())


def test_schedules_and_options_of_optimizers_are_told_apart(tmp_path):
    path = tmp_path / "a.pt"
    adam = partial(torch.optim.AdamW, betas=(0.5, 0.9))
    given = {"steps": 4, "schedule": flat, "optimizer": adam, "checkpoint": path}
    fit(Plain(), batches, **given)
    fit(Plain(), batches, **given)
    with pytest.raises(ValueError, match="got one with schedule"):
        fit(Plain(), batches, **given | {"schedule": lambda step, steps: step / steps})
    with pytest.raises(ValueError, match=r"betas of main \['\(0.5, 0.9\)"):
        fit(Plain(), batches, **given | {"optimizer": torch.optim.AdamW})


def test_a_checkpoint_of_another_stage_or_player_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    train("first stage", checkpoint=path)
    with pytest.raises(ValueError, match="got one with stage 0 instead of 1"):
        train("second stage", checkpoint=path)
    path.unlink()
    train("gan", checkpoint=path)
    rates = {"discriminator": 4e-3, "generator": 2e-3}
    with pytest.raises(ValueError, match="lr of generator 0.001 instead of 0.002"):
        train("gan", checkpoint=path, lr=rates)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    fit(Plain(), batches, steps=2, checkpoint=path)
    with pytest.raises(ValueError, match="model 'Plain' instead of 'Ring'"):
        fit(Ring(), ring, steps=2, checkpoint=path)
    other = Wide()
    other.__class__.__name__ = "Plain"
    with pytest.raises(ValueError, match=r"shape of body.2.bias \(1,\) ins"):
        fit(other, batches, steps=2, checkpoint=path)


def test_a_checkpoint_of_another_config_names_the_field(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class PickyConfig(Config):
        margin: float = 0.5

    class Picky(Plain):
        def __init__(self, config):
            super().__init__()
            self.config = config

    path = tmp_path / "a.pt"
    fit(Picky(PickyConfig()), batches, steps=2, checkpoint=path)
    with pytest.raises(ValueError, match="config.margin '0.5' instead of '0.7'"):
        fit(Picky(PickyConfig(margin=0.7)), batches, steps=2, checkpoint=path)
    assert issubclass(Picky, Model)


def test_what_killed_runs_left_is_swept_and_nothing_else(tmp_path):
    path = tmp_path / "a.pt"
    stale = tmp_path / "a.pt.123.part"
    others = [tmp_path / name for name in ("a.ptx.1.part", "b.pt.1.part", "a.pt.part")]
    for file in (stale, *others):
        file.write_bytes(b"half")
    train("noise", steps=1, checkpoint=path)
    assert not stale.exists()
    assert sorted(tmp_path.iterdir()) == sorted([path, *others])


def test_a_full_disk_is_named_and_leaves_the_old_checkpoint_alone(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.pt"
    calls, real = [], os.fsync

    def full(file):
        calls.append(file)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="place for checkpoints that can be written"):
        train("noise", steps=5, checkpoint=path, every=1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]
    monkeypatch.undo()
    begun = []
    train(
        "noise", steps=5, checkpoint=path, every=1, watch=lambda s, *_: begun.append(s)
    )
    assert begun == [2, 3, 4]


# in /proc not even an administrator can write, though everybody can look
@pytest.mark.parametrize("place", ["missing/a.pt", "file/a.pt", "folder", "/proc/a.pt"])
def test_a_place_that_cannot_be_written_is_named_before_the_first_step(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    begun = []
    with pytest.raises(OSError, match="place for checkpoints that can be written"):
        train(
            "noise",
            checkpoint=tmp_path / place,
            watch=lambda step, *_: begun.append(step),
        )
    assert begun == []
