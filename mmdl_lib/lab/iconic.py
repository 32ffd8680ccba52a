"""Iconic and non-iconic pictures of shapes, and a net that names what it sees.

Lin et al. (ECCV 2014, section 3.2) group pictures into three kinds: iconic objects
are large, alone and in the middle, iconic scenes are taken from where everybody takes
them, and non-iconic pictures hold several things, small, cut off or half hidden. The
samplers here draw such pictures; `recipes/coco.py` and its chapter use them.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_flags, check_number
from mmdl_lib.core import generator as seeded
from mmdl_lib.data import shapes
from mmdl_lib.models.resnet import ResNet, ResNetConfig

SEEN = 10  # pixels of 32 x 32 that an object must show to be there
OPTIONS = {"textures": "solid", "held_out": "include"}


def iconic(n: int, seed: int) -> shapes.Scenes:
    """One large object in the middle of each picture."""
    middle = {"x": (15, 17), "y": (15, 17)}
    return shapes.sample(n, seed=seed, objects=1, sizes="large", **middle, **OPTIONS)


def iconic_scene(n: int, seed: int) -> shapes.Scenes:
    """Two objects of medium size, side by side, neither hidden nor cut off."""
    scenes = shapes.sample(n, seed=seed, objects=1, sizes="medium", **OPTIONS)
    off = torch.rand(n, 4, 2, generator=seeded(seed)) * 2 - 1
    off[:, :, 0] += torch.tensor([9.0, 23.0, 0.0, 0.0])
    off[:, :, 1] += 16
    return replace(scenes, count=torch.full_like(scenes.count, 2), center=off)


def non_iconic(n: int, seed: int, *, objects: int = 4) -> shapes.Scenes:
    """Objects of any size at any place: they hide each other, and the frame cuts them.

    Later objects lie on earlier ones; a center stays two pixels away from the frame.

    Args:
        n: how many scenes.
        seed: of all draws.
        objects: how many in each, 1 to 4; some may show too little to count (`named`).

    Raises:
        ValueError: another number of objects.
    """
    check_number("objects", objects, 1, 4, whole=True)
    # looks for four objects are drawn even for one; searching room for more is slow
    scenes = shapes.sample(n, seed=seed, objects=1, **OPTIONS)
    random = seeded(seed)
    return replace(
        scenes,
        count=torch.full_like(scenes.count, objects),
        size=torch.randint(3, (n, 4), generator=random),
        center=2 + 28 * torch.rand(n, 4, 2, generator=random),
    )


def visible(scenes: shapes.Scenes) -> Int[Tensor, "n 4"]:
    """Pixels of 32 x 32 that each object shows; 0 below `SEEN`: it is not there."""
    pixels = scenes.instance_masks(32).sum((2, 3))
    return pixels * (pixels >= SEEN)


def named(scenes: shapes.Scenes) -> Bool[Tensor, "n k"]:
    """Which of the eight shapes are there, by `visible`."""
    kind = F.one_hot(scenes.shape, len(shapes.SHAPES)).bool()
    return (kind & (visible(scenes) > 0)[..., None]).any(1)


class Namer(ResNet):
    """A small residual net with one yes or no for each shape."""

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Binary cross-entropy of `image` and `there (b, k)`, in nats an answer."""
        target = batch["there"].to(torch.float32)
        said = self(batch["image"])
        return {"loss": F.binary_cross_entropy_with_logits(said, target)}


def namer(seed: int, width: int = 8) -> Namer:
    """An untrained one for pictures of 32 x 32 pixels."""
    torch.manual_seed(seed)
    sizes = {"block": "basic", "stages": (1, 1, 1), "width": width, "stem": "cifar"}
    return Namer(ResNetConfig(**sizes, classes=len(shapes.SHAPES)))


def auc(score: Float[Tensor, "n k"], there: Bool[Tensor, "n k"]) -> float:
    """Area under the ROC curve, mean over classes, in [0, 1]; guessing gives 0.5.

    The chance that a picture with the class scores above one without it. It does not
    depend on how frequent a class is, so worlds of different frequencies compare.

    Raises:
        ValueError: no flags, other shapes, or a class that every picture or none shows.

    Example:
        One of the two pictures without the class scores above the one with it:

        >>> there = torch.tensor([[True], [False], [False]])
        >>> auc(torch.tensor([[0.5], [0.9], [0.1]]), there)
        0.5
    """
    check_flags("there", there, score.shape)
    found = []
    for value, flag in zip(score.T.double(), there.T, strict=True):
        yes, no = value[flag], value[~flag]
        if not len(yes) or not len(no):
            raise ValueError(
                f"each class expected pictures with and without it, got {len(yes)} and "
                f"{len(no)}."
            )
        order = no.sort()[0]
        below = torch.searchsorted(order, yes) + torch.searchsorted(
            order, yes, right=True
        )
        found.append(below.double().mean() / 2 / len(no))
    return torch.stack(found).mean().item()
