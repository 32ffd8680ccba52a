"""Data2vec's three encoders: what differs between pictures, texts and sounds.

**Paper** Baevski, Hsu, Xu, Babu, Gu, Auli, "data2vec: A General Framework for
Self-supervised Learning in Speech, Vision and Language", ICML 2022, arXiv 2202.03555.

**Book** `sec-data2vec`

**Symbols** (section 3.1 of the paper)
- a front makes a vector of each patch, token or frame, and hides what it is told to
- `extra` = how many tokens in front are no place of the input, such as a class token
- `Layer.fed`, `Layer.end` (b, n, d) = what the second part of a block adds, and what
  leaves the block
- `relative` (1, heads, n, n) = terms that are added to the scores of all blocks

**Start**
- Matrices, tables and the mask's vector from a normal distribution of 0.02 at a width
  of 768, and of 0.55 / sqrt(width) in general; convolutions as He et al. say. Biases
  and the class token start at zero, each scale of `ScaledBlock` at `PatchConfig.scale`,
  the table of ways at `PatchConfig.ways` times a normal one.

**Differs from the paper**
- No dropout, no layers or paths that are left out at random, no masked channels.
- A key has a bias, as everywhere in this book. Softmax does not feel it.
- Sounds of one batch are of one length.

**Builds on** `vit`, `bert`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers, check_mask, check_numbers
from mmdl_lib.core import Config
from mmdl_lib.models.vit import patches
from mmdl_lib.nn import Block, LearnedPositions, PostNormBlock


@dataclass(frozen=True, kw_only=True)
class PatchConfig(Config):
    """Pictures, as in BEiT; the defaults are those of ViT-B for ImageNet."""

    image_size: tuple[int, int] = (224, 224)
    patch: int = 16
    scale: float = 1e-4  # what each block adds is small at the start
    ways: float = 0.02  # deviation of the numbers of `GridBias` at the start

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.image_size[0] // self.patch, self.image_size[1] // self.patch


@dataclass(frozen=True, kw_only=True)
class TokenConfig(Config):
    """Texts, as in RoBERTa."""

    vocab: int = 50_265
    positions: int = 512
    start_token: int = 0  # these two are no words
    end_token: int = 2
    mask_token: int = 50_264


@dataclass(frozen=True, kw_only=True)
class SoundConfig(Config):
    """Waveforms; the defaults make 50 frames of a second of 16,000 numbers."""

    channels: int = 512
    kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    place_layers: int = 5  # convolutions that tell where a frame stands
    place_kernel: int = 19
    place_groups: int = 16

    def frames(self, samples: int) -> int:
        """How many frames a waveform becomes."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples


class Fed(NamedTuple):
    """What enters the first block.

    Attributes:
        x: the tokens.
        mask: which of them are real; None: all.
        relative: added to the scores of each block; None: nothing.
    """

    x: Float[Tensor, "b n d"]
    mask: Bool[Tensor, "b n"] | None = None
    relative: Float[Tensor, "1 heads n n"] | None = None


class Layer(NamedTuple):
    """What one block says of each token: before and after its last sum."""

    fed: Float[Tensor, "b n d"]
    end: Float[Tensor, "b n d"]


class GridBias(nn.Module):
    """A learned number for each head and each way from one patch to another.

    The class token has three ways of its own: from it, to it, and to itself. Swin
    Transformer (2103.14030) has such a table for each block; BEiT (2106.08254), when it
    learns without labels, one for all.
    """

    def __init__(self, grid: tuple[int, int], heads: int, std: float | int = 0.02):
        super().__init__()
        rows, columns = grid
        ways = (2 * rows - 1) * (2 * columns - 1)
        self.table = nn.Parameter(std * torch.randn(ways + 3, heads))
        place = torch.arange(rows * columns)
        down = (place // columns)[:, None] - place // columns + rows - 1
        right = (place % columns)[:, None] - place % columns + columns - 1
        index = F.pad(down * (2 * columns - 1) + right, (1, 0, 1, 0))
        index[0], index[:, 0], index[0, 0] = ways, ways + 1, ways + 2
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Float[Tensor, "1 heads n n"]:
        return rearrange(self.table[self.index], "n m heads -> 1 heads n m")


class PatchFront(nn.Module):
    """Patches, a class token, no positions: who stands where is in the scores."""

    extra = 1

    def __init__(self, config: PatchConfig, width: int, heads: int):
        super().__init__()
        self.config = config
        self.projection = nn.Linear(3 * config.patch**2, width)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.mask_vector = nn.Parameter(torch.zeros(width))
        self.bias = GridBias(config.grid, heads, config.ways)

    def places(self, batch: dict) -> Bool[Tensor, "b n"]:
        """What may be hidden: every patch."""
        count = self.config.grid[0] * self.config.grid[1]
        return batch["image"].new_ones(len(batch["image"]), count, dtype=torch.bool)

    def forward(self, batch: dict, hidden: Tensor | None = None) -> Fed:
        """Tokens of pictures in [-1, 1] of the size that the model is made for."""
        image, size = batch["image"], (3, *self.config.image_size)
        check_image(image)
        if image.shape[1:] != size:
            raise ValueError(f"image expected {size}, got {tuple(image.shape[1:])}.")
        x = self.projection(patches(image, self.config.patch))
        if hidden is not None:
            x = torch.where(hidden[..., None], self.mask_vector.to(x), x)
        x = torch.cat([self.class_token.to(x).expand(len(x), 1, -1), x], 1)
        return Fed(x, relative=self.bias())


class TokenFront(nn.Module):
    """Words and learned positions; a hidden word is read as the token of the mask."""

    extra = 0

    def __init__(self, config: TokenConfig, width: int, heads: int):
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab, width)
        self.positions = LearnedPositions(config.positions, width)
        self.norm = nn.LayerNorm(width)

    def places(self, batch: dict) -> Bool[Tensor, "b t"]:
        """What may be hidden: words, no padding and no frame of the text."""
        tokens, mask = self._read(batch)
        frame = (tokens == self.config.start_token) | (tokens == self.config.end_token)
        return mask & ~frame

    def forward(self, batch: dict, hidden: Tensor | None = None) -> Fed:
        """Tokens of texts, some of which may be padding at the end."""
        tokens, mask = self._read(batch)
        if hidden is not None:
            tokens = torch.where(hidden, self.config.mask_token, tokens)
        x = self.tokens(tokens) + self.positions(tokens.shape[1])
        return Fed(self.norm(x), mask)

    def _read(self, batch: dict) -> tuple[Tensor, Tensor]:
        """Tokens and mask that are fit to be read."""
        tokens, mask = batch["tokens"], batch["mask"]
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)
        return tokens, mask


class SoundFront(nn.Module):
    """A waveform becomes frames by convolutions, and other ones tell their places."""

    extra = 0

    def __init__(self, config: SoundConfig, width: int, heads: int):
        super().__init__()
        self.config, channels = config, config.channels
        sizes = zip(config.kernels, config.strides, strict=True)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if i else 1, channels, kernel, stride, bias=False)
            for i, (kernel, stride) in enumerate(sizes)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in config.kernels)
        self.norm, self.projection = nn.LayerNorm(channels), nn.Linear(channels, width)
        self.mask_vector = nn.Parameter(torch.zeros(width))
        padding = {"padding": config.place_kernel // 2, "groups": config.place_groups}
        self.place = nn.ModuleList(
            nn.Conv1d(width, width, config.place_kernel, **padding)
            for _ in range(config.place_layers)
        )
        self.norm_place = nn.LayerNorm(width)

    def places(self, batch: dict) -> Bool[Tensor, "b n"]:
        """What may be hidden: every frame."""
        sound = batch["sound"]
        count = self._count(sound)
        return sound.new_ones(len(sound), count, dtype=torch.bool)

    def frames(self, sound: Float[Tensor, "b s"]) -> Float[Tensor, "b n c"]:
        """One vector for each fiftieth of a second, whatever the volume."""
        x = F.layer_norm(sound, sound.shape[1:])[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.gelu(norm(convolution(x).mT)).mT
        return self.norm(x.mT)

    def forward(self, batch: dict, hidden: Tensor | None = None) -> Fed:
        """Tokens of waveforms (b, s) of equal length."""
        self._count(batch["sound"])
        x = self.projection(self.frames(batch["sound"]))
        if hidden is not None:
            x = torch.where(hidden[..., None], self.mask_vector.to(x), x)
        place = x
        for convolution in self.place:
            place = convolution(place.mT)[..., : x.shape[1]].mT
            place = F.gelu(F.layer_norm(place, place.shape[2:]))
        return Fed(self.norm_place(x + place))

    def _count(self, sound: Tensor) -> int:
        """How many frames there will be, of what is fit to be read."""
        check_numbers("sound", sound, "b s")
        count = self.config.frames(sound.shape[1])
        if count < 1:
            raise ValueError(
                f"sound expected enough for a frame, got {sound.shape[1]} numbers."
            )
        return count


class ScaledBlock(Block):
    """Pre-norm, and each part is scaled by learned numbers before it is added."""

    def __init__(self, width: int, heads: int, *, scale: float):
        super().__init__(width, heads)
        self.scale1 = nn.Parameter(torch.full((width,), float(scale)))
        self.scale2 = nn.Parameter(torch.full((width,), float(scale)))

    def said(self, fed: Fed) -> Layer:
        """Both things that a target may be made of."""
        x, mask, relative = fed
        y = self.attention(self.norm1(x), mask, relative=relative)
        x = x + self.scale1 * y
        fed = self.mlp(self.norm2(x))
        return Layer(fed, x + self.scale2 * fed)


class PlainBlock(PostNormBlock):
    """Post-norm, as in BERT."""

    def said(self, fed: Fed) -> Layer:
        """Both things that a target may be made of."""
        x = self.norm1(fed.x + self.attention(fed.x, fed.mask, relative=fed.relative))
        fed = self.mlp(x)
        return Layer(fed, self.norm2(x + fed))


class Stack(nn.Module):
    """The blocks: what the student trains and the teacher averages."""

    def __init__(self, config: Config, width: int, depth: int, heads: int):
        super().__init__()
        self.norm = nn.Identity()
        if isinstance(config, PatchConfig):
            blocks = [
                ScaledBlock(width, heads, scale=config.scale) for _ in range(depth)
            ]
            self.norm = nn.LayerNorm(width)
        else:
            blocks = [PlainBlock(width, heads) for _ in range(depth)]
        self.blocks = nn.ModuleList(blocks)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm) and isinstance(config, PatchConfig):
                module.eps = 1e-6  # as in the released code

    def forward(self, fed: Fed) -> list[Layer]:
        """What each block says, first to last."""
        found = []
        for block in self.blocks:
            found.append(block.said(fed))
            fed = fed._replace(x=found[-1].end)
        return found


FRONTS = {PatchConfig: PatchFront, TokenConfig: TokenFront, SoundConfig: SoundFront}


def start(modules: Sequence[nn.Module], width: int) -> None:
    """Weights as the docstring of this file says, in place."""
    std = 0.55 * width**-0.5
    for module in modules:
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv1d) and part.bias is not None:
                nn.init.zeros_(part.bias)
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(part.weight, std=std, a=-2 * std, b=2 * std)
            if isinstance(part, nn.Conv1d):
                nn.init.kaiming_normal_(part.weight)
            if isinstance(getattr(part, "mask_vector", None), nn.Parameter):
                nn.init.normal_(part.mask_vector, std=std)
