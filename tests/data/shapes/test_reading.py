"""Pictures are read back: what was drawn is seen, in each style that promises it."""

import pytest
import torch

from mmdl_lib.data import shapes


def nearest(seen, thing):
    return min(seen, key=lambda s: (s.x - thing.x) ** 2 + (s.y - thing.y) ** 2)


@pytest.mark.parametrize("style", shapes.STYLES_READ)
@pytest.mark.parametrize("objects", [1, 2, (3, 4)])
def test_drawn_objects_are_read(style, objects):
    scenes = shapes.sample(
        200, seed=31, objects=objects, style=style, held_out="include"
    )
    found, things = shapes.read(scenes.render()), scenes.things()
    counts = [len(a) == len(b) for a, b in zip(found, things, strict=True)]
    # two touching objects of one color are read as one
    assert sum(counts) >= 0.96 * 200
    pairs = [
        (nearest(seen, thing), thing)
        for seen, asked in zip(found, things, strict=True)
        for thing in asked
    ]
    for part, least in (("color", 0.99), ("shape", 0.95), ("size", 0.97)):
        right = [getattr(a, part) == getattr(b, part) for a, b in pairs]
        assert sum(right) >= least * len(right), part
    far = [max(abs(a.x - b.x), abs(a.y - b.y)) > 1 for a, b in pairs]
    assert sum(far) <= 0.02 * len(far)


def test_floats_other_sizes_and_an_empty_picture_are_read():
    scenes = shapes.sample(30, seed=3, objects=1)
    large = shapes.to_float(scenes.render(64))
    names = [(t[0].color, t[0].shape) for t in scenes.things()]
    assert [(s[0].color, s[0].shape) for s in shapes.read(large)] == names
    assert shapes.read(torch.full((2, 3, 32, 32), 0.8)) == [[], []]


def test_objects_come_from_left_to_right():
    for seen in shapes.read(shapes.sample(50, seed=4, objects=3).render()):
        assert [s.x for s in seen] == sorted(s.x for s in seen)


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 3, 32, 16)])
def test_other_shapes_are_named(shape):
    with pytest.raises(ValueError, match=r"square pictures of shape \(b, 3, h, h\)"):
        shapes.read(torch.zeros(shape))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(3, 32, 32), r"floats of shape \(b, c, h, w\)"),
        (torch.full((1, 3, 32, 32), 200.0), r"pixels in \[-1, 1\]"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.long), "0 to 255 as uint8"),
    ],
)
def test_what_is_no_picture_is_named(image, words):
    with pytest.raises(ValueError, match=words):
        shapes.read(image)
