"""Grids of pictures, in the look of `viz`."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmdl_lib.borders import check_image
from mmdl_lib.viz import look
from mmdl_lib.viz.look import Figure, word


def images(
    image: Tensor,
    *,
    labels: Sequence | None = None,
    columns: int | None = None,
    fixed: bool = False,
    title: str,
    alt: str,
) -> Figure:
    """A grid of pictures, with fewer columns where the page is narrow.

    Args:
        image: (b, 3, h, w), uint8 in [0, 255] or floats in [-1, 1]. Pictures of at most
            64 pixels keep their pixels sharp when enlarged.
        labels: one for each picture, shown below it.
        columns: at most so many beside each other.
        fixed: keep the columns on a narrow page too, where places carry meaning.
        title: shown below the grid.
        alt: what the pictures show, for those who cannot see them.

    Raises:
        ValueError: another shape or range, a missing `alt`, or a wrong count of labels.
    """
    look.check_words(title, alt)
    shown = pixels(image)
    if labels is not None and len(labels) != len(shown):
        raise ValueError(
            f"images expected {len(shown)} labels, one for each picture, got "
            f"{len(labels)}."
        )
    columns = columns or min(len(shown), 8 if labels is None else 4)
    least = min(60 if labels is None else 100, 560 // columns)
    share = f"calc((100% - {columns - 1} * .6em) / {columns})"
    tracks = "minmax(0,1fr)" if fixed else f"minmax(max({least}px,{share}),1fr)"
    tiles = (
        _tile(picture, None if labels is None else labels[i])
        for i, picture in enumerate(shown)
    )
    # how many, and how high for its width: for places where a grid must fit a box
    rows = -(-len(shown) // columns) * shown.shape[1] / shown.shape[2]
    grid = (
        f'<div class="mmdl-grid" role="img" aria-label="{html.escape(alt)}" '
        f'style="--columns:{columns};--rows:{rows:g};display:grid;gap:.6em;'
        f"grid-template-columns:repeat({columns if fixed else 'auto-fill'},{tracks});"
        f'max-width:{min(720, 150 * columns)}px">{"".join(tiles)}</div>'
    )
    return look.figure(grid, title)


def pixels(image: Tensor) -> np.ndarray:
    """(b, h, w, 3) bytes out of pictures, checked."""
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3:
        got = tuple(image.shape) if hasattr(image, "shape") else type(image).__name__
        raise ValueError(
            f"images expected a tensor of pictures of shape (b, 3, h, w), got {got}."
        )
    if len(image) == 0:
        raise ValueError("images expected at least one picture, got none.")
    if image.dtype != torch.uint8:
        check_image(image)
        image = ((image.float() + 1) * 127.5).round().clamp(0, 255).byte()
    return image.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy()


def _tile(picture: np.ndarray, label) -> str:
    from PIL import Image

    h, w = picture.shape[:2]
    small, buffer = max(h, w) <= 64, io.BytesIO()
    # a photograph as PNG is several times as large
    kind, options = ("png", {"optimize": True}) if small else ("webp", {"quality": 85})
    Image.fromarray(picture).save(buffer, kind, **options)
    data = base64.b64encode(buffer.getvalue()).decode()
    scaling = "pixelated" if small else "auto"
    below = ""
    if label is not None:
        words = html.escape(word(label))
        below = f'<div style="font-size:.85em;line-height:1.25">{words}</div>'
    return (
        f'<div style="text-align:center"><svg viewBox="0 0 {w} {h}" '
        f'style="display:block;width:100%;border-radius:4px"><image width="{w}" '
        f'height="{h}" style="image-rendering:{scaling}" '
        f'href="data:image/{kind};base64,{data}"/></svg>{below}</div>'
    )
