"""Microsoft COCO, or any folder in its format: pictures, objects, masks, captions.

Lin et al., ECCV 2014, arXiv 1405.0312; captions: Chen et al. 2015, arXiv 1504.00325;
format: cocodataset.org, "Data format". The official layout is:

    FOLDER/annotations/instances_val2017.json   categories, boxes, masks
    FOLDER/annotations/captions_val2017.json    sentences, about five a picture
    FOLDER/val2017/000000000139.jpg             the pictures

and `open_coco(FOLDER, "val2017")` reads it. `mmdl_lib.data.shapes.to_coco` writes the
same without the name of a split: `open_coco(FOLDER)`. Nothing is downloaded: unpack the
archives of cocodataset.org yourself.

Annotations are read once and checked as a whole; pictures, masks and captions are read
when they are asked for. Of 91 categories that the paper defines, 80 have objects, so
ids have gaps: a label is the place of its category in the file, from 0.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib.data._pixels import read_picture

KEYS = {
    "images": ("id", "file_name", "height", "width"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "captions": ("image_id", "caption"),
}


class Example(NamedTuple):
    """One picture and all that is said about it.

    Attributes:
        id: of the picture in the file.
        image: pixels 0 to 255, always three channels.
        box: (x0, y0, x1, y1) of each object.
        label: index of each into `Coco.categories`.
        crowd: true for a region of many objects that nobody counted.
        area: pixels of the mask as the file gives them; of the box where it does not.
        captions: sentences; none where the file has none for this picture.
    """

    id: int
    image: UInt8[Tensor, "3 h w"]
    box: Float[Tensor, "n 4"]
    label: Int[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    area: Float[Tensor, " n"]
    captions: tuple[str, ...]


@dataclass
class Coco:
    """Pictures by place in the file; `open_coco` makes it.

    Attributes:
        images: where the pictures lie.
        rows: of the pictures, as in the file.
        categories: names; a label is an index into them.
        said: the file of captions; None where there is no such file.
    """

    images: Path
    rows: list[dict]
    categories: tuple[str, ...]
    said: Path | None
    objects: dict[int, list[dict]] = field(repr=False, default_factory=dict)
    labels: dict[int, int] = field(repr=False, default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Example:
        """One example; its picture is read now.

        Raises:
            IndexError: no such place.
            FileNotFoundError: the picture's file is missing.
            ValueError: a damaged picture, or one of another size than the file says.
        """
        row = self.rows[i]
        found = self.objects.get(row["id"], [])
        box = torch.tensor([one["bbox"] for one in found], dtype=torch.float32)
        box = box.reshape(-1, 4)
        box = torch.cat([box[:, :2], box[:, :2] + box[:, 2:]], 1)
        sides = box[:, 2:] - box[:, :2]
        area = [one.get("area", a) for one, a in zip(found, sides.prod(1), strict=True)]
        return Example(
            row["id"],
            self._picture(row),
            box,
            torch.tensor([self.labels[one["category_id"]] for one in found]).long(),
            torch.tensor([bool(one.get("iscrowd", 0)) for one in found]).bool(),
            torch.tensor(area, dtype=torch.float32),
            self.captions.get(row["id"], ()) if self.said else (),
        )

    def place(self, image_id: int) -> int:
        """Where a picture stands.

        Raises:
            KeyError: the file has no such picture.
        """
        if image_id not in self._places:
            raise KeyError(f"no picture has the id {image_id!r}.")
        return self._places[image_id]

    @cached_property
    def _places(self) -> dict[int, int]:
        return {row["id"]: i for i, row in enumerate(self.rows)}

    @cached_property
    def captions(self) -> dict[int, tuple[str, ...]]:
        """All captions by picture id, read at the first call.

        Raises:
            FileNotFoundError: there is no file of captions.
            ValueError: it is damaged, or tells of a picture that is not there.
        """
        if self.said is None:
            raise FileNotFoundError(
                f"expected captions beside the annotations of {self.images}, got none: "
                "unpack the archive of annotations again."
            )
        rows = _read(self.said, ("annotations",))["annotations"]
        out = {}
        for row in _checked(rows, "captions", self.said):
            _known(row["image_id"], self._places, "picture", self.said)
            out.setdefault(row["image_id"], []).append(row["caption"].strip())
        return {key: tuple(texts) for key, texts in out.items()}

    def masks(self, i: int) -> Bool[Tensor, "n h w"]:
        """Pixels of each object of one picture; needs pycocotools.

        Polygons, run lengths and compressed run lengths are read.

        Raises:
            ModuleNotFoundError: pycocotools is missing.
            ValueError: an object without a mask, or one that cannot be read.
        """
        row = self.rows[i]
        size = row["height"], row["width"]
        found = self.objects.get(row["id"], [])
        masks = [_mask(one, size) for one in found]
        return torch.stack(masks) if masks else torch.zeros((0, *size)).bool()

    def statistics(self) -> dict[str, Tensor]:
        """What the paper's Figure 5 counts; crowds are left out.

        Returns:
            "instances (b,)" and "categories (b,)" of each picture, "per category (k,)"
            and "share (n,)", the square root of an object's share of its picture.
        """
        single = [
            [one for one in self.objects.get(row["id"], []) if not one.get("iscrowd")]
            for row in self.rows
        ]
        kinds = [[self.labels[one["category_id"]] for one in found] for found in single]
        count = torch.tensor([label for some in kinds for label in some]).long()
        share = [
            (one.get("area", one["bbox"][2] * one["bbox"][3]) / row["height"])
            / row["width"]
            for row, found in zip(self.rows, single, strict=True)
            for one in found
        ]
        return {
            "instances": torch.tensor([len(some) for some in kinds]),
            "categories": torch.tensor([len(set(some)) for some in kinds]),
            "per category": count.bincount(minlength=len(self.categories)),
            "share": torch.tensor(share).sqrt(),
        }

    def _picture(self, row: dict) -> UInt8[Tensor, "3 h w"]:
        path = self.images / row["file_name"]
        if not path.exists():
            raise FileNotFoundError(
                f"picture {row['id']} expected the file {path}, which is not there."
            )
        image, size = read_picture(path), (row["height"], row["width"])
        if image.shape[1:] != size:
            raise ValueError(
                f"{path} expected height and width {size}, as its annotation says, got "
                f"{tuple(image.shape[1:])}."
            )
        return image


def open_coco(folder: str | Path, split: str | None = None) -> Coco:
    """The annotations of a split, read and checked.

    Args:
        folder: holds `annotations` and the folder of pictures.
        split: such as "val2017"; None for files without such a name, as `to_coco`
            writes them, with the pictures in `images`.

    Raises:
        FileNotFoundError: no such annotations.
        ValueError: they are cut off, or name a picture or category that is not there.
    """
    folder, ending = Path(folder), f"_{split}" if split else ""
    path = folder / "annotations" / f"instances{ending}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"expected {path}: unpack the archives of COCO in {folder}, or write "
            "annotations with shapes.to_coco."
        )
    whole = _read(path, ("images", "categories", "annotations"))
    rows = _checked(whole["images"], "images", path)
    kinds = _checked(whole["categories"], "categories", path)
    labels = {kind["id"]: i for i, kind in enumerate(kinds)}
    known, objects = {row["id"] for row in rows}, {}
    for one in _checked(whole["annotations"], "annotations", path):
        _known(one["image_id"], known, "picture", path)
        _known(one["category_id"], labels, "category", path)
        _box(one, path)
        objects.setdefault(one["image_id"], []).append(one)
    said = path.with_name(f"captions{ending}.json")
    names = tuple(kind["name"] for kind in kinds)
    said = said if said.exists() else None
    return Coco(folder / (split or "images"), rows, names, said, objects, labels)


def _read(path: Path, parts: tuple[str, ...]) -> dict:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} expected whole JSON, got a file that breaks off or is damaged "
            f"({error}): unpack it again."
        ) from error
    missing = [p for p in parts if not isinstance(whole, dict) or p not in whole]
    if missing:
        raise ValueError(f"{path} expected {', '.join(parts)}, got no {missing[0]}.")
    return whole


def _checked(rows, kind: str, path: Path) -> list[dict]:
    """Rows with all that they need, and ids of their own where they have one."""
    for row in rows:
        lost = [k for k in KEYS[kind] if not isinstance(row, dict) or k not in row]
        if lost:
            raise ValueError(
                f"{path}, {kind}: expected {', '.join(KEYS[kind])} in each, got none "
                f"for {lost[0]} in {str(row)[:60]}."
            )
    ids = [row["id"] for row in rows if "id" in row]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"{path}, {kind}: expected each id once, got {twice} twice.")
    return rows


def _known(one, known, kind: str, path: Path) -> None:
    if one not in known:
        raise ValueError(
            f"{path} expected the id of a {kind} that it lists, got {one!r}."
        )


def _box(one: dict, path: Path) -> None:
    """COCO's boxes are x, y, width and height; a few have no width, none a negative."""
    box = one["bbox"]
    numbers = all(isinstance(x, int | float) for x in box)
    if len(box) != 4 or not numbers or min(box[2:]) < 0:
        raise ValueError(
            f"{path} expected boxes of x, y, width and height, none of these below 0, "
            f"got {box} for picture {one['image_id']}."
        )


def _mask(one: dict, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    try:
        from pycocotools import mask as coco_mask
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected pycocotools for masks: pip install pycocotools."
        ) from error
    where, code = f"an object of picture {one['image_id']}", one.get("segmentation")
    if not code:
        raise ValueError(f"{where} expected a mask, got none.")
    if isinstance(code, dict) and tuple(code.get("size", ())) != size:
        raise ValueError(
            f"{where} expected a mask of height and width {size}, got {code['size']}."
        )
    try:
        if isinstance(code, list):  # polygons, one for each part that shows
            code = coco_mask.merge(coco_mask.frPyObjects(code, *size))
        elif isinstance(code["counts"], list):
            code = coco_mask.frPyObjects(code, *size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of numpy 2, inside
            return torch.from_numpy(coco_mask.decode(code)).bool()
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f"{where} expected polygons or run lengths, got {str(code)[:60]}."
        ) from error
