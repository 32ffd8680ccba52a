"""Scale a tiny EfficientNet in every direction, and train the weights of the chapter.

Command: python recipes/efficientnet.py            (all that is missing, and the claims)
         python recipes/efficientnet.py axes:0     (one group, one seed)
Groups: axes, longer, balance, grid, resnet, search (one seed only), weights, summary.
Expected: about 18 minutes on one core. The task: shape and texture, of 24 classes.
"""

import math
import time
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.models.efficientnet import EfficientNet, StageSpec
from mmdl_lib.models.resnet import ResNet, ResNetConfig

TRAIN, TEST, STEPS, BATCH, LR = 4000, 1000, 200, 32, 1.5e-2
BUDGETS = (2, 4, 8)  # times the multiply-adds of the base
BASE = EfficientNet.PRESETS["tiny"]
# alpha, beta, gamma with alpha beta^2 gamma^2 near 2: the corners, the paper's, others
TRIPLETS = ((1.2, 1.1, 1.15), (1.5, 1.15, 1.0), (1.5, 1.0, 1.15))
TRIPLETS += ((1.0, 1.1, 1.3), (1.0, 1.3, 1.1))


def net(depth, width, resolution):
    """The base scaled. With one or two layers a stage, rounding up as the paper does
    would make 1.75 times as many of d = 1.2: here repeats go to the nearest."""
    rows = map(StageSpec._make, BASE.stages)
    rows = [r._replace(layers=max(1, int(r.layers * depth + 0.5))) for r in rows]
    return replace(BASE, stages=tuple(rows), width=width, resolution=resolution)


def small_resnet(depth, width, resolution):
    """A residual net of 14 layers with 4, 8 and 16 channels, scaled."""
    blocks = max(1, int(2 * depth + 0.5))
    channels = max(1, int(4 * width + 0.5))
    options = {"stages": (blocks,) * 3, "width": channels, "classes": 24}
    return ResNetConfig(
        **options, block="basic", stem="cifar", shortcut="B"
    ), resolution


def build(config):
    if isinstance(config, tuple):
        return ResNet(config[0]), config[1]
    return EfficientNet(config), config.resolution


def one(config):
    model, side = build(config)
    return model, torch.zeros(1, 3, side, side)


def cost(config):
    """Multiply-adds for one picture, and values that its forward pass makes."""
    return lab.cost(partial(one, config))


@cache
def unit(make=net):
    """Multiply-adds of the base."""
    return cost(make(1.0, 1.0, 16))[0]


def fitted(make, target):
    """The value between 0.1 and 60 at which `make` costs what it should, by halving."""
    low, high = 0.1, 60.0
    for _ in range(16):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(make(middle))[0] < target else (low, middle)
    # rounding makes steps: of both ends the nearer one
    return min(low, high, key=lambda v: abs(cost(make(v))[0] - target))


def wide(depth, resolution, budget, make=net):
    """Depth and resolution are given; the width makes the cost."""
    width = fitted(lambda w: make(depth, w, resolution), budget * unit(make))
    return make(depth, width, resolution)


def deep(budget, make=net):
    return make(fitted(lambda d: make(d, 1.0, 16), budget * unit(make)), 1.0, 16)


def fine(budget, make=net, depth=1.0, width=1.0):
    target = budget * unit(make)
    side = fitted(lambda r: make(depth, width, round(16 * r)), target)
    return make(depth, width, round(16 * side))


def compound(budget):
    """Depth and resolution by the rule, and the width that then makes the cost."""
    phi = math.log(budget) / math.log(1.92)
    return wide(1.2**phi, round(16 * 1.15**phi), budget)


@cache
def pictures(n, seed, resolution):
    """Single small objects; shape and texture give 24 classes."""
    options = {"objects": 1, "sizes": "small", "held_out": "include"}
    scenes = shapes.sample(n, seed=seed, **options)
    image = scenes.render(resolution).contiguous(memory_format=torch.channels_last)
    return image, 3 * scenes.shape[:, 0] + scenes.texture[:, 0]


def run(seed, *, way, steps=STEPS, train=TRAIN, save=False):
    """Train and judge a net; the way to it is a function and its arguments."""
    began, config = time.process_time(), way[0](*way[1:])
    torch.manual_seed(seed)
    model, side = build(config)
    model.to(memory_format=torch.channels_last)
    image, label = pictures(train, seed, side)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    history = lab.train(model, batches, steps=steps, lr=LR, weight_decay=1e-4)
    image, label = pictures(TEST, 50_000 + seed, side)
    logits = lab.logits(model, image, batch_size=250)
    right = (logits.argmax(1) == label).double().mean().item()
    found = {"accuracy": right, "loss": F.cross_entropy(logits, label).item()}
    found |= dict(zip(("flops", "memory"), cost(config), strict=True))
    found |= {"resolution": side, "params": sum(p.numel() for p in model.parameters())}
    if not isinstance(config, tuple):
        layers = sum(row.layers for row in config.stages)
        found |= {"layers": layers, "width": round(config.width, 3)}
    found["train_loss"] = lab.means(history.losses["loss"][-30:], 30)[0]
    found["seconds"] = round(time.process_time() - began, 1)
    if save:
        lab.save_weights(model, "efficientnet")
    return found


# one axis at a time, and all three, at equal cost
AXES = {"base/1": (net, 1.0, 1.0, 16)}
# 41 blocks, depth at 8, take as long as all other nets of this budget together
AXES |= {f"depth/{b}": (deep, b) for b in BUDGETS[:2]}
AXES |= {f"width/{b}": (wide, 1.0, 16, b) for b in BUDGETS}
AXES |= {f"resolution/{b}": (fine, b) for b in BUDGETS}
AXES |= {f"compound/{b}": (compound, b) for b in BUDGETS}
# bases that are deeper, finer, or both; (1, 1) is in `axes`
BALANCE = {"2, 1": (2.0, 16), "1, 2": (1.0, 32), "2, 2": (2.0, 32)}
SMALL = {
    "base/1": (small_resnet, 1, 1, 16),
    "depth/4": (deep, 4, small_resnet),
    "resolution/4": (fine, 4, small_resnet),
    "width/4": (wide, 1.0, 16, 4, small_resnet),
    # four channels are few to scale: here the resolution makes the cost
    "compound/4": (fine, 4, small_resnet, 1.2**2, 1.1**2),
}
WAYS = {
    "axes": AXES,
    # the nets of four times the cost again, trained three times as long
    "longer": {name: way for name, way in AXES.items() if name[-1] in "14"},
    "balance": {
        f"{name}/{b}": (wide, *given, b)
        for name, given in BALANCE.items()
        for b in BUDGETS[1:]
    },
    # two steps (phi = 2): one step is less than a layer here
    "grid": {
        f"{alpha}, {beta}, {gamma}/4": (wide, alpha**2, round(16 * gamma**2), 4)
        for alpha, beta, gamma in TRIPLETS
    },
    "resnet": SMALL,
    "search": {
        f"{d}, {w}, {r}/net": (net, d, w, r)
        for d in (1, 2)
        for w in (0.7, 1.4)
        for r in (16, 22, 28)
    },
}
GROUPS = {
    group: {
        name: partial(run, way=way, steps=STEPS * (3 if group == "longer" else 1))
        for name, way in ways.items()
    }
    for group, ways in WAYS.items()
}


def fading(run):
    """How much less the doubling from 4 to 8 gains than the one from 1 to 2."""
    first = run["axes"]["base"]["1"]["accuracy"]
    found = [
        {b: run["axes"][arm][b]["accuracy"] for b in ("2", "4", "8")}
        for arm in ("width", "resolution")
    ]
    return sum(f["2"] - first - (f["8"] - f["4"]) for f in found) / 2


# the compound net of four times the cost, trained longer, for the chapter
LONG = {"way": (compound, 4), "steps": 700, "train": 8000, "save": True}
LAB = lab.Lab(
    "efficientnet",
    groups=GROUPS,
    once={"weights": partial(run, 0, **LONG)},
    claims=lab.read_claims(__file__, **{"two doublings": fading}),
    exact={"search": 1},
)

if __name__ == "__main__":
    LAB.main()
