"""Imagined vectors: what a picture of a word would look like, said from its text.

**Paper** Collell, Zhang, Moens, "Imagined Visual Representations as Multimodal
Embeddings", AAAI 2017, doi 10.1609/aaai.v31i1.11155.

**Book** `sec-vokenization`

**Symbols**
- `words (b, d)` = vectors of words from text; `pictures (b, p)` = features of pictures
  of the same words; `Imagined.imagine` = f, the map from the one to the other
- `hidden` = units of the hidden layer, None for the linear map

**Start**
- As PyTorch does; of the closed form there is none.

**Differs from the paper**
- `ridge` is the linear map in closed form; the paper trains it by gradient descent.
- The hidden layer has tanh.
- Trained with AdamW (the book's recipe).

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_number, check_numbers, check_same_length
from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class ImaginedConfig(Config):
    """Hyperparameters; the defaults are a linear map of 300 numbers to 128."""

    words: int = 300
    pictures: int = 128
    hidden: int | None = None


class LinearMap(NamedTuple):
    """What ridge regression found.

    Attributes:
        weight: of each number of a word for each number of its picture.
        bias: what the picture of a word of zeros has.
    """

    weight: Float[Tensor, "d p"]
    bias: Float[Tensor, " p"]

    def __call__(self, words: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        """The imagined pictures."""
        return words @ self.weight + self.bias


def ridge(
    words: Float[Tensor, "n d"],
    pictures: Float[Tensor, "n p"],
    *,
    penalty: float | int = 0.0,
) -> LinearMap:
    """The linear map of least squared errors, in closed form.

    Args:
        words: vectors of words that have a picture.
        pictures: row by row, the pictures of the same words.
        penalty: of the sum of squared weights, beside the sum of squared errors. The
            bias is free of it. With zero and fewer words than numbers many maps have no
            error; this is the one with the smallest weights.

    Raises:
        ValueError: no finite floats, other numbers of rows, fewer than two of them, or
            a penalty below zero.

    Example:
        >>> words = torch.tensor([[0.0], [1.0], [2.0]])
        >>> found = ridge(words, 3 * words + 1)
        >>> [round(x.item(), 4) for x in (found.weight, found.bias)]
        [3.0, 1.0]
    """
    check_pairs(words, pictures)
    check_number("penalty", penalty, 0)
    x, y = words.double(), pictures.double()
    middle, center = x.mean(0), y.mean(0)
    u, s, v = torch.linalg.svd(x - middle, full_matrices=False)
    # each direction of the words by itself: s / (s^2 + penalty), and nothing where no
    # word differs
    there = s > torch.finfo(words.dtype).eps * max(x.shape) * s.max()
    gain = torch.where(there, s / (s.square() + penalty).clamp(min=1e-300), 0.0)
    weight = v.T @ (gain[:, None] * (u.T @ (y - center)))
    bias = center - middle @ weight
    return LinearMap(weight.to(words.dtype), bias.to(words.dtype))


def check_pairs(words: Tensor, pictures: Tensor) -> None:
    """Check that each word has its picture.

    Raises:
        ValueError: no finite floats, other numbers of rows, fewer than two of them.
    """
    check_numbers("words", words, "n d")
    check_numbers("pictures", pictures, "n p")
    check_same_length(words=words, pictures=pictures)
    if len(words) < 2:
        raise ValueError(f"words expected two or more, got {len(words)}.")


class Imagined(Model):
    """A map from words to pictures: linear, or with one hidden layer.

    Example:
        >>> model = Imagined.from_preset("tiny")
        >>> batch = Imagined.example_batch(model.config, 3)
        >>> model.imagine(batch["words"]).shape
        torch.Size([3, 6])
    """

    PRESETS = {
        "tiny": ImaginedConfig(words=8, pictures=6),
        "tiny hidden": ImaginedConfig(words=8, pictures=6, hidden=16),
        "linear": ImaginedConfig(),
        "hidden": ImaginedConfig(hidden=200),
    }
    LEARNED = {"main": 0.97}

    def __init__(self, config: ImaginedConfig):
        super().__init__(config)
        if config.hidden is None:
            self.map = nn.Linear(config.words, config.pictures)
        else:
            check_number("hidden", config.hidden, 1, whole=True)
            self.map = nn.Sequential(
                *(nn.Linear(config.words, config.hidden), nn.Tanh()),
                nn.Linear(config.hidden, config.pictures),
            )

    @classmethod
    def of(cls, found: LinearMap) -> "Imagined":
        """The linear model with the weights of the closed form."""
        d, p = found.weight.shape
        model = cls(ImaginedConfig(words=d, pictures=p)).to(found.weight.dtype)
        with torch.no_grad():
            model.map.weight.copy_(found.weight.T)
            model.map.bias.copy_(found.bias)
        return model

    def imagine(self, words: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        """A visual vector for each word, whether anyone has seen it or not.

        Raises:
            ValueError: no finite floats, or vectors of another length.
        """
        check_numbers("words", words, "n d")
        if words.shape[1] != self.config.words:
            raise ValueError(
                f"words expected {self.config.words} numbers each, got "
                f"{words.shape[1]}."
            )
        return self.map(words)

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The mean squared error of `words` against `pictures`, over all numbers."""
        for name in ("words", "pictures"):
            check_numbers(name, batch[name], "n d")
        check_same_length(words=batch["words"], pictures=batch["pictures"])
        return {"loss": F.mse_loss(self.map(batch["words"]), batch["pictures"])}

    @classmethod
    def example_batch(cls, config: ImaginedConfig, n: int, *, generator=None) -> dict:
        """Words and pictures at random."""
        sizes = {"words": config.words, "pictures": config.pictures}
        return {k: torch.randn(n, d, generator=generator) for k, d in sizes.items()}
