"""What a tokenizer leaves of drawn scenes, and which scenes the reader cannot part."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.faithfulness import exactly, faithfulness
from mmdl_lib.models.vqvae import VQVAE


@pytest.fixture(scope="module")
def scenes():
    return t2i.sample(600, seed=3)


class Copy(VQVAE):
    """A tokenizer that loses nothing, but for some pictures."""

    def __init__(self, lost=()):
        super().__init__(VQVAE.TINY)
        self.lost, self.seen = lost, 0

    def reconstruct(self, image):
        row = torch.arange(self.seen, self.seen + len(image))
        self.seen += len(image)
        gone = torch.isin(row, torch.tensor(self.lost, dtype=torch.long))
        return torch.where(gone[:, None, None, None], torch.zeros(()), image)


def pair(distance, *, colors=(0, 0), sizes=(1, 1), count=2):
    """Two squares side by side, so many pixels from center to center."""
    scenes = shapes.sample(1, seed=0, objects=2, textures="solid")
    center = torch.full((1, 4, 2), 10.0)
    center[0, 1, 0] += distance
    shape = torch.full_like(scenes.shape, shapes.SHAPES.index("square"))
    color, size = torch.zeros_like(scenes.color), torch.zeros_like(scenes.size)
    color[0, :2], size[0, :2] = torch.tensor(colors), torch.tensor(sizes)
    parts = {"shape": shape, "color": color, "size": size, "center": center}
    return replace(scenes, count=torch.tensor([count]), **parts)


def test_each_picture_is_judged_as_in_the_mean(scenes):
    image = scenes.render()[torch.arange(600).roll(1)]
    image[:300] = scenes.render()[:300]
    one_by_one = exactly(image, scenes)
    assert one_by_one.dtype == torch.bool and one_by_one.shape == (600,)
    mean = faithfulness(image, scenes).exact
    assert one_by_one.double().mean().item() == pytest.approx(mean)
    own, foreign = (part.double().mean() for part in one_by_one.split(300))
    assert own > 0.95 > 0.1 > foreign


def test_what_is_read_wrong_anyway_does_not_count_against_a_tokenizer(scenes):
    right = exactly(to_float(scenes.render()), scenes)
    readable, other = (x.nonzero()[:, 0].tolist() for x in (right, ~right))
    assert 0 < len(other) < 20
    perfect = ae.read_back(Copy(), scenes)
    assert perfect["kept"] == 1 and perfect["error"] == 0
    assert perfect["exact"] == perfect["ceiling"] == pytest.approx(len(readable) / 600)
    assert ae.read_back(Copy(other), scenes)["kept"] == 1
    worse = ae.read_back(Copy(readable[:6]), scenes)
    assert worse["kept"] == pytest.approx(1 - 6 / len(readable))
    assert worse["exact"] == pytest.approx((len(readable) - 6) / 600)
    assert worse["ceiling"] == perfect["ceiling"] and worse["error"] > 0
    with pytest.raises(ValueError, match="one at least that is read right, got none"):
        ae.read_back(Copy(), scenes[torch.tensor(other)])


def test_squares_of_one_color_touch_until_a_pixel_of_ground_lies_between():
    """Medium squares have a half side of 0.8 x 6 = 4.8 pixels."""
    touch = [ae.touching(pair(d)).item() for d in (4, 9, 9.5, 11, 12, 15)]
    assert touch == [True, True, True, False, False, False]
    assert not ae.touching(pair(9, colors=(0, 1))).any()  # another color
    assert not ae.touching(pair(9, count=1)).any()  # nobody there
    assert not ae.touching(pair(9, sizes=(0, 0))).any()  # 0.8 x 4.5 = 3.6


def test_nearly_all_that_the_reader_misreads_touches(scenes):
    right, touch = exactly(scenes.render(), scenes), ae.touching(scenes)
    assert 2 * (touch & ~right).sum() > (~right).sum() > 0
    assert right[~touch].double().mean() > 0.99 > 0.2 > right[touch].double().mean()
