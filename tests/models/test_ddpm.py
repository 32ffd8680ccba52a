"""DDPM: its loss, its steps, and guidance by a gradient where all is known exactly."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.ddpm import DDPM, toward
from mmdl_lib.nn.diffusion import Diffusion, guided


def make(name="tiny", **changes):
    torch.manual_seed(0)
    model = DDPM(replace(DDPM.PRESETS[name], **changes)).eval()
    for parameter in model.parameters():  # the last layer begins at zero
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator(3))
    return model


def test_the_papers_net_for_cifar_has_35_7_million_parameters():
    with torch.device("meta"):
        model = DDPM.from_preset("cifar10")
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 35.7
    assert model.config.steps == 1000 and model.config.net.dropout == 0.1


@pytest.mark.parametrize("target", ["noise", "x0", "v"])
def test_the_loss_is_a_mean_of_squares_said_once_more(target):
    model = make(target=target)
    batch = DDPM.example_batch(model.config, 6, generator=generator(1))
    got = model.loss(batch, generator=generator(5))["loss"]
    random = generator(5)
    step = model.diffusion.draw(6, generator=random)
    noise = torch.randn(batch["image"].shape, generator=random)
    x = model.diffusion.q_sample(batch["image"], step, noise)
    wanted = F.mse_loss(
        model(x, step), model.diffusion.goal(batch["image"], step, noise)
    )
    assert torch.isclose(got, wanted)


def test_a_new_net_pays_one_for_noise_as_it_says_nothing():
    torch.manual_seed(0)
    model = DDPM.from_preset("tiny")
    batch = DDPM.example_batch(model.config, 64, generator=generator(1))
    # 12,288 squares of noise: four standard errors
    loss = model.loss(batch, generator=generator(0))["loss"]
    assert abs(loss - 1) < 4 * (2 / 12_288) ** 0.5


def test_pictures_outside_of_their_range_are_refused(as_a_reader):
    model = make()
    with pytest.raises(ValueError, match="pixels in \\[-1, 1\\]"):
        model.loss({"image": torch.full((2, 3, 8, 8), 2.0)})


def test_all_steps_are_taken_unless_fewer_are_asked_for():
    model, seen = make(), []
    net = model.net.forward

    def watch(x, step):
        seen.append(int(step[0]))
        return net(x, step)

    model.net.forward = watch
    model.sample(2)
    assert seen == list(range(49, -1, -1))
    seen.clear()
    model.sample(2, steps=5)
    assert seen == [49, 39, 29, 19, 9]


def test_ddpm_has_chance_in_its_steps_and_ddim_has_not():
    model = make()

    def spread(eta):
        """Of the pictures that one noise becomes."""
        random = generator(0)
        x = torch.randn(1, 3, 8, 8, generator=random).expand(5, -1, -1, -1)
        how = {"steps": 10, "eta": eta, "generator": random}
        return model.diffusion.sample(model, x, **how).std(0).mean()

    with torch.no_grad():
        assert spread(0.0) < 1e-5 and spread(1.0) > 0.05


# guidance by a gradient, where the world is two Gaussians and all scores are known

MEANS, SD = torch.tensor([-0.5, 0.5]), 0.2


class World:
    """Numbers of two classes, N(-.5, .2) and N(.5, .2), and what is true of them."""

    def __init__(self, target="noise"):
        self.process = Diffusion("linear", 200, target=target)

    def density(self, x, step):
        """log p(x_t, y) for both classes, (b, 2)."""
        a, s = self.process.at(step, x)
        variance = a**2 * SD**2 + s**2
        return -((x - a * MEANS) ** 2) / 2 / variance - variance.log() / 2

    def said(self, x, step, label=None):
        """What the best net says, of all or of one class."""
        with torch.enable_grad():
            here = x.detach().requires_grad_()
            log_p = self.density(here, step)
            log_p = log_p.logsumexp(1) if label is None else log_p[:, label]
            (score,) = torch.autograd.grad(log_p.sum(), here)
        a, s = self.process.at(step, x)
        noise = -s * score
        x0 = (x - s * noise) / a
        return {"noise": noise, "x0": x0, "v": a * noise - s * x0}[self.process.target]

    def classifier(self, label):
        return lambda x, step: self.density(x, step).log_softmax(1)[:, label]


POINTS = torch.linspace(-1.5, 1.5, 31)[:, None]


@pytest.mark.parametrize("target", ["noise", "x0", "v"])
@pytest.mark.parametrize("place", [10, 100, 190])
def test_a_true_classifier_at_scale_one_makes_the_score_of_its_class(target, place):
    world = World(target)
    step = torch.full((31,), place)
    net = toward(world.said, world.classifier(1), world.process, 1)
    wanted = world.said(POINTS, step, 1)
    assert torch.allclose(net(POINTS, step), wanted, rtol=1e-3, atol=1e-3)
    # the wrong version: the other sign
    less = toward(world.said, lambda x, s: -world.classifier(1)(x, s), world.process, 1)
    if place < 190:  # in nearly pure noise a classifier says nothing
        assert not torch.allclose(less(POINTS, step), wanted, rtol=0.1, atol=1e-2)


@pytest.mark.parametrize("scale", [0.5, 2.0, 4.0])
def test_a_classifier_and_no_classifier_are_one_guidance_where_both_are_exact(scale):
    """log p(y | x) = log p(x | y) - log p(x) + constant, so the two say the same."""
    world, step = World(), torch.full((31,), 90)
    by_gradient = toward(world.said, world.classifier(1), world.process, scale)
    told, empty = world.said(POINTS, step, 1), world.said(POINTS, step)
    free = guided(told, empty, scale)
    assert torch.allclose(by_gradient(POINTS, step), free, atol=1e-4)


def test_guided_draws_are_of_their_class_and_narrower_with_scale():
    world, spreads = World(), []
    x = torch.randn(2000, 1, generator=generator(0))
    for scale in (0, 1, 4):
        net = toward(world.said, world.classifier(1), world.process, scale)
        drawn = world.process.sample(net, x, steps=200, settle=lambda x0: x0)
        spreads.append(drawn.std().item())
        share = (drawn > 0).double().mean()
        assert abs(share - 0.5) < 0.04 if scale == 0 else share > 0.98
    # at 1 the class itself, whose deviation is .2
    assert abs(spreads[1] - SD) < 0.02 and spreads[2] < 0.9 * spreads[1] < spreads[0]


def test_the_gradient_is_that_of_finite_differences():
    world, step = World(), torch.full((31,), 60)
    pull, h = world.classifier(0), 1e-2
    slope = (pull(POINTS + h, step) - pull(POINTS - h, step)) / (2 * h)
    got = toward(world.said, pull, world.process, 2)(POINTS, step)
    spread = world.process.spread[60]
    wanted = world.said(POINTS, step) - spread * 2 * slope[:, None]
    assert torch.allclose(got, wanted, atol=2e-3)


def test_a_scale_of_zero_is_the_net_itself_and_a_negative_one_is_refused():
    world = World()
    assert toward(world.said, world.classifier(0), world.process, 0) == world.said
    with pytest.raises(ValueError, match="scale expected"):
        toward(world.said, world.classifier(0), world.process, -1)


def test_rows_are_pulled_each_by_its_own_gradient():
    world, step = World(), torch.full((4,), 60)
    x = torch.tensor([[0.1], [0.2], [-0.3], [0.9]])
    net = toward(world.said, world.classifier(1), world.process, 3)
    alone = torch.cat([net(x[i : i + 1], step[:1]) for i in range(4)])
    assert torch.allclose(net(x, step), alone, atol=1e-6)


def test_sampling_with_a_pull_needs_no_grad_mode_of_the_caller():
    model = make()
    with torch.no_grad():
        image = model.sample(
            2, steps=4, pull=lambda x, step: x.mean((1, 2, 3)), scale=50.0,
            eta=0, generator=generator(0),
        )  # fmt: skip
        plain = model.sample(2, steps=4, eta=0, generator=generator(0))
    assert image.mean() > plain.mean() + 0.01
    assert math.isfinite(image.sum())
