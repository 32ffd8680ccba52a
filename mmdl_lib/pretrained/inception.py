"""Inception-v3 as FID knows it: the network of TensorFlow's graph of 2015-12-05.

The weights are public, in the file `pt_inception-2015-12-05-6726825d.pth` of
pytorch-fid's release "fid_weights", 95 MB; by the convention of such names, 6726825d
begins its SHA-256 checksum. The names of the modules here are the file's names.

**Paper** Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception
Architecture for Computer Vision", CVPR 2016, arXiv 1512.00567. That FID takes its last
pool is of Heusel et al., NIPS 2017, arXiv 1706.08500.

**Differs from torchvision's Inception-v3**, and so from its weights
- 1,008 classes instead of 1,000, no auxiliary classifier.
- The mean at the border of a picture is over the pixels that are there; torchvision's
  counts the padding as zeros.
- The last block, `Mixed_7c`, takes the maximum of its neighbors where the paper, and
  `Mixed_7b`, take the mean.

**Resizing** Pictures come to 299 x 299 by bilinear interpolation as in pytorch-fid:
half-pixel centers, no antialiasing. TensorFlow 1, and so the official code, puts
output pixel i at i * (old / new) instead of (i + 1/2) * (old / new) - 1/2, which moves
the picture by up to half a pixel of the coarser grid. Both skip pixels when they shrink
a picture much. FID feels such things: clean-fid (Parmar et al., CVPR 2022, arXiv
2104.11222) documents how much. Pictures of 299 x 299 are left as they are.

**Range** The official graph computes (v - 128) / 128 from bytes v, pytorch-fid
v / 127.5 - 1, which is [-1, 1] as everywhere in this book.
"""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image
from mmdl_lib.pretrained import files

NAME = "pt_inception-2015-12-05-6726825d.pth"
SIZE, CLASSES = 299, 1008
COUNT = "num_batches_tracked"

# The branches of a block in the order in which their channels are stacked. A branch is
# a row of convolutions, each channels@height x width; | parts two side by side.
BRANCHES = {
    "A": {
        "branch1x1": "64@1x1",
        "branch5x5": "48@1x1 64@5x5",
        "branch3x3dbl": "64@1x1 96@3x3 96@3x3",
    },
    "B": {"branch3x3": "384@3x3", "branch3x3dbl": "64@1x1 96@3x3 96@3x3"},
    "C": {  # c is the block's own number
        "branch1x1": "192@1x1",
        "branch7x7": "c@1x1 c@1x7 192@7x1",
        "branch7x7dbl": "c@1x1 c@7x1 c@1x7 c@7x1 192@1x7",
    },
    "D": {
        "branch3x3": "192@1x1 320@3x3",
        "branch7x7x3": "192@1x1 192@1x7 192@7x1 192@3x3",
    },
    "E": {
        "branch1x1": "320@1x1",
        "branch3x3": "384@1x1 384@1x3|384@3x1",
        "branch3x3dbl": "448@1x1 384@3x3 384@1x3|384@3x1",
    },
}


class ConvNorm(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel, *, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches of convolutions and a pool side by side, their channels stacked.

    Args:
        kind: a key of `BRANCHES`.
        inputs: channels that come in.
        c: what the letter stands for in the table.
        pooled: channels of the convolution after the pool; 0 makes the block one that
            halves height and width, in the pool and in each branch's last convolution.
        pool: "mean" or "max" of nine neighbors.
    """

    def __init__(self, kind: str, inputs: int, *, c=0, pooled=0, pool="mean"):
        super().__init__()
        self.pool, self.halves = pool, pooled == 0
        self.rows = []  # for each branch, for each step, the names of its convolutions
        for branch, text in BRANCHES[kind].items():
            steps, channels, row = text.split(" "), inputs, []
            for i, step in enumerate(steps, 1):
                sides, names = step.split("|"), []
                for letter, side in zip("ab", sides, strict=False):
                    # numbered in a longer row, lettered where two stand side by side
                    names.append(branch + f"_{i}" * (len(steps) > 1))
                    names[-1] += letter * (len(sides) > 1)
                    outputs, kernel = _read(side, c)
                    conv = self._conv(channels, outputs, kernel, i == len(steps))
                    self.add_module(names[-1], conv)
                row.append(names)
                channels = outputs * len(sides)
            self.rows.append(row)
        if pooled:
            self.branch_pool = ConvNorm(inputs, pooled, 1)

    def _conv(self, inputs: int, outputs: int, kernel: tuple, last: bool) -> ConvNorm:
        if self.halves and last:
            return ConvNorm(inputs, outputs, kernel, stride=2)
        # odd kernels keep height and width
        padding = tuple(side // 2 for side in kernel)
        return ConvNorm(inputs, outputs, kernel, padding=padding)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        outputs = []
        for steps in self.rows:
            y = x
            for names in steps:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            outputs.append(y)
        return torch.cat([*outputs, self.pooled(x)], 1)

    def pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        if self.halves:
            return F.max_pool2d(x, 3, 2)
        if self.pool == "max":
            return self.branch_pool(F.max_pool2d(x, 3, 1, 1))
        return self.branch_pool(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def _read(text: str, c: int) -> tuple[int, tuple[int, int]]:
    """Channels and kernel of "64@1x7"."""
    channels, kernel = text.split("@")
    height, width = kernel.split("x")
    return c if channels == "c" else int(channels), (int(height), int(width))


def resize(image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 299 299"]:
    return F.interpolate(image, (SIZE, SIZE), mode="bilinear", align_corners=False)


class InceptionOutput(NamedTuple):
    """What the network says about a batch of pictures."""

    features: Float[Tensor, "b 2048"]  # FID and KID take these
    logits: Float[Tensor, "b 1008"]  # of the classifier
    unbiased: Float[Tensor, "b 1008"]  # without its bias: the Inception score's


class Inception(nn.Module):
    """The network, under the names of the public file."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3)
        self.Mixed_5b = Mixed("A", 192, pooled=32)
        self.Mixed_5c = Mixed("A", 256, pooled=64)
        self.Mixed_5d = Mixed("A", 288, pooled=64)
        self.Mixed_6a = Mixed("B", 288)
        self.Mixed_6b = Mixed("C", 768, c=128, pooled=192)
        self.Mixed_6c = Mixed("C", 768, c=160, pooled=192)
        self.Mixed_6d = Mixed("C", 768, c=160, pooled=192)
        self.Mixed_6e = Mixed("C", 768, c=192, pooled=192)
        self.Mixed_7a = Mixed("D", 768)
        self.Mixed_7b = Mixed("E", 1280, pooled=192)
        self.Mixed_7c = Mixed("E", 2048, pooled=192, pool="max")
        self.fc = nn.Linear(2048, CLASSES)

    def feature_map(self, image: Tensor) -> Float[Tensor, "b 2048 8 8"]:
        """The last feature map.

        Args:
            image: (b, 3, h, w) in [-1, 1], of any size; it is resized to 299 x 299.

        Raises:
            ValueError: another range, no picture, or other than three channels.
        """
        check_image(image)
        if image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(
                "Inception expected pictures of three channels, at least one, got "
                f"{tuple(image.shape)}."
            )
        x = self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(resize(image)))
        x = F.max_pool2d(self.Conv2d_2b_3x3(x), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))

    def forward(self, image: Tensor) -> InceptionOutput:
        """Features and logits; arguments and errors as in `feature_map`."""
        features = self.feature_map(image).mean((2, 3))
        unbiased = features @ self.fc.weight.T
        return InceptionOutput(features, unbiased + self.fc.bias, unbiased)


def load(path: str | Path) -> Inception:
    """The network with the weights of a file, in eval mode, its weights frozen.

    Args:
        path: the public file, or another with its names and shapes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one of another network.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the FID weights of Inception-v3 at {path}: fetch {NAME} from "
            "the release fid_weights of mseitzer/pytorch-fid."
        )
    state, _ = files.read(path)
    with torch.device("meta"):  # no time and memory for weights that are replaced
        model = Inception()
    ours, theirs = _shapes(model.state_dict()), _shapes(state)
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"expected the FID weights of Inception-v3 in {path}, with {name} of "
                f"shape {ours.get(name)}, got {theirs.get(name)}."
            )
    # the file may or may not count the batches of its training
    counts = {k: torch.tensor(0) for k in model.state_dict() if k.endswith(COUNT)}
    model.load_state_dict({**counts, **state}, assign=True)
    return model.float().eval().requires_grad_(False)


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple]:
    return {k: tuple(v.shape) for k, v in state.items() if not k.endswith(COUNT)}
