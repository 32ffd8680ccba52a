"""Export what the demo of DALL-E needs: the Transformer, the dVAE's decoder, its words.

Command: python recipes/dalle_demo.py
Expected: half a minute on one core; writes `model.onnx`, `decoder.onnx`, `facts.json`
and `still.webp` to `mmdl_lib/demos/dalle/`. Run it again after each training of
DALL-E: `tests/demos/test_dalle.py` compares the files with the weights.
"""

import json

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data.shapes.scenes import HELD_OUT
from mmdl_lib.demos._export import enlarge, network, to_image, webp, write
from mmdl_lib.demos._live.dalle import Next, Paint
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab.image_measures import clip_image, clip_text
from mmdl_lib.pretrained import small

OUT = demos.HERE / "dalle"
BEGINS = ("a blue circle", "a red star", "an orange square", "a pink moon")
UNTIL = (16, 32, 48, 64)  # codes in the still picture


def export(dalle) -> bytes:
    """`words (1, 8)`, `codes (1, 63)` and `place (1)` to `logits (1, 256)`.

    Always the whole row: what stands behind the place changes nothing in it.
    """
    c = dalle.config
    rows = (torch.zeros(1, n, dtype=torch.long) for n in (c.text, c.grid**2 - 1))
    place = torch.tensor([3])
    names = ["words", "codes", "place"]
    return network(Next(dalle), (*rows, place), names, ["logits"])


def export_decoder(dvae) -> bytes:
    """`codes (1, 64)` to `image (1, 3, 16, 16)`."""
    codes = torch.zeros(1, dvae.config.grid**2, dtype=torch.long)
    return network(Paint(dvae), (codes,), ["codes"], ["image"])


def facts(dalle, dvae) -> dict:
    """Words and sizes; the code of an empty ground; pairs that were never drawn."""
    c, scenes = dalle.config, oo.sample(1000, seed=3)
    codes = oo.encoded(dvae, scenes.render(oo.SIDE))
    learned = {word for text in oo.texts(scenes) for word in text.split()}
    return {
        "words": oo.tokenizer().words,
        "learned": sorted(learned),
        "vocab": c.vocab,
        "text": c.text,
        "codes": c.codes,
        "grid": c.grid,
        "size": dvae.config.image_size,
        "ground": int(codes.flatten().mode().values),
        "unseen": [" ".join(pair) for pair in HELD_OUT],
        "begins": list(BEGINS),
    }


def still(dalle, dvae, ground: int) -> Image.Image:
    """The best of eight drafts by CLIP, after some of its codes."""
    tokens, mask = oo.tokenizer()(8 * [BEGINS[0]])
    options = {"temperature": 0.8, "generator": generator(1)}
    written = dalle.sample(tokens, mask, **options)
    seen = F.normalize(clip_image(oo.larger(dvae.decode(written))).values, dim=1)
    liked = seen @ F.normalize(clip_text([BEGINS[0]]).values, dim=1)[0]
    written = written[liked.argmax()][None]
    image = Image.new("RGB", (660, 200), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for i, until in enumerate(UNTIL):
        half = torch.where(torch.arange(c := written.shape[1]) < until, written, ground)
        drawn = ((dvae.decode(half)[0] + 1) * 127.5).round().to(torch.uint8)
        image.paste(to_image(enlarge(drawn, 9)), (12 + 164 * i, 12))
        pen.text((12 + 164 * i, 164), f"{until} of {c} codes", "black", font)
    return image


@torch.no_grad()
def main() -> None:
    dalle, dvae = (small.load(name, oo.WEIGHTS) for name in ("dalle", "dvae"))
    found = facts(dalle, dvae)
    write(OUT / "model.onnx", export(dalle))
    write(OUT / "decoder.onnx", export_decoder(dvae))
    write(OUT / "facts.json", json.dumps(found).encode())
    write(OUT / "still.webp", webp(still(dalle, dvae, found["ground"]), quality=88))


if __name__ == "__main__":
    main()
