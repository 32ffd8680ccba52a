"""Measure what the chapter claims, and train the weights that it loads.

Command: python recipes/data2vec.py             (all that is missing)
         python recipes/data2vec.py width:0     (one group, one seed)
         python recipes/data2vec.py summary     (the claims)
Expected: TODO minutes on one core, and what comes out. The measured values stand in
results/data2vec.json, the claims in recipes/data2vec.toml.
"""

from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.models.data2vec import Data2Vec, Data2VecConfig

STEPS, BATCH = 300, 64


def pictures(n: int, seed: int):
    """Single objects and their number among the 64 color x shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include")
    return scenes.render(32), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def trained(config: Data2VecConfig, seed: int) -> Data2Vec:
    """A net after the training that all arms share."""
    image, label = pictures(4000, seed)
    torch.manual_seed(seed)
    model = Data2Vec(config)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    lab.train(model, batches, steps=STEPS, lr=3e-3)
    return model


def width(seed: int, *, width: int) -> dict:
    """Accuracy on new pictures."""
    model = trained(Data2VecConfig(patch=4, width=width, classes=64), seed)
    return {"accuracy": lab.accuracy(model, *pictures(1000, 50_000 + seed))}


def weights() -> dict:
    """The tiny preset, for the chapter to load."""
    model = trained(Data2Vec.PRESETS["tiny"], 0)
    lab.save_weights(model, "data2vec")
    return {"accuracy": lab.accuracy(model, *pictures(1000, 50_000))}


LAB = lab.Lab(
    "data2vec",
    groups={"width": {str(w): partial(width, width=w) for w in (8, 64)}},
    once={"weights": weights},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
