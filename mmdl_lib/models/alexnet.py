"""AlexNet: the net that won ILSVRC 2012.

**Paper** Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep
Convolutional Neural Networks", NIPS 2012, doi 10.1145/3065386 (reprint of 2017).

**Book** `sec-history`

**Symbols** (section 3 of the paper)
- `a (b, c, h, w)` = a^i_{x,y}, activity of kernel i at position (x, y), after the ReLU
- `neighbors`, `k`, `alpha`, `beta` = n, k, alpha, beta of response normalization
- `groups` = the two GPUs: a kernel of layers 2, 4 and 5 sees the maps of its own GPU

**Start**
- Convolutions and hidden layers: He et al. 2015, normal with variance 2 / fan_in, and
  biases of zero; the classifier as PyTorch does. The paper's start, a deviation of 0.01
  and biases of one, is made for its sizes and for pixels of another scale.

**Differs from the paper**
- 224 pixels, kernels of 11 and a stride of 4 give no whole number of positions. We pad
  by 2, which the paper does not mention, and so get 55 x 55 positions.
- Dropout divides by the share of kept units in training, where the paper multiplies by
  it in testing: the same on average.
- Our pixels lie in [-1, 1], the paper's in about [-128, 127]. The small presets scale
  `alpha` by the square of 127.5, so that it means the same.
- Training is that of the book's recipe (`recipes/history.py`): AdamW, no color jitter.

**Builds on** nothing.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_labels
from mmdl_lib.core import Config, Model, seeded


@dataclass(frozen=True, kw_only=True)
class AlexNetConfig(Config):
    """Hyperparameters; the defaults are the paper's net."""

    size: int = 224  # height and width of the pictures
    kernel: int = 11  # of the first layer
    stride: int = 4
    widths: tuple[int, ...] = (96, 256, 384, 384, 256)  # kernels of the five layers
    groups: int = 2  # GPUs
    hidden: int = 4096  # neurons of the two fully connected layers
    classes: int = 1000
    activation: Literal["relu", "tanh"] = "relu"  # Figure 1 compares them
    dropout: float = 0.5
    neighbors: int = 5  # n of response normalization; 0 leaves it out
    alpha: float = 1e-4


def local_response_norm(
    a: Float[Tensor, "b c h w"],
    *,
    n: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
) -> Float[Tensor, "b c h w"]:
    """Divide each activity by what its n neighbors among the kernels have.

    PyTorch and Caffe divide `alpha` by n; the paper does not. An even n, which is not
    in the paper, reaches one further back than ahead, as in PyTorch.
    """
    # section 3.3: b_i = a_i / (k + alpha sum_j a_j^2)^beta, j from i - n/2 to i + n/2
    squares = F.pad(a.square(), (0, 0, 0, 0, n // 2, (n - 1) // 2))
    return a / (k + alpha * squares.unfold(1, n, 1).sum(-1)) ** beta


class AlexNet(Model):
    """Five convolutional layers, then three fully connected ones.

    Example:
        >>> model = AlexNet.from_preset("tiny")
        >>> model(AlexNet.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    TINY = AlexNetConfig(
        size=32,
        kernel=7,
        stride=2,
        widths=(32, 48, 64, 64, 48),
        hidden=128,
        classes=64,
        dropout=0.0,
        alpha=1e-4 * 127.5**2,
    )
    PRESETS = {
        "tiny": TINY,
        "tiny-dropout": replace(TINY, dropout=0.5),
        "tiny-printed-alpha": replace(TINY, alpha=1e-4),
        "tiny-no-norm": replace(TINY, neighbors=0),
        "tiny-tanh": replace(TINY, neighbors=0, activation="tanh"),
        "tiny-digits": replace(
            TINY,
            size=16,
            kernel=3,
            stride=1,
            widths=(16, 32, 48, 48, 32),
            hidden=64,
            classes=10,
            neighbors=0,
        ),
        "AlexNet": AlexNetConfig(),
        "AlexNet-one-GPU": AlexNetConfig(groups=1),
    }
    # "60 million parameters" (abstract); the sum over the layers that section 3.5
    # describes, with biases, is 60,965,224
    PAPER_PARAMS = {"AlexNet": 60_965_224}

    def __init__(self, config: AlexNetConfig):
        super().__init__(config)
        first, second, third, fourth, fifth = config.widths
        two = config.groups
        # layer 3 sees the maps of both GPUs, layers 2, 4 and 5 those of their own
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, first, config.kernel, config.stride, padding=2),
                nn.Conv2d(first, second, 5, padding=2, groups=two),
                nn.Conv2d(second, third, 3, padding=1),
                nn.Conv2d(third, fourth, 3, padding=1, groups=two),
                nn.Conv2d(fourth, fifth, 3, padding=1, groups=two),
            ]
        )
        side = self.sides()[-1]
        self.hidden = nn.ModuleList(
            [
                nn.Linear(fifth * side * side, config.hidden),
                nn.Linear(config.hidden, config.hidden),
            ]
        )
        self.classifier = nn.Linear(config.hidden, config.classes)
        for layer in [*self.convs, *self.hidden]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity=config.activation)
            nn.init.zeros_(layer.bias)

    def sides(self) -> list[int]:
        """Height of the maps after layer 1, its pool, and so on to the last pool."""
        sides = [(self.config.size + 4 - self.config.kernel) // self.config.stride + 1]
        for _ in range(3):
            # section 3.4: pools of 3 x 3 at a stride of 2 overlap
            sides.append((sides[-1] - 3) // 2 + 1)
        if sides[-1] < 1:
            raise ValueError(
                f"expected pictures that three pools leave something of, got sides "
                f"{sides} for {self.config.size} pixels."
            )
        return sides

    def activate(self, x: Tensor) -> Tensor:
        """The nonlinearity f of section 3.1."""
        return x.relu() if self.config.activation == "relu" else x.tanh()

    def layers(self, image: Tensor) -> list[Tensor]:
        """Activities of the five convolutional layers, normalized but before pools.

        Args:
            image: (b, 3, h, w) in [-1, 1], h = w = `config.size`.

        Raises:
            ValueError: another shape.
        """
        size = self.config.size
        if image.shape[1:] != (3, size, size):
            raise ValueError(
                f"AlexNet expected pictures of shape (b, 3, {size}, {size}), got "
                f"{tuple(image.shape)}."
            )
        x, found = image, []
        for i, conv in enumerate(self.convs):
            # section 3.5: normalization follows layers 1 and 2, a pool follows each
            if i in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            x = self.activate(conv(x))
            if i < 2 and self.config.neighbors:
                x = local_response_norm(
                    x, n=self.config.neighbors, alpha=self.config.alpha
                )
            found.append(x)
        return found

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """The last hidden layer, which the paper compares pictures by (section 6.1).

        Raises:
            ValueError: another shape, or pixels outside of [-1, 1].
        """
        check_image(image)
        return self.features(image)

    def features(self, image: Tensor) -> Float[Tensor, "b d"]:
        """As `encode_image`, whatever the range of the pixels."""
        x = F.max_pool2d(self.layers(image)[-1], 3, 2).flatten(1)
        for layer in self.hidden:
            # section 4.2: dropout in the first two fully connected layers
            x = F.dropout(self.activate(layer(x)), self.config.dropout, self.training)
        return x

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        """Logits of the classes; errors as in `layers`."""
        return self.classifier(self.features(image))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of a batch with `image` and `label (b,)`, in nats.

        Raises:
            ValueError: a label that is no class.
        """
        with seeded(generator):
            logits = self(batch["image"])
        check_labels("label", batch["label"], logits.shape[1])
        return {"loss": F.cross_entropy(logits, batch["label"])}

    @classmethod
    def example_batch(cls, config: AlexNetConfig, n: int, *, generator=None) -> dict:
        """Random pixels and labels."""
        shape = (n, 3, config.size, config.size)
        return {
            "image": torch.rand(shape, generator=generator) * 2 - 1,
            "label": torch.randint(config.classes, (n,), generator=generator),
        }
