"""A classifier guides the chapter's small GLIDE, one that has seen noise or none.

Command: python recipes/glide_classifier.py          (all that is missing)
         python recipes/glide_classifier.py guided:0 (one group, one seed)
         python recipes/glide_classifier.py summary  (the claims)
Expected: a few minutes on one core for each seed. The values stand in
results/glide_classifier.json, the claims in recipes/glide_classifier.toml.
"""

import math
import time
from functools import partial

import torch
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import SHAPES, to_float
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.noised_classifier import NoisedClassifier
from mmdl_lib.pretrained import small

STEPS, ASKED = 400, 48
LONGER = {"steps": 1200, "first": 50, "pulls": (10, 30)}
LEVELS = (0, 200, 400, 600, 800, 950)
PULLS, FREE = (1, 10, 30), (0, 1, 2, 4)


def labels(scenes) -> Tensor:
    """Color and shape of one object each."""
    return torch.stack([scenes.color[:, 0], scenes.shape[:, 0]], 1).long()


def labeled(n: int, *, seed: int) -> dict[str, Tensor]:
    """Pictures of one large object, 16 x 16, with color and shape."""
    scenes = oo.sample(lab.short(n, least=100), seed=seed)
    return {"image": scenes.render(oo.SIDE), "label": labels(scenes)}


def trained(seed: int, *, noised: bool, steps: int) -> NoisedClassifier:
    """A classifier that has seen noise of all steps, or none to speak of."""
    torch.manual_seed(seed)
    model = NoisedClassifier.from_preset(oo.WEIGHTS)

    def change(batch, random):
        return batch if noised else batch | {"step": torch.zeros(64, dtype=torch.long)}

    batches = lab.rows(64, seed, change=change, **labeled(16_000, seed=61_000 + seed))
    lab.train(model, batches, steps=steps, lr=2e-3, seed=seed)
    return model.eval()


@torch.no_grad()
def named(model: NoisedClassifier, seed: int, *, noised: bool) -> dict[int, float]:
    """Share of noisy pictures whose color and shape are both found, by step."""
    test, out = labeled(400, seed=62_000 + seed), {}
    image = to_float(test["image"])
    noise = torch.randn(image.shape, generator=generator(seed))
    for level in LEVELS:
        step = torch.full((len(image),), level)
        x = model.diffusion.q_sample(image, step, noise)
        out[level] = found(model, x, step * noised, test["label"]).mean().item()
    return out


@torch.no_grad()
def found(model: NoisedClassifier, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
    """Whether a classifier sees both labels in pictures."""
    said = torch.stack([part.argmax(1) for part in model(x, step)], 1)
    return (said == label).all(1).float()


def read(image: Tensor, asked) -> list[dict]:
    """What a fixed program sees in each picture: one object, the asked one?"""
    rows = []
    for seen, (own,) in zip(
        asked.seen_in(oo.larger(image)), asked.things(), strict=True
    ):
        one = seen[0] if len(seen) == 1 else None
        row = {
            k: one and getattr(one, k) == getattr(own, k) for k in ("color", "shape")
        }
        rows.append(row | {"right": all(row.values()), "one": one})
    return rows


def drawn(seed: int, *, model=None, clean=False, **how) -> dict:
    """Two draws for each request: what is right, how far apart, how long it took."""
    glide = small.load("glide", oo.WEIGHTS)
    asked = oo.sample(lab.short(ASKED, least=8), seed=60_000 + seed)
    told, wanted = oo.tokenizer()(oo.texts(asked)), labels(asked)
    if model is not None:
        log_p = model.log_p(wanted)
        how["pull"] = (lambda x, step: log_p(x, 0 * step)) if clean else log_p
    began = time.process_time()
    random = [generator(10 * seed + i) for i in (0, 1)]
    two = [glide.sample(*told, generator=chance, **how) for chance in random]
    out = {"seconds": (time.process_time() - began) / 2 / len(asked)}
    pairs = list(zip(*(read(image, asked) for image in two), strict=True))
    rows = [row for pair in pairs for row in pair]
    for key in ("one", "color", "shape", "right"):
        out[key] = sum(bool(row[key]) for row in rows) / len(rows)
    both = [(a["one"], b["one"]) for a, b in pairs if a["one"] and b["one"]]
    away = [math.dist((a.x, a.y), (b.x, b.y)) for a, b in both]
    out["away"] = sum(away) / len(away) if away else None
    shape = [SHAPES.index(row["one"].shape) for row in rows if row["one"]]
    share = torch.tensor(shape).bincount(minlength=8) / max(len(shape), 1)
    out["shapes"] = torch.special.entr(share).sum().exp().item()
    out["apart"] = (two[0] - two[1]).abs().mean().item()
    if model is not None:
        zero = torch.zeros(len(asked), dtype=torch.long)
        sure = [found(model, x.clamp(-1, 1), zero, wanted).mean().item() for x in two]
        out["fooled"] = sum(sure) / 2
    return out


def guided(
    seed: int, *, noised: bool, steps: int = STEPS, first: int = 0, pulls: tuple = PULLS
) -> dict:
    """A classifier is trained, and guides the net, which hears no caption itself.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
    began = time.process_time()
    model = trained(seed, noised=noised, steps=steps)
    out = {"seconds": time.process_time() - began}
    out["named"] = named(model, seed, noised=noised)
    how = {"model": model, "clean": not noised, "scale": 0, "steps": 20}
    for pull in pulls:
        out[f"scale {pull}"] = drawn(seed, pull_scale=pull, **how)
    return out


def again(seed: int) -> dict:
    """Without a classifier, the requests and noise of the longer trainings."""
    return drawn(LONGER["first"] + seed, scale=2, steps=20)


LAB = lab.Lab(
    "glide_classifier",
    groups={
        "guided": {
            n: partial(guided, noised=n == "noised") for n in ("noised", "clean")
        },
        "longer": {
            "noised": partial(guided, noised=True, **LONGER),
            "clean": partial(guided, noised=False, **LONGER),
            "free": again,
        },
        "free": {f"scale {s}": partial(drawn, scale=s, steps=20) for s in FREE},
    },
    claims=lab.read_claims(__file__),
    exact={"guided": 6, "free": 6, "longer": 6},
)

if __name__ == "__main__":
    LAB.main()
