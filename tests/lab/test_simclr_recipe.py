"""What SimCLR's recipe measures with functions of its own."""

import importlib.util
from pathlib import Path

import pytest
import torch

from mmdl_lib.core import generator

FILE = Path(__file__).resolve().parents[2] / "recipes/simclr.py"
SPEC = importlib.util.spec_from_file_location("simclr", FILE)
simclr = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(simclr)
ROWS = simclr.LABELED + simclr.TEST


def test_a_color_that_lies_open_is_explained_wholly():
    features = torch.randn(ROWS, 5, generator=generator(0))
    color = 100 + 30 * features @ torch.randn(5, 3, generator=generator(1))
    assert simclr.explained(features, color) == pytest.approx(1, abs=1e-4)


def test_a_color_that_is_not_there_is_not_explained():
    features = torch.randn(ROWS, 5, generator=generator(0))
    color = 100 + torch.randn(ROWS, 3, generator=generator(1))
    assert abs(simclr.explained(features, color)) < 0.02


def test_half_of_a_color_is_half_explained():
    features = torch.randn(ROWS, 1, generator=generator(0))
    rest = torch.randn(ROWS, 1, generator=generator(1))
    assert simclr.explained(features, features + rest) == pytest.approx(0.5, abs=0.05)


def test_what_is_judged_is_not_what_taught():
    features = torch.randn(ROWS, 5, generator=generator(0))
    color = features[:, :1].clone()
    color[-simclr.TEST :] = torch.randn(simclr.TEST, 1, generator=generator(1))
    assert simclr.explained(features, color) < -0.5


def test_a_probe_is_asked_of_the_other_pictures():
    label = torch.arange(ROWS) % 2
    known, other = label.float()[:, None], 1 - label.float()[:, None]
    assert simclr.probe(known, label) == 1
    assert simclr.probe(known, label, other) == 0


def test_histograms_find_partners_among_crops_and_not_in_other_colors():
    found = {k: simclr.shortcut(100, settings=v) for k, v in simclr.SEEN.items()}
    assert found["crop"] > 0.9
    assert max(found["color"], found["crop and color"]) < 0.1
