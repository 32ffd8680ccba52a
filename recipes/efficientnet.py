"""Scale a tiny EfficientNet on woven pictures, and train the weights of the chapter.

Command: python recipes/efficientnet.py   (what is missing, then the claims; or a group)
         python recipes/efficientnet.py photographs --profile gpu  (CIFAR-10, on a GPU)
Expected: about 20 minutes on a quiet core; results/efficientnet.json. A wider net pays
where the pictures are fine enough to show the weave, and fades there.
"""

import os
from dataclasses import replace
from functools import cache, lru_cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab, pretrained
from mmdl_lib.data import cifar10
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab.woven import SIDE, WEAVES, woven
from mmdl_lib.models.efficientnet import EfficientNet, StageSpec

TRAIN, TEST, STEPS, BATCH, RATE = 4000, 2000, 300, 64, 1e-2
BASE = EfficientNet.PRESETS["tiny"]
NARROW, FINE, BUDGET = 0.5, 24, 4  # the base, and times its cost for a scaled net


def net(depth=1.0, width=1.0, side=FINE):
    """The tiny net scaled. With one or two layers a stage, rounding up as the paper
    does would make 1.75 times as many of d = 1.2: here repeats go to the nearest."""
    rows = map(StageSpec._make, BASE.stages)
    rows = [r._replace(layers=max(1, int(r.layers * depth + 0.5))) for r in rows]
    return replace(BASE, stages=tuple(rows), width=width, resolution=side)


@cache
def cost(config):
    """Multiply-adds for one picture, and values that its forward pass makes."""

    def one():
        size = 1, 3, config.resolution, config.resolution
        return EfficientNet(config), torch.zeros(size)

    return lab.cost(one)


def fitted(make):
    """The config whose cost is nearest to the budget, by halving."""
    low, high, target = 0.1, 60.0, BUDGET * cost(net(width=NARROW))[0]
    for _ in range(16):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cost(make(middle))[0] < target else (low, middle)
    # rounding makes steps: of both ends the nearer one
    return min(map(make, (low, high)), key=lambda c: abs(cost(c)[0] - target))


def wider():
    return fitted(lambda width: net(width=width))


def deeper():
    return fitted(lambda depth: net(depth, NARROW))


def compound():
    """Two steps of the rule: depth 1.2^2, 32 pixels (24 x 1.15^2), width to fit."""
    return fitted(lambda width: net(1.2**2, width, 32))


pictures = lru_cache(8)(woven)


def named(model, image, label):
    """Shares of pictures whose name, shape or weave is right."""
    guess, k = lab.logits(model, image).argmax(1), len(WEAVES)
    right = {"accuracy": guess == label, "shape": guess // k == label // k}
    right["weave"] = guess % k == label % k
    return {name: same.double().mean().item() for name, same in right.items()}


def train(model, side, seed, *, steps=STEPS, lr=RATE, pictures_of=TRAIN):
    """The mean loss of the last steps; equal batches for every net of a seed."""
    model.to(memory_format=torch.channels_last)
    image, label = pictures(pictures_of, seed, side=side)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    history = lab.train(model, batches, steps=steps, lr=lr, weight_decay=1e-4)
    return lab.means(history.losses["loss"][-30:], 30)[0]


def run(seed, *, make, **options):
    """Train and judge a net; `make` gives its config."""
    config = make()
    torch.manual_seed(seed)
    model, side = EfficientNet(config), config.resolution
    found = {"train_loss": train(model, side, seed, **options)}
    found |= named(model, *pictures(TEST, 50_000 + seed, side=side))
    found |= dict(zip(("flops", "memory"), cost(config), strict=True))
    found |= {"resolution": side, "params": sum(p.numel() for p in model.parameters())}
    found["layers"] = sum(row.layers for row in config.stages)
    return found | {"width": round(config.width, 3)}


def world(seed):
    """Which share of the weave's strength is left in pictures of each side."""
    shown = {}
    for side in (12, 16, 24, 48, SIDE):
        with_it, without = (
            woven(100, seed, side=side, contrast=c, noise=0)[0] for c in (0.25, 0)
        )
        shown[side] = (with_it - without).square().mean().item()
    return {str(side): strength / shown[SIDE] for side, strength in shown.items()}


def weights():
    """The tiny preset at 24 pixels."""
    torch.manual_seed(0)
    model = EfficientNet(net())
    loss = train(model, FINE, 0, steps=900, pictures_of=8000)
    lab.save_weights(model, "efficientnet")
    found = named(pretrained.load("efficientnet"), *pictures(TEST, 50_000, side=FINE))
    return found | {"train_loss": loss}


@cache
def photos(split):
    image, label = cifar10.load(split, os.environ.get("MMDL_CIFAR10", "data"))
    return to_float(image), label


def photographs(seed, *, width, side):
    """Width at two resolutions on CIFAR-10, on a GPU: written, not yet run."""

    def noise(batch, g):
        image = batch["image"]
        mirrored = torch.rand((), generator=g) < 0.5
        return batch | {"image": image.flip(-1) if mirrored else image}

    def at(split):
        image, label = photos(split)
        return F.interpolate(image, side, mode="area"), label

    torch.manual_seed(seed)
    sizes = {"width": width, "resolution": side, "classes": 10, "depth": 2.0}
    model = EfficientNet(replace(BASE, **sizes))
    image, label = at("train")
    batches = lab.rows(128, seed, change=noise, image=image, label=label)
    lab.train(model, batches, steps=20_000, lr=3e-3, precision="bf16")
    return {"accuracy": lab.accuracy(model, *at("test"))}


AXES = {f"{s}/{w:g}": partial(net, 1.0, w, s) for s in (12, 24) for w in (0.5, 1, 2)}
AXES["48/0.5"] = partial(net, 1.0, NARROW, 48)


def arms(makers):
    return {name: partial(run, make=make) for name, make in makers.items()}


GROUPS = {
    "world": world,
    "axes": arms(AXES),
    "equal": arms({"wider": wider, "compound": compound}),
    "depth": arms({"deeper": deeper}),
}
if os.environ.get("MMDL_PROFILE") == "gpu":  # its numbers are kept apart
    GROUPS["photographs"] = {
        f"{side}/{width}": partial(photographs, width=width, side=side)
        for side in (16, 32)
        for width in (1, 2, 4)
    }


CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab(
    "efficientnet", groups=GROUPS, once={"weights": weights}, claims=CLAIMS, least=6
)

if __name__ == "__main__":
    LAB.main()
