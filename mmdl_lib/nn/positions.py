"""Where a token stands: vectors to add, terms for the scores, rotations."""

import math

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn


class LearnedPositions(nn.Module):
    """A learned vector for each position (Gehring et al. 2017, 1705.03122, 3.1).

    Args:
        count: how many positions there are.
        width: channels of each.
        std: of the normal distribution that the vectors start from.
    """

    def __init__(self, count: int, width: int, *, std: float = 0.02):
        super().__init__()
        self.table = nn.Parameter(std * torch.randn(count, width))

    def forward(self, n: int, *, start: int = 0) -> Float[Tensor, "n d"]:
        """The vectors of positions `start` to `start + n - 1`.

        Raises:
            ValueError: there are not that many.
        """
        if start < 0 or start + n > len(self.table):
            raise ValueError(
                f"expected positions from 0 to {len(self.table) - 1}, got "
                f"{start} to {start + n - 1}."
            )
        return self.table[start : start + n]


def sinusoidal(
    positions: Int[Tensor, "*n"] | Float[Tensor, "*n"],
    width: int,
    *,
    base: float | int = 1e4,
) -> Float[Tensor, "*n d"]:
    """Fixed waves of `width / 2` lengths, from 2 pi to about 2 pi base.

    The vector of position + k is a rotation of that of position, the same for all
    positions. Sine and cosine of one length stand side by side, as in the paper; other
    code has all sines first (`sinusoidal_2d` too).

    Args:
        positions: whole or broken numbers, from zero on.
        width: channels, an even number.
        base: of the lengths, 10000 in the paper.

    Raises:
        ValueError: an odd width.

    Source: Vaswani et al. 2017 (1706.03762), section 3.5.
    """
    return rearrange(_waves(positions, width, base), "two ... d -> ... (d two)")


def sinusoidal_2d(grid: tuple[int, int], width: int) -> Float[Tensor, "n d"]:
    """One fixed vector for each place of a grid, in reading order.

    The first half tells the column and the second the row; in each, all sines come
    before all cosines. So it is in the released code of MAE (He et al. 2022,
    2111.06377), whose paper only says "sine-cosine".

    Args:
        grid: rows and columns.
        width: channels, a multiple of four.

    Raises:
        ValueError: another width.
    """
    if width % 4:
        raise ValueError(f"expected a width that 4 divides, got {width}.")
    rows, columns = (
        rearrange(_waves(torch.arange(n), width // 2, 1e4), "two n d -> n (two d)")
        for n in grid
    )
    columns = repeat(columns, "w d -> (h w) d", h=grid[0])
    return torch.cat([columns, repeat(rows, "h d -> (h w) d", w=grid[1])], -1)


def _waves(
    positions: Tensor, width: int, base: float | int
) -> Float[Tensor, "two *n d"]:
    if width % 2:
        raise ValueError(f"expected an even width, got {width}.")
    # PE(pos, 2i) = sin(pos / 10000^(2i / d)), PE(pos, 2i + 1) = cos(the same)
    exponent = torch.arange(0, width, 2, device=positions.device) / width
    angle = positions[..., None] * base**-exponent
    return torch.stack([angle.sin(), angle.cos()])


def relative_bucket(
    distance: Int[Tensor, "*n"], *, buckets: int, farthest: int, both_sides: bool
) -> Int[Tensor, "*n"]:
    """Sort distances into buckets that grow with the distance.

    Half of the buckets of a side hold one distance each, the others grow by a constant
    factor up to `farthest`; the last one holds all beyond.

    Args:
        distance: position of the key minus that of the query.
        buckets: how many there are, for both sides together.
        farthest: distance at which the last bucket begins to hold everything.
        both_sides: keys after the query have half of the buckets for themselves;
            else they share bucket 0 with the query's own place.

    Source: Raffel et al. 2020 (1910.10683), section 2.1, and its released code.
    """
    offset = torch.zeros_like(distance)
    if both_sides:
        buckets //= 2
        offset = buckets * (distance > 0)
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    near = buckets // 2
    growth = math.log(farthest / near)
    # the smaller ones are looked up below; the clamp keeps the logarithm finite
    far = torch.log(distance.clamp(min=near) / near) / growth * (buckets - near)
    far = (near + far.to(distance.dtype)).clamp(max=buckets - 1)
    return offset + torch.where(distance < near, distance, far)


class RelativeBias(nn.Module):
    """A learned number for each head and bucket of distances, added to the scores.

    Give the result to `MultiHeadAttention` as `relative=`; T5 shares one table among
    all layers of a stack. Source as in `relative_bucket`.

    Args:
        heads: of the attention.
        buckets: how many numbers a head has.
        farthest: distance from which on all are alike.
        both_sides: True in an encoder; False where attention is causal.
    """

    def __init__(
        self, heads: int, *, buckets: int = 32, farthest: int = 128, both_sides: bool
    ):
        super().__init__()
        self.farthest, self.both_sides = farthest, both_sides
        self.table = nn.Embedding(buckets, heads)

    def forward(self, queries: int, keys: int) -> Float[Tensor, "1 heads n m"]:
        """The terms for the last `queries` of `keys` positions."""
        place = torch.arange(keys, device=self.table.weight.device)
        distance = place - place[keys - queries :, None]
        bucket = relative_bucket(
            distance,
            buckets=self.table.num_embeddings,
            farthest=self.farthest,
            both_sides=self.both_sides,
        )
        return rearrange(self.table(bucket), "n m heads -> 1 heads n m")


class Rotary(nn.Module):
    """Turn each pair of channels by an angle that grows with the position.

    The product of a turned query and a turned key depends on the difference of their
    positions only. A pair stands side by side, as in the paper; code for GPT-NeoX and
    Llama pairs channel i with i + d / 2, the same up to the order of the channels.

    Args:
        base: of the wave lengths, 10000 in the paper.

    Source: Su et al. 2021 (2104.09864), section 3.2.2, eq. (34).
    """

    def __init__(self, *, base: float = 1e4):
        super().__init__()
        self.base = base

    def forward(
        self, x: Float[Tensor, "*b n d"], start: int = 0
    ) -> Float[Tensor, "*b n d"]:
        """Queries or keys of one head at positions `start`, `start + 1`, ...

        Raises:
            ValueError: an odd number of channels.
        """
        place = torch.arange(start, start + x.shape[-2], device=x.device)
        sine, cosine = _waves(place, x.shape[-1], self.base).to(x.dtype)
        one, two = x[..., 0::2], x[..., 1::2]
        # eq. (34): the pair (x1, x2) turned by m theta_i
        turned = torch.stack([one * cosine - two * sine, one * sine + two * cosine], -1)
        return rearrange(turned, "... d two -> ... (d two)")
