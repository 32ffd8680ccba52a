"""VQ-VAE: an autoencoder whose code is a grid of numbers of a learned codebook.

**Paper** van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning",
NeurIPS 2017, arXiv 1711.00937.

**Book** `sec-vae`

**Symbols**
- `image (b, c, h, w)` = x; `vectors (b, n, m, d)` = z_e(x), on a grid of n x m places
- `codes (k, d)` = e, the codebook of K vectors; `index (b, n, m)` = the nearest codes
- `q (b, n, m, d)` = z_q(x); `sg` in comments = stop-gradient
- `commitment` = beta

**Start**
- As PyTorch does; codes uniform in +-1 / K (`spread` for another width).

**Differs from the paper**
- Pictures are cut into squares and go through residual blocks with norms; the paper has
  two convolutions with stride 2, then residual blocks without norms.
- The prior over the grid of numbers (in the paper a PixelCNN) is not here.
- The reconstruction is judged by squared error, with equal weight to all pixels.
- Each term of the loss is a mean over its numbers, where eq. (3) has sums: that
  multiplies beta by the numbers of a picture over those of its vectors.
- `MovingVQVAE` learns its codes as moving averages (appendix A.1) and may revive dead
  ones, which the paper does not.

**Builds on** `vae`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.vae import VAE, check_size
from mmdl_lib.nn.codebook import (
    Codebook,
    MovingCodebook,
    codebook_loss,
    commitment_loss,
    straight_through,
)
from mmdl_lib.nn.coder import decoder, encoder


@dataclass(frozen=True, kw_only=True)
class VQVAEConfig(Config):
    """Hyperparameters; the defaults are of a size for CIFAR-10."""

    channels: int = 3
    image_size: int = 32
    codes: int = 512  # K
    code_width: int = 64  # D
    width: int = 256
    blocks: int = 2
    factor: int = 4  # pixels for each place of the grid, along each side
    commitment: float = 0.25  # beta
    spread: float | None = None  # codes start in +-spread; None for 1 / K


@dataclass(frozen=True, kw_only=True)
class MovingVQVAEConfig(VQVAEConfig):
    """The same with moving averages."""

    decay: float = 0.99
    revive: float = 0.0  # vectors of a batch under which a code is dead


class VQVAE(Model):
    """Encoder, codebook that learns by gradient, decoder.

    Example:
        >>> model = VQVAE.from_preset("tiny")
        >>> batch = VQVAE.example_batch(model.config, 2)
        >>> model.tokens(batch["image"]).shape
        torch.Size([2, 2, 2])
    """

    TINY = VQVAEConfig(
        image_size=8, codes=16, code_width=4, width=16, blocks=1, spread=1.0
    )
    SHAPES = VQVAEConfig(codes=256, code_width=8, width=32, factor=2)
    PRESETS = {"tiny": TINY, "shapes": SHAPES, "CIFAR-10": VQVAEConfig()}
    LEARNED = {"main": 0.9}

    def __init__(self, config: VQVAEConfig):
        super().__init__(config)
        c = config
        check_number("commitment", c.commitment, 0)
        if c.image_size % c.factor:
            raise ValueError(
                f"image_size expected a multiple of {c.factor}, got {c.image_size}."
            )
        sizes = {"width": c.width, "blocks": c.blocks, "factor": c.factor}
        self.encoder = encoder(c.channels, c.code_width, **sizes)
        self.codebook = self.book(c)
        self.decoder = decoder(c.channels, c.code_width, **sizes)

    def book(self, c: VQVAEConfig) -> Codebook:
        """The codebook of this kind."""
        return Codebook(c.codes, c.code_width, spread=c.spread)

    def vectors(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n m d"]:
        """z_e(x), before the codebook.

        Raises:
            ValueError: no pictures in [-1, 1], or of another size.
        """
        check_size(image, self.config)
        return rearrange(self.encoder(image), "b d n m -> b n m d")

    def decoded(self, q: Float[Tensor, "b n m d"]) -> Float[Tensor, "b c h w"]:
        """The picture of a grid of vectors; not cut to [-1, 1]."""
        return self.decoder(rearrange(q, "b n m d -> b d n m"))

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Reconstruction, codebook and commitment, each a mean over its numbers."""
        z = self.vectors(batch["image"])
        q, index = self.codebook(z)  # eq. (1) and (2)
        rebuilt = self.decoded(straight_through(z, q))
        # eq. (3): log p(x|q) + ||sg[z] - e||^2 + beta ||z - sg[e]||^2
        terms = {
            "rebuilt": F.mse_loss(rebuilt, batch["image"]),
            "commitment": commitment_loss(z, q),
        }
        loss = terms["rebuilt"] + self.config.commitment * terms["commitment"]
        loss = loss + self.codes_loss(z, q)
        if self.codebook.training:
            self.codebook.follow(z, index, generator=generator)
        return {"loss": loss} | terms

    def codes_loss(self, z: Tensor, q: Tensor) -> Tensor | float:
        """What moves the codes."""
        return codebook_loss(z, q)

    @torch.no_grad()
    def tokens(self, image: Float[Tensor, "b c h w"]) -> Int[Tensor, "b n m"]:
        """The grid of code numbers.

        Raises:
            ValueError: as `vectors`.
        """
        return self.codebook.nearest(self.vectors(image))

    @torch.no_grad()
    def from_tokens(self, tokens: Int[Tensor, "b n m"]) -> Float[Tensor, "b c h w"]:
        """The picture of a grid of code numbers, cut to [-1, 1].

        Raises:
            ValueError: no integers, or a number that is not in the book.
        """
        return self.decoded(self.codebook.look(tokens)).clamp(-1, 1)

    def reconstruct(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The picture after encoder, codebook and decoder, cut to [-1, 1].

        Raises:
            ValueError: as `vectors`.
        """
        return self.from_tokens(self.tokens(image))

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures."""
        return VAE.example_batch(config, n, generator=generator)


class MovingVQVAE(VQVAE):
    """The same with a codebook of moving averages, which needs no loss.

    Example:
        >>> model = MovingVQVAE.from_preset("tiny")
        >>> sorted(model.loss(MovingVQVAE.example_batch(model.config, 2)))
        ['commitment', 'loss', 'rebuilt']
    """

    _tiny = {k: v for k, v in vars(VQVAE.TINY).items()}
    _shapes = {k: v for k, v in vars(VQVAE.SHAPES).items()}
    PRESETS = {
        "tiny": MovingVQVAEConfig(**_tiny),
        "tiny, revived": MovingVQVAEConfig(**_tiny, revive=0.1),
        "shapes": MovingVQVAEConfig(**_shapes, decay=0.98, revive=0.5),
        "CIFAR-10": MovingVQVAEConfig(),
    }

    def book(self, c: MovingVQVAEConfig) -> MovingCodebook:
        """The codebook of this kind."""
        options = {"spread": c.spread, "decay": c.decay, "revive": c.revive}
        return MovingCodebook(c.codes, c.code_width, **options)

    def codes_loss(self, z: Tensor, q: Tensor) -> Tensor | float:
        """Nothing: the codes follow by themselves."""
        return 0.0
