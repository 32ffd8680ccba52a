"""StackGAN: a small picture first, then a larger one that corrects it.

**Paper** Zhang, Xu, Li, Zhang, Wang, Huang, Metaxas, "StackGAN: Text to Photo-Realistic
Image Synthesis with Stacked Generative Adversarial Networks", ICCV 2017,
arXiv 1612.03242.

**Book** `sec-gan_int_cls`

**Symbols** (section 3 of the paper)
- `text (b, d)` = phi_t, the embedding of the text
- `mean, log_variance (b, c)` = mu_0(phi_t) and the logarithm of the diagonal of
  Sigma_0(phi_t)
- `condition (b, c)` = c_0, or c of stage II, drawn from that Gaussian
- `noise (b, z)` = z; `small (b, 3, h, w)` = s_0 = G_0(z, c_0)
- `weight` = lambda, of the divergence

**Start**
- As GAN-INT-CLS.

**Differs from the paper**
- The divergence is the sum over dimensions of the formula, its mean taken over rows.
  The released code takes the mean over dimensions, too, so its weight of 2 is one of
  2 / 128 per dimension here. Our small preset has 2 / 16.
- Mean and log-variance are a linear layer's halves. In the released code a ReLU comes
  between, which leaves no negative mean and no deviation below 1.
- Text encoder, discriminators and their GroupNorm are those of our GAN-INT-CLS.
- Our sizes: 8 x 8 and 16 x 16, or 16 x 16 and 32 x 32, instead of 64 x 64 and
  256 x 256.

**Builds on** `gan_int_cls` (text encoder, discriminator, the three pairs)
"""

from dataclasses import dataclass, replace
from math import log2
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.core import Config, Model
from mmdl_lib.models.gan_int_cls import (
    GANINTCLS,
    Discriminator,
    GANINTCLSConfig,
    TextEncoder,
    check_pictures,
    discriminator_loss,
    down,
    joint_loss,
    mismatched,
    same_text,
)


@dataclass(frozen=True, kw_only=True)
class StackGANConfig(Config):
    """Hyperparameters; the defaults are about the paper's size."""

    image_size: int = 256
    small_size: int = 64
    vocab: int = 10_000
    text: int = 1024  # width of phi_t
    squeezed: int = 128  # of phi_t inside the discriminators
    condition: int = 128  # width of c
    noise: int = 100
    width: int = 64
    halvings: int = 2  # of the small picture inside stage II
    blocks: int = 4  # residual ones of stage II
    augment: bool = True  # draw c, instead of taking its mean
    weight: float = 1.0
    margin: float = 0.2


class Gaussian(NamedTuple):
    """A diagonal Gaussian for each text."""

    mean: Float[Tensor, "b c"]
    log_variance: Float[Tensor, "b c"]

    def draw(self, generator: torch.Generator | None = None) -> Float[Tensor, "b c"]:
        """c = mu + sigma eps, so that gradients reach both."""
        eps = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + (self.log_variance / 2).exp() * eps


def divergence(gaussian: Gaussian) -> Float[Tensor, ""]:
    """KL from a standard Gaussian: a sum over dimensions, a mean over rows."""
    # eq. (2): D_KL(N(mu, Sigma) || N(0, I))
    mean, log_variance = gaussian
    terms = mean.square() + log_variance.exp() - 1 - log_variance
    return terms.sum(1).mean() / 2


class Augmentation(nn.Module):
    """Conditioning augmentation: a text becomes a Gaussian."""

    def __init__(self, text: int, condition: int):
        super().__init__()
        self.both = nn.Linear(text, 2 * condition)

    def forward(self, text: Float[Tensor, "b d"]) -> Gaussian:
        """Mean and log-variance, of any sign."""
        return Gaussian(*self.both(text).chunk(2, 1))


def doubled(channels: int, out: int) -> nn.Sequential:
    """Twice as many pixels a side."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(channels, out, 3, padding=1),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class First(nn.Module):
    """Stage I: noise and condition become a small picture."""

    def __init__(self, c: StackGANConfig):
        super().__init__()
        levels = round(log2(c.small_size / 4))
        channels = c.width << levels
        self.start = nn.Sequential(
            nn.Linear(c.noise + c.condition, channels * 16),
            nn.Unflatten(1, (channels, 4, 4)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        steps = [doubled(channels >> i, channels >> (i + 1)) for i in range(levels)]
        last = nn.Conv2d(c.width, 3, 3, padding=1)
        self.grow = nn.Sequential(*steps, last, nn.Tanh())

    def forward(
        self, noise: Float[Tensor, "b z"], condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Pictures with pixels in [-1, 1]."""
        return self.grow(self.start(torch.cat([noise, condition], 1)))


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The input and what is added to it."""
        return F.relu(x + self.body(x))


class Second(nn.Module):
    """Stage II: the small picture and a condition, without noise."""

    def __init__(self, c: StackGANConfig):
        super().__init__()
        layers, width = [nn.Conv2d(3, c.width, 3, padding=1), nn.ReLU()], c.width
        for _ in range(c.halvings):
            layers.append(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1))
            layers += [nn.BatchNorm2d(2 * width), nn.ReLU()]
            width *= 2
        self.look = nn.Sequential(*layers)
        self.join = nn.Sequential(
            nn.Conv2d(width + c.condition, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            *(Residual(width) for _ in range(c.blocks)),
        )
        ups = round(log2(c.image_size / c.small_size)) + c.halvings
        steps = [doubled(width >> i, width >> (i + 1)) for i in range(ups)]
        last = nn.Conv2d(width >> ups, 3, 3, padding=1)
        self.grow = nn.Sequential(*steps, last, nn.Tanh())

    def forward(
        self, small: Float[Tensor, "b 3 g g"], condition: Float[Tensor, "b c"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Pictures with pixels in [-1, 1]."""
        x = self.look(small)
        text = repeat(condition, "b c -> b c h w", h=x.shape[2], w=x.shape[3])
        return self.grow(self.join(torch.cat([x, text], 1)))


class Drawn(NamedTuple):
    """What one of the stages drew, and the Gaussian that its condition came from."""

    image: Float[Tensor, "b 3 h w"]
    gaussian: Gaussian


def _small(**changes) -> StackGANConfig:
    sizes = {"image_size": 16, "small_size": 8, "vocab": 38, "text": 64}
    sizes |= {"squeezed": 32, "condition": 16, "noise": 16, "width": 24}
    return StackGANConfig(**sizes | {"halvings": 0, "blocks": 1} | changes)


_TINY = {"text": 16, "squeezed": 8, "condition": 6, "noise": 6, "width": 8}


class StackGAN(Model):
    """Two stages, each with a conditioning augmentation and a discriminator.

    Example:
        >>> model = StackGAN.from_preset("tiny").eval()
        >>> batch = StackGAN.example_batch(model.config, 2)
        >>> model.sample(batch["tokens"], batch["mask"]).shape
        torch.Size([2, 3, 16, 16])
        >>> model.sample_small(batch["tokens"], batch["mask"]).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": _small(**_TINY),
        "tiny-plain": _small(**_TINY, augment=False),
        "one": _small(weight=0.125),  # 2 / 16, as in the released code
        "shapes": _small(image_size=32, small_size=16, text=96, weight=0.125),
        "paper": StackGANConfig(),
    }
    STAGES = (
        ("embedding",),
        ("discriminator1", "generator1"),
        ("discriminator2", "generator2"),
    )
    LEARNED = {"embedding": 0.9} | dict.fromkeys(STAGES[1] + STAGES[2])

    def __init__(self, config: StackGANConfig):
        super().__init__(config)
        c = config
        self.text_encoder = TextEncoder(c.vocab, c.text)
        shared = {"vocab": c.vocab, "text": c.text, "squeezed": c.squeezed}
        one = GANINTCLSConfig(image_size=c.small_size, width=c.width, **shared)
        two = replace(one, image_size=c.image_size)
        levels = round(log2(c.image_size / 4))
        cells = 16 * c.width << (levels - 1)
        self.picture_encoder = nn.Sequential(
            down(c.image_size, c.width), nn.Flatten(), nn.Linear(cells, c.text)
        )
        self.augment1 = Augmentation(c.text, c.condition)
        self.augment2 = Augmentation(c.text, c.condition)
        self.generator1, self.generator2 = First(c), Second(c)
        self.discriminator1, self.discriminator2 = map(Discriminator, (one, two))

    def learners(self, phase: str = "generator1") -> list[nn.Module]:
        """In stage II all of stage I stands still."""
        if phase == "embedding":
            return [self.text_encoder, self.picture_encoder]
        if phase.startswith("generator"):
            return [getattr(self, phase), getattr(self, f"augment{phase[-1]}")]
        return [getattr(self, phase)]

    encode_text = GANINTCLS.encode_text
    encode_image = GANINTCLS.encode_image
    example_batch = GANINTCLS.example_batch

    def first(
        self, text: Float[Tensor, "b d"], generator: torch.Generator | None = None
    ) -> Drawn:
        """Stage I: a small picture for each text."""
        gaussian = self.augment1(text)
        condition = self.condition(gaussian, generator)
        size = (len(text), self.config.noise)
        noise = torch.randn(size, generator=generator, device=text.device)
        return Drawn(self.generator1(noise, condition), gaussian)

    def second(
        self,
        small: Float[Tensor, "b 3 g g"],
        text: Float[Tensor, "b d"],
        generator: torch.Generator | None = None,
    ) -> Drawn:
        """Stage II: the small picture is looked at again, with the text."""
        gaussian = self.augment2(text)
        condition = self.condition(gaussian, generator)
        return Drawn(self.generator2(small, condition), gaussian)

    def condition(
        self, gaussian: Gaussian, generator: torch.Generator | None = None
    ) -> Float[Tensor, "b c"]:
        """c, drawn; its mean where nothing is augmented."""
        return gaussian.draw(generator) if self.config.augment else gaussian.mean

    def loss(
        self,
        batch: dict,
        *,
        phase: str = "generator1",
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """One phase's loss; keys `image`, `tokens` and `mask`."""
        c, image = self.config, batch["image"]
        check_pictures(image, c.image_size)
        text = self.encode_text(batch["tokens"], batch["mask"])
        same = same_text(batch["tokens"], batch["mask"])
        if phase == "embedding":
            seen = self.encode_image(image)
            return {"loss": joint_loss(seen, text, same, margin=c.margin)}
        drawn, judge = self.first(text, generator), self.discriminator1
        if phase.endswith("2"):
            drawn = self.second(drawn.image, text, generator)
            judge = self.discriminator2
        # the discriminator reads phi_t and never the c that was drawn
        fake = judge(drawn.image, text)
        if phase.startswith("generator"):
            distance = divergence(drawn.gaussian) * c.weight * c.augment
            # eq. (4) and (6), non-saturating
            return {"loss": F.softplus(-fake).mean() + distance, "kl": distance}
        size = drawn.image.shape[-1]
        cells = judge.look(F.interpolate(image, (size, size), mode="area"))
        other = mismatched(same, generator=generator)
        right, wrong = judge.compare(cells, text), judge.compare(cells, text[other])
        # eq. (3) and (5), with the wrong pair that section 3.3 takes over
        return {"loss": discriminator_loss(right, fake, wrong)}

    @torch.no_grad()
    def sample_small(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 g g"]:
        """A picture of stage I for each text; errors as `encode_text`."""
        return self.first(self.encode_text(tokens, mask), generator).image

    @torch.no_grad()
    def sample(
        self,
        tokens: Int[Tensor, "b t"],
        mask: Bool[Tensor, "b t"],
        *,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        """A picture of stage II for each text; errors as `encode_text`."""
        text = self.encode_text(tokens, mask)
        small = self.first(text, generator).image
        return self.second(small, text, generator).image
