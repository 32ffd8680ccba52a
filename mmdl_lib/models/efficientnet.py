"""EfficientNet: a small searched net, and one number that scales all of it.

**Paper** Tan, Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, arXiv 1905.11946.

**Book** `sec-efficientnet`

**Symbols** (section 3 of the paper)
- `StageSpec` = a row of Table 1: F_i, repeated L_i times, with C_i channels
- `width`, `depth`, `resolution` = w, d and the side in pixels, r times the base's
- `compound_scale(config, phi)`: d = alpha^phi, w = beta^phi, r = gamma^phi (eq. 3)
- `reward` = ACC(m) x (FLOPS(m) / T)^w, the goal of the search (section 4)

**Start**
- Convolutions: normal with variance 2 / fan_in, where the fan of a depthwise filter is
  its own channel. The released code takes the fan_out. The classifier as PyTorch does.

**Differs from the paper**
- The paper leaves out how channels and repeats are rounded, the padding and the width
  of the squeeze; these follow the authors' code.
- The Lite nets are the authors' later ones for phones: no squeeze, ReLU6, and a stem, a
  head and ends of stages that do not scale. They are not in the paper.
- The normalization of the pixels is part of the model, so that all models of this book
  eat the same pictures.
- Training is that of the book's recipe (`recipes/efficientnet.py`): AdamW instead of
  RMSProp, no AutoAugment. The tiny nets have a stem of stride one.

**Builds on** nothing.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_labels
from mmdl_lib.core import Config, Model, seeded

ACTIVATIONS = {"swish": F.silu, "relu6": F.relu6}


class StageSpec(NamedTuple):
    """A row of Table 1: MBConv with its kernel, repeated; the first has the stride."""

    kernel: int
    expand: int  # the 6 of MBConv6
    channels: int
    layers: int
    stride: int


B0 = (
    StageSpec(kernel=3, expand=1, channels=16, layers=1, stride=1),
    StageSpec(kernel=3, expand=6, channels=24, layers=2, stride=2),
    StageSpec(kernel=5, expand=6, channels=40, layers=2, stride=2),
    StageSpec(kernel=3, expand=6, channels=80, layers=3, stride=2),
    StageSpec(kernel=5, expand=6, channels=112, layers=3, stride=1),
    StageSpec(kernel=5, expand=6, channels=192, layers=4, stride=2),
    StageSpec(kernel=3, expand=6, channels=320, layers=1, stride=1),
)
TINY = (
    StageSpec(kernel=3, expand=1, channels=8, layers=1, stride=1),
    StageSpec(kernel=3, expand=4, channels=12, layers=1, stride=2),
    StageSpec(kernel=3, expand=4, channels=20, layers=2, stride=2),
)


@dataclass(frozen=True, kw_only=True)
class EfficientNetConfig(Config):
    """Hyperparameters; the defaults are EfficientNet-B0."""

    stages: tuple[StageSpec, ...] = B0  # before scaling
    stem: int = 32
    head: int = 1280
    width: float = 1.0
    depth: float = 1.0
    resolution: int = 224
    squeeze: float = 0.25  # of a block's input channels; 0 leaves it out
    activation: Literal["swish", "relu6"] = "swish"
    fixed_ends: bool = False  # Lite: stem, head, first and last stage do not scale
    stem_stride: int = 2
    divisor: int = 8  # of all numbers of channels
    dropout: float = 0.2
    drop_connect: float = 0.2  # of the last block; grows linearly from the first
    momentum: float = 0.01  # of BatchNorm, new share; TensorFlow calls it 0.99
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of pixels in [0, 1], removed
    std: tuple[float, ...] = (0.229, 0.224, 0.225)  # and divided by
    classes: int = 1000


def round_filters(channels: int, width: float, divisor: int = 8) -> int:
    """Channels times width, to the nearest multiple that is no tenth below it."""
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def round_repeats(layers: int, depth: float) -> int:
    """Layers times depth, rounded up."""
    return math.ceil(layers * depth)


def scaled_stages(config: EfficientNetConfig) -> list[StageSpec]:
    """The rows as they are built."""
    rows = []
    for i, row in enumerate(map(StageSpec._make, config.stages)):
        ends = config.fixed_ends and i in (0, len(config.stages) - 1)
        rows.append(
            row._replace(
                channels=round_filters(row.channels, config.width, config.divisor),
                layers=row.layers if ends else round_repeats(row.layers, config.depth),
            )
        )
    return rows


def compound_scale(
    config: EfficientNetConfig,
    phi: float | int,
    *,
    alpha: float | int = 1.2,
    beta: float | int = 1.1,
    gamma: float | int = 1.15,
) -> EfficientNetConfig:
    """The config with about (alpha beta^2 gamma^2)^phi times the FLOPs.

    Raises:
        ValueError: a coefficient below one.
    """
    if min(alpha, beta, gamma) < 1:
        raise ValueError(
            f"expected alpha, beta, gamma >= 1, got {alpha}, {beta}, {gamma}."
        )
    # eq. (3): d = alpha^phi, w = beta^phi, r = gamma^phi
    return replace(
        config,
        depth=config.depth * alpha**phi,
        width=config.width * beta**phi,
        resolution=round(config.resolution * gamma**phi),
    )


def reward(
    accuracy: float, flops: float, *, target: float = 400e6, power: float = -0.07
) -> float:
    """Section 4: ACC(m) x (FLOPS(m) / T)^w, which the search for B0 maximizes.

    Args:
        accuracy: above 0, at most 1.
        flops: multiply-adds of one picture.
        target: T, 400 million in the paper.
        power: w; negative, so that a cheaper net is a better one.
    """
    return accuracy * (flops / target) ** power


def pad_same(
    x: Float[Tensor, "b c h w"], kernel: int, stride: int
) -> Float[Tensor, "b c h2 w2"]:
    """TensorFlow's padding: outputs ceil(h / stride), the odd pixel right and below.

    With stride one this is the usual padding by half the kernel.
    """
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def drop_connect(
    x: Float[Tensor, "b c h w"], rate: float, *, generator=None
) -> Float[Tensor, "b c h w"]:
    """Stochastic depth (Huang et al. 2016): some rows to zero, the others scaled."""
    keep = 1 - rate
    draw = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device)
    return x * (draw < keep) / keep


class ConvNorm(nn.Module):
    """Convolution without bias, then BatchNorm."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride=1, *, groups=1, momentum
    ):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        half = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, half, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=momentum)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        x = x if self.stride == 1 else pad_same(x, self.kernel, self.stride)
        return self.norm(self.conv(x))


class SqueezeExcite(nn.Module):
    """One factor in (0, 1) for each channel, from the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int, activation):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation

    def weights(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        mean = x.mean((2, 3), keepdim=True)
        return self.expand(self.activation(self.reduce(mean))).sigmoid()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x * self.weights(x)


class MBConv(nn.Module):
    """Expand by 1 x 1, filter each channel alone, weigh channels, project by 1 x 1.

    An inverted bottleneck (Sandler et al. 2018): wide inside, narrow between blocks,
    and no activation at its narrow end.
    """

    def __init__(
        self, inputs: int, row: StageSpec, config: EfficientNetConfig, drop: float
    ):
        super().__init__()
        wide, momentum = inputs * row.expand, config.momentum
        self.activation = ACTIVATIONS[config.activation]
        self.drop, self.skip = drop, row.stride == 1 and inputs == row.channels
        self.expand = None
        if row.expand > 1:
            self.expand = ConvNorm(inputs, wide, 1, momentum=momentum)
        self.depthwise = ConvNorm(
            wide, wide, row.kernel, row.stride, groups=wide, momentum=momentum
        )
        self.squeeze = None
        if config.squeeze:
            # a quarter of the block's inputs, not of the expanded channels
            squeezed = max(1, int(inputs * config.squeeze))
            self.squeeze = SqueezeExcite(wide, squeezed, self.activation)
        self.project = ConvNorm(wide, row.channels, 1, momentum=momentum)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        y = x if self.expand is None else self.activation(self.expand(x))
        y = self.activation(self.depthwise(y))
        y = y if self.squeeze is None else self.squeeze(y)
        y = self.project(y)
        if not self.skip:
            return y
        if self.training and self.drop > 0:
            y = drop_connect(y, self.drop)
        return x + y


def _lite(**changes) -> EfficientNetConfig:
    small = {"squeeze": 0.0, "activation": "relu6", "fixed_ends": True}
    small |= {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    return EfficientNetConfig(**small | changes)


def _published(width: float, depth: float, resolution: int, dropout: float):
    # Table 2 has no coefficients; these stand in the authors' code
    return EfficientNetConfig(
        width=width, depth=depth, resolution=resolution, dropout=dropout
    )


def _tiny(**changes) -> EfficientNetConfig:
    """For pictures of 16 x 16 and trainings of a few hundred steps."""
    small = {"stages": TINY, "stem": 8, "head": 64, "resolution": 16, "classes": 24}
    small |= {"stem_stride": 1, "divisor": 2, "dropout": 0.0, "drop_connect": 0.0}
    small |= {"momentum": 0.1, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    return EfficientNetConfig(**small | changes)


class EfficientNet(Model):
    """Stem, stages of MBConv, 1 x 1 head, mean over positions, linear classifier.

    Example:
        >>> model = EfficientNet.from_preset("tiny")
        >>> model(EfficientNet.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 24])
    """

    PRESETS = {
        "tiny": _tiny(),
        "tiny-drop": _tiny(dropout=0.1, drop_connect=0.1),
        "tiny-lite": _tiny(squeeze=0.0, activation="relu6", fixed_ends=True),
        "B0": EfficientNetConfig(),
        "B1": _published(1.0, 1.1, 240, 0.2),
        "B2": _published(1.1, 1.2, 260, 0.3),
        "B3": _published(1.2, 1.4, 300, 0.3),
        "B4": _published(1.4, 1.8, 380, 0.4),
        "B5": _published(1.6, 2.2, 456, 0.4),
        "B6": _published(1.8, 2.6, 528, 0.5),
        "B7": _published(2.0, 3.1, 600, 0.5),
        "Lite0": _lite(),
    }
    # Table 2 prints 5.3, 7.8, 9.2, 12, 19, 30, 43 and 66 M, some of them rounded by
    # more than one percent: these are the counts of the public checkpoints.
    PAPER_PARAMS = {
        "B0": 5_288_548,
        "B1": 7_794_184,
        "B2": 9_109_994,
        "B3": 12_233_232,
        "B4": 19_341_616,
        "B5": 30_389_784,
        "B6": 43_040_704,
        "B7": 66_347_960,
        "Lite0": 4_652_008,
    }

    def __init__(self, config: EfficientNetConfig):
        super().__init__(config)
        self.activation = ACTIVATIONS[config.activation]
        momentum, rows = config.momentum, scaled_stages(config)
        ends = 1.0 if config.fixed_ends else config.width
        channels = round_filters(config.stem, ends, config.divisor)
        self.stem = ConvNorm(3, channels, 3, config.stem_stride, momentum=momentum)
        total, blocks = sum(row.layers for row in rows), []
        for row in rows:
            for i in range(row.layers):
                here = row if i == 0 else row._replace(stride=1)
                drop = config.drop_connect * len(blocks) / total
                blocks.append(MBConv(channels, here, config, drop))
                channels = row.channels
        self.blocks = nn.Sequential(*blocks)
        head = round_filters(config.head, ends, config.divisor)
        self.head = ConvNorm(channels, head, 1, momentum=momentum)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(head, config.classes)
        for name in ("mean", "std"):
            value = torch.tensor(getattr(config, name)).view(3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # fan_in of a depthwise filter is kernel^2, its own channel only
                nn.init.kaiming_normal_(module.weight, mode="fan_in")

    def feature_map(self, image: Tensor) -> Float[Tensor, "b c u v"]:
        """The last feature map, after the head.

        Args:
            image: (b, 3, h, w) in [-1, 1]; any size, square or not. The mean and the
                deviation that the weights expect are part of the model.

        Raises:
            ValueError: another number of channels.
        """
        if image.shape[1] != 3:
            raise ValueError(
                "EfficientNet expected pictures of three channels, got "
                f"{tuple(image.shape)}."
            )
        x = ((image + 1) / 2 - self.mean) / self.std
        x = self.blocks(self.activation(self.stem(x)))
        return self.activation(self.head(x))

    def features(self, image: Tensor) -> Float[Tensor, "b d"]:
        """Mean of the last feature map over its positions; errors as there."""
        return self.feature_map(image).mean((2, 3))

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """`features` of pictures in [-1, 1]; another range is a ValueError, too."""
        check_image(image)
        return self.features(image)

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        """Logits of the classes; errors as in `feature_map`."""
        return self.classifier(self.dropout(self.features(image)))

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
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pixels and labels at the config's resolution."""
        size = n, 3, config.resolution, config.resolution
        return {
            "image": torch.rand(size, generator=generator) * 2 - 1,
            "label": torch.randint(config.classes, (n,), generator=generator),
        }
