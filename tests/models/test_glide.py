"""GLIDE: the caption's reader, captions left out, two ways beside, drawing."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.glide import GLIDE, GLIDEConfig, Words

PRESETS = ["tiny", "tiny-inpaint", "tiny-upsample", "tiny-patches"]
each = pytest.mark.parametrize("name", PRESETS)


def make(name="tiny", **changes):
    torch.manual_seed(0)
    model = GLIDE(replace(GLIDE.PRESETS[name], **changes)).eval()
    for parameter in model.parameters():  # layers that begin at zero hide much
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=4):
    return GLIDE.example_batch(model.config, n, generator=generator(1))


def said(model, batch, empty=None):
    x = torch.randn(batch["image"].shape, generator=generator(2))
    step = torch.full((len(x),), 20)
    read = model.read(batch["tokens"], batch["mask"], empty)
    return model(x, step, read, model.beside(batch))


# reading


def test_padding_is_not_read():
    model, batch = make(), batch_of(make())
    other = torch.where(batch["mask"], batch["tokens"], 25 - batch["tokens"])
    assert torch.allclose(
        said(model, batch), said(model, batch | {"tokens": other}), atol=1e-5
    )


@pytest.mark.parametrize("name", ["tiny", "tiny-patches"])
def test_a_row_with_more_padding_says_the_same(name):
    model, batch = make(name, text=9), batch_of(make(name))
    longer = {k: F.pad(batch[k], (0, 3)) for k in ("tokens", "mask")}
    assert torch.allclose(said(model, batch), said(model, batch | longer), atol=1e-5)


@each
def test_every_word_and_the_order_of_words_is_heard(name):
    model, batch = make(name), batch_of(make(name))
    batch["mask"] = torch.ones_like(batch["mask"])
    whole = said(model, batch)
    for i in range(batch["tokens"].shape[1]):
        tokens = batch["tokens"].clone()
        tokens[:, i] = (tokens[:, i] + 1) % 26
        moved = (said(model, batch | {"tokens": tokens}) - whole).flatten(1)
        assert (moved.abs().amax(1) > 1e-5).all()
    turned = batch | {"tokens": torch.arange(6).flip(0).repeat(4, 1)}
    batch = batch | {"tokens": torch.arange(6).repeat(4, 1)}
    assert (said(model, turned) - said(model, batch)).abs().max() > 1e-4


def test_without_places_and_neighbors_a_caption_is_a_bag_of_words():
    torch.manual_seed(0)
    reader = Words(26, 6, 32, 2, 2, out=8, neighbors=3)
    tokens, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    flipped = tokens.flip(1)

    def differ():
        one, two = reader(tokens, mask)[2], reader(flipped, mask)[2]
        return (one - two).abs().max().item()

    assert differ() > 1e-3
    near = reader.near
    reader.near = None
    assert differ() > 1e-3  # places alone tell the order, too
    reader.positions.table.data.zero_()
    assert differ() < 1e-6
    reader.near = near
    assert differ() > 1e-3  # and neighbors without places


def test_words_see_their_neighbors_and_no_padding():
    torch.manual_seed(0)
    reader = Words(26, 6, 16, 1, 2, out=8, neighbors=3).eval()
    reader.transformer = torch.nn.Identity()
    reader.transformer.forward = lambda x, mask: x
    tokens = torch.tensor([[3, 4, 5, 6, 7, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 0]], dtype=torch.bool)
    one = reader(tokens, mask)[0]
    other = tokens.clone()
    other[0, 1] = 9
    moved = (reader(other, mask)[0] - one).abs().amax(-1)[0] > 1e-6
    assert moved.tolist() == [True, True, True, False, False, False]
    other = tokens.clone()
    other[0, 5] = 9
    assert torch.allclose(reader(other, mask)[0][:, :5], one[:, :5], atol=1e-6)


@each
def test_a_caption_left_out_is_one_vector_whatever_it_said(name):
    model, batch = make(name), batch_of(make(name))
    empty = torch.tensor([True, False, True, False])
    other = batch | {"tokens": (batch["tokens"] + 5) % 26}
    other["mask"] = batch["mask"] | (torch.arange(6) < 2)
    one, two = said(model, batch, empty), said(model, other, empty)
    assert torch.allclose(one[empty], two[empty], atol=1e-5)
    assert (one[~empty] - two[~empty]).abs().amax() > 1e-4
    assert torch.allclose(one[~empty], said(model, batch)[~empty], atol=1e-5)


# learning


def test_captions_are_left_out_row_by_row_as_often_as_the_config_says():
    model = make(empty=0.3)
    seen = []
    read = model.words.forward

    def watch(tokens, mask, empty=None):
        seen.append(empty)
        return read(tokens, mask, empty)

    model.words.forward = watch
    batch = batch_of(model, 40)
    for i in range(25):
        model.loss(batch, generator=generator(i))
    rows = torch.stack(seen)
    # 1,000 rows: three standard errors of a share of .3
    assert abs(rows.double().mean() - 0.3) < 3 * (0.3 * 0.7 / 1000) ** 0.5
    # the wrong version: one throw for the whole batch
    assert rows.any(1).all() and not rows.all(1).any()


@each
def test_a_net_that_knew_the_answer_would_pay_nothing(name):
    model, batch = make(name, facts=()), batch_of(make(name))
    true = {}

    def knows(x, step, *args, pooled=None):
        a, s = model.diffusion.at(step, x)
        x = x[:, :3]
        noise = (x - a * batch["image"]) / s
        true["said"] = model.diffusion.goal(batch["image"], step, noise)
        return true["said"]

    model.net.forward = knows
    assert model.loss(batch, generator=generator(0))["loss"] < 1e-6


def test_the_loss_is_that_of_noise_said_once_more():
    model, batch = make(empty=0.0), batch_of(make())
    got = model.loss(batch, generator=generator(5))["loss"]
    random = generator(5)
    step = model.diffusion.draw(4, generator=random)
    noise = torch.randn(batch["image"].shape, generator=random)
    x = model.diffusion.q_sample(batch["image"], step, noise)
    read = model.read(batch["tokens"], batch["mask"])
    assert torch.isclose(got, F.mse_loss(model(x, step, read), noise))


def test_facts_cost_their_surprise_and_what_is_not_told_costs_nothing():
    model = make("tiny-patches")
    model.facts.weight.data.zero_()
    model.facts.bias.data.zero_()
    pooled = torch.randn(4, model.facts.in_features)
    label = torch.tensor([[0, 1], [2, 0], [-1, -1], [1, -1]])
    wanted = (3 * torch.tensor(3.0).log() + 2 * torch.tensor(2.0).log()) / 3
    assert torch.isclose(model._facts(pooled, label), wanted)
    nothing = torch.full((4, 2), -1)
    assert model._facts(pooled, nothing) == 0


def test_a_caption_that_is_left_out_teaches_no_facts():
    model = make("tiny-patches", empty=1.0)
    assert model.loss(batch_of(model), generator=generator(0))["facts"] == 0


# beside


def test_an_inpainting_model_sees_seven_channels_and_no_hidden_pixel():
    model, batch = make("tiny-inpaint"), batch_of(make("tiny-inpaint"))
    assert model.net.first.in_channels == 7
    beside = model.beside(batch)
    assert torch.equal(beside[:, 3:].bool(), batch["known"])
    hidden = torch.where(batch["known"], batch["image"], 0.9)
    assert torch.equal(model.beside(batch | {"image": hidden}), beside)
    assert not beside[:, :3][~batch["known"].expand(-1, 3, -1, -1)].any()


def test_an_upsampler_sees_the_small_picture():
    model, batch = make("tiny-upsample"), batch_of(make("tiny-upsample"))
    assert model.net.first.in_channels == 6
    beside = model.beside(batch)
    assert beside.shape == (4, 3, 8, 8)
    flat = batch | {"low": torch.full((4, 3, 4, 4), 0.25)}
    assert torch.allclose(model.beside(flat), torch.tensor(0.25))


def test_known_pixels_come_back_as_they_are():
    model, batch = make("tiny-inpaint"), batch_of(make("tiny-inpaint"))
    beside = {"image": batch["image"], "known": batch["known"]}
    how = {"steps": 4, "beside": beside, "generator": generator(0)}
    image = model.sample(batch["tokens"], batch["mask"], **how)
    where = batch["known"].expand(-1, 3, -1, -1)
    assert torch.equal(image[where], batch["image"][where])
    assert not torch.allclose(image[~where], batch["image"][~where], atol=0.1)
    beside["known"] = torch.ones_like(batch["known"])
    how |= {"beside": beside, "generator": generator(0)}
    image = model.sample(batch["tokens"], batch["mask"], **how)
    assert torch.equal(image, batch["image"])


def test_nothing_known_is_drawing_from_the_text_alone():
    model, batch = make("tiny-inpaint"), batch_of(make("tiny-inpaint"))
    given = batch["tokens"], batch["mask"]
    nothing = {"image": batch["image"], "known": torch.zeros_like(batch["known"])}
    one = model.sample(*given, steps=4, beside=nothing, generator=generator(0))
    two = model.sample(*given, steps=4, generator=generator(0))
    assert torch.equal(one, two)


# drawing


@each
def test_a_scale_of_one_is_the_model_and_zero_hears_no_caption(name):
    model, batch = make(name), batch_of(make(name))
    given = batch["tokens"], batch["mask"]
    x, step = torch.randn(batch["image"].shape), torch.full((4,), 9)
    beside = model.beside(batch)
    plain = model(x, step, model.read(*given), beside)
    assert torch.equal(model.guided(*given, 1, beside)(x, step), plain)
    near = model.guided(*given, 1 + 1e-7, beside)(x, step)
    assert torch.allclose(near, plain, atol=1e-4)
    other = (batch["tokens"] + 3) % 26, batch["mask"]
    deaf = [model.guided(*g, 0, beside)(x, step) for g in (given, other)]
    assert torch.equal(*deaf)
    # eq. (8), and not the other notation, where 2 would be what 3 is here
    empty = deaf[0]
    got = model.guided(*given, 3, beside)(x, step)
    assert torch.allclose(got, empty + 3 * (plain - empty), atol=1e-5)
    assert not torch.allclose(got, plain + 3 * (plain - empty), atol=1e-4)


def test_the_same_noise_gives_the_same_picture_only_without_chance():
    model, batch = make(), batch_of(make())
    given = batch["tokens"], batch["mask"]
    one, two = (model.sample(*given, steps=5, generator=generator(0)) for _ in range(2))
    assert torch.equal(one, two)
    other = model.sample(*given, steps=5, generator=generator(1))
    assert not torch.equal(one, other)
    chance = model.sample(*given, steps=5, eta=1, generator=generator(0))
    assert not torch.equal(one, chance)


@each
def test_drawn_pictures_are_in_range(name):
    model, batch = make(name), batch_of(make(name))
    image = model.sample(batch["tokens"], batch["mask"], scale=8, steps=6)
    assert image.shape == (4, 3, 8, 8) and image.abs().max() <= 1


# sizes


def test_the_papers_base_model_has_two_parts_of_about_its_sizes():
    with torch.device("meta"):
        model = GLIDE.from_preset("base")
    sizes = {
        name: sum(p.numel() for p in part.parameters()) / 1e9
        for name, part in {"net": model.net, "words": model.words}.items()
    }
    # the paper: 2.3 billion, width 512, and a Transformer of 1.2 billion
    assert 1.1 < sizes["words"] < 1.4
    assert 1.5 < sizes["net"] < 3.0


def test_our_small_model_is_below_a_million_and_a_half():
    model = GLIDE.from_preset("shapes")
    assert sum(p.numel() for p in model.parameters()) < 1.5e6


# bad input


def test_bad_captions_masks_and_scales_are_refused(as_a_reader):
    model, batch = make("tiny-inpaint"), batch_of(make("tiny-inpaint"))
    tokens, mask = batch["tokens"], batch["mask"]
    long = torch.zeros(4, 7, dtype=torch.long)
    bad = {
        "tokens expected numbers from 0 to 25": lambda: model.read(tokens + 26, mask),
        "tokens expected from 1 to 6 a row": lambda: model.read(long, long == 0),
        "mask expected shape": lambda: model.read(tokens, mask[:, :2]),
        "scale expected": lambda: model.guided(tokens, mask, -1),
        "expected a batch with known": lambda: model.beside({"image": tokens}),
        "eta expected": lambda: model.sample(tokens, mask, eta=2, steps=2),
        "True = known": lambda: model.beside(batch | {"known": batch["known"].float()}),
    }
    for words, call in bad.items():
        with pytest.raises(ValueError, match=words):
            call()


def test_the_default_config_is_the_papers_base():
    assert GLIDEConfig() == GLIDE.PRESETS["base"]
