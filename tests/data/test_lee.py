"""The Lee corpus: read where gensim is, cut into sentences of words."""

import importlib.util

import pytest

from mmdl_lib.data import lee


def test_the_file_has_three_hundred_reports_and_each_is_read_once():
    reports = lee.documents()
    assert len(reports) == 300 and all(report.strip() for report in reports)
    assert len(set(reports)) == 293
    once = [words for report in dict.fromkeys(reports) for words in lee.cut(report)]
    assert lee.sentences() == once


def test_words_are_lowercase_without_numbers_or_marks():
    words = [word for sentence in lee.sentences() for word in sentence]
    assert all(lee.WORD.fullmatch(word) for word in words)
    assert 55_000 < len(words) < 60_000
    assert min(map(len, lee.sentences())) > 0


def test_a_stop_within_a_number_or_an_initial_without_a_space_ends_nothing():
    assert lee.cut("It rose by 1.5 percent.Then it fell") == [
        ["it", "rose", "by", "percent", "then", "it", "fell"]
    ]
    assert lee.cut("Why? No!  ") == [["why"], ["no"]]
    assert lee.cut("  12 .") == []


def test_without_the_package_a_sentence_names_it(monkeypatch):
    monkeypatch.setattr(lee, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install gensim"):
        lee.sentences()
    empty = importlib.util.spec_from_file_location("gensim", "/nowhere/gensim/x.py")
    monkeypatch.setattr(lee, "find_spec", lambda name: empty)
    with pytest.raises(FileNotFoundError, match="pip install gensim"):
        lee.documents()
