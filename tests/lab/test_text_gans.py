"""The easy world of text-conditional GANs: its reader, its shares, its batches."""

import pytest
import torch

from mmdl_lib.data.shapes import HELD_OUT, to_float
from mmdl_lib.lab import text_gans as world


def drawn(scenes):
    return to_float(world.small(scenes))


@pytest.mark.parametrize("held_out", ["exclude", "only"])
def test_real_pictures_are_read_right(held_out):
    scenes = world.sample(300, seed=4, held_out=held_out)
    found = world.right(drawn(scenes), scenes)
    assert found["color"] == found["shape"] == found["both"] == 1
    assert found["distance"] < 0.12


def test_pictures_for_other_texts_are_right_as_often_as_chance():
    one, other = (world.sample(4000, seed=seed, held_out="include") for seed in (1, 2))
    found = world.right(drawn(one), other)
    # five standard errors of a share of one in eight
    for name in ("color", "shape"):
        assert abs(found[name] - 1 / 8) < 5 * (7 / 64 / 4000) ** 0.5
    assert found["both"] < 0.03


def test_noise_in_single_pixels_is_read_over():
    scenes = world.sample(200, seed=5)
    image = drawn(scenes)
    noise = 0.3 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    found = world.right((image + noise).clamp(-1, 1), scenes)
    assert found["both"] > 0.97 and found["distance"] > 0.12


def test_held_out_pairs_are_apart_from_all_others():
    for held_out, there in {"exclude": 0, "only": 200}.items():
        things = world.sample(200, seed=6, held_out=held_out).things()
        pairs = [(t.color, t.shape) for (t,) in things]
        assert sum(pair in HELD_OUT for pair in pairs) == there


def test_a_batch_is_a_function_of_its_step_and_holds_text_and_picture():
    scenes = world.sample(50, seed=7)
    batches = world.batches(scenes, 16, 4, seed=3)
    one, again, other = batches(2), batches(2), batches(3)
    assert one["image"].shape == (4, 3, 16, 16) and one["image"].dtype == torch.float32
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["image"], other["image"])
    tokens, mask = world.asked(scenes)
    rows = [
        (drawn(scenes) == x).all(3).all(2).all(1).nonzero()[0, 0] for x in one["image"]
    ]
    assert torch.equal(tokens[torch.stack(rows)], one["tokens"])
    assert torch.equal(mask[torch.stack(rows)], one["mask"])


def test_spread_is_the_root_of_the_mean_square():
    first, second = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    second[0] = 0.2
    assert world.spread(first, second) == pytest.approx((0.04 / 2) ** 0.5)


def test_bad_pictures_are_refused_in_one_sentence(as_a_reader):
    scenes = world.sample(3, seed=0)
    with pytest.raises(ValueError, match=r"pictures expected shape \(b, 3, 16, 16\)"):
        world.read(torch.zeros(3, 3, 32, 32))
    with pytest.raises(ValueError, match="pictures expected"):
        world.read(torch.full((3, 3, 16, 16), 2.0))
    with pytest.raises(ValueError, match="pictures expected 3, one for each scene"):
        world.right(torch.zeros(2, 3, 16, 16), scenes)
