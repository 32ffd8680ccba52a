"""U-Nets that look at a noisy picture, its step and perhaps a text.

`UNet` is the net of the papers: DDPM's blocks, with scale and shift from the step and
attention that also reads words where a config asks for them. `PatchUNet` is ours for a
CPU: it cuts the picture into patches first and has one skip a level. `NoisedTower` goes
only down: it reads a noisy picture and draws none.

Sources: Ho et al. 2020 (2006.11239), appendix B; Dhariwal and Nichol 2021 (2105.05233)
for scale and shift; Nichol et al. 2021 (2112.10741) for words among the keys.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.core import Config
from mmdl_lib.nn.diffusion import times


@dataclass(frozen=True, kw_only=True)
class UNetConfig(Config):
    """Sizes of `UNet`; the defaults are DDPM's for CIFAR-10."""

    inputs: int = 3  # channels of the picture and all that is given beside it
    outputs: int = 3
    widths: tuple[int, ...] = (128, 256, 256, 256)  # of the levels, each half as wide
    blocks: int = 2  # residual blocks of a level on the way down, one more on that up
    attention: tuple[int, ...] = (1,)  # levels that have it; the middle always does
    head_width: int | None = None  # None: one head
    context: int | None = None  # width of the words that are read
    step: Literal["add", "scale"] = "add"  # how a block hears of the step
    groups: int = 32
    dropout: float = 0.0

    def build(self) -> "UNet":
        """The net, freshly initialized."""
        return UNet(self)


@dataclass(frozen=True, kw_only=True)
class PatchUNetConfig(Config):
    """Sizes of `PatchUNet`."""

    inputs: int = 3
    outputs: int = 3
    side: int = 32  # of the picture
    patch: int = 4
    widths: tuple[int, ...] = (64, 96)
    head_width: int = 32
    context: int | None = None
    embedding: int = 128  # width of the step's vector

    def build(self) -> "PatchUNet":
        """The net, freshly initialized."""
        return PatchUNet(self)


def norm(width: int, groups: int) -> nn.GroupNorm:
    """GroupNorm with at most that many groups, as many as divide the width."""
    fits = next(g for g in range(min(groups, width), 0, -1) if width % g == 0)
    return nn.GroupNorm(fits, width)


def silent(layer: nn.Module) -> nn.Module:
    """The layer with zeros: a branch that begins as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class ResBlock(nn.Module):
    """x + f(x, step): norm, SiLU, 3 x 3; step; norm, SiLU, 3 x 3 (zero at the start).

    Args:
        inward, out: channels.
        embedding: width of the step's vector.
        step: "add" it behind the first convolution, or let it "scale" and shift what
            the second norm gives.
        groups: of the norms.
        dropout: before the last convolution.
    """

    def __init__(
        self,
        inward: int,
        out: int,
        embedding: int,
        *,
        step: str = "add",
        groups: int = 32,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm1, self.norm2 = norm(inward, groups), norm(out, groups)
        self.conv1 = nn.Conv2d(inward, out, 3, padding=1)
        self.conv2 = silent(nn.Conv2d(out, out, 3, padding=1))
        self.scales = step == "scale"
        self.step = nn.Linear(embedding, 2 * out if self.scales else out)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Identity() if inward == out else nn.Conv2d(inward, out, 1)

    def forward(
        self, x: Float[Tensor, "b c h w"], embedding: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b d h w"]:
        y = self.conv1(F.silu(self.norm1(x)))
        told = self.step(F.silu(embedding))[..., None, None]
        if self.scales:
            scale, shift = told.chunk(2, 1)
            y = self.norm2(y) * (1 + scale) + shift
        else:
            y = self.norm2(y + told)
        return self.skip(x) + self.conv2(self.dropout(F.silu(y)))


class Attention2d(nn.Module):
    """x + what each place reads from all places and, where there are some, words.

    Args:
        width: channels.
        head_width: of a head; None: one head.
        context: width of the words; None: there are none.
        places: whether the places read each other, or the words only.
        groups: of the norm.
    """

    def __init__(
        self,
        width: int,
        *,
        head_width: int | None = None,
        context: int | None = None,
        places: bool = True,
        groups: int = 32,
    ):
        super().__init__()
        self.heads = width // (head_width or width)
        self.places = places
        self.norm = norm(width, groups)
        self.qkv = nn.Linear(width, 3 * width if places else width)
        self.words = None if context is None else nn.Linear(context, 2 * width)
        self.out = silent(nn.Linear(width, width))

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        context: Float[Tensor, "b t d"] | None = None,
        mask: Bool[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Mix; `mask` is True on real words."""
        b, _, h, w = x.shape
        y = self.qkv(rearrange(self.norm(x), "b c h w -> b (h w) c"))
        q, *own = y.chunk(3 if self.places else 1, -1)
        pairs = [own] if self.places else []
        allowed = None
        if self.words is not None:
            pairs.insert(0, self.words(context).chunk(2, -1))
            allowed = mask
            if mask is not None and self.places:
                allowed = F.pad(mask, (0, h * w), value=True)
        k, v = (torch.cat(parts, 1) for parts in zip(*pairs, strict=True))
        pattern = "b n (heads d) -> b heads n d"
        q, k, v = (rearrange(z, pattern, heads=self.heads) for z in (q, k, v))
        if allowed is not None:
            allowed = allowed[:, None, None]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        y = self.out(rearrange(y, "b heads n d -> b n (heads d)"))
        return x + rearrange(y, "b (h w) c -> b c h w", h=h)


class Level(nn.Module):
    """A residual block and perhaps attention."""

    def __init__(self, block: ResBlock, attention: nn.Module | None):
        super().__init__()
        self.block, self.attention = block, attention

    def forward(self, x, embedding, context=None, mask=None):
        x = self.block(x, embedding)
        return x if self.attention is None else self.attention(x, context, mask)


class UNet(nn.Module):
    """Down, through the middle, and up again past everything that was seen.

    Example:
        >>> config = UNetConfig(widths=(8, 16), blocks=1, groups=4)
        >>> net = config.build()
        >>> net(torch.zeros(2, 3, 8, 8), torch.tensor([0, 9])).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, config: UNetConfig):
        super().__init__()
        c, e = config, 4 * config.widths[0]
        self.config = c
        first = c.widths[0]
        self.time = nn.Sequential(nn.Linear(first, e), nn.SiLU(), nn.Linear(e, e))
        self.first = nn.Conv2d(c.inputs, first, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        seen, width = [first], first
        for i, out in enumerate(c.widths):
            for _ in range(c.blocks):
                self.down.append(self._level(width, out, e, i))
                seen.append(width := out)
            if i + 1 < len(c.widths):
                self.shrink.append(nn.Conv2d(out, out, 3, stride=2, padding=1))
                seen.append(out)
        self.middle = nn.ModuleList(
            [self._level(width, width, e, None), self._level(width, width, e, -1)]
        )
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for i, out in reversed(list(enumerate(c.widths))):
            for _ in range(c.blocks + 1):
                self.up.append(self._level(width + seen.pop(), out, e, i))
                width = out
            if i:
                self.grow.append(nn.Conv2d(out, out, 3, padding=1))
        self.norm = norm(width, c.groups)
        self.last = silent(nn.Conv2d(width, c.outputs, 3, padding=1))

    def _level(self, inward: int, out: int, e: int, place: int | None) -> Level:
        """A block with attention where `place` has it: a level, None (middle), -1."""
        c = self.config
        how = {"step": c.step, "groups": c.groups, "dropout": c.dropout}
        block, attention = ResBlock(inward, out, e, **how), None
        if place is None or place in c.attention:
            attention = self.attend(out)
        return Level(block, attention)

    def attend(self, width: int) -> nn.Module:
        """What mixes places and words; latent diffusion puts another in its place."""
        c = self.config
        how = {"head_width": c.head_width, "context": c.context, "groups": c.groups}
        return Attention2d(width, **how)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        step: Int[Tensor, " b"],
        context: Float[Tensor, "b t d"] | None = None,
        mask: Bool[Tensor, "b t"] | None = None,
        *,
        pooled: Float[Tensor, "b e"] | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """What the net says of x.

        Args:
            x: the noisy picture, and what is given beside it, as channels.
            step: of each row.
            context: words to read.
            mask: True on real ones.
            pooled: added to the vector of the step.
        """
        c = self.config
        e = self.time(times(step, c.widths[0]).to(x.dtype))
        e = e if pooled is None else e + pooled
        down, up = iter(self.down), iter(self.up)
        seen = [x := self.first(x)]
        for i in range(len(c.widths)):
            for _ in range(c.blocks):
                seen.append(x := next(down)(x, e, context, mask))
            if i < len(self.shrink):
                seen.append(x := self.shrink[i](x))
        for level in self.middle:
            x = level(x, e, context, mask)
        for i in range(len(c.widths)):
            for _ in range(c.blocks + 1):
                x = next(up)(torch.cat([x, seen.pop()], 1), e, context, mask)
            if i < len(self.grow):
                x = self.grow[i](F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.last(F.silu(self.norm(x)))


class PatchUNet(nn.Module):
    """Patches with places, one block and one skip a level, words read at all levels.

    Only the deepest level lets places read each other. With patches of 4 a net must say
    x0: v and noise would have to pass all of the noise through its few channels.

    Example:
        >>> net = PatchUNetConfig(side=16, widths=(32, 32)).build()
        >>> net(torch.zeros(2, 3, 16, 16), torch.tensor([0, 9])).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, config: PatchUNetConfig):
        super().__init__()
        c, e = config, config.embedding
        self.config = c
        first, grid = c.widths[0], c.side // c.patch
        self.time = nn.Sequential(nn.Linear(64, e), nn.SiLU(), nn.Linear(e, e))
        self.first = nn.Conv2d(c.inputs * c.patch**2, first, 3, padding=1)
        self.places = nn.Parameter(0.02 * torch.randn(first, grid, grid))
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for wide, deep in zip(c.widths[:-1], c.widths[1:], strict=True):
            self.down.append(self._level(wide, wide, places=False))
            self.shrink.append(nn.Conv2d(wide, deep, 3, stride=2, padding=1))
            self.grow.insert(0, nn.Conv2d(deep, wide, 1))
            self.up.insert(0, self._level(2 * wide, wide, places=False))
        deep = c.widths[-1]
        self.middle = nn.ModuleList(
            [self._level(deep, deep, places=True), self._level(deep, deep, places=None)]
        )
        self.norm = norm(first, 8)
        self.last = nn.Conv2d(first, c.outputs * c.patch**2, 3, padding=1)
        nn.init.normal_(self.last.weight, std=0.01)

    def _level(self, inward: int, out: int, *, places: bool | None) -> Level:
        """A block; places: True: all is read, False: words only, None: nothing."""
        c = self.config
        block = ResBlock(inward, out, c.embedding, step="scale", groups=8)
        if places is None or not (places or c.context):
            return Level(block, None)
        how = {"head_width": c.head_width, "context": c.context, "groups": 8}
        return Level(block, Attention2d(out, places=places, **how))

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        step: Int[Tensor, " b"],
        context: Float[Tensor, "b t d"] | None = None,
        mask: Bool[Tensor, "b t"] | None = None,
        *,
        pooled: Float[Tensor, "b e"] | None = None,
    ) -> Float[Tensor, "b o h w"]:
        """As `UNet.forward`; the picture has `side` pixels on a side."""
        e = self.time(times(step, 64).to(x.dtype))
        e = e if pooled is None else e + pooled
        x = self.first(F.pixel_unshuffle(x, self.config.patch)) + self.places
        seen = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            seen.append(x := level(x, e, context, mask))
            x = shrink(x)
        for level in self.middle:
            x = level(x, e, context, mask)
        for grow, level in zip(self.grow, self.up, strict=True):
            x = F.interpolate(grow(x), scale_factor=2, mode="nearest")
            x = level(torch.cat([x, seen.pop()], 1), e, context, mask)
        return F.pixel_shuffle(self.last(F.silu(self.norm(x))), self.config.patch)


class NoisedTower(nn.Module):
    """One vector for a noisy picture, from a convnet that is told how noisy it is.

    A level is a block that hears of the step and a halving; the last halving keeps the
    width. The mean over the places that are left is the vector.

    Args:
        patch: pixels on a side of what is cut into channels first.
        widths: of the levels; the last is that of the vector.

    Example:
        >>> tower = NoisedTower(2, (16, 32))
        >>> tower(torch.zeros(2, 3, 8, 8), torch.tensor([0, 9])).shape
        torch.Size([2, 32])
    """

    def __init__(self, patch: int, widths: tuple[int, ...]):
        super().__init__()
        first, last = widths[0], widths[-1]
        self.time = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64))
        self.cut = nn.PixelUnshuffle(patch)
        self.first = nn.Conv2d(3 * patch**2, first, 3, padding=1)
        self.blocks, self.shrink = nn.ModuleList(), nn.ModuleList()
        for wide, deep in zip(widths, (*widths[1:], last), strict=True):
            self.blocks.append(ResBlock(wide, wide, 64, step="scale", groups=8))
            self.shrink.append(nn.Conv2d(wide, deep, 3, stride=2, padding=1))
        self.norm = norm(last, 8)

    def forward(
        self, x: Float[Tensor, "b 3 h w"], step: Int[Tensor, " b"]
    ) -> Float[Tensor, "b d"]:
        e = self.time(times(step, 64).to(x.dtype))
        x = self.first(self.cut(x))
        for block, shrink in zip(self.blocks, self.shrink, strict=True):
            x = shrink(block(x, e))
        return F.silu(self.norm(x)).mean((2, 3))
