"""Who has which color, counted in drawn pairs: a caption or CLIP's embedding is heard.

Command: python recipes/dalle2_binding.py            (all that is missing)
         python recipes/dalle2_binding.py plain:0    (one group, one seed)
         python recipes/dalle2_binding.py summary    (the claims)
Expected: about five minutes on a quiet core for each seed. The painter that hears the
caption hardly ever exchanges colors, those that hear an embedding more often. The
values stand in results/dalle2_binding.json, the claims in recipes/dalle2_binding.toml.
"""

from functools import lru_cache, partial

from torch import Tensor

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_bytes
from mmdl_lib.lab import bound as bd
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import unclip as un
from mmdl_lib.models.dalle2_prior import Prior

PICTURES, ASKED, LIKED = 12_000, 192, 500
CAPTION, EMBEDDING, PRIOR = 400, 1000, 500  # steps of the trainings
SHOWN = 0  # the seed whose first pictures the page shows


@lru_cache(maxsize=1)
def data(seed: int) -> tuple[bd.Pairs, bd.Pairs]:
    """What a seed learns from, and what is asked of it."""
    asked = bd.told(bd.sample(ASKED, seed=3000 + seed))
    size = lab.short(PICTURES, least=100)
    return bd.told(fo.sample(size, 2, seed=1000 * seed + 301)), asked


def counted(draw, told: tuple, seed: int, name: str) -> dict:
    """What is drawn at a scale of 2, all arms of a seed with the same noise."""
    how = {"scale": 2, "steps": 20, "generator": generator(seed)}
    image: Tensor = draw(*told, **how).clamp(-1, 1)
    if seed == SHOWN and not lab.smoke():
        bd.keep(name, to_bytes(image))
    return bd.who(image, data(seed)[1].scenes)


def caption(seed: int) -> dict:
    """The painter that hears captions."""
    known, asked = data(seed)
    model, history = bd.trained("caption", known, seed=seed, steps=CAPTION)
    found = counted(model.sample, (asked.tokens, asked.mask), seed, "caption")
    return found | {"curve": lab.means(history.losses["loss"], 100)}


def embedding(seed: int, *, even: bool) -> dict:
    """The painter that hears embeddings: of real pictures, then of the prior.

    `even`: all directions of the embeddings are made equally loud first.
    """
    known, asked = data(seed)
    loud = bd.evened(known.picture) if even else lambda z: z
    heard = known._replace(picture=loud(known.picture))
    model, history = bd.trained("embedding", heard, seed=seed, steps=EMBEDDING)
    said = [un.read(fo.texts(pairs.scenes)) for pairs in (known, asked)]
    world = un.World(known.scenes, said[0], known.picture)
    prior, _ = un.prior(Prior, world, seed=seed, steps=PRIOR)
    guess = prior.sample(*said[1], generator=generator(seed))
    found = {"curve": lab.means(history.losses["loss"], 100)}
    for name, z in {"picture": asked.picture, "prior": guess}.items():
        kept = f"{'even' if even else 'plain'} {name}"
        found[name] = counted(model.sample, (loud(z),), seed, kept)
    return found


LAB = lab.Lab(
    "dalle2_binding",
    groups={
        "clip": lambda seed: bd.liked(bd.sample(LIKED, seed=4000 + seed)),
        "caption": caption,
        "plain": partial(embedding, even=False),
        "even": partial(embedding, even=True),
    },
    claims=lab.read_claims(__file__),
    budget=60,
)

if __name__ == "__main__":
    LAB.main()
