"""VOC's average precision: by hand, by brute force, its quirks and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.iou import iou
from mmdl_lib.metrics.mean_ap import Detections, Truth, mean_ap
from mmdl_lib.metrics.voc_ap import area_under, eleven, voc_ap

LABEL = torch.ones(1).long()
BOX = torch.tensor([[0.0, 0.0, 10.0, 10.0]])


@st.composite
def worlds(draw):
    g = generator(draw(st.integers(0, 10_000)))
    found, truth = [], []
    for _ in range(draw(st.integers(1, 4))):
        n, extra = draw(st.integers(1, 4)), draw(st.integers(0, 3))
        start = torch.randint(0, 30, (n + extra, 2), generator=g)
        box = torch.cat(
            [start, start + torch.randint(5, 20, start.shape, generator=g)], 1
        )
        label = torch.randint(0, 2, (n + extra,), generator=g)
        difficult = torch.rand(n, generator=g) < 0.2
        difficult[0] = False
        truth.append(Truth(box[:n], label[:n], difficult))
        guess = box + torch.randint(-2, 2, box.shape, generator=g)
        score = torch.rand(n + extra, generator=g, dtype=torch.float64)
        found.append(Detections(guess, label, score))
    return found, truth


def by_force(found, truth, label, points):
    """The definition, one detection at a time, and precision looked up by searching."""
    rows = [
        (float(f.score[j]), i, j)
        for i, f in enumerate(found)
        for j in range(len(f.label))
        if f.label[j] == label
    ]
    objects = {
        (i, j): bool(t.crowd[j])
        for i, t in enumerate(truth)
        for j in range(len(t.label))
        if t.label[j] == label
    }
    count, used, curve, right, seen = sum(not d for d in objects.values()), [], [], 0, 0
    for _, i, j in sorted(rows, reverse=True):
        near = {
            key: iou(found[i].region[j : j + 1], truth[i].region[key[1] :][:1]).item()
            for key in objects
            if key[0] == i
        }
        best = max(near, key=near.get) if near else None
        if best is not None and near[best] >= 0.5:
            if objects[best]:
                continue
            right += best not in used
            used.append(best)
        seen += 1
        curve.append((right / count, right / seen))
    levels = np.arange(0, 1.1, 0.1) if points else sorted({r for r, _ in curve})
    best = [max((p for r, p in curve if r >= level), default=0) for level in levels]
    if points:
        return sum(best) / 11
    steps = [b - a for a, b in zip([0, *levels], levels, strict=False)]
    return sum(s * p for s, p in zip(steps, best, strict=True))


@given(worlds(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_brute_force_gives_the_same(world, points):
    found, truth = world
    out = voc_ap(found, truth, eleven_points=points)
    for label, value in out.by_class.items():
        here = [t.label == label for t in truth]
        if any((h & ~t.crowd).any() for h, t in zip(here, truth, strict=True)):
            assert value == pytest.approx(by_force(found, truth, label, points))
        else:
            assert np.isnan(value)
    known = [v for v in out.by_class.values() if not np.isnan(v)]
    assert out.mean == pytest.approx(np.mean(known))
    assert 0 <= out.mean <= 1


@given(worlds())
@settings(deadline=None, max_examples=20)
def test_the_truth_is_perfect(world):
    _, truth = world
    apart = [  # objects on top of each other are not the question here
        Truth(t.region + 100 * torch.arange(len(t.label))[:, None], t.label, t.crowd)
        for t in truth
    ]
    best = [Detections(t.region, t.label, torch.ones(len(t.label))) for t in apart]
    assert voc_ap(best, apart).mean == pytest.approx(1)
    assert voc_ap(best, apart, eleven_points=True).mean == pytest.approx(1)


def test_a_second_detection_may_not_take_the_next_best_object_as_in_coco():
    two = Truth(torch.cat([BOX, BOX + torch.tensor([2.0, 0, 2, 0])]), LABEL.repeat(2))
    guess = Detections(BOX.repeat(2, 1), LABEL.repeat(2), torch.tensor([0.9, 0.8]))
    assert voc_ap([guess], [two]).mean == pytest.approx(0.5)
    assert mean_ap([guess], [two])["AP50"] == pytest.approx(1)


def test_exactly_one_half_is_enough():
    half = Detections(BOX * torch.tensor([1, 1, 0.5, 1]), LABEL, torch.ones(1))
    assert voc_ap([half], [Truth(BOX, LABEL)]).mean == 1
    assert voc_ap([half], [Truth(BOX, LABEL)], threshold=0.51).mean == 0


def test_masks_work_and_no_detection_is_zero():
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, :4] = True
    truth = [Truth(masks, LABEL)]
    assert voc_ap([Detections(masks, LABEL, torch.ones(1))], truth).mean == 1
    none = Detections(masks[:0], LABEL[:0], torch.zeros(0))
    assert voc_ap([none], truth).mean == voc_ap([none], truth, eleven_points=True).mean


def test_three_of_ten_objects_do_not_reach_the_level_of_three_tenths():
    assert eleven(np.array([0.3]), np.array([1.0])) == pytest.approx(3 / 11)
    assert area_under(np.array([0.3]), np.array([1.0])) == pytest.approx(0.3)


def test_bad_input_gets_one_clear_sentence():
    guess = Detections(BOX, LABEL, torch.ones(1))
    with pytest.raises(
        ValueError, match="pictures with detections expected at least 1"
    ):
        voc_ap([], [])
    with pytest.raises(ValueError, match="got 1 and 2"):
        voc_ap([guess], [Truth(BOX, LABEL)] * 2)
    with pytest.raises(
        ValueError, match="objects expected at least one that is not difficult"
    ):
        voc_ap([guess], [Truth(BOX, LABEL, torch.tensor([True]))])
    with pytest.raises(ValueError, match="expected finite numbers, got 4 NaN"):
        voc_ap([guess._replace(region=BOX / 0)], [Truth(BOX, LABEL)])
