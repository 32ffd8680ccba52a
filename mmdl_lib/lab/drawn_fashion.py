"""Real gray pictures for models that draw without a text, and measures of their draws.

Fashion-MNIST, the first 20,000 pictures for training. A small convnet that learned to
name the ten kinds of clothes, on the same pictures, names what is drawn: so it can be
counted which kinds occur. It must name one of ten even where a person sees nothing, so
how sure it is stands beside.
"""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_image
from mmdl_lib.core import generator
from mmdl_lib.data import fashion
from mmdl_lib.data.fashion import CLASSES, SIDE, to_float
from mmdl_lib.lab.engine import short
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.precision_recall import precision_recall

TRAIN, TEST = 20_000, 4000  # pictures that are used, the first of each file
DRAWN = 2000  # pictures that are measured, and real ones that they are compared with
STEPS, BATCH, SEED = 800, 128, 17  # of the convnet that names
LEAST = 0.1  # of its fair share, from which a kind counts as found, as in `modes`
SHOWN = 20  # first draws that the pages show
# in full, so that only pages which show them depend on them
FILES = {
    "real": "fashion_real.webp",
    "gan": "fashion_gan.webp",
    "dcgan": "fashion_dcgan.webp",
}
COLUMNS = {"found": ("kinds", 1), "sure": ("sure of the kind", 2), "fid": ("FID", 0)}
COLUMNS |= {"precision": ("precision", 2), "recall": ("recall", 2)}
COLUMNS |= {"distance": ("from the nearest", 0)}
FOLDER = Path(fashion.__file__).parent / "_fashion_draws"


@cache
def world(split: str) -> tuple[UInt8[Tensor, "n 1 28 28"], Int[Tensor, " n"]]:
    """Pictures and labels; MMDL_FASHION may name another folder of the files."""
    count = short(TRAIN if split == "train" else TEST, least=80)
    image, label = fashion.load(split, os.environ.get("MMDL_FASHION", fashion.ROOT))
    return image[:count], label[:count]


class Namer(nn.Module):
    """Two convolutions and two layers: 64 features, ten logits."""

    def __init__(self):
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 64),
            nn.ReLU(),
        )
        self.name = nn.Linear(64, len(CLASSES))

    def forward(self, image: Float[Tensor, "b 1 28 28"]) -> Float[Tensor, "b k"]:
        """Logits of the kinds."""
        return self.name(self.see(image))


@cache
@torch.enable_grad()  # whoever asks first may ask without gradients
def namer() -> Namer:
    """The convnet that names, trained here in seconds, always from the same start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        net = Namer()
    image, label = world("train")
    optimizer, random = torch.optim.Adam(net.parameters(), lr=2e-3), generator(SEED)
    steps = short(STEPS)
    for step in range(steps):
        row = torch.randint(len(image), (BATCH,), generator=random)
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        optimizer.zero_grad()
        F.cross_entropy(net(to_float(image[row])), label[row]).backward()
        optimizer.step()
    return net.eval()


@torch.no_grad()
def features(image: Float[Tensor, "b 1 28 28"]) -> Features:
    """What `namer` sees before it names."""
    check_image(image)
    found = torch.cat([namer().see(part) for part in image.split(500)])
    return Features(found, f"convnet that names Fashion-MNIST, {STEPS} steps")


class Kinds(NamedTuple):
    """What pictures were named."""

    share: list[float]  # of each kind, summing to 1
    found: int  # kinds with at least `LEAST` of a tenth
    sure: float  # mean probability of the name that was given


@torch.no_grad()
def kinds(image: Float[Tensor, "b 1 28 28"]) -> Kinds:
    """Which of the ten kinds occur."""
    said = namer().name(features(image).values).softmax(1)
    share = said.argmax(1).bincount(minlength=len(CLASSES)) / len(image)
    found = int((share >= LEAST / len(CLASSES)).sum())
    return Kinds(share.tolist(), found, said.amax(1).mean().item())


def nearest(
    image: Float[Tensor, "b 1 28 28"],
) -> tuple[Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Distance to the nearest training picture, and its row.

    Root mean square difference of pixels from 0 to 255.
    """
    known = to_float(world("train")[0]).flatten(1)
    parts = [torch.cdist(x, known).min(1) for x in image.flatten(1).split(250)]
    far = torch.cat([part.values for part in parts]) * 127.5 / SIDE
    return far, torch.cat([part.indices for part in parts])


def measured(image: Float[Tensor, "b 1 28 28"]) -> dict:
    """All measures of draws, beside as many real pictures of the test file."""
    image = image.clamp(-1, 1)
    real = features(to_float(world("test")[0][: short(DRAWN, least=40)]))
    fake, found = features(image), kinds(image)
    near = precision_recall(real, fake)
    return found._asdict() | {
        "fid": fid(real, fake).value,
        "precision": near.precision,
        "recall": near.recall,
        "distance": nearest(image)[0].median().item(),
    }


def baseline() -> dict:
    """The same measures of other real pictures, and of a control that knows each
    pixel's mean and deviation and nothing else; how often `namer` is right."""
    count = short(DRAWN, least=40)
    image, label = (x[-count:] for x in world("test"))
    real = to_float(image)
    said = namer().name(features(real).values).argmax(1)
    known = to_float(world("train")[0])
    random = torch.randn(real.shape, generator=generator(SEED))
    noise = known.mean(0) + known.std(0) * random
    right = (said == label).double().mean().item()
    return {"right": right, "real": measured(real), "pixels": measured(noise)}


# pictures that the pages show


def save(kind: str, image: Float[Tensor, "n 1 28 28"]) -> None:
    """Keep a row of pictures and, below, the training pictures nearest to them."""
    from PIL import Image

    check_choice("kind", kind, tuple(FILES))
    near = world("train")[0][nearest(image.clamp(-1, 1))[1]]
    drawn = ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    rows = torch.stack([drawn, near])[:, :, 0]
    both = rows.permute(0, 2, 1, 3).flatten(2).flatten(0, 1).contiguous().numpy()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / FILES[kind]
    Image.fromarray(both).save(path, lossless=True, quality=100, method=6)


def shown(kind: str) -> UInt8[Tensor, "two n 3 28 28"]:
    """What `save` kept: draws, and the training pictures nearest to them.

    Raises:
        ValueError: another kind, or a missing or damaged file.
    """
    from PIL import Image

    check_choice("kind", kind, tuple(FILES))
    path = FOLDER / FILES[kind]
    try:
        with Image.open(path) as picture:
            both = torch.from_numpy(np.asarray(picture.convert("RGB")).copy())
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"{path} expected pictures of clothes, got a missing or damaged file: run "
            "`python recipes/fashion_gans.py`."
        ) from error
    both = both.unflatten(1, (-1, SIDE)).unflatten(0, (2, SIDE))
    return both.permute(0, 2, 4, 1, 3).contiguous()


def samples() -> Float[Tensor, "n 1 28 28"]:
    """The first two test pictures of each kind."""
    image, label = world("test")
    rows = [(label == k).nonzero()[:2, 0] for k in range(len(CLASSES))]
    return to_float(image[torch.cat(rows)])


def table(found: dict, names: dict[str, str]) -> list[dict]:
    """What was measured, as rows for readers; of several trainings the means.

    Args:
        found: what the recipe keeps.
        names: of its models, by group.
    """
    labels = {"real": "real pictures", "pixels": "each pixel by itself"}
    runs = {label: [found["real"][key]] for key, label in labels.items()}
    runs |= {label: list(found[key].values()) for key, label in names.items()}
    rows = []
    for label, some in runs.items():
        row = {"2,000 pictures": label}
        for key, (name, digits) in COLUMNS.items():
            mean = sum(run[key] for run in some) / len(some)
            row[name] = round(mean, digits) if digits else round(mean)
        shares = [[f(run["share"]) for run in some] for f in (min, max)]
        rarest, most = (round(sum(x) / len(x), 2) for x in shares)
        rows.append(row | {"rarest kind": rarest, "most frequent": most})
    return rows
