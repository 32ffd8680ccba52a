"""Word vectors trained on verses, and what they are measured against.

GloVe's vectors, trained on another corpus thousands of times as large, say which words
are alike; the gold links of the verses say which word translates which.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.core import Model, generator
from mmdl_lib.data import verses, words
from mmdl_lib.data.corpus import Corpus
from mmdl_lib.data.words import Words
from mmdl_lib.lab.runs import rows, train
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models import ppmi, word2vec
from mmdl_lib.models.word2vec import SkipGram, Word2VecConfig

WINDOW, WIDTH, BATCH = 5, 50, 4096


@cache
def sentences(language: str = "english") -> list[list[str]]:
    """The words of all verses, without punctuation; row i is verse i.

    Raises:
        ValueError: another language.
    """
    check_choice("language", language, verses.LANGUAGES)
    return [
        [word for word in verse if any(letter.isalpha() for letter in word)]
        for verse in getattr(verses.load(), language)
    ]


def some(
    language: str = "english", *, books: Container[str] | None = None,
    least: int = 5, without: Container[str] = (),
) -> Corpus:  # fmt: skip
    """Verses as a corpus: all or those of some books."""
    names = verses.load().book
    text = sentences(language)
    if books is not None:
        text = [one for one, book in zip(text, names, strict=True) if book in books]
    return Corpus.read(text, least=least, without=without)


def halves(seed: int) -> tuple[set[str], set[str]]:
    """Two sets of whole books, each about half of the verses, at random."""
    count = Counter(verses.load().book)
    names, first, taken = sorted(count), set(), 0
    for i in torch.randperm(len(names), generator=generator(seed)).tolist():
        if taken < sum(count.values()) / 2:
            first.add(names[i])
            taken += count[names[i]]
    return first, set(names) - first


def pairs_of(corpus: Corpus, seed: int, *, threshold: float | None = 1e-4):
    """Center and context of a text that is thinned or not."""
    g = generator(seed)
    text = (
        corpus if threshold is None else word2vec.thin(corpus, threshold, generator=g)
    )
    return word2vec.pairs(text, WINDOW, generator=g)


def learn(
    model: Model, seed: int, *, steps: int = 700, lr: float = 1e-2, **data: Tensor
) -> list[float]:
    """Train on random rows of the data; the loss of each step."""
    flush = torch.set_flush_denormal(True)  # Adam's squares of small gradients are slow
    history = train(model, rows(BATCH, seed, **data), steps=steps, lr=lr)
    torch.set_flush_denormal(not flush)
    return history.losses["loss"]


def skip_gram(
    corpus: Corpus, seed: int, *, threshold: float | None = 1e-4, width: int = WIDTH,
    kind: type[SkipGram] = SkipGram, **options,
) -> Words:  # fmt: skip
    """Vectors of the words of a corpus, by skip-gram."""
    center, context = pairs_of(corpus, seed, threshold=threshold)
    torch.manual_seed(seed)
    config = Word2VecConfig(vocab=len(corpus.words), width=width)
    model = kind(config, corpus.count)
    learn(model, seed, center=center, context=context, **options)
    return corpus.table(model.vectors())


def counted(
    language: str = "english", books: Container[str] | None = None, *,
    width: int = WIDTH, seed: int = 0, unit: bool = True,
) -> Words:  # fmt: skip
    """Vectors of the words of verses from counts alone."""
    found = of_counts(some(language, books=books), width=width, seed=seed)
    return found.unit() if unit else found


def of_counts(corpus: Corpus, *, width: int = WIDTH, seed: int = 0) -> Words:
    """PPMI and SVD of a text; near neighbors count more."""
    count = corpus.cooccurrences(WINDOW, near=True)
    table = ppmi.shifted_ppmi(count, power=0.75)
    return corpus.table(ppmi.factors(table, width, generator=generator(seed)))


BANDS = {"rare": (5, 20), "middle": (21, 200), "frequent": (201, 10**9)}


def known(corpus: Corpus, low: int, high: int) -> list[str]:
    """Words of the corpus that GloVe has, by how often they occur in it."""
    gold = words.glove()
    often = zip(corpus.words, corpus.count.tolist(), strict=True)
    return [word for word, count in often if low <= count <= high and word in gold]


def likeness(
    one: Float[Tensor, "n d"], other: Float[Tensor, "n e"]
) -> Float[Tensor, "2 m"]:
    """Cosines of all pairs of n words in one space, and in another, as two rows.

    Returns:
        (2, n (n - 1) / 2).
    """
    i, j = torch.triu_indices(len(one), len(one), 1)
    rows = [F.normalize(x, dim=1) for x in (one, other)]
    return torch.stack([(x @ x.T)[i, j] for x in rows])


def agreement(table: Words, chosen: Sequence[str]) -> float:
    """Spearman's correlation with GloVe of the cosines of all pairs of some words."""
    return spearman(*likeness(table[chosen], words.glove()[chosen]))


def sample(items: Sequence, n: int, seed: int) -> list:
    """Some of the items at random, in random order."""
    order = torch.randperm(len(items), generator=generator(seed)).tolist()
    return [items[i] for i in order[:n]]


class Entry(NamedTuple):
    """A word, its most frequent translation, that one's share, and how many links."""

    english: str
    spanish: str
    share: float
    links: int


@cache
def dictionary(least: int = 10) -> list[Entry]:
    """What each English word is translated by, from links that leave no doubt."""
    whole = verses.load()
    found = defaultdict(Counter)
    for ours, theirs, sure in zip(
        whole.english, whole.spanish, whole.sure, strict=True
    ):  # fmt: skip
        for i, j in sure:
            found[ours[i]][theirs[j]] += 1
    entries = []
    for word, count in sorted(found.items()):
        (best, times), total = count.most_common(1)[0], sum(count.values())
        if total >= least:
            entries.append(Entry(word, best, times / total, total))
    return entries
