"""Export what the demo of CLIP needs: the text tower and a gallery, for each world.

Command: python recipes/clip_demo.py
Expected: under two minutes on two cores; writes `mmdl_lib/demos/clip/<world>.onnx` and
`<world>.json` for every world whose weights are there, and `still.webp`. Run it again
after each training: `tests/demos/test_clip.py` compares the files with the weights.
"""

import base64
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from PIL import Image
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.data import shapes
from mmdl_lib.data.text import SPECIAL
from mmdl_lib.demos._export import network, webp, write

OUT = Path(__file__).resolve().parents[1] / "mmdl_lib/demos/clip"
TILE, COLUMNS = 64, 8
STILL = "a red star"


class Gallery(NamedTuple):
    """Pictures to compare with, and what the page says about them."""

    title: str
    note: str
    seen: torch.Tensor  # uint8 (n, 3, h, w), as the model sees them
    shown: torch.Tensor  # uint8 (n, 3, TILE, TILE), as the page shows them
    labels: list[str]
    unseen: list[int]  # indices of what training never showed
    sections: list[tuple[str, int]]  # heading and number of pictures, in order
    across: int  # pictures in a row of the page
    suggestions: list[str]


class TextFeatures(nn.Module):
    """The part of CLIP that the browser runs."""

    def __init__(self, clip):
        super().__init__()
        self.text = clip.text

    def forward(self, tokens, mask):
        return F.normalize(self.text(tokens, mask), dim=-1)


def single_objects():
    """All 64 pairs, one object each: a row is a color, a column is a shape."""
    scenes = shapes.sample(64, seed=0, objects=1, held_out="include")
    index = torch.arange(64)
    color, shape = (repeat(v, "b -> b 4").clone() for v in (index // 8, index % 8))
    return replace(
        scenes,
        color=color,
        shape=shape,
        size=torch.full_like(scenes.size, 2),
        texture=torch.zeros_like(scenes.texture),
        center=torch.full_like(scenes.center, 16.0),
    )


def double_objects():
    """Eight pairs side by side, then the same pairs with their colors exchanged."""
    pairs = list(itertools.product(range(8), repeat=4))
    barred = {(c, (3 * c + 1) % 8) for c in range(8)}
    good = [
        (c, e, s, z)
        for c, e, s, z in pairs
        if c != e and s != z and not {(c, s), (e, z), (e, s), (c, z)} & barred
    ]
    c, e, s, z = torch.tensor(good[7 :: len(good) // 8][:8]).unbind(1)
    scenes = shapes.sample(16, seed=0, objects=2, held_out="include")
    color, shape = scenes.color.clone(), scenes.shape.clone()
    color[:, 0], color[:, 1] = torch.cat([c, e]), torch.cat([e, c])
    shape[:, 0], shape[:, 1] = torch.cat([s, s]), torch.cat([z, z])
    center = torch.full_like(scenes.center, 16.0)
    center[:, 0, 0], center[:, 1, 0] = 8.5, 23.5
    return replace(
        scenes,
        color=color,
        shape=shape,
        size=torch.ones_like(scenes.size),
        texture=torch.zeros_like(scenes.texture),
        center=center,
    )


def all_doubles():
    """All scenes of two objects, 8 * (8 * (8 * color + shape) + color) + shape: first
    those side by side, the first object left, then those with it above the other."""
    row = torch.arange(2 * 8**4)
    digits = [row // 8**k % 8 for k in (3, 2, 1, 0)]
    scenes = shapes.sample(len(row), seed=0, objects=2, held_out="include")
    values = {f: getattr(scenes, f).clone() for f in ("color", "shape")}
    for k in (0, 1):
        values["color"][:, k], values["shape"][:, k] = digits[2 * k], digits[2 * k + 1]
    center, down = torch.full_like(scenes.center, 16.0), (row >= 8**4).long()
    for k, place in enumerate((8.5, 23.5)):
        center[row, k, down] = place
    plain = {"texture": torch.zeros_like(scenes.texture), "center": center}
    return replace(scenes, size=torch.ones_like(scenes.size), **values, **plain)


def double_features(clip) -> str:
    """What the model sees in each of them: bytes, 127 for 1, as base64."""
    parts = all_doubles().render(clip.config.image_size).split(512)
    image = torch.cat([clip.encode_image(shapes.to_float(part)) for part in parts])
    return base64.b64encode(
        (127 * image).round().to(torch.int8).numpy().tobytes()
    ).decode()


def name(scenes, i, k):
    """Color and shape of one object, with its article."""
    color, shape = shapes.COLORS[scenes.color[i, k]], shapes.SHAPES[scenes.shape[i, k]]
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {shape}"


def shapes_gallery(size, _knows):
    one, two = single_objects(), double_objects()
    labels = [name(one, i, 0) for i in range(len(one))]
    labels += [f"{name(two, i, 0)} left of {name(two, i, 1)}" for i in range(len(two))]
    held = [
        8 * shapes.COLORS.index(color) + shapes.SHAPES.index(shape)
        for color, shape in shapes.HELD_OUT
    ]
    return Gallery(
        title="Shapes",
        note="In the first block a row is a color and a column is a shape.",
        seen=torch.cat([one.render(size), two.render(size)]),
        shown=torch.cat([one.render(TILE), two.render(TILE)]),
        labels=labels,
        unseen=held,
        sections=[
            ("One object", 64),
            ("Two objects; in the second row with their colors exchanged", 16),
        ],
        across=8,
        suggestions=[STILL, "a star", "a picture with a ring", "purple"]
        + [labels[held[0]], labels[64], "a red star below a blue moon"],
    )


def emoji_gallery(size, knows):
    from mmdl_lib.data import emoji

    seen, shown, labels, sections, suggestions = [], [], [], [], []
    for split, heading, n in (
        ("train", "Seen in training", 100),
        ("test", "Kept out of training", 60),
    ):
        small, large = (emoji.load(split, size=s) for s in (size, TILE))
        pick = np.linspace(0, len(small.image) - 1, n).round().astype(int).tolist()
        seen.append(small.image[pick])
        shown.append(large.image[pick])
        names = [small.names[i]["en"] for i in pick]
        labels += names
        sections.append((heading, n))
        suggestions += [s for s in names if knows(s) and 2 <= len(s.split()) <= 3][::9]
    wishes = ["red heart", "smiling face", "flag", "clock", "cat face"]
    return Gallery(
        title="Emoji",
        note="Pictures by OpenMoji (CC BY-SA 4.0), names by Unicode CLDR.",
        seen=torch.cat(seen),
        shown=torch.cat(shown),
        labels=labels,
        unseen=list(range(100, 160)),
        sections=sections,
        across=10,
        suggestions=[w for w in wishes if knows(w)] + suggestions[:4],
    )


GALLERIES = {"shapes": shapes_gallery, "emoji": emoji_gallery}


def export(clip) -> bytes:
    """The text tower as ONNX: `tokens`, `mask` (1, t) to `text` (1, d).

    One caption at a time: `TextTower.forward` counts its rows in Python, which fixes
    that number in an export.
    """
    tokens = torch.ones(1, 5, dtype=torch.long)
    length = torch.export.Dim("t", min=2, max=clip.config.context)
    inputs, outputs = ["tokens", "mask"], ["text"]
    shapes = ({1: length}, {1: length})
    arguments = (tokens, tokens > 0)
    return network(TextFeatures(clip), arguments, inputs, outputs, shapes)


def sprite(shown) -> Image.Image:
    """All pictures in one, `COLUMNS` in a row."""
    blank = (-len(shown)) % COLUMNS
    tiles = F.pad(shown, (0, 0, 0, 0, 0, 0, 0, blank), value=255)
    sheet = rearrange(tiles, "(r k) c h w -> (r h) (k w) c", k=COLUMNS)
    return Image.fromarray(sheet.numpy())


def still(gallery, cosines) -> bytes:
    """The first 64 pictures, faded where they are far from the caption."""
    sheet = sprite(gallery.shown[:64]).convert("RGBA")
    near = cosines[:64]
    near = ((near - near.min()) / (near.max() - near.min())).pow(2)
    alpha = repeat(
        0.15 + 0.85 * near, "(r k) -> (r h) (k w)", k=COLUMNS, h=TILE, w=TILE
    ).clone()
    y, x = (torch.arange(8 * TILE) % TILE for _ in range(2))
    frame = torch.maximum((y[:, None] - 31.5).abs(), (x - 31.5).abs()) > 29
    alpha[frame] = 0
    sheet.putalpha(Image.fromarray((255 * alpha).byte().numpy()))
    return webp(sheet, quality=80)


def pack(world, gallery, image, tokenizer, more) -> str:
    """Everything of a world but its network, as one JSON text."""
    picture = webp(sprite(gallery.shown), quality=86)
    features = image.numpy().astype("<f4").tobytes()
    facts = {
        "world": world,
        "title": gallery.title,
        "note": gallery.note,
        "special": list(SPECIAL),
        "words": tokenizer.words,
        "length": tokenizer.length,
        "labels": gallery.labels,
        "unseen": gallery.unseen,
        "sections": gallery.sections,
        "across": gallery.across,
        "suggestions": gallery.suggestions,
        "width": image.shape[1],
        "features": base64.b64encode(features).decode(),
        "columns": COLUMNS,
        "sprite": "data:image/webp;base64," + base64.b64encode(picture).decode(),
    }
    return json.dumps(facts | more, ensure_ascii=False)


@torch.no_grad()
def main(out: Path = OUT) -> None:
    for world, build in GALLERIES.items():
        try:
            clip, tokenizer = pretrained.load("clip", world)
        except FileNotFoundError as error:
            print(f"{world} is left out: {error}")
            continue

        def knows(caption, tokenizer=tokenizer):
            try:
                return bool(tokenizer.encode(caption))
            except ValueError:
                return False

        gallery = build(clip.config.image_size, knows)
        image = clip.encode_image(shapes.to_float(gallery.seen))
        write(out / f"{world}.onnx", export(clip))
        more = {}
        if world == "shapes":
            words = {"colors": shapes.COLORS, "shapes": shapes.SHAPES}
            more = {"scene_words": words, "scenes": double_features(clip)}
        facts = pack(world, gallery, image, tokenizer, more)
        write(out / f"{world}.json", facts.encode())
        if world == "shapes":
            text = clip.encode_text(*tokenizer([STILL]))
            write(out / "still.webp", still(gallery, image @ text[0]))


if __name__ == "__main__":
    main()
