"""Train small plain and residual nets, and the weights that the chapter loads.

Command: python recipes/resnet.py            (all parts)
         python recipes/resnet.py depth      (or options, norm, weights, summary)
Expected: about 20 minutes on one core. Depth raises the training loss of plain nets and
not of residual ones; the tiny net names most of the shapes. The measured values
stand in results/resnet.json.
"""

import sys
import time

import torch
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.record import claim, keep, results
from mmdl_lib.train import fit

TRAIN, TEST, STEPS, BATCH, SEEDS = 8000, 1000, 300, 128, 4
DEPTHS = (8, 20, 56)


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


def batches_of(image, label, seed):
    def batches(step):
        rows = torch.randint(
            len(image), (BATCH,), generator=generator(1_000_003 * seed + step)
        )
        return {"image": shapes.to_float(image[rows]), "label": label[rows]}

    return batches


@torch.no_grad()
def error(model, image, label):
    """Share of wrong names in eval mode."""
    model.eval()
    wrong = [
        (model(shapes.to_float(x)).argmax(1) != y).float()
        for x, y in zip(image.split(500), label.split(500), strict=True)
    ]
    return torch.cat(wrong).mean().item()


def run(seed, sizes, *, change=None):
    """Losses over the training, and the errors at its end."""
    train, test = pictures(TRAIN, seed), pictures(TEST, 50_000 + seed)
    torch.manual_seed(seed)
    model = ResNet(sizes)
    if change:
        change(model)
    batches = batches_of(*train, seed)
    history = fit(model, batches, steps=STEPS, lr=2e-3, weight_decay=1e-4)
    loss = history.losses["loss"]
    return {
        "loss": [round(sum(loss[i : i + 30]) / 30, 4) for i in range(0, STEPS, 30)],
        "train_error": error(model, train[0][:2000], train[1][:2000]),
        "test_error": error(model, *test),
    }


def without_norm(model):
    """Every BatchNorm becomes the identity, and the convolutions get no bias."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())


def depth(seed):
    return {
        block: {str(d): run(seed, config(d, block)) for d in DEPTHS}
        for block in ("plain", "basic")
    }


def options(seed):
    return {o: run(seed, config(20, "basic", o)) for o in "ABC"}


def norm(seed):
    return {
        block: run(seed, config(20, block), change=without_norm)
        for block in ("plain", "basic")
    }


def weights():
    """The tiny preset on clean 32 x 32 pictures, for the chapter to load."""
    image, label = pictures(20_000, 0, style="default", resolution=32)
    torch.manual_seed(0)
    model = ResNet.from_preset("tiny")
    fit(model, batches_of(image, label, 0), steps=600, lr=2e-3, weight_decay=1e-4)
    accuracy = 1 - error(model, *pictures(2000, 9, style="default", resolution=32))
    pretrained.save(model, "resnet")
    return {"accuracy": accuracy, "params": sum(p.numel() for p in model.parameters())}


GROUPS = {"depth": depth, "options": options, "norm": norm}


def summarize():
    """Write the claims beside the runs, where the pages find them."""
    whole = results("resnet")
    runs, kinds = list(whole["depth"].values()), list(whole["options"].values())

    def loss(block, sign):
        return [
            sign * (r[block]["56"]["loss"][-1] - r[block]["8"]["loss"][-1])
            for r in runs
        ]

    def gain(better, worse):
        return [r[worse]["train_error"] - r[better]["train_error"] for r in kinds]

    nats = "Difference of the training loss after 300 steps, in nats."
    error = "Difference of the training error, 20 layers."
    claims = [
        claim(
            "resnet-plain",
            "A deeper plain net has a higher training loss (56 against 8 layers).",
            paper="28.54 against 27.94 % top-1 error with 34 and 18 layers (Table 2)",
            values=loss("plain", 1),
            note=nats,
        ),
        claim(
            "resnet-residual",
            "A deeper residual net has a lower training loss (56 against 8 layers).",
            paper="25.03 against 27.88 % top-1 error with 34 and 18 layers (Table 2)",
            values=loss("basic", -1),
            note=nats,
        ),
        claim(
            "resnet-b-a",
            "Option B beats option A.",
            paper="0.5 points (Table 3)",
            values=gain("B", "A"),
            note=error,
        ),
        claim(
            "resnet-c-b",
            "Option C beats option B.",
            paper="0.3 points (Table 3)",
            values=gain("C", "B"),
            note=error,
        ),
    ]
    keep("resnet", "claims", value=claims)


def main():
    torch.set_num_threads(1)
    for group in sys.argv[1:] or [*GROUPS, "weights", "summary"]:
        began = time.perf_counter()
        if group == "summary":
            summarize()
        elif group == "weights":
            keep("resnet", group, value=weights())
        else:
            for seed in range(SEEDS):
                keep("resnet", group, seed, value=GROUPS[group](seed))
        print(f"{group}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
