"""Reading pictures of the shapes world back: what stands where, by a fixed program.

A generated picture can be scored only if somebody says what it shows. In this world no
trained network has to be asked. Grounds are gray and objects are not, so an object is a
connected patch of color. Its color is the direction in which its pixels leave the gray
axis, which texture (a mix with white) does not change. Its shape and size are those of
the drawn outline that overlaps best. The tests say how well this reads drawn pictures.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_image
from mmdl_lib.data._pixels import check_bytes
from mmdl_lib.data.shapes import drawing
from mmdl_lib.data.shapes.drawing import COLORS, RADIUS, RGB, SHAPES, SIZES

STYLES_READ = ("default", "night", "gradient", "checker")
WINDOW = 23  # pixels around a patch; the largest object has 16
# of an outline's center from a patch's middle
SHIFTS = torch.arange(-3, 3.1, 0.5, dtype=torch.float32, device="cpu")
COLORED = 0.36  # of a color's distance from the gray axis; texture leaves 0.45 of it
LEAST = 10  # pixels of a patch that counts


class Seen(NamedTuple):
    """One object as read from a picture; its center in pixels of a 32 x 32 picture."""

    shape: str
    color: str
    size: str
    x: float
    y: float
    overlap: float  # with the best outline, intersection over union in [0, 1]


@dataclass(frozen=True)
class _Outlines:
    """What `drawing.coverage` asks of scenes."""

    shape: Int[Tensor, "b 4"]
    size: Int[Tensor, "b 4"]
    center: Float[Tensor, "b 4 2"]
    present: Bool[Tensor, "b 4"]
    style: str = "default"

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def radius(self) -> Float[Tensor, "b 4"]:
        return self.center.new_tensor(RADIUS)[self.size]


def read(image: Tensor) -> list[list[Seen]]:
    """The objects of each picture, from left to right.

    Args:
        image: (b, 3, h, w) square pictures, uint8 in [0, 255] or floats in [-1, 1], of
            a style in `STYLES_READ`: noise is colored and outlines are no patches.

    Raises:
        ValueError: another shape, another type, or floats outside [-1, 1].
    """
    seen = color_map(image)
    picture, patch = _patches(seen)
    found = [[] for _ in range(len(image))]
    if len(picture):
        color = torch.where(patch, seen[picture], -1).amax((1, 2))
        rows = zip(picture.tolist(), color.tolist(), *_fit(patch), strict=True)
        for number, color, shape, size, x, y, overlap in rows:
            names = SHAPES[shape], COLORS[color], SIZES[size]
            found[number].append(Seen(*names, x, y, overlap))
    return [sorted(seen, key=lambda thing: thing.x) for seen in found]


def color_map(image: Tensor) -> Int[Tensor, "b 32 32"]:
    """Index into `COLORS` of each pixel at 32 x 32, -1 where there is ground.

    Args and errors as in `read`.
    """
    if image.is_floating_point():
        check_image(image)
    else:
        check_bytes(image)
    if image.shape[1] != 3 or image.shape[2] != image.shape[3]:
        raise ValueError(
            f"image expected square pictures of shape (b, 3, h, h), got "
            f"{tuple(image.shape)}."
        )
    pixels = (
        image.float() if image.dtype == torch.uint8 else (image.float() + 1) * 127.5
    )
    if pixels.shape[-1] != 32:
        pixels = F.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
    from_gray = pixels - pixels.mean(1, keepdim=True)
    hues = (RGB - RGB.float().mean(1, keepdim=True)).to(pixels)
    length = hues.norm(dim=1)
    unit = (hues / length[:, None])[..., None, None]
    # no product of matrices, whose rounding is a global setting
    hue = sum(unit[:, c] * from_gray[:, None, c] for c in range(3)).argmax(1)
    solid = from_gray.norm(dim=1) > COLORED * length[hue]
    return torch.where(solid, hue, -1)


def _patches(color: Int[Tensor, "b 32 32"]) -> tuple[Tensor, Tensor]:
    """Connected patches of one color: number of the picture (m,), mask (m, 32, 32).

    Args:
        color: -1 for the ground.
    """
    solid = color >= 0
    label = torch.arange(1, 1025, device=color.device).reshape(32, 32) * solid
    below = solid[:, 1:] & (color[:, 1:] == color[:, :-1])
    right = solid[:, :, 1:] & (color[:, :, 1:] == color[:, :, :-1])
    while True:  # the largest number of a patch spreads to its neighbors
        before = label.clone()
        high = torch.maximum(label[:, 1:], label[:, :-1]) * below
        label[:, 1:] = torch.maximum(label[:, 1:], high)
        label[:, :-1] = torch.maximum(label[:, :-1], high)
        high = torch.maximum(label[:, :, 1:], label[:, :, :-1]) * right
        label[:, :, 1:] = torch.maximum(label[:, :, 1:], high)
        label[:, :, :-1] = torch.maximum(label[:, :, :-1], high)
        if torch.equal(label, before):
            break
    number = torch.arange(len(label), device=label.device)[:, None, None]
    keys = torch.where(solid, 1025 * number + label, -1)
    keys, count = keys.unique(return_counts=True)
    keys = keys[(keys >= 0) & (count >= LEAST)]
    picture = keys // 1025
    return picture, label[picture] == (keys % 1025)[:, None, None]


def _fit(patch: Bool[Tensor, "m 32 32"]) -> list[list]:
    """Shape, size, center x, center y and overlap of the best outline of each patch."""
    corner = torch.stack([_middle(patch.any(1)), _middle(patch.any(2))], 1)
    corner = corner.floor().long() - WINDOW // 2  # x, y of the window's first pixel
    around = F.pad(patch, [WINDOW] * 4)
    span = torch.arange(WINDOW, device=patch.device) + WINDOW
    x, y = (corner[:, i, None] + span for i in (0, 1))
    many = torch.arange(len(patch), device=patch.device)[:, None, None]
    window = around[many, y[..., None], x[:, None]].flatten(1).float()
    outline, kind, center = (part.to(patch.device) for part in _outlines())
    both = window @ outline.T
    either = window.sum(1, keepdim=True) + outline.sum(1) - both
    overlap, best = (both / either).max(1)
    place = corner + center[best]
    return [
        (kind[best] % 8).tolist(),
        (kind[best] // 8).tolist(),
        *place.T.tolist(),
        overlap.tolist(),
    ]


def _middle(hit: Bool[Tensor, "m 32"]) -> Float[Tensor, " m"]:
    """Middle between the first and the last hit, in pixels from the edge."""
    first = hit.float().argmax(1)
    last = 32 - hit.flip(1).float().argmax(1)
    return (first + last) / 2


@lru_cache(maxsize=1)
def _outlines() -> tuple[Tensor, Tensor, Tensor]:
    """All shapes, sizes and shifts: masks (k, window²), kinds (k,), centers (k, 2)."""
    # a number of a size and a shape
    kinds = torch.arange(24, dtype=torch.float32, device="cpu")
    kind, *place = torch.cartesian_prod(kinds, SHIFTS, SHIFTS).unbind(1)
    kind, center = kind.long(), torch.stack(place, 1) + WINDOW / 2
    cover = drawing.coverage(
        _Outlines(
            shape=(kind % 8)[:, None].expand(-1, 4),
            size=(kind // 8)[:, None].expand(-1, 4),
            center=center[:, None].expand(-1, 4, -1),
            present=(torch.arange(4, device="cpu") < 1).expand(len(kind), 4),
        ),
        32,
    )
    mask = cover[:, 0, :WINDOW, :WINDOW] > 0.4
    return rearrange(mask, "k h w -> k (h w)").float(), kind, center
