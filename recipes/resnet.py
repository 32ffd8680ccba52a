"""Train small plain and residual nets, and the weights that the chapter loads.

Command: python recipes/resnet.py            (all that is missing, then the claims)
         python recipes/resnet.py depth      (or options, norm, weights, summary)
Expected: about 20 minutes on one core. Depth raises the training loss of plain nets and
not of residual ones; the tiny net names most of the shapes. The measured values
stand in results/resnet.json.
"""

from functools import cache, partial

import torch
from torch import nn

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.lab.unlabeled import replace_norms
from mmdl_lib.models.resnet import ResNet, ResNetConfig

TRAIN, TEST, STEPS, BATCH = 8000, 1000, 300, 128
DEPTHS = (8, 20, 56)


@cache
def pictures(n, seed, *, style="noisy", resolution=16):
    """Single objects and their number among the 64 color x shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include", style=style)
    return scenes.render(resolution), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def config(depth, block, shortcut="A"):
    """The paper's nets for CIFAR, 6n + 2 layers, at half the width."""
    n = (depth - 2) // 6
    return ResNetConfig(
        block=block,
        stages=(n, n, n),
        width=8,
        stem="cifar",
        shortcut=shortcut,
        classes=64,
    )


def identity(channels):
    """Instead of BatchNorm; the convolutions get no bias."""
    return nn.Identity()


def run(seed, sizes, *, norm=None):
    """Losses over the training, and the errors at its end."""
    (image, label), test = pictures(TRAIN, seed), pictures(TEST, 50_000 + seed)
    torch.manual_seed(seed)
    model = ResNet(sizes)
    if norm:
        replace_norms(model, norm)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    history = lab.train(model, batches, steps=STEPS, lr=2e-3, weight_decay=1e-4)
    return {
        "loss": lab.means(history.losses["loss"], 30),
        "train_error": 1 - lab.accuracy(model, image[:2000], label[:2000]),
        "test_error": 1 - lab.accuracy(model, *test),
    }


def weights():
    """The tiny preset on clean 32 x 32 pictures, for the chapter to load."""
    image, label = pictures(20_000, 0, style="default", resolution=32)
    torch.manual_seed(0)
    model = ResNet.from_preset("tiny")
    batches = lab.rows(BATCH, 0, image=image, label=label)
    lab.train(model, batches, steps=600, lr=2e-3, weight_decay=1e-4)
    accuracy = lab.accuracy(model, *pictures(2000, 9, style="default", resolution=32))
    lab.save_weights(model, "resnet")
    return {"accuracy": accuracy, "params": sum(p.numel() for p in model.parameters())}


GROUPS = {
    "depth": {
        f"{block}/{d}": partial(run, sizes=config(d, block))
        for block in ("plain", "basic")
        for d in DEPTHS
    },
    "options": {o: partial(run, sizes=config(20, "basic", o)) for o in "ABC"},
    "norm": {
        block: partial(run, sizes=config(20, block), norm=identity)
        for block in ("plain", "basic")
    },
}

CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("resnet", groups=GROUPS, once={"weights": weights}, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
