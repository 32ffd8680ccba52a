"""Clip art: 1,885 real drawings with names in English, drawn by many people.

Drawings of things, animals and people from Open Clip Art, in the public domain. Each
was looked at: the name says what is drawn, in plain English, lowercase. Twins, icons,
signs, logos and drawings that are unclear at this size are left out. Styles differ:
flat, shaded, outlines in black and white. Names repeat ("apple" has seven drawings).

**Groups.** Drawings of the same kind of thing share one (all houses, huts and cabins),
and so do pictures that are nearly equal. The split keeps a group on one side: what is
tested is a kind of thing that training has not shown.

`tools/make_clipart.py` wrote the files from Debian's `openclipart-svg`.
"""

import csv
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice

FOLDER = Path(__file__).parent / "_clipart"
SPLITS = ("train", "test", "all")
SIZES = (64, 32, 16)
TEST_SHARE = 5  # one group in five is held out
SIDE = SIZES[0]  # of a drawing in the atlas
COUNT = 1885


class ClipArt(NamedTuple):
    """Drawings and what is known about them; row i of each belongs together.

    Attributes:
        image: pixels 0 to 255 on white ground.
        name: what is drawn, such as "penguin with chick".
        title: as its author called it, in any language; often that of a whole series.
        keywords: as people tagged it, in alphabetical order, in any language.
        category: one of seventeen, such as "animals".
        group: drawings of the same kind, or nearly the same, share it; the split
            keeps a group on one side.
        source: file in the Debian package.
    """

    image: UInt8[Tensor, "n 3 s s"]
    name: list[str]
    title: list[str]
    keywords: list[tuple[str, ...]]
    category: list[str]
    group: list[str]
    source: list[str]


def load(split: str = "all", size: int = 64) -> ClipArt:
    """Drawings, in the order of their source.

    Args:
        split: "train", "test" (one group in five, always the same) or "all".
        size: height and width in pixels: 64, or 32 or 16, by the mean of the area.

    Raises:
        ValueError: another split or size, or a damaged file.
        ModuleNotFoundError: Pillow is missing.
    """
    check_choice("split", split, SPLITS)
    check_choice("size", size, SIZES)
    rows = _rows()
    keep = [
        i
        for i, row in enumerate(rows)
        if split == "all" or _held_out(row["group"]) == (split == "test")
    ]
    image = _atlas()[keep]
    if size < SIDE:
        image = F.avg_pool2d(image.float(), SIDE // size).round().to(torch.uint8)
    rows = [rows[i] for i in keep]
    words = [tuple(filter(None, row["keywords"].split("|"))) for row in rows]
    name, title, category, group, source = (
        [row[key] for row in rows]
        for key in ("name", "title", "category", "group", "source")
    )
    return ClipArt(image, name, title, words, category, group, source)


def _held_out(group: str) -> bool:
    return hashlib.sha256(group.encode()).digest()[0] % TEST_SHARE == 0


@cache
def _rows() -> list[dict[str, str]]:
    path = FOLDER / "rows.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(path) from error
    whole = all(None not in row and None not in row.values() for row in rows)
    if len(rows) != COUNT or not whole:
        raise _damaged(path)
    return rows


@cache
def _atlas() -> UInt8[Tensor, "n 3 64 64"]:
    """The drawings, which stand line by line in one picture."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected the package pillow for the clip art: run `pip install pillow`."
        ) from error
    path = FOLDER / "atlas.webp"
    try:
        with Image.open(path) as picture:
            page = torch.from_numpy(np.asarray(picture.convert("RGB")).copy())
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(path) from error
    h, w = page.shape[0] // SIDE, page.shape[1] // SIDE
    if h * w < COUNT:
        raise _damaged(path)
    tiles = page.unflatten(1, (w, SIDE)).unflatten(0, (h, SIDE))
    return tiles.permute(0, 2, 4, 1, 3).flatten(0, 1)[:COUNT].contiguous()


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{path} expected the clip art of the book, got a missing or damaged file: "
        "install mmdl_lib again."
    )
