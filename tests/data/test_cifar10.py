"""CIFAR-10's binary form is read, whole or not at all; no network is touched here."""

import hashlib
import tarfile

import numpy as np
import pytest
import torch

from mmdl_lib.data import cifar10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of the real layout and size with known bytes."""
    place = tmp_path_factory.mktemp("data") / "cifar-10-batches-bin"
    place.mkdir()
    for i, name in enumerate(cifar10.FILES["train"] + cifar10.FILES["test"]):
        rows = np.zeros((10_000, 3073), np.uint8)
        rows[:, 0] = (np.arange(10_000) + i) % 10
        rows[:, 1:1025], rows[:, 1025:2049] = 10 + i, 100  # red, green
        rows[:, 2049:] = np.arange(1024) % 256  # blue, row by row
        rows.tofile(place / name)
    return place.parent


def test_pictures_and_labels_have_their_places(folder):
    image, label = cifar10.load("train", folder)
    assert image.shape == (50_000, 3, 32, 32) and label.shape == (50_000,)
    assert image[0, :, 0, 0].tolist() == [10, 100, 0]
    assert image[10_000, 0, 0, 0] == 11  # the second file follows the first
    assert image[0, 2, 1, 3] == 35  # row 1, column 3
    assert label[:3].tolist() == [0, 1, 2] and label[10_000] == 1
    image, label = cifar10.load("test", folder)
    assert len(image) == 10_000 and label[0] == 5
    assert len(cifar10.CLASSES) == 10 and cifar10.CLASSES[9] == "truck"


def test_wrong_words_and_missing_files_are_named(folder, tmp_path):
    with pytest.raises(
        ValueError, match="split expected one of 'train', 'test', got 'val'"
    ):
        cifar10.load("val", folder)
    with pytest.raises(FileNotFoundError, match="data_batch_1.bin .*download=True"):
        cifar10.load("train", tmp_path)


def test_half_a_file_and_a_foreign_one_are_no_data(folder, tmp_path):
    place = tmp_path / "cifar-10-batches-bin"
    place.mkdir()
    whole = (folder / "cifar-10-batches-bin/test_batch.bin").read_bytes()
    (place / "test_batch.bin").write_bytes(whole[:5000])
    with pytest.raises(ValueError, match="expected 30,730,000 bytes .* got 5,000"):
        cifar10.load("test", tmp_path)
    (place / "test_batch.bin").write_bytes(bytes([77]) + whole[1:])
    with pytest.raises(ValueError, match="labels from 0 to 9 .* got 77"):
        cifar10.load("test", tmp_path)


def archive_of(folder, path):
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(folder / "cifar-10-batches-bin", "cifar-10-batches-bin")
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_the_archive_is_fetched_checked_and_unpacked(folder, tmp_path, monkeypatch):
    archive = tmp_path / "archive.tar.gz"
    checksum = archive_of(folder, archive)
    monkeypatch.setattr(cifar10, "URL", archive.as_uri())
    with pytest.raises(ValueError, match="expected an archive with MD5"):
        cifar10.load("test", tmp_path / "a", download=True)
    assert list((tmp_path / "a").iterdir()) == []
    monkeypatch.setattr(cifar10, "MD5", checksum)
    image, _ = cifar10.load("test", tmp_path / "b", download=True)
    assert torch.equal(image, cifar10.load("test", folder)[0])
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["cifar-10-batches-bin"]


def test_without_a_network_the_error_is_the_systems(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "URL", (tmp_path / "nothing").as_uri())
    with pytest.raises(OSError):
        cifar10.load("test", tmp_path, download=True)
