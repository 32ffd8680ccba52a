"""How the shapes world is drawn: signed distances, textures, grounds, noise.

Equal scenes give equal bytes on every machine and device. Hence only operations that
IEEE 754 rounds exactly (sums, products, square roots, comparisons) and none that a
library approximates (sines, angles, normal noise). An object is drawn in a small window
around it, and all objects of one size and shape at once.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "cyan")
SIZES = ("small", "medium", "large")
TEXTURES = ("solid", "striped", "dotted")
STYLES = ("default", "night", "outline", "noisy", "gradient", "checker")
OWN = "own"  # the seventh style; colors and scales of its own belong to such a scene
NOISE = {"noisy": 25, OWN: 10}  # deviation, in steps of 256

RGB = torch.tensor(
    [(210, 35, 40), (40, 150, 60), (40, 75, 205), (245, 205, 30)]
    + [(240, 125, 20), (125, 55, 165), (245, 140, 195), (70, 200, 215)],
    device="cpu",
)
RADIUS = (4.5, 6.0, 8.0)  # of SIZES
CHUNK = 512  # pictures of 32 x 32 drawn at once, so that they stay in the cache
TAPE = 1 << 16  # places at which a picture's noise can start


def draw(scenes, resolution: int) -> UInt8[Tensor, "b 3 h w"]:
    """Pictures of a few scenes."""
    image = _ground(scenes, resolution).contiguous()
    windows = list(_windows(scenes, resolution))
    # slot by slot: within one no two windows share a picture, so no pixel is hit twice
    for slot in range(4):
        for slots, *window in windows:
            here = (slots == slot).nonzero()[:, 0]
            if len(here):
                _blend(image, scenes, slot, *(part[here] for part in window))
    return _noisy(scenes, image) if scenes.style in NOISE else image


def coverage(scenes, resolution: int) -> Float[Tensor, "b 4 h w"]:
    """Share of each pixel that each object covers, in [0, 1], overlaps ignored."""
    cover = scenes.center.new_zeros(len(scenes), 4, resolution, resolution)
    for slot, scene, x, y, alpha in _windows(scenes, resolution):
        scene, slot = scene[:, None, None], slot[:, None, None]
        cover[scene, slot, y[..., None], x[:, None]] = alpha
    return cover


def _windows(scenes, resolution: int):
    """All objects, size by size: slot, scene, columns, rows and coverage."""
    scale = resolution / 32
    kind = torch.where(scenes.present, 8 * scenes.size + scenes.shape, 24).reshape(-1)
    groups = kind.argsort(stable=True).split(kind.bincount(minlength=25).tolist())
    for size in range(len(SIZES)):
        group = groups[8 * size : 8 * size + 8]
        which = torch.cat(group)
        if not len(which):
            continue
        center = scenes.center.reshape(-1, 2)[which] * scale
        radius = scenes.radius.reshape(-1)[which, None] * scale
        # a window holds the largest of them, which in style own may leave the picture
        width = min(math.ceil(2 * radius.max().item() + 1), resolution)
        start = (center - radius).floor().clamp(0, resolution - width)
        step = torch.arange(width, dtype=torch.float32, device=start.device)
        pixel = start[..., None] + step
        x, y = ((pixel + 0.5 - center[..., None]) * (1 / radius[..., None])).unbind(1)
        counts = [len(part) for part in group]
        parts = zip(SHAPES, x.split(counts), y.split(counts), strict=True)
        distance = radius[..., None] * torch.cat(
            [_unit_distance(name, u[:, None], v[..., None]) for name, u, v in parts]
        )
        if scenes.style == "outline":
            distance = torch.maximum(distance, -distance - 1.6 * scale)
        alpha = (0.5 - distance).clamp(0, 1)
        yield which % 4, which // 4, *pixel.long().unbind(1), alpha


def _blend(image, scenes, slot: int, scene, x, y, alpha):
    """Lay one object each over the pictures of some scenes, in place."""
    size = image.shape[-1]
    paint = _paint(scenes, scene, slot, x, y, size)
    if x.shape[1] == size:  # the window is the picture
        image[scene] = _mixed(image[scene], paint, alpha)
        return
    channel = scene[:, None] * 3 + torch.arange(3, device=scene.device)
    line = channel[..., None] * size + y[:, None]
    at = (line[..., None] * size + x[:, None, None]).reshape(-1)
    pixels = image.reshape(-1)
    under = pixels.index_select(0, at).reshape(line.shape + x.shape[1:])
    pixels.scatter_(0, at, _mixed(under, paint, alpha).reshape(-1))


def _mixed(under: UInt8[Tensor, "m 3 h w"], paint, alpha) -> UInt8[Tensor, "m 3 h w"]:
    mixed = under + (paint - under) * alpha[:, None]
    return (mixed + 0.5).to(torch.uint8)


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
    color = scenes.rgb[scene, slot].to(torch.float32)[..., None, None]
    texture = scenes.texture[scene, slot][:, None]
    if not texture.any():  # all are solid
        return color
    grid = _grid(resolution, x.device)
    wave, one = _wave(0.25 * grid), torch.ones_like(grid)
    across, down = (
        torch.stack([one, one, wave]),
        torch.stack([one, 2.5 * wave, 4 * wave]),
    )
    pattern = (across[texture, x][:, None] * down[texture, y][..., None]).clamp(-1, 1)
    mix = (0.275 * (1 - pattern))[:, None]
    return color + (255 - color) * mix


def _grid(resolution: int, device) -> Float[Tensor, " n"]:
    """Middles of the pixels, in pixels of a 32 x 32 picture."""
    pixel = torch.arange(resolution, dtype=torch.float32, device=device)
    return (pixel + 0.5) * (32 / resolution)


def _ground(scenes, resolution: int) -> UInt8[Tensor, "b 3 h w"]:
    grid = _grid(resolution, scenes.center.device)
    column, row = torch.broadcast_tensors(grid, grid[:, None])
    style = scenes.style
    if style == OWN:
        level = scenes.own_ground[..., None, None]
    elif style == "gradient":
        level = 245 - 4 * row
    elif style == "checker":
        light = _wave(column * 0.0625) * _wave(row * 0.0625) > 0
        level = 195 + 40 * light.to(torch.uint8)
    else:
        level = torch.full_like(row, 25 if style == "night" else 235)
    return level.to(torch.uint8).expand(len(scenes), 3, resolution, resolution)


def _noisy(scenes, image: UInt8[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
    """Noise of a style's deviation; each scene has its stretch of one long tape."""
    each = image[0].numel()
    tape = _tape(NOISE[scenes.style], TAPE + each).to(image.device)
    start = (7919 * scenes.row + 104729 * (scenes.seed % TAPE)) % TAPE
    noise = tape.unfold(0, each, 1)[start].reshape(image.shape)
    return noise.add_(image).add_(0.5).clamp_(0, 255).to(torch.uint8)


@lru_cache(maxsize=4)
def _tape(deviation: int, length: int) -> Float[Tensor, " n"]:
    g = torch.Generator("cpu").manual_seed(0)
    shape = (3, length)
    uniform = torch.rand(shape, generator=g, dtype=torch.float32, device="cpu")
    # the sum of three uniform numbers has a deviation of one half
    return 2 * deviation * (uniform[0] + uniform[1] + uniform[2] - 1.5)
