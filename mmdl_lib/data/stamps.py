"""Stamps of Tux Paint: cut-out pictures with captions in many languages.

Photographs and drawings that children paint with, each with a sentence or a few words
in English, and translations by volunteers into dozens of languages. The pictures stay
in their Debian package `tuxpaint-stamps-default`, under the GPL, version 2; nothing is
downloaded:

    sudo apt-get install tuxpaint-stamps-default

or, without root, `apt-get download tuxpaint-stamps-default`, then `dpkg-deb -x` of what
came, and `open_stamps(FOLDER + "/usr/share/tuxpaint/stamps")`. A folder of this form
holds, in folders by kind:

    animals/birds/duck.png    the picture; what is not the duck is transparent
    animals/birds/duck.txt    first line: "A duck."; then "de.utf8=Eine Ente." and so on

Captions are read once and checked as a whole, pictures when they are asked for.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.data._pixels import read_picture

ROOT = Path("/usr/share/tuxpaint/stamps")
PACKAGE = "tuxpaint-stamps-default"


class Stamp(NamedTuple):
    """One picture and what is said about it.

    Attributes:
        name: its file below the root, without the ending: "animals/birds/duck".
        image: pixels 0 to 255 on white ground.
        alpha: 255 where the thing is, 0 where nothing is, edges between.
        captions: by language: "en" and the codes of the package, such as "pt_BR".
    """

    name: str
    image: UInt8[Tensor, "3 h w"]
    alpha: UInt8[Tensor, "h w"]
    captions: dict[str, str]


@dataclass(frozen=True)
class Stamps:
    """Stamps in the order of their names; `open_stamps` makes it.

    Attributes:
        root: where the files lie.
        names: as in `Stamp`.
        captions: of each, by language.
    """

    root: Path
    names: tuple[str, ...]
    captions: tuple[dict[str, str], ...]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Stamp]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Stamp:
        """One stamp; its picture is read now.

        Raises:
            IndexError: no such place.
            ValueError: a damaged picture.
        """
        pixels = read_picture(self.root / f"{self.names[i]}.png", mode="RGBA")
        alpha = pixels[3]
        share = alpha.float() / 255
        image = pixels[:3] * share + 255 * (1 - share)
        image = image.round().to(torch.uint8)
        return Stamp(self.names[i], image, alpha, self.captions[i])

    def languages(self) -> dict[str, int]:
        """How many stamps have a caption in each language, the most first."""
        counts = Counter(code for said in self.captions for code in said)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def told_in(self, *codes: str) -> "Stamps":
        """The stamps that have a caption in all of these languages.

        Raises:
            ValueError: no language, or one in which nothing is told.
        """
        known = self.languages()
        unknown = [code for code in codes if code not in known]
        if unknown or not codes:
            raise ValueError(
                f"languages expected some of {', '.join(known)}, got "
                f"{unknown[0] if unknown else 'none'}."
            )
        return self._where([set(codes) <= {*said} for said in self.captions])

    def under(self, folder: str) -> "Stamps":
        """The stamps of a folder, such as "animals" or "food/fruit".

        Raises:
            ValueError: no stamp lies there.
        """
        found = self._where([name.startswith(f"{folder}/") for name in self.names])
        if not found:
            tops = sorted({name.partition("/")[0] for name in self.names})
            raise ValueError(
                f"folder expected one of {', '.join(tops)} or a folder in it, got "
                f"{folder!r}."
            )
        return found

    def _where(self, keep: list[bool]) -> "Stamps":
        rows = [i for i, kept in enumerate(keep) if kept]
        names, said = ([part[i] for i in rows] for part in (self.names, self.captions))
        return Stamps(self.root, tuple(names), tuple(said))


def open_stamps(root: str | Path = ROOT, *, smallest: int = 48) -> Stamps:
    """The stamps that are PNG files with a caption, their captions read and checked.

    Mirror images of other stamps are left out.

    Args:
        root: the folder `stamps`; by default where the Debian package has it.
        smallest: pixels that the shorter side must have.

    Raises:
        FileNotFoundError: no such folder; the sentence says which package has it.
        ValueError: no stamp in it; a text without a caption, with a line that is none,
            or that is not UTF-8; a damaged picture.
    """
    root = Path(root)
    check_number("smallest", smallest, 1, whole=True)
    if not root.is_dir():
        raise FileNotFoundError(
            f"expected the stamps of Tux Paint in {root}, which is no folder: install "
            f"the Debian package {PACKAGE}, or give root=."
        )
    names, said = [], []
    for path in sorted(root.rglob("*.txt")):
        picture = path.with_suffix(".png")
        mirrored = path.stem.endswith(("_mirror", "_mirror_flip", "_flip"))
        if mirrored or not picture.exists() or min(_size(picture)) < smallest:
            continue
        names.append(picture.relative_to(root).with_suffix("").as_posix())
        said.append(read_captions(path))
    if not names:
        raise ValueError(
            f"expected stamps of at least {smallest} pixels in {root}, each a .png "
            f"beside its .txt, got none."
        )
    return Stamps(root, tuple(names), tuple(said))


def read_captions(path: Path) -> dict[str, str]:
    """The captions of a file by language; a translation that is empty is none.

    Raises:
        ValueError: no caption, a line that is none, or no UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} expected text in UTF-8 ({error}).") from error
    if not lines or not lines[0].strip() or ".utf8=" in lines[0]:
        raise ValueError(
            f"{path} expected an English caption in its first line, got "
            f"{lines[0][:40] if lines else ''!r}."
        )
    found = {"en": lines[0].strip()}
    for line in filter(str.strip, lines[1:]):
        code, mark, text = line.partition(".utf8=")
        if not mark or not code.strip():
            raise ValueError(
                f"{path} expected lines such as 'de.utf8=Eine Ente.' after the first, "
                f"got {line[:40]!r}."
            )
        if text.strip():
            found[code.strip()] = text.strip()
    return found


def _size(path: Path) -> tuple[int, int]:
    """Width and height; of the file only its beginning is read."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"{path} expected a whole picture, got a damaged file."
        ) from error
