"""Draw what the demo of unCLIP's walks shows: pictures between any two of six captions.

Command: python recipes/between_demo.py
Expected: a minute on one core, most of it for the prior, which is that of the chapter
(500 steps, seed 0); writes `tiles.bin`, `facts.json` and `still.webp` to
`mmdl_lib/demos/between/`. Run it again after each training of the decoder:
`tests/demos/test_between.py` compares the pictures with its weights.
"""

import json
from itertools import combinations

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.demos._export import enlarge, to_image, webp, write
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.dalle2 import slerp
from mmdl_lib.models.dalle2_prior import Prior
from mmdl_lib.pretrained import small

OUT = demos.HERE / "between"
CAPTIONS = ("a pink triangle", "a purple moon", "a red circle", "a green square")
CAPTIONS += ("a yellow star", "a blue heart")
STATIONS, DIGITS = 11, 4  # of a walk; kept of an embedding's numbers


def ends() -> dict:
    """Embeddings for the captions: what the prior drew, and the captions' own."""
    prior, _ = un.prior(Prior, un.world(3000, seed=1), seed=0, steps=500)
    said = un.read(list(CAPTIONS))
    found = {"prior": prior.sample(*said, generator=generator(0)), "own": said.text}
    return {way: (z * 10**DIGITS).round().long().tolist() for way, z in found.items()}


def walks(rows: list) -> torch.Tensor:
    """Embeddings of all stations, walk by walk: (pairs * stations, d)."""
    z = torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float), dim=1)
    shares = [i / (STATIONS - 1) for i in range(STATIONS)]
    pairs = combinations(range(len(CAPTIONS)), 2)
    stops = [slerp(z[a : a + 1], z[b : b + 1], s) for a, b in pairs for s in shares]
    return torch.cat(stops)


@torch.no_grad()
def drawn(decoder, rows: list) -> torch.Tensor:
    """Pictures of all stations as bytes; every one begins with the same noise."""
    z = walks(rows)
    noise = torch.randn(1, 3, oo.SIDE, oo.SIDE, generator=generator(4))
    image = decoder.sample(z, noise=noise.expand(len(z), -1, -1, -1)).clamp(-1, 1)
    return ((image + 1) * 127.5).round().to(torch.uint8)


def facts(found: dict, tiles: dict) -> dict:
    """Captions, embeddings, and CLIP's cosine of each picture with both captions."""
    text, near = un.read(list(CAPTIONS)).text, {}
    pairs = torch.tensor(list(combinations(range(len(CAPTIONS)), 2)))
    both = pairs.repeat_interleave(STATIONS, 0)
    for way, image in tiles.items():
        seen = un.seen(oo.larger(image.float() / 127.5 - 1))
        cosine = (seen[:, None] * text[both]).sum(2)
        near[way] = [[round(v, 2) + 0.0 for v in row] for row in cosine.tolist()]
    return {
        "captions": list(CAPTIONS),
        "stations": STATIONS,
        "size": oo.SIDE,
        "near": near,
        "ends": found,
    }


def still(tiles: dict) -> Image.Image:
    """The first walk, every second station, both ways."""
    image = Image.new("RGB", (700, 268), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    words = {
        "prior": "through the prior",
        "own": "between the captions' own embeddings",
    }
    for j, way in enumerate(tiles):
        pen.text((8, 6 + 132 * j), words[way], "black", font)
        for i in range(6):
            tile = enlarge(tiles[way][2 * i], 6)
            image.paste(to_image(tile), (8 + 116 * i, 30 + 132 * j))
    return image


@torch.no_grad()
def main() -> None:
    decoder = small.load("dalle2", un.SOURCE)
    with torch.enable_grad():
        found = ends()
    tiles = {way: drawn(decoder, rows) for way, rows in found.items()}
    both = torch.stack([tiles[way] for way in ("prior", "own")])
    write(OUT / "tiles.bin", both.numpy().tobytes())
    write(OUT / "facts.json", json.dumps(facts(found, tiles)).encode())
    write(OUT / "still.webp", webp(still(tiles), quality=85))


if __name__ == "__main__":
    main()
