"""data2vec's encoders: what masks, places and scales do."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.models.data2vec_encoders import GridBias


def fresh(kind):
    torch.manual_seed(0)
    model = Data2Vec.from_preset(kind).eval()
    return model, Data2Vec.example_batch(model.config, 3, generator=generator(1))


def test_a_way_from_patch_to_patch_has_the_same_number_wherever_it_starts():
    bias = GridBias((3, 4), 2)
    table = bias()[0, :, 1:, 1:].view(2, 3, 4, 3, 4)
    assert torch.equal(table[:, 0, 0, 1, 2], table[:, 1, 1, 2, 3])
    assert torch.equal(table[:, 2, 3, 1, 1], table[:, 1, 2, 0, 0])
    ways = {}
    for a in range(12):
        for b in range(12):
            way = (b // 4 - a // 4, b % 4 - a % 4)
            ways.setdefault(way, set()).add(bias.index[a + 1, b + 1].item())
    assert all(len(numbers) == 1 for numbers in ways.values())
    assert len({n for numbers in ways.values() for n in numbers}) == 5 * 7


def test_the_class_token_has_three_ways_of_its_own():
    index = GridBias((3, 4), 2).index
    assert index[0, 1:].unique().tolist() == [35]
    assert index[1:, 0].unique().tolist() == [36]
    assert index[0, 0] == 37


def test_without_the_bias_patches_would_be_a_bag():
    model, rows = fresh("tiny-image")
    moved = {"image": rows["image"].roll(4, 3)}
    grid = model.hear(rows).view(3, 4, 4, -1)
    assert not torch.allclose(
        model.hear(moved).view(3, 4, 4, -1).roll(-1, 2), grid, atol=1e-4
    )
    torch.nn.init.zeros_(model.front.bias.table)
    grid = model.hear(rows).view(3, 4, 4, -1)
    again = model.hear(moved).view(3, 4, 4, -1).roll(-1, 2)
    assert torch.allclose(again, grid, atol=1e-5)


def test_with_scales_of_zero_a_block_adds_nothing():
    model, rows = fresh("tiny-image")
    fed = model.front(rows)
    for block in model.student.blocks:
        torch.nn.init.zeros_(block.scale1), torch.nn.init.zeros_(block.scale2)
    assert torch.equal(model.layers(rows)[-1].end, fed.x)
    torch.nn.init.ones_(model.student.blocks[0].scale2)
    first = model.layers(rows)[0]
    assert torch.allclose(first.end, fed.x + first.fed, atol=1e-6)


def test_what_leaves_a_post_norm_block_is_normalized_and_what_is_fed_is_not():
    model, rows = fresh("tiny-text")
    for layer in model.layers(rows):
        assert torch.allclose(
            layer.end.std(2, correction=0), torch.ones(3, 16), atol=1e-3
        )
        assert (layer.fed.std(2) - 1).abs().max() > 0.2


def test_order_matters_to_words_and_to_frames():
    model, rows = fresh("tiny-text")
    rows = {"tokens": rows["tokens"], "mask": torch.ones(3, 16, dtype=torch.bool)}
    swapped = rows | {"tokens": rows["tokens"].flip(1)}
    same = torch.allclose(model.hear(swapped).flip(1), model.hear(rows), atol=1e-4)
    assert not same
    model, rows = fresh("tiny-sound")
    x = model.front.frames(rows["sound"])
    model.front.frames = lambda sound: x.flip(1)
    turned = model.hear(rows).flip(1)
    del model.front.frames
    assert not torch.allclose(turned, model.hear(rows), atol=1e-3)


def test_a_frame_hears_its_own_samples_and_no_later_ones():
    model, rows = fresh("tiny-sound")
    front = model.front
    sound = rows["sound"] - rows["sound"].mean(1, keepdim=True)
    later = sound.clone()
    later[:, 3200:] = later[:, 3200:].flip(1)  # mean and variance stay
    one, two = front.frames(sound), front.frames(later)
    # frame i begins at sample 320 i and reads 785 of them
    same = (one - two).abs().amax((0, 2)) < 1e-4
    reads = 1 + sum(
        9 if i == 0 else k * s
        for i, (k, s) in enumerate([(9, 1), (7, 5), (3, 20), (3, 80)])
    )
    count = sum(320 * i + reads <= 3200 for i in range(len(same)))
    assert same[:count].all() and not same[count:].any()


def test_hidden_places_are_one_vector_for_all_and_it_learns():
    for kind in ("tiny-image", "tiny-sound"):
        model, rows = fresh(kind)
        hidden = torch.ones_like(model.front.places(rows))
        x = model.front(rows, hidden).x[:, model.front.extra :]
        assert (x - x[:1]).abs().max() < 1e-6  # the same in each row
        model.front.mask_vector.data += 1
        assert not torch.allclose(model.front(rows, hidden).x[:, -1], x[:, -1])


def test_a_hidden_word_is_read_as_the_token_of_the_mask():
    model, rows = fresh("tiny-text")
    hidden = model.hide(rows, generator=generator(0))
    masked = torch.where(hidden, 39, rows["tokens"])
    found = model.front(rows, hidden)
    assert torch.equal(found.x, model.front(rows | {"tokens": masked}).x)
    assert torch.equal(found.mask, rows["mask"])


def encoder(name):
    with torch.device("meta"):
        model = Data2Vec.from_preset(name)
    return sum(
        p.numel() for part in (model.front, model.student) for p in part.parameters()
    )


def test_encoders_have_the_sizes_that_the_paper_gives():
    # ViT-B and ViT-L: 86 and 307 million
    assert encoder("vision-base") == pytest.approx(86e6, rel=0.01)
    assert encoder("vision-large") == pytest.approx(307e6, rel=0.015)


def test_a_second_of_sound_is_fifty_frames_less_one():
    front = Data2Vec.PRESETS["speech-base"].front
    assert math.prod(front.strides) == 320  # 16,000 / 320 = 50 Hz, and no 50 kHz
    assert front.frames(16_000) == 49 and front.frames(32_000) == 99
