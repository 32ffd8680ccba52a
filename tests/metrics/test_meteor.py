"""METEOR: by hand, its laws, what it refuses; WordNet where it is installed."""

import json
import sys
import types
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.metrics._words import alignment
from mmdl_lib.metrics._words.wordnet import wordnet_synonyms
from mmdl_lib.metrics.meteor import (
    FUNCTION_WORDS,
    METEOR_2005,
    align,
    corpus_meteor,
    meteor,
    meteor_words,
)

HERE = Path(__file__).parent
CASES = json.loads((HERE / "cases.json").read_text())["captions"]
OFFICIAL = json.loads((HERE / "reference.json").read_text())
SAID = [item["candidate"] for item in CASES]
TRUE = [item["references"] for item in CASES]

words = st.lists(
    st.sampled_from("red cat cats saw the dog on sees".split()), max_size=8
)
texts = words.map(" ".join)
corpora = st.lists(
    st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=4
)
CARS = {"car": {"1"}, "automobile": {"1", "2"}, "auto": {"2"}}


def cars(word):
    return CARS.get(word, ())


def score(p, r, fragmented, alpha=0.85, beta=0.2, gamma=0.6):
    return p * r / (alpha * p + (1 - alpha) * r) * (1 - gamma * fragmented**beta)


@pytest.mark.parametrize("stages", list(OFFICIAL["meteor"]))
def test_the_official_numbers_with_the_official_tables(stages):
    tables = {}
    if "synonym" in stages:
        tables["synonyms"] = OFFICIAL["synonyms"].__getitem__
    if "paraphrase" in stages:
        tables["paraphrases"] = OFFICIAL["paraphrases"]
    official = OFFICIAL["meteor"][stages]
    assert meteor(SAID, TRUE, **tables) == pytest.approx(official["each"], abs=1e-12)
    found = corpus_meteor(SAID, TRUE, **tables)
    assert found == pytest.approx(official["corpus"], abs=1e-12)


def test_stages_by_hand():
    # "red" exact and "cats" stem: 0.75 (1 + 0.6) of 3 * 0.75 and of 4 * 0.75
    p, r = (1 + 0.6) / 3, (1 + 0.6) / 4
    found = meteor(["red cats sleep"], [["red cat ran away"]])
    assert found == pytest.approx([score(p, r, 1 / 2)])
    # "the" weighs 0.25, "car" 0.75 with the weight of a synonym
    p, r = (0.25 + 0.8 * 0.75) / 1, (0.25 + 0.8 * 0.75) / 1.75
    said, true = ["the car"], [["the automobile went"]]
    found = meteor(said, true, synonyms=cars)
    assert found == pytest.approx([score(p, r, 1 / 2)])
    assert meteor(said, true)[0] < found[0]


def test_a_paraphrase_covers_phrases_of_two_lengths():
    table = {"big cat": ["lion"]}
    # one word said, two true, all in one chunk
    found = meteor(["lion"], [["big cat"]], paraphrases=table)
    assert found == pytest.approx([0.6])
    # the table is read in both directions
    assert meteor(["big cat"], [["lion"]], paraphrases=table) == pytest.approx([0.6])


def test_the_alignment_with_fewest_chunks_is_found():
    # the second "the" of the reference goes with "dog"
    found = align("the dog saw".split(), "the cat saw the dog".split())
    assert [(m.at, m.of) for m in found] == [(2, 2), (3, 0), (4, 1)]
    # "a" could go to either; "b a" in one chunk wins
    found = align("b a".split(), "a b a".split())
    assert [(m.at, m.of) for m in found] == [(1, 0), (2, 1)]


@given(words, words)
def test_an_alignment_uses_each_word_once_and_all_exact_words(said, true):
    found = align(said, true, synonyms=cars)
    assert len({m.at for m in found}) == len({m.of for m in found}) == len(found)
    assert [m.at for m in found] == sorted(m.at for m in found)
    exact = sum(min(said.count(word), true.count(word)) for word in {*said})
    assert sum(m.stage == 0 for m in found) == exact
    assert all(said[m.of] == true[m.at] for m in found if m.stage == 0)


@settings(max_examples=15)
@given(corpora)
def test_range_perfect_score_order_and_copies(pairs):
    said, true = zip(*pairs, strict=True)
    found = meteor(said, true)
    assert all(0 <= x <= 1 for x in found)
    back = meteor(said[::-1], [some[::-1] for some in true[::-1]])
    assert back[::-1] == pytest.approx(found)
    assert meteor(said, [some * 2 for some in true]) == pytest.approx(found)
    full = [text + " bird" for text in said]
    assert meteor(full, [[text] for text in full]) == pytest.approx([1] * len(full))
    assert corpus_meteor(full, [[text] for text in full]) == pytest.approx(1)


@given(texts, st.lists(texts, min_size=1, max_size=2), texts)
def test_one_more_reference_never_hurts(said, true, more):
    assert meteor([said], [[*true, more]]) >= meteor([said], [true])


def test_a_corpus_of_one_is_its_sentence_and_of_two_not_the_mean():
    assert corpus_meteor(SAID[:1], TRUE[:1]) == meteor(SAID[:1], TRUE[:1])[0]
    each = meteor(SAID, TRUE)
    assert abs(corpus_meteor(SAID, TRUE) - sum(each) / len(each)) > 1e-3


def test_order_counts_and_rare_words_count_more():
    true = [["a red cat saw the dog"]]
    turned = meteor(["dog the saw cat red a"], true)[0]
    assert turned < 0.6 * meteor(["a red cat saw the dog"], true)[0]
    assert meteor(["red cat"], true)[0] > meteor(["the a"], true)[0]
    assert "the" in FUNCTION_WORDS and "cat" not in FUNCTION_WORDS


def test_the_parameters_of_2005_are_those_of_the_first_paper():
    # P 3/4, R 3/5, two chunks of three matches: 10 P R / (R + 9 P) (1 - 0.5 (2/3)^3)
    found = meteor(["red cat x dog"], [["red cat saw the dog"]], parameters=METEOR_2005)
    p, r = 3 / 4, 3 / 5
    expected = 10 * p * r / (r + 9 * p) * (1 - 0.5 * (2 / 3) ** 3)
    assert found == pytest.approx([expected])


def test_words_as_the_normalizer_cuts_them():
    found = meteor_words(
        "A man's half-eaten, state-of-the-art cake; 1,000 vs. 3/4 (no)"
    )
    official = "a man ' s half eaten state of the art cake 1,000 vs. 3 / 4"
    assert found == [*official.split(), "-lrb-", "no", "-rrb-"]
    assert meteor_words("日本 p.m. don't 1950's") == "日 本 pm do n 't 1950 ' s".split()


def test_without_nltk_or_its_data_there_are_no_synonyms(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    assert wordnet_synonyms() is None


@pytest.mark.parametrize("error", [LookupError, OSError])
def test_missing_or_broken_data_count_as_no_wordnet(error, monkeypatch):
    def fail():
        raise error

    corpus = types.SimpleNamespace(wordnet=types.SimpleNamespace(ensure_loaded=fail))
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)
    assert wordnet_synonyms() is None


def test_synonyms_are_names_of_synsets(monkeypatch):
    def synsets(word):
        return [types.SimpleNamespace(name=lambda n=n: n) for n in cars(word)]

    reader = types.SimpleNamespace(ensure_loaded=lambda: None, synsets=synsets)
    corpus = types.SimpleNamespace(wordnet=reader)
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)
    found = wordnet_synonyms()
    assert found("automobile") == {"1", "2"} and found("x") == set()


@pytest.mark.parametrize("call", [meteor, corpus_meteor])
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
def test_bad_input_gets_one_clear_sentence(call, said, true, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(said, true)


def test_a_word_that_is_repeated_makes_no_more_paths_than_the_beam_has(monkeypatch):
    made = []

    def counted(*way, go=alignment._go):
        made.append(way)
        return go(*way)

    monkeypatch.setattr(alignment, "_go", counted)
    assert meteor(["a " * 200], [["a " * 200]]) == [1]
    assert len(made) <= 200 * alignment.BEAM
    # the number of the search that tried all ways
    assert meteor(["cat " * 60], [["a cat " * 20]]) == pytest.approx(
        [0.25263157894736843]
    )


def test_empty_strange_and_long_texts_are_scored():
    assert meteor(["", "a", ""], [["a"], [""], [""]]) == [0, 0, 0]
    assert meteor(["日本🙂"], [["日本"]]) == [1]
    long = " ".join(f"w{i}" for i in range(200))
    assert meteor([long], [[long]]) == [1]
    # a word that occurs often has many places to go
    assert meteor(["a " * 20], [["a " * 20]]) == [1]
