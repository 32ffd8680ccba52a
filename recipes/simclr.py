"""Train small SimCLR nets on single objects: the claims of the paper, and weights.

Command: python recipes/simclr.py            (all parts)
         python recipes/simclr.py grid       (or any other group of `GROUPS`)
Expected: about MINUTES on one core. Views with crops and colors teach the encoder
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

from mmdl_lib.core import generator
from mmdl_lib.data import shapes, views
from mmdl_lib.data.views import NOTHING, SIMCLR_CIFAR, Views, two_views
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.simclr import SimCLR, SimCLRConfig, entropy, pairs
from mmdl_lib.nn.lars import LARS
from mmdl_lib.record import keep
from mmdl_lib.train import fit

TRAIN, TEST, LABELED, STEPS, BATCH, SEEDS = 8000, 2000, 1000, 250, 64, 4
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
    "color": {"jitter": 0.8, "grey": 0.2, "strength": 0.5},
    "noise": {"noise": 1.0, "std": 0.3},
    "rotate": {"rotate": 1.0},
}


def grid(seed):
    """One branch is augmented, the other is not (Figure 5); and crops on both."""
    found = {}
    for i, one in enumerate(ALONE):
        for other in list(ALONE)[i:]:
            settings = Views(**ALONE[one] | ALONE[other])
            found[f"{one}+{other}"] = run(seed, None, settings, NOTHING)["shape"]
    found["both branches, crop"] = run(seed, None, CROP)["shape"]
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
    for s in (0.0, 0.125, 0.25, 0.5, 1.0):
        # s = 0 still drops all color now and then; the rest is the paper's
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
        "grey or color": (either(views.grey(image)), kind),
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
        ("cosine", (0.05, 0.1, 0.2, 0.5, 1)),
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
        for epochs in (1, 2, 4):
            steps, lr = epochs * TRAIN // size, LR * (size / BATCH) ** 0.5
            options = {"steps": steps, "batch": size, "lr": lr}
            found[f"{size}-{epochs}"] = run(seed, **options)["shape"]
    # as many updates for each: more negatives, and nothing else
    for size in (16, 256):
        found[f"{size}, {STEPS} steps"] = run(seed, batch=size)["shape"]
    return found


def width(seed):
    """Channels of the net, with and without labels (Figure 7)."""
    return {
        str(w): {
            "contrastive": run(seed, config(width=w))["shape"],
            "supervised": supervised(seed, width=w),
        }
        for w in (4, 8, 16, 32)
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
            options = {"steps": STEPS, "lr": lr, "optimizer": optimizer, "warmup": 0.1}
            try:
                history = fit(model, batches_of(image, seed), clip=1e9, **options)
                loss = history.losses["loss"]
                means = [sum(loss[i : i + 25]) / 25 for i in range(0, STEPS, 25)]
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


def main():
    torch.set_num_threads(1)
    for word in sys.argv[1:] or [*GROUPS, "weights", "summary"]:
        group, _, seed = word.partition(":")
        began = time.process_time()
        for s in [int(seed)] if seed else range(SEEDS):
            keep("simclr", group, s, value=GROUPS[group](s))
        print(f"{word}: {time.process_time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
