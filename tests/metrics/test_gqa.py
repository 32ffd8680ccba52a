"""GQA's metrics: by hand, on questions about shapes, their laws, and refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.drawing import COLORS, SHAPES, SIZES, TEXTURES
from mmdl_lib.metrics.gqa import (
    accuracy,
    consistency,
    distribution,
    plausibility,
    validity,
)

VALUES = {"shape": SHAPES, "color": COLORS, "size": SIZES, "texture": TEXTURES}
ANSWERS = ["red", "blue", "yes", "no"]


@st.composite
def cases(draw):
    n = draw(st.integers(1, 10))
    some = st.lists(st.sampled_from(ANSWERS), min_size=n, max_size=n)
    said, true = (dict(enumerate(draw(some))) for _ in range(2))
    numbers = st.lists(st.integers(0, n - 1), max_size=4)
    entailed = {q: draw(numbers) for q in range(n)}
    group = {q: draw(st.integers(0, 2)) for q in range(n)}
    return said, true, entailed, group


def test_consistency_by_hand():
    true = dict(a="x", b="x", c="x", d="x")
    said = dict(a="x", b="x", c="y", d="x")
    entailed = dict(a=["b", "c"], b=["b"], c=["d"], d=["a"])
    # a is half consistent, b entails nothing but itself, c is wrong, d is consistent
    assert consistency(said, true, entailed=entailed) == 0.75
    assert consistency(dict.fromkeys("abcd", "y"), true, entailed=entailed) == 0
    assert consistency(said, true, entailed={}) == 0


def test_distribution_by_hand():
    true = {0: "red", 1: "red", 2: "blue", 3: "yes"}
    said = {0: "red", 1: "green", 2: "green", 3: "no"}
    group = {0: "car", 1: "car", 2: "car", 3: "any"}
    # car: (1 - 2)^2 / 2 + (0 - 1)^2 / 1, three questions; any: (0 - 1)^2 / 1, one
    want = (3 * 1.5 + 1 * 1) / 4 / 100
    assert distribution(said, true, group=group) == pytest.approx(want)
    # a question of no group does not count, neither above nor below
    more = {4: "red", 5: "blue"}
    nowhere = group | {4: None, 5: None}
    found = distribution(said | {4: "no", 5: "no"}, true | more, group=nowhere)
    assert found == pytest.approx(want)


def test_only_balanced_questions_are_asked_and_what_they_entail_may_be_any():
    true = dict.fromkeys("abcd", "x")
    said = dict(a="x", b="x", c="y", d="x")
    entailed = dict(a=["c"], b=["d"], c=["a"], d=["a", "b", "c"])
    # a 0, b 1, d 2/3; c is wrong
    assert consistency(said, true, entailed=entailed) == pytest.approx(5 / 9)
    asked = {"entailed": entailed, "balanced": ["a", "b"]}
    assert consistency(said, true, **asked) == 0.5
    asked = {"entailed": entailed, "balanced": {"b", "c"}}
    assert consistency(said, true, **asked) == 1
    group = dict(a=0, b=0, c=0, d=1)
    # x is said once of twice
    found = distribution(said, true, group=group, balanced=["a", "c", "d"])
    assert found == pytest.approx((2 * 0.5 + 1 * 0) / 3 / 100)


def test_the_right_answers_in_another_order_are_well_spread_and_wrong():
    true, said = {0: "red", 1: "blue"}, {0: "blue", 1: "red"}
    assert accuracy(said, true) == 0
    assert distribution(said, true, group={0: 0, 1: 0}) == 0


@given(cases())
@settings(deadline=None)
def test_the_truth_is_perfect_and_all_is_in_range(case):
    said, true, entailed, group = case
    sets = {q: {a} for q, a in true.items()}
    assert accuracy(true, true) == 1
    assert validity(true, sets) == plausibility(true, sets) == 1
    assert distribution(true, true, group=group) == 0
    has = any(set(e) - {q} for q, e in entailed.items())
    assert consistency(true, true, entailed=entailed) == (1 if has else 0)
    assert accuracy(said, true) == validity(said, sets)
    assert 0 <= consistency(said, true, entailed=entailed) <= 1
    assert distribution(said, true, group=group) >= 0


@given(cases(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_names_and_order_of_questions_do_not_matter(case, random):
    said, true, entailed, group = case
    order = list(true)
    random.shuffle(order)
    name = {q: f"question {i}" for i, q in enumerate(order)}
    said2, true2, group2 = ({name[q]: d[q] for q in order} for d in (said, true, group))
    entailed2 = {name[q]: [name[e] for e in entailed[q]] for q in order}
    assert accuracy(said2, true2) == pytest.approx(accuracy(said, true))
    assert consistency(said2, true2, entailed=entailed2) == pytest.approx(
        consistency(said, true, entailed=entailed)
    )
    assert distribution(said2, true2, group=group2) == pytest.approx(
        distribution(said, true, group=group)
    )


@given(cases())
@settings(deadline=None)
def test_validity_grows_with_the_sets(case):
    said, true, _, _ = case
    small = {q: {a} for q, a in true.items()}
    large = {q: {a, "red"} for q, a in true.items()}
    assert validity(said, large) >= validity(said, small)
    assert validity(said, {q: ANSWERS for q in true}) == 1


@pytest.fixture(scope="module")
def asked():
    """Questions for the color of the only such shape, and "is there a red one?"."""
    scenes = shapes.sample(200, seed=0)
    true, entailed, valid, group = {}, {}, {}, {}
    for i, things in enumerate(scenes.things()):
        for question in shapes.questions(scenes[i], seed=i, kinds=["query"])[0]:
            key = question.program[-1][1][0]
            true[i, question.text] = question.answer
            valid[i, question.text] = VALUES[key]
            group[i, question.text] = key
            follows = []
            for value in VALUES[key]:
                text = f"is anything {value}?"
                there = any(getattr(t, key) == value for t in things)
                true[i, text] = "yes" if there else "no"
                valid[i, text], group[i, text] = ("yes", "no"), "exist"
                if value == question.answer:
                    follows.append((i, text))
            entailed[i, question.text] = follows
    return true, entailed, valid, group


def test_questions_about_shapes_entail_that_the_thing_exists(asked):
    true, entailed, valid, group = asked
    assert len(entailed) > 100
    assert consistency(true, true, entailed=entailed) == 1
    assert validity(true, valid) == 1
    # a model that sees colors and shapes but denies all
    denies = {q: a if q in entailed else "no" for q, a in true.items()}
    assert consistency(denies, true, entailed=entailed) == 0
    assert accuracy(denies, true) > 0.5
    assert validity(denies, valid) == 1
    always_yes = dict.fromkeys(true, "yes")
    assert validity(always_yes, valid) == pytest.approx(
        sum("yes" in v for v in valid.values()) / len(valid)
    )
    assert distribution(denies, true, group=group) > 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: accuracy({}, {}), "answers expected at least one question"),
        (lambda: accuracy({1: "a"}, {1: "a", "ü": "b"}), "none for 1, such as 'ü'"),
        (
            lambda: validity({}, {1: {"a"}}),
            "predictions expected one for each question",
        ),
        (lambda: plausibility({}, {}), "plausible answers expected at least one"),
        (
            lambda: consistency({1: "a"}, {1: "a"}, entailed={1: [2]}),
            "answers expected one of 2, got none",
        ),
        (lambda: validity({1: "a"}, {1: "ab"}), "valid answers of 1 expected several"),
        (
            lambda: consistency({1: "a"}, {1: "a"}, entailed={}, balanced=[2]),
            "answers expected one of 2, got none",
        ),
        (
            lambda: distribution({1: "a"}, {1: "a"}, group={1: None}),
            "group expected a question that counts, got none",
        ),
        (
            lambda: distribution({1: "a"}, {1: "a"}, group={}),
            "group expected one for 1, got none",
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
