"""Multimodal skip-gram: word vectors that also have to find their pictures.

**Paper** Lazaridou, Pham, Baroni, "Combining Language and Vision with a Multimodal
Skip-gram Model", NAACL 2015, arXiv 1501.02598.

**Book** `sec-grounded_space`

**Symbols**
- `center`, `context` = w_t and w_{t+j}, a word and one of its neighbors
- `word (b, d)` = u, `map` = M, `M(u) (b, p)` = z
- `picture (b, p)` = v_w, features of the word's picture; `seen (b,)`: it has one
- `wrong (b, k, p)` = v_w', pictures of other words; `counted (b, k)`: both have one
- `margin` = gamma

**Start**
- Word and context vectors as `word2vec.SkipGram` does, the map as PyTorch does.

**Differs from the paper**
- A loss to be minimized: the paper's objective is maximized, and there the hinge has a
  minus in front. As a loss it has a plus.
- Pictures of other words come from the same batch. Negative sampling in the text.

**Builds on** word2vec.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_flags,
    check_labels,
    check_number,
    check_numbers,
    check_same_length,
)
from mmdl_lib.models.word2vec import SkipGram, Word2VecConfig


@dataclass(frozen=True, kw_only=True)
class MultimodalSkipGramConfig(Word2VecConfig):
    """Hyperparameters of skip-gram and of the hinge."""

    picture: int = 1280  # features of a picture
    margin: float | int = 0.5
    wrong: int = 20  # pictures of other words


def picture_hinge(
    z: Float[Tensor, "b p"],
    picture: Float[Tensor, "b p"],
    wrong: Float[Tensor, "b k p"],
    counted: Bool[Tensor, "b k"],
    *,
    margin: float | int = 0.5,
) -> Float[Tensor, ""]:
    """Sum over wrong pictures of max(0, gamma - cos(z, v_w) + cos(z, v_w')), a mean
    over all words, also those that count nothing.

    Args:
        z: what the map says of each word.
        picture: of the word; anything where it has none.
        wrong: pictures of other words.
        counted: where the word has a picture, and the wrong one is another word's.
        margin: by how much its own picture must be nearer.

    Raises:
        ValueError: unequal lengths, or flags that are none.

    Example:
        >>> z, wrong = torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 1.0]]])
        >>> picture_hinge(z, z, wrong, torch.tensor([[True]]), margin=1.5)
        tensor(0.5000)
    """
    check_same_length(z=z, picture=picture)
    check_same_length(z=z, wrong=wrong)
    check_flags("counted", counted, wrong.shape[:2])
    right = F.cosine_similarity(z, picture, dim=1)[:, None]
    other = F.cosine_similarity(z[:, None], wrong, dim=2)
    hinge = (margin - right + other).relu() * counted
    return hinge.sum(1).mean()


class MultimodalSkipGram(SkipGram):
    """Skip-gram whose word vectors also find the word's picture among others."""

    PRESETS = {
        "tiny": MultimodalSkipGramConfig(vocab=40, width=64, picture=8, wrong=3),
        "large": MultimodalSkipGramConfig(vocab=100_000, width=300),
    }

    def __init__(self, config: MultimodalSkipGramConfig, count=None):
        """
        Args:
            config: sizes.
            count: occurrences of each word, for the negatives; None is once each.
        """
        super().__init__(config, count)
        check_number("margin", config.margin, 0)
        self.map = nn.Linear(config.width, config.picture, bias=False)

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """L = L_text + hinge; wrong pictures are those of other rows of the batch.

        Raises:
            ValueError: rows that are no pairs, a single one, unknown words.
        """
        self._check(batch)
        text = super().loss(batch, generator=generator)["loss"]
        z, seen = self.map(self.word(batch["center"])), batch["seen"]
        b, k = len(z), self.config.wrong
        # another row than one's own, by a step around the batch
        step = torch.randint(1, b, (b, k), generator=generator, device=z.device)
        other = (torch.arange(b, device=z.device)[:, None] + step) % b
        known = seen[other] & (batch["center"][other] != batch["center"][:, None])
        hinge = picture_hinge(
            *(z, batch["picture"], batch["picture"][other], seen[:, None] & known),
            margin=self.config.margin,
        )
        return {"loss": text + hinge, "text": text, "hinge": hinge}

    def _check(self, batch: dict) -> None:
        for name in ("center", "context"):
            check_labels(name, batch[name], self.config.vocab)
        check_same_length(center=batch["center"], context=batch["context"])
        check_numbers("picture", batch["picture"], "b p")
        check_same_length(center=batch["center"], picture=batch["picture"])
        check_flags("seen", batch["seen"], batch["center"].shape)
        if len(batch["center"]) < 2:
            raise ValueError("center expected two words or more, got one.")

    @classmethod
    def example_batch(cls, config, n, *, generator=None) -> dict[str, Tensor]:
        """Random pairs; every second word has a picture."""
        batch = super().example_batch(config, n, generator=generator)
        looks = torch.randn(config.vocab, config.picture, generator=generator)
        seen = torch.arange(n) % 2 == 0
        return batch | {"picture": looks[batch["center"]], "seen": seen}
