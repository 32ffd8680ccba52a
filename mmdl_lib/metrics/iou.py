r"""Intersection over union of boxes and of masks, and its generalization.

$$\text{IoU} = \frac{|A \cap B|}{|A \cup B|},\qquad
\text{GIoU} = \text{IoU} - \frac{|C \setminus (A \cup B)|}{|C|}$$

Boxes that do not touch all have IoU 0, so it cannot tell near from far. GIoU can: $C$
is the smallest box around both.

**Source** IoU is Jaccard's index, made the criterion of detection by PASCAL VOC
(Everingham et al., IJCV 2010). GIoU: Rezatofighi et al., CVPR 2019, arXiv 1902.09630.
**Range** IoU 0 to 1, GIoU above -1 up to 1; higher is better.
**Official implementation** `pycocotools.mask.iou` for boxes, masks and crowds.
**Quirks** Against a crowd the union is the detection's own area, so a small box inside
a crowd is a perfect match. A box without area overlaps nothing, not even itself. Both
hold here. Boxes of PASCAL VOC name their last pixel, COCO's and ours their end: add 1
to x1 and y1 of the former.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mmdl_lib.borders import check_finite, check_flags


def check_boxes(boxes: Tensor) -> Float[Tensor, "n 4"]:
    """Boxes (x0, y0, x1, y1) as floats; coordinates may be negative, sides may not.

    Raises:
        ValueError: another shape, NaN or infinity, or a box whose end is before its
            start.
    """
    check_finite("boxes", boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype == torch.bool:
        raise ValueError(
            f"boxes expected numbers of shape (n, 4), got {boxes.dtype} of shape "
            f"{tuple(boxes.shape)}."
        )
    boxes = boxes if boxes.is_floating_point() else boxes.double()
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(1).nonzero()
    if len(wrong):
        box = [round(x, 3) for x in boxes[wrong[0, 0]].tolist()]
        raise ValueError(
            f"boxes expected (x0, y0, x1, y1), x0 <= x1, y0 <= y1, got {box}."
        )
    return boxes


def area(boxes: Shaped[Tensor, "n 4"]) -> Shaped[Tensor, " n"]:
    """Area of boxes (x0, y0, x1, y1).

    Raises:
        ValueError: not finite, or an end before its start.

    Example:
        >>> area(torch.tensor([[0, 0, 2, 3]]))
        tensor([6])
    """
    check_boxes(boxes)
    return _area(boxes)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlap(boxes: Tensor, others: Tensor) -> Tensor:
    start = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    end = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (end - start).clamp(min=0).prod(-1)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    # nothing over nothing is no overlap; the inner `where` keeps gradients finite, for
    # GIoU is a loss as well
    return torch.where(whole > 0, part / whole.where(whole > 0, 1), 0)


def iou(
    boxes: Shaped[Tensor, "n 4"],
    others: Shaped[Tensor, "m 4"],
    *,
    crowd: Bool[Tensor, " k"] | None = None,
) -> Float[Tensor, "n m"]:
    """IoU of each box with each other box, in [0, 1].

    Args:
        boxes: (x0, y0, x1, y1) each.
        others: likewise.
        crowd: which of the others are crowds, for which the union is the box alone.

    Raises:
        ValueError: not finite, an end before its start, or a crowd that is not bool or
            of another length.

    Example:
        Two unit squares that share a third of their common area:

        >>> a = torch.tensor([[0.0, 0.0, 2.0, 1.0]])
        >>> iou(a, torch.tensor([[1.0, 0.0, 3.0, 1.0]])).item()  # 1 / (2 + 2 - 1)
        0.3333333432674408
    """
    boxes, others = check_boxes(boxes), check_boxes(others)
    both = _overlap(boxes, others)
    return _over_union(both, _area(boxes), _area(others), crowd)


def mask_iou(
    masks: Bool[Tensor, "n h w"],
    others: Bool[Tensor, "m y x"],
    *,
    crowd: Bool[Tensor, " k"] | None = None,
) -> Float[Tensor, "n m"]:
    """IoU of each mask with each other mask, in [0, 1]; all of one height and width.

    Raises:
        ValueError: no masks, such as bytes or probabilities, masks of two sizes, or a
            crowd of another length.

    Example:
        >>> a = torch.tensor([[[True, True], [False, False]]])
        >>> mask_iou(a, a.mT).item()  # 1 pixel of 3
        0.3333333333333333
    """
    for part in (masks, others):
        check_flags("masks", part)
        if part.ndim != 3:
            raise ValueError(
                f"masks expected shape (n, h, w), got {tuple(part.shape)}."
            )
    if masks.shape[1:] != others.shape[1:]:
        one, two = tuple(masks.shape[1:]), tuple(others.shape[1:])
        raise ValueError(f"masks expected one size, got {one} and {two}.")
    one, two = (rearrange(m, "n h w -> n (h w)").float() for m in (masks, others))
    # whole numbers below 2 ** 24, so float32 is exact up to pictures of 4096 x 4096
    both = (one @ two.T).double()
    return _over_union(both, one.sum(1).double(), two.sum(1).double(), crowd)


def _over_union(both, size, other_size, crowd):
    union = size[:, None] + other_size[None] - both
    if crowd is not None:
        check_flags("crowd", crowd, other_size.shape)
        union = torch.where(crowd[None], size[:, None], union)
    return _ratio(both, union)


def giou(
    boxes: Shaped[Tensor, "n 4"], others: Shaped[Tensor, "m 4"]
) -> Float[Tensor, "n m"]:
    """Generalized IoU of each box with each other box, in (-1, 1].

    Raises:
        ValueError: not finite, or an end before its start.

    Example:
        Unit squares with a gap of one between them: no overlap, and a third of the
        smallest box around them is in neither.

        >>> a = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        >>> giou(a, torch.tensor([[2.0, 0.0, 3.0, 1.0]])).item()
        -0.3333333432674408
    """
    boxes, others = check_boxes(boxes), check_boxes(others)
    both = _overlap(boxes, others)
    union = _area(boxes)[:, None] + _area(others)[None] - both
    start = torch.minimum(boxes[:, None, :2], others[None, :, :2])
    end = torch.maximum(boxes[:, None, 2:], others[None, :, 2:])
    hull = (end - start).prod(-1)
    return _ratio(both, union) - _ratio(hull - union, hull)
