"""Train the chapter's GLIDE, a small one, and readers of captions; guide in three ways.

Command: python recipes/glide.py           (all that is missing)
         python recipes/glide.py weights   (about 55 minutes on one core)
         python recipes/glide.py reading:0 (one group, one seed)
         python recipes/glide.py summary   (the claims)
Expected: nearly all single objects right in color and shape, two objects less often;
a reader whose words see their neighbors tells who stands where, the other does not.
The values stand in results/glide.json, the claims in recipes/glide.toml, the weights in
mmdl_lib/weights.
"""

import time
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.noised_clip import NoisedCLIP
from mmdl_lib.pretrained import small

STEPS, PROMPTS = 28_000, 384
SCALES = (1, 2, 4)
# of readers; of the small GLIDE and the CLIPs that guide it; of their draws
READ, SMALL, LOOKED = 400, 2500, 400
LONGER = {"steps": 1200, "first": 50}  # the readers once more
SOONER = {"steps": 1200, "first": 60}  # and when they know half
EARLY, ASKED, PAIRS = 200, 96, 48  # a look at the colors, too; prompts
LEVELS = (0, 200, 400, 600, 800, 950)
# of 1, 3, 10 and 30 the best of each on the pilot seed
PULLS = {"noised": 3.0, "clean": 3.0}
DRAWS = {f"scale {s}": {"scale": s} for s in (0, 1, 2, 4, 8)}
DRAWS |= {f"{n} steps": {"scale": 2, "steps": n} for n in (2, 50)}
DRAWS |= {"ancestral": {"scale": 2, "eta": 1}}


def judged(model: GLIDE, *, seed: int = 9000, steps: int = 20) -> dict:
    """Shares of fresh prompts by guidance, for one object and for two."""
    out = {}
    for name, objects in {"one": 1, "two": 2}.items():
        asked = fo.sample(lab.short(PROMPTS, least=8), objects, seed=seed + objects)
        for scale in SCALES:

            def draw(tokens, mask, scale=scale):
                how = {"scale": scale, "steps": steps, "generator": generator(seed)}
                return model.sample(tokens, mask, **how)

            out[f"{name}, scale {scale}"] = fo.right(
                fo.drawn(draw, fo.texts(asked)), asked
            )
    return out


def weights() -> dict:
    """The model of the chapter."""
    torch.manual_seed(0)
    model = GLIDE.from_preset("shapes")
    kept = None if lab.smoke() else record.folder().parent / "_build/glide_shapes.pt"
    history = fo.train(model, seed=0, steps=STEPS, checkpoint=kept, every=500)
    lab.save_weights(model, "glide", "shapes", words=fo.tokenizer().words)
    found = {"params": sum(p.numel() for p in model.parameters())}
    began = time.perf_counter()
    found |= {"judged": judged(model), "seconds": round(history.seconds)}
    found["seconds to judge"] = round(time.perf_counter() - began)
    curve = {k: lab.means(v, 500) for k, v in history.losses.items()}
    return found | {"curve": curve}


# readers of captions


class Reader(GLIDE):
    """A caption's reader alone: it learns who stands where, and sees no picture."""

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict:
        pooled = self.read(batch["tokens"], batch["mask"])[2]
        return {"loss": self._facts(pooled, batch["facts"])}


def told(n: int, *, seed: int) -> dict[str, torch.Tensor]:
    """Captions of two objects that say who stands where, and what they say."""
    scenes = fo.sample(lab.short(n, least=50), 2, seed=seed)
    said = [five[fo.TELLING[i % 2]] for i, five in enumerate(shapes.captions(scenes))]
    tokens, mask = fo.tokenizer()(said)
    return {"tokens": tokens, "mask": mask, "facts": fo.facts(scenes)}


@torch.no_grad()
def heard(model: GLIDE, test: dict) -> dict[str, float]:
    """Shares of captions: all five facts right; both colors, either way round."""
    parts = model.facts(model.read(test["tokens"], test["mask"])[2])
    said = [part.argmax(1) for part in parts.split(model.config.facts, 1)]
    said, true = torch.stack(said, 1), test["facts"]
    colors = said[:, [0, 2]].sort(1).values == true[:, [0, 2]].sort(1).values
    return {
        "all": (said == true).all(1).double().mean().item(),
        "colors": colors.all(1).double().mean().item(),
    }


def reading(seed: int, *, neighbors: int, steps: int = READ, first: int = 0) -> dict:
    """A reader; with 9, words are mixed with their neighbors first.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
    torch.manual_seed(seed)
    model = Reader(replace(GLIDE.PRESETS["shapes"], neighbors=neighbors))
    data, test = told(20_000, seed=seed), told(400, seed=70_000 + seed)
    curve, early, every = {}, {}, 50

    def watch(step, model, terms):
        if (step + 1) % every == 0:
            found = heard(model.eval(), test)
            curve[step + 1] = found["all"]
            if step + 1 == EARLY:
                early.update({f"early {key}": value for key, value in found.items()})
            model.train()

    how = {"lr": 2e-3, "optimizer": fo.OPTIMIZER, "seed": seed, "watch": watch}
    lab.train(model, lab.rows(64, seed, **data), steps=steps, **how)
    half = next((at for at, share in curve.items() if share > 0.5), steps)
    return heard(model.eval(), test) | early | {"curve": curve, "half": half}


# a small GLIDE and its guides


def pairs(n: int, *, seed: int) -> dict[str, torch.Tensor]:
    """Pictures of one large object, 16 x 16, and their captions."""
    scenes = oo.sample(lab.short(n, least=100), seed=seed)
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    return {"image": scenes.render(oo.SIDE), "tokens": tokens, "mask": mask}


def small_weights() -> dict:
    """The small GLIDE of the chapter."""
    torch.manual_seed(0)
    model = GLIDE.from_preset(oo.WEIGHTS)
    batches = lab.rows(32, 0, **pairs(16_000, seed=1))
    history = fo.fitted(model, batches, seed=0, steps=SMALL)
    lab.save_weights(model, "glide", oo.WEIGHTS, words=oo.tokenizer().words)
    size = sum(p.numel() for p in model.parameters())
    curve = {k: lab.means(v, 50) for k, v in history.losses.items()}
    return {"params": size, "seconds": round(history.seconds), "curve": curve}


def drawn(seed: int, **how) -> dict[str, float]:
    """Two draws for each caption: are they right, and how far apart are they?

    `pull`, if given, makes a guide of tokens and mask.
    """
    model = small.load("glide", oo.WEIGHTS)
    asked = oo.sample(lab.short(ASKED, least=8), seed=3000 + seed)
    tokens, mask = oo.tokenizer()(oo.texts(asked))
    make = how.pop("pull", None)
    if make is not None:
        how["pull"] = make(tokens, mask)
    draws = [
        model.sample(tokens, mask, generator=generator(10 * seed + i), **how)
        for i in range(2)
    ]
    both, color = oo.right(oo.larger(draws[0]), asked)
    apart = (draws[0] - draws[1]).abs().mean().item()
    return {"right": both.mean().item(), "color": color.mean().item(), "apart": apart}


def looked(seed: int, *, noised: bool) -> NoisedCLIP:
    """A CLIP that has seen noise of all steps, or hardly any."""
    torch.manual_seed(seed)
    model = NoisedCLIP.from_preset(oo.WEIGHTS)
    data = pairs(16_000, seed=100 + seed)

    def change(batch, random):
        return batch if noised else batch | {"step": torch.zeros(64, dtype=torch.long)}

    batches = lab.rows(64, seed, change=change, **data)
    lab.train(model, batches, steps=LOOKED, lr=2e-3, seed=seed)
    return model.eval()


@torch.no_grad()
def named(model: NoisedCLIP, seed: int) -> dict[int, float]:
    """Share of pictures whose caption is found among 64, by the step of their noise."""
    test, out = pairs(200, seed=80_000 + seed), {}
    image = shapes.to_float(test["image"])
    names = [f"a {c} {s}" for c in shapes.COLORS for s in shapes.SHAPES]
    tokens, mask = oo.tokenizer()([n.replace("a o", "an o") for n in names])
    own = F.pad(test["tokens"], (0, tokens.shape[1] - test["tokens"].shape[1]))
    label = (own[:, None] == tokens).all(2).double().argmax(1)
    noise = torch.randn(image.shape, generator=generator(seed))
    for level in LEVELS:
        step = torch.full((len(image),), level)
        x = model.diffusion.q_sample(image, step, noise)
        right = model(x, step, tokens, mask).argmax(1) == label
        out[level] = right.double().mean().item()
    return out


def clips(seed: int, *, noised: bool, scale: float) -> dict:
    """A CLIP guides the small GLIDE, which hears no caption itself."""
    model = looked(seed, noised=noised)
    how = {"scale": 0, "steps": 20, "pull": model.liking, "pull_scale": scale}
    return drawn(seed, **how) | {"named": named(model, seed)}


def counted(seed: int, *, steps: int) -> dict[str, float]:
    """The chapter's model draws pairs; all numbers of steps begin with equal noise."""
    model = small.load("glide", "shapes")
    asked = fo.sample(lab.short(PAIRS, least=8), 2, seed=40_000 + seed)
    how = {"scale": 2, "steps": steps, "generator": generator(seed)}
    return fo.right(fo.drawn(partial(model.sample, **how), fo.texts(asked)), asked)


LAB = lab.Lab(
    "glide",
    groups={
        "reading": {
            "words see neighbors": partial(reading, neighbors=9),
            "words alone": partial(reading, neighbors=1),
        },
        "longer": {
            "words see neighbors": partial(reading, neighbors=9, **LONGER),
            "words alone": partial(reading, neighbors=1, **LONGER),
        },
        "sooner": {
            "words see neighbors": partial(reading, neighbors=9, **SOONER),
            "words alone": partial(reading, neighbors=1, **SOONER),
        },
        "draws": {name: partial(drawn, **how) for name, how in DRAWS.items()},
        "steps": {f"{n} steps": partial(counted, steps=n) for n in (3, 20, 200)},
        "clips": {
            name: partial(clips, noised=name == "noised", scale=scale)
            for name, scale in PULLS.items()
        },
    },
    once={"weights": weights, "small": small_weights},
    claims=lab.read_claims(__file__),
    least=5,
)

if __name__ == "__main__":
    LAB.main()
