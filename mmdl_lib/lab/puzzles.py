"""Questions about digits: turned by how much, in which ink, and under a wrong name."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator


def painted(
    image: Float[Tensor, "b c h w"], random: torch.Generator
) -> Float[Tensor, "b 3 h w"]:
    """Each picture in its own ink on its own ground, light on dark or dark on light.

    Args:
        image: in [-1, 1], one channel or three equal ones; ink is bright.
        random: where ink, ground and which of them is the lighter come from.
    """
    shape = len(image), 3, 1, 1
    ink, ground = (0.4 * (torch.rand(shape, generator=random) * 2 - 1) for _ in "ab")
    light = 0.6 * (torch.randint(2, shape[:1], generator=random) * 2.0 - 1)
    light, share = light.view(-1, 1, 1, 1), (image + 1) / 2
    return share * (ink + light) + (1 - share) * (ground - light)


def turned(image: Float[Tensor, "b c n n"], random: torch.Generator) -> dict:
    """Square pictures turned by a multiple of 90 degrees, which is the label."""
    label = torch.randint(4, (len(image),), generator=random)
    ways = torch.stack([image.rot90(k, (2, 3)) for k in range(4)])
    return {"image": ways[label, torch.arange(len(label))], "label": label}


def misled(
    label: Int[Tensor, " n"], seed: int, *, share: float = 0.4, classes: int = 10
) -> tuple[Int[Tensor, " n"], Bool[Tensor, " n"]]:
    """Labels of which about a share names another class, and which those are.

    Raises:
        ValueError: a share outside of 0 to 1.
    """
    check_number("share", share, 0, 1)
    random = generator(seed)
    wrong = torch.rand(len(label), generator=random) < share
    other = (label + torch.randint(1, classes, label.shape, generator=random)) % classes
    return torch.where(wrong, other, label), wrong
