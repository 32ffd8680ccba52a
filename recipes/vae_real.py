"""Train a VAE, VQ-VAE, VQGAN and dVAE, small and equally long, on real pictures.

Command: python recipes/vae_real.py  (or one model, one seed, such as vae:0)
Expected: about 30 minutes on a quiet core. Sizes and rates are those of the shapes
world, the dVAE's as in recipes/dalle_table.py; numbers of updates were set by a clock
on pilot seed 100, two and a half minutes each. No claims stand on them. Writes
results/vae_real.json, and six drawings as seed 0 rebuilt them into mmdl_lib/data.
"""

import math
import time
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import drawn_clipart as dc
from mmdl_lib.models.dvae import DVAE
from mmdl_lib.models.vae import ConvVAE
from mmdl_lib.models.vqgan import VQGAN
from mmdl_lib.models.vqvae import MovingVQVAE
from mmdl_lib.nn.codebook import usage

BATCH, RATE = 32, 2e-3
STEPS = {"vae": 2300, "vqvae": 2450, "vqgan": 970, "dvae": (390, 1610)}
FIRST = 2e-2  # rate of the dVAE's decoder while it learns alone


def fresh(kind, seed: int):
    """A model of the size for the shapes world, and its batches."""
    torch.manual_seed(seed)
    return kind.from_preset("shapes"), lab.rows(BATCH, seed, image=dc.world("train"))


def vae(seed: int):
    """A grid of Gaussians; rebuilt from a draw, whose price is the KL."""
    model, batches = fresh(ConvVAE, seed)
    lab.train(model, batches, steps=STEPS["vae"], lr=RATE)
    random = generator(seed)

    def rebuild(image):
        latent = model.posterior(image)
        back = model.decode(latent.draw(generator=random)).clamp(-1, 1)
        return back, latent.kl().sum(1) / math.log(2)

    return model, rebuild


def tokens(model, image):
    """What comes back from tokens, and these."""
    index = model.tokens(image)
    return model.from_tokens(index), index.flatten(1)


def vqvae(seed: int):
    """Codes that follow and are revived, judged by squared error."""
    model, batches = fresh(MovingVQVAE, seed)
    lab.train(model, batches, steps=STEPS["vqvae"], lr=RATE)
    return model, partial(tokens, model)


def vqgan(seed: int):
    """The same kind of codes, judged by features and an adversary."""
    model, batches = fresh(VQGAN, seed)
    model.perceive_with(ae.perception)
    lab.train(model, batches, steps=STEPS["vqgan"], lr=RATE)
    return model, partial(tokens, model)


def dvae(seed: int):
    """Codes by a softmax that becomes a choice; the decoder learns alone at first."""
    model, batches = fresh(DVAE, seed)
    model.begin(to_float(dc.world("train")[:100]))
    alone, both = STEPS["dvae"]
    lab.train(model, batches, steps=alone, lr=FIRST, stage=0, seed=seed)

    def cool(step, model, terms):
        model.cool(step, lab.short(both))

    lab.train(model, batches, steps=both, lr=RATE, stage=1, watch=cool, seed=seed)

    def rebuild(image):
        index = model.encode(image)
        return model.decode(index), index

    return model, rebuild


MAKE = {"vae": vae, "vqvae": vqvae, "vqgan": vqgan, "dvae": dvae}


def one(seed: int, *, name: str) -> dict:
    """Train a model, rebuild the test drawings, measure; keep six of seed 0."""
    began = time.process_time()
    model, rebuild = MAKE[name](seed)
    minutes = round((time.process_time() - began) / 60, 1)
    model.eval()
    with torch.no_grad():
        parts = [rebuild(part) for part in to_float(dc.world("test")).split(96)]
    back, code = (torch.cat(column) for column in zip(*parts, strict=True))
    if seed == 0 and not lab.smoke():
        dc.save(name, back)
    size = sum(p.numel() for p in model.parameters())
    found = dc.measured(back) | {"minutes": minutes, "params": size}
    if name == "vae":
        return found | {"bits": code.mean().item()}
    codes = model.config.codes
    found |= {"bits": code.shape[1] * math.log2(codes)}
    return found | usage(code, codes)._asdict()


LAB = lab.Lab(
    "vae_real", groups={name: partial(one, name=name) for name in MAKE}, least=3
)

if __name__ == "__main__":
    LAB.main()
