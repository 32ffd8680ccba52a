"""Does a small convnet also lead a small ViT on few photographs? CIFAR-10 at 16 x 16.

Command: python recipes/vit_photographs.py    (fetches CIFAR-10 if it is not there)
Expected: about 20 minutes on one core; results/vit_photographs.json. The book's own run
read a JPEG copy of CIFAR-10.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.data import cifar10
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViT, ViTConfig

BATCH = 64
# photographs: steps of ViT and convnet; rates: the best of three and of two on seed 100
SIZES = {1000: (800, 400), 4000: (1600, 800), 16_000: (2400, 1200)}
RATE = {"ViT": 2e-3, "convnet": 1e-2}
VIT = ViTConfig(image_size=(16, 16), patch=4, width=64, depth=4, heads=4, classes=10)
NET = ResNetConfig(block="basic", stages=(1, 1, 1), width=24, stem="cifar", classes=10)


@cache
def photographs(split):
    """CIFAR-10 at 16 x 16, pixels 0 to 255."""
    image, label = cifar10.load(split, download=True)
    return F.avg_pool2d(image.float(), 2).round().to(torch.uint8), label


def shifted(batch, random):
    """Each batch mirrored or not, and shifted by up to two pixels."""
    image = batch["image"]
    if torch.rand((), generator=random) < 0.5:
        image = image.flip(-1)
    dy, dx = torch.randint(5, (2,), generator=random).tolist()
    image = F.pad(image, (2, 2, 2, 2), mode="reflect")[..., dy : dy + 16, dx : dx + 16]
    return batch | {"image": image}


def data(seed, *, kind, n):
    """Accuracies after training on n photographs, equal ones for both kinds."""
    image, label = photographs("train")
    order = torch.randperm(len(image), generator=torch.Generator().manual_seed(seed))[
        :n
    ]
    image, label = image[order], label[order]
    torch.manual_seed(seed)
    model = ViT(VIT) if kind == "ViT" else ResNet(NET)
    batches = lab.rows(BATCH, seed, change=shifted, image=image, label=label)
    steps = SIZES[n][kind == "convnet"]
    options = {"lr": RATE[kind], "weight_decay": 0.05, "warmup": 0.1}
    history = lab.train(model, batches, steps=steps, **options)
    return {
        "test": lab.accuracy(model, *photographs("test")),
        "train": lab.accuracy(model, image[:2000], label[:2000]),
        "loss": lab.means(history.losses["loss"], steps // 20),
    }


GROUPS = {
    "data": {
        f"{kind} {n}": partial(data, kind=kind, n=n) for n in SIZES for kind in RATE
    }
}
LAB = lab.Lab("vit_photographs", groups=GROUPS, claims=[], least=6)

if __name__ == "__main__":
    LAB.main()
