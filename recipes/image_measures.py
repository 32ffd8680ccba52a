"""Measure the measures: on pictures of which everything is known.

Command: python recipes/image_measures.py           (all that is missing)
         python recipes/image_measures.py sample:0  (one group, one seed)
         python recipes/image_measures.py summary   (the claims)
Expected: about 8 minutes on a quiet core. FID falls with the number of pictures though
nothing else changes, feels how pictures are resized, and does not see the prompt. The
values stand in results/image_measures.json, the claims in recipes/image_measures.toml,
and three rows of the section's table in results/text_to_image/image_measures.json.
"""

from functools import cache
from statistics import mean

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import image_measures as im
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.best_of_n import best_of_n
from mmdl_lib.metrics.clip_score import clip_score
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.fid_bias import fid_at_infinity, fid_bias
from mmdl_lib.metrics.inception_score import inception_score
from mmdl_lib.metrics.kid import kid
from mmdl_lib.metrics.precision_recall import precision_recall
from mmdl_lib.metrics.r_precision import r_precision
from mmdl_lib.pretrained import small

REAL, SIZES, DRAWS = 4000, (125, 250, 500, 1000, 2000), 4
ERROR, PROMPTS, TRIES = 0.3, 250, 32
BEST = (1, 2, 4, 8, 16, 32)
LARGE = 128  # pixels, before resizing


def scenes(n: int, seed: int, part: int):
    """Scenes of the section's world; every part of a seed has its own."""
    return t2i.sample(lab.short(n, least=150), seed=1000 * (seed + 1) + part)


@cache
def real(seed: int) -> Features:
    """Features of the real pictures of a seed."""
    return t2i.features(scenes(REAL, seed, 0).render())


def sample(seed: int) -> dict:
    """FID, KID and the formula, for more and more pictures of one distribution."""
    found = {"fid": {}, "kid": {}, "formula": {}, "ratio": {}}
    covariance = real(seed).values.double().T.cov()
    for n in SIZES:
        several = range(DRAWS if n < 2000 else 2)
        sets = [t2i.features(scenes(n, seed, 10 + i + n).render()) for i in several]
        found["fid"][n] = mean(fid(real(seed), x).value for x in sets)
        size = min(len(x) for x in sets)
        random = generator(seed)
        found["kid"][n] = mean(
            kid(real(seed), x, subsets=20, size=min(size, 500), generator=random).mean
            for x in sets
        )
        found["formula"][n] = fid_bias(covariance, len(real(seed)), size)
        found["ratio"][n] = found["fid"][n] / found["formula"][n]
    sizes = [size // 8, size // 4, size // 2]
    endless = fid_at_infinity(
        real(seed), sets[0], sizes=sizes, repeats=8, generator=random
    )
    return found | {"infinity": {"value": endless.value, "off": abs(endless.value)}}


WAYS = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear"},
    "bilinear, antialiased": {"mode": "bilinear", "antialias": True},
    "bicubic, antialiased": {"mode": "bicubic", "antialias": True},
    "mean of 4 x 4": {"mode": "area"},
}


def resize(seed: int) -> dict:
    """FID of faultless pictures by how they became small, and of faulty ones."""
    drawn = scenes(2000, seed, 1)
    image, large = to_float(drawn.render()), to_float(drawn.render(LARGE))
    sets = {f"by {k}": F.interpolate(large, (32, 32), **v) for k, v in WAYS.items()}
    sets |= {"drawn small": image, "one in twenty empty": im.emptied(image, 0.05)}
    sets["upside down"] = image.flip(2)
    wrong = im.flawed(drawn, 0.1, seed=seed)
    missing = im.without_last(drawn, 0.2, seed=seed)
    sets["wrong colors and shapes"] = to_float(wrong.render())
    sets["one in five lacks an object"] = to_float(missing.render())
    return {
        k: fid(real(seed), t2i.features(v.clamp(-1, 1))).value for k, v in sets.items()
    }


def measures(seed: int, image, asked) -> dict:
    """Everything that can be said about pictures drawn for prompts."""
    texts, found = t2i.texts(asked), t2i.features(image)
    both = im.clip_image(image), im.clip_text(texts)
    options = {"group": im.same_text(texts), "generator": generator(seed)}
    near = precision_recall(real(seed), found)
    return {
        "fid": fid(real(seed), found).value,
        "precision": near.precision,
        "recall": near.recall,
        "r_precision": r_precision(*both, **options).value,
        "clip": clip_score(*both).value,
        "exact": faithfulness(image, asked).exact,
    }


def own(seed: int) -> dict:
    """Each prompt gets its picture."""
    asked = scenes(2000, seed, 2)
    return measures(seed, asked.render(), asked)


def other(seed: int) -> dict:
    """Each prompt gets a picture that was drawn for another one."""
    return measures(seed, scenes(2000, seed, 3).render(), scenes(2000, seed, 2))


def best(seed: int) -> dict:
    """A careless generator draws each prompt often; CLIP, or the truth, chooses."""
    asked = scenes(PROMPTS, seed, 4)
    text = im.clip_text(t2i.texts(asked)).values
    liked, true = [], []
    for i in range(TRIES):
        drawn = im.flawed(asked, ERROR, seed=100 * seed + i)
        image = im.clip_image(drawn.render()).values
        liked.append(F.cosine_similarity(image, text))
        true.append(im.right(drawn, asked).float())
    liked, true = torch.stack(liked, 1), torch.stack(true, 1)
    chance = im.chance_right(asked, ERROR)
    return {
        "by CLIP": {n: best_of_n(liked, n, judged=true) for n in BEST},
        "by the truth": {n: best_of_n(true, n) for n in BEST},
        "formula": {n: (1 - (1 - chance) ** n).mean().item() for n in BEST},
        "CLIP": {n: 100 * best_of_n(liked, n) for n in BEST},
    }


@torch.no_grad()
def gamed(seed: int) -> dict:
    """Real pictures of one object, and one of them for each class, again and again."""
    model, n = small.load("resnet", "shapes"), lab.short(6400, least=1600)
    options = {"objects": 1, "held_out": "include", "textures": "solid"}
    image = shapes.sample(n, seed=1000 * (seed + 1) + 5, **options).render()
    logits = lab.logits(model, image)
    sure = logits.softmax(1)
    chosen = sure.argmax(0)  # for each class the picture of which it is surest
    again = chosen.repeat(n // len(chosen))
    truth = shapes.sample(2000, seed=1000 * (seed + 1) + 6, **options).render()
    truth, found = t2i.features(truth), {}
    for name, rows in {"real": torch.arange(n), "one a class": again}.items():
        score = inception_score(Features(logits[rows], "resnet_shapes"), splits=1)
        some = t2i.features(image[rows[:2000]])
        near = precision_recall(truth, some)
        found[name] = {"is": score.mean, "fid": fid(truth, some).value}
        found[name] |= {"precision": near.precision, "recall": near.recall}
    return found


def table() -> dict:
    """Three rows of the section's table: its ceiling and two floors."""
    asked, seeds = t2i.prompts().scenes, range(3)
    noise = {s: t2i.score(_noise(s)) for s in seeds}
    others = {s: t2i.score(t2i.sample(500, seed=s).render()) for s in seeds}
    drawn = {0: t2i.score(asked.render())}
    for name, scores in {
        "ceiling: the real pictures": drawn,
        "floor: real, for other prompts": others,
        "floor: noise": noise,
    }.items():
        t2i.keep("image_measures", name, scores)
    return {"rows": 3, "fid": drawn[0].fid, "exact": drawn[0].exact}


def _noise(seed: int):
    return 2 * torch.rand(500, 3, 32, 32, generator=generator(seed)) - 1


LAB = lab.Lab(
    "image_measures",
    groups={
        "sample": sample,
        "resize": resize,
        "prompt": {"own": own, "other": other},
        "best": best,
        "gamed": gamed,
    },
    once={"table": table},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
