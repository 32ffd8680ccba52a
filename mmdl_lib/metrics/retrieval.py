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

from mmdl_lib.borders import check_finite


def ranks(
    similarity: Float[Tensor, "n m"], right: Bool[Tensor, "q c"]
) -> Int[Tensor, " n"]:
    """Rank of the best right candidate of each query, from 1.

    Args:
        similarity: score of each candidate (column) for each query (row).
        right: which candidates are right.

    Raises:
        ValueError: unequal shapes, nothing to rank, NaN or infinity, or a query for
            which nothing is right.

    Example:
        The second query has a tie with a wrong candidate, which goes first.

        >>> scores = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.3, 0.1]])
        >>> ranks(scores, torch.eye(2, 3).bool()).tolist()
        [1, 2]
    """
    if similarity.shape != right.shape or 0 in right.shape:
        one, two = tuple(similarity.shape), tuple(right.shape)
        raise ValueError(f"expected two tables of one shape, got {one} and {two}.")
    check_finite("similarities", similarity)
    if missing := int((~right.any(1)).sum()):
        raise ValueError(
            f"expected a right candidate for each query, got none for {missing}."
        )
    best = similarity.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return 1 + (~right & (similarity >= best)).sum(1)


def recall_at(rank: Int[Tensor, " n"], k: int) -> float:
    """R@k: share of queries whose rank is k or better.

    Raises:
        ValueError: no queries, or k below 1.

    Example:
        >>> [recall_at(torch.tensor([1, 2, 7, 1]), k) for k in (1, 5)]
        [0.5, 0.75]
    """
    if len(rank) == 0 or k < 1:
        raise ValueError(f"expected queries and k from 1, got {len(rank)} and k = {k}.")
    return (rank <= k).double().mean().item()


def median_rank(rank: Int[Tensor, " n"]) -> int:
    """The median of the ranks, rounded down.

    Raises:
        ValueError: no queries.

    Example:
        >>> [median_rank(torch.tensor(x)) for x in ([1, 3, 9], [1, 2, 5, 9])]
        [3, 3]
    """
    if len(rank) == 0:
        raise ValueError("expected at least one query, got none.")
    return int(rank.double().quantile(0.5))
