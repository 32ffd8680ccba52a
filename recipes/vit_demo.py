"""Export what the demo of ViT needs: the network with its attention, and some pictures.

Command: python recipes/vit_demo.py
Expected: half a minute on one core; writes `model.onnx`, `facts.json` and `still.webp`
to `mmdl_lib/demos/vit/`. Run it again after each training: `tests/demos/test_vit.py`
compares the files with the weights.
"""

import json
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from mmdl_lib import demos, pretrained
from mmdl_lib.data import shapes
from mmdl_lib.demos._export import enlarge, network, pixels, to_image, webp, write
from mmdl_lib.demos._live.vit import Look

OUT = demos.HERE / "vit"
# name of a picture: style, and color, shape, size and center of each object
SCENES = {
    "a red star": ("default", ("red", "star", "large", 16, 16)),
    "a blue heart": ("default", ("blue", "heart", "large", 11, 12)),
    "a green ring": ("default", ("green", "ring", "medium", 21, 20)),
    "an orange cross": ("default", ("orange", "cross", "large", 19, 14)),
    "a purple moon": ("default", ("purple", "moon", "medium", 12, 20)),
    "a small pink square": ("default", ("pink", "square", "small", 24, 9)),
    "a red star at night": ("night", ("red", "star", "large", 16, 16)),
    "the outline of a blue heart": ("outline", ("blue", "heart", "large", 11, 12)),
    "a red circle and a blue triangle": (
        "default",
        ("red", "circle", "medium", 9, 15),
        ("blue", "triangle", "medium", 23, 17),
    ),
}


def picture(style, *objects):
    """One 32 x 32 picture, uint8, of what is said in words."""
    scenes = shapes.sample(1, seed=0, objects=len(objects), style=style)
    color, shape, size, texture, center = (
        getattr(scenes, name).clone()
        for name in ("color", "shape", "size", "texture", "center")
    )
    for k, (paint, form, extent, x, y) in enumerate(objects):
        color[0, k] = shapes.COLORS.index(paint)
        shape[0, k] = shapes.SHAPES.index(form)
        size[0, k] = shapes.SIZES.index(extent)
        texture[0, k] = 0
        center[0, k] = torch.tensor([x, y])
    scenes = replace(
        scenes, color=color, shape=shape, size=size, texture=texture, center=center
    )
    return scenes.render(32)[0]


def export(vit) -> bytes:
    """`image (1, 3, 32, 32)` to `logits`, `attention` and `rollout`.

    One picture at a time: `ViT.embed` counts its rows in Python, which fixes that
    number in an export.
    """
    image = torch.zeros(1, 3, *vit.config.image_size)
    return network(Look(vit), (image,), ["image"], list(Look.NAMES))


def facts(vit) -> str:
    """Everything but the network, as one JSON text."""
    pictures = {name: picture(*scene) for name, scene in SCENES.items()}
    ground = picture("default", ("red", "star", "small", 16, 16))[0, 0, 0].item()
    config = vit.config
    return json.dumps(
        {
            "size": config.image_size[0],
            "patch": config.patch,
            "layers": config.depth,
            "heads": config.heads,
            "names": list(shapes.LABELS["pair"]),
            "ground": [ground] * 3,
            "colors": dict(zip(shapes.COLORS, shapes.RGB.tolist(), strict=True)),
            "scenes": [{"name": n, "pixels": pixels(p)} for n, p in pictures.items()],
        }
    )


def still(vit) -> bytes:
    """The first picture, and lit by the rollout through all layers."""
    image = picture(*next(iter(SCENES.values())))
    _, _, through = Look(vit)(shapes.to_float(image[None]))
    rows = vit.config.grid[0]
    light = through[0, -1, 1:].reshape(1, 1, rows, rows)
    light = F.interpolate(light / light.max(), scale_factor=vit.config.patch)[0, 0]
    lit = (image * (0.12 + 0.88 * light)).byte()
    opaque = torch.full((1, 252, 252), 255, dtype=torch.uint8)
    gap = torch.zeros(4, 252, 8, dtype=torch.uint8)
    left, right = (enlarge(x, 8)[:, 2:-2, 2:-2] for x in (image, lit))
    row = [torch.cat([left, opaque]), gap, torch.cat([right, opaque])]
    return webp(to_image(torch.cat(row, 2)), quality=88)


@torch.no_grad()
def main(out: Path = OUT, vit=None) -> None:
    """Write the three files; of the trained model, unless another one is given."""
    vit = vit or pretrained.load("vit")
    write(out / "model.onnx", export(vit))
    write(out / "facts.json", facts(vit).encode())
    write(out / "still.webp", still(vit))


if __name__ == "__main__":
    main()
