r"""CLIP score: how well pictures fit their texts, in the eyes of a CLIP.

$$\text{score} = \frac{s}{n} \sum_i \cos(f_i, g_i),\qquad
\text{CLIP-S} = \frac{w}{n} \sum_i \max(\cos(f_i, g_i), 0)$$

$f_i$ are the features of picture $i$, $g_i$ those of its text.

**Source** Hessel et al., EMNLP 2021, arXiv 2104.08718, with w = 2.5, for captions; the
scale s of 100 is habit for generated pictures.
**Range** 0 to 100, or 0 to 2.5; higher is better. Real pairs do not reach the end.
**Official implementation** `clipscore.py` of jmhessel/clipscore for CLIP-S, where each
pair is cut off at 0; torchmetrics' `clip_score` for the other, where only the mean is.
**Quirks** The paper's texts begin with "A photo depicts"; torchmetrics' do not. Values
of two CLIPs cannot be compared, and a generator that was trained with a CLIP, or
selected by one, scores high on it whatever people see.
"""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_same_length
from mmdl_lib.metrics.features import Features, check_same_source


class CLIPScore(NamedTuple):
    """The score, and which CLIP gave it."""

    value: float
    source: str


def _cosines(image: Features, text: Features) -> Float[Tensor, " n"]:
    check_same_source(image, text)
    check_same_length(pictures=image, texts=text)
    for name, part in (("pictures", image), ("texts", text)):
        if not part.values.any(1).all():
            raise ValueError(
                f"features of {name} expected a direction, got a row of zeros."
            )
    one, two = (F.normalize(part.values.double(), dim=1) for part in (image, text))
    return (one * two).sum(1)


def clip_score(image: Features, text: Features, *, scale: float = 100.0) -> CLIPScore:
    """Mean cosine times a scale, not below 0.

    Args:
        image: features of pictures.
        text: features of the text of each picture, by the same CLIP.
        scale: 100 by habit.

    Raises:
        ValueError: two sources or widths, unequal numbers, or a feature of zeros.

    Example:
        Angles of 0 and 60 degrees:

        >>> import torch
        >>> image = Features(torch.tensor([[1.0, 0.0], [2.0, 0.0]]), "a CLIP")
        >>> text = Features(torch.tensor([[3.0, 0.0], [1.0, 3.0**0.5]]), "a CLIP")
        >>> round(clip_score(image, text).value, 4)
        75.0
    """
    check_number("scale", scale)
    value = scale * _cosines(image, text).mean()
    return CLIPScore(value.clamp(min=0).item(), image.source)


def clip_s(image: Features, text: Features, *, weight: float = 2.5) -> CLIPScore:
    """CLIP-S: mean over pairs of the cosine, cut off at 0, times 2.5.

    Args:
        image: features of pictures.
        text: features of the caption of each picture, by the same CLIP.
        weight: w of the paper.

    Raises:
        ValueError: two sources or widths, unequal numbers, or a feature of zeros.

    Example:
        Angles of 0 and 180 degrees:

        >>> import torch
        >>> image = Features(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), "a CLIP")
        >>> text = Features(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "a CLIP")
        >>> clip_s(image, text).value, clip_score(image, text).value
        (1.25, 0.0)
    """
    check_number("weight", weight)
    value = weight * _cosines(image, text).clamp(min=0).mean()
    return CLIPScore(value.item(), image.source)
