"""What is read from the tags of a notebook, and what is refused."""

import copy

import pytest
from classroom.chapters import (
    asked,
    chapters,
    check_computed,
    check_tags,
    exercises,
    tags,
    words,
)

QUESTION = """### A heading
Sides are halved.

**Predict.** What does attention cost?

- 4
- 16, at least
  on paper

:::{dropdown} Answer
1. No: that is what the *matrices*
   cost.
2. Right: all pairs of four times as many.

Nothing else changes.
:::"""
CELLS = [{"cell_type": "markdown", "source": "Some prose."}]


def cell(text=QUESTION, kind="markdown", tags=("predict",), printed=""):
    outputs = [{"output_type": "stream", "text": printed}] if printed else []
    made = {"cell_type": kind, "id": "x-1", "metadata": {"tags": [*tags]}}
    return made | {"source": text.splitlines(True), "outputs": outputs}


def test_a_question_knows_its_options_and_why_each_is_right_or_not():
    question = asked(cell())
    assert question.text == "Sides are halved.\n\nWhat does attention cost?"
    assert question.options == ("4", "16, at least on paper")
    assert question.right == {1}
    why = ("that is what the *matrices* cost.", "all pairs of four times as many.")
    assert question.feedback == why
    assert question.remark == "Nothing else changes."


def test_a_question_may_have_two_right_options():
    text = QUESTION.replace("1. No", "1. Right")
    assert asked(cell(text)).right == {0, 1}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("**Predict.**", "Predict:", r"x-1: expected \*\*Predict\.\*\*, got none"),
        ("{dropdown} Answer", "{note}", "dropdown with the title Answer, got none"),
        ("- 16, at least\n  on paper\n", "", "as many lines .* got 1 and 2"),
        ("2. Right:", "2. Perhaps:", "got 2 and 1"),
        ("2. Right", "2. No", "expected a right option, got none"),
    ],
)
def test_a_question_without_a_part_is_refused(old, new, words):
    assert old in QUESTION
    with pytest.raises(ValueError, match=words):
        asked(cell(QUESTION.replace(old, new)))


def numeric(right="16"):
    return asked(cell(QUESTION.replace("16, at least\n  on paper", right)))


def test_a_right_number_is_computed_by_the_next_code_cell():
    ask = numeric("1,600")
    good = cell("print(n)", "code", ["computes"], "matrices 4, attention 1600 times\n")
    check_computed(ask, [*CELLS, good], ran=True)
    wrong = cell("print(n)", "code", ["computes"], "attention 160 or 16000 times\n")
    with pytest.raises(ValueError, match="the next cell to print 1600, got 'attention"):
        check_computed(ask, [*CELLS, wrong], ran=True)
    check_computed(ask, [cell("print(n)", "code", ["computes"])], ran=False)


@pytest.mark.parametrize("rest", [[], [cell("print(16)", "code", [], "16")]])
def test_a_number_that_nothing_computes_is_refused(rest):
    with pytest.raises(ValueError, match="tag `computes` that prints the right number"):
        check_computed(numeric(), rest, ran=True)


def test_a_misspelled_tag_is_refused():
    check_tags(cell(tags=["predict", "hide-input", "nbval-check-output"]), "vit")
    with pytest.raises(ValueError, match="vit, cell x-1: .* nbval, got 'slides'"):
        check_tags(cell(tags=["slides"]), "vit")


def finished(chapter):
    """What `make new` lays out says TODO where somebody has to write."""
    return not any("TODO" in words(c) for c in chapter.cells)


WRITTEN = [chapter for chapter in chapters() if finished(chapter)]


@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_every_chapter_has_what_a_class_needs(chapter):
    assert len(chapter.goals) in range(3, 6)
    assert len(chapter.exercises) in range(3, 6)
    assert any("esign" in exercise.kind for exercise in chapter.exercises)
    assert chapter.questions
    assert len(chapter.slides) in range(10, 22)
    assert chapter.slug not in chapter.needs


@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_a_main_path_is_short(chapter):
    assert 1000 < chapter.length <= 2800
    shown = [
        c for c in chapter.cells if "show" in tags(c) and "solution" not in tags(c)
    ]
    assert 5 < len(shown) <= 25


def test_folded_text_formulas_and_labels_are_no_words_to_read():
    chapter = copy.copy(WRITTEN[0])
    text = """(x-label)=
## Three words here

Of $a + b$ and {term}`two words <other>`, 12.5 %.

$$
x = y
$$ (eq-x)

:::{dropdown} Answer
Not this.
:::"""
    chapter.cells = [cell(text)]
    chapter.__dict__.pop("length", None)
    # Three words here Of x and two words 12.5
    assert chapter.length == 9


def test_two_exercises_of_one_number_are_refused():
    twice = {"cell_type": "markdown", "source": "**1. Predict.** ★ 2 minutes."}
    with pytest.raises(ValueError, match="the numbers 1, 2, 3, ..., got 1, 1"):
        exercises([twice, twice], "vit")
