"""Real words with a drawing: GloVe's vectors, and what a net sees in OpenMoji."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib import pretrained
from mmdl_lib.data import emoji, shapes, words


class Drawings(NamedTuple):
    """Row i of each belongs to `name[i]`.

    Attributes:
        name: English names of one word that GloVe knows.
        text: GloVe's vectors, of length one.
        picture: the mean of EfficientNet-Lite0's last map, of length one.
    """

    name: list[str]
    text: Float[Tensor, "n d"]
    picture: Float[Tensor, "n p"]


def drawings() -> Drawings:
    """All of them, drawn at 128 pixels.

    Raises:
        FileNotFoundError: the weights of EfficientNet are not installed.
    """
    drawn, gold = emoji.load(size=128), words.glove()
    row = {n["en"]: i for i, n in enumerate(drawn.names) if n["en"] in gold}
    net = pretrained.load("efficientnet", "imagenet").eval()
    with torch.no_grad():
        pages = shapes.to_float(drawn.image[list(row.values())]).split(32)
        picture = torch.cat([net.encode_image(page) for page in pages])
    return Drawings(list(row), gold.unit()[list(row)], F.normalize(picture, dim=1))


def nearest(
    said: Float[Tensor, "m p"], true: Float[Tensor, "n p"], *, top: int = 3
) -> tuple[list[list[int]], Float[Tensor, "m n"]]:
    """Numbers of the `top` true rows of largest cosine, the nearest first; all cosines.

    Example:
        >>> said = torch.tensor([[2.0, 0.0]])
        >>> nearest(said, torch.tensor([[0.0, 1.0], [1.0, 0.0]]), top=1)[0]
        [[1]]
    """
    cosine = F.normalize(said, dim=1) @ F.normalize(true, dim=1).T
    return cosine.topk(top).indices.tolist(), cosine
