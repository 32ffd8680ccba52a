"""Parti on codes of ViT-VQGAN and of the dVAE; and codebooks of two kinds.

Command: python recipes/vit_vqgan_claims.py          (all that is missing)
         python recipes/vit_vqgan_claims.py parti:0  (one group, one seed)
         python recipes/vit_vqgan_claims.py summary  (the claims)
Expected: about twenty-five minutes on a core. Both nets of `parti` have the chapter's
preset and equal steps: 400, fewer than the shipped Parti. Those of `longer` have 900,
as many as it, and other seeds. Arms of `book` differ in both changes to the codebook at
once. The values stand in results/vit_vqgan_claims.json, the claims in
recipes/vit_vqgan_claims.toml.
"""

from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.vit_vqgan import ViTVQGAN
from mmdl_lib.pretrained import small

PICTURES, PROMPTS, RATE, SCALE = 8000, 96, 1e-3, 1.5
STEPS = {"book": 200, "parti": 400, "longer": 900}
FIRST = 50  # added to the seeds of `longer`
SLUGS = {"ViT-VQGAN": "vit_vqgan", "dVAE": "dvae"}


def parti(seed: int, *, name: str, steps: str = "parti", first: int = 0) -> dict:
    """A Parti on the codes of one net: what a code costs, how often it draws right.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
    stage = small.load(SLUGS[name], oo.WEIGHTS)
    scenes = fz.pictures(lab.short(PICTURES, least=200), seed=10_000 + seed)
    net, _ = fz.parti(seed, scenes, steps=STEPS[steps], model=stage)
    asked = fz.asked(lab.short(PROMPTS, least=8), seed=11_000 + seed)
    found = {"nats": fz.nats(net, asked, stage)}
    found["untaught"] = fz.nats(net, asked, stage, shuffled=True)
    how = {"scale": SCALE, "generator": generator(seed)}
    image = oo.drawn(net, stage, oo.texts(asked), **how)
    right, color = oo.right(oo.larger(image), asked)
    found |= {"right": right.mean().item(), "color": color.mean().item()}
    kept = stage.decode(oo.encoded(stage, asked.render(oo.SIDE))).detach()
    return found | {"read back": oo.right(oo.larger(kept), asked)[0].mean().item()}


def book(seed: int, *, normed: bool) -> dict:
    """A short training with one codebook or the other, its codes begun at the data,
    without an adversary."""
    image = oo.sample(lab.short(4000, least=200), seed=1000 + seed).render(oo.SIDE)
    torch.manual_seed(seed)
    changes = {"normed": normed, "adversarial": 0.0}
    model = ViTVQGAN(replace(ViTVQGAN.PRESETS["large-object"], **changes))
    model.perceive_with(lambda x: ae.perception(oo.larger(x)))
    model.begin(to_float(image[:100]), generator=generator(seed))
    how = {"lr": RATE, "seed": seed, "schedule": oo.held}
    lab.train(model, lab.rows(32, seed, image=image), steps=STEPS["book"], **how)
    return oo.reconstruction(model.eval(), seed=2000 + seed)


LAB = lab.Lab(
    "vit_vqgan_claims",
    groups={
        "parti": {name: partial(parti, name=name) for name in SLUGS},
        "longer": {
            name: partial(parti, name=name, steps="longer", first=FIRST)
            for name in SLUGS
        },
        "book": {
            "normed": partial(book, normed=True),
            "plain": partial(book, normed=False),
        },
    },
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
