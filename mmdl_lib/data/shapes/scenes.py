"""Scenes of the shapes world: drawing them by seed and asking where things are.

Lengths are in pixels of a 32 x 32 picture whatever the resolution; y grows downwards.
The user's door is `mmdl_lib.data.shapes`, which also explains the world.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib.data.shapes import drawing
from mmdl_lib.data.shapes.drawing import COLORS, RADIUS, SHAPES, SIZES, STYLES, TEXTURES
from mmdl_lib.data.shapes.reading import Seen, read

RELATIONS = ("left of", "right of", "above", "below")
HELD_OUT = tuple((COLORS[i], SHAPES[(3 * i + 1) % 8]) for i in range(8))
LABELS = {
    "shape": SHAPES,
    "color": COLORS,
    "pair": tuple(f"{color} {shape}" for color in COLORS for shape in SHAPES),
}


class Thing(NamedTuple):
    """One object in words; its center in pixels of a 32 x 32 picture."""

    shape: str
    color: str
    size: str
    texture: str
    x: float
    y: float


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes; object slots beyond `count` hold values that are not drawn."""

    count: Int[Tensor, " b"]
    shape: Int[Tensor, "b 4"]
    color: Int[Tensor, "b 4"]
    size: Int[Tensor, "b 4"]
    texture: Int[Tensor, "b 4"]
    center: Float[Tensor, "b 4 2"]  # x, y
    row: Int[Tensor, " b"]  # number of the scene in its sample
    style: str
    seed: int

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, index) -> "Scenes":
        """Scenes of a number, a slice, a list or a tensor of indices."""
        if isinstance(index, int):  # one scene is a batch of one
            index = [index]
        return self._each(lambda values: values[index])

    def to(self, device) -> "Scenes":
        """The same scenes on another device."""
        return self._each(lambda values: values.to(device))

    def _each(self, function) -> "Scenes":
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors = {k: function(v) for k, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **tensors)

    @property
    def present(self) -> Bool[Tensor, "b 4"]:
        """Which object slots are drawn."""
        return torch.arange(4, device=self.count.device) < self.count[:, None]

    def things(self) -> list[list[Thing]]:
        """The objects of each scene, in words."""
        parts = (self.shape, self.color, self.size, self.texture, self.center)
        rows = zip(self.count.tolist(), *(part.tolist() for part in parts), strict=True)
        return [
            [
                Thing(SHAPES[s], COLORS[c], SIZES[z], TEXTURES[t], *at)
                for s, c, z, t, at in zip(*row, strict=True)
            ][:count]
            for count, *row in rows
        ]

    def boxes(self) -> Float[Tensor, "b 4 4"]:
        """Boxes (x0, y0, x1, y1) of the circle that encloses each object."""
        radius = torch.tensor(RADIUS).to(self.center.device)[self.size][..., None]
        return torch.cat([self.center - radius, self.center + radius], -1)

    def render(self, resolution: int = 32, device=None) -> UInt8[Tensor, "b 3 h w"]:
        """Anti-aliased pictures; pixels 0 to 255; equal scenes give equal bytes.

        Args:
            resolution: height and width of the pictures.
            device: where to draw; the scenes' own by default.

        Raises:
            ValueError: a resolution below 16.
        """
        _check(resolution)
        scenes = self if device is None else self.to(device)
        step = max(1, drawing.CHUNK * 32 * 32 // resolution**2)
        chunks = [scenes[i : i + step] for i in range(0, len(self), step)]
        return torch.cat([drawing.draw(chunk, resolution) for chunk in chunks])

    def coverage(self, resolution: int = 32) -> Float[Tensor, "b 4 h w"]:
        """Share of each pixel that each object covers, in [0, 1], overlaps ignored."""
        return drawing.coverage(self, _check(resolution))

    def instance_masks(self, resolution: int = 32) -> Bool[Tensor, "b 4 h w"]:
        """Pixels that each object shows; a later object hides an earlier one."""
        solid = self.coverage(resolution) > 0.5
        later = solid.flip(1).cumsum(1).flip(1) - solid.long()
        return solid & (later == 0)

    def semantic_masks(self, resolution: int = 32) -> Int[Tensor, "b h w"]:
        """Each pixel's class: 0 for the ground, i + 1 for the shape `SHAPES[i]`."""
        masks = self.instance_masks(resolution)
        return (masks * (self.shape + 1)[..., None, None]).sum(1)

    def seen_in(self, image: Tensor) -> list[list[Seen]]:
        """What pictures of such scenes really show; see `reading.read`."""
        return read(image)

    def multi_labels(self, of: str = "shape") -> Bool[Tensor, "b k"]:
        """Which classes of `LABELS[of]` the scene holds; of: shape, color or pair.

        Raises:
            ValueError: an unknown kind of class.
        """
        if of not in LABELS:
            raise ValueError(f"expected labels of {', '.join(LABELS)}, got {of!r}.")
        index = {
            "shape": self.shape,
            "color": self.color,
            "pair": 8 * self.color + self.shape,
        }[of]
        hit = index[..., None] == torch.arange(len(LABELS[of]), device=index.device)
        return (hit & self.present[..., None]).any(1)


def sample(
    n: int,
    *,
    seed: int,
    objects: int | tuple[int, int] = (1, 4),
    held_out: str = "exclude",
    style: str = "default",
) -> Scenes:
    """Draw scenes; the same arguments give the same scenes.

    Args:
        n: how many.
        seed: of the scenes.
        objects: how many objects, or the smallest and largest number.
        held_out: "exclude" keeps the pairs of `HELD_OUT` away, "only" draws nothing
            else, "include" makes no difference between pairs.
        style: one of `STYLES`.

    Raises:
        ValueError: an argument outside these ranges.
    """
    low, high = (objects, objects) if isinstance(objects, int) else objects
    if n < 1 or not 1 <= low <= high <= 4:
        raise ValueError(
            f"expected n >= 1 and one to four objects, got n={n}, objects={objects}."
        )
    if style not in STYLES or held_out not in ("exclude", "only", "include"):
        raise ValueError(
            f"expected a style of {STYLES} and held_out of exclude, only or include, "
            f"got {style!r} and {held_out!r}."
        )
    g = torch.Generator().manual_seed(seed)
    count = torch.randint(low, high + 1, (n,), generator=g)
    color, shape = torch.randint(8, (2, n, 4), generator=g)
    barred = (3 * color + 1) % 8
    if held_out == "only":
        shape = barred
    elif held_out == "exclude":
        shift = torch.randint(1, 8, (n, 4), generator=g)
        shape = torch.where(shape == barred, (shape + shift) % 8, shape)
    size, texture = torch.randint(3, (2, n, 4), generator=g)
    # three or four objects fit only when all are small
    size = torch.where(count[:, None] > 2, 0, size)
    center = _place(count, torch.tensor(RADIUS)[size], g)
    row = torch.arange(n)
    return Scenes(count, shape, color, size, texture, center, row, style, seed)


def _place(count: Tensor, radius: Tensor, g: torch.Generator) -> Tensor:
    """Centers such that no two objects touch and the first two stand clearly."""
    center = torch.zeros(len(count), 4, 2)
    for k in range(1, 5):
        one, other = torch.combinations(torch.arange(k)).T
        todo = (count == k).nonzero()[:, 0]
        while len(todo):
            # two large objects seldom fit, so the last few scenes try many at once
            tries = max(1, 4096 // len(todo))
            rows = todo.repeat_interleave(tries)
            r = radius[rows, :k]
            span = (32 - 2 * r)[..., None]
            trial = r[..., None] + span * torch.rand(len(rows), k, 2, generator=g)
            dx, dy = (trial[:, one] - trial[:, other]).abs().unbind(-1)
            reach = r[:, one] + r[:, other]
            good = (dx * dx + dy * dy >= reach * reach).all(1)
            if k > 1:
                dx, dy = dx[:, 0], dy[:, 0]
                good &= (dx >= 2 * dy) | (dy >= 2 * dx)
            good = good.reshape(-1, tries)
            first = (good & (good.cumsum(1) == 1)).reshape(-1)
            center[rows[first], :k] = trial[first]
            todo = todo[~good.any(1)]
    return center


def _check(resolution: int) -> int:
    if resolution < 16:
        raise ValueError(f"expected a resolution of at least 16, got {resolution}.")
    return resolution


def to_float(image: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Pixels 0..255 to [-1, 1], the range that all models take."""
    return image.float() / 127.5 - 1


def relation(scenes: Scenes) -> Int[Tensor, " b"]:
    """Index into `RELATIONS` of the first object's place seen from the second."""
    dx, dy = (scenes.center[:, 0] - scenes.center[:, 1]).unbind(-1)
    sideways = torch.where(dx < 0, 0, 1)
    return torch.where(dx.abs() > dy.abs(), sideways, torch.where(dy < 0, 2, 3))


def place(one: Thing, other: Thing) -> str | None:
    """The relation of one object to another; None where it is nearly diagonal."""
    dx, dy = one.x - other.x, one.y - other.y
    if abs(dx) >= 2 * abs(dy):
        return RELATIONS[0] if dx < 0 else RELATIONS[1]
    if abs(dy) >= 2 * abs(dx):
        return RELATIONS[2] if dy < 0 else RELATIONS[3]
    return None
