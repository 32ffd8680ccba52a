"""Train unCLIP's decoder on our CLIP's embeddings; priors; what each way to it draws.

Command: python recipes/dalle2.py weights   (the decoder, about 2 minutes)
         python recipes/dalle2.py ways:0    (one seed, about a minute)
         python recipes/dalle2.py summary   (the claims)
Expected: about 20 minutes on a quiet core. A prior's embeddings are drawn right about
as often as those of real pictures, captions' own less often. The values stand in
results/dalle2.json, the claims in recipes/dalle2.toml.
"""

from functools import lru_cache, partial

import torch.nn.functional as F
from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.lab import categories as ca
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.dalle2 import slerp
from mmdl_lib.models.dalle2_prior import CodePrior, Prior
from mmdl_lib.pretrained import small

SEED, STEPS, PICTURES = 100, 2000, 12_000  # of the decoder; its seed was the pilot's
PRIOR, DATA, ASKED = 500, 3000, 96
OF_A_KIND, SHARES = 64, (0.0, 0.25, 0.5, 0.75, 1.0)
WAYS = {
    "picture": {},
    "picture, scale 1": {"scale": 1.0},
    "caption": {},
    "moved caption": {},
    "diffusion": {},
    "unit length": {},
    "codes": {},
}
UNSEEN = ("picture", "diffusion", "caption")
AGAIN = ("picture", "moved caption", "diffusion", "codes")
FIRST = 50  # of the seeds on which these are asked once more


@lru_cache(maxsize=1)
def data(seed: int) -> tuple[un.World, un.World]:
    """What a seed's priors learn from, and what is asked of them."""
    asked = un.world(lab.short(ASKED, least=8), seed=3000 + seed)
    return un.world(DATA, seed=5000 + seed), asked


def ways(seed: int, *, way: str, scale: float = 2.0, first: int = 0) -> dict:
    """An embedding for each caption, got in one way, and what is drawn of it.

    `first` is added to the seed: a second question gets seeds that no one has seen.
    """
    seed = first + seed
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


def unseen(seed: int, *, way: str) -> dict:
    """The same ways, category by category: also pairs that no training had.

    CLIP, the prior and the decoder all learned without these pairs.
    """
    model = None
    if way == "diffusion":
        model, _ = un.prior(Prior, data(seed)[0], seed=seed, steps=PRIOR)

    def draw(asked: Scenes, seed: int) -> Tensor:
        if way == "picture":
            z = un.seen(asked.render(fo.SIDE))
        else:
            caption = un.read(oo.texts(asked))
            told = {"generator": generator(seed)}
            z = model.sample(*caption, **told) if model else caption.text
        decoder = small.load("dalle2", un.SOURCE)
        return oo.larger(un.drawn(decoder, z, seed=seed, scale=2.0))

    return ca.scored(draw, seed, n=OF_A_KIND)


def between(seed: int) -> dict:
    """What is drawn on the way between real pictures: whose color, whose shape."""
    one, two = un.couples(OF_A_KIND, seed=seed)
    ends = [un.seen(scenes.render(fo.SIDE)) for scenes in (one, two)]
    decoder, found = small.load("dalle2", un.SOURCE), {}
    for share in SHARES:
        z = slerp(*ends, share)
        image = oo.larger(un.drawn(decoder, z, seed=seed, scale=2.0))
        found[f"{share:g}"] = un.whose(image, one, two)
    return found


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
        "ways": {name: partial(ways, way=name, **how) for name, how in WAYS.items()},
        "again": {name: partial(ways, way=name, first=FIRST) for name in AGAIN},
        "unseen": {w: partial(unseen, way=w) for w in UNSEEN},
        "between": between,
    },
    once={"weights": weights},
    exact={"again": 16},
    claims=lab.read_claims(__file__),
)

if __name__ == "__main__":
    LAB.main()
