"""Verses as a corpus: what is left out, how halves lie, what a dictionary says."""

import pytest
import torch

from mmdl_lib.data import verses, words
from mmdl_lib.data.words import Words
from mmdl_lib.lab import texts


def test_a_row_is_a_verse_without_punctuation():
    rows, whole = texts.sentences(), verses.load()
    assert len(rows) == len(whole) and rows[0][:4] == ["in", "the", "beginning", "god"]
    assert rows[0] == [w for w in whole.english[0] if w not in ".,:;?!()"]
    assert texts.sentences("spanish")[0] != rows[0]


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
