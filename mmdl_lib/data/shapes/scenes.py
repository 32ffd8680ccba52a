"""Scenes of the shapes world: where things are, how they look, what they are.

Lengths are in pixels of a 32 x 32 picture whatever the resolution; y grows downwards.
The user's door is `mmdl_lib.data.shapes`, which also explains the world.
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.data.shapes import drawing
from mmdl_lib.data.shapes.drawing import (
    COLORS,
    OWN,
    RADIUS,
    RGB,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
)
from mmdl_lib.data.shapes.reading import STYLES_READ, Seen, read

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
    """A batch of scenes; object slots beyond `count` hold values that are not drawn.

    In style "own" colors have no names: `color` is -1, the fields `own_...` tell the
    looks, and `size` is the nearest of `SIZES`. In the other styles they are None.
    """

    count: Int[Tensor, " b"]
    shape: Int[Tensor, "b 4"]
    color: Int[Tensor, "b 4"]
    size: Int[Tensor, "b 4"]
    texture: Int[Tensor, "b 4"]
    center: Float[Tensor, "b 4 2"]  # x, y
    row: Int[Tensor, " b"]  # number of the scene in its sample
    style: str
    seed: int
    own_radius: Float[Tensor, "b 4"] | None = None
    own_rgb: Int[Tensor, "b 4 3"] | None = None  # 0 to 255
    own_ground: Int[Tensor, "b 3"] | None = None

    def __post_init__(self):
        check_choice("style", self.style, (*STYLES, OWN))
        if (self.style == OWN) != (self.own_rgb is not None):
            raise ValueError(
                f"style expected {OWN!r} for scenes that were sampled in it and only "
                f"for those, got {self.style!r}."
            )

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

    @property
    def radius(self) -> Float[Tensor, "b 4"]:
        """Radius of the circle that encloses each object."""
        if self.own_radius is not None:
            return self.own_radius
        return self.center.new_tensor(RADIUS)[self.size]

    @property
    def rgb(self) -> Int[Tensor, "b 4 3"]:
        """Color of each object as numbers, 0 to 255; texture mixes white into it."""
        if self.own_rgb is not None:
            return self.own_rgb
        return RGB.to(self.color.device)[self.color]

    def things(self) -> list[list[Thing]]:
        """The objects of each scene, in words.

        Raises:
            ValueError: scenes of style "own", whose colors have no names; all texts and
                questions ask here, so none of them speaks of such scenes.
        """
        self._named_colors()
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
        """Boxes (x0, y0, x1, y1) of the circle that encloses each object.

        In style "own" a large object, and so its box, may leave the picture.
        """
        radius = self.radius[..., None]
        return torch.cat([self.center - radius, self.center + radius], -1)

    def render(self, resolution: int = 32, device=None) -> UInt8[Tensor, "b 3 h w"]:
        """Anti-aliased pictures; pixels 0 to 255; equal scenes give equal bytes.

        Args:
            resolution: height and width of the pictures.
            device: where to draw; the scenes' own by default.

        Raises:
            ValueError: a resolution below 16.
        """
        check_resolution(resolution)
        scenes = self if device is None else self.to(device)
        step = max(1, drawing.CHUNK * 32 * 32 // resolution**2)
        chunks = [scenes[i : i + step] for i in range(0, len(self), step)]
        return torch.cat([drawing.draw(chunk, resolution) for chunk in chunks])

    def coverage(self, resolution: int = 32) -> Float[Tensor, "b 4 h w"]:
        """Share of each pixel that each object covers, in [0, 1], overlaps ignored."""
        return drawing.coverage(self, check_resolution(resolution))

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
        """What pictures of such scenes really show; see `reading.read`.

        Raises:
            ValueError: a style that cannot be read, or no such pictures.
        """
        check_choice("style", self.style, STYLES_READ)
        return read(image)

    def multi_labels(self, of: str = "shape") -> Bool[Tensor, "b k"]:
        """Which classes of `LABELS[of]` the scene holds; of: shape, color or pair.

        Raises:
            ValueError: an unknown kind of class, or colors in style "own".
        """
        check_choice("labels", of, LABELS)
        if of != "shape":
            self._named_colors()
        index = {
            "shape": self.shape,
            "color": self.color,
            "pair": 8 * self.color + self.shape,
        }[of]
        hit = index[..., None] == torch.arange(len(LABELS[of]), device=index.device)
        return (hit & self.present[..., None]).any(1)

    def _named_colors(self) -> None:
        if self.style == OWN:
            raise ValueError(
                f"colors expected names, got style {OWN!r}, in which they are numbers: "
                "use rgb, own_ground and shape."
            )


def check_resolution(resolution: int) -> int:
    """The resolution, if pictures can have it; errors as in `render`."""
    check_number("resolution", resolution, 16, whole=True)
    return resolution


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
