"""The world of the chapters on diffusion: one or two plain objects, medium or large.

A batch holds singles and pairs, each with one of its five captions; where a caption
says who stands where, its facts come along: color and shape of the object on the left
or above, of the other, and whether they stand beside or above each other.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_bytes, to_float
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import runs
from mmdl_lib.lab.engine import short
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.train import History

SIDE = 32
# how often each of the five captions is taken, and those that tell a direction
CAPTIONS, TELLING = (0.15, 0.1, 0.35, 0.1, 0.3), (2, 4)
SINGLES = 0.25  # of a batch
FACTS = (8, 8, 8, 8, 2)
OPTIMIZER = partial(torch.optim.AdamW, betas=(0.9, 0.99))


def sample(n: int, objects: int, *, seed: int, held_out: str = "exclude") -> Scenes:
    """Scenes of one or two plain objects."""
    world = {"objects": objects, "textures": "solid", "sizes": ("medium", "large")}
    return shapes.sample(n, seed=seed, held_out=held_out, **world)


def texts(scenes: Scenes) -> list[str]:
    """Such as "a red circle" and "a red circle left of a blue square"."""
    return [said[2] for said in shapes.captions(scenes)]


def tokenizer() -> WordTokenizer:
    """Every word of the world's captions."""
    return WordTokenizer(shapes.caption_words(), length=24)


def facts(scenes: Scenes) -> Int[Tensor, "b 5"]:
    """Color and shape of the object left or above, of the other, and the axis."""
    at, row = shapes.relation(scenes), torch.arange(len(scenes))
    first, second = at % 2, 1 - at % 2
    one, two = ((scenes.color[row, i], scenes.shape[row, i]) for i in (first, second))
    return torch.stack([*one, *two, at // 2], 1).long()


def batches(
    singles: Scenes, pairs: Scenes, *, seed: int, batch_size: int = 32
) -> Callable[[int], dict]:
    """`batches(step)`: a quarter singles, the others pairs, each with a caption."""
    parts = [_part(scenes) for scenes in (singles, pairs)]
    alone = round(SINGLES * batch_size)
    counts = alone, batch_size - alone
    share = torch.tensor(CAPTIONS)

    def batch(step: int) -> dict:
        random = generator(1_000_003 * seed + step)
        rows = []
        for (image, tokens, mask, told), count in zip(parts, counts, strict=True):
            row = torch.randint(len(image), (count,), generator=random)
            which = torch.multinomial(share, count, True, generator=random)
            says = torch.isin(which, torch.tensor(TELLING))[:, None]
            label = torch.where(says, told[row], -1)
            rows.append((image[row], tokens[row, which], mask[row, which], label))
        image, tokens, mask, label = (torch.cat(x) for x in zip(*rows, strict=True))
        longest = int(mask.sum(1).max())
        return {
            "image": to_float(image),
            "tokens": tokens[:, :longest].long(),
            "mask": mask[:, :longest],
            "facts": label,
        }

    return batch


def _part(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bytes of the pictures, tokens and mask of five captions, facts of pairs."""
    said = [one for five in shapes.captions(scenes) for one in five]
    tokens, mask = tokenizer()(said)
    tokens, mask = (x.reshape(len(scenes), 5, -1) for x in (tokens, mask))
    rest = 0, tokenizer().length - tokens.shape[2]
    tokens, mask = (torch.nn.functional.pad(x, rest) for x in (tokens, mask))
    single = int(scenes.count.max()) == 1
    told = torch.full((len(scenes), 5), -1) if single else facts(scenes)
    return scenes.render(SIDE), tokens.to(torch.int16), mask, told


def held(step: int, steps: int) -> float:
    """The rate's share: up in 100 steps, held, and down to 3 % in the last quarter."""
    rise = (step + 1) / min(100, max(1, steps // 10))
    return min(1.0, rise, max(0.03, 4 * (1 - step / steps)))


def train(
    model, *, seed: int, steps: int, sizes: tuple[int, int] = (16_000, 40_000), **how
) -> History:
    """Train a model of captions and pictures on the world; its averaged weights stay.

    Args:
        model: whose batches are those above.
        seed: of scenes, batches and noise.
        steps: of 32 rows.
        sizes: how many singles and pairs there are to learn from.
        how: goes to `fit`, such as a checkpoint.
    """
    scenes = [
        sample(short(n, least=100), k, seed=1000 * seed + 100 + k)
        for k, n in zip((1, 2), sizes, strict=True)
    ]
    return fitted(model, batches(*scenes, seed=seed), seed=seed, steps=steps, **how)


def fitted(model, batches: Callable, *, seed: int, steps: int, **how) -> History:
    """The same training on other batches."""
    model.to(memory_format=torch.channels_last)
    options = {"lr": 1.5e-3, "schedule": held, "weight_decay": 0.01, "ema": 0.999}
    options |= {"optimizer": OPTIMIZER, "seed": seed, **how}
    history = runs.train(model, batches, steps=steps, **options)
    model.load_state_dict(history.average)
    model.to(memory_format=torch.contiguous_format)
    model.eval()
    return history


def drawn(
    draw: Callable[[Tensor, Tensor], Tensor], captions: Sequence[str], *, part: int = 96
) -> Float[Tensor, "b 3 h w"]:
    """Pictures for captions; `draw(tokens, mask)` is called with few at a time."""
    tokens, mask = tokenizer()(list(captions))
    pairs = zip(tokens.split(part), mask.split(part), strict=True)
    return torch.cat([draw(*pair) for pair in pairs]).clamp(-1, 1)


def right(image: Float[Tensor, "b 3 h w"], asked: Scenes) -> dict[str, float]:
    """Shares of the pictures: all asked objects in color and shape, all of it exact,
    the count, the relation where there are two; and of the objects color, shape."""
    found = faithfulness(image, asked)
    seen = asked.seen_in(to_bytes(image))
    pairs = zip(seen, asked.things(), strict=True)
    whole = [_has(one, two) for one, two in pairs]
    shares = {"objects": sum(whole) / len(whole)}
    for name in ("exact", "count", "relation", "color", "shape"):
        if name != "relation" or int(asked.count.max()) > 1:
            shares[name] = getattr(found, name)
    return shares


def _has(seen: list, asked: list) -> bool:
    left = [(s[0], s[1]) for s in seen]
    for thing in asked:
        if (thing.shape, thing.color) not in left:
            return False
        left.remove((thing.shape, thing.color))
    return True
