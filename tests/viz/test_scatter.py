"""Points in a plane: what is drawn, and what is refused."""

import re

import pytest
import torch

from mmdl_lib.viz.scatter import scatter

WORDS = {"xlabel": "x", "ylabel": "y", "title": "A title", "alt": "Some points."}


def body(*args, **more):
    return scatter(*args, **WORDS, **more)._repr_html_()


def marks(text, color):
    return len(re.findall(rf'<path [^>]*style="[^"]*fill: {color}', text))


def test_each_point_is_drawn_in_the_color_of_its_group():
    text = body({"a": torch.zeros(5, 2), "b": torch.ones(3, 2)})
    # the legend shows one more of each
    assert marks(text, "#2f86d6") == 6 and marks(text, "#d8650b") == 4
    assert 'aria-label="Some points."' in text and "<figcaption" in text


def test_points_beyond_the_limits_are_left_out():
    rows = torch.tensor([[0.0, 0], [2, 0], [0, -3]])
    assert marks(body({"a": rows}, limits=(-1, 1)), "#2f86d6") == 1
    assert marks(body({"a": rows}), "#2f86d6") == 3


def test_both_axes_have_one_scale():
    square = torch.tensor([[0.0, 0], [10, 0], [0, 1]])
    text = body({"a": square}, lines={"l": square})
    path = re.search(r'<path d="M ([\d.]+) ([\d.]+) L ([\d.]+)[^"]+"[^>]*#7a7f87', text)
    across = float(path.group(3)) - float(path.group(1))
    down = re.findall(r"L ([\d.]+) ([\d.]+)", path.group(0))[-1]
    up = float(path.group(2)) - float(down[1])
    assert across == pytest.approx(10 * up, rel=0.02)


def test_bad_points_are_named():
    with pytest.raises(ValueError, match="at least one group"):
        body({})
    with pytest.raises(ValueError, match=r"'a', got shape \(4, 3\)"):
        body({"a": torch.zeros(4, 3)})
    with pytest.raises(ValueError, match="finite points"):
        body({"a": torch.full((2, 2), torch.nan)})
    with pytest.raises(ValueError, match="alt"):
        scatter({"a": torch.zeros(1, 2)}, **WORDS | {"alt": " "})


def test_each_point_may_have_its_word_beside_it():
    groups = {"a": torch.tensor([[0.0, 0], [1, 1]]), "b": torch.zeros(1, 2)}
    text = body(groups, names={"a": ["king", "queen"]})
    assert text.count(">king</text>") == text.count(">queen</text>") == 1
    for names in ({"a": ["king"]}, {"c": ["king"]}):
        with pytest.raises(ValueError, match="expected . names of '.', got 1"):
            body(groups, names=names)
