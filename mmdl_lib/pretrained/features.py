"""Features of pictures for FID, KID and their kin, each with the name of its source.

| function | network | width |
|---|---|---|
| `shapes_features` | our ResNet, trained on shapes by `recipes/resnet.py` | 64 |
| `inception_features` | Inception-v3 with the public FID weights | 2048 |
| `inception_logits` | the same, for the Inception score | 1008 |

The metrics refuse to mix two sources. FID on shapes is a number of this book alone: it
can be compared with other values of the same source and sample size, never with the
FID of a paper.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mmdl_lib.borders import check_image
from mmdl_lib.metrics.features import Features
from mmdl_lib.pretrained import inception, small

SIDE = 32  # pixels of the pictures that our network was trained on


def shapes_features(image: Tensor, *, batch: int = 250) -> Features:
    """Mean of the last feature map of the book's own network.

    Args:
        image: (n, 3, 32, 32) in [-1, 1]; larger or smaller pictures are the caller's
            to resize, because how that is done changes the features.
        batch: pictures at once.

    Raises:
        ValueError: another size or range, or no picture.
        FileNotFoundError: the weights are missing; the sentence names the recipe.

    Example:
        >>> from mmdl_lib.data import shapes
        >>> image = shapes.to_float(shapes.sample(3, seed=0).render())
        >>> shapes_features(image).values.shape, shapes_features(image).source
        (torch.Size([3, 64]), 'resnet_shapes')
    """
    check_image(image)
    if tuple(image.shape[1:]) != (3, SIDE, SIDE) or len(image) == 0:
        raise ValueError(
            f"expected pictures of shape (n, 3, {SIDE}, {SIDE}), as the network was "
            f"trained on, got {tuple(image.shape)}."
        )
    model = small.load("resnet", "shapes").to(image.device)
    return Features(_each(model.encode_image, image, batch), "resnet_shapes")


def inception_features(image: Tensor, path: str | Path, *, batch: int = 50) -> Features:
    """The last pool of Inception-v3, on which papers report FID.

    Args:
        image: (n, 3, h, w) in [-1, 1]; resized as `mmdl_lib.pretrained.inception` says.
        path: the public weights file.
        batch: pictures at once.

    Raises:
        ValueError: pictures or a file that `inception` refuses.
        FileNotFoundError: no such file.
    """
    return _inception(image, path, batch, "features")


def inception_logits(image: Tensor, path: str | Path, *, batch: int = 50) -> Features:
    """Inception-v3's logits without the classifier's bias, for the Inception score.

    The official code of the score multiplies by the classifier's matrix and leaves the
    bias out, and all published values follow it. Arguments and errors as above.
    """
    return _inception(image, path, batch, "unbiased")


def _inception(image: Tensor, path: str | Path, batch: int, which: str) -> Features:
    model = inception.load(path).to(image.device)
    values = _each(lambda part: getattr(model(part), which), image, batch)
    begin = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
    return Features(values, f"Inception-v3 {begin}, resized as pytorch-fid, {which}")


@torch.no_grad()
def _each(network: Callable[[Tensor], Tensor], image: Tensor, batch: int) -> Tensor:
    if batch < 1:
        raise ValueError(f"expected a batch of at least one picture, got {batch}.")
    return torch.cat([network(part.float()) for part in image.split(batch)])
