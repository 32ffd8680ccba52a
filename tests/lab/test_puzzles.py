"""Turned, painted and misnamed pictures are what they say."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.lab.puzzles import misled, painted, turned

PICTURES = torch.rand(200, 1, 6, 6, generator=generator(0)) * 2 - 1


def test_a_label_says_by_how_many_quarters_a_picture_was_turned():
    batch = turned(PICTURES, generator(1))
    for k in range(4):
        rows = batch["label"] == k
        assert rows.any()
        assert torch.equal(batch["image"][rows].rot90(-k, (2, 3)), PICTURES[rows])


def test_paint_keeps_the_drawing_and_stays_within_the_pixels_range():
    image = painted(PICTURES, generator(2))
    assert image.shape == (200, 3, 6, 6) and image.abs().max() <= 1
    flat, drawn = image.flatten(2), PICTURES.flatten(2).expand(-1, 3, -1)
    flat, drawn = (x - x.mean(2, keepdim=True) for x in (flat, drawn))
    alike = torch.cosine_similarity(flat, drawn, dim=2)
    assert torch.allclose(alike.abs(), torch.ones(200, 3), atol=1e-4)
    assert torch.equal(alike.sign(), alike.sign()[:, :1].expand(-1, 3))
    assert 60 < (alike[:, 0] > 0).sum() < 140  # light ink in about one half


def test_a_misled_label_is_another_class_and_the_others_are_kept():
    label = torch.arange(1000) % 10
    told, wrong = misled(label, 3)
    assert 350 < wrong.sum() < 450
    assert torch.equal(told != label, wrong)
    assert set(told[wrong].tolist()) == set(range(10))
    assert torch.equal(misled(label, 3)[0], told)
    assert not torch.equal(misled(label, 4)[0], told)
