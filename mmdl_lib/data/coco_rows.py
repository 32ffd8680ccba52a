"""COCO, or any set like it, from rows such as those of the library `datasets`.

`open_coco` reads the official files. Many copies of COCO come as rows instead, which
the library `datasets` reads from a hub or from a folder; each copy has its own column
names, and two ways to write a box. So what the columns are called is said here, once:

    from datasets import load_dataset
    rows = load_dataset(NAME, split="validation")
    coco = from_rows(rows, categories=NAMES, boxes="corners")
    coco[0].captions, coco[0].box

Rows are dictionaries. `datasets` is not needed: a list of dictionaries will do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.data.coco import Example

COLUMNS = {
    "id": "image_id",
    "image": "image",
    "captions": "captions",
    "objects": "objects",
    "box": "bbox",
    "category": "category",
    "crowd": "iscrowd",
    "area": "area",
}
NEEDED = ("box", "category")
BOXES = ("width and height", "corners")


@dataclass(frozen=True)
class Rows:
    """Pictures by place; `from_rows` makes it.

    Attributes:
        rows: where each comes from when it is asked for.
        categories: names; a label is an index into them.
        boxes: one of `BOXES`.
        columns: what the rows call the keys of `COLUMNS`.
    """

    rows: Sequence[Mapping]
    categories: tuple[str, ...]
    boxes: str
    columns: dict[str, str]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Example:
        """One example; its row is read now.

        Raises:
            IndexError: no such place.
            ValueError: no picture, captions that are no sentences, an object without
                box or category, an unknown category, or a box that is none.
        """
        if not -len(self) <= i < len(self):
            raise IndexError(f"expected a place below {len(self)}, got {i}.")
        i, name, where = i % len(self), self.columns, f"row {i % len(self)}"
        row = self.rows[i]
        objects = _listed(row.get(name["objects"]), where)
        for one in objects:
            lost = [name[k] for k in NEEDED if one.get(name[k]) is None]
            if lost:
                raise ValueError(f"{where} expected objects with {lost[0]}, got {one}.")
        box = [self._corners(one[name["box"]], where) for one in objects]
        box = torch.tensor(box, dtype=torch.float32).reshape(-1, 4)
        found = [one.get(name["area"]) for one in objects]
        sides = (box[:, 2:] - box[:, :2]).prod(1)
        area = [a if b is None else b for a, b in zip(sides, found, strict=True)]
        label = [self._label(one[name["category"]], where) for one in objects]
        crowd = [bool(one.get(name["crowd"])) for one in objects]
        return Example(
            row.get(name["id"], i),
            _picture(row.get(name["image"]), where),
            box,
            torch.tensor(label).long(),
            torch.tensor(crowd).bool(),
            torch.tensor(area, dtype=torch.float32),
            _sentences(row.get(name["captions"]), where),
        )

    def _corners(self, box, where: str) -> list[float]:
        numbers = [x for x in box if isinstance(x, int | float)]
        if self.boxes == "width and height" and len(numbers) == len(box) == 4:
            x, y, width, height = numbers
            numbers = [x, y, x + width, y + height]
        x0, y0, x1, y1 = numbers if len(numbers) == len(box) == 4 else (1, 1, 0, 0)
        if not (x1 >= x0 and y1 >= y0):  # nor NaN
            raise ValueError(
                f"{where} expected boxes of x, y and {self.boxes}, got {list(box)}; "
                f"there are two ways to write one: {' or '.join(map(repr, BOXES))}."
            )
        return [float(x) for x in numbers]

    def _label(self, category, where: str) -> int:
        if isinstance(category, str) and category in self.categories:
            return self.categories.index(category)
        if isinstance(category, int) and 0 <= category < len(self.categories):
            return category
        raise ValueError(
            f"{where} expected the name of a category or its place among the "
            f"{len(self.categories)}, got {category!r}."
        )


def from_rows(
    rows: Sequence[Mapping],
    *,
    categories: Sequence[str] = (),
    boxes: str = "width and height",
    **columns: str,
) -> Rows:
    """Rows as examples of COCO; nothing is read yet but the first.

    Args:
        rows: a `datasets.Dataset`, or dictionaries: a picture of Pillow, sentences
            (several, one, or none), and objects, as a list of dictionaries or as a
            dictionary of lists.
        categories: names, in the order of the rows' numbers; none without objects.
        boxes: "width and height" or "corners": what follows x and y in a box.
        columns: what the rows call "id", "image", "captions", "objects", and in an
            object "box", "category", "crowd" and "area", where it differs from
            `COLUMNS`.

    Raises:
        ValueError: no row, an unknown key of `columns`, no column of pictures, or
            another kind of boxes.
    """
    check_choice("boxes", boxes, BOXES)
    unknown = [key for key in columns if key not in COLUMNS]
    if unknown:
        raise ValueError(
            f"columns expected keys among {', '.join(COLUMNS)}, got {unknown[0]!r}."
        )
    names = COLUMNS | columns
    if len(rows) == 0:
        raise ValueError("rows expected at least 1, got 0.")
    first = rows[0]
    if not isinstance(first, Mapping) or names["image"] not in first:
        there = ", ".join(first) if isinstance(first, Mapping) else type(first).__name__
        raise ValueError(
            f"rows expected a column {names['image']!r} of pictures, got {there}: say "
            "image= and the names of the other columns."
        )
    return Rows(rows, tuple(categories), boxes, names)


def _listed(objects, where: str) -> list[Mapping]:
    """Objects as a list of dictionaries, however the row has them."""
    if objects is None:
        return []
    if isinstance(objects, Mapping):
        lengths = {key: len(values) for key, values in objects.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{where} expected objects in lists of one length, got {lengths}."
            )
        n = next(iter(lengths.values()), 0)
        return [{key: objects[key][j] for key in objects} for j in range(n)]
    return list(objects)


def _sentences(captions, where: str) -> tuple[str, ...]:
    found = [captions] if isinstance(captions, str) else captions or []
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"{where} expected captions as sentences, got {found[:1]}.")
    return tuple(text.strip() for text in found if text.strip())


def _picture(image, where: str) -> UInt8[Tensor, "3 h w"]:
    if not hasattr(image, "convert"):
        raise ValueError(
            f"{where} expected a picture of Pillow, got {type(image).__name__}."
        )
    try:
        pixels = np.asarray(image.convert("RGB"))  # gray, palette, CMYK too
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"{where} expected a whole picture, got a damaged one."
        ) from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()
