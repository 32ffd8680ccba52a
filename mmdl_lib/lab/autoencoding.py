"""Worlds and measures of the chapter on autoencoders (`sec-vae`)."""

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_same_length
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, drawing, to_float
from mmdl_lib.data.shapes.reading import COLORED
from mmdl_lib.metrics.faithfulness import exactly
from mmdl_lib.models.vae import VAE, VAEConfig
from mmdl_lib.models.vqvae import VQVAE
from mmdl_lib.pretrained import small

SIDE = 16  # pixels of the small world


def pictures(n: int, *, seed: int) -> UInt8[Tensor, "n 3 16 16"]:
    """One plain object each, small: what arms are compared on in seconds."""
    scenes = shapes.sample(n, seed=seed, objects=1, textures="solid")
    return scenes.render(SIDE)


def sharpness(rebuilt: Tensor, image: Tensor) -> float:
    """Energy of the edges of rebuilt pictures over that of the true ones.

    Squared differences of neighboring pixels, summed over all pictures: 1 for equal
    pictures, 0 for plain ones. A blurred edge has less than a sharp one, as one step
    of height h has h^2 and two of height h / 2 have half of that.

    Args:
        rebuilt, image: (b, c, h, w) in [-1, 1].

    Raises:
        ValueError: no pictures, another number, or true ones without any edge.

    Example:
        >>> step = torch.tensor([-1.0, -1.0, 1.0, 1.0]).expand(1, 1, 4, 4)
        >>> slope = torch.tensor([-1.0, -1.0, 0.0, 1.0]).expand(1, 1, 4, 4)
        >>> sharpness(slope, step)
        0.5
    """
    for name, given in (("rebuilt", rebuilt), ("image", image)):
        check_image(given, name=name)
    check_same_length(rebuilt=rebuilt, image=image)
    whole = _edges(image)
    if whole == 0:
        raise ValueError("image expected pictures with edges, got plain ones.")
    return _edges(rebuilt) / whole


def touching(scenes: Scenes) -> Bool[Tensor, " b"]:
    """Scenes in which two plain objects of one color touch: one patch to a reader.

    A pixel belongs to an object that covers as much of it as the reader asks for, and
    objects touch where pixels of theirs are one, or share a side.
    """
    solid = drawing.coverage(scenes, 32) > COLORED
    near = solid.clone()
    near[:, :, 1:] |= solid[:, :, :-1]
    near[:, :, :-1] |= solid[:, :, 1:]
    near[..., 1:] |= solid[..., :-1]
    near[..., :-1] |= solid[..., 1:]
    meet = near.flatten(2).float() @ solid.flatten(2).float().mT > 0
    alike = scenes.color[:, :, None] == scenes.color[:, None]
    return (meet & alike).triu(1).flatten(1).any(1)


@torch.no_grad()
def read_back(model: VQVAE, scenes: Scenes) -> dict[str, float]:
    """What is left of drawn scenes behind a tokenizer, read by the fixed program.

    Returns:
        exact: share of rebuilt pictures that are read wholly right; ceiling: the same
        of the drawn ones; kept: of the drawn ones that are read right, the share that
        is so when rebuilt; error: mean squared error.

    Raises:
        ValueError: no scenes, or none whose drawn picture is read right.
    """
    image = to_float(scenes.render())
    rebuilt = torch.cat([model.reconstruct(part) for part in image.split(250)])
    before, after = exactly(image, scenes), exactly(rebuilt, scenes)
    if not before.any():
        raise ValueError("scenes expected one at least that is read right, got none.")
    return {
        "exact": after.double().mean().item(),
        "ceiling": before.double().mean().item(),
        "kept": after[before].double().mean().item(),
        "error": (rebuilt - image).square().mean().item(),
    }


def _edges(image: Tensor) -> float:
    x = image.detach().double()
    return (x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()).item()


@cache
def _judge():
    return small.load("alexnet", "shapes").requires_grad_(False)


def perception(image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
    """Maps of the first two layers of our AlexNet, which knows the shapes world.

    Stands where papers take a VGG net: the features by which `VQGAN` compares pictures.
    """
    x, found = image, []
    for conv in _judge().convs[:2]:
        x = conv(x).relu()
        found.append(x)
    return found


class BinaryVAE(VAE):
    """A VAE of pixels that are -1 or 1: p(x|z) is a Bernoulli for each, as in the paper
    for digits. `log_sigma` is not used."""

    def log_likelihood(
        self, image: Float[Tensor, "b c h w"], z: Float[Tensor, "b j"]
    ) -> Float[Tensor, " b"]:
        """log p(x|z), summed over the pixels of each picture, in nats."""
        logits, ink = self.logits(image, z), (image + 1) / 2
        nats = F.binary_cross_entropy_with_logits(logits, ink, reduction="none")
        return -nats.flatten(1).sum(1)

    def logits(self, image, z: Float[Tensor, "b j"]) -> Float[Tensor, "b c h w"]:
        """Of ink at each pixel, from the code alone."""
        return self.decode(z)


class SeeingVAE(BinaryVAE):
    """The same with a decoder that sees, for each pixel, all pixels before it.

    p(x|z) is a product over the pixels in reading order. A hidden unit has a number m
    and sees the m pixels before; pixel i hears the units whose number is at most i.
    That is one masked net for all pixels at once (MADE, Germain et al. 2015).
    """

    HIDDEN = 8  # units for each pixel

    def build(self, c: VAEConfig) -> None:
        """The encoder and decoder of VAE, and the way from earlier pixels."""
        super().build(c)
        pixel = torch.arange(c.channels * c.image_size**2)
        number = pixel.repeat_interleave(self.HIDDEN)[:, None]
        self.register_buffer("sees", (pixel < number).float())
        self.register_buffer("hears", (pixel[:, None] >= number.T).float())
        self.enter = nn.Linear(len(pixel), len(number))
        self.code = nn.Linear(c.latent, len(number), bias=False)
        self.leave = nn.Linear(len(number), len(pixel))

    def logits(self, image, z: Float[Tensor, "b j"]) -> Float[Tensor, "b c h w"]:
        """Of ink at each pixel, given the pixels before it and the code."""
        x = F.linear(image.flatten(1), self.enter.weight * self.sees, self.enter.bias)
        x = (x + self.code(z)).tanh()
        x = F.linear(x, self.leave.weight * self.hears, self.leave.bias)
        return self.decode(z) + x.view_as(image)
