"""Fashion-MNIST: gray photographs of ten kinds of clothes, 28 x 28 pixels.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms", 2017, arXiv 1708.07747; MIT license. The pictures stay in their
Debian package `dataset-fashion-mnist`; nothing is downloaded:

    sudo apt-get install dataset-fashion-mnist

or, without root, `apt-get download dataset-fashion-mnist`, then `dpkg-deb -x` of what
came, and `load(split, FOLDER + "/usr/share/datasets/fashion-mnist")`. The folder holds
60,000 pictures for training and 10,000 for testing, as four files of the form IDX: a
magic number, the counts, and then one byte for each pixel or label.
"""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.data._pixels import to_float

__all__ = ["CLASSES", "PACKAGE", "ROOT", "SIDE", "load", "to_float"]

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt")
CLASSES += ("sneaker", "bag", "ankle boot")
ROOT = Path("/usr/share/datasets/fashion-mnist")
PACKAGE = "dataset-fashion-mnist"
FILES = {"train": "train", "test": "t10k"}
SIDE = 28


def load(
    split: str, root: str | Path = ROOT
) -> tuple[UInt8[Tensor, "b 1 28 28"], Int[Tensor, " b"]]:
    """Pictures, pixels 0 to 255 (the ground is black), and labels, of `CLASSES`.

    Args:
        split: "train" or "test".
        root: the folder of the four files; by default where the package has it.

    Raises:
        ValueError: another split, or a damaged file.
        FileNotFoundError: a file is missing; the sentence says which package has it.
    """
    check_choice("split", split, FILES)
    root, name = Path(root), FILES[split]
    image = _idx(root / f"{name}-images-idx3-ubyte.gz", SIDE, SIDE)
    label = _idx(root / f"{name}-labels-idx1-ubyte.gz")
    if len(image) != len(label) or label.max(initial=0) >= len(CLASSES):
        raise ValueError(
            f"{root} expected a label from 0 to 9 for each of {len(image):,} pictures "
            f"of {split}, got {len(label):,} up to {label.max(initial=0)}."
        )
    image = torch.from_numpy(image.copy())[:, None]
    return image, torch.from_numpy(label.astype(np.int64))


def _idx(path: Path, *shape: int) -> np.ndarray:
    """Bytes of an IDX file, one row for each example."""
    if not path.exists():
        raise FileNotFoundError(
            f"expected Fashion-MNIST's {path.name} in {path.parent}, got no such file: "
            f"install the Debian package {PACKAGE}, or give root=."
        )
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} expected gzip, got a damaged file.") from error
    # 0, 0, the type (8: bytes), the number of axes; then the length of each axis
    start = 4 + 4 * (1 + len(shape))
    head = np.frombuffer(raw[: len(raw[:start]) // 4 * 4], ">i4").tolist()
    good = len(head) == start // 4 and head[0] == 0x800 + 1 + len(shape)
    good = good and tuple(head[2:]) == shape
    if not good or len(raw) - start != head[1] * prod(shape):
        raise ValueError(f"{path} expected bytes of the form IDX, got other ones.")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(-1, *shape)
