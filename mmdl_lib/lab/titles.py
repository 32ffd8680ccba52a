"""Titles of real drawings: what pictures of some kinds of things do for others.

Sentences are the names of clip art, and what their authors called and tagged them; a
picture is what EfficientNet-Lite0 sees. Words begin, and stay, as GloVe's vectors.
"""

import re
import zlib
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data import clipart, words
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab.grounded import _seen
from mmdl_lib.models.grounded_space import cosines, perceptual_loss

WORD = re.compile(r"[a-z]+")
STEPS, LONGEST, FOLDS = 400, 8, 10
SIDE = 96  # pixels, enlarged from 64


@dataclass(frozen=True)
class Titles:
    """Row i of each belongs to drawing i.

    Attributes:
        name: what is drawn, in words that GloVe knows.
        tags: words of its author's title and keywords that are not in the name.
        picture: features.
        group: drawings of the same kind of thing share it.
        category: one of seventeen.
    """

    name: list[str]
    tags: list[str]
    picture: Float[Tensor, "n p"]
    group: list[str]
    category: np.ndarray


@cache
def titles() -> Titles:
    """All drawings with a name and tags that GloVe knows."""
    drawn, glove = clipart.load("all"), words.glove()
    kept, name, tags = [], [], []
    rows = zip(drawn.name, drawn.title, drawn.keywords, strict=True)
    for i, (one, title, keys) in enumerate(rows):
        mine = WORD.findall(one.lower())
        more = dict.fromkeys(WORD.findall(" ".join([title, *keys]).lower()))
        more = [w for w in more if w in glove and len(w) > 2 and w not in mine]
        if more and all(w in glove for w in mine) and len(mine) <= LONGEST:
            kept.append(i)
            name.append(" ".join(mine))
            tags.append(" ".join(more[:LONGEST]))
    image = F.interpolate(
        drawn.image[kept].float(), (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    picture = torch.as_tensor(_seen(image.round().to(torch.uint8)))
    group = [drawn.group[i] for i in kept]
    category = np.array([drawn.category[i] for i in kept])
    return Titles(name, tags, picture - picture.mean(0), group, category)


@cache
def tokenizer() -> WordTokenizer:
    """All words of names and tags."""
    found = titles()
    known = sorted({w for line in found.name + found.tags for w in line.split()})
    return WordTokenizer(known, length=LONGEST + 2)


def fold(seed: int) -> Bool[Tensor, " n"]:
    """Drawings of a tenth of all kinds, which a seed holds out; pilots have others."""
    part = [zlib.crc32(f"{seed} {group}".encode()) % FOLDS for group in titles().group]
    return torch.tensor(part) == 0


def model(kind: type, **weights):
    """An encoder whose words are GloVe's; they stay as they are."""
    read, glove = tokenizer(), words.glove()
    config = replace(kind.PRESETS["stories"], vocab=read.vocab, embed=50, **weights)
    made = kind(config)
    with torch.no_grad():
        made.embed.weight[len(made.embed.weight) - len(read.words) :] = glove[
            read.words
        ]
    made.embed.requires_grad_(False)
    return made


def batches(seed: int, *, size: int = 64):
    """`batches(step)`: names with tags after them, and both as two sentences about
    the drawing; kinds of the fold are left out."""
    found, rows = titles(), (~fold(seed)).nonzero().flatten()
    names, tags = tokenizer()(found.name), tokenizer()(found.tags)
    width = max(names[0].shape[1], tags[0].shape[1])
    (name, name_mask), (tag, tag_mask) = (
        [F.pad(x, (0, width - x.shape[1])) for x in pair] for pair in (names, tags)
    )

    def batch(step: int) -> dict[str, Tensor]:
        g = generator(1_000_003 * seed + step)
        row = rows[torch.randint(len(rows), (size,), generator=g)]
        shown = rows[torch.randperm(len(rows), generator=g)[: size // 2]]
        return {
            "tokens": name[row],
            "mask": name_mask[row],
            "after": tag[row],
            "after_mask": tag_mask[row],
            "caption": torch.cat([name[shown], tag[shown]]),
            "caption_mask": torch.cat([name_mask[shown], tag_mask[shown]]),
            "label": shown.repeat(2),
            "picture": found.picture[shown].repeat(2, 1),
        }

    return batch


@torch.no_grad()
def measured(model, seed: int) -> dict:
    """How sentences about kinds of things that nobody showed lie, and baselines."""
    model.eval()
    found, out = titles(), {}
    rows = fold(seed).nonzero().flatten().tolist()
    first = {found.name[i]: i for i in reversed(rows)}  # each name once
    rows = sorted(first.values())
    s = model.encode_text(*tokenizer()([found.name[i] for i in rows]))
    mean = torch.stack([
        words.glove()[found.name[i].split()].mean(0) for i in rows
    ])  # fmt: skip
    picture, category = found.picture[rows], found.category[rows]
    spaces = {"sentence": s, "grounded": model.ground(s), "words": mean}
    for name, x in spaces.items():
        near = cosines(x).fill_diagonal_(-1).argmax(1).numpy()
        out[name] = {
            "like": -perceptual_loss(x, picture).item(),
            "category": float((category[near] == category).mean()),
        }
    after = tokenizer()([found.tags[i] for i in rows])
    return out | {"asked": len(rows), "nats": model.text_loss(s, *after).item()}
