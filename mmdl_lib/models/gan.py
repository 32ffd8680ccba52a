"""The GAN of 2014: a generator, a discriminator, and one value that both fight over.

**Paper** Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio,
"Generative Adversarial Nets", NIPS 2014, arXiv 1406.2661.

**Book** `sec-gan`

**Symbols**
- `points (b, d)` = x, real examples; pictures as rows of pixels
- `z (b, noise)` = z, from a normal distribution
- `generator` = G, `discriminator` = D before its sigmoid: a logit, so that
  log D and log(1 - D) are `softplus` and never infinite
- `value` = V(D, G), which D makes large and G makes small

**Start**
- As PyTorch does.

**Differs from the paper**
- The noise is normal, and the networks are plain: ReLU in G, LeakyReLU in D, no maxout
  and no dropout.
- D and G take turns, one update each; the paper's k steps of D are a rate of D's own.
- `packed` and `penalty` are later cures of collapse (Lin et al. 2018; Gulrajani et al.
  2017, there for another loss); 1 and 0 are the paper.

**Builds on** nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_finite, check_numbers
from mmdl_lib.core import Config, Model

Aim = Literal["non-saturating", "minimax"]


@dataclass(frozen=True, kw_only=True)
class GANConfig(Config):
    """Hyperparameters; the defaults are sized for digits of 28 x 28 pixels."""

    points: int = 784  # numbers of an example
    noise: int = 100
    width: int = 1024
    aim: Aim = "non-saturating"  # what G minimizes
    packed: int = 1  # examples that D judges together
    penalty: float = 0.0  # weight of the gradient penalty


def check_both(real: Tensor, fake: Tensor) -> None:
    """Check what D says of real and of drawn examples.

    Raises:
        ValueError: no finite floats, or none of one kind: who sees only real examples
            learns to say yes.
    """
    for name, logits in (("logits of real", real), ("logits of drawn", fake)):
        check_finite(name, logits)
        if len(logits) == 0:
            raise ValueError(
                f"{name} examples expected at least one, got none: D learns nothing "
                "from one kind alone."
            )


def value(real: Float[Tensor, " b"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """V(D, G) of a batch from D's logits, in nats; at most 0.

    Raises:
        ValueError: as `check_both`.
    """
    check_both(real, fake)
    # eq. (1): E log D(x) + E log(1 - D(G(z)))
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


def generator_loss(fake: Float[Tensor, " b"], aim: Aim) -> Float[Tensor, ""]:
    """What G minimizes, from D's logits of what it drew.

    Raises:
        ValueError: an unknown aim, no finite floats.
    """
    check_choice("aim", aim, ("non-saturating", "minimax"))
    check_finite("logits of drawn", fake)
    if aim == "minimax":
        return F.logsigmoid(-fake).mean()  # log(1 - D(G(z))): flat where D is sure
    return -F.logsigmoid(fake).mean()  # the end of section 3: maximize log D(G(z))


def best_logit(
    p: Float[Tensor, "*grid"], q: Float[Tensor, "*grid"]
) -> Float[Tensor, "*grid"]:
    """The logit of the best D for densities p of real and q of drawn examples.

    Its sigmoid is p / (p + q).

    Raises:
        ValueError: a density that is not above zero.
    """
    for name, density in (("p", p), ("q", q)):
        check_finite(name, density)
        if not (density > 0).all():
            raise ValueError(f"{name} expected densities above 0, got {density.min()}.")
    # proposition 1: D* = p / (p + q)
    return p.log() - q.log()


def gradient_penalty(
    judge: Callable[[Tensor], Tensor],
    real: Float[Tensor, "b ..."],
    fake: Float[Tensor, "b ..."],
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """Mean squared distance of D's slope from 1, between real and drawn examples.

    One place on each line from a real to a drawn example: the share is drawn once for
    an example, not once for each of its numbers.
    """
    shape = (len(real),) + (1,) * (real.ndim - 1)
    share = torch.rand(shape, generator=generator, device=real.device)
    between = (share * real + (1 - share) * fake.detach()).requires_grad_()
    with torch.enable_grad():
        said = judge(between).sum()
        (slope,) = torch.autograd.grad(said, between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


def mlp(inputs: int, width: int, outputs: int, act: type[nn.Module]) -> nn.Sequential:
    """Two hidden layers."""
    layers = [nn.Linear(inputs, width), act(), nn.Linear(width, width), act()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class GAN(Model):
    """Two small nets, one game.

    Example:
        >>> model = GAN.from_preset("tiny")
        >>> model.sample(3).shape
        torch.Size([3, 2])
    """

    PRESETS = {
        "tiny": GANConfig(points=2, noise=4, width=16),
        "tiny packed": GANConfig(points=2, noise=4, width=16, packed=2, penalty=0.1),
        "ring": GANConfig(points=2, noise=8, width=32),
        "digits": GANConfig(),
    }
    STAGES = (("discriminator", "generator"),)
    LEARNED = {"discriminator": None, "generator": None}

    def __init__(self, config: GANConfig):
        super().__init__(config)
        c = config
        self.generator = mlp(c.noise, c.width, c.points, nn.ReLU)
        self.discriminator = mlp(c.packed * c.points, c.width, 1, nn.LeakyReLU)

    def learners(self, phase: str = "generator") -> list[nn.Module]:
        """The player whose turn it is."""
        return [getattr(self, phase)]

    def judge(self, points: Float[Tensor, "b d"]) -> Float[Tensor, " m"]:
        """D's logits, one for each pack of examples; above 0 it says "real".

        Raises:
            ValueError: no finite floats, or rows that do not fill their packs.
        """
        check_numbers("points", points, "b d")
        packed = self.config.packed
        if len(points) % packed:
            raise ValueError(
                f"points expected a multiple of {packed} rows, got {len(points)}."
            )
        packs = rearrange(points, "(m k) d -> m (k d)", k=packed)
        return self.discriminator(packs).squeeze(1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """G of fresh noise, with its gradient."""
        weight = next(self.generator.parameters())
        options = {"generator": generator, "device": weight.device}
        return self.generator(torch.randn(n, self.config.noise, **options))

    def loss(
        self, batch, *, phase="generator", generator=None
    ) -> dict[str, Float[Tensor, ""]]:
        """-V for D (and its penalty), the aim for G; `points` (b, d) are real."""
        real = batch["points"]
        if phase == "generator":
            fake = self.judge(self.draw(len(real), generator))
            return {"loss": generator_loss(fake, self.config.aim)}
        with torch.no_grad():  # G stands still in D's turn
            drawn = self.draw(len(real), generator)
        said, fake = self.judge(real), self.judge(drawn)
        terms = {"loss": -value(said, fake), "right": right(said, fake)}
        if self.config.penalty:
            penalty = gradient_penalty(self.judge, real, drawn, generator=generator)
            terms["loss"] = terms["loss"] + self.config.penalty * penalty
        return terms

    @torch.no_grad()
    def sample(self, n: int, *, generator=None) -> Float[Tensor, "n d"]:
        """Examples that G draws."""
        return self.draw(n, generator)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random points."""
        return {"points": torch.randn(n, config.points, generator=generator)}


def right(real: Float[Tensor, " b"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Share of examples that D names rightly, half of them real: 0.5 is a coin."""
    return ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
