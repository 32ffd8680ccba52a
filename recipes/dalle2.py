"""Train unCLIP's decoder on our CLIP's embeddings; priors; what each way to it draws.

Command: python recipes/dalle2.py weights   (the decoder, about 2 minutes)
         python recipes/dalle2.py ways:0    (one seed, about a minute)
         python recipes/dalle2.py summary   (the claims)
Expected: about 8 minutes on a quiet core. A prior's embeddings are drawn right about as
often as those of real pictures, captions' own less often. The values stand in
results/dalle2.json, the claims in recipes/dalle2.toml.
"""

from functools import lru_cache, partial

import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.dalle2_prior import CodePrior, Prior
from mmdl_lib.pretrained import small

SEED, STEPS, PICTURES = 100, 2000, 12_000  # of the decoder; its seed was the pilot's
PRIOR, DATA, ASKED = 500, 3000, 96
WAYS = {
    "picture": {},
    "picture, scale 1": {"scale": 1.0},
    "caption": {},
    "moved caption": {},
    "diffusion": {},
    "unit length": {},
    "codes": {},
}


@lru_cache(maxsize=1)
def data(seed: int) -> tuple[un.World, un.World]:
    """What a seed's priors learn from, and what is asked of them."""
    asked = un.world(lab.short(ASKED, least=8), seed=3000 + seed)
    return un.world(DATA, seed=5000 + seed), asked


def ways(seed: int, *, way: str, scale: float = 2.0) -> dict:
    """An embedding for each caption, got in one way, and what is drawn of it."""
    known, asked = data(seed)
    at, trained = un.places(known), {}
    how = {"seed": seed, "steps": PRIOR}
    if way.startswith("picture"):
        z = asked.picture
    elif way == "caption":
        z = asked.caption.text
    elif way == "moved caption":
        z = F.normalize(asked.caption.text + at.move, dim=-1)
    else:
        kind = CodePrior if way == "codes" else Prior
        unit = {"unit": 1.0} if way == "unit length" else {}
        model, history = un.prior(kind, known, **how, **unit)
        z = model.sample(*asked.caption, generator=generator(seed))
        trained = {"loss": history.losses["loss"][-1]}
    image = un.drawn(small.load("dalle2", un.SOURCE), z, seed=seed, scale=scale)
    found = un.judged(image, asked) | {"off": un.off(z, asked.scenes, at)}
    return found | trained


def weights() -> dict:
    """The decoder of the chapter."""
    how = {"seed": SEED, "steps": STEPS, "size": PICTURES}
    model, history = un.decoder(**how)
    lab.save_weights(model, "dalle2", un.SOURCE)
    size = sum(p.numel() for p in model.parameters())
    curve = lab.means(history.losses["loss"], 100)
    return {"params": size, "seconds": round(history.seconds), "curve": curve}


LAB = lab.Lab(
    "dalle2",
    groups={
        "ways": {name: partial(ways, way=name, **how) for name, how in WAYS.items()}
    },
    once={"weights": weights},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
