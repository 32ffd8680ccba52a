"""CIDEr and CIDEr-D: brute force over vectors, their laws, what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.cider import cider, cider_d, rarity

words = st.lists(st.sampled_from("a red cat saw the dog".split()), max_size=7)
texts = words.map(" ".join)
corpora = st.lists(
    st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=2, max_size=5
)


def grams(text, n):
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def vectors(text, references, n):
    """The weights of one order over all n-grams there are, as the paper writes them."""
    held = [{g for t in some for g in grams(t, n)} for some in references]
    every = sorted(set().union(*held, grams(text, n)))
    df = np.array([max(1, sum(g in h for h in held)) for g in every])

    def weigh(t):
        counts = np.array([grams(t, n).count(g) for g in every])
        return counts * np.log(len(references) / df)

    return weigh


def brute(candidates, references, clip):
    scores = []
    for said, some in zip(candidates, references, strict=True):
        total = 0
        for n in range(1, 5):
            weigh = vectors(said, references, n)
            c = weigh(said)
            for true in some:
                s = weigh(true)
                norm = np.linalg.norm(c) * np.linalg.norm(s)
                if not norm:
                    continue
                dot = (np.minimum(c, s) if clip else c) @ s / norm
                delta = max(len(said.split()) - 1, 0) - max(len(true.split()) - 1, 0)
                total += dot * (10 * math.exp(-(delta**2) / 72) if clip else 1)
        scores.append(total / 4 / len(some))
    return scores


@given(corpora)
def test_both_are_cosines_of_the_papers_vectors(pairs):
    said, true = zip(*pairs, strict=True)
    assert cider(said, true) == pytest.approx(brute(said, true, False), abs=1e-9)
    assert cider_d(said, true) == pytest.approx(brute(said, true, True), abs=1e-9)


@given(corpora)
def test_range_order_of_pictures_and_of_references(pairs):
    said, true = zip(*pairs, strict=True)
    for score, top in ((cider, 1), (cider_d, 10)):
        found = score(said, true)
        assert all(0 <= x <= top + 1e-9 for x in found)
        back = score(said[::-1], [some[::-1] for some in true[::-1]])
        assert back[::-1] == pytest.approx(found)
        twice = score(said, [some * 2 for some in true])
        assert twice == pytest.approx(found)


def test_a_caption_equal_to_its_only_reference_scores_the_top():
    said = ["a red cat saw it", "the big dog ran off"]
    assert cider(said, [[s] for s in said]) == pytest.approx([1, 1])
    assert cider_d(said, [[s] for s in said]) == pytest.approx([10, 10])


def test_repeating_a_good_word_pays_in_cider_and_not_in_cider_d():
    said = ["cat cat cat cat saw", "the dog"]
    true = [["cat cat saw a bird"], ["the big dog"]]
    plain = ["cat cat saw", "the dog"]
    assert cider_d(said, true)[0] < cider_d(plain, true)[0]
    ratio = cider_d(said, true)[0] / 10 / cider(said, true)[0]
    assert ratio < 0.95


def test_words_in_every_picture_weigh_nothing_and_one_picture_has_no_rarity():
    true = [["a cat"], ["a dog"]]
    assert cider_d(["a", "a"], true) == [0, 0]
    assert cider_d(["a cat"], [["a cat"]]) == [0]


def test_with_a_known_rarity_a_score_does_not_depend_on_what_is_scored_beside_it():
    true = [["a red cat", "the cat"], ["a dog"], ["a red yak sat"]]
    said = ["a red cat", "a cat", "the yak sat"]
    known = rarity(true)
    for score in (cider, cider_d):
        whole = score(said, true)
        alone = [
            score([s], [t], known=known)[0] for s, t in zip(said, true, strict=True)
        ]
        assert alone == pytest.approx(whole, abs=1e-12) and max(whole) > 0
        assert max(score([s], [t])[0] for s, t in zip(said, true, strict=True)) == 0


def test_what_no_reference_of_the_corpus_holds_weighs_most():
    known = rarity([["a cat"], ["a dog"], ["a cow"]])
    assert known.rarest == max(known.weight.values()) == pytest.approx(math.log(3))
    # "a" is free; of two rare words the caption has one: a cosine of 1 / sqrt(2)
    found = cider(["a yak"], [["a yak cat"]], known=known)[0]
    grams = {1: 1 / math.sqrt(2), 2: 1 / math.sqrt(2)}
    assert found == pytest.approx(sum(grams.values()) / 4)


def test_length_is_punished_by_sigma():
    said, true = ["red cat x y z", "dog"], [["red cat"], ["a dog"]]
    found = [cider_d(said, true, sigma=sigma)[0] for sigma in (1, 6, 1e6)]
    assert found == sorted(found) and found[0] < 0.1 * found[1]
    assert found[1] == pytest.approx(found[2] * math.exp(-9 / 72))


@pytest.mark.parametrize("score", [cider, cider_d])
@pytest.mark.parametrize(
    ("said", "true", "sentence"),
    [
        ([], [], "candidates and lists of references expected at least one"),
        (["a"], [], "got 1 and 0"),
        (["a"], [[]], "references 0 expected at least 1, got 0"),
        ("ab", [["a"], ["b"]], "candidates expected a list of strings"),
        (["a"], ["a"], "references 0 expected a list of strings"),
    ],
)
def test_bad_input_gets_one_clear_sentence(score, said, true, sentence):
    with pytest.raises(ValueError, match=sentence):
        score(said, true)


def test_empty_strange_and_long_texts_are_scored():
    long = "red cat " * 5_000
    said, true = ["", long, "日本 語"], [["a"], [long], ["日本 語"]]
    assert cider_d(said, true) == pytest.approx([0, 10, 5])
    # an empty reference shares nothing, and halves the mean
    assert cider(["a b", "c"], [["a b", ""], ["d"]]) == pytest.approx([0.25, 0])
