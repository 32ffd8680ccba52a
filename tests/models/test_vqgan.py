"""The adversary: hinge, patches, the adaptive weight, and when it begins to count."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.vqgan import (
    DELTA,
    VQGAN,
    Patches,
    adaptive_weight,
    feature_distance,
    hinge_loss,
)


def make(**change):
    torch.manual_seed(0)
    return VQGAN(replace(VQGAN.TINY, **change))


def batch_of(model, n=4):
    return VQGAN.example_batch(model.config, n, generator=generator(1))


def learned(model, phase="generator"):
    """Gradients of one player."""
    model.zero_grad()
    model.loss(batch_of(model), phase=phase)["loss"].backward()
    return [p.grad.clone() for p in model.trainable(phase)]


def test_hinge_asks_for_a_margin_and_no_more():
    sure = torch.tensor([2.0, 5.0])
    assert hinge_loss(sure, -sure) == 0
    assert hinge_loss(torch.zeros(3), torch.zeros(3)) == 1
    real = torch.tensor([0.5, 3.0])
    fake = torch.tensor([-3.0, 0.0])
    # (0.5 + 0) / 2 and (0 + 1) / 2, halved
    assert hinge_loss(real, fake) == pytest.approx(0.5 * (0.25 + 0.5))
    assert hinge_loss(fake, real) > hinge_loss(real, fake)  # swapped sides


def test_a_logit_sees_its_patch_of_sixteen_pixels_and_nothing_else():
    torch.manual_seed(0)
    judge = Patches(3, width=8, layers=1)
    image = torch.randn(1, 3, 32, 32, generator=generator(0), requires_grad=True)
    judge(image)[0, 0, 7, 7].backward()
    seen = image.grad.abs().sum((0, 1)) > 0
    rows = seen.any(1).nonzero()[:, 0]
    assert len(rows) == 16 and rows.max() - rows.min() == 15


def toy():
    """Two losses of one weight."""
    last = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    return last, last.square().sum(), (last * torch.tensor([1.0, 0.0])).sum()


def test_the_adaptive_weight_is_the_ratio_of_the_lengths_of_two_gradients():
    last, judged, fooled = toy()
    weight = adaptive_weight(judged, fooled, last)
    assert weight == pytest.approx(10 / (1 + DELTA))
    assert not weight.requires_grad


def balanced(name):
    """Length of the adversary's part of a layer's gradient, by that of the rest."""
    model = make()
    model.codebook.eval()  # codes that move would change the gradient, too
    # loud enough that delta is small beside the gradient
    model.discriminator.steps[-1].weight.data *= 100
    found = {}
    for share in (1.0, 0.0):
        model.config = replace(model.config, adversarial=share)
        learned(model)
        found[share] = dict(model.decoder.named_parameters())[name].grad.clone()
    return ((found[1.0] - found[0.0]).norm() / found[0.0].norm()).item()


def test_the_weight_is_measured_at_the_last_layer_of_the_decoder():
    weights = [n for n, p in make().decoder.named_parameters() if p.ndim == 4]
    assert balanced(weights[-1]) == pytest.approx(1, abs=0.005)
    assert abs(balanced(weights[0]) - 1) > 0.015


def test_the_weight_is_never_above_ten_thousand():
    last, judged, fooled = toy()
    assert adaptive_weight(judged, 1e-12 * fooled, last) == 1e4


def test_a_judge_ten_times_as_loud_changes_nothing():
    model, found = make(), []
    model.codebook.eval()  # codes that move would change the gradient, too
    last = model.discriminator.steps[-1]
    for times in (100, 10):  # loud enough that delta is small beside the gradient
        last.weight.data *= times
        found.append(learned(model))
    before = found[0]
    assert all(
        torch.allclose(a, b, rtol=0.02, atol=1e-4) for a, b in zip(*found, strict=True)
    )
    # and it does count: without it the gradients differ
    model.config = replace(model.config, adversarial=0.0)
    silent = learned(model)
    assert not all(
        torch.allclose(a, b, atol=1e-4) for a, b in zip(before, silent, strict=True)
    )


def test_before_the_start_the_players_train_as_if_there_were_no_adversary():
    late, silent = make(start=2), make(adversarial=0.0)
    pairs = zip(learned(late), learned(silent), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert all(g.abs().sum() == 0 for g in learned(late, "discriminator"))
    for step in range(2):
        late.after_step(step, phase="discriminator")
        late.after_step(step, phase="generator")
        assert late.counts() == step  # 0 after one step, 1 after two
    assert any(g.abs().sum() > 0 for g in learned(late, "discriminator"))
    pairs = zip(learned(late), learned(silent), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_each_player_leaves_the_other_alone():
    model = make()
    model.zero_grad()
    model.loss(batch_of(model), phase="discriminator")["loss"].backward()
    assert all(p.grad is None for p in model.decoder.parameters())


def test_the_codes_move_in_the_turn_of_the_generator_only():
    model = make().eval()
    model.discriminator.train()
    before = model.codebook.codes.clone()
    model.loss(batch_of(model), phase="discriminator")
    assert torch.equal(model.codebook.codes, before)
    model.codebook.train()
    model.loss(batch_of(model), phase="generator")
    assert not torch.equal(model.codebook.codes, before)


def test_features_are_compared_by_direction():
    one = torch.randn(2, 4, 3, 3, generator=generator(0))
    assert feature_distance([one], [5 * one]) < 1e-10
    assert feature_distance([one], [-one]) == pytest.approx(4)
    assert feature_distance([one, one], [-one, -one]) == pytest.approx(8)


def test_features_count_only_where_a_net_gives_them_and_are_not_saved():
    model = make()
    image = batch_of(model)["image"]
    plain = model.distance(0.5 * image, image)
    assert plain == pytest.approx(0.5 * image.abs().mean().item())
    model.perceive_with(torch.nn.Conv2d(3, 5, 3))
    names = list(model.state_dict())
    model.perceive_with(lambda x: [x])
    assert list(model.state_dict()) == names == list(make().state_dict())
    assert model.distance(-image, image) > model.distance(image, image)
