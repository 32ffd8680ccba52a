"""Profiles, devices, random generators and the border."""

import copy
import pickle
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib import core


class Row(NamedTuple):
    kernel: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class Part(core.Config):
    depth: int = 2
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True, kw_only=True)
class Other(core.Config):
    depth: int = 3


@dataclass(frozen=True, kw_only=True)
class Whole(core.Config):
    tower: Part | Other = Part()
    rate: float = 0.1
    rows: tuple[Row, ...] = (Row(3, 1),)
    size: tuple[int, int] = (8, 8)
    steps: int | None = None
    on: bool = False


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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rate", "0.1", "rate as float, got '0.1'"),
        ("rate", True, "rate as float, got True"),
        ("steps", 2.0, r"steps as int or None, got 2\.0"),
        ("on", 1, "on as bool, got 1"),
        ("size", (8, 8, 8), "size as"),
        ("size", [8, 8], "size as"),
        ("rows", ((3, 1),), "rows as"),
        ("tower", 3, "tower as Part or Other, got 3"),
    ],
)
def test_a_config_takes_what_its_annotations_say(name, value, expected):
    with pytest.raises(ValueError, match=f"Whole expected {expected}"):
        Whole(**{name: value})
    with pytest.raises(ValueError, match=f"Whole expected {expected}"):
        replace(Whole(), **{name: value})


def test_a_typo_in_a_choice_names_the_choices():
    with pytest.raises(
        ValueError, match="Part expected kind as one of 'a', 'b', got 'A'"
    ):
        Part(kind="A")


@pytest.mark.parametrize(
    "config",
    [
        Whole(),
        Whole(tower=Other(depth=5), rate=1, steps=7, on=True),
        Whole(rows=(Row(5, 2), Row(3, 1)), size=(4, 6), tower=Part(kind="b")),
    ],
)
def test_a_config_comes_back_from_its_plain_values(config):
    assert Whole.from_dict(config.to_dict()) == config
    assert pickle.loads(pickle.dumps(config)) == config == copy.deepcopy(config)
    assert isinstance(Whole.from_dict(config.to_dict()).rows[0], Row)


def test_foreign_or_unknown_plain_values_are_named():
    with pytest.raises(ValueError, match="expected a Part, got a Other"):
        Part.from_dict(Other().to_dict())
    with pytest.raises(ValueError, match="expected fields among depth, kind, got deep"):
        Part.from_dict({"deep": 3})
    with pytest.raises(ValueError, match="expected Part or Other, got 'Whole'"):
        Whole.from_dict({"tower": {"class": "Whole"}})


def test_dropout_draws_from_the_generator_and_leaves_the_global_one_alone():
    x = torch.ones(100)

    def drop(seed):
        with core.seeded(core.generator(seed)):
            return F.dropout(x)

    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert torch.equal(drop(0), drop(0))
    assert not torch.equal(drop(0), drop(1))
    assert torch.equal(torch.get_rng_state(), before)
    g = core.generator(0)
    with core.seeded(g):
        one = F.dropout(x)
    with core.seeded(g):
        assert not torch.equal(one, F.dropout(x))
    with core.seeded(None):
        F.dropout(x)
    assert not torch.equal(torch.get_rng_state(), before)


def test_every_model_is_found_once_by_slug_and_class():
    found = core.models()
    assert {"clip.CLIP", "vit.ViT", "perceptron.Adaline"} <= set(found)
    assert len(set(found.values())) == len(found)
    assert list(found) == sorted(found)


class CountingGenerator:
    """The host side of a CUDA generator."""

    device = torch.device("cuda")

    def __init__(self, seed):
        self.seed, self.place = seed, 0

    def initial_seed(self):
        return self.seed

    def get_offset(self):
        return self.place

    def set_offset(self, place):
        self.place = place


def test_on_a_gpu_the_next_seed_is_made_on_the_host():
    found = []
    for seed in (0, 1):
        g = CountingGenerator(seed)
        found += [core._next_seed(g) for _ in range(3)]
    assert len(set(found)) == 6
    assert core._next_seed(CountingGenerator(0)) == found[0]
    assert all(0 <= x < 2**62 for x in found)
