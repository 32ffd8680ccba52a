"""Cost: operations by hand, the paper's table, codecarbon's constants, bad input."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from mmdl_lib.metrics.cost import (
    COUNTRIES,
    INTENSITY,
    PUE,
    US_GRID,
    block_weights,
    co2_kg,
    device_hours,
    energy_kwh,
    language_flops,
)
from mmdl_lib.metrics.cost import training_flops as flops
from mmdl_lib.models.gpt import GPT, GPTConfig

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


def test_intensities_of_countries_are_codecarbons():
    place = importlib.util.find_spec("codecarbon").submodule_search_locations[0]
    name = "data/private_infra/global_energy_mix.json"
    theirs = json.loads((Path(place) / name).read_text()).values()
    year = {entry["country_name"]: entry["year"] for entry in theirs}
    found = {entry["country_name"]: entry["carbon_intensity"] for entry in theirs}
    assert {name: found[name] for name in COUNTRIES} == COUNTRIES
    assert {year[name] for name in COUNTRIES} == {2023}
    assert list(COUNTRIES.values()) == sorted(COUNTRIES.values())
    assert co2_kg(1000, "France") == pytest.approx(56.039)


def test_six_operations_a_weight_and_token_are_what_a_training_step_costs():
    # a context much shorter than the width, and few words: blocks are all that counts
    with torch.device("meta"):
        model = GPT(GPTConfig(vocab=2, context=17, width=512, depth=3, heads=8))
    weights = block_weights(3, 512)
    matrices = [p for n, p in model.named_parameters() if "blocks" in n and p.ndim > 1]
    assert sum(p.numel() for p in matrices) == weights
    tokens = torch.zeros(4, 17, dtype=torch.long, device="meta")
    mask = torch.ones(4, 17, dtype=torch.bool, device="meta")
    counted = flops(lambda: model.loss({"tokens": tokens, "mask": mask})["loss"])
    assert counted == pytest.approx(language_flops(weights, 4 * 16), rel=0.02)


def test_gpt_3_has_as_many_weights_in_its_blocks_as_its_model_file_says():
    config = GPT.PRESETS["gpt3-175B"]
    assert block_weights(config.depth, config.width) == 173_946_175_488


def test_twice_the_devices_or_the_use_of_them_halve_the_hours():
    assert device_hours(7.2e18, peak=1e15, utilization=1.0) == pytest.approx(2)
    assert device_hours(7.2e18, peak=2e15, utilization=0.5) == pytest.approx(2)
    assert device_hours(0, peak=1e15, utilization=0.5) == 0


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
    with pytest.raises(ValueError, match="utilization expected .* above 0 to 1"):
        device_hours(1, peak=1, utilization=0)
    with pytest.raises(ValueError, match="utilization expected .* above 0 to 1"):
        device_hours(1, peak=1, utilization=40)
    with pytest.raises(ValueError, match="peak expected a number above 0, got 0"):
        device_hours(1, peak=0, utilization=0.5)
    with pytest.raises(ValueError, match="tokens expected a number from 0 up"):
        language_flops(1, -1)
    with pytest.raises(ValueError, match="depth expected a whole number from 1 up"):
        block_weights(0, 8)
    assert PUE >= 1
