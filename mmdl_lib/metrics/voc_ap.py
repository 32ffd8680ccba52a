r"""Average precision of detections as PASCAL VOC defines it, with 11 or all points.

$$AP_{11} = \frac{1}{11} \sum_{i=0}^{10} \max_{r \ge i/10} p(r),\qquad
AP = \sum_j (r_j - r_{j-1}) \max_{r \ge r_j} p(r)$$

All detections of a class are sorted by score. One is right if the object of its picture
and class that it overlaps most has IoU of at least 1/2 and was not found before.

**Source** Everingham et al., IJCV 2010; the challenge used 11 points up to
2009 and all points of the curve from 2010 on.
**Range** 0 to 1, higher is better; NaN for a class without objects.
**Official implementation** `VOCevaldet.m` of the development kit, in MATLAB.
**Quirks**

- A second detection of an object is wrong even if it overlaps another, free object by
  more than half; COCO would give it that one.
- Objects marked difficult (here `Truth.crowd`) neither count nor harm, and take any
  number of detections; but their IoU is the plain one, unlike COCO's crowds.
- The kit counts the last pixel of a box: add 1 to x1 and y1 of its files. It accepts an
  IoU of exactly 1/2; the Python translation that came with Fast R-CNN does not.
- The eleven levels are NumPy's multiples of 0.1, as in that translation. Those of .3,
  .6 and .7 lie a trifle above it, so 3 of 10 objects do not reach the level of .3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmdl_lib.borders import check_number
from mmdl_lib.metrics.iou import iou, mask_iou
from mmdl_lib.metrics.mean_ap import Detections, Truth, check_picture, check_pictures


class VocAP(NamedTuple):
    """The mean over classes that have objects, and each class's own value."""

    mean: float
    by_class: dict[int, float]


def voc_ap(
    found: Sequence[Detections],
    truth: Sequence[Truth],
    *,
    eleven_points: bool = False,
    threshold: float = 0.5,
) -> VocAP:
    """VOC's average precision of each class and their mean.

    Args:
        found: detections, picture by picture.
        truth: the objects of the same pictures; `crowd` marks difficult ones.
        eleven_points: the rule of 2009 and before.
        threshold: IoU from which on an object is found.

    Raises:
        ValueError: no pictures or no objects, unequal lengths, boxes that are none.

    Example:
        Hit, miss, hit, and two objects. Precision is 1 up to recall 1/2, then 2/3.

        >>> import torch
        >>> box = torch.tensor([[0.0, 0, 4, 4], [9.0, 9, 10, 10], [5.0, 5, 8, 8]])
        >>> label = torch.zeros(3, dtype=torch.long)
        >>> guess = Detections(box, label, torch.tensor([0.9, 0.8, 0.7]))
        >>> objects = [Truth(box[[0, 2]], label[:2])]
        >>> round(voc_ap([guess], objects).mean, 4), round((1 + 2 / 3) / 2, 4)
        (0.8333, 0.8333)
        >>> eleven = voc_ap([guess], objects, eleven_points=True).mean
        >>> round(eleven, 4), round((6 + 5 * 2 / 3) / 11, 4)
        (0.8485, 0.8485)
    """
    check_pictures(found, truth)
    check_number("threshold", threshold, 0, 1)
    if not isinstance(eleven_points, bool):
        raise ValueError(f"eleven_points expected a bool, got {eleven_points!r:.60}.")
    pairs = enumerate(zip(found, truth, strict=True))
    overlaps = [_overlap(i, *pair) for i, pair in pairs]
    out = {}
    for label in sorted({k for t in truth for k in t.label.tolist()}):
        rows = [
            _picture(label, *pair, overlap)
            for *pair, overlap in zip(found, truth, overlaps, strict=True)
        ]
        out[label] = _class(rows, threshold, eleven_points)
    known = [value for value in out.values() if not np.isnan(value)]
    if not known:
        raise ValueError(
            "objects expected at least one that is not difficult, got none."
        )
    return VocAP(float(np.mean(known)), out)


def _overlap(number: int, found: Detections, truth: Truth):
    check_picture(number, found, truth)
    if len(found.label) == 0 or len(truth.label) == 0:
        return np.zeros((len(found.label), len(truth.label)))
    if found.region.ndim == 3:
        return mask_iou(found.region, truth.region).cpu().numpy()
    return iou(found.region.double(), truth.region.double()).cpu().numpy()


def _picture(label, found, truth, overlap):
    """One class in one picture: scores, IoU with its objects, which are difficult."""
    here, there = ((x.label == label).cpu().numpy() for x in (found, truth))
    difficult = np.zeros(int(there.sum()), bool)
    if truth.crowd is not None:
        difficult = truth.crowd.cpu().numpy()[there]
    return found.score.double().cpu().numpy()[here], overlap[here][:, there], difficult


def _class(rows: list[tuple], threshold: float, eleven_points: bool) -> float:
    count = sum(np.count_nonzero(~difficult) for _, _, difficult in rows)
    if count == 0:
        return float("nan")
    guesses = [
        (s, i, j) for i, (scores, *_) in enumerate(rows) for j, s in enumerate(scores)
    ]
    guesses.sort(key=lambda guess: -guess[0])
    taken, hits = set(), []
    for _, i, j in guesses:
        _, overlap, difficult = rows[i]
        best = int(overlap[j].argmax()) if overlap.shape[1] else 0
        if overlap.shape[1] == 0 or overlap[j, best] < threshold:
            hits.append(False)
        elif not difficult[best]:
            hits.append((i, best) not in taken)
            taken.add((i, best))
    right = np.cumsum(hits)
    recall, precision = right / count, right / np.arange(1, len(hits) + 1)
    return eleven(recall, precision) if eleven_points else area_under(recall, precision)


def eleven(recall: np.ndarray, precision: np.ndarray) -> float:
    """Mean over eleven levels of recall of the largest precision at or beyond them.

    Example:
        >>> round(eleven(np.array([0.5, 1.0]), np.array([1.0, 0.5])), 4)  # 8.5 / 11
        0.7727
    """
    levels = np.arange(0, 1.1, 0.1)
    return float(np.mean([max(precision[recall >= r], default=0) for r in levels]))


def area_under(recall: np.ndarray, precision: np.ndarray) -> float:
    """Area under the curve after precision was made to fall with recall.

    Example:
        >>> area_under(np.array([0.5, 1.0]), np.array([0.5, 1.0]))
        1.0
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * best).sum())
