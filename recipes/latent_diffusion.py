"""Train a small latent diffusion; grow pictures under CLIP; measure what matters.

Command: python recipes/latent_diffusion.py            (all that is missing)
         python recipes/latent_diffusion.py nets:0     (one group, one seed)
         python recipes/latent_diffusion.py summary    (the claims)
Expected: about ten minutes on a quiet core. Cut-outs steady the gradient, latents are
right more often than pixels for the same work; the audit cannot tell. The
values stand in results/latent_diffusion.json, the claims in the TOML beside this file.
"""

from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import latents as la
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.pretrained import small

PICTURES, FIRST, MAIN, ARM = 4000, 2000, 500, 120
PROMPTS, GROWN, GROWTH = 96, 5, 60
SCALES = (1, 2, 3)
AUDIT = {"steps": 700, "first": 20, "n": 192}  # once more, longer, on other seeds
LEDS = {"not led": 0, "led": 100}


def weights() -> dict:
    """The two stages of the chapter."""
    scenes = oo.sample(lab.short(PICTURES, least=200), seed=1)
    image = scenes.render(oo.SIDE)
    stage, history = la.first(0, image, steps=FIRST)
    model = la.latent(0, stage, to_float(image[: la.BATCH]))
    later = la.train(model, la.captioned(scenes), seed=0, steps=MAIN)
    lab.save_weights(model, "latent_diffusion", la.WEIGHTS, words=oo.tokenizer().words)
    counts = {"first": model.first, "net": model.net, "words": model.words}
    found = {
        f"{k} params": sum(p.numel() for p in v.parameters()) for k, v in counts.items()
    }
    found |= {"seconds": [round(history.seconds), round(later.seconds)]}
    found |= {"kept": la.kept(model.first, seed=2), "factor": model.factor.item()}
    found["curve"] = lab.means(later.losses["picture"], 50)
    found["right"] = {s: la.right(model, seed=3, scale=s) for s in SCALES}
    return found


def work() -> dict:
    """Multiply-adds of a look at one picture, by what the net sees, and steps."""
    cost = {kind: la.cost(la.pixels(0, kind)) for kind in la.NETS}
    cost["latents"] = la.cost(LatentDiffusion.from_preset(la.WEIGHTS))
    steps = {kind: round(ARM * cost["latents"] / value) for kind, value in cost.items()}
    return {"cost": cost, "steps": steps}


def _latent(seed: int, image, **how):
    """A fresh net over the first stage of the chapter."""
    stage = small.load("latent_diffusion", la.WEIGHTS).first
    return la.latent(seed, stage, to_float(image[: la.BATCH]), **how)


def nets(seed: int, *, kind: str, factor: float | None = None) -> dict:
    """A net in pixels, patches or latents, for as much work."""
    scenes = oo.sample(lab.short(PICTURES, least=200), seed=1000 + seed)
    data = la.captioned(scenes)
    if kind == "latents":
        model = _latent(seed, data["image"], factor=factor)
    else:
        model = la.pixels(seed, kind)
    steps = work()["steps"][kind]
    la.train(model, data, seed=seed, steps=steps)
    found = la.right(model, seed=3000 + seed, n=PROMPTS)
    if kind == "latents":
        kept = la.kept(model.first, seed=3000 + seed)
        found |= {"kept": kept["shape"]}
        found["spread"] = kept["spread"] * model.factor.item()
    return found | {"steps": steps}


def bias(seed: int, *, steps: int = ARM, first: int = 0, n: int = 96) -> dict:
    """A world whose stars are red in half of the cases; n pictures for "a star".

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
    data, among = la.skewed(lab.short(PICTURES, least=200), seed=4000 + seed)
    model = _latent(seed, data["image"])
    la.train(model, data, seed=seed, steps=steps)
    found = {"data": la.SKEW, "among all": among}
    for scale in SCALES:
        seen = la.reds(model, seed=5000 + seed, scale=scale, n=n)
        found[f"scale {scale}"] = seen["red"]
        found[f"readable {scale}"] = seen["readable"]
    return found


def growth(seed: int, *, cuts: int) -> dict:
    """Codes under CLIP: what became of them by other eyes than CLIP's."""
    asked = oo.sample(lab.short(GROWN, least=2), seed=6000 + seed)
    captions = oo.texts(asked)
    image = la.grown(captions, cuts=cuts, seed=seed, steps=GROWTH)
    with torch.no_grad():
        told = la.judges(captions)(image).mean().item()
    return la.shown(image, asked) | {"pure": la.pure(image, asked), "CLIP": told}


def gradients(seed: int) -> dict:
    """How far gradients of independent cut-outs agree, at a picture half grown."""
    captions = oo.texts(oo.sample(4, seed=7000 + seed))
    image = la.grown(captions, cuts=2, seed=seed, steps=10)
    found = {}
    for cuts in (1, 2, 4, 8, 16):
        same, other = la.agreement(image, captions, cuts=cuts, seed=seed)
        found[str(cuts)] = same
        found.setdefault("strangers", other)  # of one cut-out
    return found


def leds(seed: int, *, scale: float) -> dict:
    """A net that hears no caption, led by CLIP, which reads it."""
    asked = oo.sample(lab.short(24, least=4), seed=8000 + seed)
    model = small.load("latent_diffusion", la.WEIGHTS)
    image = la.led(model, oo.texts(asked), scale, seed=seed)
    both, color = oo.right(oo.larger(image), asked)
    with torch.no_grad():
        told = la.judges(oo.texts(asked))(oo.larger(image)).mean().item()
    found = {"exact": both.mean().item(), "color": color.mean().item()}
    return found | {"liked": -told}


LAB = lab.Lab(
    "latent_diffusion",
    groups={
        "nets": {
            "latents": partial(nets, kind="latents"),
            "pixels": partial(nets, kind="pixels"),
            "patches": partial(nets, kind="patches"),
            "wide code": partial(nets, kind="latents", factor=1 / 0.18215),
        },
        "bias": bias,
        "audit": partial(bias, **AUDIT),
        "growth": {f"{n} cut-outs": partial(growth, cuts=n) for n in (0, 8)},
        "gradients": gradients,
        "led": {name: partial(leds, scale=s) for name, s in LEDS.items()},
    },
    once={"weights": weights, "work": work},
    claims=lab.read_claims(__file__),
    least=5,
    budget=25,
)

if __name__ == "__main__":
    LAB.main()
