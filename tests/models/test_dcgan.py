"""DCGAN: shapes, start, and BatchNorm, which is where its traps are."""

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.dcgan import DCGAN, DCGANConfig, by_batch, channels
from mmdl_lib.models.gan import value


def fresh(**sizes):
    torch.manual_seed(0)
    return DCGAN(DCGANConfig(**{"image_size": 16, "noise": 8, "width": 8} | sizes))


def pictures(model, n=6):
    return DCGAN.example_batch(model.config, n, generator=generator(0))["image"]


def norms(net):
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("side", [8, 16, 32])
def test_pictures_of_all_sides_are_drawn_and_judged(side):
    model = fresh(image_size=side)
    drawn = model.sample(3, generator=generator(0))
    assert drawn.shape == (3, 3, side, side) and drawn.abs().max() <= 1
    assert model.judge(drawn).shape == (3,)


def test_channels_double_inward_and_the_paper_ends_at_1024():
    assert channels(DCGANConfig()) == [128, 256, 512, 1024]
    assert channels(DCGANConfig(image_size=8)) == [128]


def test_no_norm_stands_next_to_the_picture():
    model = fresh()
    assert len(norms(model.generator)) == 2 and len(norms(model.discriminator)) == 1
    assert isinstance(model.generator[-2], nn.ConvTranspose2d)
    assert isinstance(model.discriminator[1], nn.LeakyReLU)
    assert not norms(fresh(norm="none"))


def test_the_start_is_normal_with_deviation_0_02():
    for name, weight in fresh(width=32).named_parameters():
        if weight.ndim == 4 and weight.numel() > 5000:
            assert weight.std().item() == pytest.approx(0.02, rel=0.05), name


def test_by_batch_takes_the_batch_and_leaves_the_averages():
    model = fresh().eval()
    z = torch.randn(6, 8, generator=generator(1))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with by_batch(model.generator):
        inside = model.generate(z)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m.training or not m.track_running_stats for m in norms(model))
    assert not torch.allclose(model.generate(z), inside, atol=1e-3)
    assert torch.allclose(model.train().generate(z), inside)


def drawn_in_ds_turn(model, loss):
    """What D sees as drawn pictures while G is in eval mode, as in `fit`."""
    seen, judge = [], model.judge
    model.judge = lambda image: seen.append(image) or judge(image)
    model.generator.eval()
    loss(model)
    del model.judge
    return seen[-1]


def test_d_sees_pictures_as_g_draws_them_in_training():
    model = fresh()
    image = pictures(model)

    def ours(model):
        model.loss({"image": image}, phase="discriminator", generator=generator(1))

    def by_averages(model):
        model.judge(model.draw(6, generator(1)))

    seen = [drawn_in_ds_turn(model, loss) for loss in (ours, by_averages)]
    wanted = model.train().draw(6, generator(1))
    assert torch.allclose(seen[0], wanted, atol=1e-6)
    assert not torch.allclose(seen[1], wanted, atol=1e-3)


def test_g_learns_from_d_as_it_judges_in_training():
    model = fresh()

    def loss():
        given = {"phase": "generator", "generator": generator(1)}
        return model.loss({"image": pictures(model)}, **given)["loss"]

    wanted = loss()
    model.discriminator.eval()  # as in `fit`
    assert torch.equal(loss(), wanted)


def real_alone(loss):
    """Whether D's loss is that of real and drawn pictures judged apart."""
    model = fresh()
    image = pictures(model)
    wanted = -value(model.judge(image), model.judge(model.draw(6, generator(1))))
    return torch.isclose(loss(model, image), wanted, atol=1e-5)


def test_real_and_drawn_pictures_are_normed_apart():
    def ours(model, image):
        given = {"phase": "discriminator", "generator": generator(1)}
        return model.loss({"image": image}, **given)["loss"]

    def together(model, image):
        both = model.judge(torch.cat([image, model.draw(6, generator(1))]))
        return -value(both[:6], both[6:])

    assert real_alone(ours)
    assert not real_alone(together)


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_turn_moves_only_the_averages_of_the_player_whose_turn_it_is(phase):
    model = fresh()
    other = {"discriminator": "generator", "generator": "discriminator"}[phase]
    getattr(model, other).eval()
    before = [m.running_mean.clone() for m in norms(model)]
    model.loss({"image": pictures(model)}, phase=phase, generator=generator(1))
    moved = [
        not torch.equal(a, m.running_mean)
        for a, m in zip(before, norms(model), strict=True)
    ]
    assert moved == [phase == "generator"] * 2 + [phase == "discriminator"]


def test_in_ds_turn_g_gets_no_gradient():
    model = fresh()
    given = {"phase": "discriminator", "generator": generator(1)}
    model.loss({"image": pictures(model)}, **given)["loss"].backward()
    assert all(p.grad is not None for p in model.discriminator.parameters())
    assert all(p.grad is None for p in model.generator.parameters())


def test_in_eval_mode_a_picture_does_not_depend_on_its_neighbors():
    model = fresh().eval()
    z = torch.randn(5, 8, generator=generator(0))
    assert torch.allclose(model.generate(z)[1:2], model.generate(z[1:2]), atol=1e-6)


def test_bad_input_gets_a_sentence(as_a_reader):
    model = fresh()
    image = pictures(model)
    with pytest.raises(ValueError, match="at least 2 rows for BatchNorm, got 1"):
        model.loss({"image": image[:1]}, phase="discriminator")
    fresh(norm="none").loss({"image": image[:1]}, phase="discriminator")
    with pytest.raises(ValueError, match=r"expected shape \(b, 3, 16, 16\), got"):
        model.judge(image[:, :, :8, :8])
    with pytest.raises(ValueError, match="pixels in"):
        model.judge(image * 9)
    with pytest.raises(ValueError, match=r"z expected shape \(b, 8\), got \(2, 3\)"):
        model.generate(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="expected 8, 16, 32 and so on, got 20"):
        fresh(image_size=20)
