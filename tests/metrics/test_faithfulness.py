"""Faithfulness: by hand, perfect, wrong in one way at a time, refused."""

import math
from dataclasses import replace

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.metrics.faithfulness import Faithfulness, _score, faithfulness

RED, BLUE = ("circle", "red", "small", 8.0, 16.0), ("star", "blue", "small", 24.0, 16.0)


def seen(*rows):
    return [shapes.Seen(*row, 1.0) for row in rows]


def asked(*rows):
    return [shapes.Thing(*row[:3], "solid", *row[3:]) for row in rows]


def moved(row, x, y):
    return (*row[:3], x, y)


@pytest.mark.parametrize(
    ("found", "scores"),
    [
        ([RED, BLUE], (1, 1, 1, 1, 1, 1)),
        # red circle now right of the blue star
        ([moved(RED, 28.0, 16.0), BLUE], (1, 1, 1, 1, 0, 0)),
        # a red star and a blue circle: attributes swapped
        (
            [("star", *RED[1:]), ("circle", *BLUE[1:])],
            (1, 1, 1, 0, 0, 0),
        ),
        ([RED, ("star", "green", *BLUE[2:])], (1, 0.5, 1, 0.5, 0, 0)),
        ([RED], (0, 0.5, 0.5, 0.5, 0, 0)),
        ([RED, BLUE, moved(BLUE, 4.0, 4.0)], (0, 1, 1, 1, 1, 0)),
        ([], (0, 0, 0, 0, 0, 0)),
    ],
)
def test_by_hand(found, scores):
    assert _score(seen(*found), asked(RED, BLUE)) == scores


def test_drawn_pictures_are_faithful_up_to_the_readers_errors():
    scenes = shapes.sample(200, seed=8, objects=(1, 4), held_out="include")
    found = faithfulness(scenes.render(), scenes)
    assert found.color > 0.98 and found.object > 0.97 and found.relation > 0.97
    assert found.exact > 0.93


@pytest.mark.parametrize("part", ["color", "shape"])
def test_one_wrong_attribute_is_seen_as_that(part):
    scenes = shapes.sample(60, seed=9, objects=1)
    wrong = replace(scenes, **{part: (getattr(scenes, part) + 1) % 8})
    found = faithfulness(scenes.render(), wrong)
    other = {"color": "shape", "shape": "color"}[part]
    assert getattr(found, part) < 0.05 and getattr(found, other) > 0.95
    assert found.exact < 0.05 and found.count == 1 and math.isnan(found.relation)


def test_the_order_of_the_pictures_does_not_matter():
    scenes = shapes.sample(40, seed=10, objects=2)
    image, order = (
        shapes.sample(40, seed=11, objects=2).render(),
        torch.arange(39, -1, -1),
    )
    assert faithfulness(image, scenes) == pytest.approx(
        faithfulness(image[order], scenes[order])
    )


def test_bad_input_is_named():
    scenes = shapes.sample(3, seed=1)
    with pytest.raises(
        ValueError, match="pictures expected as many as scenes, got 2 and 3"
    ):
        faithfulness(scenes.render()[:2], scenes)
    with pytest.raises(ValueError, match="pictures and scenes expected at least one"):
        faithfulness(scenes.render()[:0], scenes[:0])
    assert Faithfulness._fields[-1] == "exact"
