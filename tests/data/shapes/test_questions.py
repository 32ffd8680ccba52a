"""Questions come in all kinds, and the machine runs sound programs only.

That the answers are true is checked in test_shapes_language.py, from the pixels.
"""

import pytest

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.questions import KINDS


def test_questions_of_all_kinds_are_asked_and_yes_is_no_safe_guess():
    asked = shapes.questions(shapes.sample(2000, seed=1), seed=0)
    rows = [question for several in asked for question in several]
    for kind in KINDS:
        answers = [q.answer for q in rows if q.kind == kind]
        assert len(answers) > 800
        said = [a for a in answers if a in ("yes", "no")]
        if said:
            assert 0.4 < said.count("yes") / len(said) < 0.6
        else:
            assert max(answers.count(a) for a in answers) < 0.65 * len(answers)


def test_questions_are_repeatable_and_can_be_limited_to_kinds():
    scenes = shapes.sample(30, seed=0)
    whole = shapes.questions(scenes, seed=3)
    assert whole == shapes.questions(scenes, seed=3)
    assert whole != shapes.questions(scenes, seed=4)
    counts = shapes.questions(scenes, seed=3, kinds=["count"])
    assert counts == [[q for q in rows if q.kind == "count"] for rows in whole]


SCENE = ("scene", ())


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ([("sceen", ())], "one of scene, .* got 'sceen'"),
        ([("count", ())], "1 values before 'count', got 0"),
        ([SCENE, ("filter", ("color",))], "2 known arguments of 'filter'"),
        ([SCENE, ("filter", ("colour", "red"))], "2 known arguments of 'filter'"),
        ([SCENE, ("unique", ())], "one object before 'unique', got 2"),
        ([SCENE], "ends in one answer"),
        ([], "ends in one answer"),
        ([SCENE, ("count", ()), SCENE, ("count", ())], "ends in one answer"),
    ],
)
def test_a_bad_program_is_an_error_in_one_sentence(program, expected):
    scene = shapes.sample(1, seed=0, objects=2)
    with pytest.raises(ValueError, match=expected):
        shapes.run_program(program, scene)


def test_a_program_runs_on_one_scene():
    with pytest.raises(ValueError, match="expected one scene, got 2"):
        shapes.run_program([SCENE, ("count", ())], shapes.sample(2, seed=0))


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="kind expected one of 'exist', .* got 'why'"):
        shapes.questions(shapes.sample(1, seed=0), seed=0, kinds=["why"])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("filter", ("shape", "red"))], "zero"),
        ([("filter", ("color", "red")), ("filter", ("shape", "star"))], "one"),
        ([("unique", ()), ("relate", ("right of",))], "zero"),
    ],
)
def test_a_filter_minds_its_attribute_and_nothing_is_beside_itself(steps, expected):
    scene = shapes.sample(1, seed=0, objects=1)
    scene.color[:], scene.shape[:] = 0, shapes.SHAPES.index("star")
    program = [SCENE, *steps, ("count", ())]
    assert shapes.run_program(program, scene) == expected
