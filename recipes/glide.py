"""Train the chapter's GLIDE on the world of one or two objects.

Command: python recipes/glide.py weights   (about 55 minutes on one core)
Expected: nearly all single objects right in color and shape, two objects less often.
The values stand in results/glide.json, the weights in mmdl_lib/weights.
"""

import time

import torch

from mmdl_lib import lab, record
from mmdl_lib.core import generator
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.models.glide import GLIDE

STEPS, PROMPTS = 28_000, 384
SCALES = (1, 2, 4)


def judged(model: GLIDE, *, seed: int = 9000, steps: int = 20) -> dict:
    """Shares of fresh prompts by guidance, for one object and for two."""
    out = {}
    for name, objects in {"one": 1, "two": 2}.items():
        asked = fo.sample(lab.short(PROMPTS, least=8), objects, seed=seed + objects)
        for scale in SCALES:

            def draw(tokens, mask, scale=scale):
                how = {"scale": scale, "steps": steps, "generator": generator(seed)}
                return model.sample(tokens, mask, **how)

            out[f"{name}, scale {scale}"] = fo.right(
                fo.drawn(draw, fo.texts(asked)), asked
            )
    return out


def weights() -> dict:
    """The model of the chapter."""
    torch.manual_seed(0)
    model = GLIDE.from_preset("shapes")
    kept = None if lab.smoke() else record.folder().parent / "_build/glide_shapes.pt"
    history = fo.train(model, seed=0, steps=STEPS, checkpoint=kept, every=500)
    lab.save_weights(model, "glide", "shapes", words=fo.tokenizer().words)
    found = {"params": sum(p.numel() for p in model.parameters())}
    began = time.perf_counter()
    found |= {"judged": judged(model), "seconds": round(history.seconds)}
    found["seconds to judge"] = round(time.perf_counter() - began)
    curve = {k: lab.means(v, 500) for k, v in history.losses.items()}
    return found | {"curve": curve}


LAB = lab.Lab(
    "glide", groups={}, once={"weights": weights}, claims=lab.read_claims(__file__)
)

if __name__ == "__main__":
    LAB.main()
