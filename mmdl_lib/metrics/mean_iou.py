r"""Mean intersection over union of semantic segmentation (mIoU), and pixel accuracy.

$$IoU_c = \frac{TP_c}{TP_c + FP_c + FN_c},\qquad
\text{mIoU} = \frac{1}{|C|} \sum_{c \in C} IoU_c$$

Pixels of the whole data set are counted, in one confusion matrix, before anything is
divided; $C$ holds the classes that occur in it, as truth or as guess.

**Source** Everingham et al., IJCV 2010 (PASCAL VOC); Long et al., CVPR 2015, arXiv
1411.4038, for the names.
**Range** 0 to 1, higher is better.
**Official implementation** None; `torchmetrics.JaccardIndex` gives the same numbers.
**Quirks** Many codes average over pictures first (`torchmetrics.segmentation.MeanIoU`),
which weighs small objects differently and gives other numbers. A class that occurs
nowhere is left out here; counting it as 0 or as 1 is found too. A pixel whose truth is
the ignored label is not counted, whatever was guessed there; where another class is
mistaken for the ignored one, that is an error of the other, and torchmetrics leaves the
ignored class itself out of the mean.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mmdl_lib.borders import check_finite, check_integers, check_number


def confusion(
    found: Int[Tensor, "..."],
    truth: Int[Tensor, "..."],
    *,
    classes: int,
    ignore: int | None = None,
) -> Int[Tensor, "k k"]:
    """Counts of pixels by true class (row) and guessed class (column); they add up.

    Args:
        found: guessed class of each pixel, any shape.
        truth: true class of each pixel, the same shape.
        classes: how many there are.
        ignore: pixels of this true label are left out; it may be any number.

    Raises:
        ValueError: unequal shapes, no pixels, or a class out of range.

    Example:
        >>> found, truth = torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255])
        >>> confusion(found, truth, classes=2, ignore=255).tolist()
        [[1, 1], [0, 0]]
    """
    check_number("classes", classes, 1, whole=True)
    if ignore is not None:
        check_number("ignore", ignore, whole=True)
    check_integers("guessed classes", found, None)
    check_integers("true classes", truth, None)
    if found.shape != truth.shape or found.numel() == 0:
        one, two = tuple(found.shape), tuple(truth.shape)
        raise ValueError(f"maps expected one shape and pixels, got {one} and {two}.")
    found, truth = found.flatten().long(), truth.flatten().long()
    if ignore is not None:
        found, truth = found[truth != ignore], truth[truth != ignore]
    check_integers("guessed classes", found, 0, classes - 1)
    check_integers("true classes", truth, 0, classes - 1)
    counts = torch.bincount(truth * classes + found, minlength=classes**2)
    return counts.reshape(classes, classes)


def class_iou(counts: Shaped[Tensor, "k k"]) -> Float[Tensor, " k"]:
    """IoU of each class from a confusion matrix; NaN for a class that never occurs.

    Raises:
        ValueError: no square matrix of counts.

    Example:
        >>> class_iou(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).tolist()
        [0.75, 0.6666666666666666, nan]
    """
    counts = _checked(counts)
    right = counts.diagonal()
    return right / (counts.sum(0) + counts.sum(1) - right)


def _checked(counts: Tensor, *, some: bool = False) -> Tensor:
    """A confusion matrix in float64, in which counts are exact up to 2 ** 53."""
    check_finite("counts", counts)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1]
    if not square or counts.dtype == torch.bool or (counts < 0).any():
        raise ValueError(
            "counts expected a square matrix of numbers from 0 up, got "
            f"{counts.dtype} of shape {tuple(counts.shape)}."
        )
    counts = counts.double()
    if some and counts.sum() == 0:
        raise ValueError("counts expected a pixel that is not ignored, got none.")
    return counts


def mean_iou(counts: Shaped[Tensor, "k k"], *, ignore: int | None = None) -> float:
    """Mean IoU over the classes that occur.

    Args:
        counts: a confusion matrix, or the sum of several.
        ignore: the class that `confusion` ignored, if it is one of the classes.

    Raises:
        ValueError: a matrix of zeros, or no square matrix of counts.

    Example:
        >>> round(mean_iou(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 4)
        0.7083
    """
    if ignore is not None:
        check_number("ignore", ignore, whole=True)
    values = class_iou(_checked(counts, some=True))
    if ignore is not None and 0 <= ignore < len(values):
        values[ignore] = torch.nan
    return values.nanmean().item()


def pixel_accuracy(counts: Shaped[Tensor, "k k"]) -> float:
    """Share of pixels whose class is right; large classes dominate it.

    Raises:
        ValueError: a matrix of zeros.

    Example:
        >>> round(pixel_accuracy(torch.tensor([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 4)
        0.8333
    """
    counts = _checked(counts, some=True)
    return (counts.diagonal().sum() / counts.sum()).item()
