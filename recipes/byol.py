"""Train small BYOL nets whole and broken, DINO and SwAV, and the weights to load.

Command: python recipes/byol.py            (all that is missing, then the claims)
         python recipes/byol.py photographs    (fetches CIFAR-10)
Expected: about 25 minutes on one core; without predictor or stop-gradient z collapses.
"""

import copy
import sys
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import cifar10, shapes
from mmdl_lib.data.views import Views, two_views
from mmdl_lib.lab import unlabeled
from mmdl_lib.metrics.collapse import effective_rank, spread
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.byol import BYOL, BYOLConfig
from mmdl_lib.models.dino import DINO, DINOConfig, opinions
from mmdl_lib.models.resnet import ResNetConfig
from mmdl_lib.models.swav import SwAV, SwAVConfig

TRAIN, LABELED, TEST, BATCH = 6000, 1000, 2000, 64
STEPS, EVERY = 1000, 20
FIT = {"lr": 3e-3, "weight_decay": 1e-4}
COLOR = {"brightness": 0.6, "contrast": 0.6, "saturation": 0.8, "hue": 0.5}
CROP = Views(area=(0.4, 1.0), flip=0.5)
BASE = replace(CROP, jitter=1.0, gray=0.2, **COLOR)
# DINO's views: with BASE all of its arms end uniform (pilot, seed 100)
MILD = replace(BASE, strength=0.25, brightness=0.4, contrast=0.4, gray=0.0)
NET = ResNetConfig(block="basic", stages=(1, 1), width=16)
SMALL = BYOLConfig(encoder=NET, hidden=128, projection=32, tau=0.97, steps=None)
HEADS = {"hidden": 128, "bottleneck": 32, "outputs": 64}
DINOS = DINOConfig(backbone=NET, **HEADS, momentum=0.97, steps=None, local=0)
HEADS = {"hidden": 128, "projection": 32, "prototypes": 32}
SWAVS = SwAVConfig(encoder=NET, **HEADS, epsilon=0.02, small=0)


@cache
def own(n, seed):
    """One large object each, its color, its ground's color and its scale at random."""
    drawn = shapes.sample(n, seed=seed, objects=1, style="own")
    return drawn.render(16), drawn.shape[:, 0]


def fresh(seed, config=SMALL, **changes):
    torch.manual_seed(seed)
    kind = {BYOLConfig: BYOL, DINOConfig: DINO, SwAVConfig: SwAV}[type(config)]
    return kind(replace(config, **changes))


def adamw(groups, lr, *, predictor, factor):
    """AdamW with another rate for the predictor."""
    ours, parts = {id(p) for p in predictor.parameters()}, []
    for group in groups:
        for inside in (True, False):
            kept = [p for p in group["params"] if (id(p) in ours) == inside]
            rate = lr * factor if inside else lr
            parts += [group | {"params": kept, "lr": rate}] * bool(kept)
    return torch.optim.AdamW(parts)


@torch.no_grad()
def told(log_p):
    """H(mean P) - mean H(P) in nats: what an opinion tells of its picture."""
    inside, mean = -(log_p.exp() * log_p).sum(1).mean(), log_p.exp().mean(0)
    whole = -(mean * mean.clamp(min=1e-30).log()).sum()
    return {"told": (whole - inside).item(), "entropy": inside.item()}


@torch.no_grad()
def said(model, image):
    """Numbers of collapse: of z for BYOL, of the opinions for DINO and SwAV."""
    if isinstance(model, BYOL):
        z = model.project(image)
        return {"rank": effective_rank(z), "spread": spread(z)}
    if isinstance(model, SwAV):
        return told(opinions(model(image), model.config.temperature))
    scores = model.teacher(image) - model.center.center
    return told(opinions(scores, model.config.teacher_temperature))


def calibrated(model, image):
    """A copy in eval mode: in short trainings BatchNorm's averages lag behind."""

    def forward(part):
        model.encode_image(part), said(model, part)

    model = copy.deepcopy(model)
    return lab.recalibrate(model, image.split(250), forward)


@torch.no_grad()
def judge(model, seed):
    """The probe for the shape from y, and the numbers of collapse, new pictures."""
    image, label = own(LABELED + TEST, 50_000 + seed)
    image = shapes.to_float(image)
    model = calibrated(model, image[:LABELED])
    y = torch.cat([model.encode_image(part) for part in image.split(500)])
    parts = y[:LABELED], label[:LABELED], y[LABELED:], label[LABELED:]
    return {"probe": linear_probe(*parts, l2=1e-2)} | said(model, image[LABELED:])


@torch.no_grad()
def lag(model, image, seed):
    """How much more of the target the predictor leaves over than least squares do.

    As a share of the target's variance; the best linear predictor from z is fitted to
    one half of the views, both predictors are judged on the other.
    """
    net = copy.deepcopy(model).train()
    one, two = two_views(image, BASE, generator=generator(seed))
    z, goal = net.online(one), F.normalize(net.target(two), dim=1)
    x, half = torch.cat([z, torch.ones(len(z), 1)], 1), len(z) // 2
    best = x[half:] @ torch.linalg.lstsq(x[:half], goal[:half]).solution
    guess, goal = F.normalize(net.predictor(z), dim=1)[half:], goal[half:]
    more = (guess - goal).square().sum() - (best - goal).square().sum()
    return (more / (goal - goal.mean(0)).square().sum()).item()


def train(model, seed, image, *, views=BASE, steps=STEPS, factor=1):
    """The losses; often the numbers of collapse, and the probe after each quarter."""
    new = shapes.to_float(own(512, 60_000 + seed)[0])
    curve = {"step": [0]} | {k: [v] for k, v in said(model, new[:256]).items()}
    early, probes = [], []

    def watch(step, model, terms):
        done = step + 1
        if done % EVERY == 0:
            found = said(copy.deepcopy(model).train(), new[:256])
            for name, value in ({"step": done} | found).items():
                curve[name].append(round(value, 4))
        if done % EVERY == 0 and done <= 100 and getattr(model, "target", None):
            early.append(lag(model, new, seed))
        if done % (steps // 4) == 0 and done < steps:
            probes.append(judge(model, seed)["probe"])

    batches = lab.rows(BATCH, seed, change=unlabeled.pair(views), image=image)
    model.to(memory_format=torch.channels_last)  # faster on a CPU
    options = FIT | {"steps": steps, "watch": watch}
    if factor != 1:
        change = {"predictor": model.predictor, "factor": factor}
        options["optimizer"] = partial(adamw, **change)
    losses = lab.train(model, batches, **options).losses
    found = {"losses": {k: lab.means(v, EVERY) for k, v in losses.items()}}
    found |= {"curve": curve, "probes": probes}
    return found | ({"lag": sum(early) / len(early)} if early else {})


def run(seed, *, config=SMALL, changes=(), **options):
    """Train and judge."""
    model = fresh(seed, config, **dict(changes))
    found = train(model, seed, own(TRAIN, seed)[0], **options)
    return judge(model, seed) | found


def untrained(seed):
    """What the same nets say before any training."""
    found = judge(fresh(seed), seed)
    return found | {"DINO": judge(fresh(seed, DINOS), seed)["told"]}


def weights():
    """The nets that the chapter loads, seed 0."""
    found = {}
    arms = {"byol": {"factor": 10, "steps": 2000}}
    arms["swav"] = {"config": SWAVS, "steps": 1000}
    arms["dino"] = {"config": DINOS, "views": MILD, "steps": 500}
    for slug, options in arms.items():
        model, image = fresh(0, options.pop("config", SMALL)), own(TRAIN, 0)[0]
        train(model, 0, image, **options)
        found[slug] = judge(model, 0)
        lab.save_weights(calibrated(model, shapes.to_float(image[:LABELED])), slug)
    return found


@cache
def photographs(split, n):
    """CIFAR-10 at 16 x 16, pixels 0 to 255."""
    image, label = cifar10.load(split, download=True)
    return F.avg_pool2d(image[:n].float(), 2).round().to(torch.uint8), label[:n]


def of_photographs(seed, *, changes=None):
    """Probe with 8,000 labels, rank and spread; untrained by default."""
    net = ResNetConfig(block="basic", stages=(1, 1, 1), width=32)
    config = replace(SMALL, encoder=net, hidden=256, projection=64)
    model = fresh(seed, config, **(changes or {}))
    if changes is not None:
        image = photographs("train", 20_000)[0]
        batches = lab.rows(128, seed, change=unlabeled.pair(BASE), image=image)
        lab.train(model, batches, steps=800, **FIT)
    known, tested = photographs("train", 8000), photographs("test", 10_000)
    parts = [shapes.to_float(image) for image, _ in (known, tested)]
    with torch.no_grad():
        model = calibrated(model, parts[0])
        y = [torch.cat([model.encode_image(x) for x in p.split(500)]) for p in parts]
        score = linear_probe(y[0], known[1], y[1], tested[1], l2=1e-2)
    return {"probe": score} | said(model, parts[1][:2000])


BROKEN = {
    "no predictor": {"predictor": "none"},
    "no stop-gradient": {"target": "shared"},
}
DINO_ARMS = {
    "both": {},
    "no centering": {"center_rate": 1.0},
    "no sharpening": {"teacher_temperature": 0.1},
}
GROUPS = {
    "collapse": {name: partial(run, changes=change) for name, change in BROKEN.items()}
    | {"untrained": untrained},
    "rate": {
        f"{name} {factor}x": partial(run, changes={"tau": tau}, factor=factor)
        for factor in (0.1, 1, 10)
        for name, tau in (("slow", 0.97), ("copied", 0.0))
    },
    "dino": {
        name: partial(run, config=DINOS, changes=change, views=MILD, steps=500)
        for name, change in DINO_ARMS.items()
    },
    "swav": {
        name: partial(run, config=SWAVS, changes={"iterations": n}, steps=500)
        for name, n in (("equal parts", 3), ("no equal parts", 0))
    },
    "fixed": partial(run, changes={"tau": 1.0}),
    "crops": partial(run, views=CROP),
}
if "photographs" in sys.argv:  # only where it is asked for: an hour and a download
    GROUPS["photographs"] = {"untrained": of_photographs} | {
        name: partial(of_photographs, changes=change)
        for name, change in {"BYOL": {}, **BROKEN}.items()
    }
LAB = lab.Lab(
    "byol",
    groups=GROUPS,
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
    budget=45,
)

if __name__ == "__main__":
    LAB.main()
