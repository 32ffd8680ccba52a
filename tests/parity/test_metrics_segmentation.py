"""Segmentation, of classes and panoptic: torchmetrics has the same numbers."""

import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.detection import PanopticQuality

from mmdl_lib.core import generator
from mmdl_lib.metrics.mean_iou import class_iou, confusion, mean_iou
from mmdl_lib.metrics.panoptic_quality import Segments, panoptic_quality

TORCHMETRICS = {"package": "torchmetrics", "tolerance": 1e-6}


@pytest.mark.parametrize("ignore", [None, 0, 3, 255])
def test_mean_iou_is_that_of_torchmetrics(ignore, agree):
    g = generator(9)
    truth = torch.randint(0, 4, (3, 16, 16), generator=g)
    found = torch.where(
        torch.rand(3, 16, 16, generator=g) < 0.6,
        truth,
        torch.randint(0, 4, truth.shape, generator=g),
    )
    if ignore == 255:
        truth[:, :3] = ignore
    counts = confusion(found, truth, classes=5, ignore=ignore)
    for average, mine in (
        ("none", class_iou(counts).nan_to_num().float()),
        ("macro", torch.tensor(mean_iou(counts, ignore=ignore))),
    ):
        peer = MulticlassJaccardIndex(5, average=average, ignore_index=ignore)
        agree(
            f"Mean IoU, {average} over classes",
            mine,
            peer(found, truth),
            ours="mmdl_lib.metrics.mean_iou",
            reference="torchmetrics JaccardIndex",
            **TORCHMETRICS,
        )


@pytest.mark.parametrize("seed", range(4))
def test_panoptic_quality_is_that_of_torchmetrics_without_void_in_the_guess(
    seed, agree
):
    g, found, truth, maps = generator(seed), [], [], []
    for _ in range(5):
        # ids 1 to 3 are things of class 1 and 2, ids 4 and 5 stuff; 0 is unknown
        ids = torch.randint(0, 6, (4, 4), generator=g)
        ids = ids.repeat_interleave(5, 0).repeat_interleave(5, 1)
        noise = torch.randint(1, 6, ids.shape, generator=g)
        keep = (torch.rand(ids.shape, generator=g) < 0.75) & (ids > 0)
        guess, label = torch.where(keep, ids, noise), torch.tensor([0, 1, 1, 2, 3, 4])
        for out, x in ((found, guess), (truth, ids)):
            names = {k: int(label[k]) for k in x.unique().tolist() if k}
            out.append(Segments(x, names))
        maps.append([torch.stack([label[x], x], -1) for x in (guess, ids)])
    theirs = PanopticQuality(
        {1, 2}, {3, 4}, return_sq_and_rq=True, return_per_class=True
    )
    things, guesses = (torch.stack(x) for x in zip(*maps, strict=True))
    peer = theirs(things, guesses).squeeze(0)
    ours_ = panoptic_quality(found, truth)
    agree(
        "Panoptic quality: PQ, SQ, RQ by class",
        torch.tensor([ours_.by_class[k] for k in (1, 2, 3, 4)], dtype=torch.float64),
        peer.double(),
        ours="mmdl_lib.metrics.panoptic_quality",
        reference="torchmetrics PanopticQuality",
        **TORCHMETRICS,
    )
