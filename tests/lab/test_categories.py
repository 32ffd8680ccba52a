"""Prompts by category: who is asked what, and what counts as right."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import HELD_OUT, to_float
from mmdl_lib.lab import categories as ca


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.setenv("MMDL_SMOKE", "1")


def pictures(scenes):
    return to_float(scenes.render())


@pytest.mark.parametrize("kind", ca.KINDS)
def test_prompts_ask_for_pairs_that_were_never_seen_only_where_they_say_so(kind):
    asked = ca.scenes(kind, 200, seed=1)
    pairs = {(t.color, t.shape) for things in asked.things() for t in things}
    new = kind.startswith("new")
    assert pairs <= set(HELD_OUT) if new else not pairs & set(HELD_OUT)
    assert {t.texture for things in asked.things() for t in things} == {"solid"}
    other = ca.scenes(kind, 200, seed=2)
    assert not torch.equal(asked.center, other.center)


def test_kinds_of_one_seed_are_different_scenes():
    found = {kind: ca.scenes(kind, 50, seed=3).seed for kind in ca.KINDS}
    assert len(set(found.values())) == len(ca.KINDS)
    more = {ca.scenes(kind, 50, seed=4).seed for kind in ca.KINDS}
    assert not more & set(found.values())


@pytest.mark.parametrize("name", ca.CATEGORIES)
def test_a_true_picture_is_right_in_every_category(name):
    kind, what = ca.CATEGORIES[name]
    asked = ca.scenes(kind, 60, seed=5)
    assert ca.share(pictures(asked), asked, what) > 0.95


def changed(asked, field, shift, sizes=None):
    """The scenes with another value in one field of all objects."""
    values = getattr(asked, field)
    names = {"color": 8, "shape": 8, "size": 3}[field] if sizes is None else sizes
    return replace(asked, **{field: (values + shift) % names})


@pytest.mark.parametrize(
    ("name", "field", "falls"),
    [
        ("color", "color", True),
        ("color", "shape", False),
        ("shape", "shape", True),
        ("shape", "color", False),
        ("color and shape", "color", True),
        ("color and shape", "shape", True),
        ("count of two", "color", False),
        ("relation of two", "color", True),
    ],
)
def test_a_category_is_judged_for_its_own_respect_alone(name, field, falls):
    kind, what = ca.CATEGORIES[name]
    asked = ca.scenes(kind, 60, seed=6)
    found = ca.share(pictures(changed(asked, field, 3)), asked, what)
    assert found < 0.05 if falls else found > 0.9


def test_a_size_is_judged_whatever_has_it():
    asked = ca.scenes("sized", 60, seed=7)
    other = changed(changed(asked, "color", 1), "shape", 1)
    assert ca.share(pictures(other), asked, "size") > 0.9
    # medium becomes large and large medium
    swapped = replace(asked, size=3 - asked.size)
    assert ca.share(pictures(swapped), asked, "size") < 0.1


def test_one_object_too_many_is_wrong_in_all_that_is_counted():
    two = ca.scenes("two", 60, seed=8)
    one = replace(two, count=torch.ones_like(two.count))
    for what in ("color", "shape", "thing", "size", "count"):
        assert ca.share(pictures(two), one, what) < 0.05
    assert ca.share(pictures(one), two, "relation") < 0.05


def test_two_objects_in_each_others_places_are_there_and_stand_wrong():
    asked = ca.scenes("two", 60, seed=9)
    center = asked.center[:, [1, 0, 2, 3]]
    swapped = replace(asked, center=center)
    assert ca.share(pictures(swapped), asked, "thing") > 0.9
    assert ca.share(pictures(swapped), asked, "relation") < 0.1


def test_the_program_that_draws_is_right_also_in_sixteen_pixels():
    found = ca.scored(ca.program, 1, n=64)
    assert list(found) == list(ca.ONE)
    assert min(found.values()) > 0.95


def test_categories_of_one_kind_share_their_pictures(smoke):
    asked = []

    def draw(scenes, seed):
        asked.append(len(scenes))
        return pictures(scenes)

    found = ca.scored(draw, 1, n=8, names=tuple(ca.CATEGORIES))
    assert len(asked) == len(ca.KINDS) and set(found) == set(ca.CATEGORIES)


def test_three_objects_are_asked_for_without_sizes(monkeypatch):
    said = []

    def drawn(draw, texts):
        said.extend(texts)
        return torch.zeros(len(texts), 3, 32, 32)

    monkeypatch.setattr(ca.fo, "drawn", drawn)
    ca.hour(ca.scenes("three", 8, seed=1), 0)
    assert all(Counter(text.split())["and"] == 2 for text in said)
    assert not any(size in text.split() for text in said for size in shapes.SIZES)
    said.clear()
    ca.hour(ca.scenes("sized", 8, seed=1), 0)
    assert all("medium" in text or "large" in text for text in said)


@pytest.mark.parametrize("name", ca.DRAWS)
def test_each_generator_draws_the_asked_color_more_often_than_by_chance(name):
    asked = ca.scenes("one", 16, seed=11)
    image = ca.DRAWS[name](asked, 0)
    assert image.shape == (16, 3, 32, 32) and image.abs().max() <= 1.001
    assert torch.equal(image, ca.DRAWS[name](asked, 0))
    assert ca.share(image, asked, "color") > 0.4
