"""What `view` draws: each setting reaches its own step, in its range and its turn.

A step is seen at work by a picture on which its parameter can be read off.
"""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import views
from mmdl_lib.data.views import NOTHING, Views, view

CALM = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def drawn(monkeypatch, name, settings, n=3000):
    """The arguments behind the picture with which `view` calls a step."""
    seen = []
    plain = getattr(views, name).plain

    def spy(image, *given, **options):
        seen.append(given)
        return plain(image, *given, **options)

    monkeypatch.setattr(getattr(views, name), "plain", spy)
    view(torch.zeros(n, 3, 4, 4), settings, generator=generator(0))
    return seen[0]


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("s", [0.25, 0.5, 2.0])
def test_factors_are_uniform_around_one_in_their_own_range(name, s, monkeypatch):
    settings = Views(jitter=1.0, strength=s, **CALM | {name: 0.6})
    (factor,) = drawn(monkeypatch, name, settings)
    low, high = max(0, 1 - 0.6 * s), 1 + 0.6 * s
    assert low <= factor.min() < low + 0.01 * high
    assert high - 0.01 * high < factor.max() <= high
    assert factor.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * high)
    for other in {"brightness", "contrast", "saturation"} - {name}:
        (still,) = drawn(monkeypatch, other, settings)
        assert (still == 1).all()


@pytest.mark.parametrize("s", [0.25, 1.0])
def test_the_color_wheel_turns_both_ways_by_its_share_of_the_strength(s, monkeypatch):
    settings = Views(jitter=1.0, strength=s, **CALM | {"hue": 0.3})
    (turn,) = drawn(monkeypatch, "hue", settings)
    end = 0.3 * s
    assert -end <= turn.min() < -0.98 * end and 0.98 * end < turn.max() <= end
    assert abs(turn.mean()) < 0.05 * end


def test_blur_noise_and_cutout_take_their_settings(monkeypatch):
    settings = Views(blur=1.0, sigma=(0.5, 0.9), noise=1.0, std=0.2)
    settings = replace(settings, cutout=1.0, side=0.3)
    (sigma,) = drawn(monkeypatch, "blur", settings)
    assert 0.5 <= sigma.min() < 0.51 and 0.89 < sigma.max() <= 0.9
    assert drawn(monkeypatch, "noise", settings) == (0.2,)
    center, side = drawn(monkeypatch, "cut_out", settings)
    assert side == 0.3
    assert center.amin(0).max() < 0.01 and center.amax(0).min() > 0.99
    # row and column are drawn apart
    assert abs(torch.corrcoef(center.T)[0, 1]) < 0.1


def test_the_three_quarter_turns_are_equally_likely(monkeypatch):
    (turns,) = drawn(monkeypatch, "rotate", Views(rotate=1.0))
    counts = turns.bincount(minlength=4)
    assert counts[0] == 0 and len(counts) == 4
    assert (counts[1:] - 1000).abs().max() < 130  # five deviations


def test_crops_are_mirrored_too(monkeypatch):
    box, flip = drawn(monkeypatch, "resized_crop", Views(area=(0.5, 0.6), flip=0.3))
    assert flip.float().mean().item() == pytest.approx(0.3, abs=0.04)
    # whether it is mirrored tells nothing about where it is
    assert (box[flip].mean(0) - box[~flip].mean(0)).abs().max() < 0.03


def test_boxes_are_uniform_in_area_and_in_the_logarithm_of_their_ratio():
    settings = Views(area=(0.2, 0.4), ratio=(0.5, 2.0))  # none would stick out
    top, left, height, width = views.boxes(20_000, settings, generator=generator(1)).T
    area, ratio = height * width, (width / height).log() / torch.log(torch.tensor(2.0))
    for values, low, high in ((area, 0.2, 0.4), (ratio, -1, 1)):
        share = (values - low) / (high - low)
        assert share.min() > -1e-4 and share.max() < 1 + 1e-4
        quarters = (share * 4).long().clamp(0, 3).bincount() / len(share)
        assert (quarters - 0.25).abs().max() < 0.02
    # a place is uniform in what the box leaves free, down and across apart
    places = torch.stack([top / (1 - height), left / (1 - width)])
    for share in places:
        assert share.min() < 0.001 and share.max() > 0.999
        assert share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert abs(torch.corrcoef(places)[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([area, ratio]))[0, 1]) < 0.03


ORDER = ("resized_crop", "rotate", "cut_out", "brightness", "contrast", "saturation")
ORDER += ("hue", "gray", "blur", "solarize", "sobel", "noise")


def test_the_steps_come_in_the_order_that_the_module_says(monkeypatch):
    calls = []
    for name in ORDER:
        plain = getattr(views, name).plain

        def spy(image, *given, name=name, plain=plain, **options):
            calls.append(name)
            return plain(image, *given, **options)

        monkeypatch.setattr(getattr(views, name), "plain", spy)
    settings = Views(area=(0.5, 0.9), **dict.fromkeys(views.CHANCES, 1.0))
    view(torch.zeros(2, 3, 8, 8), settings, generator=generator(0))
    steps = [name for i, name in enumerate(calls) if name != "gray" or i == GRAY]
    assert tuple(steps) == ORDER


GRAY = 9  # contrast and saturation call gray themselves, as 5th and 7th call


def test_the_order_matters_to_the_picture_itself():
    x = torch.rand(8, 3, 8, 8, generator=generator(0)) * 2 - 1
    both = replace(NOTHING, gray=1.0, jitter=1.0, **CALM | {"saturation": 0.5})
    y = view(x, both, generator=generator(1))
    assert (y == y[:, :1]).all()  # gray is the last color step
    sharp = replace(NOTHING, blur=1.0, sigma=(3.0, 3.0), solarize=1.0)
    blurred = views.blur(x, torch.full((8,), 3.0))
    assert torch.allclose(view(x, sharp), views.solarize(blurred), atol=1e-6)


def test_contrast_turns_about_the_gray_of_its_own_picture():
    red = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    x = torch.cat([red, -red])
    gray = torch.tensor([0.299 * 2 - 1, 1 - 0.299 * 2]).view(2, 1, 1, 1)
    half = views.contrast(x, torch.full((2,), 0.5))
    assert torch.allclose(half, (x + gray) / 2, atol=1e-6)


def test_a_crop_at_the_edge_repeats_it_and_never_shows_black():
    white = torch.ones(50, 3, 8, 8)
    cropped = view(white, Views(area=(0.1, 1.0), flip=0.5), generator=generator(0))
    assert torch.allclose(cropped, white)


def test_a_blur_of_an_oblong_picture_goes_as_far_down_as_across():
    dot = torch.zeros(1, 3, 15, 21)
    dot[..., 7, 10] = 1
    y = views.blur(dot, torch.ones(1))[0, 0]
    assert torch.allclose(y[7 - 2, 10], y[7, 10 - 2], rtol=1e-4)


PAPERS = {
    # Chen et al. 2020, appendix A, and B.9 for CIFAR-10
    "SIMCLR": ((0.08, 1.0), 0.5, 0.8, 0.2, 0.5, 0.0, 1.0, (0.8, 0.8, 0.8, 0.2)),
    "SIMCLR_CIFAR": ((0.08, 1.0), 0.5, 0.8, 0.2, 0.0, 0.0, 0.5, (0.8, 0.8, 0.8, 0.2)),
    # Grill et al. 2020, Table 6
    "BYOL_ONE": ((0.08, 1.0), 0.5, 0.8, 0.2, 1.0, 0.0, 1.0, (0.4, 0.4, 0.2, 0.1)),
    "BYOL_TWO": ((0.08, 1.0), 0.5, 0.8, 0.2, 0.1, 0.2, 1.0, (0.4, 0.4, 0.2, 0.1)),
}


@pytest.mark.parametrize("name", PAPERS)
def test_named_settings_are_those_of_the_papers_in_full(name):
    area, flip, jitter, gray, blur, solarize, strength, colors = PAPERS[name]
    whole = Views(
        area=area,
        ratio=(3 / 4, 4 / 3),
        flip=flip,
        jitter=jitter,
        gray=gray,
        blur=blur,
        solarize=solarize,
        strength=strength,
        sigma=(0.1, 2.0),
        **dict(zip(CALM, colors, strict=True)),
    )
    assert getattr(views, name) == whole
