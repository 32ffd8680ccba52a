"""Train a small ViT-VQGAN on one large object, and one on clip art.

Command: python recipes/vit_vqgan.py               (all that is missing)
         python recipes/vit_vqgan.py large_object  (one net)
Expected: about eight minutes on a quiet core. A first training collapsed to one code:
its matrices started larger (Xavier), its rate was .002, its adversary counted from step
300 on, and its blocks had fewer heads. All this was changed together, on pilot seed
100, where also features were found to help; which change did it was not asked. The net
of one large object sees as many pictures as the chapter's dVAE, 44,800. The adversary
counts from step 1,000 on: 400 steps there, none on clip art, whose training ends then.
The claims of recipes/vit_vqgan_claims.py use the net of one large object. The values
stand in results/vit_vqgan.json, the weights in mmdl_lib/weights.
"""

import time

import torch

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import autoencoding as ae
from mmdl_lib.lab import drawn_clipart as dc
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.vit_vqgan import ViTVQGAN
from mmdl_lib.nn.codebook import usage
from mmdl_lib.pretrained import small

PICTURES, RATE = 8000, 1e-3
STEPS = {"large-object": 1400, "clipart": 1000}


def wider(image):
    """Features of a picture of 16 x 16, every pixel four times."""
    return ae.perception(oo.larger(image))


def learned(name: str, image, maps):
    """A ViT-VQGAN of a preset, trained on pictures, bytes; and its minutes."""
    began = time.process_time()
    torch.manual_seed(0)
    model = ViTVQGAN.from_preset(name)
    model.perceive_with(maps)
    model.begin(to_float(image[:100]), generator=generator(0))
    kept = record.folder().parent / f"_build/vit_vqgan_{name}.pt"
    how = {"lr": RATE, "seed": 0, "schedule": oo.held}
    if not lab.smoke():  # goes on where it was interrupted
        how |= {"checkpoint": kept, "every": 50}
    lab.train(model, lab.rows(32, 0, image=image), steps=STEPS[name], **how)
    return model.eval(), round((time.process_time() - began) / 60, 1)


def large_object() -> dict:
    """The one that is shipped, of one large object, and what is left of pictures."""
    image = oo.sample(lab.short(PICTURES, least=200), seed=1).render(oo.SIDE)
    model, minutes = learned("large-object", image, wider)
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
    model, minutes = learned("clipart", dc.world("train"), ae.perception)
    lab.save_weights(model, "vit_vqgan", "clipart")
    with torch.no_grad():
        code = torch.cat(
            [model.tokens(p) for p in to_float(dc.world("test")).split(96)]
        )
        found = dc.measured(torch.cat([model.from_tokens(p) for p in code.split(96)]))
    found |= usage(code, model.config.codes)._asdict()
    size = sum(p.numel() for p in model.parameters())
    return found | {"params": size, "minutes": minutes}


LAB = lab.Lab(
    "vit_vqgan",
    groups={},
    once={"large_object": large_object, "dvae": dvae, "clipart": clipart},
)

if __name__ == "__main__":
    LAB.main()
