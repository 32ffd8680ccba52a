"""Train BYOL and all that breaks it, SwAV and DINO, and the weights of the chapter.

Command: python recipes/byol.py            (all that is missing, then the claims)
         python recipes/byol.py collapse:0 (one group, one seed)
Groups: collapse, tau, rounds, augment, batch, sides, others, long, weights, summary.
Expected: about 25 minutes on one core, some 10 s for a run. Without predictor or
stop-gradient the spread of z falls below 0.1, BYOL keeps 0.8; its shape probe is about
0.57 after 120 steps and 0.77 after 360. All values stand in results/byol.json.

Pictures are single, large, solid shapes on plain ground, 16 x 16; the views change the
color and crop, and the probe asks for the shape.
"""

import copy
import math
from dataclasses import replace
from functools import cache, partial

import torch
from torch import nn

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.data.views import Views, two_views, view
from mmdl_lib.metrics.collapse import effective_rank, spread
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.byol import BYOL
from mmdl_lib.models.dino import DINO
from mmdl_lib.models.simclr import SimCLR
from mmdl_lib.models.swav import SwAV

TRAIN, TEST, LABELS = 4000, 1000, 1000
STEPS, BATCH, EVERY, LR = 120, 64, 12, 3e-3
COLOR = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.5}
BASE = Views(area=(0.4, 1.0), flip=0.5, jitter=1.0, gray=0.2, **COLOR)
BLUR = replace(BASE, sigma=(0.1, 1.0), blur=1.0)
TINY = replace(BYOL.PRESETS["tiny"], tau=0.97)


@cache
def pictures(n, seed):
    """Large solid shapes and the number of the shape, one of eight."""
    plain = {"objects": 1, "sizes": "large", "textures": "solid"}
    scenes = shapes.sample(n, seed=seed, held_out="include", **plain)
    return shapes.to_float(scenes.render(16)), scenes.shape[:, 0]


def projections(model, image):
    """What the loss of a model compares."""
    if isinstance(model, SimCLR):
        return model(image).projection
    return model.project(image)


def calibrated(model, image):
    """In the middle of a short training BatchNorm's averages lag behind the weights."""

    def forward(part):
        model.encode_image(part), projections(model, part)

    return lab.recalibrate(model, image.split(250), forward)


@torch.no_grad()
def measure(model, train, test):
    """Shape probe, and how far the representation has collapsed."""
    image, label = train[0][:LABELS], train[1][:LABELS]
    model = calibrated(copy.deepcopy(model), image)
    features, other = (
        torch.cat([model.encode_image(x) for x in part.split(500)])
        for part in (image, test[0])
    )
    z = projections(model, test[0])
    return {
        "probe": linear_probe(features, label, other, test[1]),
        "spread": spread(z),
        "rank": effective_rank(z),
    }


@torch.no_grad()
def glance(model, image):
    """Spread and rank in the middle of a training, with the batch's own statistics."""
    z = projections(copy.deepcopy(model).train(), image)
    return spread(z), effective_rank(z)


def run(seed, model, *, views=(BASE, BASE), batch=BATCH, small=0, steps=STEPS):
    """Train a model on two views; its losses, its collapse over time, its probe."""
    train, test = pictures(TRAIN, seed), pictures(TEST, 50_000 + seed)
    curve = {"step": [], "spread": [], "rank": []}

    def change(rows, g):
        one, two = two_views(rows["image"], *views, generator=g)
        made = {"view1": one, "view2": two}
        crop = replace(views[0], area=(0.1, 0.4))
        for i in range(small):
            tiny = view(rows["image"], crop, generator=g)
            made[f"view{3 + i}"] = nn.functional.avg_pool2d(tiny, 2)
        return made

    rows = lab.rows(batch, seed, change=change, image=train[0])

    def batches(step):
        if step % EVERY == 0:
            found = glance(model, test[0][:256])
            for name, value in zip(curve, (step, *found), strict=True):
                curve[name].append(round(value, 4))
        return rows(step)

    # the same numbers in another order of memory: a quarter faster on a CPU
    model.to(memory_format=torch.channels_last)
    history = lab.train(model, batches, steps=steps, lr=LR, weight_decay=1e-4)
    losses = {name: lab.means(v, EVERY) for name, v in history.losses.items()}
    return measure(model, train, test) | {"curve": curve, "losses": losses}


def fresh(seed, kind=BYOL, config=TINY, **changes):
    torch.manual_seed(seed)
    return kind(replace(config, **changes))


def arm(kind=BYOL, config=TINY, *, changes=(), **options):
    return partial(_arm, kind=kind, config=config, changes=dict(changes), **options)


def _arm(seed, *, kind, config, changes, **options):
    return run(seed, fresh(seed, kind, config, **changes), **options)


def random(seed):
    """The net that tau = 1 predicts."""
    model = fresh(seed, tau=1.0)
    model.online.load_state_dict(model.target.state_dict())
    return measure(model, pictures(TRAIN, seed), pictures(TEST, 50_000 + seed))


def rounds(seed, count=4):
    """Iterated bootstrapping: each round predicts the fixed net of the one before."""
    teacher, found = None, {}
    for i in range(count):
        model = fresh(1000 * i + seed, tau=1.0)
        if teacher is not None:
            model.bootstrap_from(teacher)
        found[str(i + 1)] = run(seed, model)
        teacher = model
    return found


def weights():
    """Three trained models for the notebook."""
    found = {}
    models = {"byol": fresh(0), "swav": fresh(0, *SWAV), "dino": fresh(0, *DINOS)}
    for slug, model in models.items():
        found[slug] = run(0, model, steps=3 * STEPS)
        model = calibrated(model, pictures(TRAIN, 0)[0][:LABELS])
        lab.save_weights(model, slug)
    return found


FULL, SIM = "predictor, slow target", (SimCLR, SimCLR.PRESETS["tiny"])
SWAV = SwAV, SwAV.PRESETS["tiny"]
DINOS = DINO, replace(DINO.PRESETS["tiny"], momentum=0.97)
COLORS = {"all": BASE, "no gray": replace(BASE, gray=0.0)}
COLORS["no color"] = replace(BASE, gray=0.0, jitter=0.0)
BROKEN = {
    FULL: {},
    "slow target only": {"predictor": "none"},
    "predictor only": {"tau": 0.0},
    "neither": {"predictor": "none", "tau": 0.0},
    "no stop-gradient": {"target": "shared"},
    "no stop-gradient, no predictor": {"target": "shared", "predictor": "none"},
}
LONG = {name: BROKEN[name] for name in list(BROKEN)[:3]}
LONG |= {"fixed target": {"tau": 1.0}}
MANY = SwAV, SwAV.PRESETS["tiny-multi-crop"]
GROUPS = {
    # the 2 x 2 of predictor and slow target, and both without a stop-gradient
    "collapse": {name: arm(changes=changes) for name, changes in BROKEN.items()},
    # 0 and 0.97 are in `collapse`
    "tau": {"random": random}
    | {str(tau): arm(changes={"tau": tau}) for tau in (0.9, 0.99, 0.999, 1.0)},
    "rounds": rounds,
    "augment": {
        f"{name}, {colors}": arm(*what, views=(views, views))
        for colors, views in COLORS.items()
        for name, what in (("BYOL", ()), ("SimCLR", SIM))
        if (name, colors) != ("BYOL", "all")  # in `collapse`
    },
    # 64 is in `collapse` and `augment`
    "batch": {
        f"{name}, {size}": arm(*what, batch=size)
        for size in (8, 32)
        for name, what in (("BYOL", ()), ("SimCLR", SIM))
    },
    # one direction only; two distributions T and T' that differ as in the paper
    "sides": {
        "one-sided": arm(changes={"symmetric": False}),
        "T and T'": arm(views=(BLUR, replace(BLUR, blur=0.1, solarize=0.2))),
        "T twice": arm(views=(replace(BLUR, blur=0.55, solarize=0.1),) * 2),
    },
    "others": {
        "SwAV": arm(*SWAV),
        "SwAV, epsilon 0.05": arm(*SWAV, changes={"epsilon": 0.05}),
        "SwAV, multi-crop": arm(*MANY, small=2),
        "DINO": arm(*DINOS),
        "DINO, no centering": arm(*DINOS, changes={"center_rate": 1.0}),
        "DINO, no sharpening": arm(*DINOS, changes={"teacher_temperature": 0.1}),
    },
    # three times as many steps: some differences take longer to show
    "long": {n: arm(changes=c, steps=3 * STEPS) for n, c in LONG.items()},
}


def apart(run, name):
    """Powers of ten between student and teacher at the end."""
    return math.log10(run["others"][name]["losses"]["divergence"][-1])


APART = {
    "both": partial(apart, name="DINO"),
    "no centering": partial(apart, name="DINO, no centering"),
    "no sharpening": partial(apart, name="DINO, no sharpening"),
}
CLAIMS = lab.read_claims(__file__, **APART)
LAB = lab.Lab("byol", groups=GROUPS, once={"weights": weights}, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
