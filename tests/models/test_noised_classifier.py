"""A classifier that has seen noise: its log p, the slope of it, and who is guided."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.ddpm import toward
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.noised_classifier import NoisedClassifier


def make():
    torch.manual_seed(0)
    model = NoisedClassifier.from_preset("tiny").eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=5):
    return NoisedClassifier.example_batch(model.config, n, generator=generator(1))


def test_log_p_is_that_of_all_labels_and_their_probabilities_sum_to_one():
    model, batch = make(), batch_of(make())
    total = torch.zeros(5)
    for color in range(3):
        for shape in range(2):
            pull = model.log_p(torch.tensor([[color, shape]] * 5))
            total += pull(batch["image"], batch["step"]).exp()
    assert torch.allclose(total, torch.ones(5), atol=1e-5)


def test_what_is_not_told_is_not_asked():
    model, batch = make(), batch_of(make())
    given, label = (batch["image"], batch["step"]), batch["label"]
    color, shape = label.clone(), label.clone()
    color[:, 1], shape[:, 0] = -1, -1
    parts = [model.log_p(told)(*given) for told in (color, shape)]
    assert torch.allclose(sum(parts), model.log_p(label)(*given), atol=1e-6)
    scores = model(*given)[0].log_softmax(1)
    assert torch.allclose(parts[0], scores.gather(1, label[:, :1])[:, 0], atol=1e-6)
    assert (model.log_p(torch.full_like(label, -1))(*given) == 0).all()


def test_the_step_is_heard():
    model, batch = make(), batch_of(make())
    one, two = (model(batch["image"], torch.full((5,), s))[0] for s in (0, 40))
    assert (one - two).abs().max() > 1e-3


def test_the_slope_of_log_p_is_that_of_finite_differences():
    model, batch = make().double(), batch_of(make(), 3)
    x, step = batch["image"].double(), batch["step"]
    pull, h = model.log_p(batch["label"]), 1e-4
    here = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(pull(here, step).sum(), here)
    way = torch.randn(x.shape, generator=generator(2), dtype=torch.double)
    rise = (pull(x + h * way, step) - pull(x - h * way, step)) / (2 * h)
    assert torch.allclose((slope * way).flatten(1).sum(1), rise, rtol=1e-5, atol=1e-9)
    assert rise.abs().min() > 1e-4


def test_what_is_drawn_moves_up_that_slope_by_the_formula():
    """The noise said loses spread x scale x slope, by finite differences."""
    model, batch = make().double(), batch_of(make(), 2)
    process, x, step = model.diffusion, batch["image"].double(), torch.tensor([9, 30])
    pull, h, at = model.log_p(batch["label"]), 1e-4, (1, 4, 2)
    got = toward(lambda x, step: torch.zeros_like(x), pull, process, 3)(x, step)
    bump = torch.zeros_like(x)
    bump[:, *at] = h
    slope = (pull(x + bump, step) - pull(x - bump, step)) / (2 * h)
    spread = process.spread[step].double()
    assert torch.allclose(got[:, *at], -3 * spread * slope, rtol=1e-5, atol=1e-8)


def test_scale_zero_is_not_guided_and_a_guided_draw_is_surer():
    torch.manual_seed(0)
    glide, model = GLIDE.from_preset("tiny").eval(), make()
    given = GLIDE.example_batch(glide.config, 8, generator=generator(4))
    given, label = (given["tokens"], given["mask"]), batch_of(model, 8)["label"]

    def drawn(**how):
        return glide.sample(*given, scale=0, steps=10, generator=generator(0), **how)

    pull = model.log_p(label)
    plain, none, much = drawn(), *(drawn(pull=pull, pull_scale=s) for s in (0, 5))
    assert torch.equal(plain, none)
    with torch.no_grad():
        before, after = (pull(x, torch.zeros(8).long()) for x in (plain, much))
    assert (after - before).mean() > 0.1


@pytest.mark.parametrize("bad", [[3, 0], [0, 2], [-2, 0]])
def test_a_label_that_is_no_class_is_refused(bad):
    model, batch = make(), batch_of(make(), 2)
    label = torch.tensor([[0, 0], bad])
    with pytest.raises(ValueError, match="label [01] expected"):
        model.log_p(label)
    with pytest.raises(ValueError, match="label [01] expected"):
        model.loss(batch | {"label": label})


def test_one_label_for_each_head_and_each_picture():
    model, batch = make(), batch_of(make(), 2)
    for label in (batch["label"][:, :1], batch["label"].repeat(1, 2)):
        with pytest.raises(ValueError, match="label expected"):
            model.log_p(label)
    with pytest.raises(ValueError, match="image expected"):
        model.loss(batch | {"image": batch["image"][:1]})
    with pytest.raises(ValueError, match="image expected"):
        model.loss(batch | {"image": 3 * batch["image"]})


def test_steps_of_a_batch_are_taken_and_otherwise_drawn():
    model, batch = make(), batch_of(make())
    seen, forward = [], model.forward
    model.forward = lambda x, step: seen.append(step) or forward(x, step)
    model.loss(batch | {"step": torch.arange(5)})
    del batch["step"]
    model.loss(batch, generator=generator(0))
    assert seen[0].tolist() == [0, 1, 2, 3, 4]
    assert sorted((seen[1] // 10).tolist()) == [0, 1, 2, 3, 4]


def test_the_loss_is_minus_log_p_of_the_noisy_picture():
    model, batch = make(), batch_of(make())
    got = model.loss(batch, generator=generator(7))["loss"]
    noise = torch.randn(batch["image"].shape, generator=generator(7))
    x = model.diffusion.q_sample(batch["image"], batch["step"], noise)
    scores = [part.log_softmax(1) for part in model(x, batch["step"])]
    own = [
        s.gather(1, y[:, None]) for s, y in zip(scores, batch["label"].T, strict=True)
    ]
    assert torch.allclose(got, -sum(own).mean(), atol=1e-6)
