"""Write what the demo of the codebook shows: decoder, codes, and pictures as tokens.

Command: python recipes/codebook_demo.py
Expected: a few seconds on one core; writes `facts.json` and `still.webp` to
`mmdl_lib/demos/codebook/`. Run it again after each training of the VQ-VAE:
`tests/demos/test_codebook.py` compares the file with the weights.
"""

import base64
import colorsys
import json

import torch
from einops import rearrange
from PIL import Image, ImageDraw
from torch import Tensor, nn

from mmdl_lib import demos
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._export import enlarge, to_image, webp, write
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.pretrained import small

OUT = demos.HERE / "codebook"
PICTURES = (0, 1, 2, 3)  # of scenes that the chapter shows, too
CELL = (4, 7)  # row and column that the still picture rings


def half(values: Tensor) -> str:
    """Numbers as base64 of 16 bits each; parameters have no more."""
    return base64.b64encode(values.detach().half().numpy().tobytes()).decode()


def step(layer: nn.Module) -> dict:
    """One layer, as the page reads it."""
    facts = {"weight": half(layer.weight), "bias": half(layer.bias)}
    if isinstance(layer, nn.GroupNorm):
        return facts | {"kind": "norm", "groups": layer.num_groups, "eps": layer.eps}
    out, inward, side, _ = layer.weight.shape
    return facts | {"kind": "conv", "out": out, "in": inward, "side": side}


def layers(decoder: nn.Sequential) -> list[dict]:
    """The decoder in order; a block is {"branch": its layers with weights}."""
    found = []
    for part in decoder:
        if hasattr(part, "branch"):
            inner = [step(x) for x in part.branch if not isinstance(x, nn.SiLU)]
            found.append({"branch": inner})
        elif isinstance(part, nn.Conv2d):
            found.append(step(part))
    return found


def to_bytes(image: Tensor) -> Tensor:
    return ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def patches(model, image: Tensor) -> Tensor:
    """What the decoder draws where each code stands: the mean over pictures, bytes."""
    tokens = torch.cat([model.tokens(part) for part in image.split(250)])
    drawn = torch.cat([model.from_tokens(part) for part in tokens.split(250)])
    drawn = rearrange(drawn, "b c (n i) (m j) -> (b n m) (c i j)", i=2, j=2)
    size = model.config.codes
    total = torch.zeros(size, drawn.shape[1]).index_add_(0, tokens.flatten(), drawn)
    count = tokens.flatten().bincount(minlength=size)[:, None]
    assert count.min() > 0  # every code is in use
    return to_bytes(total / count)


def order(patch: Tensor) -> list[int]:
    """Codes as a palette: grays from dark to light, then colors by hue."""
    keys = []
    for one in rearrange(patch, "k (c i) -> k i c", c=3).float().mean(1) / 255:
        hue, chroma, light = colorsys.rgb_to_hsv(*one.tolist())
        keys.append((True, hue) if chroma > 0.25 else (False, light))
    return sorted(range(len(keys)), key=keys.__getitem__)


@torch.no_grad()
def facts() -> dict:
    """Decoder, codes, their patches and four pictures as tokens."""
    model = small.load("vqvae", "shapes")
    image = to_float(t2i.sample(200, seed=7).render())
    many = to_float(t2i.sample(1000, seed=8).render())
    patch = patches(model, many)
    return {
        "codes": base64.b64encode(model.codebook.codes.numpy().tobytes()).decode(),
        "width": model.config.code_width,
        "layers": layers(model.decoder),
        "side": model.tokens(image[:1]).shape[-1],
        "factor": model.config.factor,
        "tokens": model.tokens(image[list(PICTURES)]).flatten(1).tolist(),
        "patches": base64.b64encode(patch.numpy().tobytes()).decode(),
        "order": order(patch),
    }


@torch.no_grad()
def still(found: dict) -> Image.Image:
    """A picture, its tokens as patches, and all codes."""
    side, k = found["side"], found["factor"]
    raw = bytearray(base64.b64decode(found["patches"]))
    patch = torch.frombuffer(raw, dtype=torch.uint8).reshape(-1, 3, k, k)
    tokens = torch.tensor(found["tokens"][2]).view(1, side, side)
    picture = to_bytes(small.load("vqvae", "shapes").from_tokens(tokens))[0]
    sheets = [picture]
    for grid in (tokens[0], torch.tensor(found["order"]).view(side, side)):
        sheets.append(rearrange(patch[grid], "n m c i j -> c (n i) (m j)"))
    image = Image.new("RGB", (660, 220), "white")
    for i, sheet in enumerate(sheets):
        image.paste(to_image(enlarge(sheet, 6)), (12 + 222 * i, 14))
    draw = ImageDraw.Draw(image)
    for left in (12, 234):
        y, x = 14 + 12 * CELL[0], left + 12 * CELL[1]
        draw.rectangle((x - 3, y - 3, x + 14, y + 14), outline="#c22", width=3)
    return image


def main() -> None:
    found = facts()
    write(OUT / "facts.json", json.dumps(found).encode())
    write(OUT / "still.webp", webp(still(found), quality=85))


if __name__ == "__main__":
    main()
