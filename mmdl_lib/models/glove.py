"""GloVe: inner products of word vectors fitted to the log of how often words meet.

**Paper** Pennington, Socher and Manning, "GloVe: Global Vectors for Word
Representation", EMNLP 2014, doi 10.3115/v1/D14-1162.

**Book** `sec-word2vec`

**Symbols**
- `row (b,)`, `column (b,)`, `count (b,)` = i, j and X_ij: the cells of X above zero
- `word (v, d)`, `context (v, d)` = w and w~; `word_bias`, `context_bias` = b and b~
- `ceiling`, `power` = x_max and alpha of the weight f

**Start** All vectors and biases uniform within 0.5 / d of zero, as in glove.c.

**Differs from the paper**
- A mean over the cells of a batch instead of a sum over all cells.
- The gradient is that of the loss; glove.c leaves its factor 2 out.
- `fit` takes AdamW where glove.c takes AdaGrad, whose sums start at 1, with rate 0.05.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_finite, check_numbers
from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class GloVeConfig(Config):
    """Hyperparameters; ceiling and power are the paper's."""

    vocab: int
    width: int = 50
    ceiling: float = 100.0
    power: float = 0.75


def weight(
    count: Float[Tensor, " b"], *, ceiling: float | int = 100.0, power: float = 0.75
) -> Float[Tensor, " b"]:
    """f(X) = min(1, (X / x_max)^alpha): rare meetings are noisy."""
    return (count / ceiling).pow(power).clamp(max=1)


def cells(table: Float[Tensor, "v v"]) -> dict[str, Tensor]:
    """Rows, columns and values of a table's cells above zero: the batches of GloVe.

    Raises:
        ValueError: no table of finite numbers, or none above zero.
    """
    check_numbers("table", table, "v v")
    row, column = (table > 0).nonzero(as_tuple=True)
    if not len(row):
        raise ValueError("table expected a cell above zero, got none.")
    return {"row": row, "column": column, "count": table[row, column]}


class GloVe(Model):
    """Weighted least squares on log counts; the vectors are w + w~."""

    LEARNED: ClassVar = {"main": 0.9}  # biases of zero begin far from a log count
    PRESETS: ClassVar = {
        "tiny": GloVeConfig(vocab=40, width=16),
        # the released vectors of which the book ships 30,000
        "6B-50d": GloVeConfig(vocab=400_000, width=50),
    }

    def __init__(self, config: GloVeConfig):
        super().__init__(config)
        v, d = config.vocab, config.width
        self.word, self.context = nn.Embedding(v, d), nn.Embedding(v, d)
        self.word_bias, self.context_bias = nn.Embedding(v, 1), nn.Embedding(v, 1)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.5 / d, 0.5 / d)

    def vectors(self) -> Float[Tensor, "v d"]:
        """For a symmetric X both tables are of equal standing; their sum is kept."""
        return self.word.weight + self.context.weight

    def fitted(
        self, row: Int[Tensor, " b"], column: Int[Tensor, " b"]
    ) -> Float[Tensor, " b"]:
        """w_i w~_j + b_i + b~_j, which is to equal log X_ij."""
        inner = (self.word(row) * self.context(column)).sum(1)
        return inner + self.word_bias(row)[:, 0] + self.context_bias(column)[:, 0]

    def loss(self, batch, *, phase="main", generator=None):
        # J = sum over X_ij > 0 of f(X_ij) (w_i w~_j + b_i + b~_j - log X_ij)^2
        count, given = batch["count"], self.config
        check_finite("log of the count", count.log())
        error = self.fitted(batch["row"], batch["column"]) - count.log()
        f = weight(count, ceiling=given.ceiling, power=given.power)
        return {"loss": (f * error.square()).mean()}

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        row, column = torch.randint(config.vocab, (2, n), generator=generator)
        count = 1 + torch.rand(n, generator=generator)
        return {"row": row, "column": column, "count": count}
