"""The easy world of the chapter on text-conditional GANs, and who reads its pictures.

One large object near the middle, 16 x 16 pixels, and a text such as "a large red star".
A drawn picture is read by comparing it with real ones: that of the 64 pairs of color
and shape whose picture is nearest, at any of 25 places. No network judges, and noise in
single pixels does not matter, as it would to `shapes.read`.
"""

from dataclasses import replace
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.borders import check_image
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.lab import text_to_image as t2i

SIDE = 16
SPAN = (12, 20)  # of the centers, in pixels of a 32 x 32 picture
WORLD = {"objects": 1, "textures": "solid", "sizes": "large", "x": SPAN, "y": SPAN}
PLACES = (12.0, 14.0, 16.0, 18.0, 20.0)
ADAM = partial(torch.optim.Adam, betas=(0.5, 0.99))


class Found(NamedTuple):
    """The nearest real picture of each drawn one."""

    color: Int[Tensor, " b"]
    shape: Int[Tensor, " b"]
    distance: Float[Tensor, " b"]  # root of the mean square over pixels


def sample(n: int, *, seed: int, held_out: str = "exclude") -> Scenes:
    """Scenes of one large object near the middle."""
    return shapes.sample(n, seed=seed, held_out=held_out, **WORLD)


def asked(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Tokens and mask of the scenes' texts."""
    return t2i.tokenizer()(t2i.texts(scenes))


def batches(scenes: Scenes, side: int, batch_size: int, seed: int):
    """`batches(step)` of pictures with their texts."""
    tokens, mask = asked(scenes)
    image = scenes.render() if side == 32 else small(scenes, side)
    return lab.rows(batch_size, seed, image=image, tokens=tokens, mask=mask)


def small(scenes: Scenes, side: int = SIDE) -> Tensor:
    """Bytes of the pictures at another size."""
    return scenes.render(side)


@lru_cache(maxsize=1)
def _known() -> tuple[Tensor, Scenes]:
    """All 64 pairs at all 25 places."""
    pair, place = torch.arange(64), torch.arange(len(PLACES) ** 2)
    pair, place = (x.flatten() for x in torch.meshgrid(pair, place, indexing="ij"))
    scenes = sample(len(pair), seed=0, held_out="include")
    at = torch.tensor(PLACES)
    center = torch.stack([at[place // len(PLACES)], at[place % len(PLACES)]], 1)
    scenes = replace(
        scenes,
        color=(pair // 8)[:, None].expand(-1, 4),
        shape=(pair % 8)[:, None].expand(-1, 4),
        center=center[:, None].expand(-1, 4, 2).contiguous(),
    )
    return to_float(small(scenes)).flatten(1), scenes


def read(image: Float[Tensor, "b 3 16 16"]) -> Found:
    """Color, shape and distance of the nearest real picture.

    Raises:
        ValueError: no pictures in [-1, 1] of 16 x 16 pixels.
    """
    check_image(image, name="pictures")
    if tuple(image.shape[1:]) != (3, SIDE, SIDE):
        raise ValueError(
            f"pictures expected shape (b, 3, {SIDE}, {SIDE}), got {tuple(image.shape)}."
        )
    known, scenes = _known()
    distance, row = torch.cdist(image.flatten(1), known).min(1)
    color, shape = scenes.color[row, 0], scenes.shape[row, 0]
    return Found(color, shape, distance / known.shape[1] ** 0.5)


def right(image: Float[Tensor, "b 3 16 16"], scenes: Scenes) -> dict[str, float]:
    """Shares of the pictures whose color, shape, or both are those of the scenes.

    `distance` is the mean distance to the nearest real picture.

    Raises:
        ValueError: as `read`, or another number of scenes.
    """
    if len(image) != len(scenes):
        raise ValueError(
            f"pictures expected {len(scenes)}, one for each scene, got {len(image)}."
        )
    found = read(image)
    color = (found.color == scenes.color[:, 0]).double()
    shape = (found.shape == scenes.shape[:, 0]).double()
    shares = {"color": color, "shape": shape, "both": color * shape}
    return {k: v.mean().item() for k, v in shares.items()} | {
        "distance": found.distance.mean().item()
    }


def spread(first: Tensor, second: Tensor) -> float:
    """How far two draws for the same texts lie apart: root of the mean square."""
    return (first - second).square().mean().sqrt().item()
