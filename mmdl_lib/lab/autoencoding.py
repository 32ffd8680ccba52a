"""Worlds and measures of the chapter on autoencoders (`sec-vae`)."""

from functools import cache

from jaxtyping import Float, UInt8
from torch import Tensor

from mmdl_lib.borders import check_image, check_same_length
from mmdl_lib.data import shapes
from mmdl_lib.pretrained import small

SIDE = 16  # pixels of the small world


def pictures(n: int, *, seed: int) -> UInt8[Tensor, "n 3 16 16"]:
    """One plain object each, small: what arms are compared on in seconds."""
    scenes = shapes.sample(n, seed=seed, objects=1, textures="solid")
    return scenes.render(SIDE)


def sharpness(rebuilt: Tensor, image: Tensor) -> float:
    """Energy of the edges of rebuilt pictures over that of the true ones.

    Squared differences of neighboring pixels, summed over all pictures: 1 for equal
    pictures, 0 for plain ones. A blurred edge has less than a sharp one, as one step
    of height h has h^2 and two of height h / 2 have half of that.

    Args:
        rebuilt, image: (b, c, h, w) in [-1, 1].

    Raises:
        ValueError: no pictures, another number, or true ones without any edge.

    Example:
        >>> step = torch.tensor([-1.0, -1.0, 1.0, 1.0]).expand(1, 1, 4, 4)
        >>> slope = torch.tensor([-1.0, -1.0, 0.0, 1.0]).expand(1, 1, 4, 4)
        >>> sharpness(slope, step)
        0.5
    """
    for name, given in (("rebuilt", rebuilt), ("image", image)):
        check_image(given, name=name)
    check_same_length(rebuilt=rebuilt, image=image)
    whole = _edges(image)
    if whole == 0:
        raise ValueError("image expected pictures with edges, got plain ones.")
    return _edges(rebuilt) / whole


def _edges(image: Tensor) -> float:
    x = image.detach().double()
    return (x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()).item()


@cache
def _judge():
    return small.load("alexnet", "shapes").requires_grad_(False)


def perception(image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
    """Maps of the first two layers of our AlexNet, which knows the shapes world.

    Stands where papers take a VGG net: the features by which `VQGAN` compares pictures.
    """
    x, found = image, []
    for conv in _judge().convs[:2]:
        x = conv(x).relu()
        found.append(x)
    return found
