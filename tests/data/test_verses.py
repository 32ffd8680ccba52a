"""The verses: whole, linked as their numbers say, split by books, cut without loss."""

import hashlib
import lzma
from collections import Counter

import pytest
import torch

from mmdl_lib.data import verses


@pytest.fixture(scope="module")
def whole():
    return verses.load()


def find(rows, book, chapter, verse):
    place = list(zip(rows.book, rows.chapter, rows.verse, strict=True))
    return place.index((book, chapter, verse))


def words(rows, i):
    """Links as words."""
    return [(rows.english[i][a], rows.spanish[i][b]) for a, b in rows.links[i]]


def test_the_set_has_its_size_and_every_column_is_as_long(whole):
    assert len(whole) == 31084
    assert {len(column) for column in vars(whole).values()} == {31084}
    assert len(set(whole.book)) == 66
    assert len(set(zip(whole.book, whole.chapter, strict=True))) == 1189
    assert all(map(len, whole.english)) and all(map(len, whole.spanish))
    last = len(whole) - 1
    assert (whole.book[last], whole.chapter[last], whole.verse[last]) == ("Rev", 22, 21)


def test_the_texts_are_those_that_were_packed(whole):
    text = "\n".join(map(" ".join, [*whole.english, *whole.spanish]))
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert digest.startswith("f61123175b81017e")


def test_words_are_lowercase_and_marks_stand_alone(whole):
    first = find(whole, "Gen", 1, 1)
    english = "in the beginning god created the heaven and the earth ."
    assert whole.english[first] == english.split()
    spanish = "en el principio crió dios los cielos y la tierra ."
    assert whole.spanish[first] == spanish.split()
    for sentence in whole.english[::50] + whole.spanish[::50]:
        for word in sentence:
            assert word == word.lower() and " " not in word
            assert word.isalpha() or not word[-1].isalpha() or set("-'") & set(word)


def test_equal_numbers_are_linked_and_only_clear_ones_are_sure(whole):
    first = find(whole, "Gen", 1, 1)
    linked = words(whole, first)
    assert ("god", "dios") in linked and ("earth", "tierra") in linked
    assert ("heaven", "los") in linked and ("heaven", "cielos") in linked
    sure = {
        (whole.english[first][a], whole.spanish[first][b]) for a, b in whole.sure[first]
    }
    assert sure == {("god", "dios"), ("created", "crió")}


def test_a_number_that_repeats_is_matched_in_order_or_left_out(whole):
    begat = find(whole, "Matt", 1, 2)
    linked = [
        link for link in whole.links[begat] if whole.english[begat][link[0]] == "begat"
    ]
    assert [whole.spanish[begat][b] for _, b in linked] == ["engendró"] * 3
    assert [a for a, _ in linked] == sorted(a for a, _ in linked)
    assert len({b for _, b in linked}) == 3
    assert not whole.sure[begat] & set(linked)
    # "be" stands twice in English and once in Spanish
    assert not any("be" in pair for pair in words(whole, find(whole, "Gen", 1, 3)))


def test_links_stay_within_their_sentence(whole):
    for i in range(len(whole)):
        e, s = len(whole.english[i]), len(whole.spanish[i])
        assert all(0 <= a < e and 0 <= b < s for a, b in whole.links[i])
        assert whole.sure[i] <= set(whole.links[i])
    assert sum(map(len, whole.sure)) == 108_517


def test_tags_of_the_new_testament_are_those_of_the_greek_word(whole):
    john = find(whole, "John", 1, 1)
    tagged = dict(zip(whole.english[john], whole.tags[john], strict=True))
    assert tagged["word"] == "noun" and tagged["was"] == "verb"
    assert tagged["in"] == "preposition" and tagged["and"] == "conjunction"
    assert tagged["the"] == "article" and tagged["."] is None
    for book, sentence, tags in zip(whole.book, whole.english, whole.tags, strict=True):
        assert len(tags) in (0, len(sentence)), book
    count = Counter(tag for tags in whole.tags for tag in tags)
    assert count["noun"] == 26_382 and count["verb"] == 24_213
    assert set(count) == set(verses.PARTS.values())
    # a word that is always the same part of speech
    lord = Counter(
        tag
        for sentence, tags in zip(whole.english, whole.tags, strict=True)
        for word, tag in zip(sentence, tags, strict=False)
        if word == "lord" and tag
    )
    assert lord["noun"] / lord.total() > 0.98


def test_the_split_holds_out_whole_books_and_shares_no_verse(whole):
    parts = {name: verses.load(name) for name in ("train", "valid", "test")}
    assert [len(p) for p in parts.values()] == [28_308, 561, 2_215]
    assert set(parts["test"].book) == {"Esth", "Job", "John", "Jas"}
    books = [set(p.book) for p in parts.values()]
    assert not books[0] & books[1] | books[0] & books[2] | books[1] & books[2]
    known = set(map(tuple, parts["train"].english))
    assert not any(tuple(sentence) in known for sentence in parts["test"].english)
    # parallel passages: few test verses share as many as eight words in a row
    runs = {r for sentence in parts["train"].english for r in eights(sentence)}
    shared = sum(any(r in runs for r in eights(s)) for s in parts["test"].english)
    assert shared / len(parts["test"]) < 0.04


def eights(sentence):
    return [tuple(sentence[i : i + 8]) for i in range(len(sentence) - 7)]


def test_short_pairs_are_short_on_both_sides(whole):
    short = whole.short(12, least=4)
    sizes = [
        (len(e), len(s)) for e, s in zip(short.english, short.spanish, strict=True)
    ]
    assert sizes and all(min(pair) >= 4 and max(pair) <= 12 for pair in sizes)
    inside = [
        min(len(e), len(s)) >= 4 and max(len(e), len(s)) <= 12
        for e, s in zip(whole.english, whole.spanish, strict=True)
    ]
    assert len(short) == sum(inside)


def test_clauses_keep_every_word_and_link_of_their_verse(whole):
    rows = [find(whole, "John", 1, k) for k in range(1, 40)]
    some = whole.take(rows)
    cut = some.clauses()
    kept = Counter(cut.verse)
    assert 10 < len(kept) < 39 and max(kept.values()) > 1
    for i, verse in enumerate(some.verse):
        mine = [k for k, v in enumerate(cut.verse) if v == verse]
        if not mine:
            continue
        assert sum((cut.english[k] for k in mine), []) == some.english[i]
        assert sum((cut.spanish[k] for k in mine), []) == some.spanish[i]
        assert sum((cut.tags[k] for k in mine), []) == some.tags[i]
        linked = sum((words(cut, k) for k in mine), [])
        assert sorted(linked) == sorted(words(some, i))
        assert sum(len(cut.sure[k]) for k in mine) == len(some.sure[i])
        assert all(cut.sure[k] <= set(cut.links[k]) for k in mine)


@pytest.mark.parametrize("language", verses.LANGUAGES)
def test_pieces_make_the_same_words_again(whole, language):
    pieces = verses.pieces(language)
    assert pieces.vocab == 3000
    for sentence in getattr(whole, language)[::40]:
        found = pieces.encode(sentence)
        assert pieces.decode(found.ids) == sentence
        assert found.ids[0] == verses.START and found.ids[-1] == verses.END
        assert not {verses.PAD, verses.START, verses.END} & set(found.ids[1:-1])
        # the pieces of one word make it, alone
        assert found.word == sorted(found.word[:-1]) + [-1]
        for k, word in enumerate(sentence):
            own = [i for i, w in zip(found.ids, found.word, strict=True) if w == k]
            assert pieces.decode(own) == [word]


def test_decoding_stops_at_the_end_and_skips_padding():
    pieces = verses.pieces("english")
    ids = pieces.encode(["god", "is", "light"]).ids
    assert pieces.decode([*ids, 0, 0]) == ["god", "is", "light"]
    assert pieces.decode(torch.tensor([*ids, *ids])) == ["god", "is", "light"]
    assert pieces.decode([]) == []
    for wrong in (pieces.vocab, -1):
        with pytest.raises(ValueError, match="ids expected numbers from 0 to"):
            pieces.decode([wrong])
    assert len(verses.load("valid").take([]).clauses()) == 0


def test_a_batch_is_padded_behind_and_masked():
    tokens, mask = verses.pieces("spanish")([["dios"], ["dios", "es", "luz", "."]])
    assert tokens.shape == mask.shape and mask.sum(1).tolist() == [3, 6]
    assert (tokens[~mask] == verses.PAD).all()


@pytest.mark.parametrize("wrong", ["dios es", [], ["God"], ["dios", "ℵ"]])
def test_other_input_is_refused_in_a_sentence(wrong, as_a_reader):
    with pytest.raises(ValueError, match="words expected"):
        verses.pieces("spanish").encode(wrong)


def test_other_names_and_damaged_files_are_refused(monkeypatch, tmp_path, as_a_reader):
    with pytest.raises(ValueError, match="split expected"):
        verses.load("dev")
    with pytest.raises(ValueError, match="language expected"):
        verses.Pieces("greek")
    with pytest.raises(ValueError, match="n expected"):
        verses.load("valid").short(0)
    monkeypatch.setattr(verses, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="missing or damaged"):
        verses.Pieces("english")
    (tmp_path / "pieces.json.xz").write_bytes(lzma.compress(b"{}")[:-9])
    with pytest.raises(ValueError, match="missing or damaged"):
        verses.Pieces("english")
