"""Plans of 45 and 90 minutes for a chapter, from its goals, slides and exercises."""

import re
from typing import NamedTuple

from classroom.chapters import Chapter, is_prose, on_deck, tags, words

LENGTHS = (45, 90)
CLOSING = 5  # minutes for the summary and for questions
ASKED, SHOWN = 3, 1.5  # how a question and a slide weigh: people vote and talk
PRACTICE = {45: 10, 90: 35}  # at most so many minutes of exercises
SECTION = re.compile(r"^(?:\((?P<label>[\w-]+)\)=\n)?## (?P<title>.+)$", re.M)


class Row(NamedTuple):
    """A part of a lesson."""

    minutes: int
    what: str  # Markdown
    section: str  # title of the section of the chapter


def plan(chapter: Chapter, length: int) -> list[Row]:
    """The rows of a lesson; their minutes sum up to its length.

    Raises:
        ValueError: more sections with slides than minutes.
    """
    exercises = practice(chapter, length)
    spent = CLOSING + sum(exercise.minutes for exercise in exercises)
    parts = sections(chapter)
    minutes = shares(length - spent, [weight for _, _, weight in parts])
    if min(minutes, default=1) < 1:
        raise ValueError(
            f"{chapter.slug}: expected at most {length - spent} sections with slides "
            f"for {length} minutes, got {len(parts)}."
        )
    both = zip(minutes, parts, strict=True)
    rows = [Row(m, what, title) for m, (title, what, _) in both]
    rows += [
        Row(
            e.minutes,
            f"Exercise {e.number}: {e.kind.lower()} {'★' * e.stars}",
            "Exercises",
        )
        for e in exercises
    ]
    return [*rows, Row(CLOSING, "The goals once more; questions.", "Summary")]


def practice(chapter: Chapter, length: int) -> list:
    """The first exercises that fit into the lesson."""
    chosen, left = [], PRACTICE[length]
    for exercise in chapter.exercises:
        if exercise.minutes > left:
            break
        chosen.append(exercise)
        left -= exercise.minutes
    return chosen


def sections(chapter: Chapter) -> list[tuple[str, str, float]]:
    """Title, what is shown and weight of each section that has slides."""
    found: list[list] = [["", [], 0.0]]
    for cell in chapter.cells[1:]:
        titles = SECTION.findall(words(cell)) if is_prose(cell) else []
        found += [[title, [], 0.0] for _, title in titles]
        if on_deck(cell):
            ask = "predict" in tags(cell)
            found[-1][1].append(ask)
            found[-1][2] += ASKED if ask else SHOWN
    return [
        (title, _says(asks), weight) for title, asks, weight in found if asks and title
    ]


def _says(asks: list[bool]) -> str:
    """So many slides, and to what the class predicts an answer."""
    count, questions = len(asks), sum(asks)
    text = f"{count} slide{'s' * (count > 1)}"
    if questions:
        text += f", with {questions} question{'s' * (questions > 1)} to vote on"
    return f"{text}."


def shares(total: int, weights: list[float]) -> list[int]:
    """Whole minutes in proportion to weights, by the largest remainder."""
    exact = [total * weight / sum(weights) for weight in weights]
    minutes = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: minutes[i] - exact[i])
    for i in order[: total - sum(minutes)]:
        minutes[i] += 1
    return minutes
