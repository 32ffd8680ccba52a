"""What recipes of learning without labels share."""

from dataclasses import replace

import torch
from torch import nn

from mmdl_lib.data import shapes
from mmdl_lib.data.views import NOTHING, SIMCLR_CIFAR
from mmdl_lib.lab import unlabeled


def pictures(n, seed):
    scenes = shapes.sample(n, seed=seed, objects=1, sizes="large")
    return unlabeled.windows(scenes, seed)


def test_a_window_shows_the_object_near_its_middle():
    scenes = shapes.sample(50, seed=0, objects=1, sizes="large")
    seen, whole = unlabeled.windows(scenes, 0), scenes.render(32)
    assert seen.shape == (50, 3, 16, 16)
    # white ground: ink is what is dark, and its center of mass lies within 4 pixels
    ink = (255 - seen.float()).sum(1)
    mass = ink / ink.sum((1, 2), keepdim=True)
    at = torch.arange(16.0)
    y, x = (mass.sum(2) * at).sum(1), (mass.sum(1) * at).sum(1)
    assert (y - 7.5).abs().max() < 4.5
    assert (x - 7.5).abs().max() < 4.5
    # and it is cut out of the picture, not drawn anew
    assert any(torch.equal(seen[0], whole[0][:, i : i + 16, j : j + 16])
               for i in range(17) for j in range(17))  # fmt: skip


def test_crops_are_told_apart_by_color_and_distorted_ones_are_not():
    image = shapes.to_float(pictures(192, 0))
    same = unlabeled.matched_by_color(image, NOTHING, 0)
    crop = unlabeled.matched_by_color(image, replace(NOTHING, area=(0.3, 1.0)), 0)
    color = unlabeled.matched_by_color(image, SIMCLR_CIFAR, 0)
    assert same > 0.9
    assert same >= crop > color + 0.2


def test_each_part_of_the_pictures_gets_views_of_its_own(monkeypatch):
    seen = []

    def two_views(part, first, *, generator):
        seen.append(torch.rand(1, generator=generator).item())
        return part, part

    monkeypatch.setattr(unlabeled, "two_views", two_views)
    unlabeled.matched_by_color(torch.zeros(192, 3, 4, 4), NOTHING, 0)
    assert len(set(seen)) == 3


def test_changes_are_those_that_their_labels_name():
    image = shapes.to_float(pictures(40, 1))
    found = unlabeled.transformed(image, 0)
    turned, turns = found["rotation"]
    for x, y, k in zip(image, turned, turns.tolist(), strict=True):
        assert torch.allclose(x.rot90(k, (1, 2)), y) or torch.allclose(
            x.rot90(-k, (1, 2)), y
        )
    gray, kind = found["gray or color"]
    assert torch.equal((gray != image).flatten(1).any(1), kind == 1)
    loud, kind = found["noise or none"]
    assert torch.equal((loud != image).flatten(1).any(1), kind == 1)


def test_local_norms_see_only_the_two_views_of_their_own_pictures():
    norm = unlabeled.LocalBatchNorm(3)
    x = torch.randn(2 * 6, 3, 4, 4)  # two views of six pictures, three devices
    found = norm(x)
    for device in range(3):
        rows = [2 * device, 2 * device + 1, 6 + 2 * device, 7 + 2 * device]
        alone = nn.BatchNorm2d(3)(x[rows])
        assert torch.allclose(found[rows], alone, atol=1e-5)


def test_every_norm_is_replaced_and_nothing_else():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    unlabeled.replace_norms(net, unlabeled.LocalBatchNorm)
    assert isinstance(net[1][0], unlabeled.LocalBatchNorm)
    assert net[1][0].num_features == 4
    assert isinstance(net[0], nn.Conv2d)
