"""Rows of pictures, kept in one file and read again."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.lab import draws


def noise(*shape):
    return torch.randint(256, shape, generator=generator(0)).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_come_back_in_their_order_and_gray_ones_in_color(tmp_path, channels):
    rows, path = noise(2, 5, channels, 8, 8), tmp_path / "made" / "x.webp"
    draws.save(path, rows)
    assert draws.read(path, 8, "x").equal(rows.expand(-1, -1, 3, -1, -1))


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_who_writes_a_missing_or_damaged_file_is_said(tmp_path, content):
    path = tmp_path / "x.webp"
    if content:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged file: run `python recipes/one.py`."):
        draws.read(path, 8, "one")
