"""Fashion-MNIST: bytes of the form IDX, and files that are damaged or missing."""

import gzip
import struct

import numpy as np
import pytest
import torch

from mmdl_lib.data import fashion


def put(root, split, image, label, *, magic=(0x803, 0x801)):
    """The two files of a split."""
    name = fashion.FILES[split]
    for kind, array, number in zip(
        ("images-idx3", "labels-idx1"), (image, label), magic, strict=True
    ):
        head = struct.pack(f">{1 + array.ndim}i", number, *array.shape)
        path = root / f"{name}-{kind}-ubyte.gz"
        path.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8)


def test_pictures_and_labels_come_as_they_were_written(tmp_path, image):
    put(tmp_path, "train", image, np.array([9, 0, 7], np.uint8))
    put(tmp_path, "test", image[:1], np.array([2], np.uint8))
    found, label = fashion.load("train", tmp_path)
    assert found.shape == (3, 1, 28, 28) and found.dtype == torch.uint8
    # rows from top to bottom
    assert found[1, 0, 2, 5] == image[1, 2, 5] and found.numpy()[:, 0].sum() > 0
    assert torch.from_numpy(image).equal(found[:, 0])
    assert label.tolist() == [9, 0, 7] and fashion.CLASSES[9] == "ankle boot"
    assert fashion.load("test", tmp_path)[1].tolist() == [2]
    found[:] = 0  # a copy that may be written to


def test_a_missing_file_is_told_with_its_package(tmp_path):
    with pytest.raises(FileNotFoundError, match="Debian package dataset-fashion-mnist"):
        fashion.load("test", tmp_path)
    with pytest.raises(ValueError, match="split expected"):
        fashion.load("all", tmp_path)


def test_other_bytes_are_refused(tmp_path, image):
    label = np.array([9, 0, 7], np.uint8)
    for wrong in ({"image": image[:, :, 1:]}, {"magic": (0x801, 0x801)}):
        put(tmp_path, "train", **{"image": image, "label": label} | wrong)
        with pytest.raises(ValueError, match="images.*expected bytes of the form IDX"):
            fashion.load("train", tmp_path)
    put(tmp_path, "train", image, label)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (b"no gzip", whole[:-9], gzip.compress(b"\0\0"), gzip.compress(b"")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="labels.*expected"):
            fashion.load("train", tmp_path)
    # a byte too many
    path.write_bytes(gzip.compress(gzip.decompress(whole) + b"\0"))
    with pytest.raises(ValueError, match="expected bytes of the form IDX"):
        fashion.load("train", tmp_path)


def test_each_picture_needs_a_label_from_0_to_9(tmp_path, image):
    for label in ([9, 0], [9, 0, 10]):
        put(tmp_path, "test", image, np.array(label, np.uint8))
        with pytest.raises(ValueError, match="label from 0 to 9 for each of 3"):
            fashion.load("test", tmp_path)
