"""word2vec and fastText of gensim: one pair by hand, hashes, pieces, means."""

import numpy as np
import pytest
import torch
from gensim.models import FastText as PeerFastText
from gensim.models import KeyedVectors
from gensim.models import Word2Vec as PeerWord2Vec
from gensim.models.fasttext_inner import (
    compute_ngrams,
    compute_ngrams_bytes,
    ft_hash_bytes,
)

from mmdl_lib.core import generator
from mmdl_lib.data import words
from mmdl_lib.data.corpus import Corpus
from mmdl_lib.inside.words import answers
from mmdl_lib.models.fasttext import FastText, FastTextConfig, bucket, pieces
from mmdl_lib.models.word2vec import CBOW, SkipGram, Word2VecConfig, keep, running_sums

NAMES = ["a", "b", "c", "d", "z"]
RATE = 0.5


def peer_of(kind):
    """gensim's model of five words with random vectors; z is its only negative.

    It reads the logistic function from a table in steps of 0.012, so that an update is
    good to two digits or three.
    """
    peer = PeerWord2Vec(
        vector_size=6, window=5, shrink_windows=False, min_count=1, sample=0, workers=1,
        negative=1, sg=int(kind is SkipGram), cbow_mean=1,
    )  # fmt: skip
    peer.build_vocab([NAMES])
    g = np.random.default_rng(0)
    peer.wv.vectors[:] = 0.7 * g.normal(size=(5, 6))
    peer.syn1neg[:] = 0.7 * g.normal(size=(5, 6))
    peer.cum_table[: peer.wv.key_to_index["z"]] = 0
    peer.cum_table[peer.wv.key_to_index["z"] :] = 2**31 - 1
    return peer


def ours_of(kind, peer):
    """The same vectors under our names, the same single negative."""
    count = torch.zeros(5, dtype=torch.long)
    count[peer.wv.key_to_index["z"]] = 1
    model = kind(Word2VecConfig(vocab=5, width=6, negatives=1), count)
    model.word.weight.data = torch.tensor(peer.wv.vectors)
    model.context.weight.data = torch.tensor(peer.syn1neg)
    return model


def descend(model, batch, times=1):
    """One step of plain gradient descent; `times` is the neighbors' share of it."""
    model.zero_grad()
    model.loss(batch)["loss"].backward()
    model.word.weight.data -= times * RATE * model.word.weight.grad
    model.context.weight.data -= RATE * model.context.weight.grad


def train(peer, sentence):
    options = {"start_alpha": RATE, "end_alpha": RATE}
    peer.train([sentence], total_examples=1, epochs=1, **options)


def compare(agree, name, model, peer):
    start = peer_of(type(model))
    tables = {"word": (peer.wv.vectors, start.wv.vectors)}
    tables["context"] = (peer.syn1neg, start.syn1neg)
    for table, (theirs, before) in tables.items():
        assert np.abs(theirs - before).max() > 0.15  # there was a step
        given = getattr(model, table).weight.detach()
        kind = type(model).__name__
        agree(
            f"{name}, {table} vectors", given, torch.tensor(theirs), tolerance=1e-2,
            ours=f"mmdl_lib.models.word2vec.{kind}", package="gensim",
            reference="gensim Word2Vec",
        )  # fmt: skip


@pytest.mark.parametrize("sentence", [["a", "b"], ["a", "z"]], ids=["pair", "skipped"])
def test_gensim_takes_the_same_steps_on_one_pair_and_skips_the_true_word(
    agree, sentence
):
    peer = peer_of(SkipGram)
    model, (one, other) = (
        ours_of(SkipGram, peer),
        map(peer.wv.key_to_index.get, sentence),
    )
    train(peer, sentence)
    # as word2vec.c: the neighbor's vector predicts the word in the middle
    for center, context in ((other, one), (one, other)):
        descend(model, {"center": torch.tensor([center]),
                        "context": torch.tensor([context])})  # fmt: skip
    compare(agree, f"skip-gram, one step, {' '.join(sentence)}", model, peer)


def bags_of(peer, sentence):
    place = [peer.wv.key_to_index[word] for word in sentence]
    for i, word in enumerate(place):
        rest = torch.tensor([place[:i] + place[i + 1 :]])
        yield {"center": torch.tensor([word]), "context": rest,
               "mask": torch.ones_like(rest).bool()}  # fmt: skip


def test_gensim_gives_each_neighbor_of_a_mean_the_whole_error(agree):
    peer = peer_of(CBOW)
    model, plain = ours_of(CBOW, peer), ours_of(CBOW, peer)
    for batch in bags_of(peer, ["a", "b", "c"]):
        descend(model, batch, times=2)  # two neighbors: twice the gradient
        descend(plain, batch)
    train(peer, ["a", "b", "c"])
    compare(agree, "CBOW, one step with the error undivided", model, peer)
    theirs = torch.tensor(peer.wv.vectors)
    assert (plain.word.weight - theirs).abs().max() > 0.05  # the gradient itself


def test_gensim_keeps_and_draws_the_same_shares(agree):
    text = [["a"] * 900, ["b"] * 80, ["c"] * 9, ["d"] * 2]
    peer = PeerWord2Vec(min_count=1, sample=1e-2, negative=5)
    peer.build_vocab(text)
    corpus = Corpus.read(text)
    assert corpus.words == peer.wv.index_to_key
    kept = [peer.wv.get_vecattr(w, "sample_int") / (2**32 - 1) for w in corpus.words]
    names = {"package": "gensim", "reference": "gensim Word2Vec"}
    names["ours"] = "mmdl_lib.models.word2vec"
    agree("subsampling", keep(corpus.count, 1e-2).double(), torch.tensor(kept).double(),
          tolerance=1e-6, **names)  # fmt: skip
    sums = torch.tensor(peer.cum_table.astype(float) / (2**31 - 1))
    agree("noise distribution", running_sums(corpus.count, 0.75).double(), sums,
          tolerance=1e-6, **names)  # fmt: skip


SPELLED = [
    "where",
    "a",
    "of",
    "walking",
    "niño",
    "corazón",
    "straße",
    "日本語",
    "beth-el",
]


@pytest.mark.parametrize("word", SPELLED)
def test_gensim_hashes_and_cuts_alike(word, agree):
    names = {"package": "gensim", "reference": "gensim FastText", "tolerance": 0}
    names["ours"] = "mmdl_lib.models.fasttext"
    found = [pieces(word), pieces(word, 1, 4)]
    theirs = [list(compute_ngrams(word, 3, 6)), list(compute_ngrams_bytes(word, 1, 4))]
    theirs[1] = [piece.decode() for piece in theirs[1]]
    assert sorted(found[0]) == sorted(theirs[0])
    agree("pieces of 1 to 4 letters", found[1], theirs[1], **names)
    hashes = [ft_hash_bytes(piece.encode()) for piece in found[1]]
    agree("hashes", [bucket(piece, 2**32) for piece in found[1]], hashes, **names)


def test_gensim_gives_the_same_vectors_to_known_and_unknown_words(agree):
    known = ["where", "walk", "of", "niño"]
    peer = PeerFastText(vector_size=6, min_count=1, bucket=40, ns_exponent=0.5)
    peer.build_vocab([known])
    g = np.random.default_rng(0)
    for table in (peer.wv.vectors_vocab, peer.wv.vectors_ngrams):
        table[:] = g.normal(size=table.shape)
    peer.wv.adjust_vectors()
    words_ = peer.wv.index_to_key
    model = FastText(FastTextConfig(vocab=4, width=6, buckets=40), words_)
    tables = np.concatenate([peer.wv.vectors_vocab, peer.wv.vectors_ngrams])
    model.piece.weight.data = torch.tensor(tables)
    asked = [*known, "walked", "there", "niña", "日本語"]
    theirs = torch.tensor(np.stack([peer.wv[word] for word in asked]))
    agree(
        "vectors of known and unknown words", model.vectors(asked).detach(), theirs,
        ours="mmdl_lib.models.fasttext.FastText", package="gensim",
        reference="gensim FastText", tolerance=1e-6,
    )  # fmt: skip


def test_gensim_answers_the_same_analogies(agree):
    table = words.glove(3000)
    peer = KeyedVectors(50)
    peer.add_vectors(table.words, table.value.numpy())
    rows = torch.randint(3000, (200, 3), generator=generator(0)).tolist()
    questions = [tuple(table.words[i] for i in row) for row in rows]
    theirs = [
        peer.most_similar(positive=[b, c], negative=[a], topn=1)[0][0]
        for a, b, c in questions
    ]
    agree("analogies", answers(table, questions), theirs, tolerance=0,
          ours="mmdl_lib.inside.words", package="gensim",
          reference="gensim KeyedVectors")  # fmt: skip
