"""Our words of a caption are those of the Java program, and of the stemmer's jar."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics._words.ptb import PUNCTUATION, caption_words, ptb_tokenize
from mmdl_lib.metrics._words.stem import stem

HERE = Path(__file__).parents[1]
STRINGS = json.loads((HERE / "cases.json").read_text())["strings"]
OFFICIAL = json.loads((HERE / "reference.json").read_text())["ptb"]
# code, faces, French and a tag with a space: the docstring says that these differ
RARE = {"don`t", "^_^", "c'est", "j'ai", "qu'il", "n'est", "a\\/b"}
RARE |= {"caf&eacute;", "<a> < a > <a b> </a> <br/>"}


def test_hundreds_of_strings_are_cut_as_corenlp_cuts_them():
    assert len(STRINGS) == len(OFFICIAL) > 800
    other = {
        text
        for text, words in zip(STRINGS, OFFICIAL, strict=True)
        if ptb_tokenize(text) != words
    }
    assert other == RARE


def test_the_quirks_that_the_docstring_names():
    assert caption_words("A dog (black).") == ["a", "dog", "-lrb-", "black", "-rrb-"]
    assert caption_words("Wow!! Really?! Yes!") == ["wow", "!!", "really", "?!", "yes"]
    assert caption_words("and/or half-eaten -- £5") == "and/or half-eaten # 5".split()
    assert caption_words("a 🙂 cat") == ["a", "cat"]
    assert caption_words("Smith Jr. Then") == ["smith", "jr.", "then"]
    assert ptb_tokenize("Smith Jr. Then") == ["smith", "jr.", ".", "then"]


@given(st.text())
def test_any_text_is_cut_into_words_without_spaces(text):
    words = ptb_tokenize(text)
    # a space that does not break is part of a mixed number
    assert all(word and not word.replace("\xa0", "").isspace() for word in words)
    assert not set(caption_words(text)) & PUNCTUATION


@given(st.lists(st.sampled_from("a red cat near the big dog".split())))
def test_plain_words_are_cut_at_spaces(words):
    assert ptb_tokenize(" ".join(words)) == words
    assert caption_words("  ".join(words) + " .") == words


def test_an_empty_and_a_very_long_text_are_fine():
    assert ptb_tokenize("") == caption_words(" ... ") == []
    assert len(ptb_tokenize("a-b. " * 20_000)) == 40_000


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("caresses", "caress"),
        ("ties", "tie"),
        ("flies", "fli"),
        ("gas", "gas"),
        ("agreed", "agre"),
        ("hopping", "hop"),
        ("hoping", "hope"),
        ("luxuriated", "luxuri"),
        ("happy", "happi"),
        ("say", "say"),
        ("rational", "ration"),
        ("analogy", "analog"),
        ("generously", "generous"),
        ("communism", "communism"),
        ("skies", "sky"),
        ("inning", "inning"),
        ("youth", "youth"),
        ("sees", "see"),
        ("is", "is"),
        ("", ""),
        ("café", "café"),
    ],
)
def test_stems(word, found):
    assert stem(word) == found


@given(st.text("abcdeilmnorstuy'", max_size=12))
def test_a_stem_is_never_longer_than_its_word(word):
    assert len(stem(word)) <= len(word)
