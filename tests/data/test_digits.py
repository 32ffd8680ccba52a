"""Digits: the real file of scikit-learn, split where the file ends."""

import builtins

import pytest
import torch

from mmdl_lib.data import digits


def test_the_splits_are_the_file_in_its_order():
    from sklearn.datasets import load_digits

    ink = torch.from_numpy(load_digits().data)
    (image, label), (test, truth) = digits.load("train"), digits.load("test")
    assert image.shape == (1437, 1, 8, 8) and test.shape == (360, 1, 8, 8)
    assert image.dtype == torch.uint8 and label.dtype == torch.int64
    whole = torch.cat([image, test]).flatten(1).float()
    assert torch.equal((whole * 16 / 255).round(), ink.float())
    assert torch.equal(
        torch.cat([label, truth]), torch.from_numpy(load_digits().target)
    )


def test_ink_is_bright_and_the_scale_is_used_in_full():
    image, _ = digits.load("train")
    assert image.min() == 0 and image.max() == 255
    assert image[:, :, :, 0].float().mean() < image[:, :, :, 3].float().mean()
    x = digits.to_float(image)
    assert x.min() == -1 and x.max() == 1 and x.dtype == torch.float32


def test_all_digits_are_in_both_splits():
    for split in ("train", "test"):
        counts = digits.load(split)[1].bincount(minlength=10)
        assert counts.min() > 0.8 * counts.max() and len(counts) == 10


def nearest(x, y, test, truth):
    return (y[torch.cdist(test, x).argmin(1)] == truth).float().mean().item()


def test_a_random_split_would_be_easier():
    (image, label), (test, truth) = digits.load("train"), digits.load("test")
    x, y = torch.cat([image, test]).float().flatten(1), torch.cat([label, truth])
    ours = nearest(x[:1437], y[:1437], x[1437:], y[1437:])
    mixed = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    one, two = mixed[:1437], mixed[1437:]
    assert nearest(x[one], y[one], x[two], y[two]) > ours + 0.01


def test_a_wrong_split_and_a_missing_package_are_named(monkeypatch):
    with pytest.raises(
        ValueError, match="split expected one of 'train', 'test', got 'all'"
    ):
        digits.load("all")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        digits.load("test")
