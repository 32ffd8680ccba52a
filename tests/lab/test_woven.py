"""Woven pictures: coarse pixels show the shape, only fine ones the weave."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.lab.woven import BLOCKS, SOLID, WEAVES, woven


def threads(n, seed, side, contrast=0.25):
    """What the weave alone adds to pictures without noise."""
    options = {"side": side, "noise": 0}
    with_it = woven(n, seed, contrast=contrast, **options)[0]
    return with_it - woven(n, seed, contrast=0, **options)[0]


def test_coarse_pixels_hold_no_trace_of_the_weave():
    assert threads(30, 3, 12).abs().max() < 1e-6
    assert (threads(30, 3, 24).abs().amax((1, 2, 3)) > 0.249).all()


def test_pixels_finer_than_a_thread_show_nothing_more():
    fine, finest = threads(20, 4, 24), threads(20, 4, 96)
    assert torch.allclose(F.interpolate(fine, 96), finest, atol=1e-6)
    noisy, plain = (woven(20, 4, side=96, noise=x)[0] for x in (0.3, 0))
    coarse = F.avg_pool2d(noisy - plain, 4)
    assert torch.allclose(F.interpolate(coarse, 96), noisy - plain, atol=1e-5)


@pytest.mark.parametrize("name", WEAVES)
def test_the_label_names_the_weave(name):
    """Each block of a picture is one of the two kinds of its weave."""
    label = woven(60, 5)[1]
    image = threads(60, 5, 24)[label % 6 == list(WEAVES).index(name)]
    blocks = F.unfold(image[:, :1], 2, stride=2).transpose(1, 2) / 0.25
    blocks = blocks[blocks.abs().amin(2) > 0.99]
    match = blocks @ BLOCKS.flatten(1).float().T
    seen = set(match.argmax(1).tolist())
    assert len(blocks) > 50 and (match.amax(1) > 3.99).all()
    assert seen == set(WEAVES[name])


def test_rows_run_across_columns_down_and_checks_neither():
    image, label = threads(200, 2, 24)[:, 0], woven(200, 2)[1] % 6
    found = {}
    for name in ("rows", "columns", "checks"):
        some = image[label == list(WEAVES).index(name)]
        blocks = some.unflatten(1, (12, 2)).unflatten(3, (12, 2)).transpose(2, 3)
        blocks = blocks[blocks.abs().amin((3, 4)) > 0.2]
        across = (blocks[:, :, 0] == blocks[:, :, 1]).all()
        down = (blocks[:, 0] == blocks[:, 1]).all()
        found[name] = bool(across), bool(down)
    expected = {"rows": (True, False), "columns": (False, True)}
    assert found == expected | {"checks": (False, False)}


def test_neighbors_take_turns_as_on_a_chess_board():
    image, label = threads(200, 6, 24), woven(200, 6)[1] % 6
    mixed = image[label == 3][:, 0]
    blocks = mixed.unflatten(1, (12, 2)).unflatten(3, (12, 2)).transpose(2, 3)
    rows = (blocks[..., 0, 0] == blocks[..., 0, 1]) & (blocks.abs().amin((3, 4)) > 0.2)
    place = (torch.arange(12) + torch.arange(12)[:, None]) % 2
    even, odd = (rows & (place == i) for i in (0, 1))
    assert even.any() and not odd.any()


def test_the_label_names_the_shape():
    image, label = woven(400, 7, side=48, contrast=0, noise=0)
    ground = image[:, :, :1, :1]
    area = ((image - ground).abs().amax(1) > 0.2).float().mean((1, 2))
    means = torch.stack([area[label // 6 == k].mean() for k in range(4)])
    assert SOLID == ("circle", "square", "triangle", "heart")
    assert means.argsort(descending=True).tolist() == [0, 1, 3, 2]


def test_another_side_shows_the_same_scenes_and_another_seed_does_not():
    small, large = (woven(20, 8, side=side)[0] for side in (12, 48))
    assert torch.allclose(F.avg_pool2d(large, 4), small, atol=1e-5)
    assert torch.equal(woven(20, 8)[1], woven(20, 8, side=12)[1])
    assert not torch.equal(woven(20, 8)[0], woven(20, 9)[0])
    assert not torch.equal(woven(20, 8)[1] % 6, woven(20, 9)[1] % 6)


def test_all_labels_occur_equally_often():
    count = woven(2400, 10, side=12)[1].bincount(minlength=24)
    assert len(count) == 24 and count.min() > 60 and count.max() < 140


@pytest.mark.parametrize("side", [8, 20, 192, 13])
def test_another_side_is_refused(side):
    with pytest.raises(ValueError, match=f"divisor of 96 above 11, got {side}"):
        woven(2, 0, side=side)


@pytest.mark.parametrize("name", ["contrast", "noise"])
def test_negative_strengths_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} .*-1"):
        woven(2, 0, **{name: -1})
