"""Cost: operations by hand, the paper's table, codecarbon's constants, bad input."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from mmdl_lib.metrics.cost import INTENSITY, PUE, US_GRID, co2_kg, energy_kwh
from mmdl_lib.metrics.cost import training_flops as flops

POUND = 0.45359237


@pytest.mark.parametrize(
    ("watts", "hours", "kwh", "pounds"),
    # Table 3 of Strubell et al.: Transformer base and big, ELMo, BERT base
    [
        (1415.78, 12, 27, 26),
        (1515.43, 84, 201, 192),
        (517.66, 336, 275, 262),
        (12041.51, 79, 1507, 1438),
    ],
)
def test_the_papers_table_follows_from_its_watts_and_hours(watts, hours, kwh, pounds):
    # the paper's hours are rounded
    assert energy_kwh(watts, hours) == pytest.approx(kwh, rel=0.02)
    found = co2_kg(energy_kwh(watts, hours), US_GRID) / POUND
    assert found == pytest.approx(pounds, rel=0.02)


def test_the_us_grid_is_the_papers_in_other_units():
    assert pytest.approx(0.954 * POUND * 1000, rel=1e-3) == US_GRID


def test_intensities_are_codecarbons():
    place = importlib.util.find_spec("codecarbon").submodule_search_locations[0]
    name = "data/private_infra/carbon_intensity_per_source.json"
    theirs = json.loads((Path(place) / name).read_text())
    assert {key: theirs[key] for key in INTENSITY} == INTENSITY


def test_a_step_of_a_linear_net_is_counted_by_hand():
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2))
    x = torch.randn(7, 3)
    # forward, gradient of the weights, and of the hidden layer's input to the second
    products = 7 * 3 * 5 + 7 * 5 * 2, 7 * 3 * 5 + 7 * 5 * 2, 7 * 5 * 2
    assert flops(lambda: net(x).sum()) == 2 * sum(products)


def test_a_convolution_costs_three_times_its_forward_pass_on_any_device():
    conv = torch.nn.Conv2d(4, 6, 3, device="meta")
    x = torch.zeros(2, 4, 10, 10, device="meta", requires_grad=True)
    assert flops(lambda: conv(x).sum()) == 3 * 2 * (2 * 64 * 6 * 4 * 9)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="loss expected a tensor with gradients"):
        flops(lambda: torch.zeros(()))
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="watts expected a number from 0 up"):
            energy_kwh(bad, 1)
        with pytest.raises(ValueError, match="kwh expected a number from 0 up"):
            co2_kg(bad)
    with pytest.raises(ValueError, match="pue expected a number from 1 up, got 0.5"):
        energy_kwh(1, 1, pue=0.5)
    with pytest.raises(ValueError, match="one of 'coal', .*, got 'peat'"):
        co2_kg(1, "peat")
    assert PUE >= 1
