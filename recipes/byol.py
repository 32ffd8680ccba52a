"""Train BYOL and all that breaks it, SwAV and DINO, and the weights of the chapter.

Command: python recipes/byol.py               (all parts, all seeds)
         python recipes/byol.py collapse 0 2  (one part, seeds 0 and 1)
Parts: collapse, tau, rounds, augment, batch, sides, others, long, weights, summary.
Expected: about 25 minutes on one core, some 10 s for a run. Without predictor or
stop-gradient the spread of z falls below 0.1, BYOL keeps 0.8; its shape probe is about
0.57 after 120 steps and 0.77 after 360. All values stand in results/byol.json.

Pictures are single, large, solid shapes on plain ground, 16 x 16; the views change the
color and crop, and the probe asks for the shape.
"""

import copy
import functools
import math
import sys
import time
from dataclasses import replace

import torch
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.views import Views, two_views, view
from mmdl_lib.metrics.collapse import effective_rank, spread
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.byol import BYOL
from mmdl_lib.models.dino import DINO
from mmdl_lib.models.simclr import SimCLR
from mmdl_lib.models.swav import SwAV
from mmdl_lib.record import claim, keep, results
from mmdl_lib.train import fit

TRAIN, TEST, LABELS = 4000, 1000, 1000
STEPS, BATCH, SEEDS, EVERY, LR = 120, 64, 3, 12, 3e-3
COLOR = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.5}
BASE = Views(area=(0.4, 1.0), flip=0.5, jitter=1.0, gray=0.2, **COLOR)
TINY = replace(BYOL.PRESETS["tiny"], tau=0.97)


@functools.cache
def pictures(n, seed):
    """Large solid shapes and the number of the shape, one of eight."""
    scenes = shapes.sample(12 * n, seed=seed, objects=1, held_out="include")
    plain = (scenes.size[:, 0] == 2) & (scenes.texture[:, 0] == 0)
    scenes = scenes[plain.nonzero()[:n, 0]]
    return shapes.to_float(scenes.render(16)), scenes.shape[:, 0]


def projections(model, image):
    """What the loss of a model compares."""
    if isinstance(model, SimCLR):
        return model(image).projection
    return model.project(image)


@torch.no_grad()
def calibrate(model, image):
    """BatchNorm's running statistics, anew from plain pictures.

    In the middle of a short training the running averages lag behind the weights, which
    costs more accuracy than most things that are compared here.
    """
    norms = [
        m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches that follow
    model.train()
    for part in image.split(250):
        model.encode_image(part), projections(model, part)
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


@torch.no_grad()
def measure(model, train, test):
    """Shape probe, and how far the representation has collapsed."""
    model = calibrate(copy.deepcopy(model), train[0][:LABELS])
    features, other = (
        torch.cat([model.encode_image(x) for x in part[0].split(500)])
        for part in ((train[0][:LABELS], None), test)
    )
    z = projections(model, test[0])
    return {
        "probe": linear_probe(features, train[1][:LABELS], other, test[1]),
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

    def batches(step):
        if step % EVERY == 0:
            found = glance(model, test[0][:256])
            for name, value in zip(curve, (step, *found), strict=True):
                curve[name].append(round(value, 4))
        g = generator(1_000_003 * seed + step)
        image = train[0][torch.randint(TRAIN, (batch,), generator=g)]
        one, two = two_views(image, *views, generator=g)
        made = {"view1": one, "view2": two}
        crop = replace(views[0], area=(0.1, 0.4))
        for i in range(small):
            tiny = view(image, crop, generator=g)
            made[f"view{3 + i}"] = nn.functional.avg_pool2d(tiny, 2)
        return made

    # the same numbers in another order of memory: a quarter faster on a CPU
    model.to(memory_format=torch.channels_last)
    history = fit(model, batches, steps=steps, lr=LR, weight_decay=1e-4)
    losses = {
        name: [round(sum(v[i : i + EVERY]) / EVERY, 4) for i in range(0, steps, EVERY)]
        for name, v in history.losses.items()
    }
    return measure(model, train, test) | {"curve": curve, "losses": losses}


def fresh(seed, kind=BYOL, config=TINY, **changes):
    torch.manual_seed(seed)
    return kind(replace(config, **changes))


def simclr(seed):
    return fresh(seed, SimCLR, SimCLR.PRESETS["tiny"])


def collapse(seed):
    """The 2 x 2 of predictor and slow target, and both without a stop-gradient."""
    variants = {
        "predictor, slow target": {},
        "slow target only": {"predictor": "none"},
        "predictor only": {"tau": 0.0},
        "neither": {"predictor": "none", "tau": 0.0},
        "no stop-gradient": {"target": "shared"},
        "no stop-gradient, no predictor": {"target": "shared", "predictor": "none"},
    }
    for name, changes in variants.items():
        yield name, run(seed, fresh(seed, **changes))


def tau(seed):
    """0 and 0.97 are in `collapse`; `random` is the net that tau = 1 predicts."""
    model = fresh(seed, tau=1.0)
    model.online.load_state_dict(model.target.state_dict())
    yield "random", measure(model, pictures(TRAIN, seed), pictures(TEST, 50_000 + seed))
    for rate in (0.9, 0.99, 0.999, 1.0):
        yield str(rate), run(seed, fresh(seed, tau=rate))


def rounds(seed, count=4):
    """Iterated bootstrapping: each round predicts the fixed net of the one before."""
    teacher = None
    for i in range(count):
        torch.manual_seed(1000 * i + seed)
        model = BYOL(replace(TINY, tau=1.0))
        if teacher is not None:
            model.bootstrap_from(teacher)
        yield str(i + 1), run(seed, model)
        teacher = model


def augment(seed):
    sets = {
        "all": BASE,
        "no gray": replace(BASE, gray=0.0),
        "no color": replace(BASE, gray=0.0, jitter=0.0),
    }
    for name, views in sets.items():
        if name != "all":  # in `collapse`
            yield f"BYOL, {name}", run(seed, fresh(seed), views=(views, views))
        yield f"SimCLR, {name}", run(seed, simclr(seed), views=(views, views))


def batch(seed):
    """64 is in `collapse` and `augment`."""
    for size in (8, 32):
        yield f"BYOL, {size}", run(seed, fresh(seed), batch=size)
        yield f"SimCLR, {size}", run(seed, simclr(seed), batch=size)


def long(seed):
    """Three times as many steps: some differences take longer to show."""
    variants = {
        "predictor, slow target": {},
        "slow target only": {"predictor": "none"},
        "predictor only": {"tau": 0.0},
        "fixed target": {"tau": 1.0},
    }
    for name, changes in variants.items():
        yield name, run(seed, fresh(seed, **changes), steps=3 * STEPS)


def sides(seed):
    """One direction only; two distributions T and T' that differ as in the paper."""
    yield "one-sided", run(seed, fresh(seed, symmetric=False))
    blur = replace(BASE, sigma=(0.1, 1.0), blur=1.0)
    other = replace(blur, blur=0.1, solarize=0.2)
    yield "T and T'", run(seed, fresh(seed), views=(blur, other))
    same = replace(blur, blur=0.55, solarize=0.1)
    yield "T twice", run(seed, fresh(seed), views=(same, same))


def others(seed):
    swav, dino = SwAV.PRESETS, replace(DINO.PRESETS["tiny"], momentum=0.97)
    yield "SwAV", run(seed, fresh(seed, SwAV, swav["tiny"]))
    flat = fresh(seed, SwAV, swav["tiny"], epsilon=0.05)
    yield "SwAV, epsilon 0.05", run(seed, flat)
    crops = fresh(seed, SwAV, swav["tiny-multi-crop"])
    yield "SwAV, multi-crop", run(seed, crops, small=2)
    yield "DINO", run(seed, fresh(seed, DINO, dino))
    yield "DINO, no centering", run(seed, fresh(seed, DINO, dino, center_rate=1.0))
    hot = fresh(seed, DINO, dino, teacher_temperature=0.1)
    yield "DINO, no sharpening", run(seed, hot)


def weights():
    """Three trained models for the notebook."""
    found = {}
    dino = replace(DINO.PRESETS["tiny"], momentum=0.97)
    models = {"byol": fresh(0), "swav": fresh(0, SwAV, SwAV.PRESETS["tiny"])}
    models["dino"] = fresh(0, DINO, dino)
    for slug, model in models.items():
        found[slug] = run(0, model, steps=3 * STEPS)
        pretrained.save(calibrate(model, pictures(TRAIN, 0)[0][:LABELS]), slug)
    return found


def summarize():
    """Write the claims beside the runs, where the pages find them."""
    whole = results("byol")
    full = "predictor, slow target"
    for group in GROUPS:
        keep("byol", group, value=dict(sorted(whole[group].items())))

    def take(group, name, key="probe"):
        return {s: run[name][key] for s, run in whole[group].items() if name in run}

    def fall(name):
        both, one = take("others", "DINO", "losses"), take("others", name, "losses")
        return {
            s: math.log10(both[s]["divergence"][-1] / one[s]["divergence"][-1])
            for s in both
        }

    def minus(one, other):
        # differences are taken within a seed
        return {s: one[s] - other[s] for s in sorted(one.keys() & other.keys())}

    def drop(method, group, less):
        start = ("collapse", full) if method == "BYOL" else ("augment", "SimCLR, all")
        return minus(take(*start), take(group, f"{method}, {less}"))

    spreads, probe = take("collapse", full, "spread"), take("collapse", full)
    unit = "Difference of the shape probe, as a share of all test pictures."
    spread_unit = "Difference of the spread of z, which is 1 on a full sphere."

    powers = "Powers of ten between the last divergences of teacher and student."

    def lost(name):
        return minus(spreads, take("collapse", name, "spread"))

    rows = [
        (
            "byol-predictor",
            "Without the predictor the vectors collapse.",
            "0.2 against 72.5 % top-1 (BYOL, Table 5b)",
            lost("slow target only"),
            spread_unit,
        ),
        (
            "byol-slow",
            "Without the slow target the vectors collapse.",
            "0.3 against 72.5 % top-1 (BYOL, Table 5b)",
            lost("predictor only"),
            spread_unit,
        ),
        (
            "byol-slow-probe",
            "Without the slow target the representation is worse.",
            "0.3 against 72.5 % top-1 (BYOL, Table 5b)",
            minus(probe, take("collapse", "predictor only")),
            unit,
        ),
        (
            "byol-stop",
            "Without the stop-gradient the vectors collapse.",
            "no number; section 3.1 minimizes over the online weights only",
            lost("no stop-gradient"),
            spread_unit,
        ),
        (
            "byol-fixed",
            "A net that predicts a random one is better than the random one.",
            "18.8 against 1.4 % top-1 (BYOL, section 3)",
            minus(take("tau", "1.0"), take("tau", "random")),
            unit,
        ),
        (
            "byol-rounds",
            "A fourth round of fixed targets is better than the first.",
            "no number; section 3 expects it",
            minus(take("rounds", "4"), take("rounds", "1")),
            unit,
        ),
        (
            "byol-moving",
            "A moving target is better than a fixed one.",
            "72.5 against 18.8 % top-1 (BYOL, Table 5a)",
            minus(probe, take("tau", "1.0")),
            unit,
        ),
        (
            "byol-slow-long",
            "Without the slow target the representation is worse, after 360 steps.",
            "0.3 against 72.5 % top-1 (BYOL, Table 5b)",
            minus(take("long", full), take("long", "predictor only")),
            unit,
        ),
        (
            "byol-predictor-long",
            "Without the predictor the representation is worse, after 360 steps.",
            "0.2 against 72.5 % top-1 (BYOL, Table 5b)",
            minus(take("long", full), take("long", "slow target only")),
            unit,
        ),
        (
            "byol-moving-long",
            "A moving target is better than a fixed one, after 360 steps.",
            "72.5 against 18.8 % top-1 (BYOL, Table 5a)",
            minus(take("long", full), take("long", "fixed target")),
            unit,
        ),
        (
            "byol-augment",
            "SimCLR loses more than BYOL without changes of color.",
            "27.6 against 13.1 points, crops only (BYOL, section 5)",
            minus(
                drop("SimCLR", "augment", "no color"),
                drop("BYOL", "augment", "no color"),
            ),
            unit,
        ),
        (
            "byol-batch",
            "SimCLR loses more than BYOL with batches of 8 instead of 64.",
            "BYOL is stable from 4,096 down to 256, SimCLR is not (BYOL, Figure 3a)",
            minus(drop("SimCLR", "batch", 8), drop("BYOL", "batch", 8)),
            unit,
        ),
        (
            "byol-symmetric",
            "The symmetrized loss is better than one direction.",
            "no number",
            minus(probe, take("sides", "one-sided")),
            unit,
        ),
        (
            "byol-views",
            "Two different distributions of views are better than their mean.",
            "no number in the text; Table 6 names them",
            minus(take("sides", "T and T'"), take("sides", "T twice")),
            unit,
        ),
        (
            "byol-simclr",
            "BYOL is better than SimCLR.",
            "74.3 against 69.3 % top-1 (BYOL, Table 1)",
            minus(probe, take("augment", "SimCLR, all")),
            unit,
        ),
        (
            "byol-swav",
            "SwAV is better than SimCLR.",
            "75.3 against 69.1 % top-1 (DINO, Table 2)",
            minus(take("others", "SwAV"), take("augment", "SimCLR, all")),
            unit,
        ),
        (
            "byol-crops",
            "Small additional crops help SwAV.",
            "no number here",
            minus(take("others", "SwAV, multi-crop"), take("others", "SwAV")),
            unit,
        ),
        (
            "byol-dino",
            "DINO is better than BYOL.",
            "75.3 against 74.4 % top-1, ResNet-50 (DINO, Table 2)",
            minus(take("others", "DINO"), probe),
            unit,
        ),
        (
            "byol-centering",
            "DINO without centering collapses: student and teacher say the same.",
            "the divergence falls to zero (DINO, Figure 7)",
            fall("DINO, no centering"),
            powers,
        ),
        (
            "byol-sharpening",
            "DINO without sharpening collapses: student and teacher say the same.",
            "the divergence falls to zero (DINO, Figure 7)",
            fall("DINO, no sharpening"),
            powers,
        ),
    ]
    claims = [
        claim(name, said, paper=paper, values=list(values.values()), note=note)
        for name, said, paper, values, note in rows
    ]
    keep("byol", "claims", value=claims)


GROUPS = {"collapse": collapse, "tau": tau, "rounds": rounds, "augment": augment}
GROUPS |= {"batch": batch, "sides": sides, "others": others}
GROUPS |= {"long": long}


def main():
    torch.set_num_threads(1)
    names = [w for w in sys.argv[1:] if not w.isdigit()]
    first, last = [int(w) for w in sys.argv[1:] if w.isdigit()] or (0, SEEDS)
    for group in names or [*GROUPS, "weights", "summary"]:
        began = time.perf_counter()
        if group == "weights":
            keep("byol", "weights", value=weights())
        elif group == "summary":
            summarize()
        else:
            for seed in range(first, last):
                for name, value in GROUPS[group](seed):
                    keep("byol", group, seed, name, value=value)
        print(f"{group}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
