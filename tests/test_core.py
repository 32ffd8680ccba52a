"""Profiles, devices, random generators and the border."""

import pytest
import torch

from mmdl_lib import core


def test_pick_follows_the_variable_and_else_the_device(monkeypatch):
    monkeypatch.delenv("MMDL_PROFILE", raising=False)
    expected = 1 if core.device().type == "cpu" else 2
    assert core.pick(cpu=1, gpu=2) == expected
    for profile, value in (("cpu", 1), ("gpu", 2)):
        monkeypatch.setenv("MMDL_PROFILE", profile)
        assert core.pick(cpu=1, gpu=2) == value
    monkeypatch.setenv("MMDL_PROFILE", "tpu")
    with pytest.raises(ValueError, match="MMDL_PROFILE to be cpu or gpu, got 'tpu'"):
        core.pick(cpu=1, gpu=2)


@pytest.mark.parametrize("which", ["cuda", "mps", "cpu"])
def test_the_accelerator_is_taken_where_there_is_one(which, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: which == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: which == "mps")
    assert core.device().type == which


def test_a_generator_repeats_itself_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    one, two = (torch.randn(3, generator=core.generator(4)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)
