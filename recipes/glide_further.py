"""GLIDE's two other nets: one makes small pictures larger, one fills holes.

Command: python recipes/glide_further.py             (all that is missing)
         python recipes/glide_further.py upsampler   (weights; six minutes on a GPU)
         python recipes/glide_further.py inpaint     (weights; six minutes on a GPU)
         python recipes/glide_further.py filled:0    (one group, one seed)
         python recipes/glide_further.py summary     (the claims)
Expected: on a CPU each training takes one to two hours, the rest some minutes. The
values stand in results/glide_further.json, the claims in recipes/glide_further.toml,
the weights in mmdl_lib/weights.
"""

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import holes
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.nn.unet import PatchUNetConfig
from mmdl_lib.pretrained import small

STEPS = {"upsampler": 8000, "inpaint": 11_000}  # of 64 rows
ASKED, SMALL = 96, 16
BASE = GLIDE.PRESETS["shapes"]
NETS = {
    "upsampler": replace(
        BASE, role="upsample", facts=(),
        net=PatchUNetConfig(inputs=6, patch=2, widths=(32, 48), context=64),
    ),
    # a little narrower than the chapter's net, to keep to two megabytes
    "inpaint": replace(
        BASE, role="inpaint",
        net=PatchUNetConfig(inputs=7, widths=(56, 96), context=64),
    ),
}  # fmt: skip


def smaller(batch: dict, _=None) -> dict:
    """A batch with its pictures made smaller, as `low`."""
    return fz.smaller(batch, side=SMALL)


def holed(batch: dict, step: int) -> dict:
    """A batch with a random mask for each picture."""
    hidden = holes.random(len(batch["image"]), generator(77_000_017 + step))
    return batch | {"known": hidden}


def trained(name: str, change) -> dict:
    """Train one of the nets on the world of the chapter, and keep its weights."""
    torch.manual_seed(0)
    model = GLIDE(NETS[name])
    counts = zip((1, 2), (16_000, 40_000), strict=True)
    scenes = [fo.sample(lab.short(n, least=100), k, seed=100 + k) for k, n in counts]
    batches = fo.batches(*scenes, seed=0, batch_size=64)

    def batch(step: int) -> dict:
        return change(batches(step), step)

    history = fo.fitted(model, batch, seed=0, steps=STEPS[name])
    words = fo.tokenizer().words
    lab.save_weights(model, "glide", f"shapes-{name}", words=words)
    found = {"params": sum(p.numel() for p in model.parameters())}
    found |= {"seconds": round(history.seconds)}
    return found | {"curve": lab.means(history.losses["loss"], 500)}


def decibels(image: Tensor, true: Tensor) -> float:
    """Mean PSNR of pictures in [-1, 1]."""
    error = (image - true).square().flatten(1).mean(1).clamp(min=1e-8)
    return (10 * (4 / error).log10()).mean().item()


def enlarged(low: Tensor, seed: int, texts: list[str]) -> dict[str, Tensor]:
    """Small pictures made larger in four ways."""
    model = small.load("glide", "shapes-upsampler")
    tokens, mask = fo.tokenizer()(texts)
    found = {
        kind: F.interpolate(low, scale_factor=2, mode=kind).clamp(-1, 1)
        for kind in ("bilinear", "bicubic")
    }
    for name, scale in {"upsampler": 1, "without a caption": 0}.items():
        how = {"scale": scale, "generator": generator(seed), "beside": {"low": low}}
        found[name] = model.sample(tokens, mask, **how)
    return found


def upsampled(seed: int) -> dict:
    """True small pictures of pairs, and small pictures that another net has drawn."""
    asked = fo.sample(lab.short(ASKED, least=8), 2, seed=50_000 + seed)
    true = to_float(asked.render(fo.SIDE))
    low = smaller({"image": true})["low"]
    found = {"true": {"ceiling": fo.right(true, asked)}, "cascade": {}}
    for name, image in enlarged(low, seed, fo.texts(asked)).items():
        row = fo.right(image, asked) | {"decibels": decibels(image, true)}
        found["true"][name] = row
    asked = oo.sample(lab.short(ASKED, least=8), seed=51_000 + seed)
    texts = oo.texts(asked)
    base, told = small.load("glide", oo.WEIGHTS), oo.tokenizer()(texts)
    low = base.sample(*told, scale=2, generator=generator(seed)).clamp(-1, 1)
    for name, image in enlarged(low, seed, texts).items():
        both, color = oo.right(image, asked)
        row = {"right": both.mean().item(), "color": color.mean().item()}
        found["cascade"][name] = row
    return found


def filled(seed: int) -> dict:
    """One of two objects is hidden, and another asked for in its place."""
    scenes = fo.sample(lab.short(ASKED, least=8), 2, seed=52_000 + seed)
    asked = holes.changed(scenes, seed=53_000 + seed)
    image, mask = to_float(scenes.render(fo.SIDE)), holes.around(scenes, 1)
    beside = {"image": image, "known": mask}
    told, made = fo.tokenizer()(fo.texts(asked)), small.load("glide", "shapes-inpaint")
    ways = {
        "trained to fill": partial(made.sample, beside=beside),
        "known put back": partial(
            holes.put_back, small.load("glide", "shapes"), beside=beside
        ),
        "the same net, known put back": partial(holes.put_back, made, beside=beside),
    }
    found = {}
    for name, way in ways.items():
        drawn = way(*told, scale=2, generator=generator(seed)).clamp(-1, 1)
        found[name] = fo.right(drawn, asked) | {"seam": holes.seam(drawn, mask)}
    true = to_float(asked.render(fo.SIDE))
    found["drawn by the program"] = fo.right(true, asked)
    found["drawn by the program"]["seam"] = holes.seam(true, mask)
    return found


LAB = lab.Lab(
    "glide_further",
    groups={"upsampled": upsampled, "filled": filled},
    once={
        "upsampler": partial(trained, "upsampler", smaller),
        "inpaint": partial(trained, "inpaint", holed),
    },
    claims=lab.read_claims(__file__),
    exact={"upsampled": 6, "filled": 6},
)

if __name__ == "__main__":
    LAB.main()
