"""iACE: read a sentence, imagine a picture of it, and let both decide.

**Paper** Lu, Zhu, Wang, Eckstein, Wang, "Imagination-Augmented Natural Language
Understanding", NAACL 2022, arXiv 2204.08535.

**Book** `sec-vokenization`

**Symbols**
- `text (b, d)` = features of a sentence; `picture (b, p)` = features of the picture
  that was imagined for it
- `weight` = lambda; `Terms.imagination` = L_Imagine, `Terms.language` = L_Lang

**Start**
- As PyTorch does.

**Differs from the paper**
- Each side is one linear layer on features that others computed; the paper tunes
  Transformers, and its side of imagination reads the sentence as well.
- Where the picture comes from is not part of the model. The paper draws it with a
  VQGAN that CLIP steers; our chapter looks one up.
- `probabilities` mixes the answers of both sides with the weight of the loss.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_labels,
    check_number,
    check_numbers,
    check_same_length,
)
from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class IACEConfig(Config):
    """Hyperparameters; the defaults are the widths of BERT-base and CLIP's ViT-B/32."""

    text: int = 768
    picture: int = 512
    classes: int = 2
    weight: float = 0.5  # lambda, of the imagination


class Answers(NamedTuple):
    """What each side says, as logits."""

    imagination: Float[Tensor, "b k"]
    language: Float[Tensor, "b k"]


def mixed(imagination: Tensor, language: Tensor, weight: float | int) -> Tensor:
    """lambda of the one and the rest of the other.

    Raises:
        ValueError: a weight outside of [0, 1].

    Example:
        >>> mixed(torch.tensor(4.0), torch.tensor(2.0), 0.25).item()
        2.5
    """
    check_number("weight", weight, 0, 1)
    return weight * imagination + (1 - weight) * language


class IACE(Model):
    """Two heads with one answer: one reads the sentence, the other its picture.

    Example:
        >>> model = IACE.from_preset("tiny")
        >>> batch = IACE.example_batch(model.config, 3)
        >>> model.probabilities(batch["text"], batch["picture"]).shape
        torch.Size([3, 4])
    """

    PRESETS = {"tiny": IACEConfig(text=12, picture=8, classes=4), "base": IACEConfig()}
    LEARNED = {"main": 0.97}

    def __init__(self, config: IACEConfig):
        super().__init__(config)
        check_number("weight", config.weight, 0, 1)
        self.language = nn.Linear(config.text, config.classes)
        self.imagination = nn.Linear(config.picture, config.classes)

    def forward(
        self, text: Float[Tensor, "b d"], picture: Float[Tensor, "b p"]
    ) -> Answers:
        """The answers of both sides.

        Raises:
            ValueError: no finite floats, or not one picture for each sentence.
        """
        check_numbers("text", text, "b d")
        check_numbers("picture", picture, "b p")
        check_same_length(text=text, picture=picture)
        return Answers(self.imagination(picture), self.language(text))

    def probabilities(
        self, text: Float[Tensor, "b d"], picture: Float[Tensor, "b p"]
    ) -> Float[Tensor, "b k"]:
        """The mixed answer; arguments and errors as in `forward`."""
        return mixed(*(x.softmax(1) for x in self(text, picture)), self.config.weight)

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropies of both sides, of `text`, `picture` and `label (b,)`."""
        said, label = self(batch["text"], batch["picture"]), batch["label"]
        check_labels("label", label, self.config.classes)
        check_same_length(text=batch["text"], label=label)
        one, other = (F.cross_entropy(logits, label) for logits in said)
        # L = lambda L_Imagine + (1 - lambda) L_Lang
        loss = mixed(one, other, self.config.weight)
        return {"loss": loss, "imagination": one, "language": other}

    @classmethod
    def example_batch(cls, config: IACEConfig, n: int, *, generator=None) -> dict:
        """Sentences, pictures and labels at random."""
        sizes = {"text": config.text, "picture": config.picture}
        batch = {k: torch.randn(n, d, generator=generator) for k, d in sizes.items()}
        label = torch.randint(config.classes, (n,), generator=generator)
        return batch | {"label": label}
