"""Ask what the wrong pair and the texts between texts do, and keep two models.

Command: python recipes/gan_int_cls.py          (all that is missing)
         python recipes/gan_int_cls.py pairs:0  (one group, one seed)
         python recipes/gan_int_cls.py summary  (the claims)
Expected: about 15 minutes on a quiet core. With the wrong pair nine in ten colors are
right after 600 steps, without it four in ten; whether texts between texts help with
held-out pairs cannot be told. The values stand in results/gan_int_cls.json, the claims
in recipes/gan_int_cls.toml.
"""

from dataclasses import replace
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import text_gans as world
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.models.gan_int_cls import GANINTCLS, mismatched, same_text

TRAIN, TEST, BATCH, RATE = 8000, 500, 32, 1e-3
FIRST, STEPS, EVERY = 200, 600, 100  # of the text encoder, of the two players


@cache
def scenes(seed: int, held_out: str = "exclude"):
    """New scenes, of pairs that were trained on or of those that were not."""
    n = lab.short(TEST, least=40)
    return world.sample(n, seed=50_000 + seed, held_out=held_out)


def trained(model, batches, seed: int, *, first, steps, watch=None) -> dict:
    """Both stages; what the losses were, as ten means each."""
    given = {"schedule": lambda step, steps: 1.0, "clip": None, "seed": seed}
    early = lab.train(model, batches, steps=first, lr=2e-3, stage=0, **given)
    given |= {"lr": RATE, "optimizer": world.ADAM, "watch": watch}
    late = lab.train(model, batches, steps=steps, stage=1, **given)
    model.eval()
    losses = {"embedding": early.losses["loss"]} | late.losses
    return {k: lab.means(v, max(1, len(v) // 10)) for k, v in losses.items()}


@torch.no_grad()
def told_apart(model, test) -> float:
    """Share of real pictures to which D prefers the own text over another one."""
    tokens, mask = world.asked(test)
    text, image = model.encode_text(tokens, mask), to_float(world.small(test))
    other = mismatched(same_text(tokens, mask), generator=generator(7))
    cells = model.discriminator.look(image)
    compare = model.discriminator.compare
    own, wrong = compare(cells, text), compare(cells, text[other])
    return ((own > wrong).double() + (own == wrong) / 2).mean().item()


def judged(model, seed: int) -> dict:
    """What the pictures show, for pairs seen and held out, and how two draws differ."""
    found = {}
    for name, held_out in {"seen": "exclude", "held out": "only"}.items():
        test = scenes(seed, held_out)
        image = model.sample(*world.asked(test), generator=generator(seed))
        found[name] = world.right(image, test)
    test = scenes(seed)
    draws = [model.sample(*world.asked(test), generator=generator(s)) for s in (1, 2)]
    return found | {"spread": world.spread(*draws), "apart": told_apart(model, test)}


def pairs(seed: int, *, wrong: bool, interpolate: bool) -> dict:
    """One of the paper's four variants; all of a seed begin with equal weights."""
    config = replace(GANINTCLS.PRESETS["one"], wrong=wrong, interpolate=interpolate)
    torch.manual_seed(seed)
    model = GANINTCLS(config)
    train = world.sample(lab.short(TRAIN, least=200), seed=seed)
    batches = world.batches(train, world.SIDE, BATCH, seed)
    curve = {}

    def watch(step, model, terms):
        if (step + 1) % EVERY == 0:
            image = model.eval().sample(
                *world.asked(scenes(seed)), generator=generator(0)
            )
            curve[step + 1] = world.right(image, scenes(seed))["color"]

    sizes = {"first": FIRST, "steps": STEPS}
    losses = trained(model, batches, seed, **sizes, watch=watch)
    if seed == 0 and wrong == interpolate:
        kept = "one" if wrong else "plain"
        lab.save_weights(model, "gan_int_cls", kept, words=t2i.tokenizer().words)
    return judged(model, seed) | {"curve": curve, "losses": losses}


ARMS = {"GAN": (False, False), "CLS": (True, False)}
ARMS |= {"INT": (False, True), "INT-CLS": (True, True)}
LAB = lab.Lab(
    "gan_int_cls",
    groups={
        "pairs": {
            k: partial(pairs, wrong=w, interpolate=i) for k, (w, i) in ARMS.items()
        },
    },
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
