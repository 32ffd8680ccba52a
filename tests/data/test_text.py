"""The word tokenizer: ids, mask, and what it says to bad captions."""

import pytest

from mmdl_lib.data.text import WordTokenizer

TOKENIZER = WordTokenizer(["a", "red", "circle"], length=6)


def test_captions_are_framed_and_padded():
    tokens, mask = TOKENIZER(["A red circle.", "red"])
    assert tokens.tolist() == [[1, 3, 4, 5, 2], [1, 4, 2, 0, 0]]
    assert mask.sum(1).tolist() == [5, 3]


def test_a_word_keeps_its_apostrophe_and_loses_marks_around_it():
    tokenizer = WordTokenizer(["don't", "cat", "s", "cat's"])
    assert tokenizer.encode("'Don't', CAT's cat_s!") == [1, 3, 6, 4, 5, 2]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("", "caption with words, got ''"),
        (" ?! ", "caption with words"),
        ("a rod circle", "'rod'; the nearest known word is 'red'"),
        ("a red red red circle", "at most 4 words, got 5"),
    ],
)
def test_a_bad_caption_is_named_in_one_sentence(caption, expected):
    with pytest.raises(ValueError, match=expected.replace("?", r"\?")):
        TOKENIZER([caption])
