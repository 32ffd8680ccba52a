"""SQuAD 1.1 and 2.0: by hand, their laws, what they refuse."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.squad import answer_f1, exact_match, normalize_answer, squad
from mmdl_lib.metrics.squad_v2 import squad_v2

words = st.lists(st.sampled_from("red blue the a cat dog 42 U.S.".split()), max_size=5)
texts = words.map(" ".join)
names = texts.filter(lambda text: not text or normalize_answer(text))
questions = st.lists(
    st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("well-known", "wellknown"),
        ("$3.14", "314"),
        ("Vitamin A", "vitamin"),
        ("an answer, another", "answer another"),
        ("“café” – naïve", "“café” – naïve"),
        ("the", ""),
        ("\tline\nbreak ", "line break"),
    ],
)
def test_answers_are_normalized_as_the_official_script_does(text, normal):
    assert normalize_answer(text) == normal


def test_scores_by_hand():
    assert exact_match("The cat.", "cat") == 1
    # common: cat and one of two "red"; 2 of 3 words said, 2 of 4 words true
    assert answer_f1("red cat bird", "red red cat dog") == pytest.approx(4 / 7)
    assert answer_f1("bird", "cat") == 0
    assert answer_f1("", "the") == 1
    assert answer_f1("", "cat") == answer_f1("cat", "") == 0


def test_the_best_accepted_answer_counts_for_each_score_alone():
    found = squad(["red cat", "dog"], [["red", "cat", "blue red cat"], ["bird"]])
    assert found == pytest.approx({"exact_match": 0, "f1": 100 * 0.8 / 2})


@given(questions)
def test_range_order_of_questions_and_answers_and_copies(pairs):
    said, true = zip(*pairs, strict=True)
    found = squad(said, true)
    assert 0 <= found["exact_match"] <= found["f1"] <= 100 + 1e-9
    back = squad(said[::-1], [some[::-1] for some in true[::-1]])
    assert back == pytest.approx(found)
    assert squad(said * 2, true * 2) == pytest.approx(found)
    perfect = squad([some[0] for some in true], true)
    assert perfect == pytest.approx({"exact_match": 100, "f1": 100})


@given(questions, texts)
def test_one_more_accepted_answer_never_hurts(pairs, more):
    said, true = zip(*pairs, strict=True)
    before, after = squad(said, true), squad(said, [[*some, more] for some in true])
    assert after["exact_match"] >= before["exact_match"]
    assert after["f1"] >= before["f1"] - 1e-9


@given(questions)
def test_version_two_is_version_one_where_all_have_answers(pairs):
    pairs = [(p, [a for a in some if normalize_answer(a)]) for p, some in pairs]
    pairs = [pair for pair in pairs if pair[1]] or [("cat", ["cat"])]
    said, true = zip(*pairs, strict=True)
    one, two = squad(said, true), squad_v2(said, true)
    assert two["exact"] == two["has_answer_exact"] == pytest.approx(one["exact_match"])
    assert two["f1"] == pytest.approx(one["f1"])
    assert "no_answer_f1" not in two and "best_f1" not in two


def test_a_threshold_empties_sure_predictions():
    said, true, sure = ["cat", "dog", "sun"], [["cat"], [], ["moon"]], [0.2, 0.7, 0.5]
    found = squad_v2(said, true, no_answer=sure, threshold=0.6)
    # cat right, dog dropped and right, sun wrong
    assert found["exact"] == pytest.approx(200 / 3)
    assert found["has_answer_exact"] == 50
    assert found["no_answer_exact"] == 100
    assert squad_v2(said, true, no_answer=sure)["exact"] == pytest.approx(100 / 3)
    # exactly at the threshold a prediction stays
    found = squad_v2(said, true, no_answer=sure, threshold=0.7)
    assert found["exact"] == pytest.approx(100 / 3)


def test_the_sweep_by_hand():
    said, true, sure = ["cat", "dog", "sun"], [["cat"], [], ["sun"]], [0.2, 0.7, 0.5]
    found = squad_v2(said, true, no_answer=sure)
    # all empty: 1 right (dog); + cat: 2 at 0.2; + sun: 3 at 0.5; + dog: 2 at 0.7
    assert found["best_exact"] == 100
    assert found["best_exact_threshold"] == 0.5
    found = squad_v2(["cat"], [["dog"]], no_answer=[0.3])
    assert found["best_f1"] == 0 and found["best_f1_threshold"] == 0


@given(
    st.lists(
        st.tuples(names, st.lists(names, max_size=2), st.integers(0, 99)),
        min_size=1,
        max_size=7,
        unique_by=lambda q: q[2],
    )
)
def test_no_threshold_beats_the_best_one(rows):
    said, true, sure = zip(*rows, strict=True)
    best = squad_v2(said, true, no_answer=sure)
    for name in ("exact", "f1"):
        at = best[f"best_{name}_threshold"]
        tried = [
            squad_v2(said, true, no_answer=sure, threshold=t)[name]
            for t in (-1, *sure, at)
        ]
        assert max(tried) == pytest.approx(best[f"best_{name}"])
        # 0 is the answer to "never answer", though a question at 0 is then answered
        if at > 0:
            assert tried[-1] == pytest.approx(best[f"best_{name}"])


def test_the_sweep_mistakes_an_article_for_an_answer_as_the_official_one_does():
    found = squad_v2(["the", "cat"], [[], ["cat"]], no_answer=[0.1, 0.2])
    assert found["exact"] == 100
    assert found["best_exact"] == 50


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: squad([], []), "at least one of candidates"),
        (lambda: squad(["a"], []), "got 1 and 0"),
        (lambda: squad(["a"], [[]]), "a reference for candidate 0, got none"),
        (lambda: squad("abc", [["a"]] * 3), "a list of strings, got 'abc'"),
        (lambda: squad(["a"], ["a"]), "a list of strings, got 'a'"),
        (lambda: squad_v2([], []), "at least one of predictions"),
        (lambda: squad_v2(["a"], []), "got 1 and 0"),
        (lambda: squad_v2(["a"], [["a"]], no_answer=[]), "no_answer values, got 1"),
        (lambda: squad_v2(["a"], [["a"]], no_answer=[math.nan]), "1 NaN or infinite"),
        (lambda: squad_v2(["a"], ["a"]), "answers 0 as a list of strings"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_long_and_strange_texts_are_scored():
    long = "word " * 20_000
    assert answer_f1(long, long) == 1
    assert exact_match("日本\x00🙂", "日本\x00🙂") == 1
