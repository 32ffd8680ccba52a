r"""Panoptic quality: every pixel has a class and an instance, things and stuff alike.

$$PQ = \underbrace{\frac{\sum_{(p, g) \in TP} IoU(p, g)}{|TP|}}_{SQ} \cdot
\underbrace{\frac{|TP|}{|TP| + |FP|/2 + |FN|/2}}_{RQ}$$

Segments of one class match if their IoU is above 1/2. Segments do not overlap, so a
match is unique. Each class has its own value; the mean runs over classes that occur.

**Source** Kirillov et al., CVPR 2019, arXiv 1801.00868, section 4 and eq. 1.
**Range** 0 to 1, higher is better; PQ = SQ x RQ for each class, not for the means.
**Official implementation** `pq_compute` of cocodataset/panopticapi.
**Quirks**

- Pixels without truth (void) are taken out of the union, and a segment of which more
  than half lies on void is no false positive.
- Crowds are never matched. A segment of which more than half lies on void or on a crowd
  of its class is no false positive. Of several crowds of one class in a picture, the
  official code, and ours, remembers only the last.
- A guess may leave pixels void: nothing is taken out for that. `torchmetrics` does take
  it out, and does not count a missed object that lies mostly there; the two agree where
  every pixel has a guess.
- Exactly 1/2 is no match.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mmdl_lib.borders import check_integers, check_items, check_same_length

VOID = 0


class Segments(NamedTuple):
    """A panoptic segmentation of one picture.

    Attributes:
        ids: (h, w) number of each pixel's segment, 0 for none.
        label: the class of each number.
        crowd: numbers of the segments that are crowds; of truth only.
    """

    ids: Int[Tensor, "h w"]
    label: Mapping[int, int]
    crowd: tuple[int, ...] = ()


class PanopticQuality(NamedTuple):
    """Means over classes, and (PQ, SQ, RQ) of each class that occurs."""

    pq: float
    sq: float
    rq: float
    by_class: dict[int, tuple[float, float, float]]


def panoptic_quality(
    found: Sequence[Segments], truth: Sequence[Segments]
) -> PanopticQuality:
    """PQ, SQ and RQ.

    Args:
        found: segmentations, picture by picture.
        truth: the true ones of the same pictures.

    Raises:
        ValueError: no pictures, unequal numbers or sizes of them, a number without a
            class, a class without pixels, or no segment at all.

    Example:
        One thing of three pixels is found with two and IoU 2/3, the ground with 2/3 as
        well; a second thing was invented on a pixel of the ground.

        >>> true = Segments(torch.tensor([[1, 1, 1], [2, 2, 2]]), {1: 7, 2: 0})
        >>> guess = Segments(torch.tensor([[1, 1, 3], [2, 2, 3]]), {1: 7, 2: 0, 3: 7})
        >>> out = panoptic_quality([guess], [true])
        >>> {k: tuple(round(x, 3) for x in v) for k, v in out.by_class.items()}
        {0: (0.667, 0.667, 1.0), 7: (0.444, 0.667, 0.667)}
        >>> round(out.pq, 3)
        0.556
    """
    check_items("pictures with guesses", found, Segments)
    check_items("pictures with truth", truth, Segments)
    check_same_length(**{"pictures with guesses": found, "pictures with truth": truth})
    stats = defaultdict(lambda: np.zeros(4))  # sum of IoU, TP, FP, FN
    for i, (guess, true) in enumerate(zip(found, truth, strict=True)):
        _check(i, guess, true)
        _picture(guess, true, stats)
    if not stats:
        raise ValueError("segments expected at least one that counts, got none.")
    by_class = {}
    for label in sorted(stats):
        overlap, tp, fp, fn = stats[label].tolist()
        rq = tp / (tp + fp / 2 + fn / 2)
        sq = overlap / tp if tp else 0.0
        by_class[label] = sq * rq, sq, rq
    means = np.array(list(by_class.values())).mean(0).tolist()
    return PanopticQuality(*means, by_class)


def _check(number: int, found: Segments, truth: Segments):
    for part in (found, truth):
        check_integers(f"segments of picture {number}", part.ids)
        if not isinstance(part.label, Mapping) or isinstance(part.crowd, int):
            raise ValueError(
                f"picture {number} expected classes by segment and several crowds, got "
                f"{part.label!r:.60} and {part.crowd!r:.60}."
            )
    if found.ids.shape != truth.ids.shape or found.ids.ndim != 2:
        one, two = tuple(found.ids.shape), tuple(truth.ids.shape)
        raise ValueError(
            f"picture {number} expected two maps (h, w) of one size, got {one} and "
            f"{two}."
        )
    for part in (found, truth):
        here = {*part.ids.unique().tolist()} - {VOID}
        if here != {*part.label} or not here.issuperset(part.crowd):
            raise ValueError(
                f"picture {number} expected a class for each segment, got segments "
                f"{sorted(here)} and classes of {sorted({*part.label, *part.crowd})}."
            )


def _picture(found: Segments, truth: Segments, stats):
    pairs = torch.stack([found.ids.flatten(), truth.ids.flatten()])
    both, counts = pairs.unique(dim=1, return_counts=True)
    shared = {
        tuple(p): n for p, n in zip(both.T.tolist(), counts.tolist(), strict=True)
    }
    size, true_size = defaultdict(int), defaultdict(int)
    for (p, g), n in shared.items():
        size[p] += n
        true_size[g] += n
    hit, true_hit = set(), set(truth.crowd)
    for (p, g), n in shared.items():
        if VOID in (p, g) or g in truth.crowd or found.label[p] != truth.label[g]:
            continue
        # eq. (1): IoU(p, g), without the pixels whose truth is unknown
        overlap = n / (size[p] + true_size[g] - n - shared.get((p, VOID), 0))
        if overlap > 0.5:
            stats[found.label[p]] += overlap, 1, 0, 0
            hit.add(p)
            true_hit.add(g)
    for g in truth.label.keys() - true_hit:
        stats[truth.label[g]] += 0, 0, 0, 1
    # the order of `label` decides, as in the official code
    crowd = {label: g for g, label in truth.label.items() if g in truth.crowd}
    for p in found.label.keys() - hit:
        apart = shared.get((p, VOID), 0)
        if found.label[p] in crowd:
            apart += shared.get((p, crowd[found.label[p]]), 0)
        if apart / size[p] <= 0.5:
            stats[found.label[p]] += 0, 0, 1, 0
