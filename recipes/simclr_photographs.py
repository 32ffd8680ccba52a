"""Do crops and colors teach more than crops alone on photographs? CIFAR-10 at 16 x 16.

Command: python recipes/simclr_photographs.py    (fetches CIFAR-10 if it is not there)
Expected: about 10 minutes a seed on one core; results/simclr_photographs.json. The
book's own run read a JPEG copy of CIFAR-10.
"""

from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.data import cifar10
from mmdl_lib.data.views import Views
from mmdl_lib.lab import unlabeled
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.resnet import ResNetConfig
from mmdl_lib.models.simclr import SimCLR, SimCLRConfig

# a stem of 3 x 3: with ImageNet's, which leaves 4 x 4 of 16 x 16 places, crops with and
# without colors lay within 0.02 (results/simclr.json, photographs)
NET = ResNetConfig(block="basic", stages=(1, 1, 1), width=32, stem="cifar")
COLOR = {"brightness": 0.6, "contrast": 0.6, "saturation": 0.8, "hue": 0.5}
COLOR |= {"jitter": 1.0, "gray": 0.2}
CROP = {"area": (0.4, 1.0), "flip": 0.5}
VIEWS = {"crop": CROP, "color": {"flip": 0.5} | COLOR, "crop and color": CROP | COLOR}
FIT = {"steps": 800, "lr": 3e-3, "weight_decay": 1e-4, "warmup": 0.1}


@cache
def photographs(split, n):
    """CIFAR-10 at 16 x 16, pixels 0 to 255."""
    image, label = cifar10.load(split, download=True)
    return F.avg_pool2d(image[:n].float(), 2).round().to(torch.uint8), label[:n]


def probe(seed, *, views=None):
    """Probe with 8,000 labels, and the contrastive accuracy; untrained by default."""
    torch.manual_seed(seed)
    model, accuracy = SimCLR(SimCLRConfig(encoder=NET, outputs=64)), None
    if views:
        change = unlabeled.pair(Views(**views))
        image = photographs("train", 20_000)[0]
        batches = lab.rows(128, seed, change=change, image=image)
        found = lab.train(model, batches, **FIT).losses["accuracy"]
        accuracy = lab.means(found[-30:], 30)[0]
    known, tested = photographs("train", 8000), photographs("test", 10_000)
    h, h_test = (unlabeled.encode(model, image)[0] for image, _ in (known, tested))
    score = linear_probe(h, known[1], h_test, tested[1], l2=1e-2)
    return {"class": score, "accuracy": accuracy}


GROUPS = {
    "views": {"untrained": probe}
    | {name: partial(probe, views=views) for name, views in VIEWS.items()}
}
LAB = lab.Lab("simclr_photographs", groups=GROUPS, claims=[], least=6)

if __name__ == "__main__":
    LAB.main()
