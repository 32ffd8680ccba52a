"""The first stage of latent diffusion: a VAE that hardly asks for anything but z.

**Paper** Rombach, Blattmann, Lorenz, Esser, Ommer, "High-Resolution Image Synthesis
with Latent Diffusion Models", CVPR 2022, arXiv 2112.10752.

**Book** `sec-latent_diffusion`

**Symbols**
- `image (b, 3, h, w)` = x; `z (b, l, h / f, w / f)` = E(x), a grid
- `AutoencoderKL.encode` = the mean of q(z|x), `AutoencoderKL.decode` = D
- `log_var` = the learned log of the pixels' scale

**Start**
- As PyTorch does; the log variance of the pixels at 0.

**Differs from the paper**
- Judged by absolute error with a learned variance; the paper adds the distance of
  features (LPIPS) and an adversary, as in `vqgan`.
- The loss is a sum over numbers, as in the paper, divided at the end by how many
  numbers a picture has.
- `PatchKL`, our small one, cuts the picture into squares instead of halving it step by
  step, as the other small autoencoders of the book do: a tenth of the work.

**Builds on** `vae`, `nn.coder`
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.vae import Latent
from mmdl_lib.nn.attention import MultiHeadAttention
from mmdl_lib.nn.coder import decoder, encoder
from mmdl_lib.nn.unet import norm


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

    @property
    def side(self) -> int:
        """Of z."""
        return self.image_size // 2 ** (len(self.widths) - 1)

    def build(self) -> "AutoencoderKL":
        """The first stage, freshly initialized."""
        return AutoencoderKL(self)


@dataclass(frozen=True, kw_only=True)
class PatchKLConfig(Config):
    """Sizes of `PatchKL`; the defaults are for one large object, 16 x 16."""

    channels: int = 3
    image_size: int = 16
    latent: int = 12
    width: int = 64
    blocks: int = 2  # residual blocks on each side
    factor: int = 4  # pixels for each place of the grid, along each side
    kl_weight: float = 1e-6

    @property
    def side(self) -> int:
        """Of z."""
        return self.image_size // self.factor

    def build(self) -> "PatchKL":
        """The first stage, freshly initialized."""
        return PatchKL(self)


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
        "SD": AutoencoderKLConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: AutoencoderKLConfig | PatchKLConfig):
        super().__init__(config)
        check_number("kl_weight", config.kl_weight, 0)
        self.encoder, self.decoder = self.nets(config)
        self.log_var = nn.Parameter(torch.zeros(()))  # of the pixels

    def nets(self, c: AutoencoderKLConfig) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder."""
        first, last = c.widths[0], c.widths[-1]
        down, width = [nn.Conv2d(c.channels, first, 3, padding=1)], first
        for i, out in enumerate(c.widths):
            for _ in range(c.blocks):
                down.append(Block(width, out, c.groups))
                width = out
            if i + 1 < len(c.widths):
                down.append(Shrink(out))
        down += [*_middle(last, c.groups), _norm(last, c.groups), nn.SiLU()]
        down.append(nn.Conv2d(last, 2 * c.latent, 3, padding=1))
        down.append(nn.Conv2d(2 * c.latent, 2 * c.latent, 1))
        up = [nn.Conv2d(c.latent, c.latent, 1), nn.Conv2d(c.latent, last, 3, padding=1)]
        up += _middle(last, c.groups)
        for i, out in reversed(list(enumerate(c.widths))):
            for _ in range(c.blocks + 1):
                up.append(Block(width, out, c.groups))
                width = out
            if i:
                up += [nn.Upsample(scale_factor=2), nn.Conv2d(out, out, 3, padding=1)]
        up += [_norm(first, c.groups), nn.SiLU()]
        up.append(nn.Conv2d(first, c.channels, 3, padding=1))
        return nn.Sequential(*down), nn.Sequential(*up)

    def posterior(self, image: Float[Tensor, "b c h w"]) -> tuple[Latent, torch.Size]:
        """q(z|x), its numbers in a row, and the shape (c, h, w) of z.

        Raises:
            ValueError: no pictures in [-1, 1], sides that the code does not divide.
        """
        check_image(image)
        c = self.config
        f = c.image_size // c.side
        if image.shape[-2] % f or image.shape[-1] % f:
            raise ValueError(
                f"image expected sides that {f} divides, got {tuple(image.shape[-2:])}."
            )
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


class PatchKL(AutoencoderKL):
    """The same loss between nets that cut the picture into squares.

    Example:
        >>> model = PatchKL.from_preset("tiny")
        >>> model.encode(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 4, 2, 2])
    """

    PRESETS = {
        "tiny": PatchKLConfig(image_size=8, latent=4, width=16, blocks=1),
        "large-object": PatchKLConfig(),
    }

    def nets(self, c: PatchKLConfig) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder."""
        sizes = {"width": c.width, "blocks": c.blocks, "factor": c.factor}
        to = encoder(c.channels, 2 * c.latent, **sizes)
        return to, decoder(c.channels, c.latent, **sizes)
