"""Train small Vision Transformers and convnets, and the weights that the chapter loads.

Command: python recipes/vit.py              (all parts)
         python recipes/vit.py weights      (or data, kinds, shift, resolution, student,
                                             summary; data.0 is its first seed)
Expected: about 20 minutes on one core. Little data favors the convnet; the tiny ViT
names nearly all pairs of color and shape. The measured values stand in
results/vit.json.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViT, ViTConfig
from mmdl_lib.record import claim, interval, keep, results
from mmdl_lib.train import fit

STEPS, BATCH = 300, 64
SEEDS, STUDENT_SEEDS = 3, 4
SIZES = (500, 4000, 32_000)
CLEAR = {"resolution": 32, "sizes": (1, 2), "pairs": True}  # what the weights learn
SMALL = ViTConfig(image_size=(16, 16), patch=4, width=64, depth=4, heads=4, classes=8)


def pictures(n, seed, *, resolution=16, sizes=(2,), pairs=False, side=None):
    """Single solid objects, and their number among 8 shapes or 64 color-shape pairs.

    `side` keeps the centers in the left or right half of the picture.
    """
    # enough scenes that n of the wanted kind are among them
    scenes = shapes.sample(40 * n, seed=seed, objects=1, held_out="include")
    good = torch.isin(scenes.size[:, 0], torch.tensor(sizes))
    good &= scenes.texture[:, 0] == 0
    x = scenes.center[:, 0, 0]
    if side:
        good &= x < 15 if side == "left" else x > 17
    scenes = scenes[good.nonzero()[:n, 0]]
    label = scenes.shape[:, 0] + 8 * scenes.color[:, 0] * pairs
    return scenes.render(resolution), label


def convnet(width=16):
    """A residual net of about the ViT's cost: 3 million multiply-adds, as 16 wide."""
    stages = {"block": "basic", "stages": (1, 1, 1), "width": width}
    return ResNet(ResNetConfig(**stages, stem="cifar", classes=8))


def train(model, image, label, seed, *, steps=STEPS, noise=None, lr=1e-3, **options):
    """Equal steps and batches for every model."""

    def batches(step):
        g = generator(1_000_003 * seed + step)
        rows = torch.randint(len(image), (BATCH,), generator=g)
        x = shapes.to_float(image[rows])
        return {"image": noise(x, g) if noise else x, "label": label[rows]}

    return fit(model, batches, steps=steps, lr=lr, weight_decay=0.05, **options)


@torch.no_grad()
def accuracy(model, image, label):
    """Share of right names in eval mode."""
    model.eval()
    pieces = zip(image.split(250), label.split(250), strict=True)
    right = [(model(shapes.to_float(x)).argmax(1) == y).float() for x, y in pieces]
    return round(torch.cat(right).mean().item(), 4)


def run(model, train_set, test_set, seed, **options):
    """Train, then accuracies on new pictures and on those of the training."""
    history = train(model, *train_set, seed, **options)
    loss = history.losses["loss"]
    seen = [part[:2000] for part in train_set]
    return {
        "test": accuracy(model, *test_set),
        "train": accuracy(model, *seen),
        "loss": [round(sum(loss[i : i + 50]) / 50, 4) for i in range(0, len(loss), 50)],
    }


def fresh(kind, seed, **changes):
    torch.manual_seed(seed)
    return convnet() if kind == "convnet" else ViT(replace(SMALL, **changes))


def weights():
    """The tiny preset on 32 x 32 pictures, for the chapter and its demo."""
    image, label = pictures(32_000, 0, **CLEAR)
    torch.manual_seed(0)
    model = ViT.from_preset("tiny")
    path = Path(tempfile.gettempdir()) / "mmdl-vit-weights.pt"
    history = train(model, image, label, 0, steps=1800, checkpoint=path)
    path.unlink(missing_ok=True)
    pretrained.save(model, "vit")
    model = pretrained.load("vit")
    return {
        "accuracy": accuracy(model, *pictures(2000, 9, **CLEAR)),
        "params": sum(p.numel() for p in model.parameters()),
        "seconds": round(history.seconds),
    }


def data(seed):
    """Both models at three sizes of the training set, with equal steps."""
    test, found = pictures(2000, 90_000 + seed), {}
    for n in SIZES:
        train_set = pictures(n, seed)
        for kind in ("ViT", "convnet"):
            found[f"{kind} {n}"] = run(fresh(kind, seed), train_set, test, seed)
    return found


def kinds(seed):
    """Kinds of positions, and the mean instead of a class token."""
    train_set, test = pictures(SIZES[-1], seed), pictures(2000, 90_000 + seed)
    arms = {"none": {"positions": "none"}, "2d": {"positions": "2d"}}
    arms["mean"] = {"pool": "mean"}
    return {
        name: run(fresh("ViT", seed, **arm), train_set, test, seed)
        for name, arm in arms.items()
    }


def shift(seed):
    """Objects on the left in training; in the other half when it counts."""
    train_set, found = pictures(8000, seed, side="left"), {}
    for kind in ("ViT", "convnet"):
        model = fresh(kind, seed)
        same = pictures(1000, 90_000 + seed, side="left")
        found[kind] = run(model, train_set, same, seed)
        other = pictures(1000, 91_000 + seed, side="right")
        found[kind]["right"] = accuracy(model, *other)
    return found


def resolution(seed):
    """From 32 to 48 pixels: positions interpolated, learned anew, or misplaced."""
    larger = CLEAR | {"resolution": 48}
    train_set = pictures(2000, 70_000 + seed, **larger)
    test = pictures(500, 90_000 + seed, **larger)
    found = {}
    for name in ("interpolated", "fresh", "shuffled"):
        model = pretrained.load("vit").resized((48, 48))
        places, g = model.positions.table.data[1:], generator(seed)
        if name == "fresh":
            places.normal_(std=0.02, generator=g)
        if name == "shuffled":
            places.copy_(places[torch.randperm(len(places), generator=g)])
        before = accuracy(model, *test)
        train(model, *train_set, seed, steps=25, lr=3e-4)
        found[name] = {"before": before, "after": accuracy(model, *test)}
    return found


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
    options, found = {"steps": 250}, {}
    torch.manual_seed(seed)
    teacher = convnet(16)
    found["teacher"] = run(teacher, labeled, test, seed, **options)
    with torch.no_grad():
        pieces = unlabeled.split(500)
        pseudo = torch.cat([teacher(shapes.to_float(x)).argmax(1) for x in pieces])
    both = torch.cat([labeled[0], unlabeled]), torch.cat([labeled[1], pseudo])
    arms = {"student": (both, None), "noisy student": (both, noisy)}
    arms["noise alone"] = labeled, noisy
    for name, (train_set, noise) in arms.items():
        torch.manual_seed(seed + 1)
        found[name] = run(convnet(24), train_set, test, seed, noise=noise, **options)
    return found


GROUPS = {
    "data": data,
    "kinds": kinds,
    "shift": shift,
    "resolution": resolution,
    "student": student,
}


def summarize():
    """Write the claims beside the runs, where the pages find them."""
    whole = results("vit")
    runs = {group: list(whole[group].values()) for group in GROUPS}
    small, large = SIZES[0], SIZES[-1]

    def ahead(n):
        """Convnet minus ViT, one number for each seed."""
        pairs = [
            (r[f"convnet {n}"]["test"], r[f"ViT {n}"]["test"]) for r in runs["data"]
        ]
        return [a - b for a, b in pairs]

    def gain(group, better, worse, key="test"):
        return [r[better][key] - r[worse][key] for r in runs[group]]

    def beyond(arm):
        """An arm of `kinds` minus the plain ViT of the same seed."""
        pairs = zip(runs["kinds"], runs["data"], strict=True)
        return [a[arm]["test"] - b[f"ViT {large}"]["test"] for a, b in pairs]

    def same(values):
        """Equal within ten points: yes, undecided ("partly"), or no."""
        _, low, high = interval(values)
        if not low < 0 < high:
            return False
        return True if low > -0.1 and high < 0.1 else "partly"

    lost = [
        (r["ViT"]["test"] - r["ViT"]["right"])
        - (r["convnet"]["test"] - r["convnet"]["right"])
        for r in runs["shift"]
    ]
    closer = [a - b for a, b in zip(ahead(small), ahead(large), strict=True)]
    note = "Difference of accuracies on new pictures."
    rows = [
        ("little", f"With {small} pictures the convnet is ahead of the ViT.")
        + ("ViT-B/32 far below ResNet50 with 9 M pictures (section 4.3)", ahead(small)),
        ("much", f"With {large:,} pictures the ViT is ahead of the convnet.")
        + ("above it with 90 M and more", [-x for x in ahead(large)]),
        ("closer", "The convnet's lead shrinks as the pictures grow in number.")
        + ("Figure 4", closer),
        ("positions", "Positions help.")
        + ("64.2 against 61.4 % (Table 8)", [-x for x in beyond("none")]),
        ("2d", "Positions in two dimensions make no difference.")
        + ("64.0 against 64.2 % (Table 8)", beyond("2d")),
        ("mean", "The mean of the patches is as good as a class token.")
        + ("similar, with a learning rate of its own (appendix D.3)", beyond("mean")),
        ("shift", "On the unseen side the ViT loses more than the convnet.")
        + ("fewer built-in assumptions (section 3.1)", lost),
        ("interpolate", "Fine-tuned, interpolated positions beat random ones.")
        + ("used throughout (section 3.2)",)
        + (gain("resolution", "interpolated", "fresh", "after"),),
        ("misplaced", "Fine-tuned, interpolated positions beat misplaced ones.")
        + ("used throughout (section 3.2)",)
        + (gain("resolution", "interpolated", "shuffled", "after"),),
        ("student", "A noised student beats its teacher.")
        + ("87.4 %, 1.9 points more than without (Xie et al., first version)",)
        + (gain("student", "noisy student", "teacher"),),
        ("plain-student", "A student without noise beats its teacher.")
        + ("performance drops without noise (Xie et al.)",)
        + (gain("student", "student", "teacher"),),
        ("noise", "Noise makes the student better.")
        + ("yes (Xie et al.)", gain("student", "noisy student", "student")),
    ]
    claims = []
    for name, words, paper, values in rows:
        holds = same(values) if name in ("2d", "mean") else None
        facts = {"paper": paper, "values": values, "note": note, "holds": holds}
        claims.append(claim(f"vit-{name}", words, **facts))
    keep("vit", "claims", value=claims)


def main():
    torch.set_num_threads(1)
    for group in sys.argv[1:] or ["weights", *GROUPS, "summary"]:
        began = time.perf_counter()
        if group == "summary":
            summarize()
        elif group == "weights":
            keep("vit", group, value=weights())
        else:
            group, _, only = group.partition(".")
            seeds = STUDENT_SEEDS if group == "student" else SEEDS
            for seed in [int(only)] if only else range(seeds):
                keep("vit", group, seed, value=GROUPS[group](seed))
        print(f"{group}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
