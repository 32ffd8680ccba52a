"""The world of one or two objects: what captions tell, batches, and what is right."""

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import few_objects as fo


def scenes(objects, n=60):
    return fo.sample(n, objects, seed=7)


def test_facts_are_what_the_caption_says():
    pairs = scenes(2)
    for text, fact in zip(fo.texts(pairs), fo.facts(pairs).tolist(), strict=True):
        one, two = fact[:2], fact[2:4]
        names = [f"{shapes.COLORS[c]} {shapes.SHAPES[s]}" for c, s in (one, two)]
        side = " left of " in text or " right of " in text
        assert fact[4] == (0 if side else 1)
        turned = " right of " in text or " below " in text
        assert [text.index(n) for n in names] == sorted(
            (text.index(n) for n in names), reverse=turned
        ) or names[0] == names[1]


def test_a_quarter_of_a_batch_are_singles_and_they_tell_no_facts():
    batch = fo.batches(scenes(1), scenes(2), seed=0)(3)
    assert batch["image"].shape == (32, 3, 32, 32) and batch["image"].abs().max() <= 1
    assert (batch["facts"][:8] == -1).all()
    told = (batch["facts"][8:] >= 0).all(1)
    silent = (batch["facts"][8:] == -1).all(1)
    assert (told | silent).all() and 0 < told.sum() < 24
    assert batch["mask"].any(0).all()  # no column of padding only


def test_batches_are_a_function_of_the_step():
    batches = fo.batches(scenes(1), scenes(2), seed=0)
    one, two, other = batches(5), batches(5), batches(6)
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not torch.equal(one["image"], other["image"])


def test_captions_that_tell_come_as_often_as_their_shares():
    batches = fo.batches(scenes(1), scenes(2), seed=0)
    told = [(batches(i)["facts"][8:] >= 0).any(1) for i in range(60)]
    share = torch.cat(told).double().mean()
    wanted = sum(fo.CAPTIONS[i] for i in fo.TELLING)
    assert abs(share - wanted) < 4 * (wanted * (1 - wanted) / 1440) ** 0.5


@pytest.mark.parametrize("objects", [1, 2])
def test_pictures_of_the_asked_scenes_are_right_and_others_are_not(objects):
    asked = scenes(objects)
    image = to_float(asked.render(fo.SIDE))
    found = fo.right(image, asked)
    assert found["objects"] > 0.95 and found["exact"] > 0.9 and found["count"] == 1
    assert ("relation" in found) == (objects == 2)
    other = fo.right(image.roll(1, 0), asked)
    assert other["objects"] < 0.3


def test_an_object_counts_once():
    thing = scenes(2).things()[0]
    seen = [(t.shape, t.color) for t in thing]
    assert fo._has(seen, thing)
    assert not fo._has(seen[:1], thing)
    twice = [thing[0], thing[0]]
    assert not fo._has([(thing[0].shape, thing[0].color), ("x", "y")], twice)


def test_the_rate_rises_stays_and_falls():
    rate = [fo.held(i, 1000) for i in range(1000)]
    assert rate[0] < 0.02 and rate[100] == 1 == rate[740]
    assert 0.4 < rate[875] < 0.6 and rate[999] == 0.03


def test_what_is_drawn_in_parts_is_in_order():
    def draw(tokens, mask):
        return tokens[:, :1, None, None].expand(-1, 3, 4, 4) / 38

    texts = fo.texts(scenes(1))
    whole = fo.drawn(draw, texts, part=7)
    assert torch.equal(whole, fo.drawn(draw, texts, part=60))
    assert len(whole) == 60


def test_words_of_all_captions_are_known():
    tokens, mask = fo.tokenizer()(
        [t for five in shapes.captions(scenes(2)) for t in five]
    )
    assert mask.sum(1).max() <= 24 and len(tokens) == 300
