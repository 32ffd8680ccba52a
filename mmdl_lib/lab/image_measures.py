"""What the chapter on measures needs: generators of known faults, CLIP, raters.

A simulated generator draws the scene that was asked for, with stated faults. So it is
known how good it is before any measure speaks.
"""

from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib import pretrained
from mmdl_lib.borders import check_number, check_numbers
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.metrics.features import Features

CLIP_NAME = "clip_shapes"


def flawed(scenes: Scenes, error: float | int, *, seed: int) -> Scenes:
    """The scenes as a careless generator draws them.

    Each object gets another color with probability `error`, and another shape with the
    same; the other values are equally likely. Sizes and places stay.

    Raises:
        ValueError: an error outside 0 to 1.
    """
    check_number("error", error, 0, 1)
    random, parts = generator(seed), {}
    for name in ("color", "shape"):
        value = getattr(scenes, name)
        shift = torch.randint(1, 8, value.shape, generator=random)
        wrong = torch.rand(value.shape, generator=random) < error
        parts[name] = torch.where(wrong, (value + shift) % 8, value)
    return replace(scenes, **parts)


def right(drawn: Scenes, asked: Scenes) -> Bool[Tensor, " b"]:
    """Whether every object has the asked color and shape in its place."""
    same = (drawn.color == asked.color) & (drawn.shape == asked.shape)
    return (same | ~asked.present).all(1)


def chance_right(scenes: Scenes, error: float | int) -> Float[Tensor, " b"]:
    """Probability that `flawed` draws a scene right: (1 - error)^2 for each object."""
    check_number("error", error, 0, 1)
    return (1 - error) ** (2 * scenes.count.double())


def without_last(scenes: Scenes, share: float | int, *, seed: int) -> Scenes:
    """A share of the scenes of several objects loses its last one."""
    check_number("share", share, 0, 1)
    hit = torch.rand(len(scenes), generator=generator(seed)) < share
    return replace(scenes, count=scenes.count - (hit & (scenes.count > 1)).long())


def emptied(image: Tensor, share: float | int) -> Tensor:
    """Pictures of which the first share shows nothing but the ground's corner color."""
    check_number("share", share, 0, 1)
    image, n = image.clone(), round(share * len(image))
    image[:n] = image[:n, :, :1, :1]
    return image


@lru_cache(maxsize=1)
def _clip():
    return pretrained.load("clip", "shapes")


@torch.no_grad()
def clip_image(image: Tensor) -> Features:
    """Our CLIP's features of pictures, bytes or floats."""
    model, _ = _clip()
    parts = image.split(500)
    floats = (to_float(p) if p.dtype == torch.uint8 else p for p in parts)
    return Features(torch.cat([model.encode_image(p) for p in floats]), CLIP_NAME)


@torch.no_grad()
def clip_text(texts: list[str]) -> Features:
    """Our CLIP's features of texts."""
    model, tokenizer = _clip()
    return Features(model.encode_text(*tokenizer(texts)), CLIP_NAME)


def same_text(texts: list[str]) -> Tensor:
    """Equal numbers for equal texts, for R-precision."""
    number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return torch.tensor([number[text] for text in texts])


def votes(
    preferred: Float[Tensor, " n"], *, raters: int, error: float | int, seed: int
) -> Float[Tensor, "n r"]:
    """Simulated judgments side by side: 1 where a rater prefers the first picture.

    Args:
        preferred: 1 where the first picture of a pair is really better, 0 where the
            second is, 1/2 where nobody can tell.
        raters: how many judge each pair.
        error: probability that a rater says the opposite of what is the case.
        seed: of the judgments.

    Raises:
        ValueError: an error outside 0 to 1/2, no raters, or values outside 0 to 1.
    """
    check_numbers("preferred", preferred)
    check_number("raters", raters, 1, whole=True)
    check_number("error", error, 0, 0.5)
    if len(preferred) == 0 or preferred.min() < 0 or preferred.max() > 1:
        raise ValueError("preferred expected values from 0 to 1, got others or none.")
    chance = error + (1 - 2 * error) * preferred[:, None]
    luck = torch.rand(len(preferred), raters, generator=generator(seed))
    return (luck < chance).to(preferred.dtype)
