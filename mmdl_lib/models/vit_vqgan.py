"""ViT-VQGAN: a VQGAN of Transformers, whose codes are directions in few dimensions.

**Paper** Yu, Li, Koh, Zhang, Pang, Qin, et al., "Vector-quantized Image Modeling with
Improved VQGAN", ICLR 2022, arXiv 2110.04627.

**Book** `sec-imagen`

**Symbols**
- `image (b, c, h, w)` = x; `vectors (b, n, m, d)` = z_e(x), one for each patch
- `tokens (b, n, m)`, or `codes (b, n m)` in reading order, as Parti writes them
- `short`: numbers of a vector in the lookup

**Start**
- As PyTorch does; positions normal, 0.02; codes uniform,
  or at vectors of pictures (`begin`).

**Differs from the paper**
- The logit-Laplace loss is left out; the other weights (1 for squared error, 0.1 for
  features and for the adversary) are remembered and could not be checked.
- The discriminator is that of `vqgan`, of patches and with a hinge, where the paper
  takes StyleGAN's. It counts from step `start` on.
- The features come from a net of this book, as in `vqgan`; no features, no such term.
- `begin` is ours; the paper's codes start at random.
- A patch leaves the decoder by one linear layer; positions are learned.
- The sizes of the paper's nets could not be checked, so no preset has them.
- The Transformer over the codes is `parti`'s, not that of the paper.

**Builds on** `vqgan`, `vit`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.vae import VAE, check_size
from mmdl_lib.models.vit import patches
from mmdl_lib.models.vqgan import VQGAN, Patches, feature_distance, hinge_loss
from mmdl_lib.nn import Transformer
from mmdl_lib.nn.codebook import (
    Codebook,
    codebook_loss,
    commitment_loss,
    straight_through,
)
from mmdl_lib.nn.positions import LearnedPositions


class NormedCodebook(nn.Module):
    """Codes of ViT-VQGAN: looked up in few dimensions, and by direction only.

    Two changes to the VQ-VAE's: a vector is first projected to a short one
    (factorized), and both it and the codes are scaled to length one (l2-normalized), so
    that the nearest code is that of the largest cosine.

    Args:
        size: number of codes.
        width: of the vectors, d.
        short: of the lookup.

    Example:
        >>> book = NormedCodebook(16, 12, 4)
        >>> q, index = book(torch.randn(2, 3, 3, 12))
        >>> q.shape, index.shape
        (torch.Size([2, 3, 3, 12]), torch.Size([2, 3, 3]))

    Source: Yu et al. 2022 (2110.04627), section 3.2.
    """

    def __init__(self, size: int, width: int, short: int):
        super().__init__()
        self.down = nn.Linear(width, short, bias=False)
        self.up = nn.Linear(short, width, bias=False)
        self.book = Codebook(size, short, spread=1.0)

    def directions(self, z: Float[Tensor, "... d"]) -> Float[Tensor, "... s"]:
        """Short vectors of length one."""
        return F.normalize(self.down(z), dim=-1)

    def look(self, index: Int[Tensor, "..."]) -> Float[Tensor, "... d"]:
        """What the decoder reads for these codes."""
        return self.up(F.normalize(self.book.look(index), dim=-1))

    def nearest(self, z: Float[Tensor, "... d"]) -> Int[Tensor, "..."]:
        """Number of the code with the largest cosine."""
        cosine = self.directions(z) @ F.normalize(self.book.codes, dim=-1).T
        return cosine.argmax(-1)

    def forward(self, z: Float[Tensor, "... d"]):
        """What the decoder reads, with z's gradient (straight through), and codes."""
        index, short = self.nearest(z), self.directions(z)
        code = F.normalize(F.embedding(index, self.book.codes), dim=-1)
        return self.up(short + (code - short).detach()), index

    def loss(
        self,
        z: Float[Tensor, "... d"],
        index: Int[Tensor, "..."],
        commitment: float = 0.25,
    ) -> Float[Tensor, ""]:
        """Codes go to the directions, and `commitment` times as much the other way."""
        short = self.directions(z)
        code = F.normalize(F.embedding(index, self.book.codes), dim=-1)
        to_codes = (short.detach() - code).square().mean()
        return to_codes + commitment * (short - code.detach()).square().mean()


class PlainCodebook(Codebook):
    """The VQ-VAE's, asked as the one above: full width, nearest by distance.

    Example:
        >>> q, index = PlainCodebook(16, 12)(torch.randn(2, 3, 3, 12))
        >>> q.shape, index.shape
        (torch.Size([2, 3, 3, 12]), torch.Size([2, 3, 3]))
    """

    def forward(self, z: Float[Tensor, "... d"]):
        """As `NormedCodebook`."""
        q, index = super().forward(z)
        return straight_through(z, q), index

    def loss(self, z: Tensor, index: Tensor, commitment: float = 0.25) -> Tensor:
        """As `NormedCodebook`."""
        q = F.embedding(index, self.codes)
        return codebook_loss(z, q) + commitment * commitment_loss(z, q)


@dataclass(frozen=True, kw_only=True)
class ViTVQGANConfig(Config):
    """Hyperparameters; the defaults have the paper's picture, patch and codes."""

    channels: int = 3
    image_size: int = 256
    patch: int = 8
    width: int = 512
    depth: int = 8  # blocks of the encoder, and of the decoder
    heads: int = 8
    codes: int = 8192
    short: int = 32
    normed: bool = True  # no: a plain codebook of the full width
    commitment: float = 0.25
    perceptual: float = 0.1
    adversarial: float = 0.1
    start: int = 10_000  # step from which on the adversary counts
    disc_width: int = 64
    disc_layers: int = 3

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch


def _small(**changes) -> ViTVQGANConfig:
    sizes = {"image_size": 16, "patch": 2, "width": 64, "depth": 2, "heads": 4}
    sizes |= {"codes": 256, "short": 8, "start": 1000}
    return ViTVQGANConfig(**sizes | {"disc_width": 32, "disc_layers": 1} | changes)


class ViTVQGAN(Model):
    """Transformers around a codebook of directions, against a judge of patches.

    Example:
        >>> model = ViTVQGAN.from_preset("tiny").eval()
        >>> model.tokens(ViTVQGAN.example_batch(model.config, 2)["image"]).shape
        torch.Size([2, 4, 4])
    """

    _tiny = {"image_size": 8, "width": 16, "depth": 1, "codes": 16, "short": 4}
    _tiny |= {"start": 0, "disc_width": 8}
    PRESETS = {
        "tiny": _small(**_tiny),
        "tiny, plain": _small(**_tiny, normed=False),
        "large-object": _small(),
        "clipart": _small(image_size=32, patch=4, width=96, depth=2, heads=4),
    }
    STAGES = (("discriminator", "generator"),)
    LEARNED = {"discriminator": None, "generator": None}

    def __init__(self, config: ViTVQGANConfig):
        super().__init__(config)
        c = config
        for name in ("commitment", "perceptual", "adversarial", "start"):
            check_number(name, getattr(c, name), 0)
        if c.image_size % c.patch:
            raise ValueError(
                f"image_size expected a multiple of {c.patch}, got {c.image_size}."
            )
        pixels, places = c.channels * c.patch**2, c.grid**2
        self.project = nn.Linear(pixels, c.width)
        self.read_places = LearnedPositions(places, c.width)
        self.encoder = Transformer(c.width, c.depth, c.heads)
        self.norm_read = nn.LayerNorm(c.width)
        if c.normed:
            self.codebook = NormedCodebook(c.codes, c.width, c.short)
        else:
            self.codebook = PlainCodebook(c.codes, c.width)
        self.write_places = LearnedPositions(places, c.width)
        self.decoder = Transformer(c.width, c.depth, c.heads)
        self.norm_write = nn.LayerNorm(c.width)
        self.paint = nn.Linear(c.width, pixels)
        sizes = {"width": c.disc_width, "layers": c.disc_layers}
        self.discriminator = Patches(c.channels, **sizes)
        self.register_buffer("begun", torch.zeros((), dtype=torch.long))
        self.perceive_with(None)

    # which features pictures are compared by; when the adversary begins to count
    perceive_with = VQGAN.perceive_with
    counts = VQGAN.counts
    after_step = VQGAN.after_step

    @torch.no_grad()
    def begin(self, image: Float[Tensor, "b c h w"], *, generator=None) -> None:
        """Put every code on a vector of these pictures; errors as in `vectors`."""
        z, book = self.vectors(image), self.codebook
        if self.config.normed:
            z, book = book.directions(z), book.book
        book.place(z, generator=generator)

    def learners(self, phase: str = "generator") -> list[nn.Module]:
        """The two players."""
        if phase == "discriminator":
            return [self.discriminator]
        parts = [self.project, self.read_places, self.encoder, self.norm_read]
        parts += [self.codebook, self.write_places, self.decoder, self.norm_write]
        return [*parts, self.paint]

    # there and back

    def vectors(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n m d"]:
        """z_e(x), before the codebook: each has seen the whole picture.

        Raises:
            ValueError: no pictures in [-1, 1], or of another size.
        """
        check_size(image, self.config)
        x = self.project(patches(image, self.config.patch))
        x = self.norm_read(self.encoder(x + self.read_places(x.shape[1])))
        return x.unflatten(1, (self.config.grid, self.config.grid))

    def decoded(self, q: Float[Tensor, "b n m d"]) -> Float[Tensor, "b c h w"]:
        """The picture of a grid of vectors; not cut to [-1, 1]."""
        x = q.flatten(1, 2)
        x = self.decoder(x + self.write_places(x.shape[1]))
        x = self.paint(self.norm_write(x))
        pattern = "b (n m) (c p q) -> b c (n p) (m q)"
        c = self.config
        return rearrange(x, pattern, n=c.grid, p=c.patch, q=c.patch)

    @torch.no_grad()
    def tokens(self, image: Float[Tensor, "b c h w"]) -> Int[Tensor, "b n m"]:
        """The grid of code numbers; errors as in `vectors`."""
        return self.codebook.nearest(self.vectors(image))

    @torch.no_grad()
    def from_tokens(self, tokens: Int[Tensor, "b n m"]) -> Float[Tensor, "b c h w"]:
        """The picture of a grid of code numbers, cut to [-1, 1].

        Raises:
            ValueError: no integers, another grid, or a number that is not in the book.
        """
        side = self.config.grid
        check_integers("tokens", tokens, 0, self.config.codes - 1)
        if tokens.shape[1:] != (side, side):
            raise ValueError(
                f"tokens expected shape (b, {side}, {side}), got {tuple(tokens.shape)}."
            )
        return self.decoded(self.codebook.look(tokens)).clamp(-1, 1)

    def encode(self, image: Float[Tensor, "b c h w"]) -> Int[Tensor, "b n"]:
        """Codes in reading order, as `DVAE.encode`; errors as in `vectors`."""
        return self.tokens(image).flatten(1)

    def decode(self, codes: Int[Tensor, "b n"]) -> Float[Tensor, "b c h w"]:
        """Pictures of such rows, as `DVAE.decode`.

        Raises:
            ValueError: another number of codes than the grid has places, or an unknown
                one.
        """
        side = self.config.grid
        check_integers("codes", codes, 0, self.config.codes - 1)
        if codes.ndim != 2 or codes.shape[1] != side**2:
            raise ValueError(
                f"codes expected shape (b, {side**2}), got {tuple(codes.shape)}."
            )
        return self.from_tokens(codes.unflatten(1, (side, side)))

    # learning

    def loss(self, batch, *, phase="generator", generator=None) -> dict[str, Tensor]:
        """One player's loss; the adversary counts from step `start` on."""
        image, c = batch["image"], self.config
        if phase == "discriminator":
            with torch.no_grad():
                fake = self.decoded(self.codebook(self.vectors(image))[0])
            heard = hinge_loss(self.discriminator(image), self.discriminator(fake))
            return {"loss": self.counts() * heard}
        z = self.vectors(image)
        q, index = self.codebook(z)
        rebuilt = self.decoded(q)
        terms = {
            "rebuilt": F.mse_loss(rebuilt, image),
            "codes": self.codebook.loss(z, index, c.commitment),
            "features": self.apart(rebuilt, image),
            "fooled": -self.discriminator(rebuilt).mean(),
        }
        # L_VQ + L_2 + 0.1 L_Perceptual + 0.1 L_Adv, without the logit-Laplace term
        loss = terms["codes"] + terms["rebuilt"] + c.perceptual * terms["features"]
        loss = loss + c.adversarial * self.counts() * terms["fooled"]
        return {"loss": loss} | terms

    def apart(self, rebuilt: Tensor, image: Tensor) -> Float[Tensor, ""]:
        """Distance of features, where there are."""
        (maps,) = self.maps
        if maps is None:
            return rebuilt.new_zeros(())
        return feature_distance(maps(rebuilt), maps(image))

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures."""
        return VAE.example_batch(config, n, generator=generator)
