"""How the shapes world is drawn: signed distances, textures, grounds, noise.

Equal scenes give equal bytes on every machine and device. Hence only operations that
IEEE 754 rounds exactly (sums, products, square roots, comparisons) and none that a
library approximates (sines, angles, normal noise). An object is drawn in a small window
around it, and all objects of one size and shape at once.
"""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "cyan")
SIZES = ("small", "medium", "large")
TEXTURES = ("solid", "striped", "dotted")
STYLES = ("default", "night", "outline", "noisy", "gradient", "checker")

RGB = torch.tensor(
    [(210, 35, 40), (40, 150, 60), (40, 75, 205), (245, 205, 30)]
    + [(240, 125, 20), (125, 55, 165), (245, 140, 195), (70, 200, 215)]
)
RADIUS = (4.5, 6.0, 8.0)  # of SIZES
CHUNK = 1024  # pictures of 32 x 32 drawn at once, so that they stay in the cache
TAPE = 1 << 16  # places at which a picture's noise can start


def draw(scenes, resolution: int) -> UInt8[Tensor, "b 3 h w"]:
    """Pictures of a few scenes."""
    device = scenes.center.device
    ground = _ground(scenes.style, resolution).to(device)
    image = ground.expand(len(scenes), 3, -1, -1).contiguous()
    windows = list(_windows(scenes, resolution))
    # slot by slot: within one no two windows share a picture, so no pixel is hit twice
    for slot in range(4):
        for slots, *window in windows:
            here = (slots == slot).nonzero()[:, 0]
            if len(here):
                _blend(image, scenes, slot, *(part[here] for part in window))
    return _noisy(scenes, image) if scenes.style == "noisy" else image


def coverage(scenes, resolution: int) -> Float[Tensor, "b 4 h w"]:
    """Share of each pixel that each object covers, in [0, 1], overlaps ignored."""
    cover = torch.zeros(
        len(scenes), 4, resolution, resolution, device=scenes.center.device
    )
    for slot, scene, x, y, alpha in _windows(scenes, resolution):
        scene, slot = scene[:, None, None], slot[:, None, None]
        cover[scene, slot, y[..., None], x[:, None]] = alpha
    return cover


def _windows(scenes, resolution: int):
    """All objects, size by size: slot, scene, columns, rows and coverage."""
    scale = resolution / 32
    kind = torch.where(scenes.present, 8 * scenes.size + scenes.shape, 24).reshape(-1)
    groups = kind.argsort(stable=True).split(kind.bincount(minlength=25).tolist())
    for size, radius in enumerate(RADIUS):
        group = groups[8 * size : 8 * size + 8]
        which, radius = torch.cat(group), radius * scale
        if not len(which):
            continue
        center = scenes.center.reshape(-1, 2)[which] * scale
        width = math.ceil(2 * radius + 1)
        start = (center - radius).floor().clamp(0, resolution - width)
        pixel = start[..., None] + torch.arange(width, device=start.device)
        x, y = ((pixel + 0.5 - center[..., None]) * (1 / radius)).unbind(1)
        counts = [len(part) for part in group]
        parts = zip(SHAPES, x.split(counts), y.split(counts), strict=True)
        distance = radius * torch.cat(
            [_unit_distance(name, u[:, None], v[..., None]) for name, u, v in parts]
        )
        if scenes.style == "outline":
            distance = torch.maximum(distance, -distance - 1.6 * scale)
        alpha = (0.5 - distance).clamp(0, 1)
        yield which % 4, which // 4, *pixel.long().unbind(1), alpha


def _blend(image, scenes, slot: int, scene, x, y, alpha):
    """Lay one object each over the pictures of some scenes, in place."""
    size = image.shape[-1]
    channel = scene[:, None] * 3 + torch.arange(3, device=scene.device)
    line = channel[..., None] * size + y[:, None]
    at = (line[..., None] * size + x[:, None, None]).reshape(-1)
    paint = _paint(scenes, scene, slot, x, y, size)
    pixels = image.reshape(-1)
    under = pixels.index_select(0, at).reshape(paint.shape)
    mixed = under + (paint - under) * alpha[:, None]
    pixels.scatter_(0, at, (mixed + 0.5).to(torch.uint8).reshape(-1))


def _unit_distance(name: str, x: Tensor, y: Tensor) -> Tensor:
    """Signed distance (exact or a close bound) to a shape of radius one."""
    if name == "square":
        return torch.maximum(x.abs(), y.abs()) - 0.8
    if name == "cross":
        a, b = x.abs(), y.abs()
        wide = torch.maximum(a - 0.95, b - 0.3)
        return torch.minimum(wide, torch.maximum(a - 0.3, b - 0.95))
    if name == "heart":
        a, b = x.abs(), y - 0.05
        s = 0.7071
        diamond = torch.maximum((s * (a + b)).abs(), (s * (a - b)).abs()) - 0.55
        u, v = a - 0.389, b + 0.389
        return torch.minimum(diamond, (u * u + v * v).sqrt() - 0.55)
    r = (x * x + y * y).sqrt()
    if name == "ring":
        return (r - 0.72).abs() - 0.26
    if name == "triangle":
        # the circle blunts the tip, where the three lines alone underestimate
        sides = torch.maximum(y, 0.8660254 * x.abs() - 0.5 * y) - 0.5
        return torch.maximum(sides, r - 1)
    if name == "star":
        return torch.maximum(_star_edge(x, y), r - 1)
    if name == "moon":
        u = x - 0.55
        return torch.maximum(r - 1, 0.8 - (u * u + y * y).sqrt())
    return r - 1


def _star_edge(x: Tensor, y: Tensor) -> Tensor:
    """Distance to the edge of a five-pointed star: a line, once the plane is folded."""
    side, up = x.abs(), -y
    # mirrors at 108 and at 36 degrees from the upper tip leave half of one point
    for sine, cosine in ((0.9510565, -0.3090170), (0.5877853, 0.8090170)):
        beyond = 2 * (side * cosine - up * sine).clamp(min=0)
        side, up = side - beyond * cosine, up + beyond * sine
    # the line from the tip at radius 1 to the valley at radius 0.42
    return 0.93666 * side.abs() + 0.35024 * (up - 1)


def _wave(at: Tensor) -> Tensor:
    """A triangle wave between -1 and 1, of period 1 and zero at 0, rising."""
    phase = at + 0.75
    return (4 * (phase - phase.floor()) - 2).abs() - 1


def _paint(scenes, scene: Tensor, slot: int, x: Tensor, y: Tensor, resolution: int):
    """Color of each pixel of the objects' windows: up to 55 % of white as texture."""
    grid = (torch.arange(resolution, device=x.device) + 0.5) * (32 / resolution)
    wave, one = _wave(0.25 * grid), torch.ones_like(grid)
    across, down = (
        torch.stack([one, one, wave]),
        torch.stack([one, 2.5 * wave, 4 * wave]),
    )
    texture = scenes.texture[scene, slot][:, None]
    pattern = (across[texture, x][:, None] * down[texture, y][..., None]).clamp(-1, 1)
    mix = (0.275 * (1 - pattern))[:, None]
    color = RGB.to(x.device)[scenes.color[scene, slot]][..., None, None]
    return color + (255 - color) * mix


def _ground(style: str, resolution: int) -> UInt8[Tensor, "h w"]:
    grid = (torch.arange(resolution) + 0.5) * (32 / resolution)
    column, row = torch.broadcast_tensors(grid, grid[:, None])
    if style == "gradient":
        level = 245 - 4 * row
    elif style == "checker":
        level = torch.where(_wave(column * 0.0625) * _wave(row * 0.0625) > 0, 235, 195)
    else:
        level = torch.full_like(row, 25 if style == "night" else 235)
    return level.to(torch.uint8)


def _noisy(scenes, image: UInt8[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Noise of deviation 25; each scene has its own stretch of one long tape."""
    each = image[0].numel()
    uniform = torch.rand(3, TAPE + each, generator=torch.Generator().manual_seed(0))
    tape = 50 * (uniform[0] + uniform[1] + uniform[2] - 1.5)
    start = (7919 * scenes.row + 104729 * scenes.seed) % TAPE
    noise = tape.to(image.device).unfold(0, each, 1)[start].reshape(image.shape)
    return (image + noise + 0.5).clamp(0, 255).to(torch.uint8)
