"""Imagen: thresholds by hand, the noise of a small picture, no text, guidance."""

import numpy as np
import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.imagen import SETTLE, Imagen, ImagenConfig, dynamic, static
from mmdl_lib.nn.diffusion import Diffusion

each = pytest.mark.parametrize("name", ["tiny", "tiny-larger"])


def make(name="tiny", **changes):
    torch.manual_seed(0)
    model = Imagen(ImagenConfig(**{**vars(Imagen.PRESETS[name]), **changes})).eval()
    for p in model.parameters():  # silent layers would hide what they do
        p.data += 0.05 * torch.randn(p.shape, generator=generator(3))
    return model


def batch_of(model, n=4):
    return Imagen.example_batch(model.config, n, generator=generator(1))


# thresholds


def test_dynamic_thresholding_is_that_of_numpy_for_each_picture():
    x = 3 * torch.randn(4, 3, 8, 8, generator=generator(0))
    x[1] *= 10
    expected = []
    for one in x.numpy():
        s = max(1.0, np.quantile(np.abs(one), 0.995))
        expected.append(np.clip(one, -s, s) / s)
    assert np.allclose(dynamic(x).numpy(), np.stack(expected), atol=1e-5)


def test_one_picture_made_ten_times_larger_leaves_the_others_as_they_were():
    x = 2 * torch.randn(4, 3, 8, 8, generator=generator(0))
    y = x.clone()
    y[2] *= 10
    before, after = dynamic(x), dynamic(y)
    rest = [0, 1, 3]
    assert torch.equal(before[rest], after[rest])
    # above 1, how large a picture is does not matter at all
    assert torch.allclose(before[2], after[2], atol=1e-6)

    def over_the_batch(x0):  # the wrong version
        s = x0.abs().flatten().quantile(0.995).clamp(min=1)
        return x0.clamp(-s, s) / s

    assert not torch.allclose(over_the_batch(x)[rest], over_the_batch(y)[rest])


def test_a_picture_within_bounds_stays_as_it_is_and_all_end_within():
    x = torch.rand(3, 3, 8, 8, generator=generator(0)) * 2 - 1
    assert torch.equal(dynamic(x), x) and torch.equal(static(x), x)
    x = 5 * torch.randn(3, 3, 8, 8, generator=generator(0))
    assert dynamic(x).abs().max() <= 1 and static(x).abs().max() <= 1
    # cut alone leaves most pixels at the border, the other hardly any
    ends = [(f(x).abs() > 0.99).float().mean() for f in (static, dynamic)]
    assert ends[0] > 0.8 and ends[1] < 0.02


def test_a_percentile_of_one_cuts_nothing_and_others_are_refused():
    x = 5 * torch.randn(2, 3, 8, 8, generator=generator(0))
    largest = x.abs().flatten(1).amax(1)[:, None, None, None]
    assert torch.allclose(dynamic(x, 1), x / largest)
    with pytest.raises(ValueError, match="percentile expected"):
        dynamic(x, 99.5)


# the small picture


def test_a_level_of_minus_one_is_the_plain_upsampler():
    model = make("tiny-larger")
    batch = batch_of(model)
    noise = torch.randn(batch["low"].shape, generator=generator(2))
    clean = torch.full((4,), -1)
    plain, told = model.beside(batch["low"])
    for given in (noise, None):
        image, level = model.beside(batch["low"], clean, given)
        assert torch.equal(image, plain) and torch.equal(level, told)


def test_a_small_picture_gets_the_noise_of_the_chain_and_its_level_is_told():
    model = make("tiny-larger")
    batch = batch_of(model)
    noise = torch.randn(batch["low"].shape, generator=generator(2))
    level = torch.tensor([-1, 0, 20, 49])
    image, told = model.beside(batch["low"], level, noise)
    process = Diffusion("cosine", 50)
    noisy = process.q_sample(batch["low"], level.clamp(min=0), noise)
    larger = torch.nn.functional.interpolate(noisy, (8, 8), mode="bilinear")
    assert torch.allclose(image[1:], larger[1:], atol=1e-6)
    assert not torch.allclose(image[0], larger[0])
    rows = {tuple(row.tolist()) for row in told}
    assert len(rows) == 4  # a net that is not told must guess


def test_training_draws_all_levels_of_its_share_and_no_other():
    model, seen = make("tiny-larger", noisy=0.2), []
    model.level.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch = batch_of(model, 64)
    for seed in range(10):
        model.loss(batch, generator=generator(seed))
    from mmdl_lib.nn.diffusion import times

    known = times(torch.arange(0, 51), 64)
    found = {int((known - row).abs().sum(1).argmin()) for row in torch.cat(seen)}
    assert found == set(range(11))


def test_without_noise_in_training_the_level_is_always_none():
    model, seen = make("tiny-larger", noisy=0), []
    model.level.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.loss(batch_of(model), generator=generator(0))
    assert torch.equal(seen[0], seen[0][:1].expand(4, -1))


# the text


@each
def test_no_text_is_learned_and_the_same_whatever_was_left_out(name):
    model = make(name)
    batch = batch_of(model)
    everyone = torch.ones(4, dtype=torch.bool)
    one = model.read(batch["words"], batch["mask"], everyone)
    two = model.read(batch["words"] + 1, batch["mask"], everyone)
    first = one[1].sum(1)
    assert first.tolist() == [1, 1, 1, 1]
    assert torch.equal(one[0][:, :1], two[0][:, :1]) and torch.equal(one[2], two[2])
    loss = model.loss(batch, generator=generator(0))["loss"]
    loss.backward()
    assert model.heard.nothing.grad.abs().sum() > 0
    assert model.heard.no_pool.grad.abs().sum() > 0


def test_padding_is_not_heard():
    model = make()
    batch = batch_of(model)
    other = batch["words"].clone()
    other[~batch["mask"]] = 7.0
    x, step = torch.randn(4, 3, 8, 8, generator=generator(2)), torch.arange(4)
    found = [
        model(x, step, model.read(w, batch["mask"])) for w in (batch["words"], other)
    ]
    assert torch.allclose(*found, atol=1e-5)


def test_words_reach_the_picture_by_attention_and_by_their_mean():
    model = make()
    batch = batch_of(model)
    x, step = torch.randn(4, 3, 8, 8, generator=generator(2)), torch.arange(4)
    words, mask, pooled = model.read(batch["words"], batch["mask"])
    whole = model(x, step, (words, mask, pooled))
    assert not torch.allclose(whole, model(x, step, (words * 0, mask, pooled)))
    assert not torch.allclose(whole, model(x, step, (words, mask, pooled * 0)))


# guidance


@each
def test_a_scale_of_one_is_the_model_and_zero_hears_no_text(name):
    model = make(name)
    batch = batch_of(model)
    given = batch["words"], batch["mask"]
    how = {"steps": 3, "low": batch.get("low")}
    plain = model.sample(*given, scale=1, generator=generator(0), **how)
    near = model.sample(*given, scale=1 + 1e-7, generator=generator(0), **how)
    assert torch.allclose(plain, near, atol=1e-4)
    other = batch["words"] + 1
    deaf = [
        model.sample(w, batch["mask"], scale=0, generator=generator(0), **how)
        for w in (batch["words"], other)
    ]
    assert torch.equal(*deaf)


def test_guidance_is_the_papers_sum():
    model = make()
    batch = batch_of(model)
    x, step = torch.randn(4, 3, 8, 8, generator=generator(2)), torch.arange(4)
    told = model(x, step, model.read(batch["words"], batch["mask"]))
    everyone = torch.ones(4, dtype=torch.bool)
    empty = model(x, step, model.read(batch["words"], batch["mask"], everyone))
    found = model.guided(batch["words"], batch["mask"], 7.5)(x, step)
    assert torch.allclose(found, 7.5 * told + (1 - 7.5) * empty, atol=1e-4)


@pytest.mark.parametrize("name", list(SETTLE))
def test_every_believed_picture_passes_the_threshold(name):
    model, seen = make(target="x0"), []
    model.net.last.weight.data *= 50
    batch = batch_of(model)

    def watch(step, x, x0):
        seen.append(x0.abs().max().item())

    how = {"steps": 4, "threshold": name, "watch": watch, "generator": generator(0)}
    model.sample(batch["words"], batch["mask"], scale=20, **how)
    assert len(seen) == 4
    assert (max(seen) > 1) == (name == "none")


# size, bad input


def test_at_full_size_the_cascade_has_three_sides():
    base, larger = (Imagen.PRESETS[name] for name in ("64", "64-to-256"))
    assert (base.image_size, larger.low, larger.image_size) == (64, 64, 256)
    assert base.reader == 4096  # T5-XXL's
    with torch.device("meta"):
        count = sum(p.numel() for p in Imagen.from_preset("64").parameters())
    assert round(count / 1e9, 1) == 2.0


def test_bad_input_is_refused(as_a_reader):
    base, larger = make(), make("tiny-larger")
    batch = batch_of(larger)
    words, mask, low = batch["words"], batch["mask"], batch["low"]
    with pytest.raises(ValueError, match=r"words expected shape \(b, t, 12\)"):
        base.sample(words[..., :5], mask)
    with pytest.raises(ValueError, match="expected no small picture, got one"):
        base.sample(words, mask, low=low)
    with pytest.raises(ValueError, match="expected a small picture, got none"):
        larger.beside(None)
    with pytest.raises(ValueError, match="low expected a side of 4, got 2"):
        larger.sample(words, mask, low=low[..., :2, :2])
    with pytest.raises(ValueError, match="level expected"):
        larger.sample(words, mask, low=low, level=50)
    with pytest.raises(ValueError, match="threshold expected"):
        base.sample(words, mask, threshold="hard")
    with pytest.raises(ValueError, match="scale expected"):
        base.sample(words, mask, scale=-1)
