r"""Retrieval: is what belongs to a query among the first k that it finds?

$$R@k = \frac{1}{n} \sum_i [\,\text{rank}_i \le k\,],\qquad
\text{rank}_i = 1 + \#\{j \text{ wrong} : s_{ij} \ge \max_{p \text{ right}} s_{ip}\}$$

Queries are pictures and candidates texts, or the other way round. Where several
candidates are right, as with five captions for a picture, the best of them counts.

**Source** Hodosh et al., JAIR 2013, for R@k and the median rank of pictures and texts;
Karpathy and Fei-Fei, CVPR 2015, arXiv 1412.2306, for the protocol on COCO.
**Range** R@k 0 to 1, higher is better, chance k / candidates. Ranks from 1.
**Official implementation** `evaluation.py` of fartashf/vsepp, and torchmetrics'
`retrieval_hit_rate` for R@k. What torchmetrics calls recall is another thing: the share
of right candidates that were found.
**Quirks** Wrong candidates with an equal score go first here, so a model that scores
all alike finds nothing. Codes that sort leave ties to the sort, and may give such a
model everything. With an even number of queries the median falls between two ranks, and
the official code rounds it down.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import (
    check_finite,
    check_flags,
    check_integers,
    check_number,
)


def ranks(
    similarity: Float[Tensor, "n m"], right: Bool[Tensor, "q c"]
) -> Int[Tensor, " n"]:
    """Rank of the best right candidate of each query, from 1.

    Args:
        similarity: score of each candidate (column) for each query (row).
        right: which candidates are right.

    Raises:
        ValueError: unequal shapes, nothing to rank, NaN or infinity, `right` that is
            not bool, or a query for which nothing is right.

    Example:
        The second query has a tie with a wrong candidate, which goes first.

        >>> scores = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.3, 0.1]])
        >>> ranks(scores, torch.eye(2, 3).bool()).tolist()
        [1, 2]
    """
    check_finite("similarities", similarity)
    check_flags("right", right)
    if similarity.shape != right.shape or 0 in right.shape or right.ndim != 2:
        one, two = tuple(similarity.shape), tuple(right.shape)
        raise ValueError(f"tables expected one shape (n, m), got {one} and {two}.")
    if not similarity.is_floating_point():
        raise ValueError(f"similarities expected floats, got {similarity.dtype}.")
    if missing := int((~right.any(1)).sum()):
        raise ValueError(
            f"right expected a candidate for each query, got none for {missing}."
        )
    best = similarity.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return 1 + (~right & (similarity >= best)).sum(1)


def recall_at(rank: Int[Tensor, " n"], k: int) -> float:
    """R@k: share of queries whose rank is k or better.

    Raises:
        ValueError: no queries, ranks below 1, or k below 1.

    Example:
        >>> [recall_at(torch.tensor([1, 2, 7, 1]), k) for k in (1, 5)]
        [0.5, 0.75]
    """
    _check_ranks(rank)
    check_number("k", k, 1, whole=True)
    return (rank <= k).double().mean().item()


def median_rank(rank: Int[Tensor, " n"]) -> int:
    """The median of the ranks, rounded down.

    Raises:
        ValueError: no queries, or ranks below 1.

    Example:
        >>> [median_rank(torch.tensor(x)) for x in ([1, 3, 9], [1, 2, 5, 9])]
        [3, 3]
    """
    _check_ranks(rank)
    return int(rank.double().quantile(0.5))


def _check_ranks(rank: Tensor) -> None:
    check_integers("ranks", rank, 1)
    if rank.ndim != 1 or len(rank) == 0:
        raise ValueError(f"ranks expected shape (n,), got {tuple(rank.shape)}.")
