"""Upsamplers with and without noise augmentation, on true and on faulty small pictures.

Command: python recipes/imagen_further.py            (all that is missing)
         python recipes/imagen_further.py augment:0  (one group, one seed)
         python recipes/imagen_further.py summary    (the claims)
Expected: about three minutes a seed on a quiet core. Without augmentation true small
pictures are made larger more exactly, with it a first net's faults are forgiven. The
values stand in results/imagen_further.json, the claims in recipes/imagen_further.toml.
"""

import base64

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import frozen as fz
from mmdl_lib.nn.unet import PatchUNetConfig
from mmdl_lib.pretrained import small

# the first net learns so briefly that its small pictures are faulty
PICTURES, BASE, STEPS, ASKED, SHOWN = 8000, 400, 1000, 160, 6
NET = PatchUNetConfig(inputs=6, side=16, patch=2, widths=(32, 48), context=64)
# share of the chain that a small picture in training gets noise of
NOISY = {"without": 0.0, "with": 0.5}
LEVELS = {"without": (-1,), "with": (-1, 100, 250, 490)}  # in drawing; -1: no noise
HOW = {"steps": 20, "threshold": "static"}


def decibels(image: Tensor, true: Tensor) -> float:
    """Mean PSNR of pictures in [-1, 1]."""
    error = (image - true).square().flatten(1).mean(1).clamp(min=1e-8)
    return (10 * (4 / error).log10()).mean().item()


def judged(image: Tensor, asked, true: Tensor | None = None) -> dict[str, float]:
    """Shares right in color, and in color and shape; nearness to the true pictures."""
    found = fz.right(image, asked)
    return found if true is None else found | {"decibels": decibels(image, true)}


def bicubic(low: Tensor) -> Tensor:
    """Twice as large, without a net."""
    return F.interpolate(low, scale_factor=2, mode="bicubic").clamp(-1, 1)


def packed(image: Tensor) -> str:
    """A few pictures as text, for the page."""
    pixels = ((image[: lab.short(SHOWN)] + 1) * 127.5).round().to(torch.uint8)
    return base64.b64encode(pixels.contiguous().numpy().tobytes()).decode()


def augment(seed: int) -> dict:
    """A brief first net, two upsamplers that differ in their training's noise."""
    reader, scenes = small.load("bert", "colors"), fz.pictures(PICTURES, seed=seed)
    first = {"steps": BASE, "preset": "large-object-8"}
    base, _ = fz.learned(seed, scenes, reader, **first)
    asked = fz.asked(ASKED, seed=3000 + seed)
    texts = fz.captions(asked, torch.zeros(len(asked), dtype=torch.long))
    true = fz.rendered(asked, 16)
    drawn = fz.drawn(base, reader, texts, scale=2, generator=generator(seed))
    low = {"true": fz.smaller({"image": true}, side=8)["low"], "faulty": drawn}
    found = {"bicubic": {
        "true": judged(bicubic(low["true"]), asked, true),
        "faulty": judged(bicubic(drawn), asked),
    }}  # fmt: skip
    shown = {"small": packed(drawn), "small true": packed(low["true"])}
    for name, noisy in NOISY.items():
        learn = {"steps": STEPS, "preset": "large-object-8-to-16", "noisy": noisy}
        net, history = fz.learned(seed, scenes, reader, net=NET, **learn)
        found[name] = {"curve": lab.means(history.losses["loss"], 50)}
        found[name]["params"] = sum(p.numel() for p in net.parameters())

        def larger(kind, level=-1, scale=1, net=net):
            how = HOW | {"level": level, "scale": scale, "generator": generator(seed)}
            return fz.drawn(net, reader, texts, low=low[kind], **how)

        for level in LEVELS[name]:
            image, other = larger("true", level), larger("faulty", level)
            row = {"true": judged(image, asked, true), "faulty": judged(other, asked)}
            found[name][str(level)] = row
            if level == -1:
                shown[name], shown[f"{name} true"] = packed(other), packed(image)
        mute = larger("faulty", scale=0)
        found[name]["no caption"] = {"faulty": judged(mute, asked)}
    return found | ({"pictures": shown} if seed == 0 else {})


LAB = lab.Lab(
    "imagen_further",
    groups={"augment": augment},
    claims=lab.read_claims(__file__),
    least=6,
    exact={"augment": 6},
)

if __name__ == "__main__":
    LAB.main()
