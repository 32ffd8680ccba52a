"""Write the pictures that the demo of a hole begins with.

Command: python recipes/inpaint_demo.py
Expected: a few seconds on one core; writes `scenes.json` and `still.webp` to
`mmdl_lib/demos/inpaint/`. The net is that of `recipes/denoise_demo.py`.
"""

import json

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._export import enlarge, pixels, to_image, webp, write
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.nn.diffusion import known
from mmdl_lib.pretrained import small

OUT = demos.HERE / "inpaint"
# scenes of one sample, the half that is a hole at first, and what is to fill it
SCENES = {
    0: ("right", "a cyan triangle left of a purple star"),
    3: ("lower", "a cyan heart above a yellow moon"),
    8: ("right", "a yellow heart left of a blue cross"),
}


def scenes() -> dict:
    """Pictures with what they show, the hole and the caption to begin with."""
    sample = fo.sample(60, 2, seed=4)
    image, said = sample.render(fo.SIDE), fo.texts(sample)
    return {
        "scenes": [
            {"pixels": pixels(image[i]), "shows": said[i], "hole": hole, "asked": asked}
            for i, (hole, asked) in SCENES.items()
        ]
    }


def still(seed: int = 8) -> Image.Image:
    """The first picture, its hole, and three fillings."""
    glide, (hole, asked) = small.load("glide", "shapes"), SCENES[0]
    real = to_float(fo.sample(60, 2, seed=4)[torch.tensor([0])].render(fo.SIDE))
    keep = torch.ones(3, 1, fo.SIDE, fo.SIDE, dtype=torch.bool)
    assert hole == "right"
    keep[..., fo.SIDE // 2 :] = False
    many = real.repeat(3, 1, 1, 1)
    noise = torch.randn(many.shape, generator=generator(seed))
    how = {"steps": 20, "settle": known(many, keep)}
    say = glide.guided(*fo.tokenizer()(3 * [asked]), 3)
    filled = glide.diffusion.sample(say, noise, **how)
    image = Image.new("RGB", (700, 172), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for i, one in enumerate([*real, *(real * keep[:1]), *filled]):
        drawn = ((one.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        image.paste(to_image(enlarge(drawn, 4)), (8 + 138 * i, 8))
        words = ("a picture", "its hole", "filled", "filled", "filled")[i]
        pen.text((8 + 138 * i, 142), words, "black", font)
    return image


@torch.no_grad()
def main() -> None:
    write(OUT / "scenes.json", json.dumps(scenes()).encode())
    write(OUT / "still.webp", webp(still(), quality=80))


if __name__ == "__main__":
    main()
