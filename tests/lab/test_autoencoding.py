"""The small world and the measure of edges."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae


def test_edges_of_equal_pictures_are_all_there_and_blur_takes_them_away():
    image = to_float(ae.pictures(40, seed=0))
    blurred = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    more = F.avg_pool2d(F.pad(blurred, (1, 1, 1, 1), mode="replicate"), 3, 1)
    assert ae.sharpness(image, image) == 1
    assert 1 > ae.sharpness(blurred, image) > ae.sharpness(more, image) > 0
    assert ae.sharpness(torch.zeros_like(image), image) == 0
    assert ae.sharpness(image / 2, image) == pytest.approx(0.25)


def test_noise_is_not_taken_for_less_than_an_edge():
    """The measure's quirk: noise counts as edges, so look at the pictures, too."""
    image = to_float(ae.pictures(40, seed=0))
    noise = 2 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0)) - 1
    assert ae.sharpness(noise, image) > 1


def test_pictures_without_edges_and_other_numbers_are_refused(as_a_reader):
    image = to_float(ae.pictures(4, seed=0))
    with pytest.raises(ValueError, match="with edges, got plain"):
        ae.sharpness(image, torch.zeros_like(image))
    with pytest.raises(ValueError, match="as many as"):
        ae.sharpness(image[:2], image)
    with pytest.raises(ValueError, match="rebuilt expected pixels"):
        ae.sharpness(3 * image, image)


def test_features_have_a_gradient_for_the_picture_and_none_for_the_net():
    image = to_float(ae.pictures(2, seed=0)).requires_grad_()
    maps = ae.perception(image)
    assert len(maps) == 2
    sum(m.sum() for m in maps).backward()
    assert image.grad.abs().sum() > 0
    assert all(not p.requires_grad for p in ae._judge().parameters())
