"""Train a GAN and a DCGAN, small, on real gray pictures: Fashion-MNIST.

Command: MMDL_FASHION=FOLDER python recipes/fashion_gans.py  (all that is missing)
         ... recipes/fashion_gans.py dcgan:0                 (one model, one seed)
Expected: about 15 minutes on a quiet core; needs the four files of the Debian package
`dataset-fashion-mnist`, by default where it installs them. Some trainings each of
about equal length: no claims stand on them. The values stand in
results/fashion_gans.json, the first draws of the first seed in
mmdl_lib/data/_fashion_draws.

The rate is that of G and of the DCGAN in recipes/gan.py; for the GAN it was the best of
three on pilot seed 100. Numbers of updates were set by a clock. The DCGAN's pictures
have a black margin of two pixels, to 32 x 32, and three equal channels; of its draws
the mean of the channels is taken.
"""

import time
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.fashion import SIDE
from mmdl_lib.lab import drawn_fashion as df
from mmdl_lib.models.dcgan import DCGAN
from mmdl_lib.models.gan import GAN

# both players keep their rate: at a game's end there is no valley to settle in
FIT = {"warmup": 0.0, "clip": None, "schedule": lambda step, steps: 1.0}
FIT |= {"optimizer": partial(torch.optim.AdamW, betas=(0.5, 0.999))}
STEPS, RATE = {"gan": 6000, "dcgan": 2400}, 1e-3
BATCH, EDGE = 64, 2


def gan(seed: int):
    """Two nets of plain layers; a picture is a row of 784 numbers."""
    torch.manual_seed(seed)
    model = GAN(replace(GAN.PRESETS["digits"], width=512, noise=64))
    points = df.to_float(df.world("train")[0]).flatten(1)
    rows = lab.rows(BATCH, seed, points=points)
    lab.train(model, rows, steps=STEPS["gan"], lr=RATE, **FIT)
    model.eval()

    def draw(count, random):
        drawn = model.sample(count, generator=random)
        return rearrange(drawn, "b (h w) -> b 1 h w", h=SIDE)

    return draw, model.generator


def dcgan(seed: int):
    """Two convnets."""
    torch.manual_seed(seed)
    model = DCGAN(replace(DCGAN.PRESETS["shapes"], image_size=SIDE + 2 * EDGE))
    model.to(memory_format=torch.channels_last)  # faster on a CPU
    image = F.pad(df.world("train")[0], [EDGE] * 4).expand(-1, 3, -1, -1)
    rows = lab.rows(BATCH, seed, image=image)
    lab.train(model, rows, steps=STEPS["dcgan"], lr=RATE, **FIT)
    random = generator(seed)
    lab.recalibrate(model, [250] * 4, lambda n: model.draw(n, random))

    def draw(count, random):
        drawn = model.sample(count, generator=random).mean(1, keepdim=True)
        return drawn[..., EDGE:-EDGE, EDGE:-EDGE]

    return draw, model.generator


MAKE = {"gan": gan, "dcgan": dcgan}


def one(seed: int, *, name: str) -> dict:
    """Train a model, draw, measure; keep what the pages show of seed 0."""
    began = time.process_time()
    draw, net = MAKE[name](seed)
    minutes = (time.process_time() - began) / 60
    drawn = draw(lab.short(df.DRAWN, least=40), generator(seed))
    if seed == 0 and not lab.smoke():
        df.save(name, drawn[: df.SHOWN])
    size = sum(p.numel() for p in net.parameters())
    return df.measured(drawn) | {"params": size, "minutes": round(minutes, 1)}


def real() -> dict:
    """The measures of real pictures and of a control, and pictures for the pages."""
    if not lab.smoke():
        df.save("real", df.samples())
    return df.baseline()


LAB = lab.Lab(
    "fashion_gans",
    groups={name: partial(one, name=name) for name in MAKE},
    once={"real": real},
    least=3,
)

if __name__ == "__main__":
    LAB.main()
