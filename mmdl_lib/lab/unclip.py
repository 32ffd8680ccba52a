"""The world of the chapter on DALL-E 2: one large object, seen through our own CLIP.

CLIP sees pictures of 32 x 32 and is not trained here; the decoder draws 16 x 16, as the
chapter on DALL-E does, and never sees a caption: what is not in the embedding cannot be
in its picture but by chance.
"""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.core import Model, generator
from mmdl_lib.data.shapes import COLORS, RGB, Scenes, to_float
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import runs
from mmdl_lib.lab.engine import short
from mmdl_lib.models.clip import CLIP
from mmdl_lib.models.dalle2 import Decoder
from mmdl_lib.models.dalle2_prior import CodePrior, Prior
from mmdl_lib.pretrained import small

SOURCE = "shapes"
LENGTH = 20  # places of a caption


class Caption(NamedTuple):
    """What a prior reads: states of CLIP's text tower, which are real, and z_t."""

    words: Float[Tensor, "b t e"]
    mask: Bool[Tensor, "b t"]
    text: Float[Tensor, "b d"]

    def rows(self, which) -> "Caption":
        """Some of them."""
        return Caption(*(x[which] for x in self))


@lru_cache(maxsize=1)
def clip() -> tuple[CLIP, WordTokenizer]:
    """Our CLIP of the shapes world and its tokenizer."""
    model, facts = small.load_with_facts("clip", SOURCE)
    return model.eval(), WordTokenizer(facts["words"], length=LENGTH)


@torch.no_grad()
def read(texts: list[str]) -> Caption:
    """Captions as a prior reads them."""
    model, tokenizer = clip()
    tokens, mask = tokenizer(list(texts))
    tokens, mask = tokens[:, : mask.sum(1).max()], mask[:, : mask.sum(1).max()]
    parts = zip(tokens.split(500), mask.split(500), strict=True)
    pairs = [(model.text.hidden(t), model.encode_text(t, m)) for t, m in parts]
    words, text = (torch.cat(x) for x in zip(*pairs, strict=True))
    return Caption(words, mask, text)


@torch.no_grad()
def seen(image: Tensor) -> Float[Tensor, "b d"]:
    """CLIP's embeddings of pictures, bytes or floats."""
    model = clip()[0]
    parts = (p if p.is_floating_point() else to_float(p) for p in image.split(500))
    return torch.cat([model.encode_image(p.clamp(-1, 1)) for p in parts])


class World(NamedTuple):
    """Scenes with their captions and CLIP's embeddings of their pictures."""

    scenes: Scenes
    caption: Caption
    picture: Float[Tensor, "b d"]


def world(n: int, *, seed: int) -> World:
    """Scenes of one large object, each with the caption that is scored."""
    scenes = oo.sample(short(n, least=200), seed=seed)
    return World(scenes, read(oo.texts(scenes)), seen(scenes.render(fo.SIDE)))


def decoder(*, seed: int, steps: int, size: int, **how):
    """Train a decoder on pictures of one large object; its averaged weights stay.

    Returns:
        The model and the history of its training.
    """
    torch.manual_seed(seed)
    model = Decoder.from_preset("shapes")
    scenes = oo.sample(short(size, least=100), seed=1000 * seed + 201)
    picture = seen(scenes.render(fo.SIDE))
    batches = runs.rows(64, seed, image=scenes.render(oo.SIDE), picture=picture)
    return model, _trained(model, batches, seed=seed, steps=steps, lr=2e-3, **how)


def fading(step: int, steps: int) -> float:
    """The rate's share: up in 30 steps, then down to zero in a line."""
    return min(1.0, (step + 1) / 30) * (1 - step / steps)


def _trained(model: Model, batches: Callable, *, seed: int, steps: int, **how):
    model.to(memory_format=torch.channels_last)
    options = {"schedule": fo.held, "weight_decay": 0.01, "ema": 0.99}
    options |= {"optimizer": fo.OPTIMIZER, "seed": seed, **how}
    history = runs.train(model, batches, steps=steps, **options)
    model.load_state_dict(history.average)
    model.to(memory_format=torch.contiguous_format)
    model.eval()
    return history


def prior(
    kind: type[Prior] | type[CodePrior],
    data: World,
    *,
    seed: int,
    steps: int,
    unit: float | None = None,
):
    """Train a prior on a world's captions and embeddings.

    Args:
        kind: diffusion or autoregressive.
        data: what it learns from.
        seed: of weights, batches and noise.
        steps: of 64 rows.
        unit: if given, embeddings are divided by this and not standardized.

    Returns:
        The model and the history of its training.
    """
    torch.manual_seed(seed)
    model = kind.from_preset("shapes")
    if kind is CodePrior:
        model.begin(data.picture, data.caption.text)
    elif unit is None:
        model.begin(data.picture)
    else:
        model.spread.fill_(unit)
    columns = data.caption._asdict() | {"picture": data.picture}
    batches = runs.rows(64, seed, **columns)
    how = {"lr": 2e-3, "schedule": fading}
    return model, _trained(model, batches, seed=seed, steps=steps, **how)


def drawn(
    model: Decoder, picture: Float[Tensor, "b d"], *, seed: int, part: int = 96, **how
) -> Float[Tensor, "b 3 h w"]:
    """Pictures for embeddings, few at a time; row i begins with the same noise."""
    draw = partial(model.sample, **how, generator=generator(seed))
    return torch.cat([draw(z) for z in picture.split(part)]).clamp(-1, 1)


class Places(NamedTuple):
    """Where CLIP keeps the pictures of each of the 64 things, and how spread they are.

    Attributes:
        middle: (64, d), the mean embedding of pictures of a color and shape.
        spread: mean squared distance of real embeddings from their middle.
        move: mean of all pictures less that of their captions.
    """

    middle: Float[Tensor, "k d"]
    spread: float
    move: Float[Tensor, " d"]


def things(scenes: Scenes):
    """Which of the 64 things each scene shows: 8 color + shape."""
    return 8 * scenes.color[:, 0].long() + scenes.shape[:, 0].long()


def places(data: World) -> Places:
    """Means and spread of a world's embeddings."""
    thing, middle = things(data.scenes), torch.zeros(64, data.picture.shape[1])
    middle.index_add_(0, thing, data.picture)
    middle /= thing.bincount(minlength=64).clamp(min=1)[:, None]
    spread = (data.picture - middle[thing]).square().sum(1).mean().item()
    move = data.picture.mean(0) - data.caption.text.mean(0)
    return Places(middle, spread, move)


def off(picture: Float[Tensor, "b d"], scenes: Scenes, at: Places) -> float:
    """Mean squared distance from the middle of the asked thing's pictures, over that of
    real embeddings: 1 is as far as these are, 0 the middle itself."""
    far = (picture - at.middle[things(scenes)]).square().sum(1).mean().item()
    return far / at.spread


def judged(image: Tensor, asked: World) -> dict[str, float]:
    """Shares that are right, and CLIP's mean cosine of picture and caption.

    `exact`: one object of the asked color and shape; `color`: one of the asked color.
    """
    large = oo.larger(image)
    both, color = oo.right(large, asked.scenes)
    near = (seen(large) * asked.caption.text).sum(1).mean().item()
    return {"exact": both.mean().item(), "color": color.mean().item(), "near": near}


def couples(n: int, *, seed: int) -> tuple[Scenes, Scenes]:
    """Scenes two by two, which differ in color and in shape."""
    count = short(n, least=8)
    one, two = (oo.sample(3 * count, seed=10 * seed + k) for k in (1, 2))
    apart = (one.color[:, 0] != two.color[:, 0]) & (one.shape[:, 0] != two.shape[:, 0])
    rows = apart.nonzero()[:count, 0]
    return one[rows], two[rows]


def whose(image: Float[Tensor, "b 3 32 32"], one: Scenes, two: Scenes) -> dict:
    """Of pictures on the way between two: shares by what the program reads there.

    `single`: one object, all others are shares of these pictures: color of the `first
    color`, `second color` or a `third color`, shape likewise, and `crossed`: the color
    of one end with the shape of the other. `mixed`: of the six colors of neither end,
    the one nearest to their mean; `mixed by chance` is a sixth of the third colors.
    """
    ends = zip(one.seen_in(image), one.things(), two.things(), strict=True)
    rows = [(s[0], a[0], b[0]) for s, a, b in ends if len(s) == 1]
    found, count = {"single": len(rows) / len(image)}, max(len(rows), 1)
    for part in ("color", "shape"):
        a, b = (sum(_alike(part, row[0], row[k]) for row in rows) for k in (1, 2))
        found |= {f"first {part}": a / count, f"second {part}": b / count}
        found[f"third {part}"] = (len(rows) - a - b) / count
    crossed = sum(
        (s.color, s.shape) in ((a.color, b.shape), (b.color, a.shape))
        for s, a, b in rows
    )
    mixed = sum(s.color == _mixed(a.color, b.color) for s, a, b in rows)
    found |= {"crossed": crossed / count, "mixed": mixed / count}
    return found | {"mixed by chance": found["third color"] / 6}


@cache
def _mixed(one: str, two: str) -> str:
    """Of the other colors, that nearest to the mean of two."""
    rgb = dict(zip(COLORS, RGB.float(), strict=True))
    mean = (rgb[one] + rgb[two]) / 2
    rest = [name for name in COLORS if name not in (one, two)]
    return min(rest, key=lambda name: (rgb[name] - mean).norm().item())


def _alike(part: str, one, two) -> bool:
    return getattr(one, part) == getattr(two, part)
