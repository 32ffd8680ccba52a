"""SQuAD 1.1: by hand, its laws, what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.squad import answer_f1, exact_match, normalize_answer, squad

words = st.lists(st.sampled_from("red blue the a cat dog 42 U.S.".split()), max_size=5)
texts = words.map(" ".join)
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


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: squad([], []),
            "candidates and lists of references expected at least one",
        ),
        (lambda: squad(["a"], []), "got 1 and 0"),
        (lambda: squad(["a"], [[]]), "references 0 expected at least 1, got 0"),
        (lambda: squad("abc", [["a"]] * 3), "a list of strings, got str 'abc'"),
        (lambda: squad(["a"], ["a"]), "a list of strings, got str 'a'"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_long_and_strange_texts_are_scored():
    long = "word " * 20_000
    assert answer_f1(long, long) == 1
    assert exact_match("日本\x00🙂", "日本\x00🙂") == 1
