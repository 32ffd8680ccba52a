"""Train a small reader, a small Imagen and a small Parti, and measure their ideas.

Command: python recipes/imagen.py            (all that is missing)
         python recipes/imagen.py words:0    (one group, one seed)
         python recipes/imagen.py summary    (the claims)
Expected: about 25 minutes on a quiet core. A reader that has seen sentences lets the
net draw colors by names that no caption had. The values stand in results/imagen.json,
the claims in recipes/imagen.toml, the weights in mmdl_lib/weights.
"""

import math
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import categories as ca
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.metrics.best_of_n import best_of_n
from mmdl_lib.nn.unet import PatchUNetConfig
from mmdl_lib.pretrained import small

PICTURES, PROMPTS, OF_A_KIND = 8000, 96, 64
STEPS = {"reader": 900, "base": 2000, "parti": 900, "words": 500}
STEPS |= {"sizes": 150}
WORDS = {
    "nothing read": {"read": 0, "widths": (32, 48)},
    "sentences read": {"read": 700, "widths": (32, 48)},
    "nothing read, larger net": {"read": 0, "widths": (64, 96)},
}
FIRST = 50  # of the seeds on which these words are asked once more
SCALES = (2, 8, 16)
SIZES = {
    "small": {"width": 16, "depth": 1},
    "medium": {"width": 32, "depth": 2},
    "large": {"width": 64, "depth": 3},
}


def loaded():
    """The shipped reader and base."""
    return small.load("bert", "colors"), small.load("imagen", "large-object")


def reader() -> dict:
    """The frozen reader of the chapter."""
    model = fz.reader(0, steps=STEPS["reader"])
    lab.save_weights(model, "bert", "colors", words=fz.tokenizer().words)
    return {"params": sum(p.numel() for p in model.parameters())}


def base() -> dict:
    """The Imagen of the chapter, 16 x 16."""
    model = small.load("bert", "colors")
    scenes = fz.pictures(PICTURES, seed=1)
    net, history = fz.learned(0, scenes, model, steps=STEPS["base"])
    lab.save_weights(net, "imagen", "large-object")
    return facts(net, history)


def parti() -> dict:
    """The Parti of the chapter, on the codes of the dVAE of the chapter on DALL-E."""
    scenes, dvae = fz.pictures(PICTURES, seed=2), small.load("dvae", oo.WEIGHTS)
    net, history = fz.parti(0, scenes, steps=STEPS["parti"], model=dvae)
    lab.save_weights(net, "parti", "large-object", words=oo.tokenizer().words)
    return facts(net, history)


def facts(net, history) -> dict:
    """Size, seconds and the curve of a training."""
    found = {"params": sum(p.numel() for p in net.parameters())}
    found |= {"seconds": round(history.seconds)}
    return found | {"curve": lab.means(history.losses["loss"], 100)}


# claims


def words(seed: int, *, read: int, widths: tuple[int, int], first: int = 0) -> dict:
    """A reader that has read for so many steps, and a net that hears it.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
    reader = fz.reader(seed, steps=read)
    scenes = fz.pictures(4000, seed=1000 + seed)
    net = PatchUNetConfig(side=8, widths=widths, context=64)
    model, history = fz.learned(
        *(seed, scenes, reader), steps=STEPS["words"], image_size=8, net=net
    )
    asked = fz.asked(PROMPTS, seed=3000 + seed)
    found = {"near": fz.near(reader), "loss": history.losses["loss"][-50:]}
    found["loss"] = sum(found["loss"]) / len(found["loss"])
    for name, which in (("known", 1), ("new", 2)):
        texts = fz.captions(asked, torch.full((len(asked),), which))
        how = {"scale": 2, "steps": 10, "generator": generator(seed)}
        image = fz.drawn(model, reader, texts, **how)
        found[name] = fz.hue_right(image, asked)
    return found


def threshold(seed: int, *, kind: str, scale: int) -> dict:
    """The shipped base at a scale, its believed pictures cut one way or the other."""
    reader, model = loaded()
    asked = fz.asked(PROMPTS, seed=4000 + seed)
    texts = fz.captions(asked, torch.zeros(len(asked), dtype=torch.long))
    beyond = []

    def watch(step, x, x0):
        beyond.append((x0.abs() > 0.99).float().mean().item())

    how = {"scale": scale, "threshold": kind, "generator": generator(seed)}
    image = fz.drawn(model, reader, texts, watch=watch, **how)
    real = fz.rendered(asked, 16)
    found = fz.right(image, asked) | {"hue": fz.hue_right(image, asked)}
    found |= {"ends": (image.abs() > 0.99).float().mean().item()}
    found |= {"contrast": image.std(dim=(2, 3)).mean().item()}
    found |= {"real contrast": real.std(dim=(2, 3)).mean().item()}
    return found | {"believed at the ends": sum(beyond) / len(beyond)}


def sizes(seed: int, *, width: int, depth: int) -> dict:
    """A Parti of one size after a few steps: nats of a code of new pictures."""
    dvae = small.load("dvae", oo.WEIGHTS)
    scenes = fz.pictures(4000, seed=7000 + seed)
    changes = {"width": width, "decoder": depth, "heads": width // 16}
    net, history = fz.parti(seed, scenes, steps=STEPS["sizes"], model=dvae, **changes)
    fresh = fz.asked(200, seed=8000 + seed)
    found = {"nats": fz.nats(net, fresh, dvae)}
    found["untaught"] = fz.nats(net, fresh, dvae, shuffled=True)
    found["learned"] = math.log(256) - found["nats"]
    return found | {"params": sum(p.numel() for p in net.parameters())}


def draws(seed: int, *, scale: float) -> dict:
    """Four drafts of the shipped Parti for each caption; CLIP chooses."""
    net, dvae = small.load("parti", oo.WEIGHTS), small.load("dvae", oo.WEIGHTS)
    asked = fz.asked(PROMPTS, seed=9000 + seed)
    how = {"tries": 4, "scale": scale, "generator": generator(seed)}
    liked, true, color = oo.judged(net, dvae, asked, **how)
    found = {"color": color.mean().item(), "CLIP": liked.mean().item()}
    counts = {str(n): best_of_n(liked, n, judged=true) for n in (1, 2, 4)}
    return found | {"right": counts, "right by the truth": best_of_n(true, 4)}


def category(seed: int, *, name: str) -> dict:
    """A shipped generator, category by category; the largest GLIDE is asked all."""
    names = tuple(ca.CATEGORIES) if name == "GLIDE, an hour" else ca.ONE
    how = {"n": OF_A_KIND, "names": names}
    return ca.scored(ca.DRAWS[name], seed, **how)


LAB = lab.Lab(
    "imagen",
    groups={
        "words": {name: partial(words, **how) for name, how in WORDS.items()},
        "again": {n: partial(words, first=FIRST, **how) for n, how in WORDS.items()},
        "threshold": {
            f"{kind}, scale {scale}": partial(threshold, kind=kind, scale=scale)
            for kind in ("static", "dynamic")
            for scale in SCALES
        },
        "sizes": {name: partial(sizes, **how) for name, how in SIZES.items()},
        "categories": {name: partial(category, name=name) for name in ca.DRAWS},
        "draws": {f"scale {s:g}": partial(draws, scale=s) for s in (1.0, 1.5)},
    },
    once={"reader": reader, "base": base, "parti": parti},
    exact={"again": 14},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
