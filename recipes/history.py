"""Ablations of a tiny AlexNet and the ways to learn, for the chapter on history.

Command: python recipes/history.py            (all that is missing, then the claims)
Groups: relu, norm, dropout, pseudo, rotation, jigsaw, weights, photos, summary.
Expected: about six minutes on one core. ReLU ends lower than tanh, dropout narrows the
gap between training and test. The measured values stand in results/history.json.
"""

import itertools
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F
from einops import rearrange

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import digits, photos, shapes
from mmdl_lib.inside.gabor import gabor_share
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.metrics.top_k import top_k_accuracy
from mmdl_lib.models.alexnet import AlexNet

TRAIN, TEST, STEPS, BATCH = 8000, 1000, 240, 64
RATES, LEVEL = (1e-3, 3e-3), 2.5  # nats of training loss, of 4.16 at the start


@cache
def pictures(n, seed):
    """Single objects of 32 x 32, and their numbers among the 64 color-shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include")
    return scenes.render(), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def fresh(preset, seed, **sizes):
    torch.manual_seed(seed)
    return AlexNet(replace(AlexNet.PRESETS[preset], **sizes))


def run(seed, *, preset, lr, steps=STEPS, train=TRAIN, **sizes):
    """Losses over a training on 64 names, and the errors at its end."""
    (image, label), test = pictures(train, seed), pictures(TEST, 50_000 + seed)
    model = fresh(preset, seed, **sizes)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    history = lab.train(model, batches, steps=steps, lr=lr, weight_decay=1e-4)
    return {
        "loss": lab.means(history.losses["loss"], 10),
        "train_error": 1 - lab.accuracy(model, image[:1000], label[:1000]),
        "test_error": 1 - lab.accuracy(model, *test),
    }


def turned(batch, random):
    """Pictures turned by a multiple of 90 degrees, which is the label."""
    label = torch.randint(4, (len(batch["image"]),), generator=random)
    parts = zip(batch["image"], label.tolist(), strict=True)
    image = torch.stack([x.rot90(k, (1, 2)) for x, k in parts])
    return {"image": image, "label": label}


ORDERS = torch.tensor(list(itertools.permutations(range(4))))


def cut(batch, random):
    """Pictures cut into four tiles and laid in another order, which is the label."""
    label = torch.randint(len(ORDERS), (len(batch["image"]),), generator=random)
    tiles = rearrange(batch["image"], "b c (i h) (j w) -> b (i j) c h w", i=2, j=2)
    tiles = tiles[torch.arange(len(tiles))[:, None], ORDERS[label]]
    image = rearrange(tiles, "b (i j) c h w -> b c (i h) (j w)", i=2, j=2)
    return {"image": image, "label": label}


@cache
def written(split):
    """Digits at twice their size, three equal channels, and their labels."""
    image, label = digits.load(split)
    image = F.interpolate(digits.to_float(image), scale_factor=2, mode="bilinear")
    return image.repeat(1, 3, 1, 1), label


@torch.no_grad()
def probes(model, seed, count=100):
    """Test accuracy of a linear classifier on the frozen maps of each layer."""
    (image, label), (test, truth) = written("train"), written("test")
    rows = lab.few(label, count, seed)
    known, model = label[rows], model.eval()
    pairs = zip(model.layers(image[rows]), model.layers(test), strict=True)
    return [linear_probe(x.flatten(1), known, y.flatten(1), truth) for x, y in pairs]


def pretext(seed, *, change, classes):
    """Training without labels; accuracy at the made-up task, and of the probes."""
    (image, label), (test, truth) = written("train"), written("test")
    model = fresh("tiny-digits", seed, classes=classes)
    random = probes(model, seed)
    batches = lab.rows(BATCH, seed, change=change, image=image, label=label)
    lab.train(model, batches, steps=500, lr=2e-3, weight_decay=1e-4)
    task = change({"image": test, "label": truth}, generator(seed))
    right = lab.accuracy(model, task["image"], task["label"])
    return {"task": right, "random": random, "probe": probes(model, seed)}


def taught(seed, *, count, arm, steps=80, rounds=4, sure=0.9):
    """Few labels, with or without the net's own sure answers about the rest."""
    (image, label), (test, truth) = written("train"), written("test")
    rows = lab.few(label, count, seed)
    others = torch.ones(len(label), dtype=torch.bool)
    others[rows] = False
    model, found = fresh("tiny-digits", seed), []
    pool, known = image[rows], label[rows]
    for number in range(rounds):
        batches = lab.rows(BATCH, 100 * seed + number, image=pool, label=known)
        lab.train(model, batches, steps=steps, lr=1e-3, weight_decay=1e-4)
        found.append({"test": lab.accuracy(model, test, truth)})
        if arm == "pseudo":
            share, guess = lab.logits(model, image[others]).softmax(1).max(1)
            picked = share > sure
            right = (guess == label[others])[picked].tolist()
            found[-1] |= {"kept": picked.float().mean().item()}
            found[-1] |= {"right": sum(right) / len(right) if right else None}
            # half of each batch has labels, the other half the net's own answers
            copies = max(1, len(right) // count)
            pool = torch.cat([*[image[rows]] * copies, image[others][picked]])
            known = torch.cat([*[label[rows]] * copies, guess[picked]])
    return found


def weights():
    """The tiny preset on all names, for the chapter to load."""
    (image, label), (test, truth) = pictures(20_000, 0), pictures(2000, 9)
    model = fresh("tiny-no-norm", 0)
    before = gabor_share(model.convs[0].weight.detach())
    options = {"steps": 1000, "lr": 2e-3, "weight_decay": 1e-4}
    lab.train(model, lab.rows(BATCH, 0, image=image, label=label), **options)
    found = lab.logits(model, test)
    lab.save_weights(model, "alexnet")
    return {
        "top_1": top_k_accuracy(found, truth, 1),
        "top_5": top_k_accuracy(found, truth, 5),
        "params": sum(p.numel() for p in model.parameters()),
        "gabor_before": before.mean().item(),
        "gabor": gabor_share(model.convs[0].weight.detach()).mean().item(),
    }


PHOTOS = ("cat", "coffee", "rocket", "coins", "clock", "brick", "grass", "gravel")


@cache
def photograph(name):
    return F.avg_pool2d(shapes.to_float(photos.load(name)), 2)[0]


def photo_batches(step):
    """Crops of 32 x 32 out of photographs, turned; the turn is the label."""
    random, crops = generator(step), []
    for number in torch.randint(len(PHOTOS), (BATCH,), generator=random).tolist():
        photo = photograph(PHOTOS[number])
        y, x = (torch.randint(n - 31, (), generator=random) for n in photo.shape[1:])
        crops.append(photo[:, y : y + 32, x : x + 32])
    return turned({"image": torch.stack(crops)}, random)


def turned_photos():
    """The same net on real crops; nobody labels them."""
    model = fresh("tiny-no-norm", 0, classes=4)
    history = lab.train(model, photo_batches, steps=600, lr=1e-3, weight_decay=1e-4)
    lab.save_weights(model, "alexnet", "photos")
    share = gabor_share(model.convs[0].weight.detach()).mean().item()
    return {"loss": lab.means(history.losses["loss"], 50), "gabor": share}


# few pictures and many weights behind the maps: 512 hidden neurons
FEW = {"preset": "tiny-no-norm", "lr": 1e-3, "steps": 400, "train": 1000, "hidden": 512}
NORMS = ("tiny-no-norm", "tiny-printed-alpha", "tiny")
GROUPS = {
    # Figure 1: each nonlinearity at several learning rates, and nothing else
    "relu": {
        f"{preset}/{lr}": partial(run, preset=preset, lr=lr)
        for preset in ("tiny-no-norm", "tiny-tanh")
        for lr in RATES
    },
    "norm": {preset: partial(run, preset=preset, lr=2e-3) for preset in NORMS},
    "dropout": {str(share): partial(run, dropout=share, **FEW) for share in (0.0, 0.5)},
    "pseudo": {
        f"{count}/{arm}": partial(taught, count=count, arm=arm)
        for count in (10, 20, 50)
        for arm in ("labels", "pseudo")
    },
    "rotation": partial(pretext, change=turned, classes=4),
    "jigsaw": partial(pretext, change=cut, classes=len(ORDERS)),
}


def steps(run, preset):
    """To the level of the loss, at the better rate."""
    losses = [run["relu"][preset][str(rate)]["loss"] for rate in RATES]
    return 10 * min(lab.reached(loss, LEVEL) for loss in losses)


def times(run):
    """Steps of tanh over those of ReLU, minus one."""
    return steps(run, "tiny-tanh") / steps(run, "tiny-no-norm") - 1


CLAIMS = lab.read_claims(__file__, **{"times as many steps": times})
ONCE = {"weights": weights, "photos": turned_photos}
LAB = lab.Lab("history", groups=GROUPS, once=ONCE, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
