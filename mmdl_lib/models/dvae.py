"""dVAE: pictures as a grid of tokens, by a softmax that becomes a choice.

**Paper** Ramesh, Pavlov, Goh, Gray, Voss, Radford, Chen, Sutskever, "Zero-Shot
Text-to-Image Generation", ICML 2021, arXiv 2102.12092 (its first stage); Jang, Gu,
Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, arXiv
1611.01144, and Maddison, Mnih, Teh, ICLR 2017, arXiv 1611.00712 (the relaxation).

**Book** `sec-dalle`

**Symbols**
- `scores (b, k, h, w)`: the encoder's, one for each code at each place of the grid
- `codes (b, n)`: the likeliest code of each place, n = h w in reading order
- `tau ()`: temperature of the relaxation
- `mean, log_scale (b, 3, h, w)` = mu, ln b of the logit-Laplace density

**Start**
- Kernels: normal, fan-in^-1/2; biases: zero. As the released code.
- But for the decoder's first kernel: 1, as its input is nearly one-hot. And `begin` may
  put what places of real pictures look like into the encoder's last kernel.

**Differs from the paper**
- The loss is that of the paper for its size: the sum over pixels and beta times the sum
  over places, divided by the number of pixel values. What the paper calls beta
  stands here undivided.
- `log_scale` is kept above -1: our pictures are drawn without noise, so that its best
  value would have no lower end.
- A short training from scratch ends with few codes in use. Ours begins with
  codes that differ (`begin`), and a first stage trains the decoder alone.
- `fold`: our small sizes cut the picture into squares first and glue them last, which
  saves convolutions at full resolution. The released size has squares of one pixel.

**Builds on** nothing.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers, check_number
from mmdl_lib.core import Config, Model

EPS = 0.1  # how far pixels stay away from 0 and 1
LEAST_LOG_SCALE = -1.0


@dataclass(frozen=True, kw_only=True)
class DVAEConfig(Config):
    """Hyperparameters; the defaults are the released sizes."""

    image_size: int = 256
    fold: int = 1  # pixels of a square's side that become channels
    kernel: int = 7  # of the first convolution
    groups: int = 4  # between two groups the grid halves
    blocks: int = 2  # in a group
    hidden: int = 256  # channels of the first group
    init: int = 128  # channels of a code in the decoder
    codes: int = 8192
    beta: float = 6.6  # weight of the KL divergence
    warm: float = 1.0  # temperature at the start
    cold: float = 1 / 16  # and at the end

    @property
    def grid(self) -> int:
        """Places on a side of the grid."""
        return self.image_size // self.fold // 2 ** (self.groups - 1)


class Density(NamedTuple):
    """What the decoder says of the mapped pixels x: logit(x) is Laplace around mean."""

    mean: Float[Tensor, "b c h w"]
    log_scale: Float[Tensor, "b c h w"]


def map_pixels(image: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """From [-1, 1] into [0.1, 0.9], where the logit is finite."""
    return (1 - 2 * EPS) * (image + 1) / 2 + EPS


def unmap_pixels(x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The way back; what lies outside is cut off."""
    return ((x - EPS) / (1 - 2 * EPS)).clamp(0, 1) * 2 - 1


def log_density(
    x: Float[Tensor, "*b"], mean: Float[Tensor, "*b"], log_scale: Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    """ln of the logit-Laplace density on (0, 1).

    It is the Laplace density of logit(x), times the slope of logit: 1 / (x (1 - x)).
    """
    # f(x) = exp(-|logit(x) - mu| / b) / (2 b x (1 - x))
    distance = (torch.logit(x) - mean).abs()
    slope = -torch.log(x) - torch.log1p(-x)
    return -distance * torch.exp(-log_scale) - math.log(2) - log_scale + slope


def gumbel_softmax(
    scores: Float[Tensor, "b k h w"],
    tau: float | Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "b k h w"]:
    """A random point of the simplex over codes, nearer to a corner the smaller tau is.

    Its largest entry is a draw from softmax(scores), whatever tau is.
    """
    shape, device = scores.shape, scores.device
    uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float32)
    # the smallest float above zero: log(0) would choose a code for ever
    noise = -torch.log(-torch.log(uniform.clamp(min=torch.finfo(torch.float32).tiny)))
    return ((scores + noise) / tau).softmax(1)


def kl_to_uniform(scores: Float[Tensor, "b k h w"]) -> Float[Tensor, "b h w"]:
    """KL(q || uniform) = ln K - H(q) in nats, for each picture and place.

    q is the categorical softmax(scores), though what the decoder reads is relaxed.
    """
    log_q = scores.log_softmax(1)
    return math.log(scores.shape[1]) + (log_q.exp() * log_q).sum(1)


def annealed(step: int, steps: int, *, warm: float, cold: float) -> float:
    """Temperature of a step: a half cosine from warm to cold."""
    return cold + (warm - cold) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


class Conv(nn.Conv2d):
    """A convolution that keeps the grid's size."""

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)
        nn.init.normal_(self.weight, std=(inputs * kernel**2) ** -0.5)
        nn.init.zeros_(self.bias)


class ResBlock(nn.Module):
    """x + gain f(x), with f four convolutions through a quarter of the channels.

    Args:
        inputs, outputs: channels.
        kernels: of the four.
        layers: blocks in the whole net; the gain is 1 / layers^2.
    """

    def __init__(self, inputs: int, outputs: int, kernels: tuple, layers: int):
        super().__init__()
        inner = outputs // 4
        widths = (inputs, inner, inner, inner, outputs)
        self.convs = nn.ModuleList(
            Conv(*pair) for pair in zip(widths, widths[1:], kernels, strict=False)
        )
        self.path = Conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.gain = layers**-2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Each convolution after a ReLU."""
        y = x
        for conv in self.convs:
            y = conv(F.relu(y))
        return self.path(x) + self.gain * y


def _encoder(c: DVAEConfig) -> nn.Sequential:
    parts, width = [nn.PixelUnshuffle(c.fold)], c.hidden
    parts.append(Conv(3 * c.fold**2, width, c.kernel))
    for group in range(c.groups):
        outputs = c.hidden * 2**group
        for _ in range(c.blocks):
            parts.append(ResBlock(width, outputs, (3, 3, 3, 1), c.groups * c.blocks))
            width = outputs
        if group < c.groups - 1:
            parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, nn.ReLU(), Conv(width, c.codes, 1))


def _decoder(c: DVAEConfig) -> nn.Sequential:
    parts, width = [Conv(c.codes, c.init, 1)], c.init
    for group in reversed(range(c.groups)):
        outputs = c.hidden * 2**group
        for _ in range(c.blocks):
            parts.append(ResBlock(width, outputs, (1, 3, 3, 3), c.groups * c.blocks))
            width = outputs
        if group:
            parts.append(nn.Upsample(scale_factor=2, mode="nearest"))
    parts += [nn.ReLU(), Conv(width, 6 * c.fold**2, 1)]
    return nn.Sequential(*parts, nn.PixelShuffle(c.fold))


class DVAE(Model):
    """Encoder to scores over codes, a relaxed choice, decoder to a density of pixels.

    Example:
        >>> model = DVAE.from_preset("tiny").eval()
        >>> image = DVAE.example_batch(model.config, 2)["image"]
        >>> codes = model.encode(image)
        >>> codes.shape, model.decode(codes).shape
        (torch.Size([2, 4]), torch.Size([2, 3, 8, 8]))
    """

    PRESETS = {
        "tiny": DVAEConfig(
            image_size=8, fold=2, kernel=3, groups=2, blocks=1, hidden=16, init=16,
            codes=12, beta=0.1,
        ),
        "large-object": DVAEConfig(
            image_size=16, fold=2, kernel=1, groups=1, hidden=128, init=64, codes=256,
            beta=0.1,
        ),
        "shapes": DVAEConfig(
            image_size=32, fold=4, kernel=1, groups=1, hidden=128, init=64, codes=256,
            beta=0.1, warm=0.5,
        ),
        "released": DVAEConfig(),
    }  # fmt: skip
    STAGES = (("decoder",), ("main",))
    LEARNED = {"decoder": 0.9, "main": 0.9}

    def __init__(self, config: DVAEConfig):
        super().__init__(config)
        self.encoder, self.decoder = _encoder(config), _decoder(config)
        nn.init.normal_(self.decoder[0].weight)
        # set by whoever trains, step by step: see `annealed`
        self.register_buffer("tau", torch.tensor(float(config.warm)))

    @torch.no_grad()
    def begin(
        self, image: Float[Tensor, "b 3 h w"], *, sure: float | int = 20.0
    ) -> None:
        """Let each code start as a place of these pictures, and all of them differ.

        The score of a code falls with the squared distance of a place's features from
        those of the code's place. The next place is the one farthest from all so far.

        Args:
            image: with at least as many places as there are codes.
            sure: mean difference of the scores of a code's place, for this code and for
                the next best.

        Raises:
            ValueError: as `scores`; fewer places than codes.
        """
        self.scores(image)  # checks
        x = self.encoder[:-1](map_pixels(image))
        x = rearrange(x, "b c h w -> (b h w) c")
        if len(x) < self.config.codes:
            raise ValueError(
                f"image expected at least {self.config.codes} places, got {len(x)}."
            )
        rows, near = [0], torch.full((len(x),), torch.inf, device=x.device)
        for _ in range(self.config.codes - 1):
            near = torch.minimum(near, (x - x[rows[-1]]).square().sum(1))
            rows.append(int(near.argmax()))
        found = x[rows]
        apart = torch.cdist(found, found).square().fill_diagonal_(torch.inf)
        scale = sure / apart.amin(1).mean()
        # -scale |x - found|^2, without the part that is the same for all codes
        last = self.encoder[-1]
        last.weight.copy_(rearrange(2 * scale * found, "k c -> k c 1 1"))
        last.bias.copy_(-scale * found.square().sum(1))

    def learners(self, phase: str = "main") -> list[nn.Module]:
        """First the decoder alone learns what the codes stand for."""
        return [self.decoder] if phase == "decoder" else [self]

    def scores(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k h2 w2"]:
        """How well each code fits each place of the grid.

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
        return self.encoder(map_pixels(image))

    def density(self, one_hot: Float[Tensor, "b k h w"]) -> Density:
        """What the decoder makes of codes, sure ones or mixtures."""
        mean, log_scale = self.decoder(one_hot).chunk(2, 1)
        return Density(mean, log_scale.clamp(min=LEAST_LOG_SCALE))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The negative evidence bound in nats, for one pixel value.

        Args:
            batch: `image (b, 3, h, w)`.
            phase: one loss for both.
            generator: of the Gumbel noise.
        """
        scores = self.scores(batch["image"])
        soft = gumbel_softmax(scores, self.tau, generator=generator)
        x = map_pixels(batch["image"])
        # sums over pixels and over places, the mean over pictures
        pixels = -log_density(x, *self.density(soft)).sum((1, 2, 3)).mean()
        kl = kl_to_uniform(scores).sum((1, 2)).mean()
        values = x[0].numel()
        total = (pixels + self.config.beta * kl) / values
        return {"loss": total, "pixels": pixels / values, "kl": kl}

    def encode(self, image: Float[Tensor, "b 3 h w"]) -> Int[Tensor, "b n"]:
        """The likeliest code of each place, in reading order; errors as `scores`."""
        return self.scores(image).argmax(1).flatten(1)

    def decode(self, codes: Tensor) -> Float[Tensor, "b 3 h w"]:
        """Pictures in [-1, 1] of codes (b, n): the density's middle, sigmoid(mean).

        Raises:
            ValueError: another number of codes than the grid has places, or an unknown
                one.
        """
        grid = self.config.grid
        check_integers("codes", codes, 0, self.config.codes - 1)
        if codes.ndim != 2 or codes.shape[1] != grid**2:
            raise ValueError(
                f"codes expected shape (b, {grid**2}), got {tuple(codes.shape)}."
            )
        one_hot = F.one_hot(codes.long(), self.config.codes).to(self.tau.dtype)
        one_hot = rearrange(one_hot, "b (h w) k -> b k h w", h=grid)
        return unmap_pixels(torch.sigmoid(self.density(one_hot).mean))

    def cool(self, step: int, steps: int) -> None:
        """Set the temperature of a step; for `watch` of `fit`.

        Raises:
            ValueError: no steps.
        """
        check_number("steps", steps, 1, whole=True)
        ends = {"warm": self.config.warm, "cold": self.config.cold}
        self.tau.fill_(annealed(step + 1, steps, **ends))

    @classmethod
    def example_batch(cls, config: DVAEConfig, n: int, *, generator=None) -> dict:
        """Random pictures."""
        side = config.image_size
        image = torch.rand(n, 3, side, side, generator=generator)
        return {"image": 2 * image - 1}
