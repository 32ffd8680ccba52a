"""CIFAR-10: 60,000 photographs of ten kinds of things, 32 x 32 pixels.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. We read the
binary form of the author's archive: no code can hide in it, as it could in a pickle. A
record has 3,073 bytes: the label, then 1,024 each of red, green and blue, row by row.
Five files hold the 50,000 pictures for training, a sixth the 10,000 for testing.

The archive is fetched only if you ask for it: nothing in this book needs it unless you
run a chapter on a GPU.
"""

import hashlib
import shutil
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse")
CLASSES += ("ship", "truck")
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # printed on the author's page
RECORD, RECORDS = 3073, 10_000
FILES = {
    "train": [f"data_batch_{i}.bin" for i in range(1, 6)],
    "test": ["test_batch.bin"],
}


def load(
    split: str, folder: str | Path = "data", *, download: bool = False
) -> tuple[UInt8[Tensor, "b 3 32 32"], Int[Tensor, " b"]]:
    """Pictures, pixels 0 to 255, and labels, indices into `CLASSES`.

    Args:
        split: "train" or "test".
        folder: holds `cifar-10-batches-bin`, the archive's only folder.
        download: fetch the archive (170 MB) into `folder` where that is missing.

    Raises:
        ValueError: another split, an archive with another checksum, or a file of
            another size or with labels beyond nine.
        FileNotFoundError: the files are not there and `download` is off.
        OSError: the archive cannot be fetched.
    """
    check_choice("split", split, FILES)
    place = Path(folder) / "cifar-10-batches-bin"
    missing = [name for name in FILES[split] if not (place / name).exists()]
    if missing and download:
        _fetch(Path(folder))
    elif missing:
        raise FileNotFoundError(
            f"expected {missing[0]} of CIFAR-10 in {place}: pass download=True, or "
            f"unpack {URL} there."
        )
    rows = np.concatenate([_records(place / name) for name in FILES[split]])
    image = torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy())
    return image, torch.from_numpy(rows[:, 0].astype(np.int64))


def _records(path: Path) -> np.ndarray:
    """(n, 3073) bytes of one file."""
    raw = np.fromfile(path, np.uint8)
    if raw.size != RECORD * RECORDS:
        raise ValueError(
            f"expected {RECORD * RECORDS:,} bytes in {path}, got {raw.size:,}: the "
            "file is damaged or incomplete; unpack the archive again."
        )
    rows = raw.reshape(-1, RECORD)
    if rows[:, 0].max() > 9:
        raise ValueError(
            f"expected labels from 0 to 9 in {path}, got {rows[:, 0].max()}: this is "
            "no file of CIFAR-10's binary form."
        )
    return rows


def _fetch(folder: Path) -> None:
    """Archive to disk, checked, unpacked beside its place, then moved into it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "cifar-10-binary.tar.gz.part"
    try:
        urllib.request.urlretrieve(URL, archive)
        found = hashlib.md5(archive.read_bytes()).hexdigest()
        if found != MD5:
            raise ValueError(
                f"expected an archive with MD5 {MD5} at {URL}, got {found}: the "
                "download broke off or the file has changed."
            )
        with tarfile.open(archive) as tar:
            tar.extractall(folder / "cifar10.part", filter="data")
        place = folder / "cifar-10-batches-bin"
        place.mkdir(exist_ok=True)
        for file in (folder / "cifar10.part" / place.name).iterdir():
            file.replace(place / file.name)
        shutil.rmtree(folder / "cifar10.part")
    finally:
        archive.unlink(missing_ok=True)
