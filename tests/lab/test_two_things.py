"""Two things side by side: captions are true, foils are false, names stay apart."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.lab import two_things as world


def test_captions_say_what_the_scenes_hold_from_either_side():
    scenes = world.scenes(200, 3)
    meaning = world.meanings(scenes)
    texts = world.read(world.said(meaning))
    back = world.read(world.said(world.turned(meaning)))
    for things, one, other in zip(scenes.things(), texts, back, strict=True):
        (a, b), words = things, one.split()
        assert words[:2] + words[3:] == [a.color, a.shape, b.color, b.shape]
        dx, dy = a.x - b.x, a.y - b.y
        here = {"left": -dx, "right": dx, "above": -dy, "below": dy}
        assert words[2] == max(here, key=here.get)
        assert other.split()[:2] == [b.color, b.shape]
        opposite = {"left": "right", "right": "left", "above": "below"}
        assert other.split()[2] == (opposite | {"below": "above"})[words[2]]


def test_other_names_are_in_no_caption_and_mean_the_same():
    meaning = world.meanings(world.scenes(300, 4))
    names = world.other_names(300, generator(0))
    plain, other = world.said(meaning), world.said(meaning, names)
    at = [1, 2, 4, 5]
    assert not set(other[:, at].flatten().tolist()) & set(plain.flatten().tolist())
    assert torch.equal((other - world.COLOR)[:, at] // 5, (plain - 10)[:, at] // 5)
    known = {w for n in (*world.COLORS, *world.SHAPES) for w in world.SAME[n].split()}
    assert {w for text in world.read(other) for w in text.split()} <= known | {
        *world.PLACES
    }


def test_each_second_text_says_that_two_names_are_one():
    found = world.texts(400, generator(1))
    same = found[:, 3] == world.IS
    assert same[1::2].all() and not same[::2].any()
    words = (found - world.COLOR)[same]
    assert torch.equal(words[:, [1, 2]] // 5, words[:, [4, 5]] // 5)


def test_a_changed_sentence_differs_in_one_attribute():
    meaning = world.meanings(world.scenes(300, 5))
    foil = world.changed(meaning, generator(2))
    assert ((foil != meaning).sum(1) == 1).all()
    assert torch.equal(foil[:, 2], meaning[:, 2]) and foil.max() == 3


def test_exchanged_colors_are_left_out_where_the_sentence_stays_true():
    meaning = world.meanings(world.scenes(500, 6))
    foil, false = world.swapped(meaning)
    assert 0 < len(foil) == false.sum() < 500
    alike = meaning[:, 0] == meaning[:, 3]
    assert torch.equal(false, ~alike)
    assert torch.equal(foil[:, [0, 3]], meaning[false][:, [3, 0]])
    assert torch.equal(foil[:, [1, 2, 4]], meaning[false][:, [1, 2, 4]])


def test_pictures_are_two_large_things():
    scenes = world.scenes(50, 7)
    assert (scenes.count == 2).all()
    assert {t.size for things in scenes.things() for t in things} == {"large"}
    assert scenes.render(world.SIDE).shape == (50, 3, 16, 16)
    assert set(world.COLORS) < set(shapes.COLORS)
