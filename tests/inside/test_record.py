"""Outputs by name: the right ones, all of them, and no trace left behind."""

import doctest
import importlib

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.inside.record import record
from mmdl_lib.models.clip import CLIP


class Twice(nn.Module):
    """A layer that runs twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.layer(x))


def some(*shape):
    return torch.randn(*shape, generator=generator(0))


def test_the_output_of_a_part_is_what_the_next_part_gets():
    torch.manual_seed(0)
    model = CLIP.from_preset("tiny").eval()
    image = CLIP.example_batch(model.config, 2, generator=generator(0))["image"]
    with record(model, "vision.stages", "vision.stages.1", "text.norm") as seen:
        out = model.encode_image(image)
    (last,), (middle,) = seen["vision.stages"], seen["vision.stages.1"]
    assert torch.equal(last, model.vision.feature_map(image))
    assert torch.equal(model.vision.stages[2](middle), last)
    assert seen["text.norm"] == []  # no sentence was read
    # the way back is open, so that gradients can be asked for
    assert torch.autograd.grad(out.sum(), middle)[0].shape == middle.shape


def test_every_run_is_kept_in_order():
    model, x = Twice(), some(2, 3)
    with record(model, "layer") as seen:
        out = model(x)
    first, second = seen["layer"]
    assert torch.equal(first, model.layer(x)) and torch.equal(second, out)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_recorded_afterwards_also_after_an_error(fails):
    model = Twice()
    try:
        with record(model, "layer") as seen:
            model(some(2, 3))
            if fails:
                raise KeyError("inside")
    except KeyError:
        assert fails
    model(some(2, 3))
    assert len(seen["layer"]) == 2
    assert not model.layer._forward_hooks


def test_unknown_names_list_the_near_ones_and_hook_nothing():
    model = CLIP.from_preset("tiny")
    with (
        pytest.raises(
            ValueError, match=r"of CLIP, such as .*vision\.stages.*'vision\.st"
        ),
        record(model, "text.norm", "vision.stage.1"),
    ):
        pass
    assert not model.text.norm._forward_hooks
    for names, sentence in (((), "at least one module"), (("",), "got ''")):
        with pytest.raises(ValueError, match=sentence), record(model, *names):
            pass
    with (
        pytest.raises(ValueError, match="none: it has no parts"),
        record(nn.ReLU(), "x"),
    ):
        pass


def test_the_example_is_true():
    found = doctest.testmod(importlib.import_module("mmdl_lib.inside.record"))
    assert found.attempted > 0 and found.failed == 0
