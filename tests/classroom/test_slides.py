"""What stands on a slide, what in the notes, and which slides are refused."""

import copy

import pytest
from classroom import slides
from classroom.chapters import Page
from test_chapters import QUESTION, WRITTEN, cell

OUTPUT = {"output_type": "display_data", "metadata": {}}
FIGURE = OUTPUT | {"data": {"text/html": "<figure><svg></svg></figure>"}}


class Chapter:
    """As much of a chapter as a deck needs."""

    slug, goals = "vit", ["count {term}`tokens <token>`;"]
    page = Page("2.2.6", "ViT", "notebooks/vit")

    def __init__(self, *cells):
        title = cell("(sec-vit)=\n# 2.2.6 ViT\n\nA promise. More.", tags=["slide"])
        self.cells = [title, *cells]
        self.slides = [c for c in cells if "slide" in c["metadata"]["tags"]]


def texts(*cells):
    return ["".join(c["source"]) for c in slides.deck(Chapter(*cells))["cells"]]


def test_a_deck_begins_with_title_promise_and_goals():
    title, goals, *_ = texts(cell("## Why", tags=["slide"]))
    assert title == "# 2.2.6 ViT\n\nA promise."
    assert goals == "# You will be able to\n\n- count tokens;"


def test_prose_behind_a_slide_is_in_its_notes_up_to_the_next_heading():
    *_, first, notes = texts(
        cell("(vit-why)=\n## Why\nSee {eq}`eq-1`.", tags=["slide"]),
        cell("Said aloud, with {ref}`a place <vit-why>`.", tags=[]),
        cell("## Elsewhere\nNot in the deck.", tags=[]),
        cell("Neither is this.", tags=[]),
    )
    assert first == "# Why\n\nSee the equation."
    assert notes == ":::::{revealjs-notes}\nSaid aloud, with a place.\n:::::"


def test_what_the_author_wrote_stands_on_the_slide_and_the_cell_in_the_notes():
    long = cell("## Why\nA long story.", tags=["slide"])
    long["metadata"]["mmdl"] = {"slide": "- short"}
    *_, first, notes = texts(long)
    assert first == "# Why\n\n- short"
    assert "A long story." in notes


def test_a_question_shows_its_options_and_hides_its_answer():
    *_, text = texts(cell(QUESTION, tags=["slide", "predict"]))
    shown, hidden = text.split(":::{revealjs-fragments}")
    assert "1. 4\n2. 16, at least on paper" in shown
    assert "all pairs" not in shown
    hidden, notes = hidden.split("{revealjs-notes}")
    assert "**2 is right**: all pairs of four times as many." in hidden
    assert "that is what the *matrices* cost." in notes
    assert "that is what the *matrices* cost." not in hidden


@pytest.mark.parametrize(
    ("tags", "outputs", "hidden"),
    [
        (["slide", "show"], [], False),
        (["slide"], [], True),
        (["slide", "show"], [FIGURE], True),
    ],
)
def test_code_is_shown_where_the_page_shows_it_and_nothing_is_drawn(
    tags, outputs, hidden
):
    code = cell("fit(model)", "code", tags) | {"outputs": copy.deepcopy(outputs)}
    *_, last = slides.deck(Chapter(code))["cells"]
    assert ("remove-input" in last["metadata"]["tags"]) == hidden


def test_a_deck_cites_entries_of_its_own():
    *_, first, papers = texts(cell("By {cite:p}`one2020, two2021`.", tags=["slide"]))
    assert first.endswith("By {cite:p}`vit-one2020,vit-two2021`.")
    assert ":keyprefix: vit-\n" in papers


def test_a_chapter_without_slides_is_refused():
    with pytest.raises(ValueError, match="vit: expected cells with the tag slide"):
        slides.deck(Chapter(cell("Prose.", tags=[])))


@pytest.mark.parametrize("chapter", WRITTEN, ids=[c.slug for c in WRITTEN])
def test_no_reference_of_a_deck_leads_nowhere(chapter):
    for made in slides.deck(chapter)["cells"]:
        text = "".join(made["source"])
        for role in ("{term}", "{doc}", "{ref}", "{eq}", "(eq-"):
            assert role not in text
