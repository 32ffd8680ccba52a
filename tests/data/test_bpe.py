"""Our byte-pair encoding: by hand, and rule by rule as in the `tokenizers` library."""

import random
import textwrap

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from mmdl_lib.data.bpe import BPE

OLD = ["low low low low low lower lower newest newest newest newest newest newest"]
OLD += ["widest widest widest"]


def peer(texts, vocab):
    """The library's tokenizer with the same rules about spaces and letters."""
    engine = Tokenizer(models.BPE(unk_token="<unk>"))
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    special = {"special_tokens": ["<unk>"], "show_progress": False}
    engine.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocab, **special))
    return engine


def made_up(seed, words=400, letters="abcde"):
    """Words of a few letters, in which many pairs are equally frequent."""
    draw = random.Random(seed)
    return [
        " ".join("".join(draw.choices(letters, k=draw.randint(1, 7))) for _ in range(9))
        for _ in range(words // 9)
    ]


def test_the_example_by_hand():
    # e-s 9, es-t 9; l-o, o-w and the mark before l 7, of which l is the oldest
    found = BPE(OLD, vocab=1 + 11 + 4)
    letters = ["d", "e", "i", "l", "n", "o", "r", "s", "t", "w", "▁"]
    assert found.tokens[: len(letters) + 1] == ["<unk>", *letters]
    assert found.merges == [("e", "s"), ("es", "t"), ("l", "o"), ("▁", "lo")]
    assert found.encode("lowest") == ["▁lo", "w", "est"]


@pytest.mark.parametrize("seed", range(8))
def test_the_rules_are_those_of_the_library(seed):
    texts = made_up(seed)
    ours, theirs = BPE(texts, vocab=90), peer(texts, 90)
    vocabulary = theirs.get_vocab()
    assert ours.tokens == sorted(vocabulary, key=vocabulary.get)
    new = made_up(seed + 100, letters="abcdefg")
    for text in new:
        assert ours.encode(text) == theirs.encode(text).tokens


def test_real_words_too():
    texts = [str.format.__doc__, textwrap.__doc__ + textwrap.fill.__doc__]
    ours, theirs = BPE(texts, vocab=150), peer(texts, 150)
    assert ours.encode(texts[0]) == theirs.encode(texts[0]).tokens
    assert ours.decode(ours.encode(texts[0])) == " ".join(texts[0].split())


def test_ties_are_won_by_the_older_tokens_whatever_the_order_of_the_texts():
    texts = ["ab cd", "cd ab"]
    for some in (texts, texts[::-1]):
        # ab, cd, and those with the mark are all seen twice
        assert BPE(some, vocab=7).merges == [("a", "b")]
    assert BPE(texts, vocab=8).merges == [("a", "b"), ("c", "d")]


def test_unknown_letters_become_one_token_each():
    found = BPE(["low lower"], vocab=9)
    assert found.encode("löw zz") == [
        "▁",
        "l",
        "<unk>",
        "w",
        "▁",
        "<unk>",
        "<unk>",
    ] or (found.encode("löw zz") == ["▁l", "<unk>", "w", "▁", "<unk>", "<unk>"])
    assert found.encode("ö").count("<unk>") == 1


def test_an_empty_text_has_no_tokens_and_gives_no_rules():
    found = BPE(["", "  \n"], vocab=10)
    assert found.tokens == ["<unk>"] and found.merges == []
    assert found.encode("") == found.encode(" \t ") == []
    assert found.decode([]) == ""


def test_it_stops_when_all_words_are_whole():
    found = BPE(["abc abc"], vocab=1000)
    assert found.encode("abc") == ["▁abc"]
    assert len(found.tokens) == 1 + 4 + 3


def test_repeated_letters_are_joined_from_the_left():
    found = BPE(["aaaa aaaa aaa"], vocab=4)
    assert found.merges[0] == ("a", "a")
    assert found.encode("aaa")[-2:] == ["aa", "a"]


@pytest.mark.parametrize(
    ("texts", "vocab", "words"),
    [
        ("a text", 50, "texts expected a list of strings"),
        (["abc"], 4, "vocab expected a whole number from 5 up, got 4"),
    ],
)
def test_bad_inputs_are_named(texts, vocab, words):
    with pytest.raises(ValueError, match=words):
        BPE(texts, vocab=vocab)
