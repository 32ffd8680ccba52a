"""ResNet: layers that learn what to add to their input.

**Paper** He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR
2016, arXiv 1512.03385.

**Book** `sec-resnet`

**Symbols** (section 3 of the paper)
- `x (b, c, h, w)` = x, the input of a block
- `residual(x)` = F(x, {W_i}), two or three convolutions
- `shortcut(x)` = x or W_s x, by option A, B or C of section 3.3 and 4.1
- block: y = F(x, {W_i}) + shortcut(x), then ReLU (eq. 1 and 2)

**Start**
- Convolutions: He et al. 2015, normal with variance 2 / fan_out, which section 3.4
  names; BatchNorm at one and zero; the classifier as PyTorch does. Later code starts
  the last BatchNorm of a block at zero; the paper does not.

**Differs from the paper**
- Nothing in the nets. The stride of a bottleneck is on its first 1 x 1 convolution, as
  in the paper; later code, PyTorch's too, puts it on the 3 x 3 convolution.
- Training is that of the book's recipe (`recipes/resnet.py`), not the paper's SGD.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_image, check_labels
from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Config):
    """Hyperparameters; the defaults are the 50-layer net of the paper's Table 1."""

    block: Literal["plain", "basic", "bottleneck"] = "bottleneck"
    stages: tuple[int, ...] = (3, 4, 6, 3)  # blocks in each stage
    width: int = 64  # channels of the first stage; each further stage doubles them
    # 7 x 7 and a pool, or one 3 x 3 convolution
    stem: Literal["imagenet", "cifar"] = "imagenet"
    shortcut: Literal["A", "B", "C"] = "B"  # A, B where dimensions change, C everywhere
    classes: int = 1000


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, then BatchNorm; "right after each convolution and before
    activation" (section 3.4)."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class ZeroPad(nn.Module):
    """Option A: every second position, and zeros for the new channels; no weights."""

    def __init__(self, more: int, stride: int):
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.more))


def make_shortcut(inputs: int, outputs: int, stride: int, option: str) -> nn.Module:
    """The identity where it fits, else what the option says (section 3.3).

    Raises:
        ValueError: an option other than "A", "B" and "C".
    """
    check_choice("option", option, ("A", "B", "C"))
    if option == "C" or (option == "B" and (stride > 1 or inputs != outputs)):
        return conv_norm(inputs, outputs, 1, stride)
    if stride > 1 or inputs != outputs:
        return ZeroPad(outputs - inputs, stride)
    return nn.Identity()


class Plain(nn.Module):
    """Two 3 x 3 convolutions without a shortcut: the nets that degrade."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, option: str):
        super().__init__()
        self.residual = nn.Sequential(
            conv_norm(inputs, width, 3, stride), nn.ReLU(), conv_norm(width, width, 3)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return F.relu(self.residual(x))


class Basic(Plain):
    """The same two convolutions, with a shortcut (Figure 5, left)."""

    def __init__(self, inputs: int, width: int, stride: int, option: str):
        super().__init__(inputs, width, stride, option)
        self.shortcut = make_shortcut(inputs, width, stride, option)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        # eq. (2): y = F(x, {W_i}) + W_s x; eq. (1) where the shortcut is the identity
        return F.relu(self.residual(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1 x 1 down, 3 x 3, 1 x 1 up to four times the width (Figure 5, right)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, option: str):
        super().__init__()
        self.residual = nn.Sequential(
            *(conv_norm(inputs, width, 1, stride), nn.ReLU()),
            *(conv_norm(width, width, 3), nn.ReLU()),
            conv_norm(width, 4 * width, 1),
        )
        self.shortcut = make_shortcut(inputs, 4 * width, stride, option)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return F.relu(self.residual(x) + self.shortcut(x))


BLOCKS = {"plain": Plain, "basic": Basic, "bottleneck": Bottleneck}


def _cifar(depth: int, block: str = "basic") -> ResNetConfig:
    # section 4.2: 6n + 2 layers, widths 16, 32, 64, option A everywhere
    n = (depth - 2) // 6
    return ResNetConfig(
        block=block,
        stages=(n, n, n),
        width=16,
        stem="cifar",
        shortcut="A",
        classes=10,
    )


def _imagenet(stages: tuple[int, ...], block: str, shortcut: str = "B"):
    return ResNetConfig(block=block, stages=stages, shortcut=shortcut)


class ResNet(Model):
    """Stem, four (or three) stages of blocks, mean over positions, linear classifier.

    Example:
        >>> model = ResNet.from_preset("tiny")
        >>> model(ResNet.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 64])
    """

    PRESETS = {
        "tiny": ResNetConfig(
            block="basic", stages=(1, 1, 1), width=16, stem="cifar", classes=64
        ),
        "tiny-plain": ResNetConfig(
            block="plain", stages=(1, 1, 1), width=16, stem="cifar", classes=64
        ),
        "tiny-bottleneck": ResNetConfig(
            stages=(1, 1), width=16, stem="cifar", shortcut="C", classes=64
        ),
        "plain-18": _imagenet((2, 2, 2, 2), "plain"),
        "plain-34": _imagenet((3, 4, 6, 3), "plain"),
        "ResNet-18": _imagenet((2, 2, 2, 2), "basic"),
        "ResNet-34": _imagenet((3, 4, 6, 3), "basic"),
        "ResNet-34-A": _imagenet((3, 4, 6, 3), "basic", "A"),
        "ResNet-34-C": _imagenet((3, 4, 6, 3), "basic", "C"),
        "ResNet-50": _imagenet((3, 4, 6, 3), "bottleneck"),
        "ResNet-101": _imagenet((3, 4, 23, 3), "bottleneck"),
        "ResNet-152": _imagenet((3, 8, 36, 3), "bottleneck"),
        **{f"CIFAR-{d}": _cifar(d) for d in (20, 32, 44, 56, 110)},
        **{f"CIFAR-plain-{d}": _cifar(d, "plain") for d in (20, 32, 44, 56)},
    }
    # Table 6 for CIFAR-20 to -56; the paper prints no totals for ImageNet: those are
    # the counts of the well-known public checkpoints.
    PAPER_PARAMS = {
        "ResNet-18": 11_689_512,
        "ResNet-34": 21_797_672,
        "ResNet-50": 25_557_032,
        "ResNet-101": 44_549_160,
        "ResNet-152": 60_192_808,
        "CIFAR-20": 270_000,
        "CIFAR-32": 460_000,
        "CIFAR-44": 660_000,
        "CIFAR-56": 850_000,
    }

    def __init__(self, config: ResNetConfig):
        super().__init__(config)
        block, width = BLOCKS[config.block], config.width
        if config.stem == "cifar":
            self.stem = nn.Sequential(conv_norm(3, width, 3), nn.ReLU())
        else:
            pool = nn.MaxPool2d(3, 2, 1)
            self.stem = nn.Sequential(conv_norm(3, width, 7, 2), nn.ReLU(), pool)
        blocks, channels = [], width
        for stage, count in enumerate(config.stages):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                outputs = width * 2**stage
                blocks.append(block(channels, outputs, stride, config.shortcut))
                channels = outputs * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, config.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # the initialization of He et al. 2015, which section 3.4 names
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @property
    def stride(self) -> int:
        """Pixels of the input for one position of the last feature map."""
        stem = 1 if self.config.stem == "cifar" else 4
        return stem * 2 ** (len(self.config.stages) - 1)

    def feature_map(self, image: Tensor) -> Float[Tensor, "b c u v"]:
        """The last feature map.

        Args:
            image: (b, 3, h, w) in [-1, 1]; any size from `stride` on, square or not.

        Raises:
            ValueError: another channel count, or a side below the stride.
        """
        if image.shape[1] != 3 or min(image.shape[2:]) < self.stride:
            raise ValueError(
                "ResNet expected pictures of three channels and at least "
                f"{self.stride} pixels a side, got {tuple(image.shape)}."
            )
        return self.blocks(self.stem(image))

    def features(self, image: Tensor) -> Float[Tensor, "b d"]:
        """Mean of the last feature map over its positions; errors as there."""
        return self.feature_map(image).mean((2, 3))

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """`features` of pictures in [-1, 1]; another range is a ValueError, too."""
        check_image(image)
        return self.features(image)

    def forward(self, image: Tensor) -> Float[Tensor, "b k"]:
        """Logits of the classes; errors as in `feature_map`."""
        return self.classifier(self.features(image))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of a batch with `image` and `label (b,)`, in nats.

        Raises:
            ValueError: a label that is no class.
        """
        logits, label = self(batch["image"]), batch["label"]
        check_labels("label", label, logits.shape[1])
        return {"loss": F.cross_entropy(logits, label)}

    @classmethod
    def example_batch(cls, config: ResNetConfig, n: int, *, generator=None) -> dict:
        """Random pixels and labels; 32 x 32 for the CIFAR stem, else 224 x 224."""
        size = 32 if config.stem == "cifar" else 224
        return {
            "image": torch.rand(n, 3, size, size, generator=generator) * 2 - 1,
            "label": torch.randint(config.classes, (n,), generator=generator),
        }


def ten_crop(
    image: Float[Tensor, "b c h w"], size: int
) -> Float[Tensor, "b 10 c size size"]:
    """Four corners and the middle, and their mirror images (section 3.4).

    Raises:
        ValueError: pictures smaller than the crop.
    """
    h, w = image.shape[2:]
    if min(h, w) < size:
        raise ValueError(f"expected pictures of at least {size} pixels, got {h} x {w}.")
    y, x = h - size, w - size
    places = [(0, 0), (0, x), (y, 0), (y, x), (y // 2, x // 2)]
    crops = [image[:, :, i : i + size, j : j + size] for i, j in places]
    return torch.stack([*crops, *(crop.flip(-1) for crop in crops)], 1)


def multi_scale(
    model: ResNet, image: Float[Tensor, "b c h w"], sizes: tuple[int, ...]
) -> Float[Tensor, "b k"]:
    """Mean of the logits over pictures whose shorter side has several sizes.

    The paper takes 224, 256, 384, 480 and 640 (section 3.4) and averages scores of the
    fully convolutional form; the mean over positions makes ours one by itself.
    """
    h, w = image.shape[2:]
    logits = []
    for size in sizes:
        shape = round(h * size / min(h, w)), round(w * size / min(h, w))
        scaled = F.interpolate(image, shape, mode="bilinear", antialias=True)
        logits.append(model(scaled.clamp(-1, 1)))
    return torch.stack(logits).mean(0)


def vgg19() -> nn.Sequential:
    """VGG-19 (Simonyan and Zisserman 2015), for its cost only: Figure 3 compares."""
    layers, inputs = [], 3
    for count, width in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
        for _ in range(count):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512 * 49, 4096), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)
    )
