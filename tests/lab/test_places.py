"""Pictures whose answer lies in places: the same patches, another answer."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.lab.places import permuted, roughness, two_discs
from mmdl_lib.models.vit import ViT, ViTConfig, patches


def in_order(tokens):
    """The patches of a picture as a bag: sorted by their first numbers."""
    return torch.stack([x[x[:, 0].argsort(stable=True)] for x in tokens])


@pytest.mark.parametrize(("side", "patch"), [(24, 4), (36, 6)])
def test_exchanged_discs_are_the_same_bag_of_patches_with_the_other_answer(side, patch):
    image, label = two_discs(40, 3, side=side)
    assert image.shape == (40, 3, side, side)
    first, second = in_order(patches(image, patch)).chunk(2)
    assert torch.equal(first, second) and not torch.equal(image[:20], image[20:])
    assert torch.equal(label[:20], 1 - label[20:]) and set(label.tolist()) == {0, 1}


@pytest.mark.parametrize("side", [24, 36])
def test_the_label_says_whether_the_red_disc_is_left(side):
    image, label = two_discs(60, 4, side=side, noise=0.0)
    red, blue = image[:, 0].clamp(0), image[:, 2].clamp(0)
    place = torch.arange(side) + 0.5
    x, other = ((c * place).sum((1, 2)) / c.sum((1, 2)) for c in (red, blue))
    assert torch.equal((x < other).long(), label)
    y, lower = ((c.sum(2) * place).sum(1) / c.sum((1, 2)) for c in (red, blue))
    assert ((y < side / 2) != (lower < side / 2)).all()


def test_a_higher_resolution_shows_the_same_scenes():
    small, large = (two_discs(20, 6, side=side, noise=0.0)[0] for side in (24, 36))
    red, larger = (image[:, 0].clamp(0).mean((1, 2)) for image in (small, large))
    assert torch.allclose(red, larger, rtol=0.1)


def test_equal_seeds_give_equal_pictures_and_others_do_not():
    assert torch.equal(two_discs(8, 1)[0], two_discs(8, 1)[0])
    assert not torch.equal(two_discs(8, 1)[0], two_discs(8, 2)[0])


def test_a_permutation_moves_whole_patches():
    image = torch.rand(2, 3, 8, 12, generator=generator(0))
    order = torch.tensor([5, 1, 0, 2, 4, 3])
    assert torch.equal(patches(permuted(image, order), 4), patches(image, 4)[:, order])
    assert torch.equal(permuted(image, torch.arange(6)), image)


@torch.no_grad()
def test_permuted_patches_and_permuted_positions_are_the_same_function():
    torch.manual_seed(0)
    config = ViTConfig(image_size=(16, 16), patch=4, width=32, depth=2, heads=2)
    model, order = ViT(config).eval(), torch.randperm(16, generator=generator(1))
    image = torch.rand(4, 3, 16, 16, generator=generator(2)) * 2 - 1
    before, mixed = model(image), permuted(image, order)
    assert not torch.allclose(model(mixed), before, atol=1e-4)
    table = model.positions.table
    table[1:] = table[1:][order].clone()
    assert torch.allclose(model(mixed), before, atol=1e-5)


def test_patches_that_do_not_fit_are_rough():
    ramp = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    # steps of 2 / 15 from column to column, none from row to row
    assert roughness(ramp) == pytest.approx(1 / 15, rel=1e-4)
    turned = roughness(ramp.transpose(2, 3))
    assert turned == pytest.approx(1 / 15, rel=1e-4)
    mixed = permuted(ramp, torch.randperm(16, generator=generator(3)))
    assert roughness(mixed) > 2 * roughness(ramp)


def test_what_cannot_be_drawn_or_dealt_is_named():
    with pytest.raises(ValueError, match="an even n and a side that 12 divides"):
        two_discs(3, 0)
    with pytest.raises(ValueError, match="an even n and a side that 12 divides"):
        two_discs(4, 0, side=30)
    with pytest.raises(ValueError, match="n expected"):
        two_discs(0, 0)
    with pytest.raises(ValueError, match="an order of 4 patches"):
        permuted(torch.zeros(1, 3, 8, 8), torch.tensor([0, 1, 1, 3]))
