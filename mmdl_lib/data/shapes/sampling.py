"""Drawing scenes of the shapes world by seed, exactly as many as were asked for."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.data.shapes.drawing import (
    COLORS,
    OWN,
    RADIUS,
    SHAPES,
    SIZES,
    STYLES,
    TEXTURES,
)
from mmdl_lib.data.shapes.scenes import Scenes

Names = str | Sequence[str] | None
Span = tuple[float | int, float | int]
WHOLE = (0, 32)
PATIENCE = 200  # rounds of some 4,096 trials in which no scene found its places


def sample(
    n: int,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    objects: int | tuple[int, int] = (1, 4),
    held_out: str = "exclude",
    style: str = "default",
    shapes: Names = None,
    colors: Names = None,
    sizes: Names = None,
    textures: Names = None,
    x: Span = WHOLE,
    y: Span = WHOLE,
) -> Scenes:
    """Draw exactly n scenes of what is asked; equal arguments give equal scenes.

    Args:
        n: how many.
        seed: of the scenes; either this or a generator.
        generator: gives the seed, by one draw.
        objects: how many objects, or the smallest and largest number. Three and more
            are small, else they would not fit.
        held_out: "exclude" keeps the pairs of `HELD_OUT` away, "only" draws nothing
            else, "include" makes no difference between pairs.
        style: one of `STYLES`, or "own": each object and each ground has a random color
            of its own, 100 or more of 256 steps apart, and each object a random scale.
            A lone object is large and may leave the picture a little.
        shapes: a name or several of `SHAPES`, all equally often; all by default.
        colors: likewise of `COLORS`.
        sizes: likewise of `SIZES`.
        textures: likewise of `TEXTURES`; by default "solid" in style "own".
        x: range of the centers, in pixels of a 32 x 32 picture.
        y: likewise.

    Raises:
        ValueError: an argument outside these ranges, choices that leave no pair of
            color and shape, or objects that do not fit.

    Example:
        >>> large = sample(500, seed=0, objects=1, sizes="large", textures="solid")
        >>> len(large), large.things()[7][0].size
        (500, 'large')
    """
    check_number("n", n, 1, whole=True)
    check_choice("held_out", held_out, ("exclude", "only", "include"))
    check_choice("style", style, (*STYLES, OWN))
    low, high = _objects(objects)
    x, y = _span("x", x), _span("y", y)
    seed = _seed(seed, generator)
    g = torch.Generator("cpu").manual_seed(seed)
    count = _integers(low, high + 1, (n,), g)
    color, shape = _pairs(n, g, held_out, colors, shapes)
    if style == OWN:
        _refuse_in_own(colors=colors, sizes=sizes, x=x, y=y)
        textures = "solid" if textures is None else textures
    size, texture = _sizes_and_textures(n, g, high, sizes, textures)
    row = torch.arange(n, device="cpu")
    if style == OWN:
        looks = _own_looks(count, g)
        return Scenes(count, shape, texture=texture, row=row, seed=seed, **looks)
    # three or four objects fit only when all are small
    size = torch.where(count[:, None] > 2, 0, size)
    radius = torch.tensor(RADIUS, dtype=torch.float32, device="cpu")[size]
    center = _place(count, radius, g, x, y)
    return Scenes(count, shape, color, size, texture, center, row, style, seed)


def _objects(objects: int | tuple[int, int]) -> tuple[int, int]:
    low, high = (objects, objects) if isinstance(objects, int) else objects
    if not 1 <= low <= high <= 4:
        raise ValueError(f"objects expected one to four, got {objects}.")
    return low, high


def _span(name: str, given: Span) -> Span:
    low, high = given
    if not 0 <= low <= high <= 32:
        raise ValueError(f"{name} expected 0 <= low <= high <= 32, got {given}.")
    return low, high


def _seed(seed: int | None, generator: torch.Generator | None) -> int:
    if (seed is None) == (generator is None):
        raise ValueError(
            f"sample expected either a seed or a generator, got {seed} and {generator}."
        )
    if generator is None:
        check_number("seed", seed, -(2**63), 2**64 - 1, whole=True)
        return int(seed)
    where = generator.device
    return int(torch.randint(2**31, (), generator=generator, device=where))


def _refuse_in_own(**arguments) -> None:
    for name, value in arguments.items():
        if value not in (None, WHOLE):
            raise ValueError(
                f"{name} expected nothing in style {OWN!r}, which draws its own, got "
                f"{value!r}."
            )


def _integers(low: int, high: int, shape: tuple[int, ...], g) -> Tensor:
    return torch.randint(low, high, shape, generator=g, device="cpu")


def _uniform(shape: tuple[int, ...], g) -> Tensor:
    return torch.rand(shape, generator=g, dtype=torch.float32, device="cpu")


def _chosen(name: str, given: Names, known: tuple[str, ...]) -> list[int]:
    """Numbers of the names that were given, all of them by default."""
    names = known if given is None else [given] if isinstance(given, str) else given
    for one in names:
        check_choice(name, one, known)
    if len(names) == 0 or len(set(names)) < len(names):
        raise ValueError(f"{name} expected one name or more, each once, got {given}.")
    return [known.index(one) for one in names]


def _pairs(n: int, g, held_out: str, colors: Names, shapes: Names):
    """Colors (n, 4) and shapes (n, 4), drawn together because of the held-out pairs."""
    if colors is None and shapes is None:
        color, shape = _integers(0, 8, (2, n, 4), g)
        barred = (3 * color + 1) % 8
        if held_out == "only":
            shape = barred
        elif held_out == "exclude":
            shift = _integers(1, 8, (n, 4), g)
            shape = torch.where(shape == barred, (shape + shift) % 8, shape)
        return color, shape
    pairs = [
        (c, s)
        for c in _chosen("colors", colors, COLORS)
        for s in _chosen("shapes", shapes, SHAPES)
        if held_out == "include" or (s == (3 * c + 1) % 8) == (held_out == "only")
    ]
    if not pairs:
        raise ValueError(
            f"colors and shapes expected a pair that held_out={held_out!r} allows, got "
            f"{colors} and {shapes}."
        )
    known = torch.tensor(pairs, device="cpu")
    return known[_integers(0, len(pairs), (n, 4), g)].unbind(-1)


def _sizes_and_textures(n: int, g, most: int, sizes: Names, textures: Names):
    if sizes is None and textures is None:
        return _integers(0, 3, (2, n, 4), g)
    size = _chosen("sizes", sizes, SIZES)
    if most > 2 and 0 not in size:
        raise ValueError(
            f"sizes expected 'small' among them for more than two objects, which would "
            f"not fit, got {sizes}."
        )
    texture = _chosen("textures", textures, TEXTURES)
    return [
        torch.tensor(numbers, device="cpu")[_integers(0, len(numbers), (n, 4), g)]
        for numbers in (size, texture)
    ]


def _own_looks(count: Int[Tensor, " b"], g) -> dict:
    """Scales, places and colors of style "own"."""
    n = len(count)
    alone, u = (count == 1)[:, None], _uniform((n, 4), g)
    radius = torch.where(count[:, None] > 2, 3.5 + u, 4.5 + 3.5 * u)
    # a window of 12 to 20 pixels around an object of radius 6.25, enlarged to 32
    radius = torch.where(alone, 200 / (12 + 8 * u), radius)
    off = 0.6 * (_uniform((n, 4, 2), g) - 0.5)
    center = torch.where(
        alone[..., None],
        16 + radius[..., None] * off,
        _place(torch.where(count == 1, 0, count), radius, g),
    )
    ground, rgb = _integers(0, 256, (n, 5, 3), g).split((1, 4), 1)
    # half of the range further in each channel where it would hardly be seen
    away = rgb - ground
    near = (away * away).sum(-1, keepdim=True) < 100**2
    return {
        "color": torch.full((n, 4), -1, device="cpu"),
        "size": (radius > 5.25).long() + (radius > 7).long(),  # the nearest RADIUS
        "center": center,
        "style": OWN,
        "own_radius": radius,
        "own_rgb": torch.where(near, (rgb + 128) % 256, rgb),
        "own_ground": ground[:, 0],
    }


def _place(
    count: Int[Tensor, " b"],
    radius: Float[Tensor, "b 4"],
    g: torch.Generator,
    x: Span = WHOLE,
    y: Span = WHOLE,
) -> Float[Tensor, "b 4 2"]:
    """Centers such that no two objects touch and the first two stand clearly.

    Raises:
        ValueError: there is no room, or too little.
    """
    center = radius.new_zeros(len(count), 4, 2)
    for k in range(1, 5):
        todo, vain = (count == k).nonzero()[:, 0], 0
        while len(todo):
            # two large objects seldom fit, so the last few scenes try many at once
            tries = max(1, 4096 // len(todo))
            rows = todo.repeat_interleave(tries)
            r = radius[rows, :k]
            low, high = _limits(r, x, y)
            trial = low + (high - low) * _uniform((len(rows), k, 2), g)
            good = (low <= high).all(2).all(1) & _clear(trial, r)
            good = good.reshape(-1, tries)
            first = (good & (good.cumsum(1) == 1)).reshape(-1)
            center[rows[first], :k] = trial[first]
            todo = todo[~good.any(1)]
            vain = 0 if good.any() else vain + 1
            if vain > PATIENCE:
                raise ValueError(
                    f"{k} objects of radius {r[0].tolist()} expected room, found none "
                    f"for centers with x in {x} and y in {y}."
                )
    return center


def _limits(radius: Float[Tensor, "m k"], x: Span, y: Span) -> tuple[Tensor, Tensor]:
    """Least and largest centers (m, k, 2), of objects inside the picture."""
    low, high = (radius.new_tensor(ends) for ends in zip(x, y, strict=True))
    radius = radius[..., None]
    return torch.maximum(radius, low), torch.minimum(32 - radius, high)


def _clear(
    center: Float[Tensor, "m k 2"], radius: Float[Tensor, "m k"]
) -> Bool[Tensor, " m"]:
    """No two touch, and the first is clearly beside or clearly above the second."""
    k = radius.shape[1]
    one, other = torch.combinations(torch.arange(k, device="cpu")).T
    dx, dy = (center[:, one] - center[:, other]).abs().unbind(-1)
    reach = radius[:, one] + radius[:, other]
    good = (dx * dx + dy * dy >= reach * reach).all(1)
    if k > 1:
        dx, dy = dx[:, 0], dy[:, 0]
        good &= (dx >= 2 * dy) | (dy >= 2 * dx)
    return good
