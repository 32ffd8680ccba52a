"""Word vectors from a little news, beside as much of the verses and all of them.

Command: python recipes/word2vec_further.py     (needs gensim, which carries the news)
Expected: about ten minutes on a quiet core; results/word2vec_further.json. The news is
the Lee corpus; a seed draws as many words of the verses, whole chapters at random.
"""

import random
from collections import defaultdict
from functools import cache, partial
from pathlib import Path

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import lee, verses, words
from mmdl_lib.data.corpus import Corpus
from mmdl_lib.lab import texts
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models import glove
from mmdl_lib.models.fasttext import FastText, FastTextConfig
from mmdl_lib.models.word2vec import CBOW, Word2VecConfig, bags, thin

LEAST = 5  # a rarer word gets no vector
# chosen on pilot seed 100 of 30, 100 and 300, or 700 where 300 was best or untold, by
# the mean agreement on both short texts; all verses get the chapter's steps
STEPS = {"skip-gram": 30, "CBOW": 300, "GloVe": 100, "fastText": 100}
LONG = 700
BUCKETS = 20_000
UNSEEN, KNOWN = 100, 400
SETS = {"WordSim-353": "wordsim353.tsv", "SimLex-999": "simlex999.txt"}


def as_many(count: int, seed: int) -> list[list[str]]:
    """Verses of whole chapters, drawn at random, up to so many words."""
    whole = verses.load()
    chapters = defaultdict(list)
    for book, chapter, one in zip(
        whole.book, whole.chapter, texts.sentences(), strict=True
    ):
        chapters[book, chapter].append(one)
    order = sorted(chapters)
    random.Random(seed).shuffle(order)
    found, far = [], 0
    for one in (one for name in order for one in chapters[name]):
        if far >= count:
            break
        found.append(one)
        far += len(one)
    return found


@cache
def sides(seed: int) -> dict[str, Corpus]:
    """The three texts."""
    news = lee.sentences()
    count = sum(map(len, news))
    read = {"news": news, "verses": as_many(count, seed), "all": texts.sentences()}
    return {name: Corpus.read(text, least=LEAST) for name, text in read.items()}


@cache
def judged(seed: int) -> tuple[str, ...]:
    """Words that all three texts and GloVe know."""
    news, *others = (corpus.words for corpus in sides(seed).values())
    common = set(words.glove().words).intersection(*others)
    return tuple(word for word in news if word in common)


def skip_gram(corpus, seed, steps):
    return texts.skip_gram(corpus, seed, steps=steps).value


def cbow(corpus, seed, steps):
    text = thin(corpus, 1e-4, generator=generator(seed))
    data = bags(text, texts.WINDOW, generator=generator(seed))
    torch.manual_seed(seed)
    config = Word2VecConfig(vocab=len(corpus.words), width=texts.WIDTH)
    model = CBOW(config, corpus.count)
    texts.learn(model, seed, steps=steps, **data)
    return model.vectors()


def global_vectors(corpus, seed, steps):
    torch.manual_seed(seed)
    config = glove.GloVeConfig(vocab=len(corpus.words), width=texts.WIDTH)
    model = glove.GloVe(config)
    cells = glove.cells(corpus.cooccurrences(texts.WINDOW, near=True))
    texts.learn(model, seed, steps=steps, **cells)
    return model.vectors()


def by_pieces(corpus, seed, steps):
    center, context = texts.pairs_of(corpus, seed)
    torch.manual_seed(seed)
    vocab = len(corpus.words)
    config = FastTextConfig(vocab=vocab, width=texts.WIDTH, buckets=BUCKETS)
    model = FastText(config, corpus.words, corpus.count)
    texts.learn(model, seed, steps=steps, lr=3e-2, center=center, context=context)
    return model


def of_pieces(corpus, seed, steps):
    return by_pieces(corpus, seed, steps).vectors()


def by_counts(corpus, seed, steps):
    return texts.of_counts(corpus, seed=seed).value


def rated(name: str) -> list[tuple[str, str, float]]:
    """Pairs of words and people's mean score."""
    from gensim.test.utils import datapath

    lines = Path(datapath(SETS[name])).read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [(a.lower(), b.lower(), float(score)) for a, b, score in rows]


def people(table: words.Words) -> dict:
    """Spearman's correlation with people on the pairs of a set that a text knows."""
    found, unit = {}, table.unit()
    for name in SETS:
        known = [row for row in rated(name) if row[0] in table and row[1] in table]
        one, other, score = zip(*known, strict=True)
        cosine = (unit[one] * unit[other]).sum(1)
        found[name] = {"pairs": len(known)}
        found[name]["spearman"] = spearman(cosine, torch.tensor(score))
    return found


def method(seed: int, *, side: str, way: str, steps: int | None = None) -> dict:
    """Vectors of a text in a way, beside GloVe's and beside people's scores."""
    corpus, some = sides(seed)[side], judged(seed)
    table = corpus.table(WAYS[way](corpus, seed, steps or STEPS.get(way)))
    facts = {"words": len(corpus.words), "tokens": len(corpus), "judged": len(some)}
    return facts | {"glove": texts.agreement(table, some), "people": people(table)}


def unseen(seed: int) -> dict:
    """fastText of the news without some of its words: where do their pieces lie?"""
    gold, whole = words.glove(), sides(seed)["news"]
    choice = [w for w in texts.known(whole, LEAST, 200) if len(w) > 3]
    out = texts.sample(choice, UNSEEN, seed)
    corpus = Corpus.read(lee.sentences(), least=LEAST, without=set(out))
    model = by_pieces(corpus, seed, STEPS["fastText"])
    near = texts.sample(texts.known(corpus, 10, 10**9), KNOWN, seed)
    inside = corpus.table(model.vectors())[near]
    mine, theirs = model.vectors(out).detach(), cosines(gold[out], gold[near])
    rows = {"own": mine, "another's": mine.roll(1, 0)}
    return {
        name: spearman(cosines(table, inside).flatten(), theirs.flatten())
        for name, table in rows.items()
    }


def cosines(one, other):
    unit = torch.nn.functional.normalize
    return unit(one, dim=1) @ unit(other, dim=1).T


WAYS = {"skip-gram": skip_gram, "CBOW": cbow, "GloVe": global_vectors}
WAYS |= {"fastText": of_pieces, "PPMI and SVD": by_counts}
SHORT = ("news", "verses")
ARMS = {(side, way): None for side in SHORT for way in WAYS}
ARMS |= {("all", "PPMI and SVD"): None, ("all", "skip-gram"): LONG}
GROUPS = {
    "texts": {
        f"{side}/{way}": partial(method, side=side, way=way, steps=steps)
        for (side, way), steps in ARMS.items()
    }
    | {"long": partial(method, side="news", way="skip-gram", steps=LONG)},
    "unseen": unseen,
}
CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("word2vec_further", groups=GROUPS, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
