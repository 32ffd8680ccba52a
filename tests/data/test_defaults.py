"""Equal seeds give equal bytes, whatever torch's global settings are."""

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import birds, digits, emoji, photos, shapes, sounds, views, voices
from mmdl_lib.data.shapes import drawing, reading
from mmdl_lib.data.text import BPETokenizer, WordTokenizer

EVERY = replace(views.SIMCLR, **dict.fromkeys(views.CHANCES, 0.6), area=(0.3, 1.0))


def floats(*shape):
    g = generator(0)
    return torch.rand(shape, generator=g, dtype=torch.float32, device="cpu")


def of_shapes():
    for style in (*shapes.STYLES, shapes.OWN):
        scenes = shapes.sample(40, seed=3, style=style)
        yield from (scenes.render(32), scenes.render(48), scenes.coverage(24))
        yield from (scenes.center, scenes.boxes(), scenes.semantic_masks())
        yield from (scenes.rgb, scenes.multi_labels("shape"), shapes.relation(scenes))
    chosen = {"sizes": "large", "colors": ("red", "blue"), "x": (0, 20)}
    scenes = shapes.sample(40, generator=generator(7), objects=2, **chosen)
    yield from (scenes.center, shapes.to_float(scenes.render()))
    yield shapes.read(scenes.render()) + shapes.read(shapes.to_float(scenes.render(48)))


def of_language():
    scenes = shapes.sample(40, seed=3)
    yield shapes.captions(scenes), shapes.alt_texts(scenes, seed=1)
    yield [shapes.foils(scenes, p) for p in shapes.PHENOMENA]
    yield shapes.questions(scenes, seed=2)
    for narrative in shapes.narratives(scenes, seed=4):
        yield from narrative


def of_views():
    for side in (16, 32, 224):
        n = 2 if side > 32 else 24
        x = floats(n, 3, side, side)
        for settings in (views.SIMCLR, views.BYOL_ONE, views.BYOL_TWO, EVERY):
            yield from views.two_views(2 * x - 1, settings, generator=generator(1))
        yield views.noise(2 * x - 1, generator=generator(2))
    yield views.boxes(50, generator=generator(3))


def of_real_pictures():
    for split in digits.SPLITS:
        image, label = digits.load(split)
        yield from (image, label, digits.to_float(image))
    for name in ("cat", "coins"):
        yield from (photos.load(name), photos.square(photos.load(name), 48))
    found = emoji.load("test")
    yield from (found.image, found.names, found.group)


def of_birds():
    birds.species_table.cache_clear()
    found = birds.sample(40, seed=3, split="all")
    yield from (found.value, found.place, found.ground, found.render(32))
    yield from (found.render(48), found.captions(), birds.caption_words())


def of_sounds():
    voices.words.cache_clear(), voices.voices.cache_clear()
    for found in (sounds.load(n=6, seed=3), sounds.load(n=3, rate=8_000)):
        yield from (found.wave, found.length, found.text, *found.labels.values())


def of_text():
    captions = ["a red circle", "red"]
    yield from WordTokenizer(["a", "red", "circle"])(captions)
    yield from BPETokenizer()(captions)


SOURCES = {f.__name__: f for f in (of_shapes, of_language, of_views, of_text)}
SOURCES["of_birds"], SOURCES["of_sounds"] = of_birds, of_sounds
SOURCES["of_real_pictures"] = of_real_pictures


def digest(source):
    """Checksums of all that a source gives; kept results of earlier calls forgotten."""
    reading._outlines.cache_clear(), drawing._tape.cache_clear()
    emoji._groups.cache_clear(), emoji._facts.cache_clear()
    found = []
    for value in SOURCES[source]():
        if isinstance(value, torch.Tensor):
            assert value.device.type == "cpu"
            value = value.dtype, value.shape, value.contiguous().numpy().tobytes()
        found.append(hashlib.sha256(repr(value).encode()).hexdigest())
    return found


@cache
def usual(source):
    return digest(source)


@contextmanager
def deprecated_tensor_type():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_default_tensor_type(torch.DoubleTensor)
    yield
    torch.set_default_dtype(torch.float32)


@contextmanager
def setting(change, value, back):
    """A global setting for a while."""
    change(value)
    try:
        yield
    finally:
        change(back)


SETTINGS = {
    "float64": lambda: setting(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: setting(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "tensor type": deprecated_tensor_type,
    "another device": lambda: setting(torch.set_default_device, "meta", None),
    "another seed": lambda: setting(torch.manual_seed, 99, 0),
    "two threads": lambda: setting(torch.set_num_threads, 2, 1),
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "coarse": lambda: setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "no gradients": torch.inference_mode,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", SETTINGS)
def test_bytes_are_the_same_under_other_settings(source, name):
    expected = usual(source)
    with SETTINGS[name]():
        assert digest(source) == expected


@pytest.mark.parametrize("source", SOURCES)
def test_the_global_random_state_is_left_alone(source):
    before = torch.random.get_rng_state()
    digest(source)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_coarse_product_stays_the_readers_choice():
    with SETTINGS["coarse"]():
        views.blur(torch.zeros(1, 3, 8, 8), torch.ones(1))
        assert torch.get_float32_matmul_precision() == "medium"
