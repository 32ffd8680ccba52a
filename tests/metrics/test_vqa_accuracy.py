"""VQA accuracy: by hand, over all subsets of nine, its quirks and what it refuses."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.metrics.vqa_accuracy import answer_scores, normalize, vqa_accuracy

WORDS = ["red", "Red.", "two", "2", "the dog", "dog", "isnt", "isn't", "", "é", "日本"]
PEOPLE = st.lists(st.sampled_from(WORDS), min_size=2, max_size=10)
CASES = st.lists(st.tuples(st.sampled_from(WORDS), PEOPLE), min_size=1, max_size=5)


def split(cases):
    return [p for p, _ in cases], [a for _, a in cases]


def by_subsets(prediction, people):
    """The mean over all subsets that leave one person out, one by one."""
    if len(set(people)) > 1:
        prediction, people = normalize(prediction), [normalize(p) for p in people]
    values = [
        min(1, sum(answer == prediction for answer in some) / 3)
        for some in combinations(people, len(people) - 1)
    ]
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("equal", "score"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (9, 1)]
)
def test_what_equal_answers_of_ten_are_worth(equal, score):
    people = ["yes"] * equal + ["no"] * (10 - equal)
    assert answer_scores(["yes"], [people]) == [pytest.approx(score)]


@given(CASES)
@settings(deadline=None)
def test_all_subsets_give_the_same(cases):
    found = answer_scores(*split(cases))
    assert found == pytest.approx([by_subsets(*case) for case in cases])
    assert vqa_accuracy(*split(cases)) == pytest.approx(sum(found) / len(found))


@given(CASES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_range_order_and_copies(cases, random):
    before = vqa_accuracy(*split(cases))
    assert 0 <= before <= 1
    mixed = [(p, random.sample(a, len(a))) for p, a in cases]
    random.shuffle(mixed)
    assert vqa_accuracy(*split(mixed)) == pytest.approx(before)
    assert vqa_accuracy(*split(cases * 2)) == pytest.approx(before)


@given(PEOPLE)
@settings(deadline=None)
def test_one_more_person_who_agrees_never_hurts(people):
    people = [*people, "no"]
    less = answer_scores(["yes"], [people + ["yes"] * 2])[0]
    more = answer_scores(["yes"], [people[:-1] + ["yes"] * 3])[0]
    assert more >= less


def test_the_common_answer_of_all_is_perfect():
    for word in WORDS:
        assert vqa_accuracy([word], [[word] * 10]) == 1


def test_where_all_agree_nothing_is_made_uniform():
    assert vqa_accuracy(["Yes."], [["yes"] * 10]) == 0
    assert vqa_accuracy(["Yes."], [["yes"] * 9 + ["no"]]) == 1
    assert vqa_accuracy(["yes\n"], [[" yes\t"] * 10]) == 1


@pytest.mark.parametrize(
    ("text", "uniform"),
    [
        ("The Dog's a cat", "dog's cat"),
        ("couldnt", "couldn't"),
        ("couldntve", "couldntve"),
        ("couldn'tve, maam", "couldn't've ma'am"),
        ("she's well, were shell", "she's well were shell"),
        ("Im", "im"),
        ("somebody'd", "somebodyd"),
        ("none or ten of eleven", "0 or 10 of eleven"),
        ("3.5 m.p.h.", "3.5 mph"),
        ("at .5 and 5.", "at .5 and 5"),
        ("1,000-2,000", "10002000"),
        ("red-white", "red white"),
        ("red- white", "red white"),
        ("red-white -", "redwhite"),
        ("12:30", "12:30"),
        ("what?!", "what"),
        ("a", ""),
        ("." * 40, "." * 8),
        ("  Ärger\n日本  ", "ärger 日本"),
    ],
)
def test_spelling_by_hand(text, uniform):
    assert normalize(text) == uniform


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_has_a_uniform_spelling_without_case_and_marks(text):
    out = normalize(text)
    assert out == " ".join(out.split()) == out.lower()
    assert not {"a", "an", "the", "two"} & {*out.split()}
    assert not set(out) & set(";[]{}()=?!,")


@pytest.mark.parametrize(
    ("predictions", "answers", "sentence"),
    [
        ([], [], "candidates and lists of references expected at least one"),
        (["a"], [["a", "b"]] * 2, "got 1 and 2"),
        (["a"], [["a"]], "answers expected two people or more, got 1"),
        (["a"], [[]], "references 0 expected at least 1, got 0"),
        ("yes", [["a", "b"]] * 3, "list of strings, got str 'yes'"),
        (["a"], ["yes"], "list of strings, got str 'yes'"),
    ],
)
def test_bad_input_gets_one_clear_sentence(predictions, answers, sentence):
    with pytest.raises(ValueError, match=sentence):
        vqa_accuracy(predictions, answers)
