"""DINO: the center, the two temperatures, the teacher, the paper's sizes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.dino import DINO, TINY, Center, cross_entropy, opinions


def fresh(**changes):
    torch.manual_seed(0)
    return DINO(replace(TINY, **changes))


def batch(model, n=6):
    return DINO.example_batch(model.config, n, generator=generator(1))


def test_the_center_is_used_first_and_then_moved():
    center = Center(2, 0.9)
    first, second = torch.tensor([[1.0, 3.0], [3.0, 5.0]]), torch.ones(1, 2)
    assert torch.equal(center(first), first)
    assert center.center.tolist() == pytest.approx([0.2, 0.4])
    assert center(second)[0].tolist() == pytest.approx([0.8, 0.6])
    assert center.center.tolist() == pytest.approx([0.28, 0.46])


def test_the_center_rests_in_eval_mode_and_with_rate_one():
    for center in (Center(2, 0.9).eval(), Center(2, 1.0)):
        center(torch.ones(3, 2))
        assert not center.center.any()


def test_low_temperatures_sharpen():
    score = torch.tensor([[1.0, 0.0]])
    hot, cold = (opinions(score, t).exp()[0, 0].item() for t in (1.0, 0.1))
    assert hot == pytest.approx(1 / (1 + math.exp(-1)))
    assert cold == pytest.approx(1 / (1 + math.exp(-10)))


def test_cross_entropy_by_hand_and_its_order():
    teacher, student = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    tiny = 1e-30  # log of zero is taken on the teacher's side only through exp
    log_teacher = (teacher + tiny).log()
    assert cross_entropy(log_teacher, student.log()).item() == pytest.approx(
        math.log(2)
    )
    # the other way round the student's zero would cost a lot
    assert cross_entropy(student.log(), log_teacher) > 30


def test_the_loss_is_the_pseudocode_of_the_paper():
    """Algorithm 1, written down anew, with a center that is already there."""
    model = fresh()
    model.center.center.normal_(generator=generator(2)).mul_(0.1)
    views = batch(model)
    x1, x2 = views["view1"], views["view2"]
    s1, s2 = model.student(x1), model.student(x2)
    t1, t2 = model.teacher(x1), model.teacher(x2)
    c = model.center.center.clone()

    def h(t, s):
        s = (s / 0.1).softmax(1)
        t = ((t - c) / 0.04).softmax(1)
        return -(t * s.log()).sum(1).mean()

    right = h(t1, s2) / 2 + h(t2, s1) / 2
    assert torch.allclose(model.loss(views)["loss"], right, atol=1e-5)
    moved = 0.9 * c + 0.1 * torch.cat([t1, t2]).mean(0)
    assert torch.allclose(model.center.center, moved, atol=1e-6)


def test_the_loss_is_entropy_plus_divergence():
    model = fresh()
    terms = model.loss(batch(model))
    assert torch.allclose(terms["loss"], terms["entropy"] + terms["divergence"])
    assert terms["divergence"] > 0
    assert 0 <= terms["entropy"] <= math.log(64)


def test_both_collapses_have_no_divergence_and_opposite_entropies():
    one_hot = opinions(torch.tensor([[9.0, 0, 0, 0]]).repeat(5, 1), 0.1)
    uniform = opinions(torch.zeros(5, 4), 0.1)
    for log_p, entropy in ((one_hot, 0.0), (uniform, math.log(4))):
        assert cross_entropy(log_p, log_p).item() == pytest.approx(entropy, abs=1e-5)


def test_the_teacher_has_no_gradient_and_follows():
    model = fresh(momentum=0.9)
    model.loss(batch(model))["loss"].backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    before = model.teacher.last.clone()
    model.student.last.data.add_(1.0)
    model.after_step(0)
    assert torch.allclose(model.teacher.last, before + 0.1, atol=1e-6)


def test_the_momentum_rises_to_one():
    model = fresh(momentum=0.5, steps=10)
    start = model.teacher.last.clone()
    model.student.last.data.add_(1.0)
    model.after_step(10)
    assert torch.equal(model.teacher.last, start)
    model.after_step(5)
    assert torch.allclose(model.teacher.last, start + 0.25, atol=1e-6)


def test_local_views_meet_the_teacher_only_as_students():
    torch.manual_seed(0)
    model = DINO.from_preset("tiny-multi-crop")
    views = batch(model)
    seen = []
    hook = model.teacher.register_forward_hook(lambda m, x, y: seen.append(x[0].shape))
    loss = model.loss(views)["loss"]
    hook.remove()
    assert [s[-1] for s in seen] == [16, 16]
    other = views | {"view3": views["view4"]}
    assert not torch.allclose(model.loss(other)["loss"], loss)


def test_student_and_teacher_start_alike_and_the_teacher_is_kept():
    model = fresh()
    image = batch(model)["image"]
    model.eval()
    with torch.no_grad():
        assert torch.equal(model.student(image), model.teacher(image))
        model.student.backbone.requires_grad_(False)
        model.student.last.zero_()
        before = model.encode_image(image)
        for p in model.student.backbone.parameters():
            p.zero_()
        assert torch.equal(model.encode_image(image), before)


def test_with_a_vit_there_is_no_batch_norm_and_all_parameters_learn():
    torch.manual_seed(0)
    model = DINO.from_preset("ViT-XS/4")
    assert not any(
        isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in model.modules()
    )
    model.loss(batch(model))["loss"].backward()
    assert all(p.grad is not None for p in model.trainable())


@pytest.mark.parametrize(
    ("name", "millions"),
    # Table 1, without the head
    [("ResNet-50", 23), ("ViT-S/16", 21), ("ViT-S/8", 21), ("ViT-B/16", 85)]
    + [("ViT-B/8", 85)],
)
def test_backbones_have_the_size_that_the_paper_prints(name, millions):
    with torch.device("meta"):
        backbone = DINO.from_preset(name).student.backbone
    whole = sum(p.numel() for p in backbone.parameters())
    last = backbone.head if "ViT" in name else backbone.classifier
    count = whole - sum(p.numel() for p in last.parameters())
    # the paper cuts off what follows the million
    assert math.floor(count / 1e6) == millions
