"""Measure what the chapter claims, and train the weights that it loads.

Command: python recipes/concat_fusion.py             (all that is missing)
         python recipes/concat_fusion.py width:0     (one group, one seed)
         python recipes/concat_fusion.py summary     (the claims)
Expected: TODO minutes on one core, and what comes out. The measured values stand in
results/concat_fusion.json, the claims in recipes/concat_fusion.toml.
"""

from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.models.concat_fusion import ConcatFusion, ConcatFusionConfig

STEPS, BATCH = 300, 64


def pictures(n: int, seed: int):
    """Single objects and their number among the 64 color x shape names."""
    scenes = shapes.sample(n, seed=seed, objects=1, held_out="include")
    return scenes.render(32), 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def trained(config: ConcatFusionConfig, seed: int) -> ConcatFusion:
    """A net after the training that all arms share."""
    image, label = pictures(4000, seed)
    torch.manual_seed(seed)
    model = ConcatFusion(config)
    batches = lab.rows(BATCH, seed, image=image, label=label)
    lab.train(model, batches, steps=STEPS, lr=3e-3)
    return model


def width(seed: int, *, width: int) -> dict:
    """Accuracy on new pictures."""
    model = trained(ConcatFusionConfig(patch=4, width=width, classes=64), seed)
    return {"accuracy": lab.accuracy(model, *pictures(1000, 50_000 + seed))}


def weights() -> dict:
    """The tiny preset, for the chapter to load."""
    model = trained(ConcatFusion.PRESETS["tiny"], 0)
    lab.save_weights(model, "concat_fusion")
    return {"accuracy": lab.accuracy(model, *pictures(1000, 50_000))}


LAB = lab.Lab(
    "concat_fusion",
    groups={"width": {str(w): partial(width, width=w) for w in (8, 64)}},
    once={"weights": weights},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
