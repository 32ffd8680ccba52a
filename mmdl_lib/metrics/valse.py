r"""VALSE: does a model prefer the caption to its foil? Pairwise and other accuracies.

$$acc_r = \frac{1}{n} \sum_i [s(c_i) > s(f_i)],\quad
p_c = \frac{1}{n} \sum_i [s(c_i) > \tau],\quad
p_f = \frac{1}{n} \sum_i [s(f_i) \le \tau],\quad acc = \frac{p_c + p_f}{2}$$

$s$ says how well a text fits the picture, $c_i$ is the caption of picture $i$ and
$f_i$ its foil. Pairwise accuracy $acc_r$ needs no threshold $\tau$ and is the main
number. The area under the ROC curve (AUROC) is the share of all pairs of any caption
and any foil in the right order, equal ones counted half.

**Source** Parcalabescu et al., ACL 2022, arXiv 2112.07566.
**Range** 0 to 1, higher is better; chance is 1/2 for acc_r, acc and AUROC.
**Official implementation** `lxmert_valse_eval.py` of Heidelberg-NLP/VALSE.
**Quirks** A tie is a loss in acc_r, so a model that scores all captions alike gets 0
there and 1/2 elsewhere. p_c and p_f are called precisions but are shares of all
captions and of all foils, hence recalls. Only pairs count of which two of three people
chose the caption; leave the others out before.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers, check_same_length


class Valse(NamedTuple):
    """acc_r, acc, p_c, p_f and the area under the ROC curve."""

    pairwise: float
    accuracy: float
    caption: float
    foil: float
    auroc: float


def valse(
    caption: Float[Tensor, " n"], foil: Float[Tensor, " m"], *, threshold: float = 0.5
) -> Valse:
    """Pairwise accuracy and its companions.

    Args:
        caption: score of each caption with its picture.
        foil: score of its foil with the same picture.
        threshold: above it a text counts as fitting; 1/2 for probabilities.

    Raises:
        ValueError: no pairs, unequal lengths, NaN or infinity.

    Example:
        >>> out = valse(torch.tensor([0.9, 0.4, 0.7]), torch.tensor([0.8, 0.2, 0.7]))
        >>> [round(x, 3) for x in out]
        [0.667, 0.5, 0.667, 0.333, 0.611]
    """
    check_numbers("scores of captions", caption)
    check_numbers("scores of foils", foil)
    check_same_length(captions=caption, foils=foil)
    check_number("threshold", threshold)
    caption, foil = caption.double(), foil.double()
    fits = (caption > threshold).double().mean().item()
    detected = (foil <= threshold).double().mean().item()
    return Valse(
        (caption > foil).double().mean().item(),
        (fits + detected) / 2,
        fits,
        detected,
        auroc(caption, foil),
    )


def auroc(positive: Float[Tensor, " n"], negative: Float[Tensor, " m"]) -> float:
    """Share of pairs in which the positive scores higher; ties count half.

    Raises:
        ValueError: none of either, no floats, NaN or infinity.

    Example:
        >>> auroc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
        0.875
    """
    for name, scores in (("positive", positive), ("negative", negative)):
        check_numbers(f"{name} scores", scores)
        if len(scores) == 0:
            raise ValueError(f"{name} scores expected at least one, got none.")
    order = negative.sort().values
    below = torch.searchsorted(order, positive)
    up_to = torch.searchsorted(order, positive, right=True)
    return ((below + up_to).double().mean() / (2 * len(negative))).item()
