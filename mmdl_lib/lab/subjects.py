"""Texts about a subject, in which a hidden word's neighbors tell it, or the text does.

A text is seven phrases of three words. A phrase belongs to one of eight subjects, and
its words always stand together. Six phrases in ten, on average, belong to the subject
of the text, the others to any other:

    c1 c2 c3  a1 a2 a3  c1 c2 c3  c1 c2 c3  g1 g2 g3  c1 c2 c3  b1 b2 b3

One hidden word can be told by its neighbors. A whole hidden phrase cannot: what is
left is what the rest of the text is about.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

from mmdl_lib.borders import check_number
from mmdl_lib.core import generator
from mmdl_lib.models.t5 import END, T5, corrupt

SUBJECTS, PHRASES, WORDS, SHARE = 8, 7, 3, 0.6
LENGTH = PHRASES * WORDS
FIRST = END + 1  # the first word; padding and the end token stand before it
VOCAB = FIRST + SUBJECTS * WORDS + 3  # with three sentinels, its last tokens
MIDDLE = PHRASES // 2


class Texts(NamedTuple):
    """Texts and what they are about.

    Attributes:
        tokens: (b, t), words without an end token.
        phrase: (b, p) to which subject each phrase belongs.
        subject: (b,) that of the text.
    """

    tokens: Int[Tensor, "b t"]
    phrase: Int[Tensor, "b p"]
    subject: Int[Tensor, " b"]


def words(subject: Int[Tensor, "*b"]) -> Int[Tensor, "*b 3"]:
    """The three words of a subject's phrase."""
    return FIRST + WORDS * subject[..., None] + torch.arange(WORDS)


def draw(b: int, seed: int) -> Texts:
    """Texts of 21 words.

    Raises:
        ValueError: fewer than one text.
    """
    check_number("b", b, 1, whole=True)
    random = generator(seed)
    subject = torch.randint(SUBJECTS, (b, 1), generator=random)
    step = torch.randint(1, SUBJECTS, (b, PHRASES), generator=random)
    mine = torch.rand(b, PHRASES, generator=random) < SHARE
    phrase = torch.where(mine, subject, (subject + step) % SUBJECTS)
    return Texts(words(phrase).flatten(1), phrase, subject[:, 0])


def batch(tokens: Int[Tensor, "b t"], target: Int[Tensor, "b u"]) -> dict:
    """What T5 eats; no row has padding."""
    whole = {"tokens": tokens, "target": target}
    masks = {"mask": tokens, "target_mask": target}
    return whole | {k: torch.ones_like(v, dtype=torch.bool) for k, v in masks.items()}


def spans(some: Texts, mean: float | int, seed: int) -> dict:
    """Each text with 15 % of its words taken out: three words, in spans of this mean.

    A mean of 1 takes three words that are no neighbors, a mean of 3 three in a row.
    """
    random = generator(seed)
    how = {"vocab": VOCAB, "mean": mean, "generator": random}
    sides = [corrupt(row, **how) for row in some.tokens.tolist()]
    return batch(*(torch.tensor(side) for side in zip(*sides, strict=True)))


def naming(some: Texts) -> dict:
    """Another task: read a text, write the phrase that belongs to its subject."""
    ends = torch.full((len(some.tokens), 1), END)
    said = torch.cat([words(some.subject), ends], 1)
    return batch(torch.cat([some.tokens, ends], 1), said)


def gap(some: Texts, sentinels: int) -> dict:
    """The middle phrase hidden behind one sentinel, or behind three.

    Only texts whose middle phrase belongs to their subject; the target is the first
    sentinel and the phrase's first word.
    """
    rows = some.phrase[:, MIDDLE] == some.subject
    tokens, start = some.tokens[rows], MIDDLE * WORDS
    n, marks = len(tokens), VOCAB - 1 - torch.arange(sentinels)
    parts = [tokens[:, :start], marks.expand(n, -1), tokens[:, start + WORDS :]]
    read = torch.cat([*parts, torch.full((n, 1), END)], 1)
    return batch(read, torch.stack([marks[:1].expand(n), tokens[:, start]], 1))


@torch.no_grad()
def right(model: T5, some: dict) -> Bool[Tensor, "b u"]:
    """Where the likeliest token is the target's, the true ones before it given."""
    logits = model.eval()(some["tokens"], some["mask"], some["target"])
    return logits.argmax(-1) == some["target"]


@torch.no_grad()
def nats(model: T5, some: dict) -> float:
    """Mean -log p of the words in the targets, without sentinels and end tokens."""
    logits = model.eval()(some["tokens"], some["mask"], some["target"])
    each = F.cross_entropy(logits.mT, some["target"], reduction="none")
    word = (some["target"] >= FIRST) & (some["target"] < VOCAB - 3)
    return (each * word).sum().item() / word.sum().item()
