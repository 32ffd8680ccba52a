"""The world of one large object: what is drawn, dropped, judged and left."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab.image_measures import clip_image, clip_text
from mmdl_lib.models.dalle import DALLE
from mmdl_lib.models.dvae import DVAE


@pytest.fixture(scope="module")
def scenes():
    return oo.sample(200, seed=7)


def test_small_pictures_made_larger_are_read_and_known_by_clip(scenes):
    image = oo.larger(to_float(scenes.render(oo.SIDE)))
    assert image.shape == (200, 3, 32, 32)
    both, color = oo.right(image, scenes)
    assert both.mean() == color.mean() == 1
    names = sorted(set(oo.texts(scenes)))
    near = clip_image(image).values @ clip_text(names).values.T
    found = [names[i] for i in near.argmax(1).tolist()]
    hits = [a == b for a, b in zip(found, oo.texts(scenes), strict=True)]
    assert sum(hits) / 200 > 0.95


def test_another_color_another_shape_and_two_objects_are_wrong(scenes):
    image = oo.larger(to_float(scenes.render(oo.SIDE)))
    for name, wanted in (("color", (0, 0)), ("shape", (0, 1))):
        other = replace(scenes, **{name: (getattr(scenes, name) + 1) % 8})
        both, color = oo.right(image, other)
        assert (both.mean(), color.mean()) == wanted


def test_a_caption_has_start_words_and_end_and_fits(scenes):
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    config = DALLE.PRESETS["large-object"]
    assert tokens.shape == (200, 5) and mask.all()
    assert oo.tokenizer().vocab == config.vocab
    assert tokens.shape[1] <= config.text
    assert DVAE.PRESETS["large-object"].codes == config.codes
    assert DVAE.PRESETS["large-object"].grid == config.grid


def test_one_caption_in_ten_is_left_out():
    tokens, mask = oo.tokenizer()(["a red star"] * 5000)
    batch = {"tokens": tokens, "mask": mask, "codes": torch.zeros(5000, 64).long()}
    found = oo._silent(batch, generator(0))
    assert 0.08 < found.pop("silent").float().mean() < 0.12
    assert all(found[key] is batch[key] for key in batch)


def test_more_tries_are_judged_by_one_order_of_pictures(scenes):
    torch.manual_seed(0)
    dvae = DVAE.from_preset("large-object").eval()
    dalle = DALLE.from_preset("large-object").eval()
    options = {"tries": 2, "scale": 1.0, "generator": generator(0)}
    found = oo.judged(dalle, dvae, scenes[torch.arange(6)], **options)
    assert [f.shape for f in found] == [(6, 2)] * 3
    assert (found[1] <= found[2]).all() and found[0].abs().max() <= 1.001


def test_what_is_left_after_codes_is_counted():
    torch.manual_seed(0)
    model = DVAE.from_preset("large-object").eval()
    before = oo.reconstruction(model, seed=1, n=40)
    model.begin(to_float(oo.sample(40, seed=0).render(oo.SIDE)))
    after = oo.reconstruction(model, seed=1, n=40)
    assert after["codes"] > 5 * before["codes"]
    for found in (before, after):
        assert 1 <= found["even"] <= found["codes"] <= 256
        assert 0 <= found["shape"] <= 1 and found["error"] > 0


def test_what_is_wrong_with_a_picture_is_named(scenes):
    few = scenes[torch.arange(20)]
    image = oo.larger(to_float(few.render(oo.SIDE)))
    assert oo.faults(image, few) == 20 * [""]
    other = {k: (getattr(few, k) + 1) % 8 for k in ("color", "shape")}
    for name in other:
        wanted = replace(few, **{name: other[name]})
        assert oo.faults(image, wanted) == 20 * [name]
    assert oo.faults(image, replace(few, **other)) == 20 * ["color and shape"]
    empty = image[:, :, :1, :1].expand_as(image)
    assert oo.faults(empty, few) == 20 * ["no object"]
    two = to_float(shapes.sample(20, seed=1, objects=2, sizes="small").render(32))
    assert oo.faults(two, few) == 20 * ["several objects"]


def test_the_rate_rises_is_held_and_ends_at_nothing():
    rate = [oo.held(step, 4000) for step in range(4000)]
    assert rate[0] == 1 / 200 and rate[99] == 0.5
    assert set(rate[199:3001]) == {1.0}
    assert rate[3500] == 0.5 and 0 < rate[-1] < 0.002
