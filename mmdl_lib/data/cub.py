"""Pictures with ten texts each in folders, the form of CUB-200-2011 and Oxford-102.

The folder holds:

    images/001.Black_footed_Albatross/name.jpg    or, all in one folder, jpg/name.jpg
    text_c10/001.Black_footed_Albatross/name.txt  one caption a line
    trainvalclasses.txt, testclasses.txt          one class a line

Wah et al. 2011 photographed 200 species of birds (11,788 pictures), Nilsback and
Zisserman 2008 102 kinds of flowers (8,189). Texts and splits by class were added for
text-to-image models, which have to draw classes that they have not seen. Nothing in
this book needs these sets: the code is for readers who have them.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number

SPLITS = {"train": "trainvalclasses.txt", "test": "testclasses.txt"}
KINDS = (".jpg", ".jpeg", ".png")


class TextImages(NamedTuple):
    """Pictures, all texts of each, and which of the classes it is of."""

    image: UInt8[Tensor, "b 3 h w"]
    texts: list[list[str]]
    label: Int[Tensor, " b"]
    classes: list[str]


def load(
    folder: str | Path,
    split: str = "train",
    *,
    images: str = "images",
    texts: str = "text_c10",
    resolution: int = 64,
) -> TextImages:
    """All pictures of the split's classes that have a text, in the order of names.

    Pictures are cut to the middle square and reduced with antialiasing.

    Args:
        folder: holds what the other names say.
        split: "train" or "test".
        images: folder of the pictures, in folders by class or all in one.
        texts: folder of the texts, in folders by class.
        resolution: height and width of what comes out.

    Raises:
        ValueError: another split, a resolution below 1, an empty list of classes or
            text, or a file that is no picture.
        FileNotFoundError: a folder, a list, or the picture of a text is not there.
    """
    check_choice("split", split, SPLITS)
    check_number("resolution", resolution, 1, whole=True)
    folder = Path(folder)
    classes = _lines(folder / SPLITS[split], "class")
    found, said, label = [], [], []
    for number, name in enumerate(classes):
        place = folder / texts / name
        if not place.is_dir():
            raise FileNotFoundError(
                f"expected a folder of texts for class {name!r} at {place}, got none."
            )
        for text in sorted(place.glob("*.txt")):
            path = _picture(folder / images, name, text.stem)
            found.append(_read(path, resolution))
            said.append(_lines(text, "caption"))
            label.append(number)
    if not found:
        raise ValueError(f"expected texts for {len(classes)} classes, got no file.")
    image = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()
    return TextImages(image, said, torch.tensor(label), classes)


def _lines(path: Path, kind: str) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"expected a file with one {kind} a line at {path}.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected text in UTF-8 in {path}, got bytes.") from error
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        raise ValueError(f"expected one {kind} a line in {path}, got an empty file.")
    return lines


def _picture(folder: Path, name: str, stem: str) -> Path:
    for place in (folder / name, folder):
        for kind in KINDS:
            if (place / f"{stem}{kind}").is_file():
                return place / f"{stem}{kind}"
    raise FileNotFoundError(
        f"expected a picture {stem} with one of {', '.join(KINDS)} in {folder / name} "
        f"or {folder}, got none."
    )


def _read(path: Path, resolution: int) -> np.ndarray:
    """(h, w, 3) bytes of the middle square."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            square = ImageOps.fit(
                picture.convert("RGB"), (resolution, resolution), Image.Resampling.BOX
            )
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"expected a picture in {path}, got another file.") from error
    return np.asarray(square)
