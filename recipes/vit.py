"""Train small Vision Transformers and convnets, and the weights that the chapter loads.

Command: python recipes/vit.py   (what is missing, then the claims; or a group's name)
         python recipes/vit.py photographs --profile gpu     (CIFAR-10, on a GPU)
Expected: about 12 minutes on a quiet core. Positions decide what is left, and with
little data a convnet is ahead. The values stand in results/vit.json.
"""

import os
from dataclasses import replace
from functools import cache, lru_cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab, pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import cifar10, shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab.places import GRID, PATCH, permuted, roughness, two_discs
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViT, ViTConfig, patches

BATCH = 64
# (pictures, steps of the ViT): enough to learn its pictures; the convnet needs 200
SIZES = ((250, 600), (1000, 600), (4000, 1200))
RATE = {"ViT": 2e-3, "convnet": 1e-2}
EARLY = 160  # steps at which the permuted arms are compared
CLEAR = {"resolution": 32, "sizes": ("medium", "large"), "pairs": True}  # the weights'
SMALL = ViTConfig(image_size=(16, 16), patch=4, width=48, depth=3, heads=4, classes=8)


@cache
def pictures(n, seed, *, resolution=16, sizes="large", pairs=False):
    """Single solid objects, and their number among 8 shapes or 64 color-shape pairs."""
    options = {"objects": 1, "sizes": sizes, "textures": "solid"}
    scenes = shapes.sample(n, seed=seed, held_out="include", **options)
    label = scenes.shape[:, 0] + 8 * scenes.color[:, 0] * pairs
    return scenes.render(resolution), label


def convnet(width=16, stages=(1, 1), classes=8):
    """A residual net that sees the whole of a picture of 16 pixels."""
    sizes = {"block": "basic", "stages": stages, "width": width}
    return ResNet(ResNetConfig(**sizes, stem="cifar", classes=classes))


def fresh(kind, seed):
    torch.manual_seed(seed)
    return convnet() if kind == "convnet" else ViT(SMALL)


def train(model, image, label, seed, *, steps, lr, noise=None, **options):
    """Equal batches for every model of a seed."""

    def change(batch, random):
        return batch | {"image": noise(batch["image"], random)}

    batches = lab.rows(
        BATCH, seed, change=change if noise else None, image=image, label=label
    )
    return lab.train(model, batches, steps=steps, lr=lr, weight_decay=0.01, **options)


def run(model, train_set, test_set, seed, **options):
    """Train, then accuracies on new pictures and on those of the training."""
    history = train(model, *train_set, seed, **options)
    return {
        "test": lab.accuracy(model, *test_set),
        "train": lab.accuracy(model, *(part[:2000] for part in train_set)),
        "loss": lab.means(history.losses["loss"], 50),
    }


def weights():
    """The tiny preset on 32 x 32 pictures."""
    torch.manual_seed(0)
    model = ViT.from_preset("tiny")
    history = train(model, *pictures(32_000, 0, **CLEAR), 0, steps=1800, lr=1e-3)
    lab.save_weights(model, "vit")
    return {
        "accuracy": lab.accuracy(pretrained.load("vit"), *pictures(2000, 9, **CLEAR)),
        "params": sum(p.numel() for p in model.parameters()),
        "seconds": round(history.seconds),
    }


discs = lru_cache(6)(two_discs)


def left(seed, *, positions):
    """Which of two discs is left; with 1-D positions also at a higher resolution."""
    test = discs(2000, 50_000 + seed)
    torch.manual_seed(seed)
    side = GRID * PATCH
    changes = {"image_size": (side, side), "classes": 2, "positions": positions}
    model = ViT(replace(SMALL, **changes))
    found = run(model, discs(12_000, seed), test, seed, steps=500, lr=1e-3)
    found["same bags"] = same_bags(test[0])
    if positions == "1d":
        found |= {name: larger(model, name, seed) for name in LARGER}
    return found


def same_bags(image):
    """Share of the exchanged pictures whose patches are those of their first half."""
    first, second = (
        torch.stack([x[x[:, 0].argsort(stable=True)] for x in half])
        for half in patches(image, PATCH).chunk(2)
    )
    return (first == second).all(2).all(1).double().mean().item()


LARGER = ("interpolated", "random", "misplaced")


def larger(model, name, seed):
    """From 24 to 36 pixels: positions interpolated, learned anew, or misplaced."""
    side = GRID * PATCH * 3 // 2
    test = discs(1000, 60_000 + seed, side=side)
    model, g = model.resized((side, side)), generator(seed)
    places = model.positions.table.data[1:]
    if name == "random":
        places.normal_(std=0.02, generator=g)
    if name == "misplaced":
        places.copy_(places[torch.randperm(len(places), generator=g)])
    before = lab.accuracy(model, *test)
    few = discs(1600, 70_000 + seed, side=side)
    train(model, *few, seed, steps=25, lr=3e-4)
    return {"before": before, "after": lab.accuracy(model, *test)}


def permutation(seed, *, kind, mixed):
    """Patches of all pictures in one new order, and a ViT's positions with them."""
    order = torch.randperm(16, generator=generator(seed))
    sets = pictures(16_000, seed), pictures(2000, 50_000 + seed)
    sets = [(to_float(image), label) for image, label in sets]
    model = fresh(kind, seed)
    if mixed:
        sets = [(permuted(image, order), label) for image, label in sets]
        if kind == "ViT":
            places = model.positions.table.data[1:]
            places.copy_(places[order])
    options = {"steps": EARLY, "lr": RATE[kind]}
    return run(model, *sets, seed, **options) | {"rough": roughness(sets[1][0])}


def data(seed, *, kind, n, steps):
    """A model at some size of the training set, until its training has settled."""
    sets = pictures(n, seed), pictures(2000, 50_000 + seed)
    return run(fresh(kind, seed), *sets, seed, steps=steps, lr=RATE[kind])


@cache
def photos(split):
    image, label = cifar10.load(split, os.environ.get("MMDL_CIFAR10", "data"))
    return to_float(image), label


def photographs(seed, *, kind, n):
    """The curve of data on CIFAR-10 at full size, on a GPU: written, not yet run."""
    order = torch.randperm(50_000, generator=generator(seed))[:n]
    image, label = (part[order] for part in photos("train"))
    torch.manual_seed(seed)
    wide = {"image_size": (32, 32), "width": 192, "depth": 9, "heads": 6, "classes": 10}
    model = ViT(replace(SMALL, **wide))
    if kind == "convnet":
        model = convnet(64, stages=(2, 2, 2), classes=10)
    lr = {"ViT": 1e-3, "convnet": 3e-3}[kind]
    options = {"steps": 20_000, "lr": lr, "noise": shifted, "precision": "bf16"}
    return run(model, (image, label), photos("test"), seed, **options)


def shifted(image, g):
    """Mirrored or not, and shifted by up to four pixels."""
    image = image.flip(-1) if torch.rand((), generator=g) < 0.5 else image
    dy, dx = torch.randint(0, 9, (2,), generator=g).tolist()
    h, w = image.shape[2:]
    image = F.pad(image, (4, 4, 4, 4), mode="reflect")
    return image[..., dy : dy + h, dx : dx + w]


KINDS = ("ViT", "convnet")
GROUPS = {
    "left": {p: partial(left, positions=p) for p in ("1d", "none")},
    "permutation": {
        f"{kind} {name}": partial(permutation, kind=kind, mixed=name == "permuted")
        for kind in KINDS
        for name in ("plain", "permuted")
    },
    "data": {
        f"{kind} {n}": partial(data, kind=kind, n=n, steps=steps)
        for n, slow in SIZES
        for kind, steps in (("ViT", slow), ("convnet", 200))
    },
}
if os.environ.get("MMDL_PROFILE") == "gpu":  # its numbers are kept apart
    GROUPS["photographs"] = {
        f"{kind} {n}": partial(photographs, kind=kind, n=n)
        for n in (1000, 5000, 50_000)
        for kind in KINDS
    }

CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("vit", groups=GROUPS, once={"weights": weights}, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
