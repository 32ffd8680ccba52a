"""Pictures whose answer lies in places: two discs, and patches dealt to others.

`two_discs` asks which of two is left, `permuted` gives every picture the same new order
of its patches. `recipes/vit.py` and its chapter draw both.
"""

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.models.vit import patches

GRID, PATCH = 6, 4  # 6 x 6 patches of 4 pixels, in a picture of 24 x 24
COLORS = torch.tensor([[0.7, -0.7, -0.7], [-0.7, -0.7, 0.7]])  # red, blue


def two_discs(
    n: int, seed: int, *, side: int = GRID * PATCH, noise: float = 0.08
) -> tuple[Float[Tensor, "n 3 h w"], Int[Tensor, " n"]]:
    """A red and a blue disc on noisy gray; the label is 1 where the red one is left.

    One disc lies in the upper half, the other in the lower one, so that no patch shows
    both. Picture n / 2 + i is picture i with both halves turned around, each by whole
    patches, until the discs have exchanged their columns: the very same patches, noise
    included, and the other answer.

    Args:
        n: how many, an even number.
        seed: of the pictures.
        side: pixels; the same scenes at a higher resolution are drawn with fresh noise.
        noise: standard deviation, in a range of 2.

    Raises:
        ValueError: an odd number, or a side that `GRID` does not divide.
    """
    check_number("n", n, 2, whole=True)
    if n % 2 or side % (2 * GRID):
        raise ValueError(
            f"expected an even n and a side that {2 * GRID} divides, got {n}, {side}."
        )
    g, half = generator(seed), n // 2
    column = 1 + torch.rand(half, 4, generator=g).argsort(1)[:, :2]
    row = torch.where(torch.rand(half, 1, generator=g) < 0.5, 1, 4)
    row = torch.cat([row, 5 - row], 1)
    center = torch.stack([column, row], -1) + torch.rand(half, 2, 2, generator=g)
    radius = (2 + torch.rand(half, 2, generator=g)) / PATCH
    image = _drawn(center * side / GRID, radius * side / GRID, side)
    image = image + noise * torch.randn(image.shape, generator=g)
    move = (column[:, 1] - column[:, 0]) * (side // GRID)  # of the red disc
    other = _turned(image, torch.where(row[:, 0] == 1, move, -move))
    label = (column[:, 0] < column[:, 1]).long()
    return torch.cat([image, other]).clamp(-1, 1), torch.cat([label, 1 - label])


def _drawn(center: Tensor, radius: Tensor, side: int) -> Tensor:
    place = torch.arange(side) + 0.5
    x, y = center[..., None, None].unbind(2)
    away = ((place - x).square() + (place[:, None] - y).square()).sqrt()
    cover = (radius[..., None, None] - away + 0.5).clamp(0, 1)
    # they never meet, so the order does not matter
    return torch.einsum("nkhw,kc->nchw", cover, COLORS)


def _turned(image: Tensor, move: Tensor) -> Tensor:
    """The upper half moved to the right, the lower one as far to the left."""
    side = image.shape[-1]
    upper = torch.arange(side)[:, None] < side // 2
    source = torch.arange(side) - torch.where(
        upper, move[:, None, None], -move[:, None, None]
    )
    return image.gather(3, (source % side)[:, None].expand_as(image))


def permuted(
    image: Float[Tensor, "b c h w"], order: Int[Tensor, " n"], patch: int = PATCH
) -> Float[Tensor, "b c h w"]:
    """Pictures whose i-th patch is what the `order[i]`-th one was.

    Raises:
        ValueError: an order that is no permutation of the patches.
    """
    tokens = patches(image, patch)
    if not torch.equal(order.sort()[0], torch.arange(tokens.shape[1])):
        raise ValueError(
            f"expected an order of {tokens.shape[1]} patches, got {order.tolist()}."
        )
    pattern = "b (rows columns) (c p q) -> b c (rows p) (columns q)"
    sides = {"rows": image.shape[2] // patch, "p": patch, "q": patch}
    return rearrange(tokens[:, order], pattern, **sides)


def roughness(image: Float[Tensor, "b c h w"], patch: int = PATCH) -> float:
    """Mean step between neighboring pixels of two patches; high where none fit."""
    across = (image[..., patch::patch] - image[..., patch - 1 : -1 : patch]).abs()
    down = (image[..., patch::patch, :] - image[..., patch - 1 : -1 : patch, :]).abs()
    return ((across.mean() + down.mean()) / 2).item()
