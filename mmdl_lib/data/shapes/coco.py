"""The shapes world in the format of COCO: what `pycocotools` and detectors read.

Format: Lin et al., ECCV 2014, and cocodataset.org, "Data format". Masks are stored as
uncompressed run lengths, which COCO itself uses for crowds only, because a ring has a
hole and no polygon says that; no object is a crowd.
"""

import json
import struct
import zlib
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from mmdl_lib.data.shapes.drawing import OWN
from mmdl_lib.data.shapes.language import captions
from mmdl_lib.data.shapes.scenes import SHAPES, Scenes


def to_coco(scenes: Scenes, folder: str | Path, *, resolution: int = 32) -> Path:
    """Write pictures and annotations; files that are there are written over.

    Args:
        scenes: what to write; image ids count from 1 in their order.
        folder: gets images/000001.png ..., annotations/instances.json and
            annotations/captions.json; made where missing. Scenes of style "own" have
            no captions, so that the latter holds none.
        resolution: height and width of the pictures and of all lengths written.

    Returns:
        The path of instances.json. Category i + 1 is the shape `SHAPES[i]`; boxes are
        (x, y, width, height) of the visible pixels, areas are their number, and an
        object that shows no pixel is left out.

    Raises:
        ValueError: a resolution below 16.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    pictures, masks = scenes.render(resolution), scenes.instance_masks(resolution)
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    images = []
    for i, picture in enumerate(pictures, 1):
        name = f"{i:06d}.png"
        (folder / "images" / name).write_bytes(png(picture))
        size = {"height": resolution, "width": resolution}
        images.append({"id": i, "file_name": name, **size})
    objects = [
        {"image_id": i + 1, "category_id": int(scenes.shape[i, k]) + 1} | _region(mask)
        for i, slots in enumerate(masks)
        for k, mask in enumerate(slots)
        if mask.any()
    ]
    said = [
        {"image_id": i, "caption": text}
        for i, texts in enumerate([] if scenes.style == OWN else captions(scenes), 1)
        for text in texts
    ]
    kinds = [{"id": i, "name": name} for i, name in enumerate(SHAPES, 1)]
    info = {"description": f"shapes world, seed {scenes.seed}, style {scenes.style}"}
    whole = {"info": info, "licenses": [], "images": images, "categories": kinds}
    path = folder / "annotations" / "instances.json"
    path.write_text(
        json.dumps(whole | {"annotations": _numbered(objects)}), encoding="utf-8"
    )
    del whole["categories"]
    whole["annotations"] = _numbered(said)
    path.with_name("captions.json").write_text(json.dumps(whole), encoding="utf-8")
    return path


def _numbered(rows: list[dict]) -> list[dict]:
    return [{"id": i, **row} for i, row in enumerate(rows, 1)]


def _region(mask: Bool[Tensor, "h w"]) -> dict:
    y, x = mask.nonzero().T
    x0, y0 = int(x.min()), int(y.min())
    return {
        "bbox": [x0, y0, int(x.max()) + 1 - x0, int(y.max()) + 1 - y0],
        "area": len(x),
        "iscrowd": 0,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
    }


def run_lengths(mask: Bool[Tensor, "h w"]) -> list[int]:
    """Lengths of the runs down the columns, empty pixels first (maybe 0 of them)."""
    flat = mask.T.reshape(-1)
    change = (flat[1:] != flat[:-1]).nonzero()[:, 0] + 1
    ends = torch.cat([change.new_zeros(1), change, change.new_full((1,), len(flat))])
    lengths = ends.diff().tolist()
    return [0, *lengths] if flat[0] else lengths


def png(image: UInt8[Tensor, "3 h w"]) -> bytes:
    """A picture as a PNG file (W3C, PNG specification), without a library."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    _, height, width = image.shape
    # each row starts with its filter, 0 for none; 8 bits a channel, kind 2 for RGB
    rows = torch.nn.functional.pad(image.permute(1, 2, 0).reshape(height, -1), (1, 0))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows.contiguous().cpu().numpy().tobytes()))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")
