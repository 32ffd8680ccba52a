"""What recipes drew once, for the pages: files with rows of equal tiles, lossless."""

from pathlib import Path

from einops import rearrange
from jaxtyping import UInt8
from torch import Tensor

from mmdl_lib.data._pixels import read_picture


def save(path: Path, rows: UInt8[Tensor, "r n c s s"]) -> None:
    """Keep rows of pictures, gray or in color."""
    from PIL import Image

    page = rearrange(rows, "r n c h w -> (r h) (n w) c").expand(-1, -1, 3)
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(page.contiguous().numpy())
    picture.save(path, lossless=True, quality=100, method=6)


def read(path: Path, side: int, recipe: str) -> UInt8[Tensor, "r n 3 s s"]:
    """The rows that `save` kept of pictures of so many pixels a side.

    Raises:
        ValueError: a missing or damaged file; says which recipe writes it.
    """
    page = read_picture(path, advice=f": run `python recipes/{recipe}.py`")
    return rearrange(page, "c (r h) (n w) -> r n c h w", h=side, w=side).contiguous()
