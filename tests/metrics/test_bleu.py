"""BLEU: by hand, its laws, what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.bleu import SMOOTHING, bleu, coco_bleu, sentence_bleu
from mmdl_lib.metrics.bleu import tokenize_13a as words_13a

words = st.lists(st.sampled_from("a red cat saw the dog".split()), max_size=9)
texts = words.map(" ".join)
corpora = st.lists(
    st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5
)


def test_by_hand_with_a_penalty_and_clipped_counts():
    # 2 of 7 words: "the" twice in a reference (Papineni et al., section 2.1)
    said, true = "the the the the the the the", ["the cat is on the mat", "a cat"]
    assert bleu([said], [true], order=1) == pytest.approx(2 / 7)
    # 4 of 4, 3 of 3, 2 of 2, 1 of 1; 4 words said, 6 true
    found = bleu(["a red cat saw"], [["a red cat saw the dog"]])
    assert found == pytest.approx(math.exp(1 - 6 / 4))


def test_the_closest_reference_sets_the_length_and_the_shorter_of_two():
    said = "a b c d e f"
    assert bleu([said], [["a b c d e f g", "x"]]) == pytest.approx(math.exp(1 - 7 / 6))
    # 5 and 7 words are equally close to 6
    assert bleu([said], [["a b c d e f g", "v w x y z"]]) == 1


@pytest.mark.parametrize(
    ("smoothing", "expected"),
    [
        ("none", 0),
        ("exp", (3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25),
        ("floor", (3 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25),
        ("add1", (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25),
        ("coco", (3 / 4 * 1 / 3 * 1e-15 / 2 * 1e-15 / 1) ** 0.25),
    ],
)
def test_smoothing_by_hand(smoothing, expected):
    # "a" "red" "cat" match of four words, "a red" of three pairs, no triple
    said, true = "a red saw cat", "cat x a red"
    found = sentence_bleu(said, [true], smoothing=smoothing)
    assert found == pytest.approx(expected, rel=1e-6)
    assert bleu([said], [[true]], smoothing=smoothing) == pytest.approx(found)


def test_a_sentence_shorter_than_four_words_is_judged_by_what_it_has():
    assert sentence_bleu("a cat", ["a cat"]) == 1
    assert bleu(["a cat"], [["a cat"]]) == 0
    assert coco_bleu(["a cat"], [["a cat"]])[1] == pytest.approx(1, abs=1e-6)
    assert coco_bleu(["a cat"], [["a cat"]])[3] < 1e-1


def test_a_corpus_is_not_the_mean_of_its_sentences():
    said, true = ["a red cat saw", "the dog"], [["a red cat saw"], ["the cat saw a"]]
    mean = sum(map(sentence_bleu, said, true)) / 2
    assert abs(bleu(said, true) - mean) > 0.03


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("Hello, world.", "Hello , world ."),
        ("3.14 1,000 2-3 p.m.", "3.14 1,000 2 - 3 p . m ."),
        ("state-of-the-art's end", "state-of-the-art's end"),
        ("&quot;a&amp;b&quot; &lt;c&gt;", '" a & b " < c >'),
        ("a-\nb c\nd", "ab c d"),
        ("日本。x", "日本。x"),
        ("<skipped>a", "a"),
    ],
)
def test_words_as_mteval_cuts_them(text, cut):
    assert words_13a(text) == cut.split()


@given(corpora, st.sampled_from(SMOOTHING))
def test_range_perfect_score_order_and_copies(pairs, smoothing):
    said, true = zip(*pairs, strict=True)
    found = bleu(said, true, smoothing=smoothing)
    assert 0 <= found <= 1 + 1e-9
    back = [some[::-1] for some in true[::-1]]
    assert bleu(said[::-1], back, smoothing=smoothing) == pytest.approx(found)
    if smoothing == "none":
        assert bleu(said * 2, true * 2, smoothing="none") == pytest.approx(found)
    perfect = [some[0] + " a red cat saw" for some in true]
    assert bleu(perfect, [[p] for p in perfect], smoothing=smoothing) == pytest.approx(
        1, abs=1e-6
    )


@given(corpora)
def test_captions_score_less_with_longer_runs_when_smoothing_is_tiny(pairs):
    said, true = zip(*pairs, strict=True)
    found = coco_bleu(said, true)
    assert len(found) == 4
    if found[0] > 0.01:
        assert all(0 < score <= 1 + 1e-6 for score in found)


def test_case_and_punctuation_count_for_13a_and_not_for_captions():
    said, true = ["A red cat saw it!"], [["a red cat saw it"]]
    assert bleu(said, true) < 0.8
    assert coco_bleu(said, true)[3] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: bleu([], []),
            "candidates and lists of references expected at least one",
        ),
        (lambda: bleu(["a"], []), "got 1 and 0"),
        (lambda: bleu(["a"], [[]]), "references 0 expected at least 1, got 0"),
        (
            lambda: bleu(["a"], [["a"]], smoothing="x"),
            "smoothing expected one of 'none', 'exp', 'floor', 'add1', 'coco', got",
        ),
        (
            lambda: bleu(["a"], [["a"]], order=0),
            "order expected a whole number from 1 up, got 0",
        ),
        (lambda: bleu("ab", [["a"], ["b"]]), "candidates expected a list of strings"),
        (lambda: bleu(["a"], "a"), "list of lists of strings, got str 'a'"),
        (lambda: coco_bleu(["a"], ["a"]), "references 0 expected a list of strings"),
        (lambda: sentence_bleu("a", []), "references 0 expected at least 1, got 0"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_empty_strange_and_very_long_texts_are_scored():
    assert bleu([""], [["a"]]) == bleu([""], [[""]]) == 0
    assert coco_bleu([""], [["a cat"]]) == [0, 0, 0, 0]
    assert sentence_bleu("日本 語 の 文", ["日本 語 の 文"]) == pytest.approx(1)
    long = "a red cat saw " * 5_000
    assert sentence_bleu(long, [long]) == pytest.approx(1)


def test_add1_counts_all_orders_also_of_a_short_sentence():
    # 1/2, (0 + 1) / (1 + 1), and 1 / 1 for the orders that two words do not have
    found = sentence_bleu("a dog", ["a cat sat"], smoothing="add1")
    assert found == pytest.approx(math.exp(-1 / 2) * (1 / 2 * 1 / 2) ** 0.25)
    # with another smoothing only the two orders count, the second with half a match
    found = sentence_bleu("a dog", ["a cat sat"], smoothing="exp")
    assert found == pytest.approx(math.exp(-1 / 2) * (1 / 2 * 1 / 2) ** 0.5)
