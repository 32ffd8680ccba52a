"""VAE: an autoencoder whose code is a distribution, trained by a bound on log p(x).

**Paper** Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
arXiv 1312.6114.

**Book** `sec-vae`

**Symbols**
- `image (b, c, h, w)` = x; `z (b, j)` = z, the latent vector of J numbers
- `Latent.mean, .log_var (b, j)` = mu and log sigma^2 of q(z|x), a diagonal Gaussian
- `noise` = epsilon; `VAE.encode_image` = q_phi(z|x); `VAE.decode` = the mean of
  p_theta(x|z)
- `log_sigma` = log of the standard deviation of p_theta(x|z), one for all pixels
- `beta` = weight of the KL term, 1 in the paper

**Start**
- As PyTorch does; log_sigma at -1.

**Differs from the paper**
- p(x|z) is a Gaussian with one learned deviation for all pixels; the paper has a
  Bernoulli for digits, and a Gaussian with a deviation for each pixel for faces.
- `ConvVAE` keeps a grid of latent vectors between convolutional nets; in the paper all
  nets have one hidden layer.
- Trained with AdamW (the book's recipe); the paper takes Adagrad.

**Builds on** nothing.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_number, check_numbers
from mmdl_lib.core import Config, Model
from mmdl_lib.nn.coder import decoder, encoder


@dataclass(frozen=True, kw_only=True)
class VAEConfig(Config):
    """Hyperparameters; the defaults are for digits of 28 x 28 pixels."""

    channels: int = 1
    image_size: int = 28
    latent: int = 20  # J; of a grid, the numbers at each place
    width: int = 500  # of the hidden layer
    beta: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ConvVAEConfig(VAEConfig):
    """The same with a grid; the defaults are for the shapes world."""

    channels: int = 3
    image_size: int = 32
    latent: int = 8
    width: int = 64
    blocks: int = 2  # residual blocks on each side
    factor: int = 4  # pixels for each place of the grid, along each side


class Latent(NamedTuple):
    """q(z|x): a Gaussian with a mean and a variance for each of its numbers."""

    mean: Float[Tensor, "b j"]
    log_var: Float[Tensor, "b j"]

    def draw(self, *, generator=None) -> Float[Tensor, "b j"]:
        """z = mu + sigma eps: random, and differentiable in mu and sigma."""
        # no randn_like, which knows no generator
        noise = torch.randn(
            self.mean.shape,
            generator=generator,
            device=self.mean.device,
            dtype=self.mean.dtype,
        )
        return self.mean + (0.5 * self.log_var).exp() * noise

    def kl(self) -> Float[Tensor, "b j"]:
        """KL(q(z_j|x) || N(0, 1)) of each number, in nats."""
        # appendix B: -1/2 (1 + log sigma^2 - mu^2 - sigma^2)
        return 0.5 * (self.mean.square() + self.log_var.exp() - 1 - self.log_var)

    def log_prob(self, z: Float[Tensor, "b j"]) -> Float[Tensor, " b"]:
        """log q(z|x), in nats."""
        return log_normal(z, self.mean, 0.5 * self.log_var).sum(1)


def log_normal(x: Tensor, mean: Tensor, log_sigma: Tensor) -> Tensor:
    """Log density of a Gaussian, number by number, in nats."""
    return -0.5 * ((x - mean) * (-log_sigma).exp()).square() - (
        log_sigma + 0.5 * math.log(2 * math.pi)
    )


def active_units(mean: Float[Tensor, "n j"], *, least: float = 0.01) -> int:
    """Number of latent units whose mean varies with the picture.

    Args:
        mean: mu of many pictures.
        least: variance over the pictures from which on a unit counts as active.

    Raises:
        ValueError: no finite floats, or fewer than two pictures.

    Example:
        >>> active_units(torch.tensor([[0.0, 1.0], [0.001, -1.0]]))
        1
    """
    check_numbers("means", mean, "n j")
    if len(mean) < 2:
        raise ValueError(f"means expected two pictures or more, got {len(mean)}.")
    return int((mean.var(0) > least).sum())


class VAE(Model):
    """Encoder and decoder with one hidden layer each, as in appendix C of the paper.

    Example:
        >>> model = VAE.from_preset("tiny")
        >>> batch = VAE.example_batch(model.config, 3)
        >>> model.encode_image(batch["image"]).shape
        torch.Size([3, 4])
    """

    PRESETS = {
        "tiny": VAEConfig(image_size=8, latent=4, width=32),
        "digits": VAEConfig(image_size=8, latent=16, width=200),
        "board": VAEConfig(image_size=8, latent=2, width=200),
        "MNIST": VAEConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: VAEConfig):
        super().__init__(config)
        check_number("beta", config.beta, 0)
        self.build(config)
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))

    def build(self, c: VAEConfig) -> None:
        """Make the two nets; the encoder ends in 2 J numbers, the decoder in pixels."""
        shape = (c.channels, c.image_size, c.image_size)
        self.encoder = nn.Sequential(
            *(nn.Flatten(), nn.Linear(math.prod(shape), c.width), nn.Tanh()),
            nn.Linear(c.width, 2 * c.latent),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(c.latent, c.width), nn.Tanh()),
            *(nn.Linear(c.width, math.prod(shape)), nn.Unflatten(1, shape)),
        )
        self.units = c.latent  # J

    def posterior(self, image: Float[Tensor, "b c h w"]) -> Latent:
        """q(z|x).

        Raises:
            ValueError: no pictures in [-1, 1], or of another size.
        """
        check_size(image, self.config)
        return Latent(*self.encoder(image).flatten(1).chunk(2, 1))

    def decode(self, z: Float[Tensor, "b j"]) -> Float[Tensor, "b c h w"]:
        """The mean picture of p(x|z); not cut to [-1, 1].

        Raises:
            ValueError: no finite floats, or another number of units.
        """
        check_numbers("z", z, "b j")
        if z.shape[1] != self.units:
            raise ValueError(f"z expected shape (b, {self.units}), got {(*z.shape,)}.")
        return self.decoder(z)

    def log_likelihood(
        self, image: Float[Tensor, "b c h w"], z: Float[Tensor, "b j"]
    ) -> Float[Tensor, " b"]:
        """log p(x|z), summed over the pixels of each picture, in nats."""
        mean = self.decode(z)
        return log_normal(image, mean, self.log_sigma).flatten(1).sum(1)

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The negative bound, with beta: sums over pixels and units, a mean over
        pictures, and at the end one division of everything by the number of pixels."""
        image = batch["image"]
        latent = self.posterior(image)
        z = latent.draw(generator=generator)
        # eq. (7), one sample: L = log p(x|z) - KL(q(z|x) || p(z))
        nats = -self.log_likelihood(image, z).mean()
        kl = latent.kl().sum(1).mean()
        pixels = image[0].numel()
        loss = (nats + self.config.beta * kl) / pixels
        return {"loss": loss, "nats": nats, "kl": kl}

    def bound(
        self,
        image: Float[Tensor, "b c h w"],
        *,
        samples: int = 1,
        generator=None,
    ) -> Float[Tensor, " b"]:
        """A bound on log p(x) from a number of samples, in nats; more are tighter.

        The log of the mean of p(x, z) / q(z|x); one sample gives the ELBO.

        Raises:
            ValueError: fewer than one sample, or as `posterior`.
        """
        check_number("samples", samples, 1, whole=True)
        latent, weights = self.posterior(image), []
        for _ in range(samples):
            z = latent.draw(generator=generator)
            prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
            joint = prior + self.log_likelihood(image, z)
            weights.append(joint - latent.log_prob(z))
        return torch.stack(weights).logsumexp(0) - math.log(samples)

    def encode_image(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b j"]:
        """mu, the middle of q(z|x).

        Raises:
            ValueError: as `posterior`.
        """
        return self.posterior(image).mean

    def reconstruct(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """What the decoder makes of mu, cut to [-1, 1].

        Raises:
            ValueError: as `posterior`.
        """
        return self.decode(self.encode_image(image)).clamp(-1, 1)

    @torch.no_grad()
    def sample(self, n: int, *, generator=None) -> Float[Tensor, "n c h w"]:
        """Mean pictures of latents drawn from the prior, cut to [-1, 1].

        Raises:
            ValueError: fewer than one.
        """
        check_number("n", n, 1, whole=True)
        device = self.log_sigma.device
        z = torch.randn(n, self.units, generator=generator, device=device)
        return self.decode(z).clamp(-1, 1)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures."""
        shape = (n, config.channels, config.image_size, config.image_size)
        return {"image": 2 * torch.rand(shape, generator=generator) - 1}


class ConvVAE(VAE):
    """The same between convolutional nets: z is a grid of vectors, flattened.

    Example:
        >>> model = ConvVAE.from_preset("tiny")
        >>> model.sample(2).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": ConvVAEConfig(image_size=8, latent=2, width=16, blocks=1),
        "shapes": ConvVAEConfig(),
    }

    def build(self, c: ConvVAEConfig) -> None:
        """Make the two nets."""
        if c.image_size % c.factor:
            raise ValueError(
                f"image_size expected a multiple of {c.factor}, got {c.image_size}."
            )
        sizes = {"width": c.width, "blocks": c.blocks, "factor": c.factor}
        side = c.image_size // c.factor
        self.encoder = encoder(c.channels, 2 * c.latent, **sizes)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (c.latent, side, side)),
            decoder(c.channels, c.latent, **sizes),
        )
        self.units = c.latent * side**2


def check_size(image: Tensor, config) -> None:
    """Check pictures against a config.

    Raises:
        ValueError: no pictures in [-1, 1], or of another size.
    """
    check_image(image)
    expected = (config.channels, config.image_size, config.image_size)
    if tuple(image.shape[1:]) != expected:
        raise ValueError(
            f"image expected shape (b, {', '.join(map(str, expected))}), got "
            f"{tuple(image.shape)}."
        )
