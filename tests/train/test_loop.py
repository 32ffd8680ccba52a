"""fit(): phases in turns, who stands still, what is drawn, slices and precision."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmdl_lib import core
from mmdl_lib.core import generator
from mmdl_lib.train import fit, warmup_cosine
from mmdl_lib.train.draws import draws
from tests.train.small import (
    CASES,
    Bare,
    Frozen,
    Line,
    Noisy,
    Plain,
    Ring,
    Staged,
    batches,
    close,
    ring,
    same,
    train,
)


def test_the_loss_falls():
    _, history = train("dropout", steps=60)
    assert history.last() < 0.3 * history.losses["loss"][0]


def by_hand(model, rows, phases, *, steps, clip, decay=0.0):
    """The loop in plain torch: one Adam a phase, warmup of two steps and cosine."""
    players = {}
    for phase, lr in phases.items():
        own = [p for module in model.learners(phase) for p in module.parameters()]
        wide, narrow = (
            [p for p in own if (p.ndim > 1) is flag] for flag in (True, False)
        )
        groups = [{"params": wide, "weight_decay": decay}]
        groups += [{"params": narrow, "weight_decay": 0.0}]
        players[phase] = own, torch.optim.AdamW(groups, lr=lr)
    for step in range(steps):
        share = warmup_cosine(step, steps=steps, warmup=2)
        for phase, (own, optimizer) in players.items():
            model.eval()
            for module in model.learners(phase):
                module.train()
            for group in optimizer.param_groups:
                group["lr"] = phases[phase] * share
            with draws(torch.device("cpu"), 0, step, phase, 0) as dice:
                loss = model.loss(rows(step), phase=phase, generator=dice)["loss"]
            gradient = torch.autograd.grad(loss, own)
            for p, g in zip(own, gradient, strict=True):
                p.grad = g
            nn.utils.clip_grad_norm_(own, clip)
            optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("clip", [0.05, 1.0])
def test_a_gan_is_trained_as_by_hand_bit_for_bit(clip):
    rates = {"discriminator": 4e-3, "generator": 1e-3}
    want = by_hand(Ring(), ring, rates, steps=20, clip=clip)
    found, history = train("gan", steps=20, clip=clip, warmup=0.1)
    assert same(found, want)
    assert set(history.losses) == {
        "discriminator/loss",
        "discriminator/real",
        "generator/loss",
    }


def test_weights_decay_and_biases_do_not():
    want = by_hand(Plain(), batches, {"main": 1e-2}, steps=20, clip=0.1, decay=0.5)
    model = Plain()
    options = {"steps": 20, "lr": 1e-2, "warmup": 0.1, "weight_decay": 0.5}
    fit(model, batches, clip=0.1, **options)
    assert same(model.state_dict(), want)


def test_a_gan_spreads_over_the_whole_ring():
    model = Bare()
    adam = partial(torch.optim.AdamW, betas=(0.0, 0.99))
    fit(model, lambda step: ring(step, 128), steps=600, lr=3e-3, optimizer=adam)
    with torch.no_grad():
        points = model.sample(400, generator=generator(0))
    angle = torch.arange(8) * torch.pi / 4
    centers = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    gap, nearest = torch.cdist(points, centers).min(1)
    assert gap.median() < 0.5  # 2 at the start, when all lie in the middle
    assert nearest.bincount(minlength=8).min() >= 20


class Spied(Ring):
    """Notes what each phase finds when its loss is asked for, and what has moved."""

    def __init__(self):
        super().__init__()
        self.before, self.moved, self.found = None, [], []

    def loss(self, batch, *, phase="main", generator=None):
        parts = {name: getattr(self, name) for name in ("generator", "discriminator")}
        learns = {
            name: (part.training, all(p.requires_grad for p in part.parameters()))
            for name, part in parts.items()
        }
        self.found.append((phase, learns, self.norm.training))
        self.before = {name: value.clone() for name, value in self.state_dict().items()}
        return super().loss(batch, phase=phase, generator=generator)

    def after_step(self, step, *, phase="main"):
        now = self.state_dict()
        moved = {
            k.split(".")[0] for k in now if not torch.equal(now[k], self.before[k])
        }
        self.moved.append((step, phase, moved))


def test_each_phase_touches_only_its_own_and_the_others_stand_still():
    model = Spied().eval()
    fit(model, ring, steps=3)
    one = {"generator": (False, False), "discriminator": (True, True)}
    two = {"generator": (True, True), "discriminator": (False, False)}
    turn = [("discriminator", one, True), ("generator", two, False)]
    assert model.found == turn * 3
    own = [("discriminator", {"discriminator", "norm"}), ("generator", {"generator"})]
    assert model.moved == [(step, *pair) for step in range(3) for pair in own]
    assert all(p.requires_grad for p in model.parameters())


def test_a_watcher_that_evaluates_does_not_disturb_the_training():
    def look(step, model, terms):
        model.eval().requires_grad_(False)
        torch.manual_seed(step)
        torch.rand(3)

    want, _ = train("dropout")
    found, _ = train("dropout", watch=look)
    assert same(found, want)


def test_a_watcher_sees_each_step_after_it_was_made():
    seen = []

    def look(step, model, terms):
        seen.append(
            (step, {k: v.item() for k, v in terms.items()}, model.norm.bias[0].item())
        )

    state, history = train("gan", steps=5, watch=look)
    assert [step for step, *_ in seen] == [0, 1, 2, 3, 4]
    for name, values in history.losses.items():
        assert [terms[name] for _, terms, _ in seen] == values
    assert seen[-1][2] == state["norm.bias"][0]


def test_the_first_stage_stands_still_in_the_second():
    model = Staged()
    fit(model, batches, steps=8)
    first = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(first["prior.weight"], Staged().prior.weight)
    assert not torch.equal(first["encoder.0.weight"], Staged().encoder[0].weight)
    fit(model, batches, steps=8, stage=1, weight_decay=0.1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, first[name]) != name.startswith("prior"), name


def test_a_frozen_encoder_keeps_its_statistics_and_evaluates():
    model = Frozen().eval()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    with torch.no_grad():
        want = model.loss(batches(0))["loss"].item()
    history = fit(model, batches, steps=8, weight_decay=0.1)
    assert same(model.encoder.state_dict(), before)
    assert history.losses["loss"][0] == want
    modes = {name: m.training for name, m in model.named_modules()}
    assert modes["head"]
    assert not any(mode for name, mode in modes.items() if name != "head")
    assert all(p.requires_grad for p in model.parameters())


def test_what_is_trained_is_in_training_mode_from_the_first_step_on():
    modes = []
    model = Line().eval()
    fit(model, batches, steps=2, watch=lambda step, m, terms: modes.append(m.training))
    assert modes == [True, True]
    assert model.training
    dropped, _ = train("dropout")
    plain = Plain()
    fit(plain, batches, steps=12, lr=1e-2)
    assert not same(dropped, plain.state_dict())


def test_parameters_that_were_frozen_by_hand_stay_frozen():
    model = Plain()
    model.body[0].requires_grad_(False)
    before = model.body[0].weight.clone()
    fit(model, batches, steps=3, lr=1e-2)
    assert torch.equal(model.body[0].weight, before)
    assert not model.body[0].weight.requires_grad
    assert model.body[2].weight.requires_grad


@pytest.mark.parametrize("case", ["noise", "dropout", "gan"])
def test_draws_come_from_the_seed_alone_and_leave_the_global_state(case):
    kind, rows, own = CASES[case]
    ends = []
    for start, seed in [(1, 0), (2, 0), (1, 7)]:
        model = kind()
        torch.manual_seed(start)
        before = torch.get_rng_state()
        fit(model, rows, steps=6, seed=seed, **own)
        assert torch.equal(torch.get_rng_state(), before)
        ends.append(model.state_dict())
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


def test_every_place_of_a_run_draws_something_else():
    def drawn(*place):
        with draws(torch.device("cpu"), *place) as dice:
            return torch.rand(4, generator=dice), torch.rand(4)

    places = [(0, 0), (0, 1), (1, 0), (0, 0, "a", 0), (0, 0, "b", 0), (0, 0, "a", 1)]
    values = [value for place in places for value in drawn(*place)]
    assert len(torch.stack(values).unique(dim=0)) == 2 * len(places)
    assert torch.equal(torch.stack(drawn(0, 1)), torch.stack(drawn(0, 1)))


class Noted(Plain):
    """Keeps the gradients of each step; AdamW alone would hide a wrong factor."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def after_step(self, step, *, phase="main"):
        self.seen.append(torch.cat([p.grad.flatten() for p in self.parameters()]))


def test_slices_of_a_batch_add_up_to_the_whole_batch():
    whole, sliced = Noted(), Noted()
    options = {"steps": 20, "lr": 1e-2, "clip": None}
    expected = fit(whole, batches, **options)
    history = fit(sliced, batches, accumulate=4, **options)
    for one, other in zip(whole.seen, sliced.seen, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)
    assert history.losses["loss"] == pytest.approx(expected.losses["loss"], rel=1e-4)


@pytest.mark.parametrize("case", ["first stage", "second stage", "frozen"])
def test_slices_add_up_for_stages_and_frozen_parts(case):
    (whole, one), (sliced, other) = train(case), train(case, accumulate=4)
    assert close(whole, sliced, atol=1e-4)
    assert other.losses["loss"] == pytest.approx(one.losses["loss"], rel=1e-3)


@pytest.mark.parametrize("clip", [0.01, 1e9, None])
def test_gradients_are_cut_to_the_norm_that_was_asked_for(clip):
    model = Noted()
    fit(model, batches, steps=5, lr=1e-2, clip=clip)
    norms = [gradient.norm().item() for gradient in model.seen]
    if clip == 0.01:
        assert norms == pytest.approx([0.01] * 5, rel=1e-4)
    else:
        assert min(norms) > 0.5


class Clamped(Plain):
    """Moves weights after the step; what is averaged must have been moved."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def after_step(self, step, *, phase="main"):
        self.body[0].weight.clamp_(-0.1, 0.1)
        self.seen.append({k: v.clone() for k, v in self.state_dict().items()})


def test_the_moving_average_follows_its_formula_after_each_whole_step():
    model = Clamped()
    average = {k: v.clone() for k, v in model.state_dict().items()}
    history = fit(model, batches, steps=20, lr=1e-2, ema=0.9)
    for state in model.seen:
        average = {k: 0.9 * average[k] + 0.1 * state[k] for k in average}
    assert close(history.average, average, atol=1e-6)


def test_half_precision_trains_near_full_precision():
    full, half = Plain(), Plain()
    fit(full, batches, steps=20, lr=1e-2)
    history = fit(half, batches, steps=20, lr=1e-2, precision="bf16")
    assert history.last() < 0.7 * history.losses["loss"][0]
    assert all(p.dtype == torch.float32 for p in half.parameters())
    pairs = zip(full.parameters(), half.parameters(), strict=True)
    assert 0 < max((a - b).abs().max().item() for a, b in pairs) < 0.1


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_training_runs_in_half_precision(case):
    _, history = train(case, precision="bf16")
    _, full = train(case)
    for name, values in history.losses.items():
        assert values != full.losses[name]
        assert values == pytest.approx(full.losses[name], rel=0.1, abs=0.02)


class Reads(TorchDispatchMode):
    """Counts how often a number is asked for, which makes an accelerator wait."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        names = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal")
        self.count += func.overloadpacket.__name__ in names
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", ["gan", "noise", "second stage"])
def test_no_step_waits_for_a_number(case, monkeypatch):
    reads, lists = Reads(), []

    def counted(name):
        real = getattr(torch.Tensor, name)
        return lambda self, *a, **k: lists.append(name) or real(self, *a, **k)

    for name in ("tolist", "numpy", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    counts = []
    for steps in (50, 100, 150):
        reads.count = 0
        lists.clear()
        with reads:
            train(case, steps=steps, optimizer=torch.optim.SGD, ema=0.9)
        counts.append((reads.count, list(lists)))
    # AdamW reads its step counters, which live on the CPU
    assert counts == [(0, ["tolist"] * blocks) for blocks in (1, 2, 3)]


@pytest.mark.parametrize("name", core.models())
def test_every_model_trains_a_step_in_half_precision(name):
    kind = core.models()[name]
    preset = next(p for p in kind.PRESETS if p.startswith("tiny"))
    model = kind.from_preset(preset)
    batch = kind.example_batch(model.config, 4, generator=generator(0))
    for stage in range(len(kind.STAGES)):
        history = fit(model, lambda step: batch, steps=2, stage=stage, precision="bf16")
        assert all(len(values) == 2 for values in history.losses.values())


def test_no_steps_leave_the_model_as_it_is():
    model = Plain()
    history = fit(model, batches, steps=0)
    assert same(model.state_dict(), Plain().state_dict())
    assert history.losses == {}
    with pytest.raises(KeyError, match="none, as no step was made, got 'loss'"):
        history.last()


def test_noise_is_drawn_for_each_slice():
    torch.manual_seed(0)
    seen = []

    class Seen(Noisy):
        def loss(self, batch, *, phase="main", generator=None):
            seen.append(torch.rand(3, generator=generator.clone_state()))
            return super().loss(batch, phase=phase, generator=generator)

    fit(Seen(), batches, steps=3, accumulate=2)
    assert len(torch.stack(seen).unique(dim=0)) == 6
