"""Train small SimCLR nets on single objects: the claims of the paper, and weights.

Command: python recipes/simclr.py            (all that is missing, then the claims)
Expected: about 15 minutes on one core, 3 to 5 seconds a run. Views with crops and
colors teach the encoder the shapes of objects: results/simclr.json.
"""

from dataclasses import replace
from functools import cache, partial
from itertools import combinations_with_replacement

import torch

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.data.views import NOTHING, SIMCLR_CIFAR, Views
from mmdl_lib.lab import unlabeled
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.simclr import SimCLR, SimCLRConfig, entropy, pairs
from mmdl_lib.train.lars import LARS

TRAIN, TEST, LABELED, STEPS, BATCH = 8000, 2000, 1000, 250, 64
SHORT, LR = 150, 1e-2  # SHORT: steps of the largest groups
FIT = {"steps": STEPS, "lr": LR, "weight_decay": 1e-4, "warmup": 0.1}
VIEWS = replace(SIMCLR_CIFAR, area=(0.3, 1.0))
CROP = replace(NOTHING, area=(0.3, 1.0), flip=0.5)
SEEN = {"crop": CROP, "crop and color": VIEWS}


@cache
def pictures(n, seed, *, style="noisy"):
    """Large objects, each in a window of 16 x 16 pixels; their shapes and colors."""
    options = {"objects": 1, "sizes": "large", "held_out": "include", "style": style}
    scenes = shapes.sample(n, seed=seed, **options)
    return unlabeled.windows(scenes, seed), scenes.shape[:, 0], scenes.color[:, 0]


def config(*, width=16, **changes):
    """Four convolutions behind the stem; h has 2 * width numbers."""
    net = ResNetConfig(block="basic", stages=(1, 1), width=width)
    return SimCLRConfig(encoder=net, **{"outputs": 32} | changes)


def fresh(seed, **changes):
    torch.manual_seed(seed)
    return SimCLR(config(**changes))


def train(model, seed, *, first=VIEWS, second=None, batch=BATCH, **options):
    """The mean of the last contrastive accuracies, and the losses."""
    image = pictures(TRAIN, seed)[0]
    batches = lab.rows(batch, seed, change=unlabeled.pair(first, second), image=image)
    losses = lab.train(model, batches, **FIT | options).losses
    return lab.means(losses["accuracy"][-30:], 30)[0], losses["loss"]


def probe(features, label, labeled=LABELED):
    """Linear accuracy: the first pictures teach, the last TEST are judged."""
    split = features[:labeled], label[:labeled], features[-TEST:], label[-TEST:]
    return linear_probe(*split, l2=1e-2)


def judge(model, seed):
    """Accuracy of shape and color from h and z, on pictures never trained on."""
    image, shape, color = pictures(LABELED + TEST, 50_000 + seed)
    return {
        f"{name}{end}": probe(x, label)
        for end, x in zip(("", "_z"), unlabeled.encode(model, image), strict=True)
        for name, label in (("shape", shape), ("color", color))
    }


def run(seed, *, only=None, norm=None, width=16, sizes=(), **options):
    """Probes after training, and the last contrastive accuracy; or one of them."""
    model = fresh(seed, width=width, **dict(sizes))
    if norm:
        unlabeled.replace_norms(model, norm)
    accuracy, _ = train(model, seed, **options)
    found = judge(model, seed) | {"accuracy": accuracy}
    return found[only] if only else found


def untrained(seed):
    return judge(fresh(seed), seed)["shape"]


def classifier(seed, image, label, *, first=VIEWS, width=16):
    """The same encoder trained with labels and one view."""
    torch.manual_seed(seed)
    model = ResNet(replace(config(width=width).encoder, classes=8))
    data = {"image": image, "label": label, "change": unlabeled.single(first)}
    lab.train(model, lab.rows(BATCH, seed, **data), **FIT)
    return model


def supervised(seed, **options):
    """Test accuracy of supervised training."""
    model = classifier(seed, *pictures(TRAIN, seed)[:2], **options)
    return lab.accuracy(model, *pictures(TEST, 50_000 + seed)[:2])


def shortcut(seed, *, settings):
    """Which of 64 crops is of the same picture? Asked of color histograms only."""
    return unlabeled.matched_by_color(
        shapes.to_float(pictures(640, seed)[0]), settings, seed
    )


def forget(seed):
    """Which transformation was applied, asked of h and of z (Table 3)."""
    model, found = fresh(seed), {}
    train(model, seed, first=replace(VIEWS, rotate=0.5, noise=0.5, std=0.3))
    image = shapes.to_float(pictures(LABELED + TEST, 60_000 + seed)[0])
    for name, (changed, label) in unlabeled.transformed(image, seed).items():
        h, z = unlabeled.encode(model, changed)
        found[name] = {"h": probe(h, label), "z": probe(z, label)}
    return found


def temperature(seed, *, similarity, tau):
    """With and without normalization (Table 5)."""
    model = fresh(seed, similarity=similarity, temperature=float(tau))
    accuracy, _ = train(model, seed)
    image = pictures(256, 70_000 + seed)[0]
    batch = lab.rows(BATCH, seed, change=unlabeled.pair(VIEWS), image=image)(0)
    z1, z2 = (unlabeled.encode(model, batch[v])[1] for v in ("view1", "view2"))
    nats = entropy(*pairs(z1, z2, similarity=similarity), temperature=tau).item()
    return {"shape": judge(model, seed)["shape"], "accuracy": accuracy, "entropy": nats}


def lars(seed, *, optimizer, lr):
    """SGD gets no clipping to help it; None where the numbers are not finite."""
    options = {"steps": SHORT, "lr": lr, "clip": 1e9, "weight_decay": 0.0}
    try:
        model = fresh(seed)
        _, loss = train(model, seed, optimizer=optimizer, **options)
        return {"loss": lab.means(loss, 15), "shape": judge(model, seed)["shape"]}
    except (FloatingPointError, ValueError):
        return {"loss": None, "shape": None}


def labels(seed):
    """1 % and 10 % of the labels: random, contrastive and supervised encoders."""
    nets, found = {"random": fresh(seed), "SimCLR": fresh(seed)}, {}
    train(nets["SimCLR"], seed)
    image, label, _ = pictures(TRAIN + TEST, seed)
    h = {name: unlabeled.encode(net, image)[0] for name, net in nets.items()}
    for name, count in {"1 %": TRAIN // 100, "10 %": TRAIN // 10}.items():
        found[name] = {kind: probe(x, label, count) for kind, x in h.items()}
        net = classifier(seed, image[:count], label[:count])
        found[name]["supervised"] = lab.accuracy(net, image[-TEST:], label[-TEST:])
    return found


def weights():
    """A wider net, trained longer, for the chapter to load."""
    model = fresh(0, width=32)
    accuracy, _ = train(model, 0, steps=600)
    lab.save_weights(model, "simclr")
    params = sum(p.numel() for p in model.parameters())
    return judge(model, 0) | {"accuracy": accuracy, "params": params}


shape = partial(run, only="shape")
LEARN = {"contrastive": shape, "supervised": supervised}
ALONE = {
    "crop": {"area": (0.3, 1.0), "flip": 0.5},
    "cutout": {"cutout": 1.0},
    "color": {"jitter": 0.8, "gray": 0.2, "strength": 0.5},
    "noise": {"noise": 1.0, "std": 0.3},
    "rotate": {"rotate": 1.0},
}
WEAK = partial(shape, steps=SHORT, second=NOTHING)
HEADS = [(kind, outputs) for kind in ("linear", "nonlinear") for outputs in (8, 32)]
LOSSES = (
    ("temperature", "nt-xent nt-logistic nt-logistic-semi-hard", (0.1, 0.5)),
    ("margin", "margin margin-semi-hard", (0.2, 0.8)),
)
TAUS = {"cosine": (0.05, 0.1, 0.5, 1), "dot": (1, 10, 100)}
SGD = partial(torch.optim.SGD, momentum=0.9)
RATES = {"SGD": (SGD, (0.1, 1.0, 10.0)), "LARS": (LARS, (3.0, 30.0, 300.0))}
# by epochs; the rate grows with the root of the batch (Figure 9)
EPOCHS = {
    f"{n}-{e}": {"batch": n, "steps": round(e * TRAIN / n), "lr": LR * (n / 64) ** 0.5}
    for n in (32, 128, 512)
    for e in (0.5, 1, 2)
}
# as many updates for each: more negatives, and nothing else
EPOCHS |= {f"{n}, {STEPS} steps": {"batch": n} for n in (16, 128)}
GROUPS = {
    "base": run,  # the setting that all others change in one thing
    # one branch is augmented, the other is not (Figure 5); and crops on both
    "grid": {
        f"{a}+{b}": partial(WEAK, first=Views(**ALONE[a] | ALONE[b]))
        for a, b in combinations_with_replacement(ALONE, 2)
    }
    | {
        "both branches": partial(shape, steps=SHORT),
        "both branches, crop": partial(shape, first=CROP, steps=SHORT),
        "random": untrained,
    },
    "shortcut": {name: partial(shortcut, settings=v) for name, v in SEEN.items()},
    "strength": {
        f"{s}/{how}": partial(arm, first=replace(VIEWS, strength=s))
        for s in (0.125, 0.25, 0.5, 1.0)
        for how, arm in LEARN.items()
    },
    "head": {"none": partial(run, sizes={"head": "none"})}
    | {f"{k}-{n}": partial(run, sizes={"head": k, "outputs": n}) for k, n in HEADS},
    "forget": forget,
    "temperature": {
        f"{kind}-{tau}": partial(temperature, similarity=kind, tau=tau)
        for kind, taus in TAUS.items()
        for tau in taus
    },
    # each loss with two values of its own setting
    "losses": {
        f"{name} {value}": partial(run, sizes={"loss": name, option: value})
        for option, names, values in LOSSES
        for name in names.split()
        for value in values
    },
    "batch": {name: partial(shape, **options) for name, options in EPOCHS.items()},
    "width": {
        f"{w}/{how}": partial(arm, width=w)
        for w in (4, 12, 32)
        for how, arm in LEARN.items()
    },
    "leak": partial(run, norm=unlabeled.LocalBatchNorm),
    "lars": {
        f"{name} {lr:g}": partial(lars, optimizer=optimizer, lr=lr)
        for name, (optimizer, rates) in RATES.items()
        for lr in rates
    },
    "labels": labels,
}


def worst(run, kind):
    """The lowest of all rates; nothing is learned where numbers are not finite."""
    return min(v["shape"] or 0.0 for k, v in run["lars"].items() if kind in k)


WORST = {f"worst of {kind}": partial(worst, kind=kind) for kind in RATES}
CLAIMS = lab.read_claims(__file__, **WORST)
LAB = lab.Lab("simclr", groups=GROUPS, once={"weights": weights}, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
