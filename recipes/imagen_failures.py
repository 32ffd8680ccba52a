"""What goes wrong with two and three objects, kind by kind, in what generators draw.

Command: python recipes/imagen_failures.py kinds:0   (one seed, about a minute)
         python recipes/imagen_failures.py summary   (the claims)
Expected: about eight minutes on a quiet core; nothing is trained. A seed is new prompts
and noise for shipped weights. The values stand in results/imagen_failures.json, the
claims in recipes/imagen_failures.toml.
"""

import base64
from functools import partial

import torch
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_bytes, to_float
from mmdl_lib.lab import failures as fa
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.pretrained import small

PROMPTS, THREE, SHOWN = 400, 200, 8
FAILURES = ("GLIDE, hurried", "AttnGAN")  # whose first failures the page shows


def glide(asked: Scenes, seed: int, **how) -> Tensor:
    """The GLIDE of an hour; three objects it never saw, small ones neither."""
    three = int(asked.count.max()) == 3
    texts = [said[0] for said in shapes.captions(asked)] if three else fo.texts(asked)
    how |= {"generator": generator(seed)}
    return fo.drawn(partial(small.load("glide", "shapes").sample, **how), texts)


def gan(asked: Scenes, seed: int, *, slug: str) -> Tensor:
    """A text GAN of the section's table, which knows one to three objects."""
    words = t2i.tokenizer()(t2i.texts(asked))
    return small.load(slug, "shapes").sample(*words, generator=generator(seed))


ARMS = {
    "GLIDE": ("two", PROMPTS, partial(glide, scale=2, steps=20)),
    "GLIDE, hurried": ("two", PROMPTS, partial(glide, scale=1, steps=4)),
    "AttnGAN": ("two", PROMPTS, partial(gan, slug="attngan")),
    "GAN-INT-CLS": ("two", PROMPTS, partial(gan, slug="gan_int_cls")),
    "GLIDE, three": ("three", THREE, partial(glide, scale=2, steps=20)),
}


def packed(image: Tensor) -> str:
    """A few pictures as text, for the page."""
    pixels = to_bytes(image).contiguous()
    return base64.b64encode(pixels.numpy().tobytes()).decode()


def first(image: Tensor, asked: Scenes) -> dict:
    """The first failures by order, with what was asked and what is read in each."""
    pairs = list(zip(asked.seen_in(to_bytes(image)), asked.things(), strict=True))
    rows = [i for i, pair in enumerate(pairs) if fa.kind(*pair) != "right"][:SHOWN]
    words = [[[f"{t.color} {t.shape}" for t in x] for x in pairs[i]] for i in rows]
    told = [fa.kind(*pairs[i]) for i in rows]
    found = {"read": [w[0] for w in words], "asked": [w[1] for w in words]}
    return found | {"kind": told, "row": rows, "pictures": packed(image[rows])}


@torch.no_grad()
def kinds(seed: int, *, arm: str) -> dict:
    """How many pictures of each kind a generator draws."""
    of, n, draw = ARMS[arm]
    asked = fa.prompts(of, n, seed=seed)
    image = draw(asked, seed).clamp(-1, 1)
    found = fa.counted(image, asked)
    if arm in FAILURES and seed == 0:
        found["first"] = first(image, asked)
    return found


def reader(seed: int, *, part: str) -> dict:
    """Pictures by the program, the first object in the other's color or shape."""
    asked = fa.prompts("two", PROMPTS, seed=seed)
    return fa.counted(to_float(fa.mixed(asked, part).render()), asked)


LAB = lab.Lab(
    "imagen_failures",
    groups={
        "kinds": {name: partial(kinds, arm=name) for name in ARMS},
        "reader": {part: partial(reader, part=part) for part in ("color", "shape")},
    },
    claims=lab.read_claims(__file__),
    least=7,
    exact={"reader": 2},
)

if __name__ == "__main__":
    LAB.main()
