"""Convolutional encoder and decoder between pictures and a small grid of vectors.

One pair of nets for the autoencoders of the book (VAE, VQ-VAE, VQGAN): they differ in
what happens to the grid, not in how it comes about. A picture is cut into squares of
`factor` x `factor` pixels, each becomes a vector, and residual blocks let neighbors
talk; the decoder goes the same way back.
"""

from einops.layers.torch import Rearrange
from jaxtyping import Float
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block that keeps the grid: norm, SiLU, 3 x 3; norm, SiLU, 1 x 1."""

    def __init__(self, width: int):
        super().__init__()
        groups = next(g for g in (8, 4, 2, 1) if width % g == 0)
        self.branch = nn.Sequential(
            *(nn.GroupNorm(groups, width), nn.SiLU()),
            nn.Conv2d(width, width, 3, padding=1),
            *(nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, width, 1)),
        )

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d h w"]:
        return x + self.branch(x)


def encoder(
    channels: int, out: int, *, width: int, blocks: int, factor: int
) -> nn.Sequential:
    """A net (b, channels, h, w) -> (b, out, h / factor, w / factor)."""
    return nn.Sequential(
        Rearrange("b c (h i) (w j) -> b (c i j) h w", i=factor, j=factor),
        nn.Conv2d(channels * factor**2, width, 3, padding=1),
        *(Block(width) for _ in range(blocks)),
        nn.Conv2d(width, out, 1),
    )


def decoder(
    channels: int, inward: int, *, width: int, blocks: int, factor: int
) -> nn.Sequential:
    """The way back, (b, inward, h, w) -> (b, channels, h factor, w factor)."""
    return nn.Sequential(
        nn.Conv2d(inward, width, 3, padding=1),
        *(Block(width) for _ in range(blocks)),
        nn.Conv2d(width, channels * factor**2, 3, padding=1),
        Rearrange("b (c i j) h w -> b c (h i) (w j)", i=factor, j=factor),
    )
