"""Export what the demo of the captioner needs: network, words, drawings of the shapes.

Command: python recipes/captioner_demo.py
Expected: half a minute on one core; writes `model.onnx`, `facts.json` and `still.webp`
to `mmdl_lib/demos/captioner/`. Run it again after each training of the captioner:
`tests/demos/test_captioner.py` compares the files with the weights.
"""

import base64
import json
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos, pretrained
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.data.shapes.drawing import RADIUS
from mmdl_lib.data.shapes.scenes import HELD_OUT
from mmdl_lib.demos._export import enlarge, network, to_image, webp, write
from mmdl_lib.demos._live.captioner import Tell
from mmdl_lib.lab import telling
from mmdl_lib.nn import decode

OUT = demos.HERE / "captioner"
MOST, BEAMS = 4, 5  # objects of a scene; beginnings that are read at once
# color, shape, size and center of each object
SCENES = (
    (("red", "star", "medium", 8, 16), ("blue", "ring", "medium", 24, 14)),
    (("green", "moon", "large", 21, 22), ("yellow", "square", "small", 19, 7)),
    (
        ("purple", "heart", "small", 6, 22),
        ("orange", "circle", "small", 16, 9),
        ("cyan", "cross", "small", 26, 20),
    ),
    (
        ("pink", "triangle", "small", 7, 8),
        ("green", "circle", "small", 12, 24),
        ("blue", "star", "small", 20, 11),
        ("yellow", "moon", "small", 26, 24),
    ),
    (("red", "square", "medium", 9, 12), ("purple", "cross", "medium", 23, 20)),
)


def scene(objects) -> Scenes:
    """One scene of what is said in words, all in a plain color."""
    n = len(objects)
    found = shapes.sample(1, seed=0, objects=n, textures="solid")
    color, form, size = (
        getattr(found, name).clone() for name in ("color", "shape", "size")
    )
    center = found.center.clone()
    for k, (paint, kind, extent, x, y) in enumerate(objects):
        color[0, k] = shapes.COLORS.index(paint)
        form[0, k] = shapes.SHAPES.index(kind)
        size[0, k] = shapes.SIZES.index(extent)
        center[0, k] = torch.tensor([x, y])
    return replace(found, color=color, shape=form, size=size, center=center)


def sprites() -> dict:
    """How much of each pixel around a whole-numbered center a shape covers, float32."""
    found = {}
    for size, radius in zip(shapes.SIZES, RADIUS, strict=True):
        half = int(radius + 0.5)
        part = slice(16 - half, 16 + half)
        for form in shapes.SHAPES:
            full = scene([("red", form, size, 16, 16)]).coverage()[0, 0]
            cover = full[part, part].contiguous()
            assert (cover > 0).sum() == (full > 0).sum()
            raw = base64.b64encode(cover.numpy().tobytes())
            found.setdefault(size, {})[form] = raw.decode()
    return found


def inputs(scenes: Scenes) -> tuple:
    """A scene as the network reads it: picture, boxes, and which of them are real."""
    box = scenes.boxes() * scenes.present[..., None]
    return shapes.to_float(scenes.render()), box, scenes.present


def export(model) -> bytes:
    """A scene, beginnings of its caption and a place to `logits` and `attention`.

    Always five beginnings, of any length: attention counts its rows in Python, which
    fixes that number. The encoder reads four vectors, so it is run for each word.
    """
    tokens = torch.zeros(BEAMS, 7, dtype=torch.long)
    given = *inputs(scene(SCENES[0])), tokens, torch.zeros(1, dtype=torch.long)
    names = ["image", "box", "present", "tokens", "place"]
    time = torch.export.Dim("time", min=1, max=model.config.length)
    sizes = ({}, {}, {}, {1: time}, {})
    return network(Tell(model), given, names, list(Tell.NAMES), sizes)


def facts(model) -> str:
    """Everything but the network, as one JSON text."""
    keys = ("color", "shape", "size", "x", "y")
    config = model.config
    return json.dumps(
        {
            "size": 32,
            "most": MOST,
            "beams": BEAMS,
            "length": config.length,
            "layers": config.decoder,
            "heads": config.heads,
            "vocab": ["", "start", "end", *telling.tokenizer().words],
            "ground": scene(SCENES[0]).render()[0, 0, 0, 0].item(),
            "colors": dict(zip(shapes.COLORS, shapes.RGB.tolist(), strict=True)),
            "radius": dict(zip(shapes.SIZES, RADIUS, strict=True)),
            "sprites": sprites(),
            "unseen": [" ".join(pair) for pair in HELD_OUT],
            "scenes": [
                [dict(zip(keys, thing, strict=True)) for thing in objects]
                for objects in SCENES
            ],
        }
    )


def still(model) -> bytes:
    """The first picture, its caption, and where the first word of a shape looked."""
    scenes = scene(SCENES[0])
    image, box, present = inputs(scenes)
    memory = model.memory(telling.captioning.crops(image, box), present)
    tokens = model.search(memory, decode.greedy, max_length=telling.LENGTH - 2).tokens
    words = telling.sentence(tokens[0].tolist(), telling.tokenizer())
    framed = torch.cat([torch.ones_like(tokens[:, :1]), tokens], 1)
    at = next(i for i, word in enumerate(words.split()) if word in shapes.SHAPES)
    share = model.looks(framed, memory)[0, -1, :, at].mean(0)
    light = torch.full((32, 32), 0.12)
    for (x0, y0, x1, y1), part in zip(
        box[0].round().int().tolist(), share, strict=True
    ):
        light[y0:y1, x0:x1] = 0.12 + 0.88 * part / share.max()
    lit = (scenes.render()[0] * light).byte()
    sheet = Image.new("RGB", (640, 370), "white")
    for left, part in ((20, scenes.render()[0]), (330, lit)):
        sheet.paste(to_image(enlarge(part, 9)), (left, 60))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    pen.text((20, 16), words, "black", font)
    word = words.split()[at]
    left = 20 + pen.textlength(" ".join(words.split()[:at]) + " ", font)
    pen.line((left, 44, left + pen.textlength(word, font), 44), "#0b7285", 3)
    return webp(sheet, quality=88)


@torch.no_grad()
def main(out: Path = OUT, model=None) -> None:
    """Write the three files; of the trained model, unless another one is given."""
    model = model or pretrained.load("captioner")
    write(out / "model.onnx", export(model))
    write(out / "facts.json", facts(model).encode())
    write(out / "still.webp", still(model))


if __name__ == "__main__":
    main()
