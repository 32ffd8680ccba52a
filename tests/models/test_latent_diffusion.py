"""Latent diffusion: two stages, a scaled code, words that are read."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.latent_diffusion import (
    LatentDiffusion,
    LatentDiffusionConfig,
    SpatialTransformer,
    TextUNet,
)


def make(**changes):
    torch.manual_seed(0)
    config = LatentDiffusionConfig(**vars(LatentDiffusion.PRESETS["tiny"]) | changes)
    model = LatentDiffusion(config).eval()
    for p in model.parameters():  # what is silent would hide mistakes
        p.data += 0.05 * torch.randn(p.shape, generator=generator(3))
    return model


def batch_of(model, n=4):
    return LatentDiffusion.example_batch(model.config, n, generator=generator(1))


# the scale of the code


def test_a_settled_code_has_a_deviation_of_one_and_comes_back_the_same():
    model, image = make(), batch_of(make(), 32)["image"]
    model.settle(image)
    assert abs(model.encode(image).std() - 1) < 0.05
    raw = model.first.encode(image)
    assert torch.allclose(model.encode(image), raw / raw.std(), atol=1e-5)
    back = model.first.decode(raw).clamp(-1, 1)
    assert torch.allclose(model.decode(model.encode(image)), back, atol=1e-5)
    # scaled once only, another picture would come back
    wrong = model.first.decode(model.encode(image)).clamp(-1, 1)
    assert (wrong - back).abs().max() > 1e-2


def test_the_factor_is_kept_with_the_weights():
    model = make()
    model.settle(batch_of(model, 8)["image"])
    other = make()
    other.load_state_dict(model.state_dict())
    assert other.factor == model.factor != 1


# two stages


def test_the_second_stage_leaves_the_first_alone_and_the_other_way_round():
    model = make()
    ids = {id(p) for p in model.first.parameters()}
    assert {id(p) for p in model.trainable("first")} == ids
    assert not ids & {id(p) for p in model.trainable("main")}
    both = {id(p) for phase in ("first", "main") for p in model.trainable(phase)}
    assert both == {id(p) for p in model.parameters()}
    model.loss(batch_of(model), generator=generator(0))["loss"].backward()
    assert all(p.grad is None for p in model.first.parameters())
    assert model.net.first.weight.grad.abs().sum() > 0


def test_the_error_is_that_of_the_scaled_code():
    model, batch = make(empty=0.0), batch_of(make())
    model.settle(batch["image"])
    found = model.loss(batch, generator=generator(4))["picture"]
    random, z = generator(4), model.encode(batch["image"])
    step = model.diffusion.draw(4, generator=random)
    noise = torch.randn(z.shape, generator=random)
    torch.rand(4, generator=random)
    x = model.diffusion.q_sample(z, step, noise)
    says = model(x, step, model.read(batch["tokens"], batch["mask"]))
    assert torch.allclose(found, (says - noise).square().mean(), atol=1e-5)


# drawing


def test_pictures_come_from_latents_that_no_border_has_cut():
    model, batch = make(), batch_of(make())
    seen = []
    how = {"steps": 5, "generator": generator(0)}
    z = model.latents(
        batch["tokens"], batch["mask"], **how, watch=lambda *x: seen.append(x)
    )
    assert z.shape == (4, 4, 4, 4) and len(seen) == 5
    assert seen[0][2].abs().max() > 1  # what is believed goes beyond 1
    assert torch.allclose(z, seen[-1][2], atol=1e-5) and z.abs().max() > 1
    how["generator"] = generator(0)
    image = model.sample(batch["tokens"], batch["mask"], **how)
    assert torch.equal(image, model.decode(z))
    assert image.abs().max() <= 1


def test_a_scale_of_zero_hears_no_caption_and_one_of_two_hears_it():
    model, batch = make(), batch_of(make())
    other = (batch["tokens"] + 1) % 26

    def draw(tokens, scale):
        how = {"scale": scale, "steps": 3, "generator": generator(0)}
        return model.latents(tokens, batch["mask"], **how)

    deaf = draw(batch["tokens"], 0) - draw(other, 0)
    assert deaf.abs().max() < 1e-5
    assert (draw(batch["tokens"], 2) - draw(other, 2)).abs().max() > 1e-4


# the Transformer in the net


def test_each_place_reads_the_words_and_padding_is_not_read():
    torch.manual_seed(0)
    layer = SpatialTransformer(8, 2, 6, groups=4)
    x, words = torch.randn(2, 8, 3, 3), torch.randn(2, 5, 6)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]).bool()
    changed = torch.where(mask[..., None], words, words + 9)
    assert torch.allclose(layer(x, words, mask), layer(x, changed, mask), atol=1e-5)
    heard = words.clone()
    heard[:, 0] += 1
    apart = (layer(x, words, mask) - layer(x, heard, mask)).abs().amax(1)
    assert (apart > 0).all()


def test_places_read_each_other():
    torch.manual_seed(0)
    layer = SpatialTransformer(8, 2, 6, groups=8)
    layer.norm = torch.nn.Identity()  # whose statistics would tell of other places, too
    x, words = torch.randn(1, 8, 3, 3), torch.randn(1, 5, 6)
    other = x.clone()
    other[0, :, 0, 0] += 1
    apart = (layer(x, words) - layer(other, words)).abs().amax(1)[0]
    assert apart[2, 2] > 1e-5


def test_levels_without_attention_have_none_and_the_middle_has_one():
    net = TextUNet(LatentDiffusion.PRESETS["tiny"].net)
    kinds = [level.attention is not None for level in net.down]
    assert kinds == [True, False]
    assert [level.attention is not None for level in net.middle] == [True, False]
    assert sum(isinstance(m, SpatialTransformer) for m in net.modules()) == 4


def test_the_code_of_our_picture_is_four_times_smaller_and_that_of_sd_48_times():
    for name, times in (("large-object", 4), ("SD", 48)):
        c = LatentDiffusion.PRESETS[name].first
        assert 3 * c.image_size**2 / (c.latent * c.side**2) == times


@pytest.mark.parametrize("factor", [-1.0])
def test_a_negative_factor_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        make(factor=factor)
