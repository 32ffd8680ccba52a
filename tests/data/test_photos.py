"""Photographs of scikit-image: all inside the package, and cut as models want them."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data import photos

ROOT = Path(__file__).resolve().parents[2]


NAMED = {"cat": "chelsea", "galaxies": "hubble_deep_field"}


@pytest.mark.parametrize("name", photos.PHOTOS)
def test_each_photograph_is_the_one_that_scikit_image_shows(name):
    from skimage import data

    assert (photos._folder() / photos.PHOTOS[name].file).exists()
    pixels = torch.from_numpy(getattr(data, NAMED.get(name, name))())
    pixels = pixels[..., None].expand(-1, -1, 3) if pixels.ndim == 2 else pixels
    found = photos.load(name)
    assert found.dtype == torch.uint8
    assert torch.equal(found[0].permute(1, 2, 0), pixels)
    # a photograph has many values, a drawing few
    assert found.unique().numel() > 100


def test_every_photograph_has_a_credit_that_the_page_of_credits_repeats():
    page = (ROOT / "book/credits.md").read_text()
    for photo in photos.PHOTOS.values():
        assert photo.credit.split(",")[0] in page, photo.file


def test_the_square_is_the_middle_of_the_picture():
    image = torch.zeros(1, 3, 40, 80, dtype=torch.uint8)
    image[:, :, :, 20:60] = 255
    assert photos.square(image, 10, share=1.0).min() > 0.9999
    image[:, :, 5:-5, 25:-25] = 100
    middle = photos.square(image, 30, share=0.75)
    assert torch.allclose(middle, torch.tensor(100 / 127.5 - 1))


def test_at_its_own_size_the_square_is_cut_and_not_blurred():
    image = torch.randint(256, (2, 3, 16, 16), generator=generator(0)).byte()
    whole = photos.square(image, 16, share=1.0)
    assert torch.allclose(whole, image.float() / 127.5 - 1, atol=1e-5)
    assert torch.allclose(
        photos.square(image, 14, share=0.875),
        image[:, :, 1:15, 1:15].float() / 127.5 - 1,
        atol=1e-5,
    )


def test_by_default_seven_eighths_of_the_shorter_side_are_kept():
    image = torch.randint(256, (1, 3, 24, 16), generator=generator(2)).byte()
    middle = image[:, :, 5:19, 1:15].float() / 127.5 - 1
    assert torch.allclose(photos.square(image, 14), middle, atol=1e-5)


def test_an_odd_rest_is_cut_at_the_top_and_at_the_left():
    # as the code of EfficientNet does: (h - cut + 1) // 2
    image = torch.randint(256, (1, 3, 9, 9), generator=generator(3)).byte()
    rest = image[:, :, 1:, 1:].float() / 127.5 - 1
    assert torch.allclose(photos.square(image, 8, share=8 / 9), rest, atol=1e-5)


def test_bicubic_overshoot_is_cut_off():
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    image[:, :, 2:6, 2:6] = 255
    large = photos.square(image, 29, share=1.0)
    assert large.min() == -1 and large.max() == 1


def test_shrinking_averages_instead_of_skipping_pixels():
    noise = torch.randint(256, (1, 3, 64, 64), generator=generator(1)).byte()
    small = photos.square(noise, 16, share=1.0)
    whole = noise.float() / 127.5 - 1
    # the mean of 16 independent pixels has a quarter of their deviation
    assert small.std() < 0.4 * whole.std()
    plain = F.interpolate(whole, (16, 16), mode="bicubic")
    assert plain.std() > 0.5 * whole.std()


def test_wrong_names_shares_and_sides_are_named(monkeypatch):
    with pytest.raises(ValueError, match="name expected one of 'cat', .*got 'dog'"):
        photos.load("dog")
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    for share, side in ((0.0, 8), (1.5, 8), (1.0, 0)):
        with pytest.raises(ValueError, match="(share|side) expected a"):
            photos.square(image, side, share=share)
    monkeypatch.setitem(photos.PHOTOS, "cat", photos.Photo("none.png", "", ""))
    with pytest.raises(FileNotFoundError, match="scikit-image 0.20"):
        photos.load("cat")


def test_missing_scikit_image_is_named(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-image"):
        photos.load("cat")
