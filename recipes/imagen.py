"""Train a small reader, a small Imagen and a small Parti, and measure their ideas.

Command: python recipes/imagen.py            (all that is missing)
         python recipes/imagen.py words:0    (one group, one seed)
         python recipes/imagen.py summary    (the claims)
Expected: about 15 minutes on a quiet core. A reader that has seen sentences lets the
net draw colors by names that no caption had. The values stand in results/imagen.json,
the claims in recipes/imagen.toml, the weights in mmdl_lib/weights.
"""

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import one_object as oo
from mmdl_lib.pretrained import small

PICTURES, PROMPTS = 8000, 96
STEPS = {"reader": 900, "base": 3000, "parti": 1200}


def loaded():
    """The shipped reader and base."""
    return small.load("bert", "colors"), small.load("imagen", "large-object")


def reader() -> dict:
    """The frozen reader of the chapter."""
    model = fz.reader(0, steps=STEPS["reader"])
    lab.save_weights(model, "bert", "colors", words=fz.tokenizer().words)
    return {"params": sum(p.numel() for p in model.parameters())}


def base() -> dict:
    """The Imagen of the chapter, 16 x 16."""
    model = small.load("bert", "colors")
    scenes = fz.pictures(PICTURES, seed=1)
    net, history = fz.learned(0, scenes, model, steps=STEPS["base"])
    lab.save_weights(net, "imagen", "large-object")
    return facts(net, history)


def parti() -> dict:
    """The Parti of the chapter, on the codes of the dVAE of the chapter on DALL-E."""
    scenes, dvae = fz.pictures(PICTURES, seed=2), small.load("dvae", oo.WEIGHTS)
    net, history = fz.parti(0, scenes, steps=STEPS["parti"], model=dvae)
    lab.save_weights(net, "parti", "large-object", words=oo.tokenizer().words)
    return facts(net, history)


def facts(net, history) -> dict:
    """Size, seconds and the curve of a training."""
    found = {"params": sum(p.numel() for p in net.parameters())}
    found |= {"seconds": round(history.seconds)}
    return found | {"curve": lab.means(history.losses["loss"], 100)}


LAB = lab.Lab(
    "imagen",
    groups={},
    once={"reader": reader, "base": base, "parti": parti},
)

if __name__ == "__main__":
    LAB.main()
