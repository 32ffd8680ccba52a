"""Random views of pictures: the augmentations of SimCLR, BYOL and their kin.

Each step is a function of a batch (b, 3, h, w) in [-1, 1] and of one parameter a
picture, and returns such a batch on the same device. `view` draws the parameters, so
that every picture of a batch is changed in its own way, and applies the steps in this
order: crop and flip, quarter turns, cutout, brightness, contrast, saturation, hue,
gray, blur, solarize, Sobel, noise.

Differs from the code of the papers: we interpolate bilinearly, not bicubically; a crop
that would stick out is made narrower, not drawn again; the four color steps come in one
order, not in a random one; a blur averages only pixels inside the picture.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.data._pixels import check_pictures, picture_step

Image = Float[Tensor, "b 3 h w"]
CHANCES = ("flip", "rotate", "cutout", "jitter", "gray")
CHANCES += ("blur", "solarize", "sobel", "noise")


@dataclass(frozen=True, kw_only=True)
class Views:
    """Settings of a random view: which steps happen, how often, and how strongly.

    The values that stand here change nothing; `replace(SIMCLR, blur=0.0)` makes
    variants of a named setting.
    """

    area: tuple[float, float] = (1.0, 1.0)  # share of the picture that a crop keeps
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # its width by its height, times w / h
    flip: float = 0.0  # from here on: the probability of a step
    rotate: float = 0.0  # by 90, 180 or 270 degrees
    cutout: float = 0.0
    jitter: float = 0.0
    gray: float = 0.0
    blur: float = 0.0
    solarize: float = 0.0
    sobel: float = 0.0
    noise: float = 0.0
    strength: float = 1.0  # s, which multiplies the four that follow
    brightness: float = 0.8  # a factor in [1 - 0.8 s, 1 + 0.8 s]; the same for the next
    contrast: float = 0.8
    saturation: float = 0.8
    hue: float = 0.2  # a turn of the color wheel in [-0.2 s, 0.2 s]
    side: float = 0.5  # of the square that cutout hides, as a share of the picture's
    sigma: tuple[float, float] = (0.1, 2.0)  # of the blur, in pixels
    std: float = 0.5  # of the noise; pixels lie in [-1, 1]

    def __post_init__(self):
        for name in CHANCES:
            check_number(name, getattr(self, name), 0, 1)
        for name in ("strength", "brightness", "contrast", "saturation", "hue"):
            check_number(name, getattr(self, name), 0)
        check_number("side", self.side, 0, 1)
        check_number("std", self.std, 0)
        _check_span("area", self.area, high=1, above=0)
        _check_span("ratio", self.ratio, above=0)
        _check_span("sigma", self.sigma, low=0)


def _check_span(name: str, span: tuple[float, float], **limits) -> None:
    low, high = span
    check_number(f"{name}[0]", low, **limits)
    check_number(f"{name}[1]", high, **limits)
    if low > high:
        raise ValueError(f"{name} expected the lower end first, got {span}.")


NOTHING = Views()
# Chen et al. 2020, appendix A; a picture has 224 pixels a side there
SIMCLR = Views(area=(0.08, 1.0), flip=0.5, jitter=0.8, gray=0.2, blur=0.5)
# their appendix B.9 for CIFAR-10: half the strength, no blur
SIMCLR_CIFAR = replace(SIMCLR, blur=0.0, strength=0.5)
# Grill et al. 2020, Table 6: the two views of BYOL differ in blur and solarization
BYOL_ONE = replace(
    SIMCLR, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, blur=1.0
)
BYOL_TWO = replace(BYOL_ONE, blur=0.1, solarize=0.2)


# steps


@picture_step
def resized_crop(
    image: Image, box: Float[Tensor, "b 4"], flip: Bool[Tensor, " b"] | None = None
) -> Image:
    """Cut out a box and enlarge it to the size of the picture, mirrored or not.

    Args:
        box: top, left, height, width, as shares of the picture.
        flip: which pictures to mirror left to right; none by default.
    """
    b, _, h, w = image.shape
    top, left, height, width = box.to(image.dtype).unbind(1)
    sign = torch.ones_like(top) if flip is None else 1 - 2 * flip.to(image.dtype)
    zero = torch.zeros_like(top)
    # grid_sample counts from -1 to 1
    x = torch.stack([sign * width, zero, 2 * left + width - 1], 1)
    y = torch.stack([zero, height, 2 * top + height - 1], 1)
    grid = F.affine_grid(torch.stack([x, y], 1), [b, 3, h, w], align_corners=False)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


@picture_step
def rotate(image: Image, turns: Int[Tensor, " b"]) -> Image:
    """Counterclockwise by 90 degrees times `turns`.

    Raises:
        ValueError: pictures that are not square.
    """
    h, w = image.shape[2:]
    if h != w:
        raise ValueError(f"expected square pictures to rotate, got {h} x {w}.")
    turned = torch.stack([torch.rot90(image, k, (2, 3)) for k in range(4)])
    return turned[turns % 4, torch.arange(len(image), device=image.device)]


@picture_step
def cut_out(image: Image, center: Float[Tensor, "b 2"], side: float = 0.5) -> Image:
    """Hide a square behind gray; `center` is (y, x), shares of the picture."""
    inside = []
    for axis, size in enumerate(image.shape[2:]):
        place = torch.arange(size, dtype=torch.float32, device=image.device)
        place = (place + 0.5) / size
        inside.append((place - center[:, axis, None]).abs() < side / 2)
    hidden = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return image.masked_fill(hidden, 0.0)


@picture_step
def brightness(image: Image, factor: Float[Tensor, " b"]) -> Image:
    """Multiply the light; black stays black."""
    return ((image + 1) * _each(factor, image) - 1).clamp(-1, 1)


@picture_step
def contrast(image: Image, factor: Float[Tensor, " b"]) -> Image:
    """Move pixels away from the mean gray of their picture, or towards it."""
    mean = gray.plain(image).mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, image, _each(factor, image)).clamp(-1, 1)


@picture_step
def saturation(image: Image, factor: Float[Tensor, " b"]) -> Image:
    """Move pixels away from their own gray, or towards it."""
    return torch.lerp(gray.plain(image), image, _each(factor, image)).clamp(-1, 1)


@picture_step
def hue(image: Image, turn: Float[Tensor, " b"]) -> Image:
    """Turn the color wheel; 1 is once around, 1/3 makes red green."""
    value, largest = image.max(1, keepdim=True)
    chroma = value - image.amin(1, keepdim=True)
    r, g, b = image.split(1, 1)
    # hue in sixths of the wheel, from the largest channel; gray has none, hence 1e-6
    place = torch.where(largest == 0, g - b, torch.where(largest == 1, b - r, r - g))
    place = place / chroma.clamp(min=1e-6) + 2 * largest + 6 * _each(turn, image)
    # a channel is lowered by how far the hue lies from its own third of the wheel
    away = (place + _each(image.new_tensor([5.0, 3.0, 1.0]), image, "c")) % 6
    return value - chroma * torch.minimum(away, 4 - away).clamp(0, 1)


@picture_step
def gray(image: Image) -> Image:
    """Luma as ITU-R BT.601 weighs it, in all three channels."""
    r, g, b = image.split(1, 1)
    return (0.299 * r + 0.587 * g + 0.114 * b).expand_as(image)


@picture_step
def blur(image: Image, sigma: Float[Tensor, " b"]) -> Image:
    """Gaussian blur; `sigma` in pixels, and 0 changes nothing."""
    h, w = image.shape[2:]
    down, across = (_gauss(size, sigma.to(image.dtype)) for size in (h, w))
    with _fine_products():
        return down[:, None] @ image @ across[:, None].mT


@contextmanager
def _fine_products() -> Iterator[None]:
    """Products of matrices as fine as their numbers, whatever a reader has set."""
    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _gauss(size: int, sigma: Float[Tensor, " b"]) -> Float[Tensor, "b n n"]:
    """Each row holds the weights with which one pixel averages the others."""
    place = torch.arange(size, device=sigma.device, dtype=sigma.dtype)
    # not 0 / 0 on the diagonal
    sigma = sigma.abs().clamp(min=torch.finfo(sigma.dtype).tiny)
    distance = (place - place[:, None])[None] / rearrange(sigma, "b -> b 1 1")
    return (-(distance**2) / 2).softmax(-1)


@picture_step
def solarize(image: Image) -> Image:
    """Invert pixels above the middle."""
    return torch.where(image >= 0, -image, image)


@picture_step
def sobel(image: Image) -> Image:
    """Strength of the edges in each channel; a step from black to white is white."""
    smooth, slope = image.new_tensor([1, 2, 1]) / 4, image.new_tensor([-1, 0, 1]) / 2
    kernels = torch.stack([smooth[:, None] * slope, slope[:, None] * smooth])
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    kernels = kernels[:, None].repeat(3, 1, 1, 1)
    slopes = rearrange(
        F.conv2d(padded, kernels, groups=3), "b (c k) h w -> k b c h w", k=2
    )
    # hypot has no gradient of 0 / 0 on flat ground
    return (2 * torch.hypot(*slopes) - 1).clamp(-1, 1)


@picture_step
def noise(
    image: Image, std: float = 0.5, *, generator: torch.Generator | None = None
) -> Image:
    """Add normal noise to each pixel, and cut what leaves [-1, 1]."""
    device = image.device if generator is None else generator.device
    drawn = torch.randn(
        image.shape, generator=generator, device=device, dtype=torch.float32
    )
    return (image + std * drawn.to(image)).clamp(-1, 1)


# drawing


def boxes(
    n: int,
    settings: Views = SIMCLR,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "b 4"]:
    """Random boxes for `resized_crop`: area and logarithm of the ratio are uniform."""
    uniform = _uniform(generator, device or getattr(generator, "device", "cpu"))
    ends = torch.tensor(settings.ratio, dtype=torch.float32, device="cpu")
    low, high = ends.log().tolist()
    area, ratio = uniform(n, *settings.area), uniform(n, low, high).exp()
    height, width = (
        (area / ratio).sqrt().clamp(max=1),
        (area * ratio).sqrt().clamp(max=1),
    )
    top, left = uniform(n) * (1 - height), uniform(n) * (1 - width)
    return torch.stack([top, left, height, width], 1)


def view(
    image: Tensor,
    settings: Views = SIMCLR,
    *,
    generator: torch.Generator | None = None,
) -> Image:
    """One random view of each picture.

    Args:
        image: (b, 3, h, w), pixels in [-1, 1].
        settings: what may happen to a picture.
        generator: of the random parameters, on any device.

    Raises:
        ValueError: no such batch of pictures, or quarter turns of oblong pictures.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> view(torch.zeros(2, 3, 16, 16), SIMCLR, generator=g).shape
        torch.Size([2, 3, 16, 16])
    """
    check_pictures(image)
    s, n, uniform = settings, len(image), _uniform(generator, image.device)

    def factor(range_: float) -> Tensor:
        reach = s.strength * range_
        return uniform(n, max(0.0, 1 - reach), 1 + reach)

    def sometimes(image: Tensor, chance: float, step: Callable) -> Tensor:
        if chance == 0:
            return image
        changed = step(image)
        if chance == 1:
            return changed
        return torch.where(_each(uniform(n) < chance, image), changed, image)

    def jitter(image: Tensor) -> Tensor:
        image = brightness.plain(image, factor(s.brightness))
        image = contrast.plain(image, factor(s.contrast))
        image = saturation.plain(image, factor(s.saturation))
        return hue.plain(image, uniform(n, -s.strength * s.hue, s.strength * s.hue))

    flip = uniform(n) < s.flip
    if s.area != (1.0, 1.0):
        box = boxes(n, s, generator=generator, device=image.device)
        image = resized_crop.plain(image, box, flip)
    elif s.flip:
        image = torch.where(_each(flip, image), image.flip(-1), image)
    turns = (1 + uniform(n, 0.0, 3.0).long()).clamp(max=3)
    image = sometimes(image, s.rotate, lambda x: rotate.plain(x, turns))
    center = uniform(2 * n).view(n, 2)
    image = sometimes(image, s.cutout, lambda x: cut_out.plain(x, center, s.side))
    image = sometimes(image, s.jitter, jitter)
    image = sometimes(image, s.gray, gray.plain)
    image = sometimes(image, s.blur, lambda x: blur.plain(x, uniform(n, *s.sigma)))
    image = sometimes(image, s.solarize, solarize.plain)
    image = sometimes(image, s.sobel, sobel.plain)
    loud = lambda x: noise.plain(x, s.std, generator=generator)  # noqa: E731
    image = sometimes(image, s.noise, loud)
    return image.clamp(-1, 1)


def two_views(
    image: Tensor,
    settings: Views = SIMCLR,
    other_settings: Views | None = None,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Image, Image]:
    """Two views of each picture, drawn independently; errors as in `view`.

    Args:
        image: (b, 3, h, w), pixels in [-1, 1].
        settings: of the first view.
        other_settings: of the second; the same by default.
        generator: of the random parameters, on any device.
    """
    other = settings if other_settings is None else other_settings
    first = view(image, settings, generator=generator)
    return first, view(image, other, generator=generator)


def _uniform(generator: torch.Generator | None, device) -> Callable:
    """Draws on the generator's device, and moves to the pictures'."""
    source = device if generator is None else generator.device

    def uniform(n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        drawn = torch.rand(n, generator=generator, device=source, dtype=torch.float32)
        drawn = drawn.to(device)
        return low + (high - low) * drawn

    return uniform


def _each(value: Tensor, image: Tensor, axis: str = "b") -> Tensor:
    """One value for each picture or channel, shaped to meet (b, c, h, w)."""
    pattern = "b -> b 1 1 1" if axis == "b" else "c -> 1 c 1 1"
    value = rearrange(value, pattern)
    return value if value.dtype == torch.bool else value.to(image.dtype)
