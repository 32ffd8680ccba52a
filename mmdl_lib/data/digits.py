"""Digits: 1,797 real handwritten digits, 8 x 8 pixels, that ship with scikit-learn.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, CC BY 4.0. Nothing is fetched: the file is part of the package.

The pictures stand in the file one writer after the other. A random split would put
neighbors, mostly of one hand, on both sides and make the test easier than new writers
are. So the test set is the end of the file.
"""

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.data._pixels import to_float

__all__ = ["SPLITS", "TRAIN", "load", "to_float"]

TRAIN = 1437  # pictures before the split; 360 stand behind it
SPLITS = {"train": slice(0, TRAIN), "test": slice(TRAIN, None)}


def load(split: str) -> tuple[UInt8[Tensor, "b 1 8 8"], Int[Tensor, " b"]]:
    """Pictures, pixels 0 to 255 (ink is bright), and the digits that they show.

    Args:
        split: "train" or "test".

    Raises:
        ValueError: another split.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    check_choice("split", split, SPLITS)
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected scikit-learn, which holds the digits: pip install scikit-learn."
        ) from error
    found = load_digits()
    ink = torch.from_numpy(found.images)[SPLITS[split], None]
    image = (ink * 255 / 16).round().to(torch.uint8)  # 17 levels of ink, 0 to 16
    return image, torch.from_numpy(found.target)[SPLITS[split]].long()
