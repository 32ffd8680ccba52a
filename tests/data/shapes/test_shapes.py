"""The shapes world: scenes and pixels, boxes, masks, labels and relations agree."""

import hashlib
import math
import re
import runpy
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS, HELD_OUT, LABELS, RELATIONS, SHAPES

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)
styles = pytest.mark.parametrize("style", shapes.STYLES)


def sha(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def test_same_seed_same_bytes_and_another_seed_other_bytes():
    one, again, other = (shapes.sample(50, seed=s).render() for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_scenes_are_those_of_the_day_the_world_was_made():
    scenes = shapes.sample(64, seed=5)
    whole = torch.cat([x.flatten() for x in (scenes.shape, scenes.color, scenes.size)])
    assert sha(whole) == "33011fae0fe56a09"
    assert sha(scenes.center) == "3e7ddfa8983cbe44"


BYTES = {
    "default": ("6578599da190c1ab", "0b71a3fe937e4182"),
    "night": ("96338969abd30b09", "497a39b9d34ab416"),
    "outline": ("21ba3866e79fce78", "3a7d2eed9ac15e28"),
    "noisy": ("8ef7e6aa19f90581", "2071a8326da81403"),
    "gradient": ("210c3d383c3a55dd", "78360c9ffbcb4ec1"),
    "checker": ("d4844eeb0110f84c", "c4246326b2da0d66"),
}


@styles
def test_the_pixels_are_those_of_the_day_the_world_was_made(style):
    scenes = shapes.sample(256, seed=5, style=style, held_out="include")
    assert (sha(scenes.render()), sha(scenes.render(64))) == BYTES[style]


class Record(TorchDispatchMode):
    """Collects the names of the operations that run."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__.rstrip("_"))
        return function(*args, **(kwargs or {}))


# what drawing uses, each seen to be exact or to move numbers only; it sums integers
EXACT = re.findall(
    r"\w+",
    """
    _local_scalar_dense _to_copy abs add all any arange bincount bitwise_and
    bitwise_not bitwise_or cat
    clamp clone cumsum eq expand floor floor_divide full full_like ge gt index
    index_put index_select le lift_fresh lt masked_select max maximum minimum mul neg
    new_zeros
    nonzero ones_like permute rand randint reciprocal remainder rsub
    scalar_tensor scatter
    select slice sort split_with_sizes sqrt stack sub sum unbind unfold unsqueeze view
    where zeros
    """,
)


@pytest.mark.parametrize("style", (*shapes.STYLES, shapes.OWN))
def test_sampling_and_drawing_use_no_operation_that_machines_round_differently(style):
    with Record() as record:
        record.names = set()
        shapes.sample(20, seed=0, style=style).render()
        shapes.sample(20, seed=0, style=style, objects=1, shapes="star").render()
    assert {"sqrt", "scatter"} <= record.names <= set(EXACT)


@styles
def test_a_scene_has_the_same_pixels_alone_and_in_any_batch(style):
    scenes = shapes.sample(2100, seed=3, style=style)
    whole = scenes.render()
    assert torch.equal(scenes[[2077]].render(), whole[2077:2078])
    assert torch.equal(scenes[3:90:4].render(), whole[3:90:4])
    assert torch.equal(scenes[:5].render(device="cpu"), whole[:5])


def test_scenes_of_one_noisy_sample_have_different_noise():
    scenes = replace(shapes.sample(1, seed=0, style="noisy"), row=torch.arange(1))
    twin = replace(scenes, row=torch.ones(1, dtype=torch.long))
    assert not torch.equal(scenes.render(), twin.render())
    other = replace(scenes, seed=1)
    assert not torch.equal(scenes.render(), other.render())


def test_noise_has_no_bias_and_a_deviation_of_25():
    scenes = shapes.sample(200, seed=0, objects=1)
    dark = replace(scenes, style="noisy").render(64).float() - scenes.render(64).float()
    # inside a mid-gray ramp nothing clips; the ground (235) clips, so objects only
    middle = (scenes.render(64) > 80) & (scenes.render(64) < 170)
    assert abs(dark[middle].mean()) < 0.5
    assert abs(dark[middle].std() - 25) < 0.5


def mean_position(masks):
    """Centers of mass (x, y) of masks, in pixels of a 32 x 32 picture."""
    masks, grid = masks.float(), (torch.arange(masks.shape[-1]) + 0.5) * 0.5
    total = masks.sum((-2, -1))
    return (masks.sum(-2) * grid).sum(-1) / total, (masks.sum(-1) * grid).sum(
        -1
    ) / total


@few
@given(seeds)
def test_relations_agree_with_the_centers_of_the_masks(seed):
    scenes = shapes.sample(40, seed=seed, objects=(2, 4))
    x, y = mean_position(scenes.instance_masks(64))
    for i, told in enumerate(shapes.relation(scenes)):
        dx, dy = (x[i, 0] - x[i, 1]).item(), (y[i, 0] - y[i, 1]).item()
        sideways = RELATIONS[0] if dx < 0 else RELATIONS[1]
        upright = RELATIONS[2] if dy < 0 else RELATIONS[3]
        assert RELATIONS[told] == (sideways if abs(dx) > abs(dy) else upright)


@few
@given(seeds, st.sampled_from([32, 48, 64]))
def test_boxes_enclose_the_masks_and_fit(seed, resolution):
    scenes = shapes.sample(20, seed=seed)
    masks, boxes = scenes.instance_masks(resolution), scenes.boxes()
    assert torch.equal(masks.any(3).any(2), scenes.present)
    pixel = 32 / resolution
    for i, k in scenes.present.nonzero().tolist():
        y, x = (masks[i, k].nonzero() * pixel).T
        x0, y0, x1, y1 = boxes[i, k].tolist()
        half = pixel / 2 + 1e-4  # a pixel belongs to a mask by its center
        assert x0 - half <= x.min() and x.max() + pixel <= x1 + half
        assert y0 - half <= y.min() and y.max() + pixel <= y1 + half
        if SHAPES[scenes.shape[i, k]] in ("circle", "ring"):
            assert x.min() - x0 < 2 * pixel and y1 - y.max() < 2 * pixel


def inside(name, x, y):
    """Whether points lie in a shape of radius one, said in another way than drawn."""
    r = torch.hypot(x, y)
    if name in ("triangle", "star"):
        # the edge in polar form runs from a tip (radius 1) to the next valley
        points, valley = (3, 0.5) if name == "triangle" else (5, 0.42)
        sector = 2 * math.pi / points
        turn = (torch.atan2(x, -y) + sector / 2).remainder(sector) - sector / 2
        rest = sector / 2 - turn.abs()
        edge = valley * math.sin(sector / 2) / (turn.abs().sin() + valley * rest.sin())
        return r < edge
    first, second = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    lobe = torch.hypot(x.abs() - 0.389, y + 0.339) < 0.55
    return {
        "circle": r < 1,
        "square": first < 0.8,
        "cross": (first < 0.95) & (second < 0.3),
        "heart": lobe | (x.abs() + (y - 0.05).abs() < 0.55 / 0.7071),
        "ring": (r > 0.46) & (r < 0.98),
        "moon": (r < 1) & (torch.hypot(x - 0.55, y) > 0.8),
    }[name]


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_covers_its_area(name):
    scenes = shapes.sample(12, seed=1, objects=1)
    scenes.shape[:] = SHAPES.index(name)
    masks = scenes.instance_masks(128)[:, 0]
    grid = (torch.arange(128) + 0.5) / 4
    for mask, center, size in zip(
        masks, scenes.center[:, 0], scenes.size[:, 0], strict=True
    ):
        radius = shapes.RADIUS[size]
        x, y = (grid - center[0]) / radius, (grid[:, None] - center[1]) / radius
        wanted = inside(name, *torch.broadcast_tensors(x, y))
        assert (mask != wanted).sum() <= 0.02 * wanted.sum()


def test_solid_is_one_color_stripes_are_rows_and_dots_are_a_checkerboard():
    scenes = shapes.sample(3, seed=0, objects=1)
    scenes.shape[:], scenes.size[:] = SHAPES.index("square"), 2
    scenes.texture[:, 0], scenes.center[:] = torch.arange(3), 16.0
    solid, striped, dotted = scenes.render()[:, 1, 12:20, 12:20].int()
    light = [image > image.float().mean() for image in (striped, dotted)]
    pairs = torch.arange(8) // 2 % 2 == 1  # bands of two pixels
    assert (solid == solid[0, 0]).all()
    for seen, wanted in zip(
        light, (pairs[:, None], pairs[:, None] ^ pairs), strict=True
    ):
        assert (seen == wanted).all() or (seen != wanted).all()


@few
@given(seeds)
def test_the_pictures_differ_from_the_ground_where_objects_are_and_only_there(seed):
    scenes = shapes.sample(20, seed=seed)
    drawn = (scenes.render(64) != 235).any(1)
    cover = scenes.coverage(64).amax(1)
    assert drawn[cover > 0.05].float().mean() > 0.999
    assert not drawn[cover == 0].any()


@few
@given(seeds)
def test_multi_labels_and_semantic_masks_hold_the_same_classes(seed):
    scenes = shapes.sample(30, seed=seed, held_out="include")
    masks, labels = scenes.semantic_masks(64), scenes.multi_labels("shape")
    for mask, row in zip(masks, labels, strict=True):
        assert set(mask.unique().tolist()) - {0} == set(
            (row.nonzero() + 1).flatten().tolist()
        )
    assert torch.equal(masks > 0, scenes.instance_masks(64).any(1))


@few
@given(seeds, st.sampled_from(["shape", "color", "pair"]))
def test_multi_labels_name_what_is_there(seed, of):
    scenes = shapes.sample(30, seed=seed, held_out="include")
    for things, row in zip(scenes.things(), scenes.multi_labels(of), strict=True):
        texts = {
            "shape": "{0.shape}",
            "color": "{0.color}",
            "pair": "{0.color} {0.shape}",
        }
        there = {texts[of].format(thing) for thing in things}
        assert {LABELS[of][i] for i in row.nonzero().flatten()} == there


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


@styles
def test_styles_draw_the_same_scene_differently(style):
    scenes = shapes.sample(20, seed=1)
    drawn = replace(scenes, style=style).render()
    assert torch.equal(drawn, scenes.render()) == (style == "default")


@pytest.mark.parametrize("draw", ["render", "coverage", "semantic_masks"])
@pytest.mark.parametrize("resolution", [8, 32.0])
def test_too_small_a_picture_and_half_pixels_are_errors(draw, resolution, as_a_reader):
    with pytest.raises(ValueError, match="resolution expected a whole number from 16"):
        getattr(shapes.sample(1, seed=0), draw)(resolution)


def test_an_unknown_label_and_an_unknown_style_are_errors():
    with pytest.raises(ValueError, match="one of 'shape', 'color', 'pair', got 'verb'"):
        shapes.sample(1, seed=0).multi_labels("verb")
    with pytest.raises(ValueError, match="style expected one of .* got 'cubist'"):
        replace(shapes.sample(1, seed=0), style="cubist")


def test_scenes_are_picked_by_slice_list_and_tensor():
    scenes = shapes.sample(9, seed=0)
    for pick in (slice(2, 5), [2, 3, 4], torch.tensor([2, 3, 4])):
        part = scenes[pick]
        assert len(part) == 3
        assert part.things() == scenes.things()[2:5]
        assert all(len(getattr(part, f.name)) == 3 for f in fields(part)[:7])


def test_unused_slots_are_not_drawn():
    scenes = shapes.sample(50, seed=0, objects=2)
    other = replace(scenes, center=scenes.center.clone(), color=scenes.color.clone())
    other.center[:, 2:], other.color[:, 2:] = 16.0, 0
    assert torch.equal(scenes.render(), other.render())


def test_bytes_become_floats_and_bytes_again_and_what_lies_beyond_is_cut():
    image = torch.arange(256).to(torch.uint8).reshape(1, 1, 16, 16)
    floats = shapes.to_float(image)
    assert shapes.to_bytes(floats).equal(image)
    assert shapes.to_bytes(floats + 0.49 / 127.5).equal(image)  # to the nearest
    far = torch.full((1, 1, 2, 2), 3.0)
    assert shapes.to_bytes(torch.cat([far, -far], 1)).unique().tolist() == [0, 255]
    with pytest.raises(ValueError, match="image expected"):
        shapes.to_bytes(far * torch.nan)


def test_to_float_spans_minus_one_to_one():
    image = (
        torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    )
    assert shapes.to_float(image)[:, 0, 0, 0].tolist() == [-1, 1]


def test_the_benchmark_runs(capsys):
    main = runpy.run_path("benchmarks/shapes.py")["main"]
    main(64)
    assert "own, scenes and 32 x 32" in capsys.readouterr().out
