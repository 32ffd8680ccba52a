r"""R-precision: is the own text nearer to a picture than the texts of other pictures?

$$\text{R-precision} = \frac{1}{n} \sum_i \left[\, s(x_i, t_i) >
\max_{j \in D_i} s(x_i, t_j) \,\right]$$

$s$ is the cosine of features of picture $x_i$ and text $t_i$ from one network that
knows both; $D_i$ are distractors, drawn anew for each picture among the texts of
others. With $R$ right texts the measure is the share of right ones among the first $R$;
here $R = 1$.

**Source** Xu et al., AttnGAN, CVPR 2018, arXiv 1711.10485.
**Range** 0 to 1, higher is better; chance is 1 / candidates.
**Official implementation** none in a package.
**Quirks** The value falls with the number of candidates, so it has to be stated, and it
depends on who the distractors are. A text that says the same as the right one is no
distractor: name such texts by `group`. A tie is a miss. The network that scores must
not be the one that the generator was trained with, or was chosen by.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from mmdl_lib.borders import check_integers, check_number, check_same_length
from mmdl_lib.metrics.features import Features, check_same_source

ROWS = 512  # pictures at a time


class RPrecision(NamedTuple):
    """The share, among how many candidates, and which network scored."""

    value: float
    candidates: int
    source: str


def r_precision(
    image: Features,
    text: Features,
    *,
    candidates: int = 100,
    group: Int[Tensor, " n"] | None = None,
    generator: torch.Generator | None = None,
) -> RPrecision:
    """Share of pictures whose own text wins against `candidates` - 1 others.

    Args:
        image: features of pictures.
        text: features of the text of each picture, by the same network.
        candidates: the right text and its distractors.
        group: texts of one number say the same and are no distractors of each other;
            by default all differ.
        generator: of the distractors.

    Raises:
        ValueError: two sources or widths, unequal numbers, or too few other texts.

    Example:
        The third picture is nearer to the first text than to its own.

        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5]])
        >>> drawn = torch.stack([rows[0], rows[1], rows[0]])
        >>> both = Features(drawn, "a CLIP"), Features(rows, "a CLIP")
        >>> round(r_precision(*both, candidates=3).value, 3)
        0.667
    """
    source = check_same_source(image, text)
    check_same_length(pictures=image, texts=text)
    check_number("candidates", candidates, 2, whole=True)
    n = len(image)
    if group is None:
        group = torch.arange(n)
    check_integers("groups", group)
    check_same_length(groups=group, texts=text)
    x, t = (F.normalize(part.values.double(), dim=1) for part in (image, text))
    group, hits = group.to(x.device), []
    for start in range(0, n, ROWS):
        rows = slice(start, start + ROWS)
        other = group[rows, None] != group
        if int(other.sum(1).min()) < candidates - 1:
            raise ValueError(
                f"texts expected {candidates - 1} that say something else, for each "
                f"picture, got {int(other.sum(1).min())}."
            )
        # the largest of random numbers are a draw without repetition
        luck = torch.rand(other.shape, generator=generator).to(x.device)
        drawn = luck.masked_fill(~other, -1).topk(candidates - 1).indices
        own = (x[rows] * t[rows]).sum(1)
        rest = torch.einsum("nd,nkd->nk", x[rows], t[drawn]).amax(1)
        hits.append(own > rest)
    return RPrecision(torch.cat(hits).double().mean().item(), candidates, source)
