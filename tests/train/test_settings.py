"""Borders of fit(): one sentence for each thing that cannot be."""

import numpy as np
import pytest
import torch
from torch import nn

from mmdl_lib.train import fit
from mmdl_lib.train.settings import check_batch, check_options, check_terms
from tests.train.small import Plain, Ring, Staged, batches, ring

GOOD = {
    "stage": 0,
    "steps": 5,
    "lr": 1e-3,
    "warmup": 0.05,
    "schedule": None,
    "weight_decay": 0.0,
    "clip": 1.0,
    "optimizer": torch.optim.AdamW,
    "accumulate": 1,
    "ema": None,
    "precision": "no",
    "every": 5,
    "watch": None,
    "seed": 0,
}
NAN, INF = float("nan"), float("inf")
BAD = [
    *(("steps", x, "steps as a whole number >= 0") for x in (-5, 2.5, True)),
    *(("every", x, "every as a whole number >= 1") for x in (0, -1, 1.5)),
    *(("accumulate", x, "accumulate as a whole number >= 1") for x in (0, -2)),
    *(("clip", x, "clip as None or a finite") for x in (0, -1, NAN, INF, True)),
    *(("warmup", x, r"warmup as a share .* in \[0, 1\]") for x in (2, -0.1, NAN)),
    *(("ema", x, r"ema as None or a decay in \[0, 1\]") for x in (2, -0.1, NAN)),
    *(("lr", x, "lr as a finite number >= 0") for x in (-1, NAN, INF, "1", None)),
    *(("weight_decay", x, "weight_decay as a finite") for x in (-1e-4, NAN, INF)),
    *(("stage", x, r"a stage among \[0\]") for x in (1, -1, "main", False)),
    *(("seed", x, "seed as a whole number") for x in (0.5, None)),
    *(("precision", x, "precision no, bf16 or fp16") for x in ("half", None)),
    ("optimizer", "adam", "optimizer as a class"),
    ("schedule", 0.5, "schedule as a function"),
    ("watch", 10, "watch as a function"),
    ("lr", {"min": 1e-3}, "for each of the phases main, got min"),
    ("lr", {}, "for each of the phases main, got none"),
    ("lr", {"main": -1.0}, "lr as a finite number >= 0, got -1.0"),
]


def one_sentence(error):
    words = str(error.value)
    assert words.startswith("expected ")
    assert "\n" not in words
    assert words.endswith(".")


@pytest.mark.parametrize(("name", "value", "words"), BAD)
def test_an_option_that_cannot_be_is_named(name, value, words):
    check_options(Plain(), batches, **GOOD)
    with pytest.raises(ValueError, match=words) as error:
        check_options(Plain(), batches, **GOOD | {name: value})
    one_sentence(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clip": -1.0}, "clip"),
        ({"every": 0}, "every"),
        ({"accumulate": 0}, "accumulate"),
        ({"steps": -5}, "steps"),
        ({"warmup": 2.0}, "warmup"),
        ({"ema": 2.0}, "ema"),
        ({"lr": {"max": 1.0}}, "phases main, got max"),
    ],
)
def test_the_loop_asks_before_anything_is_trained(options, words):
    model = Plain()
    with pytest.raises(ValueError, match=words):
        fit(model, batches, **{"steps": 3} | options)
    assert torch.equal(model.body[0].weight, Plain().body[0].weight)


def test_rates_of_a_gan_name_both_players():
    with pytest.raises(ValueError, match="phases discriminator, generator, got gener"):
        fit(Ring(), ring, steps=1, lr={"generator": 1e-3})


def test_a_model_and_batches_of_another_kind_are_named():
    with pytest.raises(ValueError, match="a model of mmdl_lib.core.Model, got Linear"):
        check_options(nn.Linear(1, 1), batches, **GOOD)
    with pytest.raises(ValueError, match="batches as a function of the step"):
        check_options(Plain(), [batches(0)], **GOOD)


def test_fp16_without_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="expected a GPU for precision fp16"):
        fit(Plain(), batches, steps=1, precision="fp16")


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({}, "as a dict of tensors, got dict without entries"),
        ([torch.zeros(4, 4)], "as a dict of tensors, got list"),
        ({"x": np.zeros((4, 4))}, "as 'x' of a batch, got ndarray"),
        ({"x": torch.zeros(4, 4), "caption": ["a"] * 4}, "'caption' .* got list"),
        ({"x": torch.tensor(1.0)}, "as 'x' of a batch, got a single number"),
        ({"x": torch.zeros(4), "y": torch.zeros(3)}, "equally many rows .*'y': 3"),
        ({"x": torch.zeros(0, 4)}, "got 0 rows"),
        ({"x": torch.zeros(5, 4)}, "that 2 slices .* divide, got 5 rows"),
    ],
)
def test_a_batch_that_cannot_be_is_named(batch, words):
    with pytest.raises(ValueError, match=words) as error:
        check_batch(batch, 2)
    one_sentence(error)
    assert check_batch({"x": torch.zeros(4, 4)}, 2)


def test_the_loop_checks_every_batch():
    def later(step):
        return {"x": batches(0)["x"].numpy()} if step == 2 else batches(0)

    with pytest.raises(ValueError, match="got ndarray"):
        fit(Plain(), later, steps=3)
    with pytest.raises(ValueError, match="that 3 slices"):
        fit(Plain(), batches, steps=3, accumulate=3)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (torch.tensor(1.0), "with 'loss' from the loss of phase 'main', got Tensor"),
        ({"error": torch.tensor(1.0)}, "got error"),
        ({"loss": torch.ones(3, requires_grad=True)}, r"one number, got \(3,\)"),
        ({"loss": 1.0}, "as a tensor of one number, got 1.0"),
        ({"loss": torch.tensor(1.0)}, "got one without a gradient"),
    ],
)
def test_a_loss_that_cannot_be_is_named(terms, words):
    with pytest.raises(ValueError, match=words) as error:
        check_terms(terms, "main")
    one_sentence(error)


def test_a_phase_with_nothing_to_train_is_named():
    model = Staged()
    model.prior.requires_grad_(False)
    with pytest.raises(ValueError, match="in phase 'prior' of Staged, got none"):
        fit(model, batches, steps=1, stage=1)
