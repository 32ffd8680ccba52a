"""Draw the picture of the landing page from the shapes world.

Command: python tools/landing_picture.py
Writes book/_static/landing.png, the same bytes for the same versions.
"""

from pathlib import Path

from einops import rearrange
from PIL import Image, ImageDraw

from mmdl_lib.data import shapes

TARGET = Path(__file__).resolve().parents[1] / "book/_static/landing.png"
COLUMNS, SIDE, GAP, SEED = 14, 128, 14, 5


def tiles() -> list[Image.Image]:
    """Square scenes of one or two objects, with round corners."""
    scenes = shapes.sample(COLUMNS, seed=SEED, objects=(1, 2))
    mask = Image.new("L", (4 * SIDE, 4 * SIDE))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *mask.size), 0.7 * SIDE, 255)
    mask = mask.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = rearrange(scenes.render(SIDE), "b c h w -> b h w c").numpy()
    images = [Image.fromarray(scene) for scene in pixels]
    for image in images:
        image.putalpha(mask)
    return images


def main():
    step = SIDE + GAP
    canvas = Image.new("RGBA", (COLUMNS * step - GAP, SIDE))
    for i, tile in enumerate(tiles()):
        canvas.paste(tile, (step * i, 0))
    canvas.quantize(255, Image.Quantize.FASTOCTREE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
