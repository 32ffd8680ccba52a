"""BYOL: the loss in both forms, who gets gradients, how the target moves."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.byol import (
    BYOL,
    TINY,
    BYOLConfig,
    decay_rate,
    regression_loss,
)


def fresh(seed=0, **changes):
    torch.manual_seed(seed)
    return BYOL(replace(TINY, **changes))


def batch(model, n=6, seed=1):
    return BYOL.example_batch(model.config, n, generator=generator(seed))


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def step(model, seed=1):
    optimizer = torch.optim.SGD(model.trainable(), lr=0.1)
    model.loss(batch(model, seed=seed))["loss"].backward()
    optimizer.step()


def test_the_two_forms_of_the_loss_agree_and_lengths_do_not_matter():
    g = generator(0)
    q, z = torch.randn(2, 50, 7, generator=g).double()
    distance = (q / q.norm(dim=1, keepdim=True) - z / z.norm(dim=1, keepdim=True)) ** 2
    assert torch.allclose(regression_loss(q, z), distance.sum(1), atol=1e-12)
    assert torch.allclose(regression_loss(3 * q, 0.1 * z), regression_loss(q, z))


def test_the_loss_is_0_2_and_4_for_equal_orthogonal_and_opposite_directions():
    q = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    z = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    assert regression_loss(q, z).tolist() == pytest.approx([0, 2, 4])


def test_tau_rises_from_its_base_to_one_along_half_a_cosine():
    assert decay_rate(0, 0.996, 1000) == pytest.approx(0.996)
    assert decay_rate(500, 0.996, 1000) == pytest.approx(0.998)
    assert decay_rate(250, 0.9, 1000) == pytest.approx(
        1 - 0.1 * (math.cos(math.pi / 4) + 1) / 2
    )
    assert decay_rate(1000, 0.996, 1000) == decay_rate(2000, 0.996, 1000) == 1
    assert decay_rate(7, 0.9, None) == 0.9


def test_the_target_keeps_tau_of_itself_and_takes_the_rest_from_the_online_net():
    model = fresh(tau=0.9)
    target, online = (n.projector[2].bias.data for n in (model.target, model.online))
    target.copy_(torch.arange(32.0)), online.fill_(10.0)
    model.after_step(0)
    assert target.tolist() == pytest.approx([0.9 * i + 1 for i in range(32)])
    assert (online == 10).all()


def test_the_average_over_many_steps_is_an_exponential_one():
    model = fresh(tau=0.8)
    theta = model.online.projector[2].weight
    start = model.target.projector[2].weight.clone()
    values = []
    for i in range(5):
        theta.data.normal_(generator=generator(i))
        values.append(theta.detach().clone())
        model.after_step(i)
    shares = [0.2 * 0.8 ** (4 - i) for i in range(5)]
    right = 0.8**5 * start + sum(s * v for s, v in zip(shares, values, strict=True))
    assert torch.allclose(model.target.projector[2].weight, right, atol=1e-6)


def test_the_target_has_no_gradient_and_moves_only_after_a_step():
    model = fresh()
    before, online = weights(model.target), weights(model.online)
    step(model)
    assert all(p.grad is None for p in model.target.parameters())
    assert all(not p.requires_grad for p in model.target.parameters())
    assert equal(weights(model.target), before)
    assert not equal(weights(model.online), online)
    model.after_step(0)
    assert not equal(weights(model.target), before)


def test_tau_one_keeps_the_target_and_tau_zero_copies_the_online_net():
    for tau in (0.0, 1.0):
        model = fresh(tau=tau)
        before = weights(model.target)
        step(model)
        model.after_step(0)
        kept = before if tau == 1 else weights(model.online)
        assert equal(weights(model.target), kept)


def test_the_gradient_is_that_of_a_loss_whose_target_is_a_constant():
    model = fresh()
    views = batch(model)
    constant = [model.target(views[v]).detach().clone() for v in ("view2", "view1")]
    loss = 0
    for name, z in zip(("view1", "view2"), constant, strict=True):
        q = model.predictor(model.online(views[name]))
        loss = loss + (2 - 2 * torch.cosine_similarity(q, z)).mean()
    right = torch.autograd.grad(loss, model.trainable())
    found = torch.autograd.grad(model.loss(views)["loss"], model.trainable())
    for a, b in zip(found, right, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_without_stop_gradient_both_sides_are_pulled():
    model = fresh(target="shared", predictor="none")
    assert model.target is None
    views = batch(model)
    one, other = (model.online(views[v]) for v in ("view1", "view2"))
    loss = 2 * regression_loss(one, other).mean()
    assert torch.allclose(model.loss(views)["loss"], loss, atol=1e-6)
    right = torch.autograd.grad(loss, model.trainable())
    found = torch.autograd.grad(model.loss(views)["loss"], model.trainable())
    for a, b in zip(found, right, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_symmetric_loss_does_not_care_which_view_comes_first():
    model = fresh()
    views = batch(model)
    swapped = {"view1": views["view2"], "view2": views["view1"]}
    assert torch.allclose(model.loss(views)["loss"], model.loss(swapped)["loss"])


def test_the_one_sided_loss_is_the_first_half_of_the_symmetric_one():
    views = batch(fresh())
    both, one = fresh().loss(views), fresh(symmetric=False).loss(views)
    assert torch.allclose(one["loss"], both["view1_to_view2"])
    assert torch.allclose(both["loss"], one["loss"] + both["view2_to_view1"])
    assert both["view1_to_view2"] != both["view2_to_view1"]


def test_without_predictor_the_prediction_is_the_projection():
    model = fresh(predictor="none").eval()
    views = batch(model)
    out = model(views["view1"], views["view2"])
    assert torch.equal(out.prediction, model.project(views["view1"]))


def test_bootstrapping_hands_the_online_net_over_as_target():
    old, new = fresh(0), fresh(1, tau=1.0)
    step(old)
    new.bootstrap_from(old)
    image = batch(new)["image"]
    with torch.no_grad():
        old.eval(), new.eval()
        assert torch.equal(new.encode_target(image), old.encode_image(image))
        assert not torch.allclose(new.encode_image(image), old.encode_image(image))
    assert equal(weights(new.target), weights(old.online))
    with pytest.raises(ValueError, match="got one that is shared"):
        fresh(target="shared").bootstrap_from(old)


@pytest.mark.parametrize(
    ("name", "millions"),
    # Table 1; the paper counts the encoder without projector and predictor
    [("ResNet-50", 24), ("ResNet-50 (2x)", 94), ("ResNet-50 (4x)", 375)]
    + [("ResNet-200 (2x)", 250)],
)
def test_encoders_have_the_size_that_the_paper_prints(name, millions):
    with torch.device("meta"):
        encoder = BYOL.from_preset(name).online.encoder
    whole = sum(p.numel() for p in encoder.parameters())
    head = sum(p.numel() for p in encoder.classifier.parameters())
    assert round((whole - head) / 1e6) == pytest.approx(millions, abs=1)


def test_heads_have_the_widths_of_section_3_3():
    with torch.device("meta"):
        model = BYOL(BYOLConfig())
    layers = [
        (m.in_features, m.out_features)
        for part in (model.online, model.predictor)
        for m in part.modules()
        if isinstance(m, nn.Linear)
    ]
    assert layers == [(2048, 4096), (4096, 256), (256, 4096), (4096, 256)]
    # "contrary to SimCLR, the output of this MLP is not batch normalized"
    for part in (model.online.projector, model.predictor):
        assert [type(m).__name__ for m in part][-3:] == [
            "BatchNorm1d",
            "ReLU",
            "Linear",
        ]


def test_a_tau_outside_of_zero_and_one_is_named():
    with pytest.raises(ValueError, match="tau from 0 to 1, got 1.5"):
        fresh(tau=1.5)
