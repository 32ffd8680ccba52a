"""Train word vectors on verses, and measure what the chapter says of them.

Command: python recipes/word2vec.py    (what is missing, then the claims; or a group)
Expected: about twelve minutes on a quiet core. Thinning helps rare words, pieces give
unseen words a place, a map from 800 pairs translates others; results/word2vec.json.
"""

import math
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import words
from mmdl_lib.lab import texts
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models import glove, ppmi
from mmdl_lib.models.fasttext import FastText, FastTextConfig, pieces
from mmdl_lib.models.translation import least_squares, rotation, translate
from mmdl_lib.models.word2vec import CBOW, SkipGram, Word2VecConfig, bags, thin

FEW, OFTEN = 40, 100  # words of the text of few words; counts of a cell that is judged
UNSEEN, KNOWN = 300, 600
PAIRS = 800  # of the dictionary from which a map is learned
TEXTS = {"whole": None, "thinned": 1e-4}
WIDTHS = (2, 5, 10, 25, 50, 100, 200)


def shift(seed, *, k):
    """Skip-gram with as many dimensions as words, on a text of the 40 most frequent."""
    few = texts.some(without=set(texts.some().words[FEW:]))
    center, context = texts.pairs_of(few, seed, threshold=None)
    count = torch.zeros(FEW, FEW)
    count.index_put_((center, context), torch.ones(len(center)), accumulate=True)
    torch.manual_seed(seed)
    config = Word2VecConfig(vocab=FEW, width=FEW, negatives=k, power=1.0)
    model = SkipGram(config, count.sum(0).long())
    texts.learn(model, seed, center=center, context=context, steps=1000, lr=2e-2)
    score = (model.word.weight @ model.context.weight.T).detach()
    judged = count >= OFTEN
    best = ppmi.optimum(count, negatives=k)[judged]
    plain = ppmi.pmi(count)[judged] - math.log(k)
    return {
        "score": score[judged].mean().item(),
        "optimum": best.mean().item(),
        "pmi": plain.mean().item(),
        "rank": spearman(score[judged], best),
        "off": (score[judged] - best).abs().mean().item(),
        "cells": int(judged.sum()),
    }


def agreements(corpus, table, seed):
    """Spearman's correlation with GloVe, for words of three bands."""
    chosen = {
        band: texts.sample(texts.known(corpus, *limits), 400, seed)
        for band, limits in texts.BANDS.items()
    }
    return {band: texts.agreement(table, some) for band, some in chosen.items()}


def thinning(seed, *, threshold, steps=700):
    """So many steps on a text that is thinned or not."""
    corpus = texts.some()
    center, context = texts.pairs_of(corpus, seed, threshold=threshold)
    table = texts.skip_gram(corpus, seed, threshold=threshold, steps=steps)
    rare = corpus.count[center] <= texts.BANDS["rare"][1]
    return agreements(corpus, table, seed) | {
        "pairs": len(center),
        "pairs of rare words": rare.float().mean().item(),
    }


def unseen(seed):
    """fastText, and words that are taken out of its text."""
    whole, gold = texts.some(), words.glove()
    choice = [w for w in texts.known(whole, 10, 200) if w.isalpha() and len(w) > 3]
    out = texts.sample(choice, UNSEEN, seed)
    corpus = texts.some(without=set(out))
    center, context = texts.pairs_of(corpus, seed)
    torch.manual_seed(seed)
    config = FastTextConfig(vocab=len(corpus.words), width=texts.WIDTH, buckets=20_000)
    model = FastText(config, corpus.words, corpus.count)
    texts.learn(model, seed, lr=3e-2, center=center, context=context)
    near = texts.sample(texts.known(corpus, 10, 10**9), KNOWN, seed)
    theirs = cosines(gold[out], gold[near])
    mine = {w: v for w, v in zip(out, model.vectors(out).detach(), strict=True)}
    inside = corpus.table(model.vectors())
    twins = [most_alike(word, corpus.words) for word in out]
    tables = {
        "own": torch.stack([mine[w] for w in out]),
        "another's": torch.stack([mine[w] for w in out[1:] + out[:1]]),
        "twin": inside[twins],
    }
    found = {name: spearman(cosines(rows, inside[near]).flatten(), theirs.flatten())
             for name, rows in tables.items()}  # fmt: skip
    shown = [(w, [n for n, _ in inside.nearest(mine[w], 4)]) for w in out[:40]]
    return found | {
        "known": texts.agreement(inside, near),
        "shared": sum(shared(w, t) for w, t in zip(out, twins, strict=True)) / UNSEEN,
        "examples": shown if seed == 0 else [],
    }


def cosines(one, other):
    return F.normalize(one, dim=1) @ F.normalize(other, dim=1).T


@cache
def pieces_of(word):
    return frozenset(pieces(word))


def shared(word, other):
    """Share of the pieces of two words that both have."""
    one, two = pieces_of(word), pieces_of(other)
    return len(one & two) / max(len(one | two), 1)


def most_alike(word, vocabulary):
    """The known word with most pieces in common: what spelling alone would say."""
    return max(vocabulary, key=partial(shared, word))


def mapping(seed):
    """English of half of the books, and Spanish of the other half or of the same."""
    first, second = texts.halves(seed)
    english = texts.counted("english", first, width=100, seed=seed)
    sides = {"other books": second, "same books": first}
    sides = {
        name: texts.counted("spanish", books, width=100, seed=seed)
        for name, books in sides.items()
    }
    known = [
        e for e in texts.dictionary()
        if e.english in english and all(e.spanish in side for side in sides.values())
    ]  # fmt: skip
    known = texts.sample([e for e in known if e.english != e.spanish], len(known), seed)
    train, told = known[:PAIRS], {entry.spanish for entry in known[:PAIRS]}
    test = [entry for entry in known[PAIRS:] if entry.spanish not in told]
    return {
        name: translated(english, spanish, train, test, seed)
        for name, spanish in sides.items()
    }


def translated(english, spanish, train, test, seed):
    """Precision of three maps on words that none was told, and wrong entries found."""
    x, z = (english[[e.english for e in train]], spanish[[e.spanish for e in train]])
    order = torch.randperm(len(train), generator=generator(seed))
    maps = {"rotation": rotation(x, z), "least squares": least_squares(x, z)}
    maps["shuffled"] = rotation(x, z[order])
    groups = {"all": test, "one": [e for e in test if e.share >= 0.8]}
    groups["many"] = [e for e in test if e.share < 0.5]
    found = {
        name: {group: precision(english, matrix, spanish, some)
               for group, some in groups.items()}
        for name, matrix in maps.items()
    }  # fmt: skip
    links = {g: torch.tensor([e.links for e in some]).float().median().item()
             for g, some in groups.items()}  # fmt: skip
    facts = {"sizes": {g: len(some) for g, some in groups.items()}, "links": links}
    return found | facts | {"candidates": len(spanish), "errors": errors(x, z, seed)}


def precision(english, matrix, spanish, entries):
    source = english[[e.english for e in entries]]
    best = translate(source, matrix, spanish.value)
    right = best == torch.tensor([[spanish.index[e.spanish]] for e in entries])
    return {"at 1": right[:, 0].double().mean().item(),
            "at 5": right.any(1).double().mean().item()}  # fmt: skip


def errors(x, z, seed):
    """One entry in ten is made wrong: how often is it farther than a right one?"""
    wrong = torch.arange(len(x)) < len(x) // 10
    z = torch.cat([z[wrong].roll(1, 0), z[~wrong]])
    cosine = ((x @ rotation(x, z)) * z).sum(1)
    return (cosine[wrong][:, None] < cosine[~wrong]).double().mean().item()


def cbow(corpus, seed):
    text = thin(corpus, 1e-4, generator=generator(seed))
    data = bags(text, texts.WINDOW, generator=generator(seed))
    torch.manual_seed(seed)
    model = CBOW(Word2VecConfig(vocab=len(corpus.words), width=50), corpus.count)
    texts.learn(model, seed, **data)
    return model.vectors()


def global_vectors(corpus, seed):
    torch.manual_seed(seed)
    model = glove.GloVe(glove.GloVeConfig(vocab=len(corpus.words)))
    cells = glove.cells(corpus.cooccurrences(texts.WINDOW, near=True))
    texts.learn(model, seed, **cells)
    return model.vectors()


def by_counts(corpus, seed):
    return texts.counted(seed=seed).value


def chance(corpus, seed):
    return torch.randn(len(corpus.words), 50, generator=generator(seed))


def method(seed, *, way):
    corpus = texts.some()
    return agreements(corpus, corpus.table(way(corpus, seed)), seed)


def widths():
    """The same counts in more and more dimensions."""
    corpus = texts.some()
    value = texts.counted(width=max(WIDTHS), unit=False).value
    return {str(d): agreements(corpus, corpus.table(value[:, :d]), 0) for d in WIDTHS}


def weights():
    """Vectors of all English verses."""
    corpus = texts.some()
    center, context = texts.pairs_of(corpus, 0)
    torch.manual_seed(0)
    config = Word2VecConfig(vocab=len(corpus.words), width=texts.WIDTH)
    model = SkipGram(config, corpus.count)
    loss = texts.learn(model, 0, center=center, context=context)
    lab.save_weights(model, "word2vec", "verses")
    facts = {"words": len(corpus.words), "tokens": len(corpus), "pairs": len(center)}
    return facts | {"loss": lab.means(loss, 50)}


WAYS = {"CBOW": cbow, "GloVe": global_vectors, "PPMI and SVD": by_counts}
WAYS["random"] = chance
GROUPS = {
    "shift": {f"k={k}": partial(shift, k=k) for k in (1, 5)},
    "thin": {n: partial(thinning, threshold=t) for n, t in TEXTS.items()},
    "long": {n: partial(thinning, threshold=t, steps=2100) for n, t in TEXTS.items()},
    "unseen": unseen,
    "map": mapping,
    "methods": {name: partial(method, way=way) for name, way in WAYS.items()},
}
CLAIMS = lab.read_claims(__file__)
ONCE = {"weights": weights, "widths": widths}
LAB = lab.Lab("word2vec", groups=GROUPS, once=ONCE, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
