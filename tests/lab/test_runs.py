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


def test_a_curve_is_made_of_means_of_its_parts():
    assert lab.means([1.0, 3.0, 5.0, 7.0, 9.0], 2) == [2.0, 6.0, 9.0]


def test_the_place_where_a_falling_curve_is_at_a_level():
    assert lab.reached([3.0, 2.0, 1.0], 2.0) == 1
    assert lab.reached([3.0, 2.0], 1.5) == 2


def test_few_labels_are_equally_many_of_each_class_and_of_the_seed():
    label = torch.arange(200) % 5
    rows = lab.few(label, 15, 0, classes=5)
    assert label[rows].bincount().tolist() == [3] * 5
    assert len(set(rows.tolist())) == 15
    assert not torch.equal(rows, lab.few(label, 15, 1, classes=5))


def test_the_cost_of_a_pass_is_counted_by_hand():
    def build():
        return torch.nn.Linear(3, 5), torch.zeros(1, 3)

    assert lab.cost(build) == (15, 5)


def test_accuracy_is_the_share_of_right_names_of_bytes_and_floats():
    class First(torch.nn.Module):
        def forward(self, x):
            assert x.is_floating_point() and not self.training
            return torch.stack([x[:, 0, 0, 0], -x[:, 0, 0, 0]], 1)

    image = torch.tensor([0, 255, 255, 0], dtype=torch.uint8).view(4, 1, 1, 1)
    image = image.expand(4, 3, 1, 1).contiguous()
    label = torch.tensor([1, 0, 1, 1])
    assert lab.accuracy(First(), image, label) == 0.75
    assert lab.accuracy(First(), image / 127.5 - 1, label) == 0.75
