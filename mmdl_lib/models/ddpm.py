"""DDPM: a net learns to say the noise in a picture; without the noise, again and again.

**Paper** Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS 2020,
arXiv 2006.11239. Its two followers in this file: Song, Meng, Ermon, "Denoising
Diffusion Implicit Models", ICLR 2021, arXiv 2010.02502 (`eta`); Dhariwal, Nichol,
"Diffusion Models Beat GANs on Image Synthesis", NeurIPS 2021, arXiv 2105.05233
(`toward`, guidance by another net's gradient).

**Book** `sec-glide`

**Symbols**
- `image (b, c, h, w)` = x_0; `x` = x_t; `noise` = epsilon; `step (b,)` = t - 1
- `spread` = sqrt(1 - alpha-bar_t)
- `eta ()` = eta, the share of the chain's own noise: 1 is DDPM, 0 is DDIM
- `scale ()` = s, the strength of the guidance

**Start**
- As PyTorch does; the last layer of each block, of each attention and of the net: zero.

**Differs from the paper**
- Sines of the step: frequencies 1e4^(-i/32), in the paper's code 1e4^(-i/31) for 64.
- All steps of a batch are drawn one in each n-th of the chain, in the paper apart.
- The variance of an ancestral step is the smaller of the paper's two (beta-tilde).
- Pictures are not flipped; an exponential mean of the weights is `fit`'s business.
- The tiny preset has a short chain: its betas are larger, so that it ends in noise.

**Builds on** `nn.diffusion` (the process), `nn.unet`
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_image, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.nn.diffusion import Diffusion
from mmdl_lib.nn.unet import PatchUNetConfig, UNetConfig


@dataclass(frozen=True, kw_only=True)
class DDPMConfig(Config):
    """Hyperparameters; the defaults are the paper's for CIFAR-10."""

    net: UNetConfig | PatchUNetConfig = UNetConfig(dropout=0.1)
    image_size: int = 32
    kind: Literal["linear", "cosine"] = "linear"
    steps: int = 1000
    target: Literal["noise", "x0", "v"] = "noise"
    weight: Literal["simple", "min_snr", "capped"] = "simple"
    shift: float = 1.0


class DDPM(Model):
    """A net that undoes noise, and no text.

    Example:
        >>> model = DDPM.from_preset("tiny").eval()
        >>> model.sample(2, steps=3).shape
        torch.Size([2, 3, 8, 8])
    """

    PRESETS = {
        "tiny": DDPMConfig(
            net=UNetConfig(widths=(16, 32), blocks=1, groups=8), image_size=8, steps=50
        ),
        "small": DDPMConfig(
            net=UNetConfig(widths=(32, 64), blocks=1, groups=8),
            image_size=16, kind="cosine", steps=200,
        ),
        "small-patches": DDPMConfig(
            net=PatchUNetConfig(side=16, patch=2, widths=(48, 64)),
            image_size=16, kind="cosine", steps=200, target="x0", weight="capped",
        ),
        "cifar10": DDPMConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.9}

    def __init__(self, config: DDPMConfig):
        super().__init__(config)
        c = config
        self.diffusion = Diffusion(
            c.kind, c.steps, target=c.target, weight=c.weight, shift=c.shift
        )
        self.net = c.net.build()

    def forward(
        self, x: Float[Tensor, "b c h w"], step: Int[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """What the net says of noisy pictures."""
        return self.net(x, step)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The paper's algorithm 1: a step and noise for each picture, and the error.

        Args:
            batch: `image (b, c, h, w)`.
            phase: there is one.
            generator: of steps and noise.

        Raises:
            ValueError: no pictures in [-1, 1].
        """
        image = batch["image"]
        check_image(image)
        how = {"generator": generator, "device": image.device}
        step = self.diffusion.draw(len(image), **how)
        noise = torch.randn(image.shape, **how).to(image.dtype)
        x = self.diffusion.q_sample(image, step, noise)
        # eq. (14): |eps - eps_theta(x_t, t)|^2, each step weighed alike
        return {"loss": self.diffusion.error(self(x, step), image, step, noise)}

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        steps: int | None = None,
        eta: float | int = 1.0,
        pull: Callable[[Tensor, Tensor], Tensor] | None = None,
        scale: float | int = 1.0,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """The paper's algorithm 2: random pictures out of noise.

        Args:
            n: how many.
            steps: of the chain that are taken; all, by default.
            eta: 1 is DDPM's ancestral step, 0 DDIM's without chance.
            pull: (x, step) -> numbers (b,) that should grow, such as a log-probability.
            scale: of its pull.
            generator: of all noise.

        Raises:
            ValueError: no pictures; as `Diffusion.sample` and `toward`.
        """
        check_number("n", n, 1, whole=True)
        like = next(self.parameters())
        size, channels = self.config.image_size, self.config.net.outputs
        how = {"generator": generator, "device": like.device, "dtype": like.dtype}
        x = torch.randn(n, channels, size, size, **how)
        net = self if pull is None else toward(self, pull, self.diffusion, scale)
        steps = self.diffusion.steps if steps is None else steps
        return self.diffusion.sample(net, x, steps=steps, eta=eta, generator=generator)

    @classmethod
    def example_batch(cls, config: DDPMConfig, n: int, *, generator=None) -> dict:
        """Random pictures."""
        shape = n, config.net.outputs, config.image_size, config.image_size
        return {"image": torch.rand(shape, generator=generator) * 2 - 1}


def toward(
    net: Callable[[Tensor, Tensor], Tensor],
    pull: Callable[[Tensor, Tensor], Tensor],
    process: Diffusion,
    scale: float | int,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Guidance by a gradient: a classifier's log p(y | x_t), or CLIP's liking.

    Args:
        net: (x, step) -> what it says of x.
        pull: (x, step) -> numbers (b,), each of its own row alone.
        process: which knows what the net's output means.
        scale: of the pull; 0 is the net itself.

    Returns:
        (x, step) -> what is said after the pull, in the same words as the net's.

    Raises:
        ValueError: a negative scale.

    Source: Dhariwal and Nichol 2021 (2105.05233), algorithm 2.
    """
    check_number("scale", scale, 0)
    if scale == 0:
        return net

    def say(x, step):
        said = net(x, step)
        with torch.enable_grad():
            here = x.detach().requires_grad_()
            # rows do not hear of each other, so the sum has the gradient of each
            (gradient,) = torch.autograd.grad(pull(here, step).sum(), here)
        signal, spread = process.at(step, x)
        # algorithm 2: eps - sqrt(1 - alpha_bar) s grad log p(y | x_t)
        noise = process.noise(said, x, step) - spread * scale * gradient
        if process.target == "noise":
            return noise
        if process.target == "v":
            # x0 = (x - spread noise) / signal and v = signal noise - spread x0
            return (noise - spread * x) / signal
        return (x - spread * noise) / signal

    return say
