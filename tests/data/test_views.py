"""Random views: each step by its law, then the draw; kornia's steps are in parity."""

from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data import views
from mmdl_lib.data.views import BYOL_ONE, BYOL_TWO, NOTHING, SIMCLR, Views, two_views

STEPS = ("rotate", "cutout", "jitter", "gray", "blur", "solarize", "sobel", "noise")


def pictures(n=6, h=16, w=16, seed=0):
    return torch.rand(n, 3, h, w, generator=generator(seed)) * 2 - 1


def test_the_whole_box_is_the_picture_and_a_flip_mirrors_it():
    x = pictures(2)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(2, 4)
    flip = torch.tensor([False, True])
    y = views.resized_crop(x, whole, flip)
    assert torch.allclose(y[0], x[0], atol=1e-5)
    assert torch.allclose(y[1], x[1].flip(-1), atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16), (16, 24)])
def test_a_crop_shows_what_its_box_holds(shape):
    h, w = shape
    x = torch.full((1, 3, h, w), -1.0)
    x[:, 0, : h // 2, w // 2 :] = 1  # the upper right quarter is red
    box = torch.tensor([[0.0, 0.5, 0.5, 0.5]])
    y = views.resized_crop(x, box)
    # bilinear: only the outermost pixels look over the border of the box
    assert (y[0, 0, : h - 1, 1:] == 1).all()
    assert (y[0, 1:] == -1).all()
    other = views.resized_crop(x, torch.tensor([[0.5, 0.5, 0.5, 0.5]]))
    assert (other[0, :, 1:] == -1).all()


def test_a_crop_is_the_part_enlarged():
    x = pictures(3)
    box = torch.tensor([[0.25, 0.5, 0.5, 0.25]]).expand(3, 4)
    want = F.interpolate(x[:, :, 4:12, 8:12], (16, 16), mode="bilinear")
    # at its border ours still sees the pixels beyond the box
    y = views.resized_crop(x, box)
    assert torch.allclose(y[..., 1:-1, 2:-2], want[..., 1:-1, 2:-2], atol=1e-5)


def test_quarter_turns_turn_each_picture_by_its_own_angle():
    x = pictures(4)
    y = views.rotate(x, torch.tensor([0, 1, 2, 3]))
    for k in range(4):
        assert torch.equal(y[k], torch.rot90(x[k], k, (1, 2)))
    with pytest.raises(ValueError, match="square pictures to rotate, got 16 x 20"):
        views.rotate(pictures(4, 16, 20), torch.tensor([0, 1, 2, 3]))


def test_cutout_hides_a_square_around_its_center_and_nothing_else():
    x = pictures(2) * 0.5 + 0.4  # no pixel is zero by itself
    y = views.cut_out(x, torch.tensor([[0.5, 0.5], [0.0, 1.0]]), 0.5)
    assert (y[0, :, 4:12, 4:12] == 0).all()
    assert (y[0] == 0).sum() == 3 * 64
    assert (y[1, :, :4, 12:] == 0).all()
    assert (y[1] == 0).sum() == 3 * 16
    assert torch.equal(y[y != 0], x[y != 0])


def test_a_factor_of_one_and_a_whole_turn_change_nothing():
    x, one = pictures(), torch.ones(6)
    for step in (views.brightness, views.contrast, views.saturation, views.hue):
        assert torch.allclose(step(x, one), x, atol=1e-5), step.__name__


def test_a_factor_of_zero_gives_black_flat_and_gray():
    x, zero = pictures(), torch.zeros(6)
    assert (views.brightness(x, zero) == -1).all()
    flat = views.contrast(x, zero)
    assert torch.allclose(flat, flat.mean((1, 2, 3), keepdim=True).expand_as(flat))
    assert torch.allclose(views.saturation(x, zero), views.gray(x), atol=1e-6)


def test_each_picture_has_its_own_factor():
    x = pictures(2)
    y = views.brightness(x, torch.tensor([1.0, 0.0]))
    assert torch.allclose(y[0], x[0], atol=1e-6)
    assert (y[1] == -1).all()


@pytest.mark.parametrize(
    "step", [views.brightness, views.contrast, views.saturation, views.hue, views.blur]
)
def test_a_picture_is_changed_as_if_it_were_alone(step):
    x, value = pictures(4), torch.tensor([0.3, 0.7, 1.1, 1.6])
    whole = step(x, value)
    for i in range(4):
        assert torch.allclose(whole[i], step(x[i : i + 1], value[i : i + 1])[0])


def test_a_third_of_the_wheel_makes_red_green_and_keeps_gray():
    red = torch.tensor([0.8, -0.6, -0.6]).view(1, 3, 1, 1)
    third = torch.tensor([1 / 3])
    green = torch.tensor([-0.6, 0.8, -0.6]).view(1, 3, 1, 1)
    assert torch.allclose(views.hue(red, third), green, atol=1e-5)
    flat = torch.full((1, 3, 2, 2), 0.3)
    assert torch.allclose(views.hue(flat, third), flat)
    x = pictures(1)
    assert torch.allclose(views.hue(views.hue(x, third), -third), x, atol=1e-5)


def test_blur_keeps_flat_pictures_and_spreads_a_dot_as_a_gaussian():
    flat = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(views.blur(flat, torch.tensor([1.5])), flat, atol=1e-6)
    dot = torch.zeros(1, 3, 17, 17)
    dot[..., 8, 8] = 1
    y = views.blur(dot, torch.tensor([1.0]))[0, 0]
    assert torch.allclose(y.sum(), torch.tensor(1.0), atol=1e-5)
    assert torch.allclose(y[8, 9] / y[8, 8], torch.tensor(-0.5).exp(), atol=1e-5)
    assert torch.allclose(y[9, 9] / y[8, 8], torch.tensor(-1.0).exp(), atol=1e-5)
    x = pictures()
    assert torch.allclose(views.blur(x, torch.full((6,), 0.1)), x, atol=1e-5)


def test_solarize_inverts_the_bright_half_only():
    x = torch.tensor([-1.0, -0.2, 0.0, 0.3, 1.0]).view(1, 1, 1, 5).expand(1, 3, 1, 5)
    want = torch.tensor([-1.0, -0.2, 0.0, -0.3, -1.0])
    assert torch.equal(views.solarize(x)[0, 0, 0], want)


def test_sobel_is_black_on_flat_ground_and_white_on_a_full_edge():
    x = torch.full((1, 3, 8, 8), -1.0)
    assert (views.sobel(x) == -1).all()
    x[..., 4:] = 1
    y = views.sobel(x)
    assert (y[..., 3:5] == 1).all()
    assert (y[..., :3] == -1).all() and (y[..., 5:] == -1).all()


def test_noise_has_the_deviation_that_it_says():
    y = views.noise(torch.zeros(4, 3, 64, 64), 0.2, generator=generator(0))
    assert y.std().item() == pytest.approx(0.2, rel=0.02)


def test_boxes_lie_inside_and_keep_the_area_and_ratio_of_the_setting():
    top, left, height, width = views.boxes(20_000, SIMCLR, generator=generator(0)).T
    assert top.min() >= 0 and left.min() >= 0
    assert (top + height).max() <= 1 + 1e-6 and (left + width).max() <= 1 + 1e-6
    area, ratio = height * width, width / height
    assert 0.08 - 1e-5 <= area.min() < 0.09 and 0.95 < area.max() <= 1
    # uniform, but for those made narrower because they would stick out
    assert area.mean().item() == pytest.approx(0.54, abs=0.03)
    assert ratio.min() >= 0.75 - 1e-4 and ratio.max() <= 4 / 3 + 1e-4


@pytest.mark.parametrize("name", STEPS)
def test_a_step_happens_as_often_as_its_probability_says(name):
    x = pictures(400)
    y = views.view(x, replace(NOTHING, **{name: 0.3}), generator=generator(1))
    changed = ((y - x).abs().amax((1, 2, 3)) > 1e-6).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.07)
    always = views.view(x, replace(NOTHING, **{name: 1.0}), generator=generator(1))
    assert ((always - x).abs().amax((1, 2, 3)) > 1e-6).float().mean() > 0.95


def test_no_setting_changes_nothing():
    assert torch.equal(views.view(pictures(), NOTHING), pictures())


def test_half_of_the_pictures_are_mirrored():
    x = pictures(400)
    y = views.view(x, replace(NOTHING, flip=0.5), generator=generator(3))
    same, mirrored = ((y - z).abs().amax((1, 2, 3)) == 0 for z in (x, x.flip(-1)))
    assert (same | mirrored).all()
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("settings", [SIMCLR, BYOL_ONE, BYOL_TWO])
@pytest.mark.parametrize("shape", [(16, 16), (32, 24)])
def test_views_stay_in_range_and_follow_the_generator(settings, shape):
    x = torch.cat([pictures(30, *shape), torch.ones(1, 3, *shape)])
    one = two_views(x, settings, generator=generator(5))
    two = two_views(x, settings, generator=generator(5))
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)
        assert a.shape == x.shape and a.abs().max() <= 1 and a.isfinite().all()
    assert not torch.equal(*one)


def test_every_step_at_once_stays_in_range_and_leaves_the_input_alone():
    x = pictures(20)
    before = x.clone()
    chances = {f.name: 1.0 for f in fields(Views) if f.name in STEPS}
    y = views.view(x, replace(SIMCLR, **chances), generator=generator(0))
    assert y.abs().max() <= 1 and torch.equal(x, before)


def test_two_pictures_of_a_batch_are_changed_in_different_ways():
    x = pictures(1).expand(8, -1, -1, -1)
    random = ("cutout", "jitter", "blur", "noise")
    for settings in (SIMCLR, *(replace(NOTHING, **{name: 1.0}) for name in random)):
        y = views.view(x, settings, generator=generator(3))
        distance = (y[:, None] - y[None]).abs().amax((2, 3, 4))
        # two may draw nearly the same value
        assert (distance + torch.eye(8) > 1e-3).float().mean() > 0.9, settings


def test_the_second_view_may_have_other_settings():
    x = pictures()
    left, right = two_views(x, SIMCLR, NOTHING, generator=generator(0))
    assert torch.equal(right, x) and not torch.equal(left, x)


def test_strength_scales_the_colors_and_zero_strength_is_no_jitter():
    x = pictures(50)
    moved = [
        (
            views.view(
                x, replace(NOTHING, jitter=1.0, strength=s), generator=generator(0)
            )
        )
        for s in (0.0, 0.25, 1.0)
    ]
    sizes = [(y - x).abs().mean().item() for y in moved]
    assert sizes[0] < 1e-5 < sizes[1] < sizes[2]


def test_the_named_settings_hold_what_the_papers_print():
    assert (SIMCLR.area, SIMCLR.strength, SIMCLR.hue) == ((0.08, 1.0), 1.0, 0.2)
    assert (SIMCLR.jitter, SIMCLR.gray, SIMCLR.blur) == (0.8, 0.2, 0.5)
    assert (BYOL_ONE.blur, BYOL_ONE.solarize) == (1.0, 0.0)
    assert (BYOL_TWO.blur, BYOL_TWO.solarize) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(2, 1, 16, 16), r"shape \(b, 3, h, w\)"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), "pictures as floats"),
        (torch.zeros(2, 3, 16, 16) + 200, r"pixels in \[-1, 1\]"),
    ],
)
def test_what_is_no_picture_is_named(image, words):
    with pytest.raises(ValueError, match=words):
        views.view(image)


def test_impossible_settings_are_named(as_a_reader):
    for name in views.CHANCES:
        for value in (-0.1, 1.5, float("nan")):
            with pytest.raises(ValueError, match=f"{name} expected a number from 0"):
                replace(SIMCLR, **{name: value})
    for name in ("strength", "brightness", "contrast", "saturation", "hue", "std"):
        with pytest.raises(ValueError, match=f"{name} expected a number from 0 up"):
            replace(SIMCLR, **{name: -0.1})
    for name, span in (("area", (0.0, 1.0)), ("area", (0.5, 1.1)), ("ratio", (0, 1))):
        with pytest.raises(ValueError, match=rf"{name}\[[01]\] expected a number"):
            replace(SIMCLR, **{name: span})
    for name in ("area", "ratio", "sigma"):
        with pytest.raises(ValueError, match=f"{name} expected the lower end first"):
            replace(SIMCLR, **{name: (0.9, 0.5)})
    for side in (-0.1, 1.1):
        with pytest.raises(ValueError, match="side expected"):
            replace(SIMCLR, side=side)
