"""What many arms do."""

import pytest
import torch

from mmdl_lib import lab


def test_rows_are_a_pure_function_of_the_step():
    image = torch.arange(48, dtype=torch.uint8).view(4, 3, 2, 2)
    batches = lab.rows(5, 1, image=image, label=torch.arange(4))
    one, again = batches(3), batches(3)
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["label"], batches(4)["label"])
    pixels = (image.float() / 127.5 - 1)[one["label"]]
    assert torch.allclose(one["image"], pixels, atol=1e-6)
    with pytest.raises(ValueError, match="one length"):
        lab.rows(5, 1, image=image, label=torch.arange(3))


def test_running_statistics_become_plain_means():
    norm = torch.nn.BatchNorm1d(2, momentum=0.3)
    parts = torch.randn(3, 8, 2).unbind()
    lab.recalibrate(norm, parts)
    expected = torch.stack([part.mean(0) for part in parts]).mean(0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-6)
    assert (norm.momentum, norm.training) == (0.3, False)
