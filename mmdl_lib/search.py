"""`python -m mmdl_lib search FOLDER "a red star"`: find pictures of a folder by words.

CLIP's two towers meet only in a dot product, so a search is one matrix product (the
chapter `sec-clip`). The tiny models know the words of their world and no others.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib import pretrained
from mmdl_lib.borders import check_number

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


class Hit(NamedTuple):
    """A picture and its cosine with the query."""

    path: Path
    cosine: float


def read(path: Path, size: int) -> Tensor:
    """A picture as (1, 3, size, size) in [-1, 1], on white, its middle square.

    Raises:
        ValueError: a file that is no picture.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"expected a picture, got {path.name}: {error}.") from error
    white = Image.new("RGBA", picture.size, "white")
    flat = np.array(Image.alpha_composite(white, picture).convert("RGB"))
    image = torch.from_numpy(flat).permute(2, 0, 1)[None].float() / 127.5 - 1
    height, width = image.shape[2:]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    image = image[..., y : y + side, x : x + side]
    options = {"mode": "bilinear", "antialias": side > size}
    return F.interpolate(image, (size, size), **options).clamp(-1, 1)


@torch.no_grad()
def search(
    folder: str | Path, query: str, *, weights: str = "shapes", top: int = 5
) -> list[Hit]:
    """The pictures of a folder and of those in it that lie nearest to a sentence.

    Args:
        folder: what is searched.
        query: a sentence in words that the model knows.
        weights: which of the tiny models, "shapes" or "emoji".
        top: how many at most.

    Returns:
        The nearest first.

    Raises:
        ValueError: no folder, no pictures in it, a word that the model does not know.
    """
    check_number("top", top, 1, whole=True)
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"expected a folder, got {str(folder)!r}.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"expected pictures in {str(folder)!r}, got none.")
    model, tokenizer = pretrained.load("clip", weights)
    text = model.encode_text(*tokenizer([query]))[0]
    image = torch.cat([read(path, model.config.image_size) for path in paths])
    cosine = torch.cat([model.encode_image(part) @ text for part in image.split(256)])
    best = cosine.argsort(descending=True)[:top].tolist()
    return [Hit(paths[i], cosine[i].item()) for i in best]


def main(words: list[str]) -> int:
    """The command line; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m mmdl_lib search")
    parser.add_argument("folder", help="what is searched, with the folders in it")
    parser.add_argument("query", help='such as "a red star"')
    parser.add_argument("--weights", default="shapes", choices=("shapes", "emoji"))
    parser.add_argument("--top", type=int, default=5, help="how many at most")
    options = parser.parse_args(words)
    try:
        hits = search(**vars(options))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for hit in hits:
        print(f"{hit.cosine:6.3f}  {hit.path}")
    return 0
