import re

import pytest

from mmdl_lib import viz

LAYERS = {"inner": ["a", "b", "c"], "outer": ["d", "e"]}
WORDS = {"title": "Two rings", "alt": "Three points inside two."}


def test_every_ring_every_line_and_the_chosen_names_are_drawn():
    drawn = viz.rings(LAYERS, [("a", "d"), ("b", "e")], named=["b"], **WORDS).body
    said = re.findall(r"<text[^>]*>([^<]+)</text>", drawn)
    assert sorted(said) == ["b", "inner", "outer"]
    bare = viz.rings(LAYERS, [], **WORDS).body
    assert (
        drawn.count("<path") - bare.count("<path") == 2 + 1
    )  # lines and a large point
    assert 'aria-label="Three points inside two."' in drawn


def test_named_points_are_spread_over_their_ring():
    ring = [*"abcdefgh"]
    from mmdl_lib.viz.rings import _spread

    assert _spread(ring, {"a", "b"}) == [*"acdebfgh"]
    assert _spread(ring, set()) == ring
    assert sorted(_spread(ring, set(ring))) == ring


@pytest.mark.parametrize(
    "layers, edges, named, words",
    [
        ({}, [], [], "one to three layers, got 0"),
        ({str(i): [str(i)] for i in range(4)}, [], [], "got 4"),
        ({"x": ["a"], "y": ["a"]}, [], [], "one in two"),
        (LAYERS, [("a", "z")], [], "'z'"),
        (LAYERS, [], ["z"], "'z'"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(layers, edges, named, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        viz.rings(layers, edges, named=named, **WORDS)
