"""One small net, three masks: BERT's trunk trained as BERT, as GPT and with a prefix.

The words of verses are the tokens: the most frequent ones, all others are [UNK].
"""

from collections import Counter
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number, check_some, check_texts
from mmdl_lib.core import Model
from mmdl_lib.data import verses
from mmdl_lib.models.bert import BERT
from mmdl_lib.models.t5 import visible

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
LENGTH = 16  # tokens of a verse, frames included; what is longer is cut off
TAGS = ("noun", "verb", "adjective", "adverb", "pronoun", "preposition")
TAGS += ("conjunction", "article", "other")


@cache
def vocabulary(size: int = 500) -> list[str]:
    """The special tokens and the most frequent words of the training verses."""
    counts = Counter(w for words in verses.load("train").english for w in words)
    # equally frequent ones in the order of the alphabet
    order = sorted(counts, key=lambda word: (-counts[word], word))
    return [*SPECIAL, *order[: size - len(SPECIAL)]]


class Text(NamedTuple):
    """Verses as tokens, with the part of speech of each word.

    Attributes:
        tokens: [CLS], words, and [SEP] where the verse ends within the length.
        mask: True where there is a token.
        tags: number in `TAGS`; -1 where it is not known.
    """

    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    tags: Int[Tensor, "b t"]


def encode(
    sentences: list[list[str]], tags: list[list[str | None]] | None = None
) -> Text:
    """Verses as tokens; see `Text`. Without tags none is known."""
    ids = {word: i for i, word in enumerate(vocabulary())}
    numbers = {tag: i for i, tag in enumerate(TAGS)} | {None: -1}
    tokens = torch.full((len(sentences), LENGTH), PAD)
    label = torch.full((len(sentences), LENGTH), -1)
    for i, words in enumerate(sentences):
        row = [CLS, *(ids.get(word, UNK) for word in words), SEP][:LENGTH]
        tokens[i, : len(row)] = torch.tensor(row)
        if tags is not None and tags[i]:
            known = [numbers[tag] for tag in tags[i]][: LENGTH - 1]
            label[i, 1 : 1 + len(known)] = torch.tensor(known)
    return Text(tokens, tokens != PAD, label)


def decode(tokens: Int[Tensor, " t"]) -> list[str]:
    """The words of a row, without padding and frames."""
    words = vocabulary()
    return [words[i] for i in tokens.tolist() if i not in (PAD, CLS, SEP)]


@cache
def text(split: str) -> Text:
    """All verses of a split of `mmdl_lib.data.verses`."""
    found = verses.load(split)
    return encode(found.english, found.tags)


class Masked(BERT):
    """BERT's net, with a mask and an objective of its choice; all have equal weights.

    Attributes:
        kind: "full", "causal" or "prefix", as in `mmdl_lib.models.t5.visible`.
    """

    kind = "full"

    def hidden(self, tokens, mask=None, segments=None, prefix=None):
        """As in `BERT`; each token sees what its kind allows.

        A prefix model sees all of a text in both directions if no prefix is given.
        """
        n = tokens.shape[1]
        if mask is None:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        seen = visible(self.kind, n, prefix=n if prefix is None else prefix)
        return super().hidden(tokens, mask[:, None] & seen.to(mask.device), segments)

    def loss(self, batch, *, phase="main", generator=None):
        """Hidden words, or the next word of each, or of those behind a prefix."""
        if self.kind == "full":
            return super().loss(batch, phase=phase, generator=generator)
        tokens, mask, start = batch["tokens"], batch["mask"], 1
        if self.kind == "prefix":
            start = int(torch.randint(4, 12, (), generator=generator))
        x = self.hidden(tokens, mask, prefix=start)[:, start - 1 : -1]
        each = F.cross_entropy(self.guess(x).mT, tokens[:, start:], reduction="none")
        real = mask[:, start:]
        check_some("mask of what is said", real)
        return {"loss": (each * real).sum() / real.sum()}


class Tagger(Model):
    """A part of speech for each word: one linear layer on a trunk, both trained."""

    def __init__(self, trunk: BERT):
        super().__init__(trunk.config)
        self.trunk, self.head = trunk, nn.Linear(trunk.config.width, len(TAGS))

    def forward(self, tokens, mask):
        return self.head(self.trunk.hidden(tokens, mask))

    def loss(self, batch, *, phase="main", generator=None):
        """Cross-entropy of the known tags; the trunk's own heads have no part."""
        logits = self(batch["tokens"], batch["mask"])
        label, known = batch["tags"], batch["tags"] >= 0
        check_some("known tags", known)
        each = F.cross_entropy(logits.mT, label.clamp(min=0), reduction="none")
        return {"loss": (each * known).sum() / known.sum()}


class Cuts(NamedTuple):
    """Verses cut before a word that is to be said.

    Attributes:
        tokens, mask: the whole verse.
        place: of the word, for each verse.
        word: which one it is.
    """

    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    place: Int[Tensor, " b"]
    word: Int[Tensor, " b"]


def cuts(some: Text, generator: torch.Generator, *, first: int = 6) -> Cuts:
    """One word of each verse that is long enough, known and followed by another."""
    place = torch.arange(LENGTH)
    last = some.mask.sum(1, keepdim=True) - 2
    good = (place >= first) & (place < last) & (some.tokens >= len(SPECIAL))
    chance = torch.rand(good.shape, generator=generator) * good
    rows, at = good.any(1).nonzero()[:, 0], chance.argmax(1)
    at = at[rows]
    return Cuts(some.tokens[rows], some.mask[rows], at, some.tokens[rows, at])


@torch.no_grad()
def nats(model: Masked, cut: Cuts, *, after: int | None) -> float:
    """Mean -log p of the cut words.

    Args:
        model: "causal" and "prefix" read up to the word before; "full" reads [MASK].
        cut: which words.
        after: tokens behind the word that a full model reads: None, all of the verse;
            0, nothing; 1, a [SEP].
    """
    model.eval()
    place = torch.arange(LENGTH)
    tokens, mask, at = cut.tokens, cut.mask, cut.place[:, None]
    if model.kind == "full":
        tokens = torch.where(place == at, MASK, tokens)
        if after is not None:
            tokens = torch.where(place == at + 1, SEP, tokens)
            mask = place <= at + after
    else:
        mask, at = place < at, at - 1
    x = model.hidden(tokens, mask).take_along_dim(at[..., None], 1)[:, 0]
    return F.cross_entropy(model.guess(x), cut.word).item()


@torch.no_grad()
def tagged(model: Tagger, some: Text) -> Int[Tensor, "b t"]:
    """The likeliest tag of each token."""
    model.eval()
    parts = zip(some.tokens.split(500), some.mask.split(500), strict=True)
    return torch.cat([model(*part).argmax(-1) for part in parts])


@torch.no_grad()
def features(model: Masked, some: Text) -> tuple[Float[Tensor, "n d"], Tensor]:
    """The vectors of all words whose tag is known, and the tags."""
    model.eval()
    parts = zip(some.tokens.split(500), some.mask.split(500), strict=True)
    x, known = torch.cat([model.hidden(*part) for part in parts]), some.tags >= 0
    return x[known], some.tags[known]


def most_frequent(some: Text) -> Float[Tensor, "k tags"]:
    """How often each token has each tag."""
    return _counts(some, some.tokens, len(vocabulary()))


def _counts(some: Text, key: Int[Tensor, "b t"], size: int) -> Float[Tensor, "k tags"]:
    known = some.tags >= 0
    table = torch.zeros(size, len(TAGS))
    pairs = key[known], some.tags[known]
    return table.index_put_(pairs, torch.tensor(1.0), accumulate=True)


def counted(some: Text, new: Text, *, sides: tuple[int, ...] = ()) -> Tensor:
    """Tags of a new text by counting, without any net.

    Args:
        some: the text with known tags.
        new: the one to tag.
        sides: which neighbors are looked at beside the word itself: -1 the one before,
            1 the next, or both. The tag of a pair that was not seen is that of the word
            alone; two neighbors are taken as independent, given the word.

    Returns:
        The likeliest tag of each token.
    """
    size = len(vocabulary())
    table = most_frequent(some)
    # a word that was not seen has the shares of all words together; none is zero
    shares = table.sum(0) + 1
    table = table + 1e-3 * shares / shares.sum()
    alone = (table / table.sum(1, keepdim=True))[new.tokens]
    log_p = alone.log()
    for side in sides:
        keys = [x.tokens * size + x.tokens.roll(-side, 1) for x in (some, new)]
        found = _counts(some, keys[0], size**2)[keys[1]] + alone
        log_p = log_p + (found / found.sum(-1, keepdim=True) / alone).log()
    return log_p.argmax(-1)


@torch.no_grad()
def guesses(
    model: Masked, words: list[str], place: int, *, past: bool = False
) -> Float[Tensor, " k"]:
    """Probabilities of the word at a place, counted from 0.

    Args:
        model: a full one reads [MASK] there; a causal one stops before it.
        words: of which that at the place is not read.
        place: where the word stands.
        past: a full model, too, reads nothing behind the place.

    Raises:
        ValueError: no words, a place outside of them, or of what a model reads.
    """
    check_texts("words", words)
    last = min(len(words), LENGTH - 1) - 1
    if not 0 <= place <= last:
        raise ValueError(f"place expected 0 to {last}, got {place}.")
    tokens, mask, _ = encode([words])
    at = place + 1
    if model.kind == "full":
        tokens[0, at] = MASK
        mask = torch.arange(LENGTH)[None] <= at if past else mask
    else:
        mask, at = torch.arange(LENGTH)[None] < at, at - 1
    return model.guess(model.hidden(tokens, mask)[0, at]).softmax(-1)


def continued(model: Masked, words: list[str], count: int) -> list[str]:
    """More words, the likeliest each time; a full model is given a [MASK] at the end.

    Tokens that are no words are passed over.

    Raises:
        ValueError: no whole number of words from zero up, or more than a model reads.
    """
    check_number("count", count, 0, whole=True)
    words = list(words)
    for _ in range(count):
        p = guesses(model, [*words, SPECIAL[UNK]], len(words), past=True)
        p[: len(SPECIAL)] = 0
        words.append(vocabulary()[int(p.argmax())])
    return words
