"""Corpus: numbers of words, windows that stay in their sentence, counts."""

import pytest
import torch

from mmdl_lib.data.corpus import Corpus

TEXT = [s.split() for s in ("the cat sat on the mat", "a cat", "the dog sat")]


def test_words_are_numbered_by_count_then_alphabet():
    corpus = Corpus.read(TEXT)
    assert corpus.words == ["the", "cat", "sat", "a", "dog", "mat", "on"]
    assert corpus.count.tolist() == [3, 2, 2, 1, 1, 1, 1]
    said = [corpus.words[i] for i in corpus.token]
    assert said == [word for one in TEXT for word in one]
    assert corpus.sentence.tolist() == [0] * 6 + [1] * 2 + [2] * 3
    assert len(corpus) == 11


def test_rare_and_forbidden_words_leave_their_sentence_and_the_rest_moves_together():
    corpus = Corpus.read(TEXT, least=2, without=["sat"])
    assert corpus.words == ["the", "cat"]
    assert [corpus.words[i] for i in corpus.token] == "the cat the cat the".split()
    assert corpus.sentence.tolist() == [0, 0, 0, 1, 2]


def test_some_of_the_tokens_keep_the_vocabulary():
    corpus = Corpus.read(TEXT)
    rest = corpus.only(corpus.token != 0)
    assert rest.words == corpus.words and rest.count.tolist() == [0, 2, 2, 1, 1, 1, 1]
    assert len(rest) == 8 and rest.sentence.tolist() == [0] * 4 + [1] * 2 + [2] * 2


def test_windows_are_counted_by_hand_and_never_cross_a_sentence():
    corpus = Corpus.read([["a", "b", "c"], ["a", "a"]])  # a 3, b 1, c 1
    assert corpus.words == ["a", "b", "c"]
    one = torch.tensor([[2.0, 1, 0], [1, 0, 1], [0, 1, 0]])
    assert torch.equal(corpus.cooccurrences(1), one)
    two = one + torch.tensor([[0.0, 0, 1], [0, 0, 0], [1, 0, 0]])
    assert torch.equal(corpus.cooccurrences(2), two)
    near = one + 0.5 * (two - one)
    assert torch.equal(corpus.cooccurrences(2, near=True), near)
    assert torch.equal(corpus.cooccurrences(9), two)


def test_counts_agree_with_a_loop_over_all_pairs():
    g = torch.Generator().manual_seed(0)
    text = [[str(w) for w in torch.randint(6, (n,), generator=g).tolist()]
            for n in (1, 2, 9, 30)]  # fmt: skip
    corpus, found = Corpus.read(text), torch.zeros(6, 6)
    place = {word: i for i, word in enumerate(corpus.words)}
    for one in text:
        for i, word in enumerate(one):
            for j, other in enumerate(one):
                if 0 < abs(i - j) <= 3:
                    found[place[word], place[other]] += 1 / abs(i - j)
    torch.testing.assert_close(corpus.cooccurrences(3, near=True), found)


def test_a_table_names_its_rows():
    corpus = Corpus.read(TEXT)
    table = corpus.table(torch.eye(7, requires_grad=True))
    assert table["cat"].argmax() == 1 and not table.value.requires_grad
    with pytest.raises(ValueError, match="expected 7 rows, got 6"):
        corpus.table(torch.eye(6))


def test_what_is_no_text_is_refused_in_words():
    with pytest.raises(ValueError, match="lists of words, got a string"):
        Corpus.read(["the cat"])
    with pytest.raises(ValueError, match="occurs 4 times, got none"):
        Corpus.read(TEXT, least=4)
    with pytest.raises(ValueError, match="occurs 1 times, got none"):
        Corpus.read([])
    with pytest.raises(ValueError, match="least expected"):
        Corpus.read(TEXT, least=0)
    with pytest.raises(ValueError, match="window expected"):
        Corpus.read(TEXT).cooccurrences(0)
    with pytest.raises(ValueError, match="kept expected"):
        Corpus.read(TEXT).only(torch.ones(3, dtype=torch.bool))
