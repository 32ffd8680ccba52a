"""Plans of lessons: their minutes, and what they are made of."""

import pytest
from classroom.chapters import Exercise
from classroom.plans import LENGTHS, plan, practice, sections, shares
from test_chapters import QUESTION, WRITTEN, cell


class Chapter:
    """As much of a chapter as a plan needs."""

    slug = "vit"
    exercises = (
        Exercise(1, "Predict", 1, 4),
        Exercise(2, "Change the code", 2, 20),
        Exercise(3, "Predict", 1, 5),
    )

    def __init__(self, *cells):
        self.cells = [cell("# 2.2.6 ViT", tags=["slide"]), *cells]


TWO = Chapter(
    cell("(vit-why)=\n## Why", tags=["slide"]),
    cell("### A part", tags=["slide"]),
    cell(QUESTION, tags=["predict"]),
    cell("## Not shown", tags=[]),
    cell("## Idea", tags=[]),
    cell("draw()", "code", ["slide"]),
)


def test_a_lesson_goes_through_the_sections_that_have_slides():
    said = [(title, what) for title, what, _ in sections(TWO)]
    why = "3 slides, with 1 question to vote on."
    assert said == [("Why", why), ("Idea", "1 slide.")]


def test_a_question_takes_more_of_a_lesson_than_a_slide():
    assert [weight for *_, weight in sections(TWO)] == [6, 1.5]
    rows = plan(TWO, 45)
    assert [row.minutes for row in rows] == [29, 7, 4, 5]
    assert rows[2].what == "Exercise 1: predict ★"


def test_exercises_are_chosen_in_order_while_they_fit():
    # the third would fit, but presupposes the second
    assert [e.number for e in practice(TWO, 45)] == [1]
    assert [e.number for e in practice(TWO, 90)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("total", "weights"), [(36, [1, 1, 1]), (35, [6, 1.5]), (7, [3, 3, 1, 1])]
)
def test_shares_are_whole_and_sum_up(total, weights):
    found = shares(total, weights)
    assert sum(found) == total
    exact = [total * weight / sum(weights) for weight in weights]
    assert all(abs(a - b) < 1 for a, b in zip(found, exact, strict=True))


def test_more_sections_than_minutes_are_refused():
    many = Chapter(*(cell(f"## Part {i}", tags=["slide"]) for i in range(50)))
    with pytest.raises(ValueError, match="vit: expected at most 36 sections .* got 50"):
        plan(many, 45)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_the_minutes_of_every_plan_sum_up(chapter, length):
    rows = plan(chapter, length)
    assert sum(row.minutes for row in rows) == length
    assert min(row.minutes for row in rows) >= 1
