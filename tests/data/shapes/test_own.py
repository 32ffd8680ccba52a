"""Style own: colors as numbers, all else known, and the shortcut that it offers."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import OWN, SHAPES
from mmdl_lib.data.views import NOTHING, two_views


def alone(n, seed=0, **more):
    return shapes.sample(n, seed=seed, style=OWN, objects=1, held_out="include", **more)


def bare(scenes, resolution):
    """Pictures without noise, which is made from the row."""
    noisy = scenes.render(resolution).float()
    rows = [replace(scenes, row=scenes.row + 1000 * i) for i in range(1, 40)]
    return torch.stack([noisy, *(r.render(resolution).float() for r in rows)]).mean(0)


@pytest.mark.parametrize("objects", [1, 2, (3, 4)])
@pytest.mark.parametrize("resolution", [16, 32])
def test_masks_and_colors_tell_what_the_pixels_show(objects, resolution):
    scenes = shapes.sample(30, seed=7, style=OWN, objects=objects)
    pixels, cover = bare(scenes, resolution), scenes.coverage(resolution)[:, :, None]
    expected = scenes.own_ground[..., None, None].expand_as(pixels).float()
    for k in range(4):
        color = scenes.rgb[:, k, :, None, None]
        expected = torch.lerp(expected, color.expand_as(pixels).float(), cover[:, k])
    # 40 draws of noise, which is cut at both ends of the range
    assert (pixels - expected).abs().max() < 11
    assert (pixels - expected).abs().mean() < 2


def test_an_object_can_be_told_from_its_ground():
    scenes = shapes.sample(3000, seed=1, style=OWN)
    away = (scenes.rgb - scenes.own_ground[:, None]).float().norm(dim=2)
    assert away.min() >= 100 and (away < 130).any()
    for colors in (scenes.rgb.flatten(0, 1), scenes.own_ground):
        assert colors.min() >= 0 and colors.max() <= 255
        # uniform: mean and deviation of 0 to 255
        assert (colors.float().mean(0) - 127.5).abs().max() < 5
        assert (colors.float().std(0) - 73.9).abs().max() < 3


def test_a_lone_object_is_large_at_many_scales_and_places():
    scenes = alone(4000)
    radius, center = scenes.radius[:, 0], scenes.center[:, 0]
    assert 10 <= radius.min() < 10.1 and 16.5 < radius.max() <= 200 / 12
    # its window is uniform from 12 to 20
    assert (200 / radius).mean().item() == pytest.approx(16, abs=0.15)
    off = (center - 16) / radius[:, None]
    assert off.abs().max() <= 0.3 and off.abs().amax(0).min() > 0.29
    assert off.mean(0).abs().max() < 0.01
    left = (scenes.boxes()[:, 0].amin(1) < 0).float().mean()
    assert 0.1 < left < 0.4  # some leave the picture, at the left or at the top


def test_several_objects_have_scales_of_their_own_and_stand_apart():
    scenes = shapes.sample(500, seed=3, style=OWN, objects=(2, 4))
    boxes = scenes.boxes()[scenes.present]
    assert boxes.min() >= -1e-4 and boxes.max() <= 32 + 1e-4
    two = scenes.count == 2
    assert scenes.radius[two][:, :2].min() < 4.6 and scenes.radius[two].max() > 7.9
    assert scenes.radius[~two].max() <= 4.5 and scenes.radius[~two].min() >= 3.5
    assert scenes.radius[two][:, 0].unique().numel() > 0.9 * two.sum()
    solid = (scenes.coverage(64) > 0.5).sum((2, 3))
    shown = scenes.instance_masks(64).sum((2, 3))
    assert (shown[scenes.present] / solid[scenes.present]).min() > 0.9
    nearest = (scenes.radius[..., None] - torch.tensor(shapes.RADIUS)).abs().argmin(2)
    assert torch.equal(nearest, scenes.size)


def test_a_scene_has_the_same_pixels_alone_and_in_any_batch():
    scenes = shapes.sample(1100, seed=3, style=OWN)
    whole = scenes.render(24)
    assert torch.equal(scenes[[1077]].render(24), whole[1077:1078])
    assert torch.equal(scenes[3:90:4].render(24), whole[3:90:4])
    assert torch.equal(shapes.sample(1100, seed=3, style=OWN).render(24), whole)


def test_textures_are_solid_unless_asked_for():
    assert (alone(200).texture == 0).all()
    striped = alone(50, textures="striped")
    plain = replace(striped, texture=torch.zeros_like(striped.texture))
    assert not torch.equal(striped.render(), plain.render())


def histogram(image, levels=4):
    """Share of the pixels in each of 64 boxes of the color cube."""
    red, green, blue = ((image + 1) / 2 * levels).long().clamp(0, levels - 1).unbind(1)
    number = (red * levels + green) * levels + blue
    return torch.nn.functional.one_hot(number.flatten(1), levels**3).float().mean(1)


def matched(scenes, resolution):
    """Share of crops whose own other crop has the nearest color histogram of all."""
    crop = replace(NOTHING, area=(0.4, 1.0), flip=0.5)
    image = shapes.to_float(scenes.render(resolution))
    one, two = map(histogram, two_views(image, crop, generator=generator(0)))
    best = torch.cdist(one, two, p=1).argmin(1)
    return (best == torch.arange(len(image))).float().mean().item()


def nearest_label(features, label):
    """Accuracy of the label of the nearest of the first 1,000 on all later ones."""
    best = torch.cdist(features[1000:], features[:1000], p=1).argmin(1)
    return (label[:1000][best] == label[1000:]).float().mean().item()


@pytest.mark.parametrize("resolution", [16, 32])
def test_color_histograms_tell_crops_of_one_picture_from_crops_of_others(resolution):
    assert matched(alone(300), resolution) > 0.9
    # eight colors on one ground are not enough
    plain = shapes.sample(300, seed=0, objects=1, sizes="large", textures="solid")
    assert matched(plain, resolution) < 0.3


@pytest.mark.parametrize("seed", [0, 1])
def test_the_shape_cannot_be_read_from_the_colors(seed):
    scenes = alone(3000, seed=seed)
    numbers = torch.cat([scenes.rgb[:, 0], scenes.own_ground], 1).float()
    label, chance = scenes.shape[:, 0], 1 / len(SHAPES)
    # four deviations of 2,000 guesses
    assert nearest_label(numbers, label) < chance + 4 * (chance / 2000) ** 0.5
    # areas differ a little from shape to shape, and a histogram knows areas
    image = shapes.to_float(scenes.render(16))
    assert nearest_label(histogram(image), label) < chance + 0.08
    counts = label.bincount(minlength=8)
    assert len(counts) == 8 and counts.min() > 0.8 * counts.max()


def test_words_for_colors_are_refused_and_shapes_are_not():
    scenes = alone(4)
    assert (scenes.color == -1).all()
    asked = (
        scenes.things,
        lambda: scenes.multi_labels("color"),
        lambda: scenes.multi_labels("pair"),
        lambda: shapes.captions(scenes),
        lambda: shapes.foils(scenes, "noun"),
        lambda: shapes.narratives(scenes, seed=0),
        lambda: shapes.alt_texts(scenes, seed=0),
        lambda: shapes.questions(scenes, seed=0),
        lambda: shapes.run_program([("scene", ()), ("count", ())], scenes[0]),
    )
    for ask in asked:
        with pytest.raises(ValueError, match="colors expected names, got style 'own'"):
            ask()
    truth = torch.nn.functional.one_hot(scenes.shape[:, 0], 8).bool()
    assert torch.equal(scenes.multi_labels("shape"), truth)


def test_a_scene_keeps_its_style_where_colors_would_be_lost():
    with pytest.raises(ValueError, match="sampled in it and only for those, got 'own'"):
        replace(shapes.sample(2, seed=0), style=OWN)
    with pytest.raises(ValueError, match="got 'night'"):
        replace(alone(2), style="night")
    with pytest.raises(ValueError, match="style expected one of 'default', 'night'"):
        alone(2).seen_in(torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize("name", ["colors", "sizes", "x", "y"])
def test_what_the_style_draws_itself_cannot_be_asked_for(name):
    value = {"colors": "red", "sizes": "large", "x": (0, 9), "y": (0, 9)}[name]
    with pytest.raises(ValueError, match=f"{name} expected nothing in style 'own'"):
        alone(2, **{name: value})


def test_the_export_has_objects_and_no_captions(tmp_path):
    import json

    path = shapes.to_coco(alone(3), tmp_path)
    assert len(json.loads(path.read_text())["annotations"]) == 3
    said = json.loads(path.with_name("captions.json").read_text())
    assert said["annotations"] == [] and len(said["images"]) == 3
