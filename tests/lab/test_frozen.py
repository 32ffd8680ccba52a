"""The world of frozen readers: what stands where, what is judged, what is trained."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.dvae import DVAE


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.setenv("MMDL_SMOKE", "1")


def test_every_color_has_three_names_and_four_things_of_its_own():
    assert list(fz.NAMES) == list(fz.THINGS) == list(shapes.COLORS)
    names = [name for group in fz.NAMES.values() for name in group]
    things = [thing for group in fz.THINGS.values() for thing in group]
    assert len(names) == len(set(names)) == 24 and len(set(things)) == 32
    assert not set(names) & set(things)
    fz.tokenizer()(fz.sentences())  # every word is known, none is too many


def test_names_of_a_color_stand_in_the_same_sentences_and_no_others_do():
    around = {}
    for color, group in fz.NAMES.items():
        for name in group:
            said = [f" {text} " for text in fz.sentences()]
            own = {
                text.replace(f" {name} ", " _ ") for text in said if f" {name} " in text
            }
            around[color, name] = frozenset(own)
    assert len(set(around.values())) == 8
    for color, group in fz.NAMES.items():
        assert len({around[color, name] for name in group}) == 1


def test_captions_of_training_never_hold_a_third_name(smoke):
    scenes = fz.pictures(200, seed=1)
    which = torch.randint(2, (len(scenes),), generator=generator(0))
    text = " ".join(fz.captions(scenes, which))
    third = [names[2] for names in fz.NAMES.values()]
    assert not set(text.split()) & set(third)
    said = fz.captions(scenes, torch.full((len(scenes),), 2))
    assert all(one.split()[1] in third for one in said)


def test_a_reader_hides_one_real_word_of_each_sentence_and_nothing_else():
    model = fz.Reader(fz.reader(0, steps=0).config)
    tokens, mask = fz.tokenizer()(["grass is jade", "a red star"])
    seen = []
    whole = model.hidden
    model.hidden = lambda t, m: seen.append(t) or whole(t, m)
    for seed in range(40):
        batch = {"tokens": tokens, "mask": mask}
        model.loss(batch, generator=generator(seed))
    changed = torch.stack(seen) != tokens
    assert (changed.sum(2) == 1).all()
    assert (torch.stack(seen)[changed] == 3).all()
    places = changed.any(0)
    assert places.tolist() == 2 * [[False, True, True, True, False]]


def test_a_reader_without_steps_is_frozen_and_random():
    one, two = fz.reader(0, steps=0), fz.reader(1, steps=0)
    assert not any(p.requires_grad for p in one.parameters())
    assert not torch.equal(one.tokens.weight, two.tokens.weight)
    assert 0 <= fz.near(one) <= 0.75


def test_the_hue_of_real_pictures_is_their_color_at_any_size():
    scenes = fz.asked(100, seed=5)
    for side in (8, 16, 32):
        assert fz.hue_right(fz.rendered(scenes, side), scenes) > 0.98
    others = fz.asked(100, seed=6)
    assert fz.hue_right(fz.rendered(others, 16), scenes) < 0.3
    assert fz.right(fz.rendered(scenes, 16), scenes) == {"right": 1.0, "color": 1.0}


def test_a_small_picture_is_the_mean_of_a_large_one():
    scenes = fz.asked(4, seed=5)
    large, low = fz.rendered(scenes, 16), fz.rendered(scenes, 8)
    means = large.reshape(4, 3, 8, 2, 8, 2).mean((3, 5))
    assert torch.allclose(low, means, atol=1e-6)
    assert torch.allclose(fz.smaller({"image": large}, side=8)["low"], means, atol=1e-6)


def test_all_that_is_trained_draws(smoke):
    reader, scenes = fz.reader(0, steps=200), fz.pictures(200, seed=1)
    for preset, low in (("large-object", None), ("large-object-8-to-16", 8)):
        net, _ = fz.learned(0, scenes, reader, steps=200, preset=preset)
        low = None if low is None else fz.rendered(fz.asked(8, seed=1), 8)[:2]
        said = ["a red star", "a jade moon"]
        image = fz.drawn(net, reader, said, low=low, steps=2, generator=generator(0))
        assert image.shape == (2, 3, 16, 16) and image.abs().max() <= 1
    dvae = DVAE.from_preset("large-object").eval()
    net, _ = fz.parti(0, scenes, steps=200, model=dvae)
    fresh = fz.asked(8, seed=2)
    own, other = (fz.nats(net, fresh, dvae, shuffled=s) for s in (False, True))
    assert 0 < own < 7 and own != other
    assert oo.drawn(net, dvae, ["a red star"]).shape == (1, 3, 16, 16)
