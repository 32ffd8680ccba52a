"""Compute what the demo of CLIP's table shows: eight pictures, captions, cosines.

Command: python recipes/clip_table_demo.py
Expected: a few seconds on one core; writes `facts.json` and `still.webp` to
`mmdl_lib/demos/clip_table/`. Run it again after each training of CLIP:
`tests/demos/test_clip_table.py` compares the file with the weights.
"""

import base64
import json

import torch
from clip_demo import double_objects, name, single_objects, sprite  # the recipe beside
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos, pretrained
from mmdl_lib.data import shapes
from mmdl_lib.demos._export import to_image, webp, write

OUT = demos.HERE / "clip_table"
SHOWN = 64
LABELS = ("a red star", "a blue heart", "a green ring", "a red circle", "a blue star")
LABELS += ("a yellow triangle",)  # never shown in training
LABELS += ("a yellow star left of a red heart", "a red star left of a yellow heart")


def pictures(size: int) -> torch.Tensor:
    """What the labels say, uint8 (8, 3, size, size)."""
    one, two = single_objects(), double_objects()
    names = [name(one, i, 0) for i in range(len(one.color))]
    names += [
        f"{name(two, i, 0)} left of {name(two, i, 1)}" for i in range(len(two.color))
    ]
    drawn = torch.cat([one.render(size), two.render(size)])
    return drawn[[names.index(label) for label in LABELS]]


@torch.no_grad()
def facts() -> dict:
    """Labels, cosines (a row is a picture), the learned temperature, the pictures."""
    clip, tokenizer = pretrained.load("clip")
    image = clip.encode_image(shapes.to_float(pictures(clip.config.image_size)))
    text = clip.encode_text(*tokenizer(list(LABELS)))
    sheet = base64.b64encode(webp(sprite(pictures(SHOWN)), quality=86)).decode()
    return {
        "labels": LABELS,
        "cosines": [[round(x, 4) for x in row] for row in (image @ text.T).tolist()],
        "temperature": round(1 / clip.logit_scale.item(), 4),
        "sprite": "data:image/webp;base64," + sheet,
    }


def still(cosines: list) -> Image.Image:
    """The table of the first three pairs: the nearer, the darker."""
    image = Image.new("RGB", (640, 400), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for i, picture in enumerate(pictures(SHOWN)[:3]):
        left, top = 160 * (i + 1), 60 + 110 * i
        image.paste(to_image(picture).resize((96, 96)), (40, top + 7))
        draw.text((left + 80, 30), LABELS[i], "black", font, anchor="mm")
        for k in range(3):
            value = cosines[i][k]
            light = round(255 - 150 * max(value, 0))
            box = (160 * (k + 1) + 4, top + 4, 160 * (k + 2) - 4, top + 106)
            draw.rectangle(box, fill=(light, 255 - (255 - light) // 3, 255))
            middle = (160 * (k + 1) + 80, top + 55)
            # the font has no true minus sign
            draw.text(middle, f"{value:.2f}", "black", font, anchor="mm")
    return image


def main() -> None:
    found = facts()
    write(OUT / "facts.json", json.dumps(found).encode())
    write(OUT / "still.webp", webp(still(found["cosines"]), quality=80))


if __name__ == "__main__":
    main()
