"""Export what the demo of GLIDE needs: its reader, its net, its words and steps.

Command: python recipes/denoise_demo.py
Expected: half a minute on one core; writes `words.onnx`, `model.onnx`, `facts.json` and
`still.webp` to `mmdl_lib/demos/denoise/`. Run it again after each training of GLIDE:
`tests/demos/test_denoise.py` compares the files with the weights.
"""

import json

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import captions
from mmdl_lib.data.shapes.scenes import HELD_OUT
from mmdl_lib.demos._export import enlarge, network, to_image, webp, write
from mmdl_lib.demos._live.denoise import Read, Say
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.nn.diffusion import chain
from mmdl_lib.pretrained import small

OUT = demos.HERE / "denoise"
BEGINS = ("a green square above a blue ring", "a blue ring above a green square")
BEGINS += ("a purple star", "a yellow heart left of a pink cross")
STEPS, SCALE = 20, 3.0
SHOWN = (0, 4, 8, 12, 19)  # steps in the still picture


def export_words(glide) -> bytes:
    """`tokens`, `mask (1, 24)` to `words (2, 24, 64)`, `known`, `pooled (2, 128)`."""
    tokens = torch.ones(1, glide.config.text, dtype=torch.long)
    given = tokens, torch.arange(glide.config.text)[None] < 9
    return network(Read(glide), given, ["tokens", "mask"], ["words", "known", "pooled"])


@torch.no_grad()
def export(glide) -> bytes:
    """`x (1, 3, 32, 32)`, `step (1)` and what was read to `said (2, 3, 32, 32)`."""
    side, tokens = glide.config.image_size, torch.ones(1, glide.config.text).long()
    read = Read(glide)(tokens, tokens > 0)
    given = torch.zeros(1, 3, side, side), torch.tensor([5]), *read
    names = ["x", "step", "words", "known", "pooled"]
    return network(Say(glide), given, names, ["said"])


def facts(glide) -> dict:
    """Words, steps and what each leaves of the picture; pairs that were never drawn."""
    scenes = [fo.sample(500, n, seed=3) for n in (1, 2)]
    said = [text for few in scenes for five in captions(few) for text in five]
    learned = {word for text in said for word in text.split()}
    steps = chain(glide.config.steps, STEPS)
    return {
        "words": fo.tokenizer().words,
        "learned": sorted(learned),
        "text": glide.config.text,
        "size": glide.config.image_size,
        "steps": steps,
        "left": [glide.diffusion.table[step] for step in steps],
        "scale": SCALE,
        "unseen": [" ".join(pair) for pair in HELD_OUT],
        "begins": list(BEGINS),
    }


def still(glide) -> Image.Image:
    """What is seen at some steps of one draw, and what is believed."""
    tokens, mask = fo.tokenizer()([BEGINS[0]])
    noise, seen = torch.randn(1, 3, 32, 32, generator=generator(6)), []
    how = {"steps": STEPS, "watch": lambda step, x, x0: seen.append((x[0], x0[0]))}
    glide.diffusion.sample(glide.guided(tokens, mask, SCALE), noise, **how)
    image = Image.new("RGB", (700, 320), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for i, place in enumerate(SHOWN):
        for j, part in enumerate(seen[place]):
            drawn = ((part.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            image.paste(to_image(enlarge(drawn, 4)), (8 + 138 * i, 8 + 136 * j))
        words = f"{place} steps taken" if place else "pure noise"
        pen.text((8 + 138 * i, 284), words, "black", font)
    return image


@torch.no_grad()
def main() -> None:
    glide = small.load("glide", "shapes")
    write(OUT / "words.onnx", export_words(glide))
    write(OUT / "model.onnx", export(glide))
    write(OUT / "facts.json", json.dumps(facts(glide)).encode())
    small_one = still(glide).resize((420, 192))  # noise is dear; the page must be light
    write(OUT / "still.webp", webp(small_one, quality=12))


if __name__ == "__main__":
    main()
