"""The shapes world: what the captions say is what the pixels show."""

import hashlib
from dataclasses import replace

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS, HELD_OUT, RELATIONS, RGB, SHAPES


def test_same_seed_same_bytes_and_another_seed_other_bytes():
    one, again, other = (shapes.sample(50, seed=s).render() for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_bytes_are_those_of_the_day_the_world_was_made():
    scenes = shapes.sample(64, seed=5)
    whole = torch.cat([x.flatten() for x in (scenes.shape, scenes.color, scenes.size)])
    digest = hashlib.sha256(whole.numpy().tobytes()).hexdigest()
    assert digest.startswith("33011fae0fe56a09")


def color_from_pixels(image, mask):
    """Name of the color whose direction from white the darkest masked pixels have."""
    pixels = image[:, mask].float().T
    nearest = torch.cdist(pixels, RGB.float()).min(0).values
    return COLORS[nearest.argmin()]


def shape_from_mask(mask, scenes, i, k):
    """Name of the shape that, drawn alone in this box, matches the mask best."""
    alone = replace(scenes[[i] * 8], count=torch.ones(8, dtype=torch.long))
    alone.center[:, 0], alone.size[:, 0] = scenes.center[i, k], scenes.size[i, k]
    alone.shape[:, 0] = torch.arange(8)
    drawn = alone.instance_masks(64)[:, 0]
    overlap = (drawn & mask).sum((1, 2)) / (drawn | mask).sum((1, 2))
    return SHAPES[overlap.argmax()]


@pytest.mark.parametrize("seed", range(3))
def test_captions_agree_with_colors_shapes_and_counts_in_the_pixels(seed):
    scenes = shapes.sample(60, seed=seed, held_out="include")
    images, masks = scenes.render(64), scenes.instance_masks(64)
    for i, texts in enumerate(shapes.captions(scenes)):
        seen = [
            f"{color_from_pixels(images[i], m)} {shape_from_mask(m, scenes, i, k)}"
            for k, m in enumerate(masks[i])
            if m.any()
        ]
        said = [part.split(" ", 1)[1] for part in texts[0].split(" and ")]
        assert said == seen
        assert len(texts) == 5


def test_relations_agree_with_the_centers_of_the_masks():
    scenes = shapes.sample(200, seed=8, objects=2)
    masks = scenes.instance_masks(64).float()
    grid = torch.arange(64.0)
    x = (masks.sum(2) * grid).sum(-1) / masks.sum((2, 3))
    y = (masks.sum(3) * grid).sum(-1) / masks.sum((2, 3))
    for i, texts in enumerate(shapes.captions(scenes)):
        dx, dy = (x[i, 0] - x[i, 1]).item(), (y[i, 0] - y[i, 1]).item()
        sideways = RELATIONS[0] if dx < 0 else RELATIONS[1]
        upright = RELATIONS[2] if dy < 0 else RELATIONS[3]
        assert (sideways if abs(dx) > abs(dy) else upright) in texts[2]


def test_the_caption_and_its_inverse_name_opposite_relations():
    scenes = shapes.sample(50, seed=9, objects=2)
    opposite = dict(
        zip(RELATIONS, ("right of", "left of", "below", "above"), strict=True)
    )
    for texts in shapes.captions(scenes):
        here, back = (next(r for r in RELATIONS if r in texts[k]) for k in (2, 4))
        assert back == opposite[here]


def test_every_word_of_a_caption_is_in_the_vocabulary():
    words = set(shapes.caption_words())
    scenes = shapes.sample(500, seed=4)
    used = {w for texts in shapes.captions(scenes) for t in texts for w in t.split()}
    assert used <= words


def test_held_out_pairs_stay_away_or_stand_alone():
    def pairs(mode):
        scenes = shapes.sample(4000, seed=0, objects=1, held_out=mode)
        color, shape = scenes.color[:, 0].tolist(), scenes.shape[:, 0].tolist()
        return {(COLORS[c], SHAPES[s]) for c, s in zip(color, shape, strict=True)}

    assert pairs("exclude").isdisjoint(HELD_OUT)
    assert len(pairs("exclude")) == 56
    assert pairs("only") == set(HELD_OUT)
    assert len(pairs("include")) == 64


def test_objects_stay_inside_and_hide_little_of_each_other():
    scenes = shapes.sample(500, seed=2)
    boxes = scenes.boxes()[scenes.present]
    assert boxes.min() >= -1e-4
    assert boxes.max() <= 32 + 1e-4
    solid = (scenes.coverage(64) > 0.5).sum((2, 3))
    shown = scenes.instance_masks(64).sum((2, 3))
    assert (shown[scenes.present] / solid[scenes.present]).min() > 0.9


@pytest.mark.parametrize("phenomenon", ["attribute", "relation", "noun"])
def test_a_foil_is_no_caption_of_its_scene_and_uses_known_words(phenomenon):
    scenes = shapes.sample(300, seed=6, objects=2, held_out="include")
    rows = shapes.foils(scenes, phenomenon)
    assert len(rows) > 150
    everything = shapes.captions(scenes)
    for i, true, false in rows:
        assert true in everything[i]
        assert false not in everything[i]
        objects = {f"{c} {s}" for c, s in names(scenes, i)}
        if phenomenon == "relation":
            assert sorted(false.split()) == sorted(true.split())
        else:
            said = {part.split(" ", 1)[1] for part in false.split(" and ")}
            assert said != objects


def names(scenes, i):
    for k in range(2):
        yield COLORS[scenes.color[i, k]], SHAPES[scenes.shape[i, k]]


@pytest.mark.parametrize("style", shapes.STYLES)
def test_styles_draw_the_same_scene_differently(style):
    scenes = shapes.sample(20, seed=1)
    drawn = replace(scenes, style=style).render()
    assert torch.equal(drawn, scenes.render()) == (style == "default")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n": 0}, "n >= 1"),
        ({"objects": 5}, "one to four objects"),
        ({"objects": (3, 2)}, "one to four objects"),
        ({"style": "cubist"}, "expected a style"),
        ({"held_out": "maybe"}, "exclude, only or include"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        shapes.sample(**{"n": 2, "seed": 0} | arguments)


def test_too_small_a_picture_is_an_error():
    with pytest.raises(ValueError, match="at least 16, got 8"):
        shapes.sample(1, seed=0).render(8)


def test_an_unknown_phenomenon_is_an_error():
    with pytest.raises(ValueError, match="attribute, relation or noun"):
        shapes.foils(shapes.sample(1, seed=0), "verb")
