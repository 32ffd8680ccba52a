"""Translation of words by one matrix between two spaces of vectors.

**Paper** Mikolov, Le and Sutskever, "Exploiting Similarities among Languages for
Machine Translation", 2013, arXiv 1309.4168.

**Book** `sec-word2vec`

**Symbols**
- `source (n, d)`, `target (n, e)` = x_i and z_i: vectors of n words and translations
- `matrix (d, e)` = W, transposed: a row times `matrix` is a row of the other language

**Start** Nothing is learned by steps: both maps have closed forms.

**Differs from the paper**
- Least squares are solved exactly, where the paper goes down the gradient.
- `rotation` is a later refinement: the best map among those that keep all lengths and
  angles (orthogonal Procrustes).
- Candidates are ranked by cosine, as in the paper.

**Builds on** any word vectors.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number, check_numbers, check_same_length


def least_squares(
    source: Float[Tensor, "n d"], target: Float[Tensor, "n e"]
) -> Float[Tensor, "d e"]:
    """W that minimizes the sum over pairs of |x W - z|^2.

    Raises:
        ValueError: pairs that do not match, numbers that are not finite.
    """
    _check(source, target)
    return torch.linalg.lstsq(source.double(), target.double()).solution.float()


def rotation(
    source: Float[Tensor, "n d"], target: Float[Tensor, "n d"]
) -> Float[Tensor, "d d"]:
    """The same minimum among orthogonal matrices: U V^T of the SVD of x^T z.

    Raises:
        ValueError: as `least_squares`, or spaces of different width.
    """
    _check(source, target)
    if source.shape != target.shape:
        d, e = source.shape[1], target.shape[1]
        raise ValueError(f"expected equal widths, got {d} and {e}.")
    u, _, v = torch.linalg.svd(source.double().T @ target.double())
    return (u @ v).float()


def translate(
    source: Float[Tensor, "n d"],
    matrix: Float[Tensor, "d e"],
    candidates: Float[Tensor, "v e"],
    *,
    best: int = 5,
) -> Int[Tensor, "n k"]:
    """Numbers of the nearest candidates of each mapped vector, nearest first.

    Raises:
        ValueError: tables that are not finite, a matrix that does not lead from one to
            the other, or more asked for than there are.
    """
    for name, table in (("source", source), ("candidates", candidates)):
        check_numbers(name, table, "n d")
    size = source.shape[1], candidates.shape[1]
    if matrix.shape != size:
        raise ValueError(f"matrix expected shape {size}, got {tuple(matrix.shape)}.")
    check_number("best", best, 1, len(candidates), whole=True)
    cosine = F.normalize(source @ matrix, dim=1) @ F.normalize(candidates, dim=1).T
    return cosine.topk(best, dim=1).indices


def _check(source: Tensor, target: Tensor) -> None:
    check_same_length(source=source, target=target)
    check_numbers("source", source, "n d")
    check_numbers("target", target, "n e")
