"""DCGAN: the same game for pictures, with convolutions that make it playable.

**Paper** Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks", ICLR 2016, arXiv 1511.06434.

**Book** `sec-gan`

**Symbols**
- `image (b, 3, h, h)` = x, pixels in [-1, 1], the range of G's tanh
- `z (b, noise)` = z
- `generator`: 4 x 4, then twice the side and half the channels in each step
- `discriminator`: the way back, strides of 2 in the place of pooling; its last value is
  a logit

**Start**
- Weights normal with deviation 0.02, as in the paper; gains of BatchNorm 1.

**Differs from the paper**
- z is normal, not uniform; kernels of 4 x 4 in the place of 5 x 5.
- Nothing in the game: BatchNorm takes each batch by itself in both turns, also in the
  player that stands still (`by_batch`), whose running averages stay.

**Builds on** `gan` (value and aim)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_numbers
from mmdl_lib.core import Config, Model
from mmdl_lib.models.gan import Aim, generator_loss, right, value


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(Config):
    """Hyperparameters; the defaults are the paper's."""

    image_size: int = 64  # a power of 2 times 4
    noise: int = 100
    width: int = 128  # channels next to the picture; twice as many a step inward
    norm: Literal["batch", "none"] = "batch"
    aim: Aim = "non-saturating"


def channels(config: DCGANConfig) -> list[int]:
    """Channels from the picture inward, down to 4 x 4.

    Raises:
        ValueError: a side that halving does not bring to 4.
    """
    steps = log2(config.image_size / 4)
    if steps < 1 or steps != int(steps):
        raise ValueError(
            f"image_size expected 8, 16, 32 and so on, got {config.image_size}."
        )
    return [config.width * 2**i for i in range(int(steps))]


def norm(config: DCGANConfig, width: int) -> nn.Module:
    """BatchNorm, or nothing."""
    return nn.BatchNorm2d(width) if config.norm == "batch" else nn.Identity()


@contextmanager
def by_batch(player: nn.Module) -> Iterator[None]:
    """BatchNorm takes a batch by itself for now, and its running averages stay.

    With running averages in the player that stands still, the other one plays against
    pictures, or judgments, that never occur in training.
    """
    norms = [m for m in player.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.training for m in norms]
    for m in norms:
        m.training, m.track_running_stats = True, False
    try:
        yield
    finally:
        for m, training in zip(norms, before, strict=True):
            m.training, m.track_running_stats = training, True


class Generator(nn.Sequential):
    """Noise to pictures: (b, noise, 1, 1) to (b, 3, h, h)."""

    def __init__(self, config: DCGANConfig):
        *outer, inner = channels(config)
        layers = [nn.ConvTranspose2d(config.noise, inner, 4), norm(config, inner)]
        layers.append(nn.ReLU())
        for width in reversed(outer):
            up = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
            layers += [up, norm(config, width), nn.ReLU()]
        # no norm at the picture: its mean and scale are the data's own
        last = nn.ConvTranspose2d(config.width, 3, 4, stride=2, padding=1)
        super().__init__(*layers, last, nn.Tanh())


class Discriminator(nn.Sequential):
    """Pictures to one logit each: (b, 3, h, h) to (b, 1, 1, 1)."""

    def __init__(self, config: DCGANConfig):
        first, *inner = channels(config)
        # no norm at the picture, for the same reason
        layers = [nn.Conv2d(3, first, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for width in inner:
            down = nn.Conv2d(width // 2, width, 4, stride=2, padding=1)
            layers += [down, norm(config, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(channels(config)[-1], 1, 4))


class DCGAN(Model):
    """Two convnets that mirror each other.

    Example:
        >>> model = DCGAN.from_preset("tiny")
        >>> model.sample(2).shape
        torch.Size([2, 3, 16, 16])
    """

    PRESETS = {
        "tiny": DCGANConfig(image_size=16, noise=8, width=8),
        "tiny without norm": DCGANConfig(image_size=16, noise=8, width=8, norm="none"),
        "shapes": DCGANConfig(image_size=16, noise=32, width=16),
        "paper": DCGANConfig(),
    }
    STAGES = (("discriminator", "generator"),)
    LEARNED = {"discriminator": None, "generator": None}

    def __init__(self, config: DCGANConfig):
        super().__init__(config)
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def learners(self, phase: str = "generator") -> list[nn.Module]:
        """The player whose turn it is."""
        return [getattr(self, phase)]

    def judge(self, image: Float[Tensor, "b 3 h h"]) -> Float[Tensor, " b"]:
        """D's logits; above 0 it says "real".

        Raises:
            ValueError: no pictures in [-1, 1] of the right size.
        """
        check_image(image)
        side = self.config.image_size
        if image.shape[1:] != (3, side, side):
            raise ValueError(
                f"image expected shape (b, 3, {side}, {side}), got "
                f"{tuple(image.shape)}."
            )
        return rearrange(self.discriminator(image), "b 1 1 1 -> b")

    def generate(self, z: Float[Tensor, "b noise"]) -> Float[Tensor, "b 3 h h"]:
        """G of a given noise, in eval mode each row for itself.

        Raises:
            ValueError: noise of another width.
        """
        check_numbers("z", z, "b noise")
        if z.shape[1] != self.config.noise:
            raise ValueError(
                f"z expected shape (b, {self.config.noise}), got {tuple(z.shape)}."
            )
        return self.generator(rearrange(z, "b d -> b d 1 1"))

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """G of fresh noise, with its gradient."""
        weight = next(self.generator.parameters())
        options = {"generator": generator, "device": weight.device}
        return self.generate(torch.randn(n, self.config.noise, **options))

    def loss(
        self, batch, *, phase="generator", generator=None
    ) -> dict[str, Float[Tensor, ""]]:
        """-V for D, the aim for G; `image` (b, 3, h, h) is real.

        Raises:
            ValueError: a single picture where BatchNorm compares pictures.
        """
        real = batch["image"]
        if self.config.norm == "batch" and self.training and len(real) < 2:
            raise ValueError(
                f"image expected at least 2 rows for BatchNorm, got {len(real)}: a "
                "picture alone is compared with itself."
            )
        if phase == "generator":
            with by_batch(self.discriminator):
                fake = self.judge(self.draw(len(real), generator))
            return {"loss": generator_loss(fake, self.config.aim)}
        # G stands still in D's turn
        with torch.no_grad(), by_batch(self.generator):
            drawn = self.draw(len(real), generator)
        # real and drawn pictures apart: BatchNorm over both would tell D the share
        said, fake = self.judge(real), self.judge(drawn)
        return {"loss": -value(said, fake), "right": right(said, fake)}

    @torch.no_grad()
    def sample(self, n: int, *, generator=None) -> Float[Tensor, "n 3 h h"]:
        """Pictures that G draws."""
        return self.draw(n, generator)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pixels."""
        side = config.image_size
        image = torch.rand(n, 3, side, side, generator=generator) * 2 - 1
        return {"image": image}
