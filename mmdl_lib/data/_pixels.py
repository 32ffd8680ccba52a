"""Pictures of files, as bytes and as the floats that models take; what checks them."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mmdl_lib.borders import check_finite, check_image


def check_bytes(image: Tensor, *, channels: int | None = None) -> None:
    """Check a batch of pictures as bytes.

    Args:
        image: (b, c, h, w), uint8.
        channels: how many c must be, if that is known.

    Raises:
        ValueError: no tensor, another type or shape.
    """
    good = isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim == 4
    if good and channels in (None, image.shape[1]):
        return
    got = type(image).__name__
    if isinstance(image, Tensor):
        got = f"{image.dtype} of shape {tuple(image.shape)}"
    raise ValueError(
        f"image expected pixels 0 to 255 as uint8 of shape (b, {channels or 'c'}, h, "
        f"w), got {got}."
    )


def to_float(image: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Pixels 0..255 to [-1, 1], the range that all models take.

    Raises:
        ValueError: something else than a batch of pictures as bytes.
    """
    check_bytes(image)
    return image.to(torch.float32) / 127.5 - 1


def to_bytes(image: Float[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"]:
    """Pixels in [-1, 1] to the nearest of 0..255; what lies beyond is cut.

    Raises:
        ValueError: something else than a batch of pictures as floats.

    Example:
        >>> to_bytes(torch.tensor([-1.2, -1.0, 0.0, 1.0]).reshape(1, 1, 2, 2)).tolist()
        [[[[0, 0], [128, 255]]]]
    """
    if isinstance(image, Tensor) and image.is_floating_point():
        image = image.clamp(-1, 1)
    check_image(image)
    return ((image + 1) * 127.5).round().to(torch.uint8)


def read_picture(
    path: Path, *, mode: str = "RGB", advice: str = ""
) -> UInt8[Tensor, "c h w"]:
    """The pixels of a file.

    Args:
        path: of the file.
        mode: of Pillow, to which gray, palettes and CMYK are brought.
        advice: end of the message, after "file".

    Raises:
        ValueError: a missing or damaged file.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:  # so PIL calls a broken PNG
        raise ValueError(
            f"{path} expected a whole picture, got a missing or damaged file{advice}."
        ) from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()


def check_pictures(image: Tensor) -> None:
    """Check a batch of color pictures as floats.

    Raises:
        ValueError: another shape than (b, 3, h, w), bytes, or pixels outside [-1, 1].
    """
    check_image(image)
    if image.shape[1] != 3:
        raise ValueError(
            f"image expected shape (b, 3, h, w), got {tuple(image.shape)}."
        )


def picture_step(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A change of pictures that checks what a reader gives it.

    Who has checked the pictures already calls the bare function, `.plain`.

    Raises:
        ValueError: errors of `check_pictures`; a tensor of parameters that is not
            finite or has not one row for each picture.
    """
    names = list(signature(function).parameters)

    @wraps(function)
    def checked(image: Tensor, *given, **options) -> Tensor:
        check_pictures(image)
        # names are longer than what is given
        for name, value in [*zip(names[1:], given, strict=False), *options.items()]:
            if not isinstance(value, Tensor):
                continue
            if value.is_floating_point():
                check_finite(name, value)
            if value.ndim == 0 or len(value) != len(image):
                raise ValueError(
                    f"{name} expected one row for each of {len(image)} pictures, got "
                    f"shape {tuple(value.shape)}."
                )
        return function(image, *given, **options)

    checked.plain = function
    return checked
