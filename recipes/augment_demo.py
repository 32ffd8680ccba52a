"""Export what the demo of augmentation needs: SimCLR's network, and some pictures.

Command: python recipes/augment_demo.py
Expected: half a minute on one core; writes `model.onnx`, `facts.json` and `still.webp`
to `mmdl_lib/demos/augment/`. Run it again after each training:
`tests/demos/test_augment.py` compares the files with the weights.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from simclr import VIEWS, pictures  # the recipe beside this one

from mmdl_lib import demos, pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.views import two_views
from mmdl_lib.demos._export import enlarge, network, pixels, to_image, webp, write
from mmdl_lib.demos._live.augment import Project

OUT = demos.HERE / "augment"
SETS, SIZE, SEED = 3, 16, 80_000
COLORS = replace(VIEWS, jitter=1.0, gray=0.0)
CROP = replace(VIEWS, jitter=0.0, gray=0.0)


def gallery(number):
    """Eight new pictures as in SimCLR's training, no two of one color or shape."""
    image, shape, color = pictures(1000, SEED)
    named = [
        ((shape == s) & (color == c)).nonzero()[number, 0]
        for c, s in enumerate(torch.randperm(8, generator=generator(number)))
    ]
    words = [f"{shapes.COLORS[color[i]]} {shapes.SHAPES[shape[i]]}" for i in named]
    names = [f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in words]
    return names, image[torch.stack(named)]


def export(simclr) -> bytes:
    """`image (n, 3, SIZE, SIZE)` to `projection (n, p)`."""
    image, batch = torch.zeros(2, 3, SIZE, SIZE), torch.export.Dim("n", min=1, max=1024)
    names = ["image"], list(Project.NAMES)
    return network(Project(simclr), (image,), *names, ({0: batch},))


def facts() -> str:
    """Everything but the network, as one JSON text."""
    sets = [
        [{"name": n, "pixels": pixels(p)} for n, p in zip(*gallery(i), strict=True)]
        for i in range(SETS)
    ]
    return json.dumps({"size": SIZE, "sets": sets})


def still() -> bytes:
    """A picture, two views and a view of another one: by crops, and with colors."""
    image = shapes.to_float(gallery(0)[1])
    rows = []
    for settings in (CROP, COLORS):
        first, second = two_views(image, settings, generator=generator(2))
        row = [image[0], first[0], second[0], first[1]]
        tiles = [
            F.pad(enlarge(((x + 1) * 127.5).round().byte(), 140 // SIZE), (4, 4, 4, 4))
            for x in row
        ]
        alpha = F.pad(torch.full_like(tiles[0][:1, 4:-4, 4:-4], 255), (4, 4, 4, 4))
        rows.append(torch.cat([torch.cat([x, alpha]) for x in tiles], 2))
    return webp(to_image(torch.cat(rows, 1)), quality=88)


def main(out: Path = OUT, simclr=None) -> None:
    """Write the three files; of the trained model, unless another one is given."""
    with torch.no_grad():
        write(out / "model.onnx", export(simclr or pretrained.load("simclr")))
        write(out / "facts.json", facts().encode())
        write(out / "still.webp", still())


if __name__ == "__main__":
    main()
