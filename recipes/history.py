"""Chains of units, dropout, own answers and turned digits, for the chapter on history.

Command: python recipes/history.py      (what is missing, then the claims; or a group)
Expected: about six minutes on a quiet core. A chain of sigmoids does not begin to
learn, dropout keeps wrong labels out. The values stand in results/history.json.
"""

from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import digits, photos, shapes
from mmdl_lib.lab.puzzles import misled, painted, turned
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.metrics.top_k import top_k_accuracy
from mmdl_lib.models.alexnet import AlexNet

BATCH = 64
UNITS = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
# pilot, seed 100: of three rates, fewest steps to 25 % training error with four layers;
# the sigmoid learned there at none, so: its best with one layer
RATES = {"ReLU": 0.03, "tanh": 0.1, "sigmoid": 0.1}


@cache
def flat(split):
    """The 64 pixels of each digit in [-1, 1], and its label."""
    image, label = digits.load(split)
    return digits.to_float(image).flatten(1), label


def chain(sizes, unit, seed, dropout=0.0):
    """Fully connected layers, He's start for ReLU and Glorot's for the others."""
    torch.manual_seed(seed)
    start = nn.init.kaiming_normal_ if unit == "ReLU" else nn.init.xavier_normal_
    layers = []
    for last, next_size in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(last, next_size), UNITS[unit](), nn.Dropout(dropout)]
    net = nn.Sequential(*layers, nn.Linear(sizes[-1], 10))
    for layer in net[::3]:
        start(layer.weight)
        nn.init.zeros_(layer.bias)
    return net


def descend(net, x, label, seed, *, lr, steps, watch):
    """Gradient descent with momentum, as the paper's; `watch(step)` after each."""
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    batches = lab.rows(BATCH, seed, x=x, label=label)
    for step in range(lab.short(steps)):
        net.train()
        batch = batches(step)
        optimizer.zero_grad()
        F.cross_entropy(net(batch["x"]), batch["label"]).backward()
        optimizer.step()
        watch(step + 1)


def slope(net, x, label):
    """How much smaller the first layer's gradient is than the last one's."""
    loss = F.cross_entropy(net(x), label)
    ends = torch.autograd.grad(loss, [net[0].weight, net[-1].weight])
    return (ends[0].norm() / ends[1].norm()).item()


def depth(seed, *, unit, layers):
    """A chain on the digits: its gradient at the start, its errors, its speed."""
    (x, label), test = flat("train"), flat("test")
    net, errors = chain([64] * (layers + 1), unit, seed), []

    def watch(step):
        errors.append(1 - lab.accuracy(net, x, label))

    found = {"slope": slope(net, x, label)}
    descend(net, x, label, seed, lr=RATES[unit], steps=300, watch=watch)
    found |= {"steps": 1 + lab.reached(errors, 0.25), "error": lab.means(errors, 10)}
    return found | {"test": lab.accuracy(net, *test)}


def dropout(seed, *, share):
    """Wrong labels learned by heart, and the test accuracy, every 150 steps."""
    (x, label), test = flat("train"), flat("test")
    told, wrong = misled(label, seed)
    net = chain([64, 512, 512], "ReLU", seed, dropout=share)
    found = {"heart": [], "test": []}

    def watch(step):
        if step % lab.short(150) == 0:
            found["heart"].append(lab.accuracy(net, x[wrong], told[wrong]))
            found["test"].append(lab.accuracy(net, *test))

    descend(net, x, told, seed, lr=0.05, steps=1500, watch=watch)
    return found


def fresh(preset, seed, **sizes):
    torch.manual_seed(seed)
    return AlexNet(replace(AlexNet.PRESETS[preset], **sizes))


@cache
def written(split):
    """Digits at twice their size, three equal channels, and their labels."""
    image, label = digits.load(split)
    image = F.interpolate(digits.to_float(image), scale_factor=2, mode="bilinear")
    return image.repeat(1, 3, 1, 1), label


def taught(seed, *, arm, count=10, steps=80, rounds=4, sure=0.9):
    """Few labels, with or without the net's own sure answers about the rest."""
    (image, label), (test, truth) = written("train"), written("test")
    rows = lab.few(label, count, seed)
    others = ~torch.isin(torch.arange(len(label)), rows)
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


def asked(batch, random):
    """A fresh coat of paint, then the question by how much."""
    return turned(painted(batch["image"], random), random)


@torch.no_grad()
def probes(model, seed, count=100):
    """Test accuracy of a linear classifier on the frozen maps of each layer."""
    (image, label), (test, truth) = written("train"), written("test")
    rows, random = lab.few(label, count, seed), generator(seed)
    image, test, known = (
        painted(image[rows], random),
        painted(test, random),
        label[rows],
    )
    model.eval()
    pairs = zip(model.layers(image), model.layers(test), strict=True)
    return [linear_probe(x.flatten(1), known, y.flatten(1), truth) for x, y in pairs]


def rotation(seed):
    """Training without labels; accuracy at the made-up task, and of the probes."""
    (image, label), test = written("train"), written("test")[0]
    model = fresh("tiny-digits", seed, classes=4)
    random = probes(model, seed)
    batches = lab.rows(BATCH, seed, change=asked, image=image, label=label)
    lab.train(model, batches, steps=600, lr=2e-3, weight_decay=1e-4)
    task = asked({"image": test}, generator(seed))
    right = lab.accuracy(model, task["image"], task["label"])
    return {"task": right, "random": random, "probe": probes(model, seed)}


@cache
def pictures(n, seed):
    """Single objects of 32 x 32, and their numbers among the 64 color-shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include")
    return scenes.render(), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def weights():
    """The tiny preset on all names, for the chapter to load."""
    (image, label), (test, truth) = pictures(20_000, 0), pictures(2000, 9)
    model = fresh("tiny-no-norm", 0)
    options = {"steps": 1000, "lr": 2e-3, "weight_decay": 1e-4}
    lab.train(model, lab.rows(BATCH, 0, image=image, label=label), **options)
    found = lab.logits(model, test)
    lab.save_weights(model, "alexnet")
    return {
        "top_1": top_k_accuracy(found, truth, 1),
        "top_5": top_k_accuracy(found, truth, 5),
        "params": sum(p.numel() for p in model.parameters()),
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
    return turned(torch.stack(crops), random)


def turned_photos():
    """The same net on real crops; nobody labels them."""
    model = fresh("tiny-no-norm", 0, classes=4)
    found = lab.train(model, photo_batches, steps=600, lr=1e-3, weight_decay=1e-4)
    lab.save_weights(model, "alexnet", "photos")
    return {"loss": lab.means(found.losses["loss"], 50)}


GROUPS = {
    "depth": {
        f"{unit}/{layers}": partial(depth, unit=unit, layers=layers)
        for unit in UNITS
        for layers in (1, 2, 4, 8)
    },
    "dropout": {str(share): partial(dropout, share=share) for share in (0.0, 0.5)},
    "pseudo": {arm: partial(taught, arm=arm) for arm in ("labels", "pseudo")},
    "rotation": rotation,
}


def times(run):
    """Steps of tanh over those of ReLU, minus one."""
    slow, fast = (run["depth"][unit]["4"]["steps"] for unit in ("tanh", "ReLU"))
    return slow / fast - 1


def best(run, *, of):
    """The largest of a list: of moments or of layers."""
    for name in of.split("/"):
        run = run[name]
    return max(run)


LISTS = ("dropout/0.0/test", "dropout/0.5/test", "rotation/probe", "rotation/random")
BEST = {f"best of {name}": partial(best, of=name) for name in LISTS}
CLAIMS = lab.read_claims(__file__, **BEST, **{"times as many steps": times})
ONCE = {"weights": weights, "photos": turned_photos}
LAB = lab.Lab("history", groups=GROUPS, once=ONCE, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
