"""Real pictures for autoencoders: clip art, and measures of what comes back.

Drawings of kinds that training has not shown, 32 x 32. One number of three between -1
and 1 for each pixel; PSNR counts the whole range, 2, as the peak.
"""

import math
from functools import cache
from pathlib import Path

from jaxtyping import Float, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.data import clipart
from mmdl_lib.data.shapes import to_bytes, to_float
from mmdl_lib.lab import draws
from mmdl_lib.lab.autoencoding import sharpness

SIDE = 32
PICKED = (0, 60, 120, 180, 240, 300)  # test drawings on the pages, those of `sec-vae`
# in full, so that only pages which show them depend on them
FILES = {
    "vae": "clipart_vae.webp",
    "vqvae": "clipart_vqvae.webp",
    "vqgan": "clipart_vqgan.webp",
    "dvae": "clipart_dvae.webp",
}
NAMES = {"vae": "VAE", "vqvae": "VQ-VAE", "vqgan": "VQGAN", "dvae": "dVAE"}
FOLDER = Path(clipart.__file__).parent / "_clipart_draws"


@cache
def world(split: str) -> UInt8[Tensor, "n 3 32 32"]:
    """The drawings of a split, as those on which the VQ-VAE of `sec-vae` learned."""
    return clipart.load(split, size=SIDE).image


def psnr(error: float) -> float:
    """Decibels of a mean squared error of pixels in [-1, 1]; infinite for none.

    Example:
        >>> round(psnr(0.04), 6)
        20.0
    """
    return 10 * math.log10(4 / error) if error else math.inf


def measured(rebuilt: Float[Tensor, "b 3 32 32"]) -> dict[str, float]:
    """Error, and edges as a share of the true ones, of all test drawings rebuilt."""
    image = to_float(world("test"))
    error = (rebuilt - image).square().mean().item()
    return {"error": error, "sharpness": sharpness(rebuilt, image)}


def save(kind: str, rebuilt: Float[Tensor, "b 3 32 32"]) -> None:
    """Keep what the pages show of all test drawings rebuilt, without loss."""
    check_choice("kind", kind, tuple(FILES))
    draws.save(FOLDER / FILES[kind], to_bytes(rebuilt[list(PICKED)])[None])


def shown(kind: str) -> UInt8[Tensor, "n 3 32 32"]:
    """What `save` kept, in the order of `PICKED`.

    Raises:
        ValueError: another kind, or a missing or damaged file.
    """
    check_choice("kind", kind, tuple(FILES))
    return draws.read(FOLDER / FILES[kind], SIDE, "vae_real")[0]


def table(found: dict, shipped: dict) -> list[dict]:
    """What was measured, as rows for readers: one a training.

    Args:
        found: what the recipe keeps, of all models or of some.
        shipped: what `recipes/vae.py` measured of its VQ-VAE, with bits.
    """
    runs = {"VQ-VAE of the chapter": shipped}
    for kind, name in NAMES.items():
        for seed in sorted(found.get(kind, {}), key=int):
            runs[f"{name}, seed {seed}"] = found[kind][seed]
    rows = []
    for name, run in runs.items():
        row = {"training": name, "bits a picture": round(run["bits"])}
        row |= {"squared error": round(run["error"], 3)}
        row |= {"PSNR (dB)": round(psnr(run["error"]), 1)}
        row |= {"energy of edges": round(run["sharpness"], 2)}
        rows.append(row | {"codes used": run.get("used", "-")})
    return rows
