"""Data and measures: TODO say in one line what the model does.

**Paper** TODO authors, "title", venue year, arXiv 0000.00000.

**Book** `sec-image_measures`

**Symbols**
- `image (b, 3, h, w)` = x, pixels in [-1, 1]
- `classify` = W, one row for each class

**Start**
- As PyTorch does. TODO what the paper says, and where we differ.

**Differs from the paper**
- TODO everything: this is what `make new` wrote, a linear classifier on patches.

**Builds on** nothing.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class ImageMeasuresConfig(Config):
    """Hyperparameters; the defaults are the paper's."""

    patch: int = 16  # pixels a side
    width: int = 512
    classes: int = 1000


class ImageMeasures(Model):
    """Patches, a ReLU, the mean over places, a linear classifier.

    Example:
        >>> model = ImageMeasures.from_preset("tiny")
        >>> model(ImageMeasures.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": ImageMeasuresConfig(patch=4, width=64, classes=64),
        "paper": ImageMeasuresConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: ImageMeasuresConfig):
        super().__init__(config)
        self.patches = nn.Conv2d(3, config.width, config.patch, config.patch)
        self.classify = nn.Linear(config.width, config.classes)

    def features(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """What the classifier sees: a mean over all patches."""
        return self.patches(image).relu().mean((2, 3))

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k"]:
        """Scores of the classes."""
        return self.classify(self.features(image))

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of `label` (b,) given `image`."""
        return {"loss": F.cross_entropy(self(batch["image"]), batch["label"])}

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pixels and labels."""
        image = torch.rand(n, 3, 32, 32, generator=generator) * 2 - 1
        label = torch.randint(config.classes, (n,), generator=generator)
        return {"image": image, "label": label}
