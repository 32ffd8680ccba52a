"""PPMI and SVD: word vectors from counts alone, without training.

**Paper** Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons
Learned from Word Embeddings", TACL 2015, doi 10.1162/tacl_a_00134. What skip-gram has
to do with it: Levy and Goldberg, "Neural Word Embedding as Implicit Matrix
Factorization", NIPS 2014.

**Book** `sec-word2vec`

**Symbols**
- `count (v, v)` = #(w, c), how often c stands in a window of w
- `pmi (v, v)` = log( #(w, c) |D| / (#(w) #(c)) ), |D| = the sum of all counts
- `negatives` = k, `power` = the exponent of the context distribution
- `U, S, V` of the singular value decomposition; the vectors are U S^p

**Start** Nothing is learned by steps.

**Differs from the paper**
- A dense table instead of a sparse one.
- The largest singular vectors come from a random sketch (`torch.svd_lowrank`).

**Builds on** `word2vec`, whose optimum `optimum` is.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers
from mmdl_lib.core import seeded


def pmi(
    count: Float[Tensor, "v c"], *, power: float | int = 1.0
) -> Float[Tensor, "v c"]:
    """Log of how much more often two words meet than by chance, in nats.

    Args:
        count: co-occurrences; a pair that never met gets minus infinity.
        power: of the contexts' counts, 0.75 as in word2vec's noise.

    Raises:
        ValueError: no table of finite numbers, a negative one, or nothing but zeros.
    """
    check_numbers("count", count, "v c")
    if (count < 0).any() or not count.any():
        raise ValueError("count expected numbers from 0 and one above, got none.")
    total = count.double()
    row, column = total.sum(1, keepdim=True), total.sum(0, keepdim=True) ** power
    column = column / column.sum()
    return (total.log() - row.log() - column.log()).nan_to_num(-math.inf).float()


def shifted_ppmi(
    count: Float[Tensor, "v c"], *, negatives: int = 1, power: float | int = 1.0
) -> Float[Tensor, "v c"]:
    """max(PMI - log k, 0): what k negatives leave, and nothing below zero."""
    check_number("negatives", negatives, 1, whole=True)
    return (pmi(count, power=power) - math.log(negatives)).clamp(min=0)


def optimum(
    count: Float[Tensor, "v c"], *, negatives: int, power: float | int = 1.0
) -> Float[Tensor, "v c"]:
    """The inner products at which skip-gram with skipped negatives has least loss.

    A pair is true #(w, c) times and a negative k P(c) (#(w) - #(w, c)) times: it is not
    drawn against itself. The log of their ratio is
    PMI - log k - log(1 - #(w, c) / #(w)). The last term comes from skipping and is near
    zero where no neighbor dominates.
    """
    check_number("negatives", negatives, 1, whole=True)
    share = count.double() / count.double().sum(1, keepdim=True)
    least = pmi(count, power=power).double() - math.log(negatives)
    return (least - torch.log1p(-share)).float()


def factors(
    table: Float[Tensor, "v c"],
    width: int,
    *,
    root: float | int = 0.5,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "v d"]:
    """U S^p: the rows of a table in its `width` directions of most weight.

    Args:
        table: finite numbers, such as `shifted_ppmi`.
        width: d.
        root: p; 1 keeps all inner products of rows, 0.5 shares S with the columns.
        generator: of the sketch.

    Raises:
        ValueError: a table that is not finite, or more directions than it has.
    """
    check_numbers("table", table, "v c")
    check_number("width", width, 1, min(table.shape), whole=True)
    with seeded(generator):
        sketch = min(width + 20, *table.shape)
        u, s, _ = torch.svd_lowrank(table, q=sketch, niter=4)
    return u[:, :width] * s[:width] ** root
