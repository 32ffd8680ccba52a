"""VQGAN+CLIP: distance, gradients that pass or not, cut-outs, growth, a led sampler."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import vqgan_clip as vc
from mmdl_lib.models.clip import CLIP
from mmdl_lib.models.vqvae import MovingVQVAE
from mmdl_lib.nn.diffusion import Diffusion


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    clip, model = (
        CLIP.from_preset("tiny").eval(),
        MovingVQVAE.from_preset("tiny").eval(),
    )
    for p in [*clip.parameters(), *model.parameters()]:
        p.requires_grad_(False)
    return clip, model


def judge_of(clip, **how):
    text = F.normalize(torch.randn(2, 64, generator=generator(5)), dim=-1)
    return vc.critic(clip, text, **how), text


# the distance


def test_the_distance_is_half_of_the_squared_angle_from_zero_to_its_greatest():
    angle = torch.linspace(0, math.pi, 7)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    found = vc.spherical(3 * x, torch.tensor([[5.0, 0.0]]).expand(7, 2))
    assert torch.allclose(found, angle.square() / 2, atol=2e-2)
    assert torch.allclose(found[:6], (angle.square() / 2)[:6], atol=1e-5)
    assert found[0] == 0 and abs(found[6] - math.pi**2 / 2) < 2e-2


def test_the_distance_has_a_gradient_also_at_its_greatest():
    x = torch.tensor([[-1.0, 0.0]], requires_grad=True)
    vc.spherical(x, torch.tensor([[1.0, 0.0]])).sum().backward()
    assert x.grad.isfinite().all()


# the clamp


@pytest.mark.parametrize(
    ("value", "grad", "passes"),
    [(0.3, 1, 1), (0.3, -1, 1), (2, 1, 1), (2, -1, 0), (-2, -1, 1), (-2, 1, 0)],
)
def test_only_gradients_that_lead_back_pass_the_clamp(value, grad, passes):
    x = torch.tensor([float(value)], requires_grad=True)
    y = vc.clamp_with_grad(x, -1, 1)
    assert y.item() == max(-1, min(1, value)) or abs(y.item() - value) < 1e-6
    y.backward(torch.tensor([float(grad)]))
    assert x.grad.item() == grad * passes
    # what leads back, as a step against the gradient, makes x smaller in size
    if abs(value) > 1:
        assert passes == (abs(value - 0.1 * grad) < abs(value))


def test_a_plain_clamp_would_never_let_a_pixel_come_back():
    x = torch.tensor([2.0], requires_grad=True)
    x.clamp(-1, 1).backward(torch.tensor([1.0]))
    assert x.grad == 0


# cut-outs


def test_cuts_have_the_asked_size_and_show_parts_of_the_picture():
    image = torch.rand(2, 3, 40, 48, generator=generator(1))
    found = vc.cut_outs(image, 5, 16, least=16, generator=generator(0))
    assert found.shape == (10, 3, 16, 16)
    assert found.amax() <= image.amax() and found.amin() >= image.amin()
    ramp = torch.arange(48.0).expand(1, 1, 48, 48)
    lines = vc.cut_outs(ramp, 40, 48, least=20, generator=generator(0))
    # lines rise to the right in every cut, and places and sizes differ
    assert (lines.diff(dim=-1) >= 0).all()
    width = lines[:, 0, 0, -1] - lines[:, 0, 0, 0]
    assert width.min() < 26 and width.max() > 40
    assert lines[:, 0, 0, 0].unique().numel() > 10


def test_rows_stay_together_cut_by_cut():
    image = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    found = vc.cut_outs(image, 3, 8, least=4, generator=generator(0))
    assert found.flatten(1).mean(1).tolist() == [0, 1] * 3


def test_a_cut_as_large_as_the_picture_is_the_picture_and_noise_is_added_when_asked():
    image = torch.rand(1, 3, 8, 8, generator=generator(1))
    assert torch.equal(vc.cut_outs(image, 1, 8), image)
    loud = vc.cut_outs(image, 1, 8, noise=0.5, generator=generator(0))
    assert not torch.equal(loud, image)


def test_a_cut_is_made_smaller_by_means_and_not_by_leaving_pixels_out():
    image = torch.rand(2, 3, 8, 8, generator=generator(1))
    found = vc.cut_outs(image, 1, 4, least=8, generator=generator(0))
    assert torch.allclose(found, F.avg_pool2d(image, 2), atol=1e-6)


def test_a_power_above_one_makes_small_cuts_likelier():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)

    def width(power):
        how = {"least": 8, "power": power, "generator": generator(0)}
        cut = vc.cut_outs(ramp, 200, 32, **how)
        return (cut[:, 0, 0, -1] - cut[:, 0, 0, 0]).mean()

    assert width(3) < width(1) - 4


def test_more_cuts_lower_the_variance_of_the_gradient(nets):
    clip, _ = nets
    image = 2 * torch.rand(1, 3, 32, 32, generator=generator(1)) - 1

    def spread(cuts):
        found = []
        for seed in range(12):
            judge, _ = judge_of(clip, cuts=cuts, least=16, generator=generator(seed))
            x = image.clone().requires_grad_()
            found.append(torch.autograd.grad(judge(x).sum(), x)[0])
        return torch.stack(found).var(0).sum()

    assert 4 < spread(1) / spread(8) < 16  # 8 if the cuts were all


# the judge


def test_a_judge_sums_its_prompts_by_weight_and_a_negative_one_pushes_away(nets):
    clip, _ = nets
    image = 2 * torch.rand(3, 3, 32, 32, generator=generator(1)) - 1
    both, text = judge_of(clip, weight=(1.0, -0.5), cuts=0)
    far = [vc.critic(clip, text[i : i + 1], cuts=0)(image) for i in (0, 1)]
    assert torch.allclose(both(image), far[0] - 0.5 * far[1], atol=1e-6)
    told = clip.features(image) @ text[0]
    assert torch.allclose(far[0], told.acos().square() / 2, atol=1e-4)


def test_another_number_of_weights_is_refused(nets):
    with pytest.raises(ValueError, match="expected 2 weights, got 3"):
        judge_of(nets[0], weight=(1.0, 2.0, 3.0))


def test_the_mean_over_cuts_is_that_of_each_picture(nets):
    clip, _ = nets
    image = 2 * torch.rand(3, 3, 32, 32, generator=generator(1)) - 1
    judge, text = judge_of(clip, cuts=4, least=16, generator=generator(2))
    cuts = vc.cut_outs(image, 4, 32, least=16, generator=generator(2))
    far = vc.critic(clip, text, cuts=0)(cuts).reshape(4, 3).mean(0)
    assert torch.allclose(judge(image), far, atol=1e-6)


# growth


def red(image):
    return (
        (image - torch.tensor([1.0, -1.0, -1.0])[:, None, None])
        .square()
        .mean((1, 2, 3))
    )


def test_growth_lowers_what_the_judge_says_with_the_nets_standing_still(nets):
    _, model = nets
    before = {k: v.clone() for k, v in model.state_dict().items()}
    z, told = vc.begin(model, 2, generator=generator(0)), []
    kept = z.clone()
    image = vc.grow(
        model, z, red, steps=40, lr=0.05, watch=lambda *x: told.append(x[2])
    )
    assert (red(image) < told[0]).all() and len(told) == 40
    assert torch.equal(z, kept)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_what_is_shown_are_codes_and_vectors_stay_in_their_box(nets):
    _, model = nets
    z = vc.begin(model, grid=5, generator=generator(0))
    assert z.shape == (1, 5, 5, 4)
    codes = model.codebook.codes
    q = model.codebook(z + 0.01)[0]
    assert torch.allclose(
        vc.picture(model, z + 0.01), model.decoded(q).clamp(-1, 1), atol=1e-6
    )
    seen = []

    def away(image):  # a judge that pulls the vectors out of the box
        return -image.square().sum((1, 2, 3))

    old = vc.picture
    try:
        vc.picture = lambda m, x: (seen.append(x.detach().clone()), old(m, x))[1]
        vc.grow(model, z, away, steps=15, lr=1.0)
    finally:
        vc.picture = old
    last = seen[-1].reshape(-1, 4)
    assert (last <= codes.amax(0) + 1e-6).all() and (last >= codes.amin(0) - 1e-6).all()


def test_pixels_beyond_the_border_still_pull_their_vectors_back(nets, monkeypatch):
    _, model = nets
    old = model.decoded
    monkeypatch.setattr(model, "decoded", lambda q: 99 * old(q))
    z = vc.begin(model, generator=generator(0)).requires_grad_()
    image = vc.picture(model, z)
    outside = (image.abs() == 1).float()
    assert outside.sum() > 9
    (grad,) = torch.autograd.grad((image * outside).square().sum(), z)
    assert grad.abs().sum() > 0


def test_a_picture_can_be_the_beginning(nets):
    _, model = nets
    image = 2 * torch.rand(2, 3, 8, 8, generator=generator(1)) - 1
    assert torch.equal(vc.begin(model, image=image), model.vectors(image))
    with pytest.raises(ValueError, match="-1"):
        vc.begin(model, image=3 * image)


# the led sampler


@pytest.mark.parametrize("target", ["noise", "x0", "v"])
def test_guidance_of_zero_changes_nothing(target):
    process = Diffusion("cosine", 20, target=target)
    x = torch.randn(2, 3, 4, 4, generator=generator(0))
    step = torch.tensor([9, 9])

    def net(x, step):
        return 0.3 * x

    led = vc.steered(net, process, red, 0)(x, step)
    assert torch.allclose(led, net(x, step), atol=1e-5)


@pytest.mark.parametrize("target", ["noise", "x0", "v"])
def test_guidance_is_the_score_of_a_tilted_gaussian(target):
    # pictures N(0, 1), a judge (x0 - 1)^2 / 2 of single numbers: with x0 known to be
    # signal x, the led noise is noise + spread s (x0 - 1) signal; the judge sees x0 cut
    # to [-1, 1], and the gradient below the border still leads back
    process = Diffusion("cosine", 20, target=target)
    x, step = torch.tensor([[-3.0], [-0.4], [0.2], [0.6], [3.0]]), torch.full((5,), 9)
    signal, spread = process.level(9)

    def net(x, step):
        return process.goal(signal * x, step, spread * x)

    def judge(x0):
        return (x0 - 1).square().sum(1) / 2

    scale, x0 = 0.7, signal * x
    assert x0[0] < -1 < x0[1] < x0[3] < 1 < x0[4]
    led = process.noise(vc.steered(net, process, judge, scale)(x, step), x, step)
    wanted = spread * x + scale * spread * (x0.clamp(-1, 1) - 1) * signal
    assert torch.allclose(led, wanted, atol=1e-4)


def test_a_led_sampler_gives_pictures_that_the_judge_likes_more():
    process = Diffusion("cosine", 50, target="x0")

    def net(x, step):  # of pictures N(0, 0.2^2)
        signal, spread = process.at(step, x)
        return x * signal * 0.04 / (signal**2 * 0.04 + spread**2)

    x = torch.randn(6, 3, 4, 4, generator=generator(0))
    free, led = (
        process.sample(vc.steered(net, process, red, s), x, steps=25) for s in (0, 200)
    )
    assert (red(led) < red(free)).all()


def test_a_negative_scale_is_refused():
    with pytest.raises(ValueError, match="scale"):
        vc.steered(lambda x, step: x, Diffusion("cosine", 20), red, -1)
