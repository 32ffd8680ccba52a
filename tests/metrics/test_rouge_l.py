"""ROUGE-L: by hand, its laws, what it refuses."""

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.rouge_l import ascii_words, coco_rouge_l, common_length, rouge_l

words = st.lists(st.sampled_from("abcd"), max_size=8)
texts = words.map(" ".join)


def test_by_hand():
    found = rouge_l("police kill the gunman", ["police killed the gunman"])
    # Lin 2004, section 3.1: "police the gunman", 3 of 4
    assert found == pytest.approx((0.75, 0.75, 0.75))
    assert rouge_l("the gunman kill police", ["police killed the gunman"]).f == 0.5


def test_the_reference_with_the_best_f_counts_whole():
    # F 2/3 with P 1, R 1/2; and F 1/2 with P 1/2, R 1/2
    found = rouge_l("a b", ["a b c d", "a x"])
    assert found == pytest.approx((1, 0.5, 2 / 3))


def test_coco_takes_best_precision_and_best_recall_apart():
    beta2 = 1.2**2
    # P 2/2 with the first, R 1/1 with the second
    assert coco_rouge_l(["a b"], [["a b c d", "b"]]) == [1]
    found = coco_rouge_l(["a b c"], [["a x y z"]])[0]
    p, r = 1 / 3, 1 / 4
    assert found == pytest.approx((1 + beta2) * p * r / (r + beta2 * p))
    assert coco_rouge_l(["a b c"], [["a x y z"]], beta=1)[0] == pytest.approx(
        2 * p * r / (p + r)
    )


@given(words, words)
def test_the_longest_common_sequence_is_that_of_brute_force(one, other):
    @lru_cache(None)
    def longest(i, j):
        if i == len(one) or j == len(other):
            return 0
        skip = max(longest(i + 1, j), longest(i, j + 1))
        return max(skip, 1 + longest(i + 1, j + 1) if one[i] == other[j] else 0)

    assert common_length(one, other) == longest(0, 0) == common_length(other, one)


@given(texts, st.lists(texts, min_size=1, max_size=4))
def test_range_perfect_score_and_order_of_references(said, true):
    found = rouge_l(said, true)
    assert all(0 <= x <= 1 for x in found)
    assert rouge_l(said, true[::-1]).f == pytest.approx(found.f)
    assert rouge_l(said + " a", [*true, said + " a"]) == (1, 1, 1)
    [score] = coco_rouge_l([said], [true])
    assert 0 <= score <= 1 + 1e-9
    assert coco_rouge_l([said], [true[::-1]]) == pytest.approx([score])
    assert coco_rouge_l([said], [[*true, said]]) == pytest.approx([1])


@given(texts, st.lists(texts, min_size=1, max_size=3), texts)
def test_one_more_reference_never_hurts(said, true, more):
    assert rouge_l(said, [*true, more]).f >= rouge_l(said, true).f
    [before], [after] = (coco_rouge_l([said], [t]) for t in (true, [*true, more]))
    assert after >= before - 1e-12


def test_words_are_ascii_and_stems_only_longer_ones():
    assert ascii_words("Café 日本 x-ray's 3.5") == "caf x ray s 3 5".split()
    assert ascii_words("cats ran", lambda word: word[:-1]) == ["cat", "ran"]
    assert rouge_l("cats", ["cat"], stem=lambda word: word[:3]).f == 1
    assert rouge_l("cats", ["cat"]).f == 0
    assert rouge_l("日本", ["日本"]).f == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: rouge_l("a", []), "references expected at least 1, got 0"),
        (lambda: rouge_l("a", "a"), "a list of strings, got str 'a'"),
        (
            lambda: coco_rouge_l([], []),
            "candidates and lists of references expected at least one",
        ),
        (lambda: coco_rouge_l(["a"], []), "got 1 and 0"),
        (lambda: coco_rouge_l(["a"], [[]]), "references 0 expected at least 1, got 0"),
        (lambda: coco_rouge_l("a", [["a"]]), "candidates expected a list of strings"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_empty_and_long_texts_are_scored():
    assert rouge_l("", ["a"]) == rouge_l("a", [""]) == (0, 0, 0)
    assert coco_rouge_l(["", "", "a"], [["a"], [""], [""]]) == [0, 1, 0]
    long = "a b c d " * 300
    assert rouge_l(long, [long]).f == 1
