"""Latent diffusion: noise is undone in the code of an autoencoder, not in pixels.

**Paper** Rombach, Blattmann, Lorenz, Esser, Ommer, "High-Resolution Image Synthesis
with Latent Diffusion Models", CVPR 2022, arXiv 2112.10752.

**Book** `sec-latent_diffusion`

**Symbols**
- `image (b, 3, h, w)` = x; `z (b, c, h / f, w / f)` = E(x) times `factor`
- `first` = E and D, an `autoencoder_kl`
- `factor` = 1 / (standard deviation of E(x)); 0.18215 in Stable Diffusion
- `SpatialTransformer`: places read each other, then the words, tau(y)
- `scale` = s, of classifier-free guidance

**Start**
- As `glide`: the last layer of each residual block and of the net are zero.

**Differs from the paper**
- The first stage has no features to compare and no adversary: see `autoencoder_kl`.
- Words are read by the small Transformer of `glide`, trained along, whose mean also
  goes where the step goes. The paper trains one of depth 32; Stable Diffusion takes
  CLIP's, frozen.
- Padding is masked; Stable Diffusion lets the net read all 77 places.
- The vector of a step has sines before cosines: columns of the first layer, swapped.
- Our small model has patches' net on the latent grid (`PatchUNet` with patches of 1),
  and says z_0 where the paper's says the noise.

**Builds on** `autoencoder_kl`, `glide`, `nn.unet`, `nn.diffusion`
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_number
from mmdl_lib.models.autoencoder_kl import (
    AutoencoderKL,
    AutoencoderKLConfig,
    PatchKLConfig,
)
from mmdl_lib.models.glide import GLIDE, GLIDEConfig
from mmdl_lib.nn.attention import MultiHeadAttention
from mmdl_lib.nn.diffusion import check_shape
from mmdl_lib.nn.unet import PatchUNetConfig, UNet, UNetConfig, norm


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

    first: AutoencoderKLConfig | PatchKLConfig = AutoencoderKLConfig(image_size=512)
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
        self.norm = norm(width, groups)
        self.norm.eps = 1e-6  # as in the authors' code
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
        inputs=12, outputs=12, side=4, patch=1, widths=(64, 64), context=64
    )
    sizes = {"first": PatchKLConfig(), "net": net}
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
        self.first = config.first.build()
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

    def fits(self, image: Float[Tensor, "b l u v"], rows: int) -> None:
        """Check codes: one for each caption; pictures are checked by `loss`."""
        check_shape("image", image, (rows, *image.shape[1:]))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The first stage's loss, or the weighed error of what the net says of z.

        Raises:
            ValueError: as `GLIDE.loss`.
        """
        if phase == "first":
            return self.first.loss(batch, generator=generator)
        image, side = batch["image"], self.config.image_size
        check_image(image)
        check_shape("image", image, (len(batch["tokens"]), image.shape[1], side, side))
        with torch.no_grad():
            z = self.encode(image)
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
        like = self.words.nothing
        how = {"device": like.device, "dtype": like.dtype, "generator": generator}
        z = torch.randn(len(tokens), f.latent, f.side, f.side, **how)
        how = {"steps": steps, "eta": eta, "generator": generator, "watch": watch}
        say = self.guided(tokens, mask, scale)  # z has no bounds to clip to
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
