"""Sampling gives exactly what was asked for, and says so where it cannot."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS, HELD_OUT, SHAPES, SIZES, TEXTURES

CHOICES = {"shapes": SHAPES, "colors": COLORS, "sizes": SIZES, "textures": TEXTURES}
FIELDS = {"shapes": "shape", "colors": "color", "sizes": "size", "textures": "texture"}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("several", [False, True])
def test_all_n_scenes_hold_what_was_chosen_and_nothing_else(name, several):
    # not in their own order
    wanted = CHOICES[name][:-3:-1] if several else CHOICES[name][1]
    more = {"objects": 2, "held_out": "include", name: wanted}
    scenes = shapes.sample(400, seed=3, **more)
    assert len(scenes) == 400 and (scenes.count == 2).all()
    words = [getattr(t, FIELDS[name]) for things in scenes.things() for t in things]
    assert set(words) == ({wanted} if isinstance(wanted, str) else set(wanted))
    if several:
        assert words.count(wanted[0]) / 800 == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_not_chosen_stays_free(name):
    scenes = shapes.sample(
        4000, seed=4, objects=1, held_out="include", **{name: CHOICES[name][0]}
    )
    for other, known in CHOICES.items():
        if other != name:
            counts = getattr(scenes, FIELDS[other])[:, 0].bincount(minlength=len(known))
            assert len(counts) == len(known)
            # five deviations of a count
            assert (counts - 4000 / len(known)).abs().max() < 5 * (4000 / 3) ** 0.5


def test_all_choices_at_once_leave_one_kind_of_object():
    chosen = {"shapes": "star", "colors": "cyan", "sizes": "large"}
    scenes = shapes.sample(50, seed=0, objects=2, textures="dotted", **chosen)
    for things in scenes.things():
        assert [t[:4] for t in things] == 2 * [("star", "cyan", "large", "dotted")]


def test_pairs_that_are_held_out_stay_away_from_choices_too():
    color, shape = HELD_OUT[2]
    for held_out, expected in (("exclude", 7), ("only", 1), ("include", 8)):
        more = {"objects": 1, "colors": color, "held_out": held_out}
        found = shapes.sample(2000, seed=1, **more).shape[:, 0].unique()
        assert len(found) == expected
        assert (SHAPES.index(shape) in found) == (held_out != "exclude")
    with pytest.raises(ValueError, match="pair that held_out='exclude' allows"):
        shapes.sample(5, seed=0, colors=color, shapes=shape)


def test_three_objects_are_small_and_chosen_sizes_must_allow_it():
    sizes = ("small", "large")
    scenes = shapes.sample(300, seed=0, objects=(1, 4), sizes=sizes)
    many = scenes.count > 2
    assert (scenes.size[many] == 0).all() and (scenes.size[~many] == 2).any()
    with pytest.raises(ValueError, match="sizes expected 'small' among them"):
        shapes.sample(300, seed=0, objects=(1, 3), sizes="large")


@pytest.mark.parametrize("objects", [1, 2])
def test_centers_stay_in_the_asked_range_and_fill_it(objects):
    asked = {"objects": objects, "sizes": "small", "x": (0, 15), "y": (10, 30)}
    scenes = shapes.sample(2000, seed=2, **asked)
    x, y = scenes.center[:, :objects].unbind(-1)
    # an object of radius 4.5 stays inside the picture
    assert x.min() >= 4.5 and x.max() <= 15 and y.min() >= 10 and y.max() <= 27.5
    assert x.min() < 4.6 and x.max() > 14.9 and y.min() < 10.1 and y.max() > 27.4


@pytest.mark.parametrize(
    "asked", [{"x": (0, 4)}, {"y": (30, 32)}, {"objects": 2, "x": (14, 16)}]
)
def test_where_there_is_no_room_a_sentence_says_so(asked):
    if "objects" in asked:
        asked |= {"y": (14, 16)}
    with pytest.raises(ValueError, match="expected room, found none for centers"):
        shapes.sample(3, seed=0, **{"objects": 1, "sizes": "large"} | asked)


def test_a_generator_gives_one_sample_after_another():
    g = generator(5)
    one, two = (shapes.sample(20, generator=g) for _ in range(2))
    again = shapes.sample(20, generator=generator(5))
    assert torch.equal(one.center, again.center)
    assert not torch.equal(one.center, two.center)
    # the seed that it gave is told
    assert torch.equal(shapes.sample(20, seed=two.seed).center, two.center)
    for both in ({}, {"seed": 0, "generator": g}):
        with pytest.raises(ValueError, match="either a seed or a generator"):
            shapes.sample(20, **both)


def test_huge_and_negative_seeds_are_seeds():
    drawn = [
        shapes.sample(3, seed=seed, style="noisy").render()
        for seed in (-1, 2**62, 2**62 + 1)
    ]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n": 0}, "n expected a whole number from 1 up, got 0"),
        ({"n": 2.5}, "n expected a whole number"),
        ({"seed": 0.5}, "seed expected a whole number"),
        ({"objects": 5}, "one to four, got 5"),
        ({"objects": (3, 2)}, "one to four"),
        ({"style": "cubist"}, "style expected one of 'default', .*'own', got 'cubist'"),
        ({"held_out": "maybe"}, "'exclude', 'only', 'include', got 'maybe'"),
        ({"colors": "violet"}, "colors expected one of 'red', .*, got 'violet'"),
        ({"shapes": ["star", "Star"]}, "shapes expected one of 'circle', .* 'Star'"),
        ({"sizes": "tiny"}, "sizes expected one of 'small', 'medium', 'large', got"),
        ({"textures": ("solid", "plaid")}, "textures expected one of 'solid'"),
        ({"textures": ()}, r"textures expected one name or more, each once, got \(\)"),
        ({"colors": ("red", "red")}, "colors expected one name or more, each once"),
        ({"x": (8, 4)}, r"x expected 0 <= low <= high <= 32, got \(8, 4\)"),
        ({"y": (0, 40)}, "y expected 0 <= low"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(arguments, expected, as_a_reader):
    with pytest.raises(ValueError, match=expected):
        shapes.sample(**{"n": 2, "seed": 0} | arguments)
