"""A world of points in the plane whose best denoiser and classifier are known exactly.

Group 0 is one round cloud. Group 1 is two: a near one that touches group 0, and a far
one. So what a net can only learn, noise, classes and guidance, can here be computed.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.nn.diffusion import Diffusion

MEANS = torch.tensor([[-0.6, -0.1], [-0.1, -0.1], [0.6, 0.4]])
GROUP = torch.tensor([0, 1, 1])
SHARE = torch.tensor([0.5, 0.25, 0.25])
SD = 0.12


def draw(
    n: int, *, generator: torch.Generator | None = None
) -> tuple[Float[Tensor, "n 2"], Int[Tensor, " n"]]:
    """Points and their groups."""
    which = torch.multinomial(SHARE, n, True, generator=generator)
    return MEANS[which] + SD * torch.randn(n, 2, generator=generator), GROUP[which]


def log_density(
    process: Diffusion, x: Float[Tensor, "b 2"], step: Int[Tensor, " b"]
) -> Float[Tensor, "b 3"]:
    """Log of the share of each cloud in the density of noisy points."""
    signal, spread = process.at(step, x)
    variance = signal**2 * SD**2 + spread**2
    distance = (x[:, None] - signal[..., None] * MEANS).square().sum(2)
    return SHARE.log() - distance / 2 / variance - (2 * torch.pi * variance).log()


def best(process: Diffusion, group: int | None = None) -> Callable:
    """(x, step) -> what the best net says of points, of all or of one group's."""

    def said(x, step):
        signal, spread = process.at(step, x)
        log_p = log_density(process, x, step)
        if group is not None:
            log_p = log_p.masked_fill(group != GROUP, -torch.inf)
        weight = log_p.softmax(1)
        # each cloud's best guess lies between its center and the point
        share = signal * SD**2 / (signal**2 * SD**2 + spread**2)
        guess = MEANS + share[..., None] * (x[:, None] - signal[..., None] * MEANS)
        x0 = (weight[..., None] * guess).sum(1)
        noise = (x - signal * x0) / spread
        return process.goal(x0, step, noise)

    return said


def classifier(process: Diffusion, group: int) -> Callable:
    """(x, step) -> log of the probability that noisy points are of a group."""

    def log_p(x, step):
        every = log_density(process, x, step)
        own = every.masked_fill(group != GROUP, -torch.inf)
        return own.logsumexp(1) - every.logsumexp(1)

    return log_p


def walk(
    process: Diffusion,
    net: Callable,
    x: Float[Tensor, "b 2"],
    *,
    steps: int,
    eta: float | int = 0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "s b 2"]:
    """The places of points on their way out of noise; the last is where they end."""
    places = []
    how = {"steps": steps, "eta": eta, "generator": generator}
    watch = {"watch": lambda step, x, x0: places.append(x.clone())}
    end = process.sample(net, x, settle=lambda x0: x0, **watch, **how)
    return torch.stack([*places, end])


def shares(x: Float[Tensor, "b 2"]) -> list[float]:
    """How many of the points are nearest to each cloud, as shares."""
    return (nearest(x).bincount(minlength=3) / len(x)).tolist()


def nearest(x: Float[Tensor, "b 2"]) -> Int[Tensor, " b"]:
    """The number of the cloud whose center is nearest."""
    return torch.cdist(x, MEANS).argmin(1)


def unscaled(steps: int) -> Diffusion:
    """A wrong chain: `steps` of DDPM's betas for a thousand, so that much is left."""
    process = Diffusion("linear", steps)
    beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    process.table = alpha_bar.tolist()
    process.alpha_bar = alpha_bar.float()
    process.signal = process.alpha_bar.sqrt()
    process.spread = (1 - process.alpha_bar).sqrt()
    return process
