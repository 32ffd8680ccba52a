"""Woven pictures: a shape that coarse pixels show, and a weave that they cannot.

One large object on a plain ground is woven from threads of two brightnesses; whatever
is finer than a thread is plain. Two by two threads make a block of mean zero, so that a
picture of one pixel a block holds no trace of the weave, and one of one pixel a thread
holds all of it. `recipes/efficientnet.py` and its chapter draw these pictures.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_float

SIDE = 96  # of the finest picture
THREADS, COARSE = 24, 12  # pixels a side that show each thread, and no thread at all
SOLID = ("circle", "square", "triangle", "heart")  # without thin parts
# for each weave the two kinds of BLOCKS that take turns, as on a chess board
WEAVES = {"rows": (0, 0), "columns": (1, 1), "checks": (2, 2), "rows, columns": (0, 1)}
WEAVES |= {"rows, checks": (0, 2), "columns, checks": (1, 2)}
BLOCKS = torch.tensor([[[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]])
CHUNK = 500


def woven(
    n: int,
    seed: int,
    *,
    side: int = THREADS,
    contrast: float | int = 0.25,
    noise: float | int = 0.3,
) -> tuple[Float[Tensor, "n 3 h w"], Int[Tensor, " n"]]:
    """Pictures of one woven object; the label is 6 times its shape plus its weave.

    Another side, contrast or noise gives the same scenes, with the same draws of noise.

    Args:
        n: how many.
        seed: of the pictures.
        side: pixels; a divisor of 96 and at least 12.
        contrast: of the threads, half the step from dark to light, in a range of 2.
        noise: standard deviation of each thread's color, likewise.

    Raises:
        ValueError: another side, or a contrast or noise below zero.
    """
    check_number("contrast", contrast, 0)
    check_number("noise", noise, 0)
    if side not in range(COARSE, SIDE + 1) or SIDE % side:
        raise ValueError(f"side expected a divisor of {SIDE} above 11, got {side}.")
    options = {"objects": 1, "sizes": "large", "textures": "solid", "shapes": SOLID}
    scenes = shapes.sample(n, seed=seed, held_out="include", **options)
    g = generator(seed)
    weave = torch.randint(len(WEAVES), (n,), generator=g)
    parts = []
    for i in range(0, n, CHUNK):
        some = slice(i, i + CHUNK)
        image = _base(scenes[some])
        image += _threads(scenes[some], weave[some], contrast, noise, g)
        parts.append(F.avg_pool2d(image, SIDE // side))
    solid = torch.tensor([shapes.SHAPES.index(name) for name in SOLID])
    shape = (scenes.shape[:, :1] == solid).long().argmax(1)
    return torch.cat(parts), len(WEAVES) * shape + weave


def _base(scenes: Scenes):
    """A pale object without threads, (b, 3, 96, 96)."""
    return 0.6 * to_float(scenes.render(SIDE))


def _threads(scenes: Scenes, weave: Tensor, contrast, noise, g: torch.Generator):
    """What the threads add: cloth inside of the object, noise everywhere."""
    b = len(scenes)
    # only blocks that lie wholly inside are woven, or a border would give them away
    inside = (scenes.coverage(SIDE)[:, :1] > 0.99).float()
    blocks = -F.max_pool2d(-inside, SIDE // COARSE)
    cloth = F.interpolate(blocks, THREADS) * _cloth(weave)[:, None]
    grain = torch.randn(b, 3, THREADS, THREADS, generator=g)
    return F.interpolate(contrast * cloth + noise * grain, SIDE)


def _cloth(weave: Int[Tensor, " b"]):
    """Threads of -1 and 1, (b, 24, 24): two kinds of blocks as on a chess board."""
    place = torch.arange(THREADS) // (THREADS // COARSE)
    turn = (place + place[:, None]) % 2
    kinds = BLOCKS.repeat(1, COARSE, COARSE)[torch.tensor(list(WEAVES.values()))[weave]]
    return torch.where(turn == 0, kinds[:, 0], kinds[:, 1])
