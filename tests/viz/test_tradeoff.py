"""Figures of cost against quality: what is drawn, and what is refused."""

import re

import pytest

from mmdl_lib.viz.tradeoff import silhouettes, tradeoff

WORDS = {"title": "t", "alt": "the dearer, the better"}
AXES = {"xlabel": "cost", "ylabel": "score"}
NETS = {"small": [(1, 0.5), (10, 0.7)], "large": [(20, 0.8)]}


def drawn(*arguments, **options):
    return tradeoff(*arguments, **AXES, **WORDS, **options)._repr_html_()


def test_groups_names_and_words_are_shown():
    html = drawn(NETS, names={"small": ["A", "B"]})
    for text in ("cost", "score", "small", "large", ">A<", ">B<", WORDS["alt"]):
        assert text in html
    assert "<figcaption" in html and ">t</figcaption>" in html


def test_the_cost_is_logarithmic():
    html = drawn({"nets": [(1, 0.5), (10, 0.5), (100, 0.5)]}, kinds={"nets": "points"})
    marks = re.findall(r'transform="translate\(([\d.]+) ([\d.]+)\)"', html)
    places = sorted({float(x) for x, _ in marks})[-3:]
    assert places[2] - places[1] == pytest.approx(places[1] - places[0], abs=0.1)


@pytest.mark.parametrize(("kind", "markers"), [("line", 0), ("points", 2), ("both", 2)])
def test_the_kind_of_a_group_decides_about_its_markers(kind, markers):
    html = drawn({"nets": NETS["small"]}, kinds={"nets": kind})
    assert html.count("translate(") == markers
    lined = [p for p in re.findall(r'<path d="([^"]+)"', html) if p.count("L") == 1]
    # a line between the two nets is slanted, those of the grid are not
    slanted = 0
    for path in lined:
        x0, y0, x1, y1 = (float(n) for n in re.findall(r"-?[\d.]+", path))
        slanted += x0 != x1 and y0 != y1
    assert slanted == (kind != "points")


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        ({}, {}, "at least one group"),
        ({"a": [1, 2]}, {}, "rows .cost, score. in 'a', got shape"),
        ({"a": [(0, 1)]}, {}, "costs above zero in 'a', got 0"),
        ({"a": [(1, float("nan"))]}, {}, "finite rows"),
        ({"a": [(1, 1)]}, {"names": {"a": ["x", "y"]}}, "1 names in 'a', got 2"),
        ({"a": [(1, 1)]}, {"kinds": {"a": "bars"}}, "points, line or both, got 'bars'"),
    ],
)
def test_bad_input_is_named(groups, options, message):
    with pytest.raises(ValueError, match=message):
        drawn(groups, **options)


def test_a_figure_needs_a_text_for_those_who_cannot_see_it():
    with pytest.raises(ValueError, match="expected alt"):
        tradeoff(NETS, **AXES, title="t", alt=" ")
    with pytest.raises(ValueError, match="expected alt"):
        silhouettes({"net": (1, [1])}, title="t", alt=" ")


def rectangles(html):
    """(width, height) of all filled or framed rectangles, in the order drawn."""
    found = []
    for path in re.findall(r'<path d="M ([^"]+) z', html):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path)]
        if len(numbers) in (8, 10):
            xs, ys = numbers[::2], numbers[1::2]
            found.append((max(xs) - min(xs), max(ys) - min(ys)))
    return found


def test_silhouettes_show_resolution_width_and_depth():
    nets = {"a": (10, [1, 2]), "b": (20, [4, 2, 1])}
    html = silhouettes(nets, **WORDS)._repr_html_()
    assert ">a<" in html and ">b<" in html
    found = rectangles(html)[1:]  # the first is the ground
    assert len(found) == 2 + 2 + 3
    pictures = [found[0], found[3]]
    assert all(width == pytest.approx(height, rel=0.01) for width, height in pictures)
    assert pictures[1][0] == pytest.approx(2 * pictures[0][0], rel=0.01)
    bars = [width for width, _ in found[1:3] + found[4:]]
    assert [w / bars[0] for w in bars] == pytest.approx([1, 2, 4, 2, 1], rel=0.02)


def test_silhouettes_refuse_a_net_without_layers():
    with pytest.raises(ValueError, match="layers in each"):
        silhouettes({"a": (10, [])}, **WORDS)
