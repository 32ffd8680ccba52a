"""Train small SimCLR nets on single objects: the claims of the paper, and weights.

Command: python recipes/simclr.py            (all parts)
         python recipes/simclr.py grid       (or any other group of `GROUPS`)
Expected: about 15 minutes on one core. Views with crops and colors teach the encoder
the shapes of objects; the measured values stand in results/simclr.json.

A run takes 3 to 5 seconds: 250 steps with 64 pictures of 16 x 16 pixels.
"""

import sys
import time
from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes, views
from mmdl_lib.data.views import NOTHING, SIMCLR_CIFAR, Views, two_views
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.simclr import SimCLR, SimCLRConfig, entropy, pairs
from mmdl_lib.record import claim, keep, results
from mmdl_lib.train import fit
from mmdl_lib.train.lars import LARS

TRAIN, TEST, LABELED, STEPS, BATCH, SEEDS = 8000, 2000, 1000, 250, 64, 3
SHORT = 150  # steps of the largest groups
LR = 1e-2
VIEWS = replace(SIMCLR_CIFAR, area=(0.3, 1.0))
CROP = replace(NOTHING, area=(0.3, 1.0), flip=0.5)


@cache
def pictures(n, seed, *, style="noisy"):
    """Large objects, each in a window of 16 x 16 pixels, a little off its middle."""
    drawn = shapes.sample(4 * n, seed=seed, objects=1, held_out="include", style=style)
    scenes = drawn[(drawn.size[:, 0] == 2).nonzero()[:n, 0]]
    off = torch.randint(-2, 3, (n, 2), generator=generator(seed))
    corner = (scenes.center[:, 0].round().long() - 8 + off).clamp(0, 16)
    row, line = torch.arange(n)[:, None, None], torch.arange(16)
    y, x = corner[:, 1, None, None] + line[:, None], corner[:, 0, None, None] + line
    image = scenes.render(32).movedim(1, -1)[row, y, x].movedim(-1, 1)
    return image.contiguous(), scenes.shape[:, 0], scenes.color[:, 0]


def config(*, width=16, **changes):
    """Four convolutions behind the stem; h has 2 * width numbers."""
    net = ResNetConfig(block="basic", stages=(1, 1), width=width)
    return SimCLRConfig(encoder=net, **{"outputs": 32} | changes)


def batches_of(image, seed, first=VIEWS, second=None, *, batch=BATCH, label=None):
    """Two fresh views of each picture; with labels one view, for supervision."""

    def batches(step):
        g = generator(1_000_003 * seed + step)
        rows = torch.randint(len(image), (batch,), generator=g)
        x = shapes.to_float(image[rows])
        if label is not None:
            return {"image": views.view(x, first, generator=g), "label": label[rows]}
        view1, view2 = two_views(x, first, second, generator=g)
        return {"view1": view1, "view2": view2}

    return batches


@torch.no_grad()
def encode(model, image):
    """h and z of pictures, bytes or floats."""
    model.eval()
    image = shapes.to_float(image) if image.dtype == torch.uint8 else image
    found = [model(x) for x in image.split(500)]
    return tuple(torch.cat(part) for part in zip(*found, strict=True))


def probe(features, label, labeled=LABELED):
    """Linear accuracy: the first pictures teach, the last TEST are judged."""
    split = features[:labeled], label[:labeled], features[-TEST:], label[-TEST:]
    return round(linear_probe(*split, l2=1e-2), 4)


def judge(model, seed, labeled=LABELED):
    """Accuracy of shape and color from h and z, on pictures never trained on."""
    image, shape, color = pictures(LABELED + TEST, 50_000 + seed)
    h, z = encode(model, image)
    return {
        "shape": probe(h, shape, labeled),
        "color": probe(h, color, labeled),
        "shape_z": probe(z, shape, labeled),
        "color_z": probe(z, color, labeled),
    }


def train(seed, sizes=None, *settings, steps=STEPS, batch=BATCH, lr=LR, change=None):
    """A trained model and its history."""
    image = pictures(TRAIN, seed)[0]
    torch.manual_seed(seed)
    model = SimCLR(sizes or config())
    if change:
        change(model)
    batches = batches_of(image, seed, *settings, batch=batch)
    history = fit(model, batches, steps=steps, lr=lr, weight_decay=1e-4, warmup=0.1)
    return model, history


def run(seed, sizes=None, *settings, **options):
    """Probes after training, and the last contrastive accuracy."""
    model, history = train(seed, sizes, *settings, **options)
    late = history.losses["accuracy"][-30:]
    return judge(model, seed) | {"accuracy": round(sum(late) / len(late), 4)}


def supervised(seed, first=VIEWS, *, width=16, steps=STEPS):
    """Test accuracy of the same encoder trained with labels and one view."""
    image, shape, _ = pictures(TRAIN, seed)
    torch.manual_seed(seed)
    model = ResNet(replace(config(width=width).encoder, classes=8))
    batches = batches_of(image, seed, first, label=shape)
    fit(model, batches, steps=steps, lr=LR, weight_decay=1e-4, warmup=0.1)
    image, shape, _ = pictures(TEST, 50_000 + seed)
    model.eval()
    with torch.no_grad():
        right = (model(shapes.to_float(image)).argmax(1) == shape).float()
    return round(right.mean().item(), 4)


# groups: each takes a seed and returns what stands in the json


def base(seed):
    """The setting that all others change in one thing."""
    return run(seed)


ALONE = {
    "crop": {"area": (0.3, 1.0), "flip": 0.5},
    "cutout": {"cutout": 1.0},
    "color": {"jitter": 0.8, "gray": 0.2, "strength": 0.5},
    "noise": {"noise": 1.0, "std": 0.3},
    "rotate": {"rotate": 1.0},
}


def grid(seed):
    """One branch is augmented, the other is not (Figure 5); and crops on both."""
    found = {}
    for i, one in enumerate(ALONE):
        for other in list(ALONE)[i:]:
            settings = Views(**ALONE[one] | ALONE[other])
            values = run(seed, None, settings, NOTHING, steps=SHORT)
            found[f"{one}+{other}"] = values["shape"]
    found["both branches"] = run(seed, steps=SHORT)["shape"]
    found["both branches, crop"] = run(seed, None, CROP, steps=SHORT)["shape"]
    torch.manual_seed(seed)
    found["random"] = judge(SimCLR(config()), seed)["shape"]
    return found


def histogram(image, bins=6):
    """Three histograms, one a channel, of pictures in [-1, 1]."""
    place = ((image + 1) / 2 * bins).long().clamp(0, bins - 1)
    return F.one_hot(place, bins).float().mean((2, 3)).flatten(1)


def shortcut(seed):
    """Which of 64 crops is of the same picture? Asked of color histograms only."""
    image = shapes.to_float(pictures(640, seed)[0])
    found = {}
    for name, settings in {"crop": CROP, "crop and color": VIEWS}.items():
        right = []
        for i, part in enumerate(image.split(64)):
            pair = two_views(part, settings, generator=generator(seed + i))
            one, other = map(histogram, pair)
            nearest = torch.cdist(one, other, p=1).argmin(1)
            right.append((nearest == torch.arange(64)).float())
        found[name] = round(torch.cat(right).mean().item(), 4)
    return found


def strength(seed):
    """Color strength s for contrast and for supervision (Table 1)."""
    found = {}
    for s in (0.125, 0.25, 0.5, 1.0):
        settings = replace(VIEWS, strength=s)
        found[str(s)] = {
            "contrastive": run(seed, None, settings)["shape"],
            "supervised": supervised(seed, settings),
        }
    return found


def head(seed):
    """No head, a linear and a nonlinear one, and the width of z (Figure 8)."""
    found = {"none": run(seed, config(head="none"))}
    for kind in ("linear", "nonlinear"):
        for outputs in (8, 32):
            sizes = config(head=kind, outputs=outputs)
            found[f"{kind}-{outputs}"] = run(seed, sizes)
    return found


def transformed(image, seed):
    """Pictures changed in three ways, and the label that tells how."""
    g, n = generator(seed), len(image)
    kind = torch.randint(2, (n,), generator=g)
    turns = torch.randint(4, (n,), generator=g)
    loud = views.noise(image, 0.3, generator=g)

    def either(changed):
        return torch.where((kind == 1)[:, None, None, None], changed, image)

    return {
        "rotation": (views.rotate(image, turns), turns),
        "gray or color": (either(views.gray(image)), kind),
        "noise or none": (either(loud), kind),
    }


def forget(seed):
    """Which transformation was applied, asked of h and of z (Table 3)."""
    settings = replace(VIEWS, rotate=0.5, noise=0.5, std=0.3)
    model, _ = train(seed, config(outputs=32), settings)
    image = shapes.to_float(pictures(LABELED + TEST, 60_000 + seed)[0])
    found = {}
    for name, (changed, label) in transformed(image, seed).items():
        h, z = encode(model, changed)
        found[name] = {"h": probe(h, label), "z": probe(z, label)}
    return found


def temperature(seed):
    """With and without normalization, several temperatures (Table 5)."""
    found = {}
    for similarity, taus in (
        ("cosine", (0.05, 0.1, 0.5, 1)),
        ("dot", (1, 10, 100)),
    ):
        for tau in taus:
            sizes = config(similarity=similarity, temperature=float(tau))
            model, history = train(seed, sizes)
            batch = batches_of(pictures(256, 70_000 + seed)[0], seed)(0)
            z1, z2 = (encode(model, batch[v])[1] for v in ("view1", "view2"))
            spread = entropy(*pairs(z1, z2, similarity=similarity), temperature=tau)
            late = history.losses["accuracy"][-30:]
            found[f"{similarity}-{tau}"] = {
                "shape": judge(model, seed)["shape"],
                "accuracy": round(sum(late) / len(late), 4),
                "entropy": round(spread.item(), 4),
            }
    return found


LOSS_SETTINGS = {
    "nt-xent": [{"temperature": t} for t in (0.1, 0.5)],
    "nt-logistic": [{"temperature": t} for t in (0.1, 0.5)],
    "nt-logistic-semi-hard": [{"temperature": t} for t in (0.1, 0.5)],
    "margin": [{"margin": m} for m in (0.2, 0.8)],
    "margin-semi-hard": [{"margin": m} for m in (0.2, 0.8)],
}


def losses(seed):
    """Five losses, each with two values of its own setting (Table 4)."""
    return {
        f"{name} {value}": run(seed, config(loss=name, **{option: value}))
        for name, settings in LOSS_SETTINGS.items()
        for setting in settings
        for option, value in setting.items()
    }


def batch(seed):
    """Batch size by epochs; the rate grows with the root of the batch (Figure 9)."""
    found = {}
    for size in (32, 128, 512):
        for epochs in (0.5, 1, 2):
            steps, lr = round(epochs * TRAIN / size), LR * (size / BATCH) ** 0.5
            options = {"steps": steps, "batch": size, "lr": lr}
            found[f"{size}-{epochs}"] = run(seed, **options)["shape"]
    # as many updates for each: more negatives, and nothing else
    for size in (16, 128):
        found[f"{size}, {STEPS} steps"] = run(seed, batch=size)["shape"]
    return found


def width(seed):
    """Channels of the net, with and without labels (Figure 7)."""
    return {
        str(w): {
            "contrastive": run(seed, config(width=w))["shape"],
            "supervised": supervised(seed, width=w),
        }
        for w in (4, 12, 32)
    }


class LocalBatchNorm(nn.BatchNorm2d):
    """BatchNorm as on several devices, each with the two views of its own pictures."""

    own = 2  # pictures on a device

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        parts = rearrange(x, "(v e n) c h w -> e (v n) c h w", v=2, n=self.own)
        mean = parts.mean((1, 3, 4), keepdim=True)
        var = parts.var((1, 3, 4), keepdim=True, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.mean(0).flatten(), self.momentum)
            self.running_var.lerp_(var.mean(0).flatten(), self.momentum)
        parts = (parts - mean) / (var + self.eps).sqrt()
        x = rearrange(parts, "e (v n) c h w -> (v e n) c h w", v=2)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def local(model):
    """Every BatchNorm becomes a local one."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, LocalBatchNorm(child.num_features))


def leak(seed):
    """Statistics over all views, or over the two pictures of a device (section 2.2)."""
    return run(seed, change=local)


def sgd(parameters, lr):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9)


def lars(seed):
    """SGD and LARS over a wide range of rates; SGD gets no clipping to help it."""
    found = {}
    image = pictures(TRAIN, seed)[0]
    kinds = {"SGD": (sgd, (0.1, 1.0, 10.0)), "LARS": (LARS, (3.0, 30.0, 300.0))}
    for name, (optimizer, rates) in kinds.items():
        for lr in rates:
            torch.manual_seed(seed)
            model = SimCLR(config())
            options = {"steps": SHORT, "lr": lr, "optimizer": optimizer, "warmup": 0.1}
            try:
                history = fit(model, batches_of(image, seed), clip=1e9, **options)
                loss = history.losses["loss"]
                means = [sum(loss[i : i + 15]) / 15 for i in range(0, SHORT, 15)]
                shape = judge(model, seed)["shape"]
            except (FloatingPointError, ValueError):
                means, shape = None, None  # not finite
            found[f"{name} {lr:g}"] = {"loss": means, "shape": shape}
    return found


def labels(seed):
    """1 % and 10 % of the labels: random, contrastive and supervised encoders."""
    few = {"1 %": TRAIN // 100, "10 %": TRAIN // 10}
    image, shape, _ = pictures(TRAIN + TEST, seed)
    torch.manual_seed(seed)
    nets = {"random": SimCLR(config()), "SimCLR": train(seed)[0]}
    found = {}
    for name, count in few.items():
        found[name] = {
            k: probe(encode(m, image)[0], shape, count) for k, m in nets.items()
        }
        torch.manual_seed(seed)
        net = ResNet(replace(config().encoder, classes=8))
        batches = batches_of(image[:count], seed, label=shape[:count])
        fit(net, batches, steps=STEPS, lr=LR, weight_decay=1e-4, warmup=0.1)
        net.eval()
        with torch.no_grad():
            named = net(shapes.to_float(image[-TEST:])).argmax(1)
        right = (named == shape[-TEST:]).float().mean().item()
        found[name]["supervised"] = round(right, 4)
    return found


GROUPS = {
    "base": base,
    "grid": grid,
    "shortcut": shortcut,
    "strength": strength,
    "head": head,
    "forget": forget,
    "temperature": temperature,
    "losses": losses,
    "batch": batch,
    "width": width,
    "leak": leak,
    "lars": lars,
    "labels": labels,
}


def weights():
    """A wider net, trained longer, for the chapter to load."""
    model, history = train(0, config(width=32), steps=600)
    pretrained.save(model, "simclr")
    late = history.losses["accuracy"][-30:]
    return judge(model, 0) | {
        "accuracy": round(sum(late) / len(late), 4),
        "params": sum(p.numel() for p in model.parameters()),
    }


def difference(runs, better, worse):
    """One number a seed; both are functions of what a group wrote for it."""
    return [better(run) - worse(run) for run in runs]


def best(runs, names, value):
    """The setting with the highest mean over seeds."""
    return max(names, key=lambda name: sum(value(run[name]) for run in runs))


def summarize():
    """Write the claims beside the runs, where the pages find them."""
    whole = results("simclr")
    group = {name: [*whole[name].values()] for name in GROUPS if name in whole}
    keep("simclr", "claims", value=[*_data_claims(group), *_model_claims(group)])


def _data_claims(group):
    grid, strength = group["grid"], group["strength"]
    pairs_ = [f"{a}+{b}" for i, a in enumerate(ALONE) for b in list(ALONE)[i:]]
    other = [name for name in pairs_ if name != "crop+color"]
    rival = best(grid, other, float)
    points = "Difference of the probe's accuracy of shapes"

    def gain(run, kind):
        return run["1.0"][kind] - run["0.125"][kind]

    return [
        claim(
            "simclr-crop-color",
            "Crops with colors, on one branch, beat crops alone.",
            paper="the best pair against a single step (Figure 5)",
            values=difference(
                grid, lambda r: r["crop+color"], lambda r: r["crop+crop"]
            ),
            note=f"{points}, one branch augmented.",
        ),
        claim(
            "simclr-best-pair",
            "Crops with colors are the best of all pairs and single steps.",
            paper="they stand out (Figure 5)",
            values=difference(grid, lambda r: r["crop+color"], lambda r: r[rival]),
            note=f"{points} to the best other one, {rival}.",
        ),
        claim(
            "simclr-shortcut",
            "Color histograms match crops of a picture, unless colors are distorted.",
            paper="histograms of crops (Figure 6)",
            values=difference(
                group["shortcut"], lambda r: r["crop"], lambda r: r["crop and color"]
            ),
            note="Difference of the share of crops matched among 64.",
        ),
        claim(
            "simclr-strength",
            "Stronger colors help contrast more than supervision.",
            paper="59.6 to 64.5 % against 77.0 to 75.4 % (Table 1)",
            values=difference(
                strength,
                lambda r: gain(r, "contrastive"),
                lambda r: gain(r, "supervised"),
            ),
            note="Difference of the two gains in accuracy from s = 1/8 to s = 1.",
        ),
        claim(
            "simclr-labels",
            "With 1 % of the labels, SimCLR's features beat supervised training.",
            paper="85.8 against 48.4 % top-5 (Table 7)",
            values=difference(
                group["labels"],
                lambda r: r["1 %"]["SimCLR"],
                lambda r: r["1 %"]["supervised"],
            ),
            note="Difference of accuracies; SimCLR's encoder is frozen here.",
        ),
    ]


def _model_claims(group):
    head, loss, many = group["head"], group["losses"], group["batch"]
    heat, names = group["temperature"], [*group["temperature"][0]]
    points = "Difference of the probe's accuracy of shapes"

    def shape(name):
        return lambda run: run[name]["shape"]

    def top(start):
        kinds = [n for n in loss[0] if n.rsplit(" ", 1)[0] == start]
        return best(loss, kinds, lambda r: r["shape"])

    cosine, dot = (
        best(heat, [n for n in names if n.startswith(k)], lambda r: r["shape"])
        for k in ("cosine", "dot")
    )
    tops = {name: top(name) for name in LOSS_SETTINGS}
    rival = best(
        loss, [v for k, v in tops.items() if k != "nt-xent"], lambda r: r["shape"]
    )

    def worst(kind):
        return lambda r: min(v["shape"] or 0.0 for k, v in r.items() if kind in k)

    def growth(kind):
        return lambda r: r["32"][kind] - r["4"][kind]

    rows = [
        (
            "simclr-nonlinear",
            "A nonlinear head beats a linear one.",
            "by 3 points (section 4.2)",
            difference(head, shape("nonlinear-32"), shape("linear-32")),
            f"{points} from h.",
        ),
        (
            "simclr-head",
            "A linear head beats none.",
            "none is more than 10 points worse (section 4.2)",
            difference(head, shape("linear-32"), shape("none")),
            f"{points} from h.",
        ),
        (
            "simclr-h-z",
            "h is better than z.",
            "by more than 10 points (section 4.2)",
            [r["nonlinear-32"]["shape"] - r["nonlinear-32"]["shape_z"] for r in head],
            f"{points}.",
        ),
        (
            "simclr-forget",
            "h knows better than z how a picture was turned.",
            "67.6 against 25.6 % (Table 3)",
            [r["rotation"]["h"] - r["rotation"]["z"] for r in group["forget"]],
            "Difference of the probe's accuracy of four quarter turns.",
        ),
        (
            "simclr-normalize",
            "Cosines beat dot products, each with its best temperature.",
            "64.4 against 57.2 % (Table 5)",
            difference(heat, shape(cosine), shape(dot)),
            f"{points}, {cosine} against {dot}.",
        ),
        (
            "simclr-temperature",
            "A temperature of 0.1 beats one of 1.",
            "0.1 is best (Table 5)",
            difference(heat, shape("cosine-0.1"), shape("cosine-1")),
            f"{points}.",
        ),
        (
            "simclr-easier",
            "Without normalization the contrastive accuracy is higher.",
            "91.7 % at the lower probe (Table 5)",
            [r[dot]["accuracy"] - r[cosine]["accuracy"] for r in heat],
            f"Difference of the contrastive accuracy, {dot} against {cosine}.",
        ),
        (
            "simclr-loss",
            "NT-Xent beats the other losses.",
            "63.9 against 57.9 % for the next (Table 4)",
            difference(loss, shape(tops["nt-xent"]), shape(rival)),
            f"{points}, {tops['nt-xent']} against {rival}.",
        ),
        (
            "simclr-semi-hard",
            "Semi-hard negatives help the margin loss.",
            "57.5 against 50.9 % (Table 4)",
            difference(loss, shape(tops["margin-semi-hard"]), shape(tops["margin"])),
            f"{points}, {tops['margin-semi-hard']} against {tops['margin']}.",
        ),
        (
            "simclr-batch",
            "With few epochs a large batch beats a small one.",
            "large batches lead at 100 epochs (Figure 9)",
            difference(many, lambda r: r["512-0.5"], lambda r: r["32-0.5"]),
            f"{points}, 512 against 32 pictures, half an epoch.",
        ),
        (
            "simclr-negatives",
            "With as many updates a large batch beats a small one.",
            "not measured there",
            difference(
                many,
                lambda r: r[f"128, {STEPS} steps"],
                lambda r: r[f"16, {STEPS} steps"],
            ),
            f"{points}, 128 against 16 pictures, {STEPS} steps.",
        ),
        (
            "simclr-width",
            "Contrast gains more from width than supervision.",
            "the gap shrinks with size (Figure 7)",
            difference(group["width"], growth("contrastive"), growth("supervised")),
            "Difference of the two gains in accuracy from 4 to 32 channels.",
        ),
        (
            "simclr-leak",
            "BatchNorm on each device raises the contrastive accuracy.",
            "stated without numbers (section 2.2)",
            [
                a["accuracy"] - b["accuracy"]
                for a, b in zip(group["leak"], group["base"], strict=False)
            ],
            "Difference of the contrastive accuracy in training, 2 pictures a device.",
        ),
        (
            "simclr-leak-probe",
            "BatchNorm on each device makes worse features.",
            "stated without numbers (section 2.2)",
            [
                b["shape"] - a["shape"]
                for a, b in zip(group["leak"], group["base"], strict=False)
            ],
            f"{points}, 2 pictures a device.",
        ),
        (
            "simclr-lars",
            "LARS bears a wider range of rates than SGD.",
            "SGD may be unstable with large batches (section 2.2)",
            difference(group["lars"], worst("LARS"), worst("SGD")),
            f"{points}, the worst of three rates a factor of 100 apart.",
        ),
    ]
    return [
        claim(name, said, paper=paper, values=values, note=note)
        for name, said, paper, values, note in rows
    ]


def main():
    torch.set_num_threads(1)
    for word in sys.argv[1:] or [*GROUPS, "weights", "summary"]:
        group, _, seed = word.partition(":")
        began = time.process_time()
        if group == "summary":
            summarize()
        elif group == "weights":
            keep("simclr", group, value=weights())
        else:
            for s in [int(seed)] if seed else range(SEEDS):
                keep("simclr", group, s, value=GROUPS[group](s))
        print(f"{word}: {time.process_time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
