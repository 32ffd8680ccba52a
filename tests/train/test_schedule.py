"""The learning rate: values by hand, its rise, and what no schedule may be."""

import pytest
import torch

from mmdl_lib.train import fit, warmup_cosine
from mmdl_lib.train.schedule import factors
from tests.train.small import Plain, batches


def test_the_first_step_already_learns_and_the_peak_ends_the_rise():
    rate = [warmup_cosine(s, steps=8, warmup=4) for s in range(9)]
    # (1 + cos(pi k / 4)) / 2 from the fifth step on
    want = [0.25, 0.5, 0.75, 1.0, 1.0, 0.853553, 0.5, 0.146447, 0.0]
    assert rate == pytest.approx(want, abs=1e-6)


def test_a_rise_over_the_whole_run_ends_at_the_peak():
    assert factors(None, steps=4, warmup=1.0) == [0.25, 0.5, 0.75, 1.0]


def test_no_rise_begins_at_the_peak():
    assert factors(None, steps=4, warmup=0.0)[0] == 1.0


def test_a_twentieth_of_the_steps_rises_by_default():
    rates = []

    class Rated(Plain):
        def after_step(self, step, *, phase="main"):
            rates.append(optimizers[0].param_groups[0]["lr"])

    optimizers = []

    def made(groups, lr):
        optimizers.append(torch.optim.SGD(groups, lr=lr))
        return optimizers[0]

    fit(Rated(), batches, steps=40, lr=0.1, optimizer=made)
    want = [0.1 * warmup_cosine(s, steps=40, warmup=2) for s in range(40)]
    assert rates == want


def test_another_schedule_is_followed():
    found = factors(lambda step, steps: step / steps, steps=4, warmup=0.5)
    assert found == [0, 0.25, 0.5, 0.75]
    moved = []

    class Moved(Plain):
        def after_step(self, step, *, phase="main"):
            moved.append(self.body[0].weight.clone())

    fit(Moved(), batches, steps=4, schedule=lambda step, steps: float(step != 1))
    assert (moved[1] == moved[0]).all()
    assert (moved[2] != moved[1]).any()


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_a_schedule_that_cannot_be_is_named_with_its_step(bad):
    with pytest.raises(ValueError, match=f"at least zero, got {bad} at step 2"):
        fit(Plain(), batches, steps=4, schedule=lambda s, n: bad if s == 2 else 1.0)
