"""Boxes and masks: pycocotools to the last digits, transformers."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from transformers.loss.loss_for_object_detection import generalized_box_iou

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.metrics.iou import giou, iou, mask_iou
from mmdl_lib.metrics.mean_ap import Detections, Truth, mean_ap
from mmdl_lib.metrics.voc_ap import voc_ap

COCO_PEER = {"package": "pycocotools", "reference": "pycocotools"}


def quiet(function, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args)


def to_coco(rows, images, labels):
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i, "height": h, "width": w} for i, h, w in images],
        "categories": [{"id": k, "name": str(k)} for k in labels],
        "annotations": [{"id": i, "iscrowd": 0} | r for i, r in enumerate(rows, 1)],
    }
    quiet(coco.createIndex)
    return coco


def region_of(region):
    """A region in COCO's format, with what `loadRes` would add to a detection."""
    if region.ndim == 1:
        x0, y0, x1, y1 = region.tolist()
        return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}
    code = coco_mask.encode(np.asfortranarray(region.numpy().astype(np.uint8)))
    return {"segmentation": code, "area": int(region.sum())}


def judged(found, truth, kind):
    """The twelve numbers of COCOeval for the same detections and objects."""
    judge = judge_of(found, truth, kind)
    for step in (judge.evaluate, judge.accumulate, judge.summarize):
        quiet(step)
    return torch.from_numpy(judge.stats)


def judge_of(found, truth, kind):
    rows, guesses = [], []
    for i, (f, t) in enumerate(zip(found, truth, strict=True), 1):
        for j in range(len(t.label)):
            row = {"image_id": i, "category_id": int(t.label[j])}
            row |= region_of(t.region[j])
            if t.crowd is not None:
                row["iscrowd"] = int(t.crowd[j])
            if t.area is not None:
                row["area"] = float(t.area[j])
            rows.append(row)
        for j in range(len(f.label)):
            row = {"image_id": i, "category_id": int(f.label[j])}
            row |= region_of(f.region[j]) | {"score": float(f.score[j])}
            guesses.append(row)
    labels = sorted({row["category_id"] for row in rows + guesses})
    images = [(i, 120, 120) for i in range(1, len(truth) + 1)]
    gold, guess = to_coco(rows, images, labels), to_coco(guesses, images, labels)
    return COCOeval(gold, guess, kind)


def ours(found, truth):
    return torch.tensor(list(mean_ap(found, truth).values()), dtype=torch.float64)


def random_boxes(n, g, *, whole, size=120):
    start = torch.rand(n, 2, generator=g) * size * 0.8
    side = torch.rand(n, 2, generator=g) ** 2 * size + 1
    boxes = torch.cat([start, start + side], 1).double()
    return boxes.round() if whole else boxes


def world(seed, *, images=12, whole=False, ties=False, crowds=0.0, ignored=False):
    """Objects and detections near them, far from them, twice, and of a wrong class."""
    g = generator(seed)
    found, truth = [], []
    for _ in range(images):
        n = int(torch.randint(0, 7, (1,), generator=g))
        box = random_boxes(n, g, whole=whole)
        label = torch.randint(1, 4, (n,), generator=g)
        crowd = torch.rand(n, generator=g) < crowds
        area = (box[:, 2:] - box[:, :2]).prod(1)
        if ignored:  # masks smaller than their boxes, as COCO has them
            area = area * torch.rand(n, generator=g)
        truth.append(Truth(box, label, crowd, area if ignored else None))
        copies = box.repeat(2, 1)
        shift = torch.randn(len(copies), 4, generator=g).double()
        near = copies + shift * torch.rand(len(copies), 1, generator=g) * 8
        far = random_boxes(int(torch.randint(0, 4, (1,), generator=g)), g, whole=whole)
        guess = torch.cat([near.round() if whole else near, far])
        guess[:, 2:] = torch.maximum(guess[:, 2:], guess[:, :2])
        labels = torch.cat(
            [label, label, torch.randint(1, 5, (len(far),), generator=g)]
        )
        score = torch.rand(len(guess), generator=g)
        if ties:
            score = (score * 4).round() / 4
        found.append(Detections(guess, labels, score))
    return found, truth


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("random", {}),
        ("whole pixels, tied scores", {"whole": True, "ties": True}),
        ("crowds", {"crowds": 0.3, "whole": True}),
        ("areas of masks", {"ignored": True, "crowds": 0.1}),
        ("everything", {"ignored": True, "crowds": 0.3, "whole": True, "ties": True}),
    ],
)
def test_mean_ap_of_boxes_is_that_of_pycocotools(name, settings, seed, agree):
    found, truth = world(seed, **settings)
    theirs = judged(found, truth, "bbox")
    assert (theirs > -1).sum() >= 8
    agree(
        f"AP and AR of boxes, {name}",
        ours(found, truth),
        theirs,
        ours="mmdl_lib.metrics.mean_ap",
        tolerance=1e-9,
        **COCO_PEER,
    )


NOTHING = Detections(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
EMPTY = Truth(torch.zeros(0, 4), torch.zeros(0).long())
SQUARE = torch.tensor([[10.0, 10.0, 42.0, 42.0]])
ONE = torch.ones(1).long()


@pytest.mark.parametrize(
    ("name", "found", "truth"),
    [
        ("no detections", [NOTHING], [Truth(SQUARE, ONE)]),
        ("no objects", [Detections(SQUARE, ONE, torch.ones(1))], [EMPTY]),
        ("nothing at all", [NOTHING], [EMPTY]),
        (
            "exactly 32 x 32, twice",
            [Detections(SQUARE.repeat(2, 1), ONE.repeat(2), torch.ones(2))],
            [Truth(SQUARE, ONE)],
        ),
        (
            "one crowd only",
            [Detections(SQUARE.repeat(2, 1), ONE.repeat(2), torch.ones(2))],
            [Truth(SQUARE, ONE, torch.tensor([True]))],
        ),
        (
            "two equal objects, one a crowd",
            [Detections(SQUARE.repeat(3, 1), ONE.repeat(3), torch.ones(3))],
            [Truth(SQUARE.repeat(2, 1), ONE.repeat(2), torch.tensor([True, False]))],
        ),
        (
            "a box without area",
            [Detections(SQUARE[:, [0, 1, 0, 1]], ONE, torch.ones(1))],
            [Truth(SQUARE[:, [0, 1, 0, 1]], ONE)],
        ),
        (
            "IoU of exactly one half",
            [Detections(torch.tensor([[0.0, 0.0, 5.0, 10.0]]), ONE, torch.ones(1))],
            [Truth(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), ONE)],
        ),
    ],
)
def test_special_cases_are_those_of_pycocotools(name, found, truth, agree):
    agree(
        f"AP and AR of boxes, {name}",
        ours(found, truth),
        judged(found, truth, "bbox"),
        ours="mmdl_lib.metrics.mean_ap",
        tolerance=1e-9,
        **COCO_PEER,
    )


def test_more_than_a_hundred_detections_are_cut_as_in_pycocotools(agree):
    g = generator(0)
    truth = [Truth(random_boxes(5, g, whole=False), ONE.repeat(5)) for _ in range(3)]
    found = [
        Detections(
            torch.cat([random_boxes(120, g, whole=False), t.region]),
            ONE.repeat(125),
            torch.rand(125, generator=g),
        )
        for t in truth
    ]
    agree(
        "AP and AR of boxes, 125 detections",
        ours(found, truth),
        judged(found, truth, "bbox"),
        ours="mmdl_lib.metrics.mean_ap",
        tolerance=1e-9,
        **COCO_PEER,
    )


def random_masks(n, g, size=40):
    masks = torch.zeros(n, size, size, dtype=torch.bool)
    for mask in masks:
        x0, y0, w, h = (torch.rand(4, generator=g) * size * 0.7).long().tolist()
        mask[y0 : y0 + h + 1, x0 : x0 + w + 1] = True
    return masks & (torch.rand(n, size, size, generator=g) < 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_mean_ap_of_masks_is_that_of_pycocotools(seed, agree):
    g = generator(seed)
    found, truth = [], []
    for _ in range(8):
        n = int(torch.randint(0, 5, (1,), generator=g))
        masks, label = random_masks(n, g), torch.randint(1, 3, (n,), generator=g)
        truth.append(Truth(masks, label, torch.rand(n, generator=g) < 0.2))
        kept = masks & (torch.rand(n, 40, 40, generator=g) < 0.8)
        guess = torch.cat([kept, masks, random_masks(2, g)])
        labels = torch.cat([label, label, torch.tensor([1, 2])])
        score = (torch.rand(len(guess), generator=g) * 5).round() / 5
        found.append(Detections(guess, labels, score))
    agree(
        "AP and AR of masks",
        ours(found, truth),
        judged(found, truth, "segm"),
        ours="mmdl_lib.metrics.mean_ap",
        tolerance=1e-9,
        **COCO_PEER,
    )


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_our_export_of_shapes_gives_the_same_numbers(kind, agree, tmp_path):
    scenes = shapes.sample(40, seed=5)
    path = shapes.to_coco(scenes, tmp_path, resolution=64)
    gold, g = quiet(COCO, str(path)), generator(0)
    moved = shapes.sample(40, seed=5)
    moved.center.add_(0.6 * torch.randn(40, 4, 2, generator=g))
    masks, others = scenes.instance_masks(64), moved.instance_masks(64)
    found, truth, rows = [], [], []
    for i in range(40):
        parts = []
        for source in (masks[i], others[i]):
            here = source.any((1, 2))
            region, label = source[here], scenes.shape[i][here] + 1
            sizes = region.sum((1, 2))
            if kind == "bbox":
                region = torch.stack([_around(mask) for mask in region])
            parts.append((region, label, sizes))
        score = (torch.rand(len(parts[1][1]), generator=g) * 10).round() / 10
        truth.append(Truth(*parts[0][:2], area=parts[0][2]))
        found.append(Detections(*parts[1][:2], score))
        for region, label, value in zip(*found[-1], strict=True):
            row = {"image_id": i + 1, "category_id": int(label), "score": float(value)}
            rows.append(row | region_of(region))
    judge = COCOeval(gold, quiet(gold.loadRes, rows), kind)
    for step in (judge.evaluate, judge.accumulate, judge.summarize):
        quiet(step)
    agree(
        f"AP and AR of the shapes world, {kind}",
        ours(found, truth),
        torch.from_numpy(judge.stats),
        ours="mmdl_lib.metrics.mean_ap",
        tolerance=1e-9,
        **COCO_PEER,
    )


@pytest.mark.parametrize("points", ["eleven points", "all points"])
def test_voc_ap_is_that_of_pycocotools_at_the_levels_of_voc(points, agree):
    """Where objects lie apart matching is the same, and COCO's levels can be set."""
    g, found, truth = generator(11), [], []
    cells = torch.cartesian_prod(torch.arange(3), torch.arange(3)).double() * 40
    for _ in range(15):
        start = cells[torch.randperm(9, generator=g)[:5]] + 5
        box = torch.cat([start, start + 25], 1)
        shift = torch.randn(10, 4, generator=g) * torch.rand(10, 1, generator=g) * 9
        score = (torch.rand(10, generator=g) * 30).round() / 30
        truth.append(Truth(box, torch.ones(5).long()))
        guess = box.repeat(2, 1) + shift.clamp(-10, 10)
        found.append(Detections(guess, torch.ones(10).long(), score))
    judge = judge_of(found, truth, "bbox")
    judge.params.iouThrs = np.array([0.5])
    # in the middle of each step of the recall, so that the mean is the area
    middles = (np.arange(75) + 0.5) / 75
    eleven = points == "eleven points"
    judge.params.recThrs = np.arange(0, 1.1, 0.1) if eleven else middles
    for step in (judge.evaluate, judge.accumulate):
        quiet(step)
    theirs = judge.eval["precision"][0, :, 0, 0, -1].mean()
    assert 0.3 < theirs < 0.9
    value = voc_ap(found, truth, eleven_points=eleven)
    agree(
        f"VOC's average precision, {points}",
        torch.tensor([value.mean], dtype=torch.float64),
        torch.tensor([theirs]),
        ours="mmdl_lib.metrics.voc_ap",
        tolerance=1e-12,
        **COCO_PEER,
    )


def _around(mask):
    y, x = mask.nonzero().T
    return torch.tensor([x.min(), y.min(), x.max() + 1, y.max() + 1]).double()


@pytest.mark.parametrize("whole", [True, False])
def test_iou_of_boxes_and_of_masks_is_that_of_pycocotools(whole, agree):
    g = generator(7)
    one, two = (random_boxes(n, g, whole=whole) for n in (30, 20))
    two[:5] = one[:5]
    crowd = torch.rand(20, generator=g) < 0.5
    rows = [
        [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes.tolist()]
        for boxes in (one, two)
    ]
    theirs = coco_mask.iou(*rows, crowd.int().tolist())
    agree(
        "IoU of boxes, with crowds",
        iou(one, two, crowd=crowd),
        torch.from_numpy(theirs),
        ours="mmdl_lib.metrics.iou",
        tolerance=1e-12,
        **COCO_PEER,
    )
    masks, others = random_masks(9, g), random_masks(6, g)
    codes = [[region_of(m)["segmentation"] for m in some] for some in (masks, others)]
    theirs = coco_mask.iou(*codes, crowd[:6].int().tolist())
    agree(
        "IoU of masks, with crowds",
        mask_iou(masks, others, crowd=crowd[:6]),
        torch.from_numpy(theirs),
        ours="mmdl_lib.metrics.iou",
        tolerance=1e-12,
        **COCO_PEER,
    )


def test_generalized_iou_is_that_of_transformers(agree):
    g = generator(8)
    one, two = (random_boxes(n, g, whole=False) for n in (30, 20))
    agree(
        "Generalized IoU",
        giou(one, two),
        generalized_box_iou(one, two),
        ours="mmdl_lib.metrics.iou",
        package="transformers",
        reference="transformers (DETR)",
        tolerance=1e-12,
    )
