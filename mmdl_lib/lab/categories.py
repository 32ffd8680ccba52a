"""Prompts by category, as PartiPrompts has them, for the book's generators.

Each category asks for one thing only and is judged for that alone, by the program that
reads pictures. A generator is asked only what its training captions could say: most of
ours know one large object and have no words for sizes or places.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_bytes, to_float
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import frozen as fz
from mmdl_lib.lab import latents as la
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab.engine import short
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.pretrained import small

Draw = Callable[[Scenes, int], Float[Tensor, "b 3 h w"]]

LARGE = {"objects": 1, "sizes": "large"}
# scenes of a kind of prompt; pairs of color and shape that training leaves out are
# asked for by "new" kinds only
KINDS = {
    "one": LARGE,
    "new one": LARGE | {"held_out": "only"},
    "sized": {"objects": 1, "sizes": ("medium", "large")},
    "two": {"objects": 2, "sizes": ("medium", "large")},
    "new two": {"objects": 2, "sizes": ("medium", "large"), "held_out": "only"},
    "three": {"objects": 3, "sizes": "small"},  # there is no room for larger ones
}
PARTS = {
    "color": ("color",),
    "shape": ("shape",),
    "size": ("size",),
    "thing": ("color", "shape"),
}
# category: kind of prompt, and what must be right of the objects
CATEGORIES = {
    "color": ("one", "color"),
    "shape": ("one", "shape"),
    "color and shape": ("one", "thing"),
    "color and shape never seen together": ("new one", "thing"),
    "size": ("sized", "size"),
    "count of two": ("two", "count"),
    "two objects": ("two", "thing"),
    "relation of two": ("two", "relation"),
    "two objects never seen": ("new two", "thing"),
    "count of three": ("three", "count"),
    "three objects": ("three", "thing"),
}
ONE = tuple(CATEGORIES)[:4]


def scenes(kind: str, n: int, *, seed: int) -> Scenes:
    """What the prompts of a kind ask for."""
    which = [*KINDS].index(kind)
    world = {"textures": "solid", **KINDS[kind]}
    return shapes.sample(short(n, least=8), seed=10 * seed + which, **world)


def share(image: Float[Tensor, "b 3 32 32"], asked: Scenes, what: str) -> float:
    """Share of the pictures whose objects are right in one respect, with no others.

    Args:
        image: in [-1, 1].
        asked: what each should show.
        what: one of `PARTS`: all objects have that, as often as asked; "count": so many
            objects; "relation": the two asked objects stand as asked.
    """
    if what == "relation":
        return faithfulness(image, asked).relation
    seen = asked.seen_in(to_bytes(image))
    pairs = list(zip(seen, asked.things(), strict=True))
    if what == "count":
        return sum(len(one) == len(two) for one, two in pairs) / len(pairs)
    hits = [_of(one, what) == _of(two, what) for one, two in pairs]
    return sum(hits) / len(hits)


def _of(things: list, what: str) -> Counter:
    return Counter(tuple(getattr(t, part) for part in PARTS[what]) for t in things)


# who draws


def hour(asked: Scenes, seed: int) -> Tensor:
    """The GLIDE of one or two objects, which learned for an hour; hears sizes, too.

    It has never seen three objects, or small ones: for three the caption tells no size.
    """
    model = small.load("glide", "shapes")
    how = {"scale": 2, "generator": generator(seed)}
    three = int(asked.count.max()) == 3
    texts = [said[0] for said in shapes.captions(asked)] if three else fo.texts(asked)
    return fo.drawn(partial(model.sample, **how), texts)


def glide(asked: Scenes, seed: int) -> Tensor:
    """The small GLIDE of one large object."""
    return oo.larger(
        la.drawn(small.load("glide", oo.WEIGHTS), oo.texts(asked), seed=seed)
    )


def latents(asked: Scenes, seed: int) -> Tensor:
    """Latent diffusion."""
    model = small.load("latent_diffusion", la.WEIGHTS)
    return oo.larger(la.drawn(model, oo.texts(asked), seed=seed))


def imagen(asked: Scenes, seed: int) -> Tensor:
    """Imagen behind its frozen reader."""
    reader, model = small.load("bert", "colors"), small.load("imagen", oo.WEIGHTS)
    texts = fz.captions(asked, torch.zeros(len(asked), dtype=torch.long))
    how = {"scale": 2, "generator": generator(seed)}
    return oo.larger(fz.drawn(model, reader, texts, **how))


def coded(slug: str, scale: float, asked: Scenes, seed: int) -> Tensor:
    """Parti or DALL-E, whose pictures are codes of the dVAE."""
    net, dvae = small.load(slug, oo.WEIGHTS), small.load("dvae", oo.WEIGHTS)
    how = {"scale": scale, "generator": generator(seed)}
    return oo.larger(oo.drawn(net, dvae, oo.texts(asked), **how)).clamp(-1, 1)


def program(asked: Scenes, seed: int) -> Tensor:
    """No generator: the pictures themselves, 16 x 16; the reader errs, too."""
    return oo.larger(to_float(asked.render(oo.SIDE)))


DRAWS: dict[str, Draw] = {
    "GLIDE, an hour": hour,
    "GLIDE": glide,
    "Imagen": imagen,
    "Latent diffusion": latents,
    "DALL-E": partial(coded, "dalle", 1.5),
    "Parti": partial(coded, "parti", 1.5),
    "drawn by the program": program,
}


def scored(draw: Draw, seed: int, *, n: int, names=ONE) -> dict[str, float]:
    """A generator's share in each category, over n prompts of each kind.

    Args:
        draw: makes pictures (b, 3, 32, 32) for scenes and a seed.
        seed: of prompts and noise.
        n: prompts of each kind.
        names: categories that it is asked.
    """
    found, drawn = {}, {}
    for name in names:
        kind, what = CATEGORIES[name]
        if kind not in drawn:
            asked = scenes(kind, n, seed=seed)
            with torch.no_grad():
                drawn[kind] = draw(asked, seed).clamp(-1, 1), asked
        found[name] = share(*drawn[kind], what)
    return found
