"""Train a small ViT-VQGAN, and a Parti on its codes and on those of the dVAE.

Command: python recipes/vit_vqgan.py           (all that is missing)
         python recipes/vit_vqgan.py parti:0   (one group, one seed)
         python recipes/vit_vqgan.py summary   (the claims)
Expected: about half an hour on a quiet core. Sizes were set before anything was
trained, numbers of steps by a clock: the net of one large object sees as many pictures
as the chapter's dVAE, 44,800. The rate, and that codes begin at places of the data,
were chosen on pilot seed 100. Both nets of `parti` have the chapter's preset and equal
steps, fewer than the shipped Parti. The values stand in results/vit_vqgan.json, the
claims in recipes/vit_vqgan.toml, the weights in mmdl_lib/weights.
"""

import time
from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import drawn_clipart as dc
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.vit_vqgan import ViTVQGAN
from mmdl_lib.nn.codebook import usage
from mmdl_lib.pretrained import small

PICTURES, PROMPTS, RATE = 8000, 96, 2e-3
STEPS = {"large-object": 1400, "clipart": 500, "book": 150, "parti": 400}
SLUGS = {"ViT-VQGAN": "vit_vqgan", "dVAE": "dvae"}


def wider(image):
    """Features of a picture of 16 x 16, every pixel four times."""
    return ae.perception(oo.larger(image))


def learned(name: str, seed: int, image, maps, *, steps: int, begun=True, **changes):
    """A ViT-VQGAN of a preset, trained on pictures, bytes; and its minutes."""
    began = time.process_time()
    torch.manual_seed(seed)
    model = ViTVQGAN(replace(ViTVQGAN.PRESETS[name], **changes))
    model.perceive_with(maps)
    if begun:
        model.begin(to_float(image[:100]), generator=generator(seed))
    how = {"lr": RATE, "seed": seed, "schedule": oo.held}
    lab.train(model, lab.rows(32, seed, image=image), steps=steps, **how)
    return model.eval(), round((time.process_time() - began) / 60, 1)


def large_object() -> dict:
    """The one that is shipped, of one large object, and what is left of pictures."""
    image = oo.sample(lab.short(PICTURES, least=200), seed=1).render(oo.SIDE)
    model, minutes = learned(
        "large-object", 0, image, wider, steps=STEPS["large-object"]
    )
    lab.save_weights(model, "vit_vqgan", "large-object")
    return back(model) | {"minutes": minutes}


def back(model) -> dict:
    """What is left of new pictures, and the size of a net."""
    size = sum(p.numel() for p in model.parameters())
    return oo.reconstruction(model, seed=2) | {"params": size}


def dvae() -> dict:
    """The same of the chapter's dVAE."""
    return back(small.load("dvae", oo.WEIGHTS))


def clipart() -> dict:
    """One training on clip art, its test drawings rebuilt."""
    image = dc.world("train")
    options = {"maps": ae.perception, "steps": STEPS["clipart"]}
    model, minutes = learned("clipart", 0, image, **options)
    lab.save_weights(model, "vit_vqgan", "clipart")
    with torch.no_grad():
        code = torch.cat(
            [model.tokens(p) for p in to_float(dc.world("test")).split(96)]
        )
        found = dc.measured(torch.cat([model.from_tokens(p) for p in code.split(96)]))
    found |= usage(code, model.config.codes)._asdict()
    size = sum(p.numel() for p in model.parameters())
    return found | {"params": size, "minutes": minutes}


def parti(seed: int, *, name: str) -> dict:
    """A Parti on the codes of one net: what a code costs, how often it draws right."""
    stage = small.load(SLUGS[name], oo.WEIGHTS)
    scenes = fz.pictures(lab.short(PICTURES, least=200), seed=10_000 + seed)
    net, _ = fz.parti(seed, scenes, steps=STEPS["parti"], model=stage)
    asked = fz.asked(lab.short(PROMPTS, least=8), seed=11_000 + seed)
    found = {"nats": fz.nats(net, asked, stage)}
    found["untaught"] = fz.nats(net, asked, stage, shuffled=True)
    image = oo.drawn(net, stage, oo.texts(asked), generator=generator(seed))
    right, color = oo.right(oo.larger(image), asked)
    found |= {"right": right.mean().item(), "color": color.mean().item()}
    kept = stage.decode(oo.encoded(stage, asked.render(oo.SIDE))).detach()
    return found | {"read back": oo.right(oo.larger(kept), asked)[0].mean().item()}


def book(seed: int, *, normed: bool) -> dict:
    """A short training with one codebook or the other, without an adversary."""
    image = oo.sample(lab.short(4000, least=200), seed=1000 + seed).render(oo.SIDE)
    changes = {"normed": normed, "steps": STEPS["book"], "adversarial": 0.0}
    model, _ = learned("large-object", seed, image, None, **changes)
    return oo.reconstruction(model, seed=2000 + seed)


LAB = lab.Lab(
    "vit_vqgan",
    groups={
        "parti": {name: partial(parti, name=name) for name in SLUGS},
        "book": {
            "normed": partial(book, normed=True),
            "plain": partial(book, normed=False),
        },
    },
    once={"large_object": large_object, "dvae": dvae, "clipart": clipart},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
