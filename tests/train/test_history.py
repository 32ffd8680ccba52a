"""Losses: what is kept, and that nothing that is not finite stays anywhere."""

import pytest
import torch

from mmdl_lib.train import History, fit
from tests.train.small import CASES, Noisy, Plain, Ring, batches, ring, same, train


def broken(rows, at, value=torch.nan):
    """Batches of which one is not finite."""
    return lambda step: {
        name: x * (value if step == at else 1) for name, x in rows(step).items()
    }


class Steep(Plain):
    """A finite loss whose gradient is infinite: the slope of a root at zero."""

    at = 3

    def loss(self, batch, *, phase="main", generator=None):
        found = super().loss(batch, phase=phase)
        root = (self.body[0].weight[0, 0] * 0 * batch["steep"].mean()).clamp(min=0)
        extra = torch.where(batch["steep"][0] > 0, root, 1.0).sqrt()
        return {"loss": found["loss"] + extra}


def steep(step):
    return batches(step) | {"steep": torch.full((32,), float(step == Steep.at))}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("at", [0, 3, 49, 50, 59])
def test_a_loss_that_is_not_finite_names_step_and_phase(at, value):
    model = Plain()
    words = rf"a finite loss, got \w+ at step {at} of phase 'main'"
    with pytest.raises(FloatingPointError, match=words):
        fit(model, broken(batches, at, value), steps=60)
    assert all(p.isfinite().all() for p in model.state_dict().values())


def test_a_loss_that_is_not_finite_names_the_phase_of_a_gan():
    with pytest.raises(FloatingPointError, match="step 2 of phase 'discriminator'"):
        fit(Ring(), broken(ring, 2), steps=4)


def test_the_statistics_of_a_batchnorm_are_not_left_with_nan():
    model = Ring()
    with pytest.raises(FloatingPointError):
        fit(model, broken(ring, 2), steps=4)
    assert model.norm.running_mean.isfinite().all()


@pytest.mark.parametrize("clip", [1.0, None])
def test_a_finite_loss_with_an_infinite_gradient_is_seen_and_not_kept(tmp_path, clip):
    path = tmp_path / "a.pt"
    options = {"steps": 8, "checkpoint": path, "every": 2, "clip": clip}
    with pytest.raises(FloatingPointError, match="gradient, got nan at step 3 of"):
        fit(Steep(), steep, **options)
    model = Steep()
    # the file holds the state after two steps, from which a run can go on
    with pytest.raises(FloatingPointError, match="back at the start of step 2"):
        fit(model, steep, **options)
    two = Steep()
    schedule = {"schedule": lambda step, steps: 1.0}
    assert all(p.isfinite().all() for p in model.parameters())
    path.unlink()
    with pytest.raises(FloatingPointError):
        fit(model := Steep(), steep, **options | schedule)
    fit(two, steep, steps=2, clip=clip, **schedule)
    assert same(model.state_dict(), two.state_dict())


def test_weights_that_the_last_step_blew_up_are_seen_and_not_kept(tmp_path):
    path = tmp_path / "a.pt"
    options = {"steps": 1, "clip": None, "optimizer": torch.optim.SGD}
    with pytest.raises(FloatingPointError, match="a finite weight, got inf at step 0"):
        fit(Plain(), batches, lr=3e38, checkpoint=path, **options)
    assert not path.exists()


def test_infinite_buffers_such_as_causal_masks_are_no_fault():
    model = Plain()
    model.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))
    assert len(fit(model, batches, steps=2).losses["loss"]) == 2


def test_every_step_is_kept_in_order_across_blocks():
    _, history = train("noise", steps=120)
    seen = []

    class Seen(Noisy):
        def loss(self, batch, *, phase="main", generator=None):
            found = super().loss(batch, phase=phase, generator=generator)
            seen.append(found["loss"].item())
            return found

    _, rows, own = CASES["noise"]
    fit(Seen(), rows, steps=120, lr=1e-2)
    assert history.losses == {"loss": seen}
    assert history.last() == seen[-1]


def test_a_term_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="terms a/loss, b/loss, got 'loss'"):
        History({"a/loss": [1.0], "b/loss": [2.0]}).last()


def test_terms_in_half_and_double_precision_are_kept():
    class Mixed(Plain):
        def loss(self, batch, *, phase="main", generator=None):
            loss = super().loss(batch, phase=phase)["loss"]
            wide = torch.tensor(1 / 3, dtype=torch.float64)
            return {
                "loss": loss,
                "half": wide.half(),
                "double": wide,
                "count": wide.long(),
            }

    losses = fit(Mixed(), batches, steps=2).losses
    assert losses["double"] == [1 / 3] * 2
    assert losses["half"] == pytest.approx([1 / 3] * 2, abs=1e-3)


def test_a_model_in_double_precision_trains():
    model = Plain().double()
    history = fit(model, lambda step: {"x": batches(step)["x"].double()}, steps=3)
    assert history.last() < history.losses["loss"][0]
    assert model.body[0].weight.dtype == torch.float64


def test_a_model_comes_back_to_the_device_on_which_it_came(monkeypatch):
    """A reader's tensors are on the CPU, and so is the model after a training."""
    model, places = Plain(), []

    def note(self, place):
        places.append(place)
        return self

    monkeypatch.setattr(torch.nn.Module, "to", note)
    history = fit(model, batches, steps=2, ema=0.5)
    assert places[-1] == torch.device("cpu") and len(places) == 2
    assert {w.device.type for w in history.average.values()} == {"cpu"}
