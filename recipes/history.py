"""Ablations of a tiny AlexNet and the ways to learn, for the chapter on history.

Command: python recipes/history.py            (all parts)
         python recipes/history.py relu       (or norm, dropout, pseudo, rotation,
                                               jigsaw, weights, photos, summary)
         python recipes/history.py relu.0     (one seed of a part)
Expected: about six minutes on one core. ReLU ends lower than tanh, dropout narrows the
gap between training and test, pseudo-labels help a little, puzzles are solved without
better features. The tiny net names 89 % of the pictures. The measured values stand in
results/history.json.
"""

import functools
import itertools
import sys
import time
from dataclasses import replace

import skimage.data
import torch
import torch.nn.functional as F
from einops import rearrange

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import digits, shapes
from mmdl_lib.inside.gabor import gabor_share
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.metrics.top_k import top_k_accuracy
from mmdl_lib.models.alexnet import AlexNet
from mmdl_lib.record import claim, keep, results
from mmdl_lib.train import fit

TRAIN, TEST, STEPS, BATCH = 8000, 1000, 240, 64
RATES = (1e-3, 3e-3)
LEVEL = 2.5  # nats of training loss, of 4.16 at the start


def pictures(n, seed):
    """Scenes of a single object, and their pictures of 32 x 32."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include")
    return scenes, scenes.render()


def names(scenes):
    """The number of each picture's name among the 64 pairs of color and shape."""
    return 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def batches_of(image, label, seed, *, change=None):
    """Random rows, a pure function of the step; `change` makes another task of them."""

    def batches(step):
        random = generator(1_000_003 * seed + step)
        rows = torch.randint(len(image), (BATCH,), generator=random)
        batch = {"image": floats(image[rows]), "label": label[rows]}
        return change(batch, random) if change else batch

    return batches


def floats(image):
    return image if image.is_floating_point() else shapes.to_float(image)


@torch.no_grad()
def logits_of(model, image):
    model.eval()
    return torch.cat([model(floats(part)) for part in image.split(500)])


def error(model, image, label):
    return (logits_of(model, image).argmax(1) != label).float().mean().item()


def fresh(preset, seed, **sizes):
    torch.manual_seed(seed)
    return AlexNet(replace(AlexNet.PRESETS[preset], **sizes))


def smooth(loss, every=10):
    means = [sum(loss[i : i + every]) / every for i in range(0, len(loss), every)]
    return [round(x, 4) for x in means]


def run(preset, seed, *, lr, steps=STEPS, train=TRAIN, **sizes):
    """Losses over a training on 64 names, and the errors at its end."""
    scenes, image = pictures(train, seed)
    test, test_image = pictures(TEST, 50_000 + seed)
    model = fresh(preset, seed, **sizes)
    batches = batches_of(image, names(scenes), seed)
    history = fit(model, batches, steps=steps, lr=lr, weight_decay=1e-4)
    return {
        "loss": smooth(history.losses["loss"]),
        "train_error": error(model, image[:1000], names(scenes)[:1000]),
        "test_error": error(model, test_image, names(test)),
    }


def turned(batch, random):
    """Pictures turned by a multiple of 90 degrees, which is the label."""
    label = torch.randint(4, (len(batch["image"]),), generator=random)
    parts = zip(batch["image"], label.tolist(), strict=True)
    return {
        "image": torch.stack([x.rot90(k, (1, 2)) for x, k in parts]),
        "label": label,
    }


ORDERS = torch.tensor(list(itertools.permutations(range(4))))


def cut(batch, random):
    """Pictures cut into four tiles and laid in another order, which is the label."""
    label = torch.randint(len(ORDERS), (len(batch["image"]),), generator=random)
    tiles = rearrange(batch["image"], "b c (i h) (j w) -> b (i j) c h w", i=2, j=2)
    tiles = tiles[torch.arange(len(tiles))[:, None], ORDERS[label]]
    image = rearrange(tiles, "b (i j) c h w -> b c (i h) (j w)", i=2, j=2)
    return {"image": image, "label": label}


@functools.cache
def written(split):
    """Digits at twice their size, three equal channels, and their labels."""
    image, label = digits.load(split)
    image = F.interpolate(digits.to_float(image), scale_factor=2, mode="bilinear")
    return image.repeat(1, 3, 1, 1), label


def few(label, count, seed):
    """Rows of `count` labeled examples, equally many of each digit."""
    order = torch.randperm(len(label), generator=generator(seed))
    return torch.cat([order[label[order] == k][: count // 10] for k in range(10)])


@torch.no_grad()
def probes(model, seed, count=100):
    """Test accuracy of a linear classifier on the frozen maps of each layer."""
    (image, label), (test, truth) = written("train"), written("test")
    rows = few(label, count, seed)
    model.eval()
    pairs = zip(model.layers(image[rows]), model.layers(test), strict=True)
    return [
        linear_probe(x.flatten(1), label[rows], y.flatten(1), truth) for x, y in pairs
    ]


def pretext(seed, change, classes):
    """Training without labels; accuracy at the made-up task, and of the probes."""
    (image, label), (test, truth) = written("train"), written("test")
    model = fresh("tiny-digits", seed, classes=classes)
    random = probes(model, seed)
    batches = batches_of(image, label, seed, change=change)
    fit(model, batches, steps=500, lr=2e-3, weight_decay=1e-4)
    task = change({"image": test, "label": truth}, generator(seed))
    right = (logits_of(model, task["image"]).argmax(1) == task["label"]).float()
    return {"task": right.mean().item(), "random": random, "probe": probes(model, seed)}


def rotation(seed):
    return pretext(seed, turned, 4)


def jigsaw(seed):
    return pretext(seed, cut, len(ORDERS))


def relu(seed):
    """Figure 1: each nonlinearity at several learning rates, and nothing else."""
    return {
        preset: {str(lr): run(preset, seed, lr=lr) for lr in RATES}
        for preset in ("tiny-no-norm", "tiny-tanh")
    }


def norm(seed):
    presets = ("tiny-no-norm", "tiny-printed-alpha", "tiny")
    return {preset: run(preset, seed, lr=2e-3) for preset in presets}


def dropout(seed):
    """Few pictures and many weights behind the maps: 512 hidden neurons."""
    sizes = {"lr": 1e-3, "steps": 400, "train": 1000, "hidden": 512}
    return {
        str(share): run("tiny-no-norm", seed, dropout=share, **sizes)
        for share in (0.0, 0.5)
    }


def pseudo(seed):
    return {str(n): {arm: taught(seed, n, arm) for arm in ARMS} for n in (10, 20, 50)}


ARMS = ("labels", "pseudo")


def taught(seed, count, arm, *, steps=80, rounds=4, sure=0.9):
    """Few labels, with or without the net's own sure answers about the rest."""
    (image, label), (test, truth) = written("train"), written("test")
    rows = few(label, count, seed)
    others = torch.ones(len(label), dtype=torch.bool)
    others[rows] = False
    model, found = fresh("tiny-digits", seed), []
    pool, known = image[rows], label[rows]
    for number in range(rounds):
        batches = batches_of(pool, known, 100 * seed + number)
        fit(model, batches, steps=steps, lr=1e-3, weight_decay=1e-4)
        found.append({"test": 1 - error(model, test, truth)})
        if arm == "pseudo":
            share, guess = logits_of(model, image[others]).softmax(1).max(1)
            picked = share > sure
            right = (guess == label[others])[picked].float()
            found[-1] |= {"kept": picked.float().mean().item()}
            found[-1] |= {"right": right.mean().item() if len(right) else None}
            # half of each batch has labels, the other half the net's own answers
            copies = max(1, len(right) // count)
            pool = torch.cat([*[image[rows]] * copies, image[others][picked]])
            known = torch.cat([*[label[rows]] * copies, guess[picked]])
    return found


def weights():
    """The tiny preset on all names, for the chapter to load."""
    scenes, image = pictures(20_000, 0)
    test, test_image = pictures(2000, 9)
    model = fresh("tiny-no-norm", 0)
    before = gabor_share(model.convs[0].weight.detach())
    batches = batches_of(image, names(scenes), 0)
    fit(model, batches, steps=1000, lr=2e-3, weight_decay=1e-4)
    found = logits_of(model, test_image)
    pretrained.save(model, "alexnet")
    return {
        "top_1": top_k_accuracy(found, names(test), 1),
        "top_5": top_k_accuracy(found, names(test), 5),
        "params": sum(p.numel() for p in model.parameters()),
        "gabor_before": before.mean().item(),
        "gabor": gabor_share(model.convs[0].weight.detach()).mean().item(),
    }


PHOTOS = ("chelsea", "coffee", "rocket", "coins", "clock", "brick", "grass", "gravel")


def photo_batches(step):
    """Crops of 32 x 32 out of photographs, turned; the turn is the label."""
    random, crops = generator(step), []
    for number in torch.randint(len(PHOTOS), (BATCH,), generator=random).tolist():
        photo = photograph(PHOTOS[number])
        y, x = (
            int(torch.randint(n - 31, (), generator=random)) for n in photo.shape[1:]
        )
        crops.append(photo[:, y : y + 32, x : x + 32])
    return turned({"image": torch.stack(crops)}, random)


@functools.cache
def photograph(name):
    """A photograph of scikit-image at half its size, (3, h, w) in [-1, 1]."""
    pixels = torch.from_numpy(getattr(skimage.data, name)()).float() / 127.5 - 1
    pixels = pixels[..., None].expand(-1, -1, 3) if pixels.ndim == 2 else pixels
    return F.avg_pool2d(pixels.permute(2, 0, 1), 2)


def photos():
    """The same net on real crops; nobody labels them."""
    model = fresh("tiny-no-norm", 0, classes=4)
    history = fit(model, photo_batches, steps=600, lr=1e-3, weight_decay=1e-4)
    pretrained.save(model, "alexnet", "photos")
    share = gabor_share(model.convs[0].weight.detach()).mean().item()
    return {"loss": smooth(history.losses["loss"], 50), "gabor": share}


GROUPS = {"relu": relu, "norm": norm, "dropout": dropout, "pseudo": pseudo}
GROUPS |= {"rotation": rotation, "jigsaw": jigsaw}
SEEDS = {"relu": 3, "norm": 3, "dropout": 3, "pseudo": 4, "rotation": 4, "jigsaw": 4}
ONCE = {"weights": weights, "photos": photos}


def reached(loss, level):
    """Steps until the smoothed loss is at a level; one point more if it never is."""
    return 10 * next((i for i, x in enumerate(loss) if x <= level), len(loss))


def summarize():
    """Write the claims beside the runs, where the pages find them."""
    whole = results("history")

    def runs(group):
        return list(whole[group].values())

    def fastest(run, preset):
        return min(reached(run[preset][str(lr)]["loss"], LEVEL) for lr in RATES)

    def gap(run, share):
        return run[share]["test_error"] - run[share]["train_error"]

    claims = [
        claim(
            "history-relu",
            "A net with ReLU learns faster than one with tanh.",
            paper="six times faster to 25 % training error on CIFAR-10 (Figure 1)",
            values=[
                fastest(r, "tiny-tanh") / fastest(r, "tiny-no-norm") - 1
                for r in runs("relu")
            ],
            note="Steps of tanh over those of ReLU to a training loss of "
            f"{LEVEL} nats, each at its best of two learning rates, minus one.",
        ),
        claim(
            "history-dropout",
            "Dropout narrows the gap between training and test.",
            paper="without it the net overfits substantially (section 4.2)",
            values=[gap(r, "0.0") - gap(r, "0.5") for r in runs("dropout")],
            note="Difference of the gaps of test and training error, 1,000 pictures.",
        ),
        claim(
            "history-dropout-test",
            "Dropout lowers the test error.",
            paper="no number; it is used in two layers (section 4.2)",
            values=[
                r["0.0"]["test_error"] - r["0.5"]["test_error"] for r in runs("dropout")
            ],
            note="Difference of the test error, 1,000 pictures, 400 steps.",
        ),
        claim(
            "history-norm",
            "Response normalization lowers the test error.",
            paper="13 to 11 % on CIFAR-10, 1.4 points on ImageNet (section 3.3)",
            values=[
                r["tiny-no-norm"]["test_error"] - r["tiny"]["test_error"]
                for r in runs("norm")
            ],
            note="Difference of the test error after 240 steps, alpha rescaled.",
        ),
        claim(
            "history-pseudo",
            "Pseudo-labels beat the same 10 labels alone.",
            paper="the paper reports fewer errors on MNIST with few labels",
            values=[
                r["10"]["pseudo"][-1]["test"] - r["10"]["labels"][-1]["test"]
                for r in runs("pseudo")
            ],
            note="Difference of the accuracy on ten digits, one label for each.",
        ),
        claim(
            "history-rotation",
            "Predicting rotations teaches features.",
            paper="54.4 % mAP on VOC 2007, 2.4 below supervised features (abstract)",
            values=[r["probe"][2] - r["random"][2] for r in runs("rotation")],
            note="Probe of layer 3 with 100 labels, minus that of random weights.",
        ),
        claim(
            "history-jigsaw",
            "Solving jigsaws teaches features.",
            paper="51.8 % mAP on VOC 2007, supervised features 56.5 % (abstract)",
            values=[r["probe"][2] - r["random"][2] for r in runs("jigsaw")],
            note="Probe of layer 3 with 100 labels, minus that of random weights.",
        ),
    ]
    keep("history", "claims", value=claims)


def main():
    torch.set_num_threads(1)
    for group in sys.argv[1:] or [*GROUPS, *ONCE, "summary"]:
        began = time.perf_counter()
        if group == "summary":
            summarize()
        elif group in ONCE:
            keep("history", group, value=ONCE[group]())
        else:
            group, _, only = group.partition(".")
            for seed in [int(only)] if only else range(SEEDS[group]):
                keep("history", group, seed, value=GROUPS[group](seed))
        print(f"{group}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
