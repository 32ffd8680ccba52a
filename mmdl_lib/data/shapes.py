"""The shapes world: generated pictures of which everything is known.

A scene is a set of one to four objects with shape, color, size, texture and place. The
picture and its captions both derive from the scene, so they agree by construction,
and `tests/data/test_shapes.py` checks it from the pixels alone. Lengths are in
pixels of a 32 x 32 picture; y grows downwards.
"""

from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "cyan")
SIZES = ("small", "medium", "large")
TEXTURES = ("solid", "striped", "dotted")
STYLES = ("default", "night", "outline", "noisy")
RELATIONS = ("left of", "right of", "above", "below")
HELD_OUT = tuple((COLORS[i], SHAPES[(3 * i + 1) % 8]) for i in range(8))

RGB = torch.tensor(
    [(210, 35, 40), (40, 150, 60), (40, 75, 205), (245, 205, 30)]
    + [(240, 125, 20), (125, 55, 165), (245, 140, 195), (70, 200, 215)]
)
RADIUS = torch.tensor([4.5, 6.0, 8.0])
GROUND = {"default": 235.0, "night": 25.0, "outline": 235.0, "noisy": 235.0}


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes; object slots beyond `count` hold values that are not drawn."""

    count: Int[Tensor, " b"]
    shape: Int[Tensor, "b 4"]
    color: Int[Tensor, "b 4"]
    size: Int[Tensor, "b 4"]
    texture: Int[Tensor, "b 4"]
    center: Float[Tensor, "b 4 2"]  # x, y
    style: str
    seed: int

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, index) -> "Scenes":
        """Scenes of a slice, a list or a tensor of indices."""
        picked = {f.name: getattr(self, f.name) for f in fields(self)}
        return Scenes(
            **{k: v[index] if isinstance(v, Tensor) else v for k, v in picked.items()}
        )

    @property
    def present(self) -> Bool[Tensor, "b 4"]:
        """Which object slots are drawn."""
        return torch.arange(4) < self.count[:, None]

    def boxes(self) -> Float[Tensor, "b 4 4"]:
        """Boxes (x0, y0, x1, y1) of the circle that encloses each object."""
        radius = RADIUS[self.size][..., None]
        return torch.cat([self.center - radius, self.center + radius], -1)

    def coverage(self, resolution: int = 32) -> Float[Tensor, "b 4 h w"]:
        """Share of each pixel that each object covers, in [0, 1], overlaps ignored."""
        return _coverage(self, _distance(self, _check(resolution)), resolution)

    def instance_masks(self, resolution: int = 32) -> Bool[Tensor, "b 4 h w"]:
        """Pixels that each object shows; a later object hides an earlier one."""
        solid = self.coverage(resolution) > 0.5
        later = solid.flip(1).cumsum(1).flip(1) - solid.long()
        return solid & (later == 0)

    def render(self, resolution: int = 32) -> UInt8[Tensor, "b 3 h w"]:
        """Anti-aliased pictures; pixels 0 to 255.

        Raises:
            ValueError: a resolution below 16.
        """
        _check(resolution)
        chunks = [
            _draw(self[i : i + 1024], resolution) for i in range(0, len(self), 1024)
        ]
        image = torch.cat(chunks)
        if self.style == "noisy":
            g = torch.Generator().manual_seed(self.seed + 1)
            image = image + 25 * torch.randn(image.shape, generator=g)
        return image.round().clamp(0, 255).to(torch.uint8)


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
    center = _place(count, RADIUS[size], g)
    return Scenes(count, shape, color, size, texture, center, style, seed)


def _place(count: Tensor, radius: Tensor, g: torch.Generator) -> Tensor:
    """Centers such that no two objects touch and the first two stand clearly."""
    center = torch.zeros(len(count), 4, 2)
    todo = torch.arange(len(count))
    while len(todo):
        r = radius[todo][..., None]
        trial = r + (32 - 2 * r) * torch.rand(len(todo), 4, 2, generator=g)
        gap = trial[:, :, None] - trial[:, None]
        apart = gap.pow(2).sum(-1).sqrt() >= r + r.transpose(1, 2)
        used = torch.arange(4) < count[todo][:, None]
        matters = used[:, :, None] & used[:, None] & ~torch.eye(4, dtype=torch.bool)
        dx, dy = gap[:, 0, 1].abs().unbind(-1)
        clear = (dx >= 2 * dy) | (dy >= 2 * dx) | (count[todo] < 2)
        good = (apart | ~matters).all(-1).all(-1) & clear
        center[todo[good]] = trial[good]
        todo = todo[~good]
    return center


def _check(resolution: int) -> int:
    if resolution < 16:
        raise ValueError(f"expected a resolution of at least 16, got {resolution}.")
    return resolution


def _unit_distance(kind: int, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance (exact or a close bound) to a shape of radius one."""
    r = (x * x + y * y).sqrt()
    name = SHAPES[kind]
    if name == "circle":
        return r - 1
    if name == "square":
        return torch.maximum(x.abs(), y.abs()) - 0.8
    if name == "triangle":
        return torch.maximum(y, 0.866 * x.abs() - 0.5 * y) - 0.52
    if name == "star":
        # fold the plane onto one half of one point; the edge is a straight line there
        turn = torch.pi / 5
        angle = (torch.atan2(x, -y) + turn).remainder(2 * turn) - turn
        u, v = r * angle.cos(), r * angle.sin().abs()
        inner = torch.tensor([0.42]) * torch.tensor(turn).cos(), 0.42 * 0.5878
        du, dv = inner[0] - 1, torch.tensor(inner[1])
        return ((u - 1) * dv - v * du) / (du * du + dv * dv).sqrt()
    if name == "cross":
        a, b = x.abs(), y.abs()
        wide = torch.maximum(a - 0.95, b - 0.3)
        return torch.minimum(wide, torch.maximum(a - 0.3, b - 0.95))
    if name == "heart":
        a, b = x.abs(), y - 0.05
        s = 0.7071
        diamond = torch.maximum((s * (a + b)).abs(), (s * (a - b)).abs()) - 0.55
        lobe = ((a - 0.389) ** 2 + (b + 0.389) ** 2).sqrt() - 0.55
        return torch.minimum(diamond, lobe)
    if name == "ring":
        return (r - 0.72).abs() - 0.26
    bite = ((x - 0.55) ** 2 + y * y).sqrt()
    return torch.maximum(r - 1, 0.8 - bite)


def _distance(scenes: Scenes, resolution: int) -> Float[Tensor, "b 4 h w"]:
    """Signed distance to each object's outline, in pixels of a 32 x 32 picture."""
    grid = (torch.arange(resolution) + 0.5) * 32 / resolution
    radius = RADIUS[scenes.size][..., None, None]
    x = (grid - scenes.center[..., :1, None]) / radius
    y = (grid[:, None] - scenes.center[..., 1:, None]) / radius
    x, y = torch.broadcast_tensors(x, y)
    distance = torch.full_like(x, 1e3)
    for kind in range(len(SHAPES)):
        at = (scenes.shape == kind) & scenes.present
        distance[at] = _unit_distance(kind, x[at], y[at]) * radius[at]
    return distance


def _coverage(scenes: Scenes, distance: Tensor, resolution: int) -> Tensor:
    if scenes.style == "outline":
        distance = torch.maximum(distance, -distance - 1.6)
    return (0.5 - distance * resolution / 32).clamp(0, 1)


def _draw(scenes: Scenes, resolution: int) -> Float[Tensor, "b 3 h w"]:
    cover = _coverage(scenes, _distance(scenes, resolution), resolution)
    grid = (torch.arange(resolution) + 0.5) * 32 / resolution
    wave_x, wave_y = (grid * 1.6).sin(), (grid * 1.6).sin()[:, None]
    one = torch.ones(resolution, resolution)
    pattern = torch.stack(
        [one, (wave_y * 2.5).clamp(-1, 1) * one, (wave_x * wave_y * 4).clamp(-1, 1)]
    )
    # texture mixes up to 55 % of white into the color
    mix = rearrange(0.275 * (1 - pattern[scenes.texture]), "b k h w -> b k 1 h w")
    paint = RGB[scenes.color].float()[..., None, None] * (1 - mix) + 255 * mix
    image = torch.full((len(scenes), 3, resolution, resolution), GROUND[scenes.style])
    for k in range(4):
        alpha = cover[:, k, None]
        image = image * (1 - alpha) + paint[:, k] * alpha
    return image


def to_float(image: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Pixels 0..255 to [-1, 1], the range that all models take."""
    return image.float() / 127.5 - 1


def relation(scenes: Scenes) -> Int[Tensor, " b"]:
    """Index into `RELATIONS` of the first object's place seen from the second."""
    dx, dy = (scenes.center[:, 0] - scenes.center[:, 1]).unbind(-1)
    sideways = torch.where(dx < 0, 0, 1)
    return torch.where(dx.abs() > dy.abs(), sideways, torch.where(dy < 0, 2, 3))


def _article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _name(scenes: Scenes, i: int, k: int, *, size: bool = False, texture: bool = False):
    words = [SIZES[scenes.size[i, k]]] if size else []
    words += [TEXTURES[scenes.texture[i, k]]] if texture else []
    words += [COLORS[scenes.color[i, k]], SHAPES[scenes.shape[i, k]]]
    return _article(" ".join(words))


def captions(scenes: Scenes) -> list[list[str]]:
    """Five captions for each scene, from a bare list to sizes, textures and places."""
    out, places = [], relation(scenes)
    for i in range(len(scenes)):
        count = int(scenes.count[i])
        bare, sized, full = (
            [_name(scenes, i, k, size=s, texture=t) for k in range(count)]
            for s, t in ((False, False), (True, False), (True, True))
        )
        lists = [" and ".join(names) for names in (bare, sized, full)]
        if count == 2:
            here, back = int(places[i]), int(places[i]) ^ 1
            lists[1] = f"{bare[0]} {RELATIONS[here]} {bare[1]}"
            extra = [f"{sized[1]} {RELATIONS[back]} {sized[0]}"]
        else:
            extra = [f"there is {lists[1]}"]
        photo = f"a photo of {lists[0]}"
        out.append([lists[0], photo, lists[1], f"a picture with {lists[2]}", *extra])
    return out


def caption_words() -> list[str]:
    """All words that the grammar of `captions` can produce, sorted."""
    glue = [
        "a",
        "an",
        "and",
        "photo",
        "of",
        "picture",
        "with",
        "there",
        "is",
        "left",
        "right",
        "above",
        "below",
    ]
    return sorted({*glue, *SHAPES, *COLORS, *SIZES, *TEXTURES})


def foils(scenes: Scenes, phenomenon: str) -> list[tuple[int, str, str]]:
    """Pairs of a true caption and a false one that differs in a single respect.

    Args:
        scenes: those without exactly two objects are passed over.
        phenomenon: "attribute" swaps the two colors, "relation" the two objects around
            the relation word, "noun" replaces the first shape by one not in the scene.

    Returns:
        (index of the scene, caption, foil); only where the foil is certainly false.
    """
    if phenomenon not in ("attribute", "relation", "noun"):
        raise ValueError(
            f"expected attribute, relation or noun, got {phenomenon!r} as phenomenon."
        )
    out, places = [], relation(scenes)
    for i in range(len(scenes)):
        (c1, c2), (s1, s2) = scenes.color[i, :2].tolist(), scenes.shape[i, :2].tolist()
        if scenes.count[i] != 2 or c1 == c2 or s1 == s2:
            continue

        def say(c, s):
            return _article(f"{COLORS[c]} {SHAPES[s]}")

        place = RELATIONS[places[i]]
        true = f"{say(c1, s1)} {place} {say(c2, s2)}"
        if phenomenon == "attribute":
            true = f"{say(c1, s1)} and {say(c2, s2)}"
            false = f"{say(c2, s1)} and {say(c1, s2)}"
        elif phenomenon == "relation":
            false = f"{say(c2, s2)} {place} {say(c1, s1)}"
        else:
            true = f"{say(c1, s1)} and {say(c2, s2)}"
            other = next(s for s in range(s1 + 1, s1 + 8) if s % 8 not in (s1, s2)) % 8
            false = f"{say(c1, other)} and {say(c2, s2)}"
        out.append((i, true, false))
    return out
