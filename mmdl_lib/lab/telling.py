"""What the recipe and the pages of captioning share: batches, sentences, truth."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl_lib.core import Model
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.data.shapes.scenes import Thing, relation
from mmdl_lib.data.text import WORD, WordTokenizer
from mmdl_lib.lab import captioning
from mmdl_lib.lab.runs import accuracy, rows, train
from mmdl_lib.models.show_attend_tell import Grid
from mmdl_lib.nn import decode

LENGTH = 32  # tokens of the longest caption, and some more


def tokenizer() -> WordTokenizer:
    """One token for each word of the grammar."""
    return WordTokenizer(shapes.caption_words(), length=LENGTH)


class Told(NamedTuple):
    """Scenes with what a captioner sees of them, and their captions as tokens.

    Attributes:
        scenes: their objects from left to right.
        seen: "image", or "regions" and "region_mask".
        texts: tokens and mask of the first captions of all scenes, the second, ...
    """

    scenes: Scenes
    seen: dict[str, Tensor]
    texts: list[tuple[Tensor, Tensor]]


def told(
    n: int, seed: int, *, regions: bool = False, forms: int = 5, gap=0.0, **options
) -> Told:
    """Sample scenes and tell them.

    Args:
        n: how many.
        seed: of the scenes.
        regions: show regions and no pictures.
        forms: how many of the five captions are used, from the barest on.
        gap: in pixels of 32, how far apart neighbors stand at least, from left to
            right; 0 for any distance.
        options: of `shapes.sample`.
    """
    many = n if gap == 0 else 6 * n
    scenes = captioning.left_to_right(shapes.sample(many, seed=seed, **options))
    step = scenes.center[:, 1:, 0] - scenes.center[:, :-1, 0]
    clear = ((step >= gap) | ~scenes.present[:, 1:]).all(1)
    scenes = scenes[clear.nonzero()[:n, 0]]
    seen = {"image": scenes.render()}
    if regions:
        found = captioning.regions(scenes, seed=seed)
        seen = {"regions": found.feature, "region_mask": found.mask}
    said, tokens = captioning.texts(scenes), tokenizer()
    return Told(scenes, seen, [tokens([t[k] for t in said]) for k in range(forms)])


def batches(data: Told, size: int, seed: int) -> Callable[[int], dict]:
    """`batches(step)` of random scenes, all with the same of their captions."""

    def change(batch: dict, random: torch.Generator) -> dict:
        k = int(torch.randint(len(data.texts), (), generator=random))
        row = batch.pop("row")
        tokens, mask = (part[row] for part in data.texts[k])
        longest = int(mask.sum(1).max())
        return batch | {"tokens": tokens[:, :longest], "mask": mask[:, :longest]}

    row = torch.arange(len(data.scenes))
    return rows(size, seed, change=change, row=row, **data.seen)


def references(data: Told) -> tuple[Tensor, Tensor]:
    """All captions of each scene, framed, as tokens and mask (b, forms, t)."""
    longest = max(tokens.shape[1] for tokens, _ in data.texts)
    padded = [
        [F.pad(part, (0, longest - part.shape[1])) for part in pair]
        for pair in data.texts
    ]
    tokens, mask = zip(*padded, strict=True)
    return torch.stack(tokens, 1), torch.stack(mask, 1)


def rewarded(data: Told, size: int, seed: int) -> Callable[[int], dict]:
    """`batches(step)` of random scenes with all of their captions."""
    tokens, mask = references(data)
    given = {"references": tokens, "reference_mask": mask}
    return rows(size, seed, **data.seen, **given)


class Recognizer(Model):
    """A convnet that learns to name the one object of a picture, wherever it is.

    It stands in for the ImageNet training of the convnets whose features captioners
    look at.
    """

    def __init__(self, grid: Grid, names: int = 64):
        super().__init__(None)
        self.layers = grid.layers
        self.head = nn.Linear(grid.places.table.shape[1], names)

    def forward(self, image: Tensor) -> Tensor:
        """Scores (b, names) of what is in the picture."""
        return self.head(self.layers(image).amax((2, 3)))

    def loss(self, batch, *, phase="main", generator=None):
        """Nats for each picture."""
        return {"loss": F.cross_entropy(self(batch["image"]), batch["label"])}


def recognize(grid: Grid, seed: int, *, steps: int, n: int = 8000, **options) -> float:
    """Train a convnet in place on single objects; its accuracy on others.

    Args:
        grid: whose convolutions are trained.
        seed: of pictures, start of the head, and order.
        steps: of 64 pictures.
        n: pictures.
        options: of `shapes.sample`.
    """

    def some(n: int, seed: int) -> tuple[Tensor, Tensor]:
        scenes = shapes.sample(n, seed=seed, objects=1, **options)
        return scenes.render(), 8 * scenes.color[:, 0] + scenes.shape[:, 0]

    torch.manual_seed(seed)
    model, (image, label) = Recognizer(grid), some(n, seed)
    train(model, rows(64, seed, image=image, label=label), steps=steps, lr=2e-3)
    return accuracy(model, *some(500, 50_000 + seed))


@torch.no_grad()
def said(
    model, seen: dict[str, Tensor], method=decode.greedy, *, at_once=250, **options
) -> list[str]:
    """What a captioner says in evaluation mode, as words.

    Args:
        model: a `Teller`.
        seen: what it sees, by name; bytes become pixels in [-1, 1].
        method: of `mmdl_lib.nn.decode`; of several beams the best is taken.
        at_once: rows of a batch.
        options: of the method; `max_length` is 30 by default.
    """
    model.eval()
    words, out = tokenizer(), []
    options = {"max_length": LENGTH - 2} | options
    for start in range(0, len(next(iter(seen.values()))), at_once):
        part = {k: v[start : start + at_once] for k, v in seen.items()}
        part = {
            k: shapes.to_float(v) if v.dtype == torch.uint8 else v
            for k, v in part.items()
        }
        tokens = model.search(model.known(part), method, **options).tokens
        tokens = tokens[:, 0] if tokens.ndim == 3 else tokens
        out += [sentence(row, words) for row in tokens.tolist()]
    return out


def sentence(tokens: Sequence[int], words: WordTokenizer) -> str:
    """Words of tokens, up to the end."""
    ended = [*tokens, 2].index(2)
    return " ".join(words.words[i - 3] for i in tokens[:ended] if i > 2)


def true_to_scene(text: str, scenes: Scenes, row: int) -> bool:
    """Whether a caption names all objects in order, and nothing that is not so.

    Frames such as "a photo of" are free, so more texts are true than the five of a
    scene: each object needs its color and shape, from left to right; a size, a texture
    and a place are allowed, and must be right. The fifth caption of two objects begins
    at the right and does not count.
    """
    (things,) = scenes[row : row + 1].things()
    words = [
        w for w in text.split() if w not in ("a", "an", "and", "of", "there", "is")
    ]
    words = [w for w in words if w not in ("photo", "picture", "with")]
    for place, thing in enumerate(things):
        if place and words and words[0] in PLACES:
            here = shapes.RELATIONS[int(relation(scenes[row : row + 1]))]
            if place != 1 or words.pop(0) != here.split()[0]:
                return False
        if not _named(thing, words):
            return False
    return not words


def objects(text: str) -> int:
    """How many objects a caption names: one for each word of a shape."""
    return sum(word in shapes.SHAPES for word in text.split())


PLACES = ("left", "right", "above", "below")


def _named(thing: Thing, words: list[str]) -> bool:
    """Take the words of one object; False if they are not its own."""
    for extra, kinds in ((thing.size, shapes.SIZES), (thing.texture, shapes.TEXTURES)):
        if words and words[0] in kinds and words.pop(0) != extra:
            return False
    name, words[:2] = words[:2], []
    return name == [thing.color, thing.shape]


def truth(texts: Sequence[str], scenes: Scenes) -> float:
    """Share of captions that are `true_to_scene`."""
    right = [true_to_scene(text, scenes, i) for i, text in enumerate(texts)]
    return sum(right) / len(right)


def form(text: str) -> str:
    """Which of the kinds of sentences a caption is."""
    for start in ("a photo of", "a picture with", "there is"):
        if text.startswith(start):
            return start
    if any(word in text.split() for word in PLACES):
        return "place"
    return "sizes" if text.split()[1:2] and text.split()[1] in shapes.SIZES else "bare"


@torch.no_grad()
def pointed(model, data: Told) -> float:
    """Share of color and shape words that look most at a cell of their own object.

    Args:
        model: with `attention(tokens, image)` -> (b, t, n) over a square grid.
        data: whose first captions are the barest: article, color, shape, "and", ...
    """
    tokens, _ = data.texts[0]
    weights = model.eval().attention(tokens, shapes.to_float(data.seen["image"]))
    side = round(weights.shape[-1] ** 0.5)
    best, size = weights.argmax(-1), 32 / side
    x, y = (best % side + 0.5) * size, (best // side + 0.5) * size
    # the words of object k are chosen in rows 4 k + 1 and 4 k + 2
    row = 4 * torch.arange(4)[:, None] + torch.tensor([1, 2])
    row = row[: (tokens.shape[1] - 1) // 4]
    n, at = len(row), torch.stack([x, y], -1)[:, row]  # (b, n, 2 words, x and y)
    box = data.scenes.boxes()[:, :n, None]
    # a cell belongs to an object if its middle is in the box or half a cell outside
    near = (at >= box[..., :2] - size / 2) & (at <= box[..., 2:] + size / 2)
    hit = near.all(-1) & data.scenes.present[:, :n, None]
    return (hit.sum() / (2 * data.scenes.present.sum())).item()


def words_of(name: str) -> list[str]:
    """The words of a drawing's name."""
    return WORD.findall(name.lower())


def nameable(names: Sequence[str], words: Sequence[str]) -> list[int]:
    """Rows whose names can be said with these words."""
    return [i for i, name in enumerate(names) if {*words_of(name)} <= {*words}]


def mirrored(batch: dict, random: torch.Generator) -> dict:
    """All pictures of a batch as they are, or their mirror images."""
    if torch.rand((), generator=random) < 0.5:
        batch["image"] = batch["image"].flip(-1)
    return batch


@torch.no_grad()
def named(model, data, rows: list[int], words: WordTokenizer, seed: int) -> dict:
    """How well drawings are named: word for word, in part, and by likelihood.

    Args:
        model: a `Teller` of pictures.
        data: of `clipart.load`.
        rows: which of its drawings.
        words: the tokenizer.
        seed: of the order in which pictures are exchanged.

    Returns:
        Share of names that are right ("exact"); of names with at least one word of the
        true one ("a word"); nats a word, with the right picture and with another one.
    """
    image = shapes.to_float(data.image[rows])
    names = [" ".join(words_of(data.name[i])) for i in rows]
    model.eval()
    tokens = model.generate(image, max_length=8).tolist()
    found = [sentence(row, words) for row in tokens]
    pairs = [
        (set(one.split()), set(two.split()))
        for one, two in zip(found, names, strict=True)
    ]
    out = {"exact": sum(a == b for a, b in zip(found, names, strict=True)) / len(rows)}
    out["a word"] = sum(bool(one & two) for one, two in pairs) / len(rows)
    tokens, mask = words(names)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    for key, seen in (("nats", image), ("nats of others", image[order])):
        batch = {"image": seen, "tokens": tokens, "mask": mask}
        terms = model.loss(batch)
        out[key] = terms.get("nats", terms["loss"]).item()
    return out


@torch.no_grad()
def pointed_regions(model, data: Told) -> float:
    """As `pointed`, of the last layer of a captioner of regions, mean of its heads."""
    tokens, _ = data.texts[0]
    regions, mask = data.seen["regions"], data.seen["region_mask"]
    weights = model.eval().attention(tokens, regions, mask)[:, -1].mean(1)
    # the left edge of a box tells which object a region is
    order = regions[..., -4].masked_fill(~mask, torch.inf).argsort(1)
    row = 4 * torch.arange(order.shape[1])[:, None] + torch.tensor([1, 2])
    row = row[: (tokens.shape[1] - 1) // 4]
    hit = weights.argmax(-1)[:, row] == order[:, : len(row), None]
    there = data.scenes.present[:, : len(row), None]
    return ((hit & there).sum() / (2 * there.sum())).item()
