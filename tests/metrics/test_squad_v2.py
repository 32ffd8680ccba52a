"""SQuAD 2.0: by hand, its laws, what it refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.metrics.squad import normalize_answer, squad
from mmdl_lib.metrics.squad_v2 import squad_v2

words = st.lists(st.sampled_from("red blue the a cat dog 42 U.S.".split()), max_size=5)
texts = words.map(" ".join)
names = texts.filter(lambda text: not text or normalize_answer(text))
questions = st.lists(
    st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=6
)


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
        (
            lambda: squad_v2([], []),
            "predictions and lists of answers expected at least one",
        ),
        (lambda: squad_v2(["a"], []), "got 1 and 0"),
        (lambda: squad_v2(["a"], [["a"]], no_answer=[]), "no_answer values, got 1"),
        (
            lambda: squad_v2(["a"], [["a"]], no_answer=[math.nan]),
            "no_answer 0 expected a number, got nan",
        ),
        (lambda: squad_v2(["a"], ["a"]), "answers 0 expected a list of strings"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
