"""Simulated generators have the faults that they are said to have, and raters err."""

import pytest
import torch

from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import image_measures as im
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.r_precision import r_precision


@pytest.fixture(scope="module")
def scenes():
    return t2i.sample(3000, seed=9)


def test_a_careless_generator_errs_as_often_as_it_is_said(scenes):
    drawn = im.flawed(scenes, 0.3, seed=0)
    for name in ("color", "shape"):
        wrong = (getattr(drawn, name) != getattr(scenes, name)).float().mean()
        assert wrong == pytest.approx(0.3, abs=0.02)
    share = im.right(drawn, scenes).float().mean()
    assert share == pytest.approx(im.chance_right(scenes, 0.3).mean().item(), abs=0.03)
    assert im.right(im.flawed(scenes, 0, seed=1), scenes).all()
    assert not im.right(im.flawed(scenes, 1, seed=1), scenes).any()
    assert im.chance_right(scenes[:1], 0.5).item() == 0.25 ** int(scenes.count[0])


def test_only_objects_that_are_there_have_to_be_right(scenes):
    for count in (1, 3):
        some = scenes[scenes.count == count]
        share = im.right(im.flawed(some, 0.3, seed=4), some).float().mean()
        assert share == pytest.approx(0.7 ** (2 * count), abs=0.05)


def test_wrong_values_are_spread_and_tries_differ(scenes):
    drawn = im.flawed(scenes, 1, seed=2)
    shift = (drawn.color - scenes.color) % 8
    assert sorted(shift.unique().tolist()) == list(range(1, 8))
    again = im.flawed(scenes, 0.3, seed=3)
    assert not torch.equal(drawn.color, again.color)


def test_the_last_of_several_objects_is_lost(scenes):
    less = im.without_last(scenes, 1, seed=0).count
    assert torch.equal(less, scenes.count - (scenes.count > 1).long())
    assert torch.equal(im.without_last(scenes, 0, seed=0).count, scenes.count)


def test_empty_pictures_come_first_and_the_others_stay(scenes):
    image = to_float(scenes[:20].render())
    found = im.emptied(image, 0.25)
    assert found[:5].flatten(2).std(2).max() == 0
    assert torch.equal(found[5:], image[5:])


def test_our_clip_prefers_the_own_text(scenes):
    some = scenes[:200]
    texts = t2i.texts(some)
    both = im.clip_image(some.render()), im.clip_text(texts)
    found = r_precision(*both, group=im.same_text(texts), candidates=100)
    assert found.value > 0.9


def test_equal_texts_have_equal_numbers():
    assert im.same_text(["a", "b", "a"]).tolist() == [0, 1, 0]


@pytest.mark.parametrize("error", [0, 0.2, 0.5])
def test_raters_pull_the_rate_towards_one_half(error):
    preferred = (torch.arange(2000) < 1600).double()
    found = im.votes(preferred, raters=5, error=error, seed=0)
    want = error + (1 - 2 * error) * 0.8
    assert found.shape == (2000, 5)
    assert found.mean() == pytest.approx(want, abs=0.02)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x: im.flawed(x, 2, seed=0), "error expected .* 0 to 1, got 2"),
        (lambda x: im.without_last(x, -1, seed=0), "share expected .* got -1"),
        (lambda x: im.votes(torch.ones(2), raters=0, error=0, seed=0), "raters expect"),
        (lambda x: im.votes(torch.ones(2), raters=1, error=0.6, seed=0), "error expec"),
        (lambda x: im.votes(torch.ones(0), raters=1, error=0, seed=0), "preferred exp"),
    ],
)
def test_bad_settings_get_one_sentence(scenes, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(scenes)
