"""Kinds of failures: hand-made scenes of each, and how often chance would give one."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from mmdl_lib.data.shapes import COLORS, SHAPES, to_float
from mmdl_lib.lab import failures as fa


class Told(NamedTuple):
    """An object in two words."""

    color: str
    shape: str


def things(text):
    """Such as "red circle, blue star"."""
    return [Told(*one.split()) for one in text.split(", ") if one]


TWO, THREE = "red circle, blue star", "red circle, blue star, green cross"
CASES = [
    ("right", TWO, "red circle, blue star"),
    ("right", TWO, "blue star, red circle"),
    ("empty", TWO, ""),
    ("omitted", TWO, "red circle"),
    ("omitted", TWO, "pink heart"),
    ("added", TWO, "red circle, blue star, blue star"),
    ("swapped", TWO, "blue circle, red star"),
    ("color bled", TWO, "blue circle, blue star"),
    ("color bled", TWO, "red star, red circle"),
    ("color of neither", TWO, "pink circle, blue star"),
    ("color of neither", TWO, "blue circle, pink star"),
    ("shape blended", TWO, "red star, blue star"),
    ("shape of neither", TWO, "red heart, blue star"),
    ("twice the same", TWO, "blue star, blue star"),
    ("several", TWO, "blue circle, blue circle"),
    ("several", TWO, "pink heart, blue star"),
    ("right", THREE, "green cross, blue star, red circle"),
    ("swapped", THREE, "blue circle, green star, red cross"),
    ("color bled", THREE, "red circle, blue star, blue cross"),
    ("color of neither", THREE, "red circle, blue cross, pink star"),
    ("shape blended", THREE, "red circle, blue star, green star"),
    ("twice the same", THREE, "red circle, blue star, blue star"),
    ("omitted", THREE, "red circle, blue star"),
]


@pytest.mark.parametrize(("found", "asked", "seen"), CASES)
def test_a_picture_is_of_the_first_kind_that_fits(found, asked, seen):
    assert fa.kind(things(seen), things(asked)) == found


def test_every_kind_has_a_case():
    assert {case[0] for case in CASES} == set(fa.KINDS)


@pytest.mark.parametrize(
    ("seen", "rows"),
    [
        ("blue circle, blue star", [("color", "blue", True)]),
        ("pink circle, blue star", [("color", "pink", False)]),
        ("blue circle, pink star", [("color", "blue", True), ("color", "pink", False)]),
        ("red star, blue star", [("shape", "star", True)]),
        ("red heart, blue star", [("shape", "heart", False)]),
        ("red circle, blue star", []),
        ("blue circle, red star", []),
        ("blue star, blue star", []),
        ("pink circle", []),
    ],
)
def test_what_is_wrong_is_another_objects_or_nobodys(seen, rows):
    assert [tuple(row) for row in fa.wrong(things(seen), things(TWO))] == rows


@pytest.mark.parametrize("of", ["two", "three"])
def test_prompts_ask_for_objects_that_differ_in_both(of):
    asked = fa.prompts(of, 40, seed=1)
    assert len(asked) == 40
    for row in asked.things():
        assert len({t.color for t in row}) == len({t.shape for t in row}) == len(row)


def changed(asked, field, values):
    """The scenes with other values in one field of the first object."""
    new = getattr(asked, field).clone()
    new[:, 0] = values
    return replace(asked, **{field: new})


def counted(scenes, asked):
    return fa.counted(to_float(scenes.render()), asked)


def kinds(found):
    # where two objects of one color touch, the reader sees one
    return {name for name, share in found["kinds"].items() if share > 0.75}


def test_drawn_failures_are_read_as_what_they_are():
    asked = fa.prompts("two", 40, seed=2)
    assert kinds(counted(asked, asked)) == {"right"}
    for part, name in (("color", "color bled"), ("shape", "shape blended")):
        found = counted(fa.mixed(asked, part), asked)
        assert kinds(found) == {name} and found[part]["share"] == 1
    crossed = replace(asked, color=asked.color[:, [1, 0, 2, 3]])
    assert kinds(counted(crossed, asked)) == {"swapped"}
    one = replace(asked, count=torch.ones_like(asked.count))
    assert kinds(counted(one, asked)) == {"omitted"}
    assert kinds(counted(asked, one)) == {"added"}


@pytest.mark.parametrize("part", ["color", "shape"])
def test_a_blind_error_is_the_others_as_often_as_chance_says(part):
    asked = fa.prompts("two", 400, seed=3)
    shift = torch.arange(400) % 7 + 1  # each wrong value equally often
    values = (getattr(asked, part)[:, 0] + shift) % 8
    found = counted(changed(asked, part, values), asked)[part]
    assert found["wrong"] > 360
    assert found["chance"] == pytest.approx(1 / 7)
    assert found["share"] == pytest.approx(found["chance"], abs=0.06)


def test_chance_counts_the_others_of_three():
    asked = fa.prompts("three", 20, seed=4)
    found = counted(asked, asked)["color"]
    assert found["chance"] == pytest.approx(2 / 7)
    assert found["wrong"] == 0 and found["share"] is None


def test_kinds_of_a_batch_add_up():
    asked = fa.prompts("two", 30, seed=5)
    found = counted(asked, fa.prompts("two", 30, seed=6))
    assert found["pictures"] == 30
    assert sum(found["kinds"].values()) == pytest.approx(1)
    assert list(found["kinds"]) == list(fa.KINDS)
    assert Counter(found["kinds"]).most_common(1)[0][0] == "several"


def test_words_of_the_cases_are_the_worlds():
    told = [t for _, asked, seen in CASES for t in things(asked) + things(seen)]
    assert {t.color for t in told} <= set(COLORS)
    assert {t.shape for t in told} <= set(SHAPES)
