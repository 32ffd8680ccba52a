"""Measure what iconic pictures teach, and what annotators' errors do to a data set.

Command: python recipes/coco.py             (all that is missing)
         python recipes/coco.py views:0     (one group, one seed)
         python recipes/coco.py summary     (the claims)
Expected: about 8 minutes on a quiet core. A net that saw only iconic pictures fails on
crowded ones, and a test labeled by one worker misjudges a net. The measured values are
in results/coco.json, the claims in recipes/coco.toml.
"""

from functools import cache, partial
from math import log2
from statistics import mean

from mmdl_lib import lab
from mmdl_lib.data.shapes import SHAPES, to_float
from mmdl_lib.lab import annotators as an
from mmdl_lib.lab import iconic as ic

STEPS, BATCH, RATE = 300, 64, 1e-2
MOST = 12  # workers at most
TRAIN, TEST = 2000, 1000  # pictures
LOOKS = 4000  # of workers at pictures: what labels for training may cost
HANDS = {  # blur in pixels of 64 x 64, and shake
    "careful": {"blur": 3, "shake": 0.3},
    "coarse": {"blur": 7, "shake": 0.3},
}


def alone(n, seed):
    """One object of any size at any place, maybe cut off."""
    return ic.non_iconic(n, seed, objects=1)


@cache
def tests(seed):
    """New scenes of both kinds, their pictures, and what they show."""
    made = {"iconic": ic.iconic, "non-iconic": ic.non_iconic}
    scenes = {name: make(TEST, 50_000 + seed) for name, make in made.items()}
    return {name: (s, s.render(32), ic.named(s)) for name, s in scenes.items()}


def trained(image, there, seed):
    """Equal starts and equally many pictures seen in all arms of a seed."""
    model = ic.namer(seed)
    batches = lab.rows(BATCH, seed, image=image, there=there)
    options = {"steps": STEPS, "lr": RATE, "weight_decay": 0.01}
    history = lab.train(model, batches, **options)
    return model, lab.means(history.losses["loss"], 50)


def score(model, kind, seed):
    """AUC on new pictures."""
    _, image, there = tests(seed)[kind]
    return ic.auc(lab.logits(model, image), there)


def views(seed, *, make, n):
    """Train on pictures of one kind, test on both; once more with new statistics."""
    scenes = make(n, seed)
    model, curve = trained(scenes.render(32), ic.named(scenes), seed)
    found = {kind: score(model, kind, seed) for kind in tests(seed)} | {"loss": curve}
    if make is ic.non_iconic:
        found["judged by"] = judged(model, seed)
        found["untrained"] = score(ic.namer(seed), "non-iconic", seed)
    image = to_float(tests(seed)["non-iconic"][1])
    lab.recalibrate(model, image.split(BATCH))
    return found | {"recalibrated": score(model, "non-iconic", seed)}


def said(scenes, workers, seed, rates=an.WORKER):
    """What each worker says of each picture: (w, b, k)."""
    pixels = ic.visible(scenes)
    options = {"workers": workers, "seed": seed, "rates": rates}
    return an.labeled(pixels, scenes.shape, len(SHAPES), **options)


def sets_of_labels(scenes, seed):
    """What a data set says of the pictures, by how it came about."""
    every, true = said(scenes, 8, seed), ic.named(scenes)
    union = every.any(0)
    sets = {"one": every[0], "majority": every.sum(0) >= 4, "union": union}
    return sets | {"checked": an.checked(union, true, seed=seed)}


def judged(model, seed):
    """The true AUC less the AUC that labels with errors give, without its sign."""
    scenes, image, there = tests(seed)["non-iconic"]
    logits, sets = lab.logits(model, image), sets_of_labels(scenes, seed)
    true = ic.auc(logits, there)
    return {name: abs(ic.auc(logits, claimed) - true) for name, claimed in sets.items()}


def labels(seed, *, kind):
    """Train on labels of one kind; all kinds cost equally many looks at pictures."""
    many = ic.non_iconic(LOOKS, seed)
    scenes = many if kind == "one" else many[: LOOKS // 8]
    there = sets_of_labels(scenes, 1000 + seed)[kind]
    model, curve = trained(scenes.render(32), there, seed)
    found = {"auc": score(model, "non-iconic", seed), "loss": curve}
    return found | an.quality(there, ic.named(scenes))


def crowd(seed):
    """No net: recall and precision of unions of workers, and of single experts."""
    scenes, _, true = tests(seed)["non-iconic"]
    every = said(scenes, MOST, seed)
    each = mean(an.quality(one, true)["recall"] for one in every[:8])
    unions = [an.quality(every[:k].any(0), true) for k in range(1, MOST + 1)]
    experts = [an.quality(one, true) for one in said(scenes, 7, 500 + seed, an.EXPERT)]
    pixels = ic.visible(scenes)
    seen, there = an.spotted(pixels, 8, seed), pixels > 0
    few = there & (pixels < 40)
    found = {"found small": (seen & few).sum() / few.sum() / 8}
    found["found large"] = (seen & ~few).sum() / (there & ~few).sum() / 8
    return {name: value.item() for name, value in found.items()} | {
        "one": each,
        "promised": [an.promised(each, k) for k in range(1, MOST + 1)],
        "recall": [row["recall"] for row in unions],
        "precision": [row["precision"] for row in unions],
        "expert": {key: [row[key] for row in experts] for key in experts[0]},
        "best expert": max(row["recall"] for row in experts),
        "excess": log2((1 - unions[7]["recall"]) / (1 - an.promised(each, 8))),
    }


def masks(seed, *, hand):
    """Mean IoU of drawn masks: one hand, and the votes of three and of nine."""
    shown = tests(seed)["non-iconic"][0].instance_masks(64)
    mask = shown[shown.sum((2, 3)) >= 40][:400]
    drawn = an.drawings(mask, seed, hands=9, **HANDS[hand])
    votes = {"1": drawn[0], "3": drawn[:3].sum(0) > 1, "9": drawn.sum(0) > 4}
    each = {name: an.overlaps(drawn, mask) for name, drawn in votes.items()}
    return {
        name: {"iou": part.mean().item(), "bad": (part < 0.75).double().mean().item()}
        for name, part in each.items()
    }


GROUPS = {
    "crowd": crowd,
    "masks": {hand: partial(masks, hand=hand) for hand in HANDS},
    "views": {
        "iconic": partial(views, make=ic.iconic, n=TRAIN),
        "iconic many": partial(views, make=ic.iconic, n=4 * TRAIN),
        "alone": partial(views, make=alone, n=TRAIN),
        "non-iconic": partial(views, make=ic.non_iconic, n=TRAIN),
    },
    "labels": {kind: partial(labels, kind=kind) for kind in ("one", "checked")},
}
LAB = lab.Lab("coco", groups=GROUPS, claims=lab.read_claims(__file__), least=6)

if __name__ == "__main__":
    LAB.main()
