"""VQGAN: a VQ-VAE judged by features and by an adversary instead of by squared error.

**Paper** Esser, Rombach, Ommer, "Taming Transformers for High-Resolution Image
Synthesis", CVPR 2021, arXiv 2012.09841.

**Book** `sec-vae`

**Symbols**
- `image (b, c, h, w)` = x, `rebuilt` = x hat; `vectors, q, tokens` as in `vqvae`
- `Patches` = D, the discriminator: one logit for each patch of a picture
- `adaptive_weight` = lambda; `DELTA` = delta in its denominator
- `distance` = L_rec, absolute error plus the distance of features

**Start**
- As `vqvae`; the discriminator as PyTorch does.

**Differs from the paper**
- Nets of the size of our VQ-VAE, without attention; codes as moving averages with
  revival; the discriminator without BatchNorm, so that each logit depends on its patch
  alone.
- The discriminator's last layer has no bias.
- The features come from a net of this book (`perceive_with`), without the learned
  weights of LPIPS; no features, no such term.
- delta is 1e-4 and lambda at most 1e4, as in the authors' code; lambda is multiplied by
  `adversarial`, and the adversary counts from step `start` on, both as in their code.
- The Transformer over the tokens is not here.

**Builds on** `vqvae`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_number
from mmdl_lib.models.vqvae import MovingVQVAE, MovingVQVAEConfig
from mmdl_lib.nn.codebook import commitment_loss, straight_through


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(MovingVQVAEConfig):
    """Hyperparameters; the defaults are of a size for 256 x 256 pixels."""

    image_size: int = 256
    codes: int = 1024
    code_width: int = 256
    factor: int = 16
    adversarial: float = 0.8
    start: int = 10_000  # step from which on the adversary counts
    disc_width: int = 64
    disc_layers: int = 3  # convolutions with stride 2


class Patches(nn.Module):
    """A convolutional discriminator: each logit sees one patch and nothing else.

    Example:
        >>> Patches(3, width=8, layers=1)(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 1, 14, 14])
    """

    def __init__(self, channels: int, *, width: int, layers: int):
        super().__init__()
        check_number("disc_layers", layers, 1, whole=True)
        widths = [channels] + [width * min(2**i, 8) for i in range(layers + 1)]
        steps = []
        for i in range(layers + 1):
            stride = 2 if i < layers else 1
            steps.append(nn.Conv2d(widths[i], widths[i + 1], 4, stride, padding=1))
            steps.append(nn.LeakyReLU(0.2))
        # a bias here would have no gradient while both margins are missed: -1/2 + 1/2
        steps.append(nn.Conv2d(widths[-1], 1, 4, padding=1, bias=False))
        self.steps = nn.Sequential(*steps)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 u v"]:
        return self.steps(image)


def hinge_loss(real: Tensor, fake: Tensor) -> Float[Tensor, ""]:
    """What the discriminator minimizes: real logits above 1, fake ones below -1."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def feature_distance(one: list[Tensor], other: list[Tensor]) -> Float[Tensor, ""]:
    """Squared distance of features of length one: mean over places, sum over maps.

    Args:
        one, other: feature maps (b, c, h, w) of two batches, layer by layer.
    """
    total = 0.0
    for a, b in zip(one, other, strict=True):
        apart = F.normalize(a, dim=1) - F.normalize(b, dim=1)
        total = total + apart.square().sum(1).mean()
    return total


DELTA = 1e-4


def adaptive_weight(
    judged: Float[Tensor, ""], fooled: Float[Tensor, ""], last: nn.Parameter
) -> Float[Tensor, ""]:
    """lambda, which makes both gradients equally long where the decoder ends.

    Args:
        judged: reconstruction loss.
        fooled: the generator's adversarial loss.
        last: weight of the decoder's last layer, on which both depend.
    """
    # eq. (7): lambda = |grad L_rec| / (|grad L_GAN| + delta), at the last layer
    grads = [
        torch.autograd.grad(loss, last, retain_graph=True)[0].norm()
        for loss in (judged, fooled)
    ]
    return (grads[0] / (grads[1] + DELTA)).clamp(0, 1e4).detach()


class VQGAN(MovingVQVAE):
    """Encoder, codebook, decoder against a discriminator of patches.

    Example:
        >>> model = VQGAN.from_preset("tiny")
        >>> batch = VQGAN.example_batch(model.config, 2)
        >>> sorted(model.loss(batch, phase="discriminator"))
        ['loss']
    """

    TINY = VQGANConfig(
        image_size=8,
        codes=16,
        code_width=4,
        width=16,
        blocks=1,
        factor=4,
        spread=1.0,
        start=0,
        disc_width=8,
        disc_layers=1,
    )
    PRESETS = {
        "tiny": TINY,
        "shapes": VQGANConfig(
            image_size=32,
            codes=256,
            code_width=8,
            width=64,
            factor=8,
            decay=0.98,
            revive=0.5,
            start=600,
            disc_width=32,
            disc_layers=1,
        ),
        "ImageNet": VQGANConfig(),
    }
    STAGES = (("discriminator", "generator"),)
    LEARNED = {"discriminator": None, "generator": None}

    def __init__(self, config: VQGANConfig):
        super().__init__(config)
        c = config
        sizes = {"width": c.disc_width, "layers": c.disc_layers}
        self.discriminator = Patches(c.channels, **sizes)
        self.register_buffer("begun", torch.zeros((), dtype=torch.long))
        self.perceive_with(None)

    def perceive_with(self, maps: Callable[[Tensor], list[Tensor]] | None) -> None:
        """Compare pictures by the feature maps that a function gives, too.

        Args:
            maps: picture (b, c, h, w) -> feature maps; kept outside of the state.
        """
        self.maps = (maps,)  # in a tuple a module is not registered

    def learners(self, phase: str = "generator") -> list[nn.Module]:
        """The two players."""
        if phase == "discriminator":
            return [self.discriminator]
        return [self.encoder, self.codebook, self.decoder]

    def loss(self, batch, *, phase="generator", generator=None) -> dict[str, Tensor]:
        """One player's loss; the adversary counts from step `start` on."""
        image = batch["image"]
        if phase == "discriminator":
            with torch.no_grad():
                fake = self.decoded(self.codebook(self.vectors(image))[0])
            heard = hinge_loss(self.discriminator(image), self.discriminator(fake))
            return {"loss": self.counts() * heard}
        z = self.vectors(image)
        q, index = self.codebook(z)
        rebuilt = self.decoded(straight_through(z, q))
        judged = self.distance(rebuilt, image)
        fooled = -self.discriminator(rebuilt).mean()
        last = self.decoder[-2].weight
        share = self.config.adversarial * adaptive_weight(judged, fooled, last)
        commitment = commitment_loss(z, q)
        # eq. (6): L_VQ + lambda L_GAN
        loss = judged + self.config.commitment * commitment
        loss = loss + self.counts() * share * fooled
        if self.codebook.training:
            self.codebook.follow(z, index, generator=generator)
        found = {"rebuilt": judged, "commitment": commitment, "lambda": share}
        return {"loss": loss} | found

    def counts(self) -> Float[Tensor, ""]:
        """1 from step `start` on, 0 before."""
        return (self.begun >= self.config.start).float()

    def distance(self, rebuilt: Tensor, image: Tensor) -> Float[Tensor, ""]:
        """L_rec: mean absolute error, and the distance of features where there are."""
        loss = (rebuilt - image).abs().mean()
        (maps,) = self.maps
        if maps is not None:
            loss = loss + feature_distance(maps(rebuilt), maps(image))
        return loss

    @torch.no_grad()
    def after_step(self, step: int, *, phase: str = "generator") -> None:
        """Count the generator's steps."""
        if phase == "generator":
            self.begun += 1
