"""Stories about things in pictures: what does the text know, what only the picture?

A story has two sentences. "ann finds a crimson disk ." and, after it, "ann is glad of
the crimson disk .". Each color and each shape has two names, and a story keeps to its
names: so the text says who is glad, but never that crimson is a red, or orange near it.
A picture shows one thing; people say different sentences about it, in their own names.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import COLORS, HELD_OUT, SHAPES
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.metrics.probe import logistic_regression
from mmdl_lib.models.grounded_space import cohesion, cosines, perceptual_loss

PEOPLE = ("ann", "ben", "cleo", "dan", "eva", "finn")
MOODS = {
    "glad": ("finds", "buys", "keeps"),
    "sad": ("loses", "breaks", "misses"),
    "tired": ("carries", "paints", "sells"),
}
VERBS = {verb: mood for mood, verbs in MOODS.items() for verb in verbs}
COLOR_NAMES = dict(
    red="crimson", green="emerald", blue="azure", yellow="lemon", orange="amber",
    purple="violet", pink="rose", cyan="teal",
)  # fmt: skip
SHAPE_NAMES = dict(
    circle="disk", square="box", triangle="wedge", star="asterisk", cross="plus",
    heart="valentine", ring="hoop", moon="crescent",
)  # fmt: skip
NAMES = (
    tuple(tuple(pair) for pair in COLOR_NAMES.items()),
    tuple(tuple(pair) for pair in SHAPE_NAMES.items()),
)
GLUE = ("a", "the", "is", "of")
GRID = 8  # pixels a side of what is seen


class Said(NamedTuple):
    """Row i of each belongs to sentence i.

    Attributes:
        text: the sentence.
        after: the sentence that follows it.
        color, shape: of the thing, as places in `COLORS` and `SHAPES`.
        named: (n, 2), which of its two names color and shape got.
        who, mood: as places in `PEOPLE` and `MOODS`.
    """

    text: list[str]
    after: list[str]
    color: Int[Tensor, " n"]
    shape: Int[Tensor, " n"]
    named: Int[Tensor, "n 2"]
    who: Int[Tensor, " n"]
    mood: Int[Tensor, " n"]

    @property
    def kind(self) -> Int[Tensor, " n"]:
        """Color and shape in one number."""
        return self.color * len(SHAPES) + self.shape


def tokenizer() -> WordTokenizer:
    """All words of the stories."""
    names = [name for kind in NAMES for pair in kind for name in pair]
    return WordTokenizer([*GLUE, *PEOPLE, *VERBS, *MOODS, *names], length=12)


def say(
    color: Int[Tensor, " n"],
    shape: Int[Tensor, " n"],
    *,
    seed: int,
    named: Int[Tensor, "n 2"] | None = None,
) -> Said:
    """A story about each thing; who, what happens and the names are drawn.

    Args:
        color: places in `COLORS`.
        shape: places in `SHAPES`.
        seed: of what is drawn.
        named: names to use instead.
    """
    n, g, verbs = len(color), generator(seed), list(VERBS)
    who = torch.randint(len(PEOPLE), (n,), generator=g)
    verb = torch.randint(len(verbs), (n,), generator=g)
    drawn = torch.randint(2, (n, 2), generator=g)
    named = drawn if named is None else named
    mood = torch.tensor([list(MOODS).index(VERBS[v]) for v in verbs])[verb]
    text, after = [], []
    rows = zip(*(x.tolist() for x in (color, shape, named, who, verb)), strict=True)
    for c, s, (i, j), p, v in rows:
        thing = f"{NAMES[0][c][i]} {NAMES[1][s][j]}"
        text.append(f"{PEOPLE[p]} {verbs[v]} a {thing}")
        after.append(f"{PEOPLE[p]} is {VERBS[verbs[v]]} of the {thing}")
    return Said(text, after, color, shape, named, who, mood)


def held_out() -> Bool[Tensor, " k"]:
    """Which of the 64 kinds of things no picture of the training shows."""
    out = torch.zeros(len(COLORS), len(SHAPES)).bool()
    for color, shape in HELD_OUT:
        out[COLORS.index(color), SHAPES.index(shape)] = True
    return out.flatten()


def told(n: int, *, seed: int) -> Said:
    """Stories about things of all 64 kinds, also those that no picture shows."""
    kind = torch.randint(64, (n,), generator=generator(seed))
    return say(kind // 8, kind % 8, seed=seed + 1)


def seen(n: int, *, seed: int, held: str = "exclude"):
    """Scenes with one large thing near the middle, and the features of each picture."""
    scenes = shapes.sample(
        n, seed=seed, objects=1, held_out=held, sizes="large", textures="solid",
        x=(14, 18), y=(14, 18),
    )  # fmt: skip
    return scenes, looks(scenes)


def looks(scenes) -> Float[Tensor, "n p"]:
    """Features of pictures: small pixels, less white, so that only the thing counts."""
    pixels = shapes.to_float(scenes.render(32))
    return F.adaptive_avg_pool2d(1 - pixels, GRID).flatten(1)


def pictured(n: int, *, seed: int, each: int = 2) -> tuple[Said, dict[str, Tensor]]:
    """n pictures and `each` sentences about each of them, side by side."""
    scenes, picture = seen(n, seed=seed)
    label = torch.arange(n).repeat_interleave(each)
    said = say(scenes.color[:, 0][label], scenes.shape[:, 0][label], seed=seed + 1)
    return said, {"label": label, "picture": picture[label]}


def batches(stories: Said, about: Said, facts: dict, *, size: int = 64, seed: int):
    """`batches(step)`: stories, and sentences about pictures, two for each."""
    read = tokenizer()
    words = {"tokens": stories.text, "after": stories.after, "caption": about.text}
    text = {name: read(lines) for name, lines in words.items()}
    masks = {"tokens": "mask", "after": "after_mask", "caption": "caption_mask"}

    def batch(step: int) -> dict[str, Tensor]:
        g = generator(1_000_003 * seed + step)
        row = torch.randint(len(stories.text), (size,), generator=g)
        first = 2 * torch.randint(len(about.text) // 2, (size // 2,), generator=g)
        both = torch.stack([first, first + 1], 1).flatten()
        found = {name: value[both] for name, value in facts.items()}
        for name, (tokens, mask) in text.items():
            rows = both if name == "caption" else row
            found |= {name: tokens[rows], masks[name]: mask[rows]}
        return found

    return batch


@torch.no_grad()
def vectors(model, text: list[str]) -> dict[str, Float[Tensor, "n d"]]:
    """Both vectors of sentences: its own, and its point in the grounded space."""
    model.eval()
    s = model.encode_text(*tokenizer()(text))
    return {"sentence": s, "grounded": model.ground(s)}


def prototypes() -> Float[Tensor, "k p"]:
    """Mean features of new pictures of each of the 64 kinds."""
    scenes, picture = seen(6400, seed=99, held="include")
    kind = scenes.color[:, 0] * 8 + scenes.shape[:, 0]
    total = torch.zeros(64, picture.shape[1]).index_add(0, kind, picture)
    return total / kind.bincount(minlength=64)[:, None]


def every(seed: int, *, named: tuple[int, int] | None = None) -> Said:
    """One sentence about each of the 64 kinds, named so where names are given."""
    kind = torch.arange(64)
    names = None if named is None else torch.tensor([named]).expand(64, 2)
    return say(kind // 8, kind % 8, seed=seed, named=names)


def met(query: Float[Tensor, "n d"], found: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Which rows have their own row as the nearest, by cosine; a tie is none."""
    cosine = F.normalize(query, dim=1) @ F.normalize(found, dim=1).T
    own = cosine.diag().clone()
    cosine.fill_diagonal_(-torch.inf)
    return own > cosine.amax(1)


def few_labels(
    x: Float[Tensor, "n d"], label: Int[Tensor, " n"], *, labels: int = 30
) -> float:
    """Accuracy on the rest of a linear classifier that sees some labels.

    All vectors get one common scale, so that what is small in them stays small.
    """
    x = (x - x.mean(0)) / x.std(0).square().mean().sqrt()
    weight, bias = logistic_regression(x[:labels], label[:labels], l2=0.01)
    said = (x[labels:].double() @ weight.T + bias).argmax(1)
    return (said == label[labels:]).double().mean().item()


@torch.no_grad()
def measured(model, seed: int, *, rounds: int = 8) -> dict:
    """What both vectors of new sentences know, and the text objective on new stories.

    `names`: share of sentences about 64 kinds of things, in one set of names, whose
    nearest in the other set, said by others, is about the same kind; `held`, among
    kinds that no picture showed. `like`: correlation of cosines with those of mean
    pictures. `mood`, `who`, `color`: a classifier with few labels. `cohesion` of one
    kind, and the mean `cosine` of all pairs beside it.
    """
    new, read = told(1500, seed=777 + seed), tokenizer()
    s = vectors(model, new.text)["sentence"]
    out = {"nats": model.text_loss(s, *read(new.after)).item()}
    truth, looked, out_of = vectors(model, new.text), prototypes(), held_out()
    for name, x in truth.items():
        hits, like = [], []
        for i in range(rounds):
            one, other = (
                vectors(model, every(5000 * (seed + 1) + 9 * i + k, named=(k, k)).text)
                for k in range(2)
            )
            hits.append(met(one[name], other[name]))
            mixed = vectors(model, every(5000 * (seed + 1) + 9 * i + 2).text)[name]
            like.append(-perceptual_loss(mixed, looked).item())
        hit = torch.stack(hits).double()
        out[name] = {
            "names": hit.mean().item(),
            "held": hit[:, out_of].mean().item(),
            "like": sum(like) / rounds,
            "mood": few_labels(x, new.mood),
            "who": few_labels(x, new.who, labels=60),
            "color": few_labels(x, new.color, labels=80),
            "cohesion": cohesion(x[:400], new.kind[:400]),
            "cosine": cosines(x[:400]).mean().item(),
        }
    return out
