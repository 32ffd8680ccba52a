r"""Average precision and recall of detections as COCO defines them (AP or mAP, AR).

$$AP_t = \frac{1}{101} \sum_{i=0}^{100} \max_{r \ge i/100} p_t(r),\qquad
AP = \text{mean over classes and } t = .50, .55, \dots, .95$$

Detections are matched to objects of their class, best score first, each to the free
object with the largest IoU, if that is at least $t$. With the detections of all
pictures sorted by score, precision $p_t$ and recall $r$ are known after each of them.
$AR_n$ is the recall that $n$ detections a picture and class reach, with the same mean.

**Source** Lin et al., ECCV 2014, arXiv 1405.0312; cocodataset.org, "Detection Eval".
**Range** 0 to 1, higher is better; -1 where no object is there to be found.
**Official implementation** `pycocotools.cocoeval.COCOeval`, followed to the last digit.
**Quirks**

- Areas are in square pixels, and both ends belong to a class of sizes: an object of
  exactly 32 x 32 is small and medium. The area of an object is its mask's, also when
  boxes are compared; give it in `Truth.area`.
- Objects of another size, and crowds, are ignored: whoever matches them is neither
  right nor wrong. A crowd takes any number of detections, other objects take one. A
  detection prefers an object that counts to one that is ignored, whatever their IoU.
- A detection without a match is ignored too where its own area is of another size.
- Of two objects with equal IoU the later one is taken. Of equal scores the earlier
  detection goes first, pictures in the order given, so the order of pictures can change
  the result where scores tie.
- Only the best 100 detections of a picture and class are looked at.
- A class without objects is left out of the mean. The official code also overlooks
  matches with an annotation whose id is 0; there is no such thing here.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from mmdl_lib.borders import (
    check_finite,
    check_flags,
    check_integers,
    check_items,
    check_same_length,
)
from mmdl_lib.metrics.iou import area, iou, mask_iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
LIMITS = (1, 10, 100)  # detections of a picture and class
AREAS = {
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}


class Detections(NamedTuple):
    """What was found in one picture.

    Attributes:
        region: boxes (n, 4) as (x0, y0, x1, y1), or masks (n, h, w) of bool.
        label: (n,) whole numbers.
        score: (n,) confidences, of any scale.
    """

    region: Shaped[Tensor, "n ..."]
    label: Int[Tensor, " n"]
    score: Shaped[Tensor, " n"]


class Truth(NamedTuple):
    """The objects of one picture.

    Attributes:
        region: boxes (n, 4) or masks (n, h, w), as in `Detections`.
        label: (n,) whole numbers.
        crowd: (n,) true for a region of many objects that nobody counted; none if left
            out.
        area: (n,) in square pixels; that of the region if left out.
    """

    region: Shaped[Tensor, "n ..."]
    label: Int[Tensor, " n"]
    crowd: Bool[Tensor, " n"] | None = None
    area: Shaped[Tensor, " n"] | None = None


def mean_ap(found: Sequence[Detections], truth: Sequence[Truth]) -> dict[str, float]:
    """COCO's twelve numbers.

    Args:
        found: detections, picture by picture.
        truth: the objects of the same pictures.

    Returns:
        "AP" (the mean over thresholds), "AP50", "AP75", "AP small", "AP medium", "AP
        large", "AR 1", "AR 10", "AR 100", "AR small", "AR medium", "AR large".

    Raises:
        ValueError: no pictures, unequal lengths, a box that is not one, numbers that
            are not finite, or masks or crowds that are not bool.

    Example:
        One square is found with IoU 0.8, which seven of ten thresholds accept; the
        other is missed. Recall stays at 1/2, so 51 of 101 levels have precision 1.

        >>> import torch
        >>> square = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
        >>> one = torch.ones(1, dtype=torch.long)
        >>> box = torch.tensor([[0.0, 0.0, 8.0, 10.0]])
        >>> guess = Detections(box, one, torch.ones(1))
        >>> out = mean_ap([guess], [Truth(square, one.repeat(2))])
        >>> round(out["AP"], 4), round(0.7 * 51 / 101, 4), round(out["AR 100"], 4)
        (0.3535, 0.3535, 0.35)
    """
    check_pictures(found, truth)
    pairs = zip(found, truth, strict=True)
    pictures = [_picture(i, *pair) for i, pair in enumerate(pairs)]
    parts = defaultdict(list)
    for picture in pictures:
        for label, part in picture.items():
            parts[label].append(part)
    curves = [curve for label in sorted(parts) for curve in _accumulate(parts[label])]
    return _summary(curves)


def _picture(number: int, found: Detections, truth: Truth) -> dict[int, tuple]:
    """Matches of one picture, by class."""
    sizes, true_sizes = check_picture(number, found, truth)
    crowd = np.zeros(len(truth.label), bool)
    overlap = np.zeros((len(found.label), len(truth.label)))
    if truth.crowd is not None:
        crowd = truth.crowd.cpu().numpy()
    if overlap.size:
        compare = iou if found.region.ndim == 2 else mask_iou
        pair = found.region, truth.region
        if found.region.ndim == 2:
            pair = tuple(boxes.double() for boxes in pair)
        overlap = compare(*pair, crowd=truth.crowd).cpu().numpy()
    labels, true_labels = (x.label.cpu().numpy() for x in (found, truth))
    scores = found.score.double().cpu().numpy()
    out = {}
    for label in {*labels.tolist(), *true_labels.tolist()}:
        here, there = (np.flatnonzero(x == label) for x in (labels, true_labels))
        best = here[np.argsort(-scores[here], kind="stable")[: LIMITS[-1]]]
        part = overlap[best][:, there], crowd[there], sizes[best], true_sizes[there]
        out[label] = scores[best], *_judge(*part)
    return out


def check_pictures(found: Sequence[Detections], truth: Sequence[Truth]) -> None:
    """Check two lists of pictures, which are not looked into.

    Raises:
        ValueError: something else, no pictures, or unequal lengths.
    """
    check_items("pictures with detections", found, Detections)
    check_items("pictures with objects", truth, Truth)
    pictures = {"pictures with detections": found, "pictures with objects": truth}
    check_same_length(**pictures)


def check_picture(number: int, found: Detections, truth: Truth):
    """Areas of detections and of objects, once both are known to be well formed.

    Raises:
        ValueError: unequal lengths, scores or boxes that are not finite, a box whose
            end is before its start, boxes against masks, labels that are no integers,
            or masks or crowds that are not bool.
    """
    where = f"of picture {number}"
    check_finite(f"scores {where}", found.score)
    if truth.crowd is not None:
        check_flags(f"crowds {where}", truth.crowd)
    if truth.area is not None:
        check_finite(f"areas {where}", truth.area)
    for part in (found, truth):
        check_integers(f"labels {where}", part.label, None)
        if getattr(part.region, "ndim", 2) == 2:
            check_finite(f"regions {where}", part.region)
        lengths = [tuple(x.shape[:1]) for x in part if x is not None]
        if len({*lengths}) > 1 or any(x.ndim != 1 for x in part[1:] if x is not None):
            raise ValueError(
                f"picture {number} expected one entry for each region, got shapes "
                f"{[tuple(x.shape) for x in part if x is not None]}."
            )
    kinds = {part.region.ndim for part in (found, truth) if len(part.label)}
    if len(kinds) > 1 or not kinds <= {2, 3}:
        raise ValueError(
            "regions expected boxes (n, 4) or masks (n, h, w), the same for detections "
            f"and objects, got {tuple(found.region.shape)} and "
            f"{tuple(truth.region.shape)}."
        )
    sizes, true_sizes = _size(found.region), _size(truth.region)
    if truth.area is not None:
        true_sizes = truth.area.double().cpu().numpy()
    return sizes, true_sizes


def _size(region: Tensor):
    if len(region) == 0:
        return np.zeros(0)
    if region.ndim == 2:
        return area(region.double()).cpu().numpy()
    check_flags("masks", region)
    return region.sum((1, 2)).double().cpu().numpy()


def _judge(overlap, crowd, sizes, true_sizes):
    """For each class of areas and threshold: which detections hit, which are ignored.

    Returns:
        hit (a, t, n), ignored (a, t, n) and the number of objects that count (a,).
    """
    low, high = np.array([*AREAS.values()]).T[..., None]
    ignore = crowd | (true_sizes < low) | (true_sizes > high)
    outside = (sizes < low) | (sizes > high)
    # often the same objects count for several classes of areas
    known = {row.tobytes(): row for row in ignore}
    known = {key: _match(overlap, row, crowd) for key, row in known.items()}
    pairs = [known[row.tobytes()] for row in ignore]
    matched, skipped = (np.stack(parts) for parts in zip(*pairs, strict=True))
    hit, ignored = matched & ~skipped, skipped | ~matched & outside[:, None]
    return hit, ignored, (~ignore).sum(1)


def _match(overlap, ignore, crowd):
    """COCO's greedy matching at all thresholds.

    Returns:
        matched (t, n): whether a detection found an object; skipped (t, n): whether
        that object is one to ignore.
    """
    matched = np.zeros((len(THRESHOLDS), len(overlap)), bool)
    skipped = matched.copy()
    taken = [set() for _ in THRESHOLDS]
    order = np.argsort(ignore, kind="stable").tolist()  # objects that count come first
    ignore, crowd = ignore.tolist(), crowd.tolist()
    for d, row in enumerate(overlap.tolist()):
        close = [(g, row[g]) for g in order if row[g] >= THRESHOLDS[0]]
        most = max((value for _, value in close), default=0)
        for t, threshold in enumerate(THRESHOLDS):
            if threshold > most:
                break
            best, least = None, threshold
            for g, value in close:
                # an object that counts is not given up for one that is ignored
                if best is not None and ignore[g] and not ignore[best]:
                    break
                if value >= least and (crowd[g] or g not in taken[t]):
                    best, least = g, value
            if best is not None:
                taken[t].add(best)
                matched[t, d], skipped[t, d] = True, ignore[best]
    return matched, skipped


def _accumulate(parts: list[tuple]):
    """Precision and recall of one class: (area, precision (t, r), recalls by limit)."""
    for a, name in enumerate(AREAS):
        count = sum(part[3][a] for part in parts)
        if count == 0:
            continue
        tables = {limit: _by_score(parts, a, limit) for limit in LIMITS}
        recalls = {limit: hit.sum(1) / count for limit, (hit, _) in tables.items()}
        hit, ignored = tables[LIMITS[-1]]
        right, wrong = hit.cumsum(1), (~hit & ~ignored).cumsum(1)
        # the official code adds the smallest step to the denominator, so 0 / 0 is 0
        precision = right / (right + wrong + np.spacing(1))
        yield name, interpolate(right / count, precision), recalls


def _by_score(parts: list[tuple], a: int, limit: int):
    """Hit (t, n) and ignored (t, n) of all pictures' best detections, best first."""
    order = np.argsort(-np.concatenate([p[0][:limit] for p in parts]), kind="stable")
    return tuple(
        np.concatenate([part[k][a, :, :limit] for part in parts], 1)[:, order]
        for k in (1, 2)
    )


def interpolate(
    recall: Shaped[np.ndarray, "t n"], precision: Shaped[np.ndarray, "t n"]
) -> Shaped[np.ndarray, "t r"]:
    """The largest precision at each of 101 levels of recall or beyond, 0 if none is.

    Args:
        recall: (t, n) after each detection, so growing.
        precision: (t, n) likewise.

    Returns:
        (t, 101).

    Example:
        Hit, miss, hit, of two objects:

        >>> recall, precision = np.array([[0.5, 0.5, 1]]), np.array([[1, 0.5, 2 / 3]])
        >>> [float(round(x, 3)) for x in interpolate(recall, precision)[0, [0, 50, 51]]]
        [1.0, 1.0, 0.667]
    """
    best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))
    places = [np.searchsorted(row, RECALLS, side="left") for row in recall]
    return np.take_along_axis(best, np.array(places), 1)


def _summary(curves: list[tuple]) -> dict[str, float]:
    def mean(values):
        return float(np.mean(values)) if len(values) else -1.0

    def ap(area, threshold=slice(None)):
        return mean([p[threshold] for name, p, _ in curves if name == area])

    def ar(area, limit=LIMITS[-1]):
        return mean([r[limit] for name, _, r in curves if name == area])

    sizes = list(AREAS)[1:]
    return {
        "AP": ap("all"),
        "AP50": ap("all", 0),
        "AP75": ap("all", 5),
        **{f"AP {size}": ap(size) for size in sizes},
        **{f"AR {limit}": ar("all", limit) for limit in LIMITS},
        **{f"AR {size}": ar(size) for size in sizes},
    }
