"""What a reader may hand to the models of text to image by mistake: one clear sentence.

Good input goes through first, so that a refusal is about what is wrong with it.
"""

import math

import pytest
import torch

from mmdl_lib.lab import few_objects as fo
from mmdl_lib.models import vqgan_clip
from mmdl_lib.models.autoencoder_kl import AutoencoderKL
from mmdl_lib.models.dalle2 import Decoder
from mmdl_lib.models.dalle2_prior import Prior
from mmdl_lib.models.ddpm import DDPM
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.imagen import Imagen
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.models.parti import Parti
from mmdl_lib.nn.diffusion import Diffusion, known

pytestmark = pytest.mark.usefixtures("as_a_reader")
MADE = {}


def made(kind, preset="tiny"):
    """A model and a batch of two rows."""
    if (kind, preset) not in MADE:
        torch.manual_seed(0)
        model = kind.from_preset(preset).eval()
        MADE[kind, preset] = model, kind.example_batch(model.config, 2)
    return MADE[kind, preset]


def draws(kind, *names, preset="tiny", **good):
    """Sampling from a batch's columns, and what may be changed in it."""
    model, batch = made(kind, preset)
    given = [batch[name] for name in names]
    return lambda **bad: model.sample(*given, **good | bad)


SAMPLERS = {
    "ddpm": lambda: draws(DDPM, n=2, steps=2),
    "glide": lambda: draws(GLIDE, "tokens", "mask", steps=2),
    "imagen": lambda: draws(Imagen, "words", "mask", steps=2),
    "latents": lambda: draws(LatentDiffusion, "tokens", "mask", steps=2),
    "decoder": lambda: draws(Decoder, "picture", steps=2),
    "prior": lambda: draws(Prior, "words", "mask", "text", steps=2),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_out_of_range_and_bad_scales_are_refused(name):
    draw = SAMPLERS[name]()
    pull = {"pull": lambda x, step: x.flatten(1).sum(1)} if name == "ddpm" else {}
    assert torch.isfinite(draw(**pull)).all()
    for steps in (0, -1, 51, 2.5, True):
        with pytest.raises(ValueError, match="steps of a sampler expected from 1"):
            draw(steps=steps)
    for scale in (-1, math.nan, "3", None):
        with pytest.raises(ValueError, match="scale expected"):
            draw(scale=scale, **pull)
    for eta in (-0.1, 2):
        with pytest.raises(ValueError, match="eta expected"):
            draw(eta=eta)


def image(*shape):
    return torch.zeros(shape)


def flags(*shape):
    return torch.ones(shape, dtype=torch.bool)


WRONG_HOLES = {
    "larger picture": ({"image": image(2, 3, 16, 16)}, "image expected shape"),
    "larger mask": ({"known": flags(2, 1, 16, 16)}, "mask expected bool of shape"),
    "both larger": (
        {"image": image(2, 3, 16, 16), "known": flags(2, 1, 16, 16)},
        "image expected shape",
    ),
    "mask of numbers": ({"known": image(2, 1, 8, 8)}, "True = known"),
    "mask without channel": ({"known": flags(2, 8, 8)}, "mask expected bool of shape"),
    "one row": (
        {"image": image(1, 3, 8, 8), "known": flags(1, 1, 8, 8)},
        "image expected shape",
    ),
    "bytes": ({"image": image(2, 3, 8, 8).byte()}, "pictures as floats"),
    "out of range": ({"image": image(2, 3, 8, 8) + 9}, r"pixels in \[-1, 1\]"),
}


@pytest.mark.parametrize("name", WRONG_HOLES)
def test_a_picture_and_a_mask_of_other_sizes_are_refused(name):
    bad, said = WRONG_HOLES[name]
    good = {"image": image(2, 3, 8, 8), "known": flags(2, 1, 8, 8)}
    draw = draws(GLIDE, "tokens", "mask", preset="tiny-inpaint", steps=2)
    assert torch.equal(draw(beside=good), good["image"])
    with pytest.raises(ValueError, match=said):
        draw(beside=good | bad)


def test_what_a_role_needs_is_asked_for_and_nothing_else_is_taken():
    good = {"image": image(2, 3, 8, 8), "known": flags(2, 1, 8, 8)}
    draw = draws(GLIDE, "tokens", "mask", preset="tiny-inpaint", steps=2)
    for key in good:
        with pytest.raises(ValueError, match=f"expected a batch with {key}"):
            draw(beside={k: v for k, v in good.items() if k != key})
    with pytest.raises(ValueError, match="a base model expected nothing beside"):
        draws(GLIDE, "tokens", "mask", steps=2)(beside=good)
    draw = draws(GLIDE, "tokens", "mask", preset="tiny-upsample", steps=2)
    assert draw(beside={"low": image(2, 3, 4, 4)}).shape == (2, 3, 8, 8)
    for low in (image(2, 4, 4, 4), image(1, 3, 4, 4), image(2, 3, 4, 5)):
        with pytest.raises(ValueError, match="low expected shape"):
            draw(beside={"low": low})


def test_small_pictures_of_a_cascade_fit_their_rows_and_their_levels():
    draw = draws(Imagen, "words", "mask", preset="tiny-larger", steps=2)
    assert draw(low=image(2, 3, 4, 4), level=49).shape == (2, 3, 8, 8)
    for low, said in (
        (image(1, 3, 4, 4), "low expected as many as words"),
        (image(2, 3, 5, 5), "low expected a side of 4"),
        (image(2, 3, 5, 4), "low expected a side of 4"),
        (image(2, 3, 4, 4) + 3, r"pixels in \[-1, 1\]"),
    ):
        with pytest.raises(ValueError, match=said):
            draw(low=low)
    for level in (50, -2):
        with pytest.raises(ValueError, match="level expected"):
            draw(low=image(2, 3, 4, 4), level=level)
    with pytest.raises(ValueError, match="level expected a small picture"):
        draws(Imagen, "words", "mask", steps=2)(level=3)


@pytest.mark.parametrize("kind", [GLIDE, LatentDiffusion])
def test_pictures_to_learn_from_are_of_the_models_size_range_and_number(kind):
    model, batch = made(kind)
    assert model.loss(batch)["loss"] > 0
    whole = batch["image"].shape
    for bad, said in (
        (batch["image"] * 9, r"pixels in \[-1, 1\]"),
        ((batch["image"] * 9).byte(), "pictures as floats"),
        (image(*whole[:2], 4, 4), "image expected shape"),
        (image(3, *whole[1:]), "image expected shape"),
    ):
        with pytest.raises(ValueError, match=said):
            model.loss(batch | {"image": bad})


def test_unknown_words_and_no_words_are_refused():
    with pytest.raises(ValueError, match="got 'zebra'; the nearest known word is"):
        fo.tokenizer()(["a red zebra"])
    with pytest.raises(ValueError, match="expected a caption with words"):
        fo.tokenizer()([" "])
    for kind in (GLIDE, LatentDiffusion, Parti):
        model, batch = made(kind)
        for tokens in (batch["tokens"] + 99, batch["tokens"] - 99):
            with pytest.raises(ValueError, match="tokens expected"):
                model.sample(tokens, batch["mask"])


def test_steps_and_noise_belong_to_their_rows():
    process, x = Diffusion("cosine", 50), image(2, 3, 8, 8)
    assert process.q_sample(x, torch.tensor([0, 49]), x).shape == x.shape
    for step, said in (
        ([0, 50], "step expected"),
        ([-1, 0], "step expected"),
        ([0, 1, 2], "step expected shape"),
        ([0], "step expected shape"),
    ):
        with pytest.raises(ValueError, match=said):
            process.q_sample(x, torch.tensor(step), x)
    with pytest.raises(ValueError, match="noise expected shape"):
        process.q_sample(x, torch.tensor([0, 1]), x[:1])
    with pytest.raises(ValueError, match="cap expected"):
        Diffusion("cosine", 50, weight="capped", cap=0)
    with pytest.raises(ValueError, match="True = known"):
        known(x, flags(1, 1, 8, 8))


def test_counts_of_tries_cuts_and_pictures_are_whole_numbers_of_at_least_one():
    prior = draws(Prior, "words", "mask", "text", steps=2)
    picture, plain = image(1, 3, 8, 8), {"cuts": 2, "size": 4}

    def cut(**how):
        return vqgan_clip.cut_outs(picture, **plain | how)

    for draw, name, good in (
        (draws(DDPM, steps=2, n=1), "n", 2),
        (prior, "tries", 1),
        (cut, "cuts", 1),
        (cut, "size", 2),
        (cut, "least", 3),
    ):
        assert len(draw(**{name: good}))
        for bad in (0, -1, 1.5):
            with pytest.raises(ValueError, match=f"{name} expected"):
                draw(**{name: bad})


def test_embeddings_and_noise_of_the_decoder_are_checked():
    model, _ = made(Decoder)
    with pytest.raises(ValueError, match="picture expected finite"):
        model.sample(torch.full((2, 8), math.nan), steps=2)
    for noise in (image(2, 3, 4, 4), image(1, 3, 8, 8)):
        with pytest.raises(ValueError, match="noise expected shape"):
            model.sample(torch.ones(2, 8), steps=2, noise=noise)
    prior, batch = made(Prior)
    with pytest.raises(ValueError, match="picture expected shape"):
        prior.loss(batch | {"picture": torch.ones(2, 5)})


def test_codes_of_another_number_are_refused_in_learning_too():
    model, batch = made(Parti)
    for codes in (batch["codes"][:, :3], batch["codes"] + 99):
        with pytest.raises(ValueError, match="codes expected"):
            model.loss(batch | {"codes": codes})


def test_a_side_that_the_code_does_not_divide_is_refused():
    model, _ = made(AutoencoderKL)
    with pytest.raises(ValueError, match="image expected sides that 2 divides"):
        model.encode(image(1, 3, 7, 8))
