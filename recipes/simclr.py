"""Train small SimCLR nets on objects in colors of their own: claims, and weights.

Command: python recipes/simclr.py            (all that is missing, then the claims)
         python recipes/simclr.py photographs    (fetches CIFAR-10; 3 minutes a run)
Expected: about 20 minutes on one core; results/simclr.json: crops with colors teach.
"""

import sys
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import cifar10, shapes
from mmdl_lib.data.views import SIMCLR_CIFAR, Views, view
from mmdl_lib.lab import unlabeled
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.simclr import (
    SimCLR,
    SimCLRConfig,
    contrastive_accuracy,
    entropy,
    pairs,
)

TRAIN, LABELED, TEST, BATCH, LONG = 6000, 1000, 2000, 64, 2000
FIT = {"steps": 600, "lr": 1e-2, "weight_decay": 1e-4, "warmup": 0.1}
MILD = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.8, "hue": 0.5}
COLOR = MILD | {"brightness": 0.6, "contrast": 0.6, "jitter": 1.0, "gray": 0.2}
CROP = Views(area=(0.4, 1.0), flip=0.5)
PART = replace(CROP, area=(0.4, 0.7))
BOTH = replace(CROP, **COLOR)
SEEN = {"crop": CROP, "color": Views(flip=0.5, **COLOR), "crop and color": BOTH}
STRONG = {s: replace(CROP, jitter=1.0, strength=s, **MILD) for s in (0.125, 0.5, 1.0)}


@cache
def scenes(n, seed):
    """One large object each, its color, its ground's color and its scale at random."""
    return shapes.sample(n, seed=seed, objects=1, style="own")


@cache
def own(n, seed):
    drawn = scenes(n, seed)
    return drawn.render(16), drawn.shape[:, 0]


def config(*, width=16, **changes):
    """Four convolutions behind the stem; h has 2 * width numbers."""
    net = ResNetConfig(block="basic", stages=(1, 1), width=width)
    return SimCLRConfig(encoder=net, **{"outputs": 32} | changes)


def fresh(seed, **changes):
    torch.manual_seed(seed)
    return SimCLR(config(**changes))


def train(model, seed, image, *, first=BOTH, batch=BATCH, **options):
    """The mean of the last contrastive accuracies, and the losses."""
    batches = lab.rows(batch, seed, change=unlabeled.pair(first), image=image)
    losses = lab.train(model, batches, **FIT | options).losses
    return lab.means(losses["accuracy"][-30:], 30)[0], losses["loss"]


def probe(features, label, tested=None):
    """Linear accuracy: the first pictures teach, the last TEST are judged."""
    tested = features if tested is None else tested
    split = features[:LABELED], label[:LABELED], tested[-TEST:], label[-TEST:]
    return linear_probe(*split, l2=1e-2)


def explained(features, target):
    """R2 of ridge regression, the mean over the columns of the target."""
    x = features.double()
    x = (x - x[:LABELED].mean(0)) / (x[:LABELED].std(0) + 1e-6)
    x, y = torch.cat([x, torch.ones(len(x), 1)], 1), target.double()
    known, truth, ridge = x[:LABELED], y[-TEST:], torch.eye(x.shape[1]).double()
    weight = torch.linalg.solve(known.T @ known + ridge, known.T @ y[:LABELED])
    rest = (truth - x[-TEST:] @ weight).square().mean(0)
    return (1 - rest / truth.var(0, correction=0)).mean().item()


def judge(model, seed):
    """What h and z tell of new pictures; "cropped": known whole, asked of crops."""
    n, seed = LABELED + TEST, 50_000 + seed
    (image, label), rgb = own(n, seed), scenes(n, seed).own_rgb[:, 0]
    h, z = unlabeled.encode(model, image)
    found = {"shape": probe(h, label), "shape_z": probe(z, label)}
    found |= {"color": explained(h, rgb), "color_z": explained(z, rgb)}
    crops = view(shapes.to_float(image), PART, generator=generator(seed))
    return found | {"cropped": probe(h, label, unlabeled.encode(model, crops)[0])}


def run(seed, *, sizes=(), norm=None, **options):
    """Probes, and the contrastive accuracy in training and later on new pictures."""
    model = fresh(seed, **dict(sizes))
    if norm:
        unlabeled.replace_norms(model, norm)
    accuracy, _ = train(model, seed, own(TRAIN, seed)[0], **options)
    image = own(LABELED + TEST, 50_000 + seed)[0]
    later = meet(model, seed, image, options.get("first", BOTH))["accuracy"]
    return judge(model, seed) | {"accuracy": accuracy, "later": later}


def meet(model, seed, image, settings):
    """Accuracy and entropy among 2N views of new pictures, in eval mode."""
    change = unlabeled.pair(settings)
    batch = lab.rows(BATCH, seed, change=change, image=image)(0)
    z = [unlabeled.encode(model, batch[view])[1] for view in ("view1", "view2")]
    found = pairs(*z, similarity=model.config.similarity)
    nats = entropy(*found, temperature=model.config.temperature).item()
    return {"accuracy": contrastive_accuracy(*found).item(), "entropy": nats}


def untrained(seed):
    return judge(fresh(seed), seed)


def supervised(seed, *, first):
    """Test accuracy of the same encoder, trained with labels and one view."""
    torch.manual_seed(seed)
    model = ResNet(replace(config().encoder, classes=8))
    data = dict(zip(("image", "label"), own(TRAIN, seed), strict=True))
    lab.train(
        model, lab.rows(BATCH, seed, change=unlabeled.single(first), **data), **FIT
    )
    return lab.accuracy(model, *own(TEST, 50_000 + seed))


def shortcut(seed, *, settings):
    """Which of 64 views is of the same picture? Asked of color histograms only."""
    image = shapes.to_float(own(640, 60_000 + seed)[0])
    return unlabeled.matched_by_color(image, settings, seed)


VIEWS = replace(SIMCLR_CIFAR, area=(0.3, 1.0))
NAMED = {"steps": 250, "first": VIEWS}


@cache
def pictures(n, seed):
    """The world of named colors: large objects in windows, their shapes and colors."""
    options = {"objects": 1, "sizes": "large", "held_out": "include", "style": "noisy"}
    drawn = shapes.sample(n, seed=seed, **options)
    return unlabeled.windows(drawn, seed), drawn.shape[:, 0], drawn.color[:, 0]


def named(seed, *, model=None, **options):
    """Probe of the shapes of a net that learns in this world."""
    model = model or fresh(seed)
    train(model, seed, pictures(8000, seed)[0], **NAMED | options)
    image, shape, _ = pictures(LABELED + TEST, 50_000 + seed)
    return probe(unlabeled.encode(model, image)[0], shape)


def temperature(seed, *, similarity, tau):
    """With and without normalization (Table 5)."""
    model = fresh(seed, similarity=similarity, temperature=tau)
    shape = named(seed, model=model)
    image = pictures(LABELED + TEST, 50_000 + seed)[0]
    return {"shape": shape} | meet(model, seed, image, VIEWS)


def weights():  # a wider net, trained longer, for the demo of views
    model = fresh(0, width=32)
    shape = named(0, model=model, steps=600)
    lab.save_weights(model, "simclr")
    return {"shape": shape, "params": sum(p.numel() for p in model.parameters())}


def own_weights():
    """The net of "crop and color" with seed 0, for the chapter to load."""
    model = fresh(0)
    accuracy, _ = train(model, 0, own(TRAIN, 0)[0], steps=LONG)
    lab.save_weights(model, "simclr", "own")
    return judge(model, 0) | {"accuracy": accuracy}


@cache
def photographs(split, n):
    """CIFAR-10 at 16 x 16, pixels 0 to 255."""
    image, label = cifar10.load(split, download=True)
    return F.avg_pool2d(image[:n].float(), 2).round().to(torch.uint8), label[:n]


def of_photographs(seed, *, first=None):
    """Probe with 8,000 labels, and the contrastive accuracy; untrained by default."""
    torch.manual_seed(seed)
    net = ResNetConfig(block="basic", stages=(1, 1, 1), width=32)
    model, accuracy = SimCLR(SimCLRConfig(encoder=net, outputs=64)), None
    if first:
        options = {"first": first, "batch": 128, "steps": 800, "lr": 3e-3}
        accuracy, _ = train(model, seed, photographs("train", 20_000)[0], **options)
    known, tested = photographs("train", 8000), photographs("test", 10_000)
    h, h_test = (unlabeled.encode(model, image)[0] for image, _ in (known, tested))
    score = linear_probe(h, known[1], h_test, tested[1], l2=1e-2)
    return {"class": score, "accuracy": accuracy}


MATCH = SEEN | STRONG
GROUPS = {
    "shortcut": {str(k): partial(shortcut, settings=v) for k, v in MATCH.items()},
    "views": {name: partial(run, first=v, steps=LONG) for name, v in SEEN.items()}
    | {"untrained": untrained},
    "head": {
        h: partial(run, sizes={"head": h}, steps=LONG) for h in ("none", "linear")
    },
    "strength": {
        f"{s}/{how}": partial(arm, first=v)
        for s, v in STRONG.items()
        for how, arm in (("contrastive", run), ("supervised", supervised))
    },
    "base": run,  # crops and colors, as many steps as the next
    "leak": partial(run, norm=unlabeled.LocalBatchNorm),
    "temperature": {
        f"{kind} {tau}": partial(temperature, similarity=kind, tau=float(tau))
        for kind, tau in (("cosine", 0.1), ("cosine", 1), ("dot", 1))
    },
    "batch": {
        f"{n}-{e}": partial(
            named, batch=n, steps=round(e * 8000 / n), lr=(n / 64) ** 0.5 / 100
        )
        for n in (32, 128, 512)  # the rate grows with the root of the batch
        for e in (0.5, 1, 2)
    }
    | {f"{n}, 250 steps": partial(named, batch=n) for n in (16, 128)},
}
if "photographs" in sys.argv:  # only where it is asked for: an hour and a download
    GROUPS["photographs"] = {
        name: partial(of_photographs, first=v)
        for name, v in {"untrained": None, **SEEN}.items()
    }
LAB = lab.Lab(
    "simclr",
    groups=GROUPS,
    once={"weights": weights, "own weights": own_weights},
    claims=lab.read_claims(__file__),
    least=6,
    exact={"batch": 3},  # no claim stands on it
    budget=30,
)

if __name__ == "__main__":
    LAB.main()
