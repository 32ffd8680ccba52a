"""Latent diffusion: noise is undone in the code of an autoencoder, not in pixels.

**Paper** Rombach, Blattmann, Lorenz, Esser, Ommer, "High-Resolution Image Synthesis
with Latent Diffusion Models", CVPR 2022, arXiv 2112.10752.

**Book** `sec-latent_diffusion`

**Symbols**
- `image (b, 3, h, w)` = x; `z (b, c, h / f, w / f)` = E(x) times `factor`
- `AutoencoderKL.encode` = E, `AutoencoderKL.decode` = D
- `factor` = 1 / (standard deviation of E(x)); 0.18215 in Stable Diffusion
- `SpatialTransformer`: places read each other, then the words, tau(y)
- `scale` = s, of classifier-free guidance

**Start**
- As `glide`: the last layer of each residual block and of the net are zero. The
  autoencoder begins as PyTorch does, its log variance at 0.

**Differs from the paper**
- The first stage is judged by absolute error with a learned variance; the paper adds
  the distance of features (LPIPS) and an adversary, as in `vqgan`.
- Its loss is a sum over numbers, as in the paper, divided at the end by how many
  numbers a picture has.
- Words are read by the small Transformer of `glide`, trained along, whose mean also
  goes where the step goes. The paper trains one of depth 32; Stable Diffusion takes
  CLIP's, frozen.
- Padding is masked; Stable Diffusion lets the net read all 77 places.
- The vector of a step has sines before cosines: columns of the first layer, swapped.
- Our small model has patches' net on the latent grid (`PatchUNet` with patches of 1),
  and says z_0 where the paper's says the noise.

**Builds on** `vae`, `glide`, `nn.unet`, `nn.diffusion`
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.glide import GLIDE, GLIDEConfig
from mmdl_lib.models.vae import Latent
from mmdl_lib.nn.attention import MultiHeadAttention
from mmdl_lib.nn.unet import PatchUNetConfig, UNet, UNetConfig, norm


@dataclass(frozen=True, kw_only=True)
class AutoencoderKLConfig(Config):
    """Sizes of the first stage; the defaults are Stable Diffusion's, f = 8."""

    channels: int = 3
    image_size: int = 256
    latent: int = 4  # channels of z
    widths: tuple[int, ...] = (128, 256, 512, 512)  # of the levels, each half as wide
    blocks: int = 2
    groups: int = 32
    kl_weight: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class TextUNetConfig(UNetConfig):
    """Sizes of `TextUNet`; the defaults are Stable Diffusion 1's."""

    inputs: int = 4
    outputs: int = 4
    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[int, ...] = (0, 1, 2)
    context: int | None = 768
    heads: int = 8

    def build(self) -> "TextUNet":
        """The net, freshly initialized."""
        return TextUNet(self)


@dataclass(frozen=True, kw_only=True)
class LatentDiffusionConfig(GLIDEConfig):
    """Hyperparameters; the defaults are of the size of Stable Diffusion 1."""

    first: AutoencoderKLConfig = AutoencoderKLConfig(image_size=512)
    net: TextUNetConfig | PatchUNetConfig = TextUNetConfig()
    image_size: int = 512
    vocab: int = 49_408
    text: int = 77
    width: int = 768
    depth: int = 12
    heads: int = 12
    empty: float = 0.1
    kind: Literal["scaled", "cosine"] = "scaled"
    factor: float = 0.18215


# the first stage


class Block(nn.Module):
    """Norm, SiLU, 3 x 3, twice, beside x; it hears of no step."""

    def __init__(self, inward: int, out: int, groups: int):
        super().__init__()
        self.norm1, self.norm2 = _norm(inward, groups), _norm(out, groups)
        self.conv1 = nn.Conv2d(inward, out, 3, padding=1)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Identity() if inward == out else nn.Conv2d(inward, out, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        y = self.conv1(F.silu(self.norm1(x)))
        return self.skip(x) + self.conv2(F.silu(self.norm2(y)))


class Places(nn.Module):
    """x + what each place reads from all places: one head."""

    def __init__(self, width: int, groups: int):
        super().__init__()
        self.norm = _norm(width, groups)
        self.attention = MultiHeadAttention(width, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        y = self.attention(rearrange(self.norm(x), "b c h w -> b (h w) c"))
        return x + rearrange(y, "b (h w) c -> b c h w", h=x.shape[2])


class Shrink(nn.Module):
    """Half of the side: 3 x 3 with stride 2, one line of zeros right and below."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


def _norm(width: int, groups: int) -> nn.GroupNorm:
    layer = norm(width, groups)
    layer.eps = 1e-6  # as in the authors' code
    return layer


def _middle(*size: int) -> list[nn.Module]:
    return [Block(size[0], *size), Places(*size), Block(size[0], *size)]


class AutoencoderKL(Model):
    """The first stage: a VAE whose KL term is so small that it only holds z together.

    Example:
        >>> model = AutoencoderKL.from_preset("tiny")
        >>> model.encode(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 4, 4, 4])
    """

    PRESETS = {
        "tiny": AutoencoderKLConfig(image_size=8, widths=(16, 16), blocks=1, groups=4),
        "large-object": AutoencoderKLConfig(
            image_size=16, widths=(16, 32, 48), blocks=1, groups=8
        ),
        "SD": AutoencoderKLConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: AutoencoderKLConfig):
        super().__init__(config)
        c, first, last = config, config.widths[0], config.widths[-1]
        check_number("kl_weight", c.kl_weight, 0)
        down, width = [nn.Conv2d(c.channels, first, 3, padding=1)], first
        for i, out in enumerate(c.widths):
            for _ in range(c.blocks):
                down.append(Block(width, out, c.groups))
                width = out
            if i + 1 < len(c.widths):
                down.append(Shrink(out))
        down += [*_middle(last, c.groups), _norm(last, c.groups), nn.SiLU()]
        down.append(nn.Conv2d(last, 2 * c.latent, 3, padding=1))
        self.encoder = nn.Sequential(*down, nn.Conv2d(2 * c.latent, 2 * c.latent, 1))
        up = [nn.Conv2d(c.latent, c.latent, 1), nn.Conv2d(c.latent, last, 3, padding=1)]
        up += _middle(last, c.groups)
        for i, out in reversed(list(enumerate(c.widths))):
            for _ in range(c.blocks + 1):
                up.append(Block(width, out, c.groups))
                width = out
            if i:
                up += [nn.Upsample(scale_factor=2), nn.Conv2d(out, out, 3, padding=1)]
        up += [_norm(first, c.groups), nn.SiLU()]
        self.decoder = nn.Sequential(*up, nn.Conv2d(first, c.channels, 3, padding=1))
        self.log_var = nn.Parameter(torch.zeros(()))  # of the pixels

    def posterior(self, image: Float[Tensor, "b c h w"]) -> tuple[Latent, torch.Size]:
        """q(z|x), its numbers in a row, and the shape (c, h, w) of z.

        Raises:
            ValueError: no pictures in [-1, 1].
        """
        check_image(image)
        mean, log_var = self.encoder(image).chunk(2, 1)
        log_var = log_var.clamp(-30, 20)  # as in the authors' code
        return Latent(mean.flatten(1), log_var.flatten(1)), mean.shape[1:]

    def encode(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b l u v"]:
        """The mean of q(z|x), as a grid; not scaled. Errors as in `posterior`."""
        latent, shape = self.posterior(image)
        return latent.mean.reshape(-1, *shape)

    def decode(self, z: Float[Tensor, "b l u v"]) -> Float[Tensor, "b c h w"]:
        """The picture of a grid; not cut to [-1, 1]."""
        return self.decoder(z)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Absolute error with a learned variance, and very little KL: both sums."""
        image = batch["image"]
        latent, shape = self.posterior(image)
        z = latent.draw(generator=generator).reshape(-1, *shape)
        error = (self.decode(z) - image).abs()
        # appendix G, and the authors' code: |x - D(z)| / exp(v) + v, summed
        nats = (error / self.log_var.exp() + self.log_var).flatten(1).sum(1).mean()
        kl = latent.kl().sum(1).mean()
        loss = (nats + self.config.kl_weight * kl) / image[0].numel()
        return {"loss": loss, "error": error.mean(), "kl": kl}

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures."""
        shape = (n, config.channels, config.image_size, config.image_size)
        return {"image": 2 * torch.rand(shape, generator=generator) - 1}


# the second stage


class SpatialTransformer(nn.Module):
    """x + a Transformer block on its places: they read each other, then the words.

    Args:
        width: channels.
        heads: of both attentions.
        context: width of the words.
        groups: of the norm.
    """

    def __init__(self, width: int, heads: int, context: int, groups: int = 32):
        super().__init__()
        self.norm = _norm(width, groups)
        self.inward, self.out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own = MultiHeadAttention(width, heads, bias=False)
        self.words = MultiHeadAttention(width, heads, memory_width=context, bias=False)
        for attention in (self.own, self.words):
            attention.out = nn.Linear(width, width)  # only this one has a bias
        self.gated = nn.Linear(width, 8 * width)  # GEGLU: x gelu(gate)
        self.narrow = nn.Linear(4 * width, width)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        context: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Mix; `mask` is True on real words."""
        y = rearrange(self.inward(self.norm(x)), "b c h w -> b (h w) c")
        y = y + self.own(self.norms[0](y))
        y = y + self.words(self.norms[1](y), mask, memory=context)
        value, gate = self.gated(self.norms[2](y)).chunk(2, -1)
        y = y + self.narrow(value * F.gelu(gate))
        return x + self.out(rearrange(y, "b (h w) c -> b c h w", h=x.shape[2]))


class TextUNet(UNet):
    """The U-Net of GLIDE with a Transformer block where that has attention.

    Example:
        >>> config = TextUNetConfig(
        ...     widths=(8, 16), blocks=1, attention=(0,), context=6, heads=2, groups=4
        ... )
        >>> x, words = torch.zeros(2, 4, 8, 8), torch.zeros(2, 3, 6)
        >>> config.build()(x, torch.tensor([0, 9]), words).shape
        torch.Size([2, 4, 8, 8])
    """

    def attend(self, width: int) -> nn.Module:
        """Places and words in a Transformer block."""
        c = self.config
        return SpatialTransformer(width, c.heads, c.context, c.groups)


def _small(**changes) -> LatentDiffusionConfig:
    """Our model of one large object: a grid of 4 x 4, words of 64."""
    net = PatchUNetConfig(
        inputs=4, outputs=4, side=4, patch=1, widths=(64, 96), context=64
    )
    sizes = {"first": AutoencoderKL.PRESETS["large-object"], "net": net}
    sizes |= {"image_size": 16, "vocab": 38, "text": 8, "width": 64, "depth": 2}
    sizes |= {"heads": 2, "neighbors": 3, "kind": "cosine", "factor": 1.0}
    sizes |= {"target": "x0", "weight": "capped"}
    return LatentDiffusionConfig(**sizes | changes)


class LatentDiffusion(GLIDE):
    """An autoencoder, and a net that undoes noise in its scaled code.

    Example:
        >>> model = LatentDiffusion.from_preset("tiny").eval()
        >>> batch = LatentDiffusion.example_batch(model.config, 2)
        >>> model.sample(batch["tokens"], batch["mask"], steps=3).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": LatentDiffusionConfig(
            first=AutoencoderKL.PRESETS["tiny"], image_size=8, vocab=26, text=6,
            net=TextUNetConfig(
                widths=(16, 32), blocks=1, attention=(0,), context=32, heads=2, groups=8
            ),
            width=32, depth=1, heads=2, steps=50, empty=0.5, factor=1.0,
        ),
        "large-object": _small(),
        "SD": LatentDiffusionConfig(),
    }  # fmt: skip
    STAGES = (("first",), ("main",))
    LEARNED = {"first": 0.9, "main": 0.9}

    def __init__(self, config: LatentDiffusionConfig):
        super().__init__(config)
        check_number("factor", config.factor, 0)
        self.first = AutoencoderKL(config.first)
        self.register_buffer("factor", torch.tensor(float(config.factor)))

    def learners(self, phase: str = "main") -> list[nn.Module]:
        """The first stage, or all that is not the first stage."""
        if phase == "first":
            return [self.first]
        parts = [self.net, self.words, self.facts]
        return [part for part in parts if part is not None]

    @torch.no_grad()
    def settle(self, image: Float[Tensor, "b c h w"]) -> None:
        """Let z have a standard deviation of one over a first batch."""
        self.factor.copy_(1 / self.first.encode(image).std())

    def encode(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b l u v"]:
        """z, scaled: what the net sees."""
        return self.factor * self.first.encode(image)

    def decode(self, z: Float[Tensor, "b l u v"]) -> Float[Tensor, "b c h w"]:
        """The picture of a scaled z, cut to [-1, 1]."""
        return self.first.decode(z / self.factor).clamp(-1, 1)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The first stage's loss, or the weighed error of what the net says of z."""
        if phase == "first":
            return self.first.loss(batch, generator=generator)
        with torch.no_grad():
            z = self.encode(batch["image"])
        return super().loss(batch | {"image": z}, generator=generator)

    @torch.no_grad()
    def latents(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        scale: float | int = 3.0,
        steps: int = 20,
        eta: float | int = 0.0,
        generator: torch.Generator | None = None,
        watch=None,
    ) -> Float[Tensor, "b l u v"]:
        """Random z for captions; arguments as in `sample`."""
        f = self.config.first
        side, like = f.image_size // 2 ** (len(f.widths) - 1), self.words.nothing
        how = {"device": like.device, "dtype": like.dtype, "generator": generator}
        z = torch.randn(len(tokens), f.latent, side, side, **how)
        how = {"steps": steps, "eta": eta, "generator": generator, "watch": watch}
        say = self.guided(tokens, mask, float(scale))  # z has no bounds to clip to
        return self.diffusion.sample(say, z, settle=lambda z0: z0, **how)

    def sample(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"], **how
    ) -> Float[Tensor, "b c h w"]:
        """Random pictures for captions.

        Args:
            tokens, mask: as in `read`.
            how: `scale` of the guidance, `steps` of the chain, `eta`, `generator`, as
                in `GLIDE.sample`, and `watch`, as in `Diffusion.sample`.
        """
        return self.decode(self.latents(tokens, mask, **how))

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict:
        """Random pictures, and captions of unequal length."""
        batch = GLIDE.example_batch(config, n, generator=generator)
        return batch | AutoencoderKL.example_batch(config.first, n, generator=generator)
