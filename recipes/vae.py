"""VAE, VQ-VAE, VQGAN: what switches units and codes off, and what an adversary adds.

Command: python recipes/vae.py           (all that is missing)
         python recipes/vae.py codes:0   (one group, one seed)
         python recipes/vae.py summary   (the claims)
Expected: about 15 minutes on a quiet core. The digits' VAE keeps its units with the
right sums and loses all of them with a mean over pixels; codes that start in one place
are mostly never used; the adversary gives color and speckle. Writes
vae_board, vqvae_shapes, vqvae_few, vqgan_shapes and vqvae_clipart (weights), the values
in results/vae.json; claims in recipes/vae.toml.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import clipart, digits
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.models.vae import VAE, VAEConfig, active_units  # noqa: F401
from mmdl_lib.models.vqgan import VQGAN, VQGANConfig
from mmdl_lib.models.vqvae import (
    VQVAE,
    MovingVQVAE,
    MovingVQVAEConfig,
    VQVAEConfig,
)
from mmdl_lib.nn.codebook import usage

PIXELS = 64  # of a digit
SMALL = {"image_size": ae.SIDE, "codes": 256, "code_width": 8}
SMALL |= {"width": 32, "blocks": 1}
ALIVE = {"decay": 0.98, "revive": 0.5}


def fresh(kind, config, seed: int):
    """Arms of one seed start with equal weights, where shapes allow."""
    torch.manual_seed(seed)
    return kind(config)


@torch.no_grad()
def digit(seed: int, *, beta: float) -> dict:
    """A VAE of the digits: which units are alive, and what the bounds say."""
    train, test = (to_float(digits.load(s)[0]) for s in ("train", "test"))
    model = fresh(VAE, replace(VAE.PRESETS["digits"], beta=beta), seed)
    with torch.enable_grad():
        lab.train(model, lab.rows(64, seed, image=train), steps=1200, lr=2e-3)
    model.eval()
    latent, g = model.posterior(test), generator(seed)
    z = latent.draw(generator=g)
    return {
        "active": active_units(latent.mean),
        "kl": latent.kl().sum(1).mean().item(),
        "elbo": model.bound(test, generator=g).mean().item(),
        "many": model.bound(test, samples=64, generator=g).mean().item(),
        "error": (model.decode(z) - test).square().mean().item(),
    }


def small_world(seed: int):
    """Training pictures and the pictures of the test."""
    train = ae.pictures(lab.short(8000, least=200), seed=2000 + seed)
    test = ae.pictures(lab.short(1000, least=50), seed=4000 + seed)
    return train, to_float(test)


@torch.no_grad()
def measured(model, image) -> dict:
    """A trained model of tokens on new pictures."""
    model.eval()
    rebuilt, used = model.reconstruct(image), usage(model.tokens(image), 256)
    z = model.vectors(image)
    q = model.codebook(z)[0]
    spread = (z - z.flatten(0, 2).mean(0)).square().mean()
    return {
        "used": used.used,
        "perplexity": used.perplexity,
        "error": (rebuilt - image).square().mean().item(),
        "sharpness": ae.sharpness(rebuilt, image),
        "gap": ((z - q).square().mean() / spread.clamp(min=1e-9)).item(),
    }


def codes(seed: int, *, kind=VQVAE, placed: bool = False, **change) -> dict:
    """A VQ-VAE of the small world by how its codes start and learn."""
    train, test = small_world(seed)
    config = MovingVQVAEConfig if kind is MovingVQVAE else VQVAEConfig
    model = fresh(kind, config(**SMALL, **change), seed)
    batches = lab.rows(32, seed, image=train)
    if placed:
        with torch.no_grad():
            z = model.vectors(batches(0)["image"])
        model.codebook.place(z, generator=generator(seed))
    lab.train(model, batches, steps=300, lr=2e-3)
    return measured(model, test)


def few(seed: int, *, adversary: bool) -> tuple:
    """Four tokens for a picture: squared error, or features and an adversary."""
    train, test = small_world(seed)
    few = SMALL | ALIVE | {"factor": 8}
    if adversary:
        sizes = {"start": lab.short(200), "disc_width": 16, "disc_layers": 1}
        model = fresh(VQGAN, VQGANConfig(**few, **sizes), seed)
        model.perceive_with(ae.perception)
    else:
        model = fresh(MovingVQVAE, MovingVQVAEConfig(**few), seed)
    lab.train(model, lab.rows(32, seed, image=train), steps=500, lr=2e-3)
    if seed == 0:  # kept for the figures
        lab.save_weights(
            model, *(("vqgan", "shapes") if adversary else ("vqvae", "few"))
        )
    return model, test


def squared(seed: int) -> dict:
    """Judged by squared error."""
    return measured(*few(seed, adversary=False))


def adversary(seed: int) -> dict:
    """Judged by features and an adversary."""
    return measured(*few(seed, adversary=True))


def board() -> dict:
    """A VAE of the digits with two units, for the board."""
    train = digits.load("train")[0]
    model = fresh(VAE, VAE.PRESETS["board"], 0)
    lab.train(model, lab.rows(64, 0, image=train), steps=3000, lr=2e-3)
    lab.save_weights(model, "vae", "board")
    return {"parameters": sum(p.numel() for p in model.parameters())}


@torch.no_grad()
def tokens() -> dict:
    """The VQ-VAE of the section's world, 256 tokens for a picture; read back."""
    train = t2i.sample(lab.short(20_000, least=200), seed=0).render()
    model = fresh(MovingVQVAE, MovingVQVAE.PRESETS["shapes"], 0)
    began = time.process_time()
    with torch.enable_grad():
        lab.train(model, lab.rows(64, 0, image=train), steps=4000, lr=2e-3)
    minutes = (time.process_time() - began) / 60
    lab.save_weights(model, "vqvae", "shapes")
    model.eval()
    asked = t2i.sample(lab.short(2000, least=50), seed=1)
    image = to_float(asked.render())
    rebuilt = torch.cat([model.reconstruct(x) for x in image.split(250)])
    used = usage(torch.cat([model.tokens(x) for x in image.split(250)]), 256)
    return {
        "exact": faithfulness(rebuilt, asked).exact,
        "ceiling": faithfulness(image, asked).exact,
        "error": (rebuilt - image).square().mean().item(),
        "used": used.used,
        "perplexity": used.perplexity,
        "minutes": minutes,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


@torch.no_grad()
def real() -> dict:
    """Clip art, drawn by people, of kinds that were not trained on; once."""
    train, test = (clipart.load(s, size=32).image for s in ("train", "test"))
    config = MovingVQVAE.PRESETS["shapes"]
    model = fresh(MovingVQVAE, config, 0)
    with torch.enable_grad():
        lab.train(model, lab.rows(32, 0, image=train), steps=400, lr=2e-3)
    lab.save_weights(model, "vqvae", "clipart")
    image = to_float(test)
    return measured(model, image) | {"train": len(train), "test": len(test)}


START = {"placed": True}
LAB = lab.Lab(
    "vae",
    groups={
        "digits": {
            "right sums": partial(digit, beta=1.0),
            "beta 4": partial(digit, beta=4.0),
            "mean over pixels": partial(digit, beta=float(PIXELS)),
        },
        "codes": {
            "gradient": codes,
            "placed": partial(codes, **START),
            "averages": partial(codes, kind=MovingVQVAE, decay=0.98),
            "revived": partial(codes, kind=MovingVQVAE, **ALIVE),
            "no beta": partial(codes, **START, commitment=0.0),
            "beta 1": partial(codes, **START, commitment=1.0),
        },
        "few": {"squared error": squared, "adversary": adversary},
    },
    once={"tokens": tokens, "board": board, "real": real},
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
