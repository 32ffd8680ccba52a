"""Train small Vision Transformers and convnets, and the weights that the chapter loads.

Command: python recipes/vit.py              (all that is missing, then the claims)
         python recipes/vit.py data         (or kinds, shift, resolution, student,
                                             weights, summary; data:0 is its first seed)
Expected: about 20 minutes on one core. Little data favors the convnet; the tiny ViT
names nearly all pairs of color and shape. The measured values stand in
results/vit.json.
"""

import tempfile
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F

from mmdl_lib import lab, pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViT, ViTConfig

STEPS, BATCH = 300, 64
SIZES = (500, 4000, 32_000)
CLEAR = {
    "resolution": 32,
    "sizes": ("medium", "large"),
    "pairs": True,
}  # what the weights learn
HALF = {None: (0, 32), "left": (0, 15), "right": (17, 32)}
SMALL = ViTConfig(image_size=(16, 16), patch=4, width=64, depth=4, heads=4, classes=8)


@cache
def pictures(n, seed, *, resolution=16, sizes="large", pairs=False, side=None):
    """Single solid objects, and their number among 8 shapes or 64 color-shape pairs.

    `side` keeps the centers in the left or right half of the picture.
    """
    options = {"objects": 1, "sizes": sizes, "textures": "solid", "x": HALF[side]}
    scenes = shapes.sample(n, seed=seed, held_out="include", **options)
    label = scenes.shape[:, 0] + 8 * scenes.color[:, 0] * pairs
    return scenes.render(resolution), label


def convnet(width=16):
    """A residual net of about the ViT's cost: 3 million multiply-adds, as 16 wide."""
    stages = {"block": "basic", "stages": (1, 1, 1), "width": width}
    return ResNet(ResNetConfig(**stages, stem="cifar", classes=8))


def train(model, image, label, seed, *, steps=STEPS, noise=None, lr=1e-3, **options):
    """Equal steps and batches for every model."""

    def change(batch, random):
        return batch | {"image": noise(batch["image"], random)}

    change = change if noise else None
    batches = lab.rows(BATCH, seed, change=change, image=image, label=label)
    return lab.train(model, batches, steps=steps, lr=lr, weight_decay=0.05, **options)


def run(model, train_set, test_set, seed, **options):
    """Train, then accuracies on new pictures and on those of the training."""
    history = train(model, *train_set, seed, **options)
    return {
        "test": lab.accuracy(model, *test_set),
        "train": lab.accuracy(model, *(part[:2000] for part in train_set)),
        "loss": lab.means(history.losses["loss"], 50),
    }


def fresh(kind, seed, **changes):
    torch.manual_seed(seed)
    return convnet() if kind == "convnet" else ViT(replace(SMALL, **changes))


def weights():
    """The tiny preset on 32 x 32 pictures, for the chapter and its demo."""
    torch.manual_seed(0)
    model = ViT.from_preset("tiny")
    path = Path(tempfile.gettempdir()) / "mmdl-vit-weights.pt"
    history = train(
        model, *pictures(32_000, 0, **CLEAR), 0, steps=1800, checkpoint=path
    )
    path.unlink(missing_ok=True)
    lab.save_weights(model, "vit")
    return {
        "accuracy": lab.accuracy(pretrained.load("vit"), *pictures(2000, 9, **CLEAR)),
        "params": sum(p.numel() for p in model.parameters()),
        "seconds": round(history.seconds),
    }


def data(seed, *, kind, n, **changes):
    """A model at some size of the training set, with equal steps for all sizes."""
    test = pictures(2000, 90_000 + seed)
    return run(fresh(kind, seed, **changes), pictures(n, seed), test, seed)


def shift(seed, *, kind):
    """Objects on the left in training; in the other half when it counts."""
    same, other = (
        pictures(1000, first + seed, side=side)
        for first, side in ((90_000, "left"), (91_000, "right"))
    )
    model = fresh(kind, seed)
    found = run(model, pictures(8000, seed, side="left"), same, seed)
    return found | {"right": lab.accuracy(model, *other)}


def resolution(seed, *, name):
    """From 32 to 48 pixels: positions interpolated, learned anew, or misplaced."""
    larger = CLEAR | {"resolution": 48}
    test = pictures(500, 90_000 + seed, **larger)
    model = pretrained.load("vit").resized((48, 48))
    places, g = model.positions.table.data[1:], generator(seed)
    if name == "fresh":
        places.normal_(std=0.02, generator=g)
    if name == "shuffled":
        places.copy_(places[torch.randperm(len(places), generator=g)])
    before = lab.accuracy(model, *test)
    train(model, *pictures(2000, 70_000 + seed, **larger), seed, steps=25, lr=3e-4)
    return {"before": before, "after": lab.accuracy(model, *test)}


def noisy(image, g):
    """Shift by up to two pixels, change the brightness, hide a square."""
    b, _, h, w = image.shape
    dy, dx = torch.randint(0, 5, (2,), generator=g).tolist()
    image = F.pad(image, (2, 2, 2, 2), mode="replicate")[..., dy : dy + h, dx : dx + w]
    image = image + 0.4 * (torch.rand(b, 1, 1, 1, generator=g) - 0.5)
    y, x = torch.randint(0, h - 4, (2, b, 1, 1, 1), generator=g)
    rows, columns = torch.arange(h).view(1, 1, -1, 1), torch.arange(w)
    hidden = (rows >= y) & (rows < y + 4) & (columns >= x) & (columns < x + 4)
    return image.masked_fill(hidden, 0.0).clamp(-1, 1)


def student(seed):
    """Teacher on 300 labels; students on its answers to 8,000 more pictures."""
    labeled, test = pictures(300, seed), pictures(2000, 90_000 + seed)
    unlabeled = pictures(8000, 50_000 + seed)[0]
    options = {"steps": 250}
    torch.manual_seed(seed)
    teacher = convnet(16)
    found = {"teacher": run(teacher, labeled, test, seed, **options)}
    pseudo = lab.logits(teacher, unlabeled).argmax(1)
    both = torch.cat([labeled[0], unlabeled]), torch.cat([labeled[1], pseudo])
    arms = {"student": (both, None), "noisy student": (both, noisy)}
    arms["noise alone"] = labeled, noisy
    for name, (train_set, noise) in arms.items():
        torch.manual_seed(seed + 1)
        found[name] = run(convnet(24), train_set, test, seed, noise=noise, **options)
    return found


KINDS = {"none": {"positions": "none"}, "2d": {"positions": "2d"}}
KINDS["mean"] = {"pool": "mean"}
GROUPS = {
    "data": {
        f"{kind} {n}": partial(data, kind=kind, n=n)
        for n in SIZES
        for kind in ("ViT", "convnet")
    },
    "kinds": {
        name: partial(data, kind="ViT", n=SIZES[-1], **changes)
        for name, changes in KINDS.items()
    },
    "shift": {kind: partial(shift, kind=kind) for kind in ("ViT", "convnet")},
    "resolution": {
        name: partial(resolution, name=name)
        for name in ("interpolated", "fresh", "shuffled")
    },
    "student": student,
}

CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("vit", groups=GROUPS, once={"weights": weights}, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
