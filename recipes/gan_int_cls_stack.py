"""Ask of StackGAN what a drawn condition and a second stage do.

Command: python recipes/gan_int_cls_stack.py           (all that is missing)
         python recipes/gan_int_cls_stack.py summary   (the claims)
Expected: about 10 minutes on a quiet core. EXPECTED
The values stand in results/gan_int_cls_stack.json, the claims in
recipes/gan_int_cls_stack.toml.
"""

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import text_gans as world
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.models.stackgan import StackGAN

TRAIN, TEST, BATCH, RATE = 8000, 500, 32, 1e-3
STEPS = (200, 400, 250)  # of the text encoder, of the two stages


def judged(model, scenes, seed: int) -> dict:
    """What the pictures of both stages show, and how two draws for a text differ."""
    tokens, mask = world.asked(scenes)
    found = {}
    for name, method in {"small": model.sample_small, "large": model.sample}.items():
        one, two = (
            F.interpolate(method(tokens, mask, generator=generator(s)), (16, 16))
            for s in (seed, seed + 1)
        )
        found[name] = world.right(one, scenes) | {"spread": world.spread(one, two)}
    return found


def stack(seed: int, *, augment: bool) -> dict:
    """All three stages; the arms of a seed begin with equal weights."""
    torch.manual_seed(seed)
    model = StackGAN(replace(StackGAN.PRESETS["one"], augment=augment))
    train = world.sample(lab.short(TRAIN, least=200), seed=seed)
    batches = world.batches(train, world.SIDE, BATCH, seed)
    given = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    losses = {}
    for stage, steps in enumerate(STEPS):
        if stage:
            given["optimizer"] = world.ADAM
        rate = RATE if stage else 2e-3
        found = lab.train(model, batches, steps=steps, stage=stage, lr=rate, **given)
        every = max(1, lab.short(steps) // 10)
        losses |= {k: lab.means(v, every) for k, v in found.losses.items()}
    model.eval()
    if seed == 0 and augment:
        lab.save_weights(model, "stackgan", "one", words=t2i.tokenizer().words)
    test = world.sample(lab.short(TEST, least=40), seed=50_000 + seed)
    return judged(model, test, seed) | {"losses": losses}


LAB = lab.Lab(
    "gan_int_cls_stack",
    groups={
        "stack": {
            "drawn": partial(stack, augment=True),
            "plain": partial(stack, augment=False),
        }
    },
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
