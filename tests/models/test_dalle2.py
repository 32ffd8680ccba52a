"""unCLIP's decoder: told an embedding twice; arcs between embeddings; guidance."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.dalle2 import Decoder, slerp, text_difference


def make(**changes):
    torch.manual_seed(0)
    config = Decoder.PRESETS["tiny"]
    model = Decoder(type(config)(**{**vars(config), **changes})).eval()
    for p in model.parameters():  # what begins at zero would hide what it does
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    return model


def unit(n, d=8, seed=1):
    return F.normalize(torch.randn(n, d, generator=generator(seed)), dim=-1)


def test_slerp_walks_along_the_arc_at_even_speed():
    one, two = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for share in (0, 0.25, 0.5, 1):
        angle = share * math.pi / 2
        expected = torch.tensor([[math.cos(angle), math.sin(angle)]])
        assert torch.allclose(slerp(one, two, share), expected, atol=1e-6)


def test_slerp_keeps_the_length_where_a_mean_loses_it():
    one, two = unit(20), unit(20, seed=2)
    for share in (0.1, 0.5, 0.9):
        assert torch.allclose(slerp(one, two, share).norm(dim=1), torch.ones(20))
    assert ((one + two) / 2).norm(dim=1).max() < 1


def test_slerp_between_equal_vectors_is_that_vector():
    one = unit(4)
    assert torch.allclose(slerp(one, one, 0.3), one, atol=1e-6)
    near = F.normalize(one + 1e-5, dim=-1)
    assert torch.allclose(slerp(one, near, 0.5), one, atol=1e-4)


def test_a_text_difference_begins_at_the_picture_and_ends_at_the_texts_direction():
    picture, before, after = unit(3), unit(3, seed=2), unit(3, seed=3)
    begun = text_difference(picture, before, after, 0)
    assert torch.allclose(begun, picture, atol=1e-6)
    end = text_difference(picture, before, after, 1)
    assert torch.allclose(end, F.normalize(after - before, dim=-1), atol=1e-5)
    third = text_difference(picture, before, after, 0.3)
    ahead = (third * end).sum(1) - (picture * end).sum(1)
    assert (ahead > 0).all()


@torch.no_grad()
def test_an_embedding_is_heard_beside_the_step_and_as_four_words():
    model, z = make(), unit(2)
    x = torch.randn(2, 3, 8, 8, generator=generator(2))
    step = torch.tensor([5, 30])
    said = model(x, step, z)
    seen = {}

    def note(module, args, kwargs):
        seen.update(words=args[2], pooled=kwargs["pooled"])

    model.net.register_forward_pre_hook(note, with_kwargs=True)
    model(x, step, z)
    scaled = 8**0.5 * z
    assert seen["words"].shape == (2, 4, 32)
    assert torch.allclose(seen["pooled"], model.pooled(scaled))
    assert torch.allclose(seen["words"].flatten(1), model.tokens(scaled))
    for name in ("pooled", "tokens"):
        kept = getattr(model, name).weight.data.clone()
        getattr(model, name).weight.data.zero_()
        assert (model(x, step, z) - said).abs().max() > 1e-3, name
        getattr(model, name).weight.data.copy_(kept)


@torch.no_grad()
def test_rows_that_are_left_out_do_not_depend_on_the_embedding():
    model = make()
    x = torch.randn(2, 3, 8, 8, generator=generator(2))
    step, empty = torch.tensor([5, 30]), torch.tensor([True, False])
    one, two = (model(x, step, unit(2, seed=s), empty) for s in (1, 2))
    assert torch.equal(one[0], two[0])
    assert not torch.equal(one[1], two[1])


def test_drawing_begins_at_noise_whatever_the_embedding_is():
    model, seen = make(), []
    model.net.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for seed in (1, 2):
        model.sample(unit(2, seed=seed), steps=1, scale=1, generator=generator(5))
    first = torch.randn(2, 3, 8, 8, generator=generator(5))
    assert all(torch.equal(x, first) for x in seen) and len(seen) == 2


def test_embeddings_are_left_out_row_by_row_as_often_as_the_config_says():
    model, seen = make(empty=0.3), []

    def note(module, given):
        seen.append(given[3])

    model.register_forward_pre_hook(note)
    batch = Decoder.example_batch(model.config, 64)
    for seed in range(8):
        model.loss(batch, generator=generator(seed))
    gone = torch.stack(seen).double()
    deviation = (0.3 * 0.7 / gone.numel()) ** 0.5
    assert abs(gone.mean() - 0.3) < 3 * deviation
    assert gone.mean(1).min() > 0 and gone.mean(1).max() < 1


def test_guidance_of_one_is_the_model_and_of_zero_hears_nothing():
    model = make()
    noise = torch.randn(2, 3, 8, 8, generator=generator(2))

    def draw(seed, **how):
        return model.sample(unit(2, seed=seed), steps=4, noise=noise, **how)

    assert torch.allclose(draw(1, scale=0), draw(2, scale=0))
    assert not torch.allclose(draw(1, scale=1), draw(2, scale=1))
    assert torch.allclose(draw(1, scale=1), draw(1, scale=1.0001), atol=1e-2)
    assert (draw(1, scale=3) - draw(1, scale=1)).abs().max() > 1e-3


def test_equal_noise_and_embedding_give_the_picture_again_without_chance_in_steps():
    model, z = make(), unit(1)
    noise = torch.randn(1, 3, 8, 8, generator=generator(2))
    one, two = (model.sample(z, steps=4, noise=noise) for _ in range(2))
    assert torch.equal(one, two)
    how = {"steps": 4, "noise": noise, "eta": 1}
    other = [model.sample(z, **how, generator=generator(s)) for s in (1, 2)]
    assert not torch.equal(*other)


def test_embeddings_of_another_width_are_one_clear_sentence():
    with pytest.raises(ValueError, match=r"picture expected \(b, 8\), got \(2, 9\)"):
        make().sample(torch.ones(2, 9))
    with pytest.raises(ValueError, match="scale"):
        make().sample(unit(2), scale=-1)


def test_the_paper_sized_net_is_glides():
    with torch.device("meta"):
        model = Decoder.from_preset("base")
    assert model.tokens.out_features == 4 * 2048
    assert model.pooled.out_features == 4 * 512
