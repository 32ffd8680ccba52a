"""Verses as a corpus: what is left out, how halves lie, what a dictionary says."""

from collections import Counter

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import verses, words
from mmdl_lib.data.words import Words
from mmdl_lib.lab import texts
from mmdl_lib.models import ppmi, word2vec
from mmdl_lib.models.word2vec import SkipGram, running_sums


def test_a_row_is_a_verse_without_punctuation():
    rows, whole = texts.sentences(), verses.load()
    assert len(rows) == len(whole) and rows[0][:4] == ["in", "the", "beginning", "god"]
    assert rows[0] == [w for w in whole.english[0] if w not in ".,:;?!()"]
    assert texts.sentences("spanish")[0] != rows[0]
    with pytest.raises(ValueError, match="language expected one of 'english'"):
        texts.sentences("german")


def test_halves_are_whole_books_and_share_none():
    one, two = texts.halves(3)
    books = verses.load().book
    assert not one & two and one | two == set(books)
    share = sum(book in one for book in books) / len(books)
    assert 0.5 <= share < 0.6
    assert texts.halves(3) == (one, two) != texts.halves(4)


def test_a_corpus_of_some_books_has_only_their_words():
    whole = texts.some(books={"Ruth"}, least=1)
    assert "boaz" in whole.words and "noah" not in whole.words
    lines = zip(texts.sentences(), verses.load().book, strict=True)
    assert len(whole) == sum(len(row) for row, book in lines if book == "Ruth")
    assert "boaz" not in texts.some(books={"Ruth"}, without={"boaz"}).words


def test_the_dictionary_has_the_commonest_translation_of_each_word():
    found = {entry.english: entry for entry in texts.dictionary()}
    assert found["son"].spanish == "hijo" and found["son"].share > 0.9
    assert found["egypt"].spanish == "egipto"
    assert found["come"].share < 0.5  # a form for each person and time
    assert min(entry.links for entry in found.values()) >= 10
    assert all(0 < entry.share <= 1 for entry in found.values())


def test_the_dictionarys_counts_are_those_of_sure_links():
    whole, word = verses.load(), "altar"
    found = Counter(
        whole.spanish[v][j]
        for v in range(len(whole))
        for i, j in whole.sure[v]
        if whole.english[v][i] == word
    )
    best, times = found.most_common(1)[0]
    want = texts.Entry(word, best, times / found.total(), found.total())
    assert want in texts.dictionary()


def test_negatives_of_skip_gram_follow_the_corpus(monkeypatch):
    made = []

    class Noted(SkipGram):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(texts, "BATCH", 64)
    corpus = texts.some(books={"Ruth"})
    table = texts.skip_gram(corpus, 1, kind=Noted, width=8, steps=2)
    assert torch.equal(made[0].noise, running_sums(corpus.count, 0.75))
    assert table.words == corpus.words and table.value.shape == (len(corpus.words), 8)
    again = texts.skip_gram(corpus, 1, width=8, steps=2)
    other = texts.skip_gram(corpus, 2, width=8, steps=2)
    assert torch.equal(again.value, table.value)
    assert not torch.equal(other.value, table.value)


def test_a_threshold_thins_the_text_and_none_leaves_it_whole(monkeypatch):
    corpus = texts.some(books={"Ruth"})
    whole = word2vec.pairs(corpus, texts.WINDOW, generator=generator(4))
    assert all(map(torch.equal, texts.pairs_of(corpus, 4, threshold=None), whole))
    assert len(texts.pairs_of(corpus, 4)[0]) < 0.8 * len(whole[0])
    sizes = []
    monkeypatch.setattr(
        texts, "learn", lambda *_, center, **more: sizes.append(len(center))
    )
    for threshold in (None, 1e-4):
        texts.skip_gram(corpus, 4, threshold=threshold)
        assert sizes.pop() == len(texts.pairs_of(corpus, 4, threshold=threshold)[0])


def test_counts_weigh_near_neighbors_more_and_contexts_by_three_quarters():
    corpus = texts.some(books={"Ruth"})
    table = ppmi.shifted_ppmi(corpus.cooccurrences(5, near=True), power=0.75)
    want = ppmi.factors(table, 8, generator=generator(3))
    assert torch.equal(texts.of_counts(corpus, width=8, seed=3).value, want)


def test_bands_are_counted_with_both_ends():
    corpus = texts.some()
    often = dict(zip(corpus.words, corpus.count.tolist(), strict=True))
    for low, high in texts.BANDS.values():
        found = [often[word] for word in texts.known(corpus, low, high)]
        assert min(found) >= low and max(found) <= high
    counts = {often[word] for word in texts.known(corpus, 5, 20)}
    assert counts == set(range(5, 21))


def test_agreement_of_glove_with_itself_is_one_and_with_noise_nearly_none():
    gold = words.glove(500)
    chosen = gold.words[100:300]
    assert texts.agreement(gold, chosen) == pytest.approx(1)
    noise = torch.randn(500, 50, generator=torch.Generator().manual_seed(0))
    assert abs(texts.agreement(Words(gold.words, noise), chosen)) < 0.05


def test_counted_vectors_know_what_is_alike_in_a_text():
    table = texts.counted()
    near = [word for word, _ in table.nearest(table["father"], 10, without=["father"])]
    assert "mother" in near
    assert torch.allclose(table.value.norm(dim=1), torch.ones(len(table)), atol=1e-5)
    chosen = texts.sample(texts.known(texts.some(), 21, 200), 200, 0)
    assert texts.agreement(table, chosen) > 0.1


def test_likeness_pairs_the_same_words_of_two_spaces():
    one = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    turned, _ = torch.linalg.qr(
        torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    )
    found = texts.likeness(one, 7 * one @ turned)
    assert found.shape == (2, 10)
    torch.testing.assert_close(found[0], found[1])
