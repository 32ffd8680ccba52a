"""Train a small dVAE and a small DALL-E, draw, and let CLIP choose.

Command: python recipes/dalle.py           (all that is missing)
         python recipes/dalle.py draws:0   (one group, one seed)
         python recipes/dalle.py summary   (the claims)
Expected: about 30 minutes on a quiet core. The best of several draws by CLIP shows what
was asked for more often than a single draw. The values stand in results/dalle.json, the
claims in recipes/dalle.toml, the weights in mmdl_lib/weights.
"""

import time
from collections import Counter
from functools import partial

import torch

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.lab import one_object as oo
from mmdl_lib.metrics.best_of_n import best_of_n
from mmdl_lib.pretrained import small

PICTURES, BRIEF = 4000, "large-object-brief"
STEPS = {"dvae": (400, 300), "short": (60, 60)}
PROMPTS, MORE = 96, 480
DRAWS = {
    "scale 1": {"tries": 16},
    "scale 3": {"tries": 4, "scale": 3.0},
    "temperature 0.8": {"tries": 16, "temperature": 0.8},
}
BEST = (1, 2, 4, 8, 16)


def codes(seed: int, *, begun: bool) -> dict:
    """A short training that begins at places of the data, or from scratch."""
    image = oo.sample(lab.short(PICTURES, least=200), seed=1000 + seed).render(oo.SIDE)
    model = oo.dvae(seed, image, begun=begun, steps=STEPS["short"])
    return oo.reconstruction(model, seed=2000 + seed)


def draws(seed: int, *, tries: int, weights: str = oo.WEIGHTS, **how) -> dict:
    """Several drafts for each caption; CLIP chooses, or the truth."""
    dalle, dvae = small.load("dalle", weights), small.load("dvae", oo.WEIGHTS)
    asked = oo.sample(lab.short(PROMPTS, least=8), seed=3000 + seed)
    liked, true, color = oo.judged(
        *(dalle, dvae, asked), tries=tries, generator=generator(seed), **how
    )
    counts = [n for n in BEST if n <= tries]
    shown = {n: best_of_n(liked, n, judged=true) for n in counts}
    found = {
        "by CLIP": shown,
        "by the truth": {n: best_of_n(true, n) for n in counts},
        "color": {n: best_of_n(liked, n, judged=color) for n in counts},
        "CLIP": {n: best_of_n(liked, n) for n in counts},
    }
    if tries == 16:
        found |= {
            "first three": shown[4] - shown[1],
            "next twelve": shown[16] - shown[4],
            "gain": shown[8] - shown[1],
            "to gain": found["by the truth"][8] - found["by the truth"][1],
        }
    return found


def dvae() -> dict:
    """The dVAE of the chapter."""
    image = oo.sample(lab.short(3 * PICTURES, least=200), seed=1).render(oo.SIDE)
    history = []
    model = oo.dvae(0, image, begun=True, steps=STEPS["dvae"], seconds=history)
    lab.save_weights(model, "dvae", oo.WEIGHTS)
    size = sum(p.numel() for p in model.parameters())
    return oo.reconstruction(model, seed=2) | {"params": size, "seconds": sum(history)}


def dalle() -> dict:
    """The DALL-E of the chapter, on the codes of the dVAE's weights.

    The seconds are those of the core, whatever else it had to do.
    """
    build = record.folder().parent / "_build"
    kept = None if lab.smoke() else build / "dalle_large-object.pt"
    began, how = time.process_time(), {"schedule": oo.held, "checkpoint": kept}
    model, found, scenes = _dalle(64_000, oo.WEIGHTS, steps=4000, **how)
    found["seconds"] = round(time.process_time() - began)
    few = torch.arange(lab.short(1000, least=8))
    for name, of in {"learned": scenes, "new": oo.sample(1000, seed=4)}.items():
        found[f"picture, {name}"] = _picture(model, of[few])
    return found


def brief_dalle() -> dict:
    """A narrower DALL-E that learned for less than a third of the steps."""
    return _dalle(12_000, BRIEF, steps=1200, width=96, heads=3)[1]


def _dalle(captioned: int, name: str, **how):
    scenes = oo.sample(lab.short(captioned, least=200), seed=3)
    dvae = small.load("dvae", oo.WEIGHTS)
    model, history = oo.dalle(0, scenes, model=dvae, **how)
    lab.save_weights(model, "dalle", name, words=oo.tokenizer().words)
    size = sum(p.numel() for p in model.parameters())
    curve = {k: lab.means(v, 50) for k, v in history.losses.items()}
    found = {"params": size, "seconds": round(history.seconds), "curve": curve}
    return model, found, scenes


@torch.no_grad()
def _picture(model, scenes) -> float:
    """Nats a code."""
    dvae = small.load("dvae", oo.WEIGHTS)
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    batch = {"tokens": tokens, "mask": mask}
    batch["codes"] = oo.encoded(dvae, scenes.render(oo.SIDE))
    return model.loss(batch)["picture"].item()


def faults() -> dict:
    """What is wrong with drafts at temperature 0.8, and how often each shape is right.

    Of the same captions: their true pictures after 64 codes, the first draft, and the
    best of eight by CLIP.
    """
    dalle, dvae = small.load("dalle", oo.WEIGHTS), small.load("dvae", oo.WEIGHTS)
    asked = oo.sample(lab.short(MORE, least=8), seed=4000)
    how = {"tries": 8, "temperature": 0.8, "generator": generator(4000)}
    images, liked = oo.drafts(dalle, dvae, oo.texts(asked), **how)
    shown = {
        "after 64 codes": dvae.decode(oo.encoded(dvae, asked.render(oo.SIDE))),
        "one draft": images[:, 0],
        "best of eight": images[torch.arange(len(images)), liked.argmax(1)],
    }
    shapes = [things[0].shape for things in asked.things()]
    found = {"counts": dict(Counter(shapes))}
    for name, image in shown.items():
        kinds = oo.faults(oo.larger(image), asked)
        right = Counter(s for s, kind in zip(shapes, kinds, strict=True) if not kind)
        wrong = Counter(kind for kind in kinds if kind)
        share = {kind: n / len(kinds) for kind, n in sorted(wrong.items())}
        rate = {s: right[s] / n for s, n in sorted(found["counts"].items())}
        found[name] = {"faults": share, "right": rate}
    return found


LAB = lab.Lab(
    "dalle",
    groups={
        "codes": {
            "begun at data": partial(codes, begun=True),
            "from scratch": partial(codes, begun=False),
        },
        "draws": {name: partial(draws, **how) for name, how in DRAWS.items()},
        "brief": {
            name: partial(draws, weights=BRIEF, **how) for name, how in DRAWS.items()
        },
    },
    once={
        "dvae": dvae,
        "dalle": dalle,
        "brief_dalle": brief_dalle,
        "faults": faults,
    },
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
