"""Train a small dVAE and a small DALL-E, draw, and let CLIP choose.

Command: python recipes/dalle.py           (all that is missing)
         python recipes/dalle.py draws:0   (one group, one seed)
         python recipes/dalle.py summary   (the claims)
Expected: about 20 minutes on a quiet core. The best of several draws by CLIP shows what
was asked for more often than a single draw. The values stand in results/dalle.json, the
claims in recipes/dalle.toml, the weights in mmdl_lib/weights.
"""

from functools import partial

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import one_object as oo
from mmdl_lib.metrics.best_of_n import best_of_n
from mmdl_lib.pretrained import small

PICTURES, CAPTIONED = 4000, 12_000
STEPS = {"dvae": (400, 300), "short": (60, 60), "dalle": 1200}
PROMPTS = 96
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


def draws(seed: int, *, tries: int, **how) -> dict:
    """Several drafts for each caption; CLIP chooses, or the truth."""
    dalle, dvae = small.load("dalle", oo.WEIGHTS), small.load("dvae", oo.WEIGHTS)
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
    """The DALL-E of the chapter, on the codes of the dVAE's weights."""
    scenes = oo.sample(lab.short(CAPTIONED, least=200), seed=3)
    dvae = small.load("dvae", oo.WEIGHTS)
    model, history = oo.dalle(0, scenes, steps=STEPS["dalle"], model=dvae)
    lab.save_weights(model, "dalle", oo.WEIGHTS, words=oo.tokenizer().words)
    size = sum(p.numel() for p in model.parameters())
    curve = {k: lab.means(v, 50) for k, v in history.losses.items()}
    return {"params": size, "seconds": round(history.seconds), "curve": curve}


LAB = lab.Lab(
    "dalle",
    groups={
        "codes": {
            "begun at data": partial(codes, begun=True),
            "from scratch": partial(codes, begun=False),
        },
        "draws": {name: partial(draws, **how) for name, how in DRAWS.items()},
    },
    once={"dvae": dvae, "dalle": dalle},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
