"""Train small plain and residual nets, and the weights that the chapter loads.

Command: python recipes/resnet.py                (all that is missing, then the claims)
         python recipes/resnet.py photographs    (fetches CIFAR-10; 2 minutes a seed)
Expected: about 20 minutes on one core. Depth raises the training loss of plain nets and
not of residual ones; a plain net does not survive the loss of one block. The measured
values stand in results/resnet.json.
"""

import sys
from functools import cache, partial
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib import lab
from mmdl_lib.data import cifar10, shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import depth as deep
from mmdl_lib.lab.unlabeled import replace_norms
from mmdl_lib.models.resnet import ResNet, ResNetConfig

TRAIN, TEST, STEPS, BATCH = 8000, 2000, 800, 32
DEPTHS = (8, 14, 56)
# on pilot seeds the deep plain net was better at 3e-3, the deep residual one at 1e-2
RATES = dict.fromkeys(("plain/8", "plain/14", "basic/8", "basic/14", "basic/56"), 1e-2)
RATES["plain/56"] = 3e-3
CLEAR = {"style": "noisy", "sizes": "large", "textures": "solid", "resolution": 16}


@cache
def pictures(n, seed, *, resolution, **options):
    """Single objects and their number among the 64 color x shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include", **options)
    return scenes.render(resolution), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


@cache
def photos(split, n):
    """CIFAR-10 at 16 x 16, pixels 0 to 255."""
    image, label = cifar10.load(split, download=True)
    return F.avg_pool2d(image[:n].float(), 2).round().to(torch.uint8), label[:n]


def sets(seed, photographs):
    """Pictures to learn and new ones, each with their labels."""
    if photographs:
        return photos("train", 20_000), photos("test", TEST)
    return pictures(TRAIN, seed, **CLEAR), pictures(TEST, 50_000 + seed, **CLEAR)


def config(depth, block, shortcut="A", classes=64):
    """The paper's nets for CIFAR, 6n + 2 layers, at half the width."""
    n = (depth - 2) // 6
    sizes = {"stages": (n, n, n), "width": 8, "stem": "cifar", "classes": classes}
    return ResNetConfig(block=block, shortcut=shortcut, **sizes)


def identity(channels):
    """Instead of BatchNorm; the convolutions get no bias."""
    return nn.Identity()


def without_norms(model):
    replace_norms(model, identity)
    return model


def train(model, data, seed, *, lr, steps=STEPS, batch=BATCH):
    """Equal batches for every model of a seed."""
    batches = lab.rows(batch, seed, image=data[0], label=data[1])
    return lab.train(model, batches, steps=steps, lr=lr, weight_decay=1e-4)


def untrained(model, image, label):
    """How smooth the net is before its first step, and what its gradient is worth."""
    batch = {"image": to_float(image), "label": label}
    size = torch.tensor(deep.gradient_sizes(model, batch)).log10()
    return {
        "recognized": deep.recognized(model, batch["image"])[-1],
        "step": deep.step_down(model, batch),
        "first to last": (size[0] - size[-1]).item(),
    }


def run(seed, sizes, *, lr=1e-2, change=None, photographs=False):
    """Losses over the training, and errors at its end."""
    known, new = sets(seed, photographs)
    torch.manual_seed(seed)
    model = ResNet(sizes)
    if change:
        model = change(model)
    history = train(model, known, seed, lr=lr)
    return {
        "loss": lab.means(history.losses["loss"], 40),
        "train_error": 1 - lab.accuracy(model, *(part[:2000] for part in known)),
        "test_error": 1 - lab.accuracy(model, *new),
    }, model


def by_depth(seed, sizes, **options):
    """As `run`, with the net before its training and with single blocks deleted."""
    known, new = sets(seed, options.get("photographs", False))
    torch.manual_seed(seed)
    start = untrained(ResNet(sizes), *(part[:256] for part in known))
    found, model = run(seed, sizes, **options)
    some = tuple(part[:500] for part in new)
    whole = max(lab.accuracy(model, *some), 1 / 500)
    left = [lab.accuracy(deep.without(model, i), *some) for i in deep.removable(model)]
    lost = 1 - fmean(left) / whole
    passed = deep.passed_on(model, to_float(some[0]))
    deleted = {"accuracy": left, "share lost": lost, "passed on": fmean(passed)}
    return found | {"start": start, "deleted": deleted}


def side(seed, sizes, **options):
    """`run` without its model."""
    return run(seed, sizes, **options)[0]


def weights():
    """The tiny preset on clean 32 x 32 pictures, for the chapter to load."""
    wide = {"style": "default", "resolution": 32}
    torch.manual_seed(0)
    model = ResNet.from_preset("tiny")
    train(model, pictures(20_000, 0, **wide), 0, steps=600, lr=2e-3, batch=128)
    accuracy = lab.accuracy(model, *pictures(2000, 9, **wide))
    lab.save_weights(model, "resnet")
    return {"accuracy": accuracy, "params": sum(p.numel() for p in model.parameters())}


BLOCKS = ("plain", "basic")
NORMS = {
    "plain, without": ("plain", without_norms),
    "residual, without": ("basic", without_norms),
    "residual, before": ("basic", deep.pre_activated),
}
GROUPS = {
    "depth": {
        f"{block}/{d}": partial(
            by_depth, sizes=config(d, block), lr=RATES[f"{block}/{d}"]
        )
        for block in BLOCKS
        for d in DEPTHS
    },
    "options": {o: partial(side, sizes=config(14, "basic", o)) for o in "BC"},
    "norm": {
        name: partial(side, sizes=config(14, block), change=change)
        for name, (block, change) in NORMS.items()
    },
}
if "photographs" in sys.argv:  # only where it is asked for: a download
    GROUPS["photographs"] = {
        f"{block}/{d}": partial(
            by_depth,
            sizes=config(d, block, classes=10),
            lr=RATES[f"{block}/{d}"],
            photographs=True,
        )
        for block in BLOCKS
        for d in (8, 56)
    }

LAB = lab.Lab(
    "resnet",
    groups=GROUPS,
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
    exact={"options": 6, "norm": 6},  # no claim stands on them
    budget=60,
)

if __name__ == "__main__":
    LAB.main()
