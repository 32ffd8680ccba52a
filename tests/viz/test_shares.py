"""Shares on a stretched axis: where dots lie, which are marked, what is refused."""

import re

import pytest

from mmdl_lib import viz
from mmdl_lib.viz import look

WORDS = {"xlabel": "share right", "title": "A title", "alt": "Some shares."}
VALUES = {"all": 1.0, "ours": (0.25, 0.16, 0.36), "a name of more than a line": 0.0}
LINE = re.compile(r'd="M ([\d.]+) \S+ L ([\d.]+) [^>]*stroke-width: 2')


def body(values=VALUES, **more):
    return viz.shares(values, **WORDS, **more)._repr_html_()


def dots(text, color=look.PALETTE[0]):
    """Places of the dots, from above."""
    pattern = rf'transform="translate\(([\d.]+) ([\d.]+)\)" style="fill: {color}'
    return [(float(x), float(y)) for x, y in re.findall(pattern, text)]


def test_a_share_lies_where_its_square_root_does():
    (one, _), (half, _), (zero, _) = dots(body())
    assert half - zero == pytest.approx((one - zero) / 2, abs=0.05)
    low, high = map(float, LINE.search(body()).groups())
    assert low - zero == pytest.approx(0.4 * (one - zero), abs=0.05)
    assert high - zero == pytest.approx(0.6 * (one - zero), abs=0.05)


def test_only_a_range_is_a_line():
    lines = [LINE.findall(body({"a": v})) for v in (0.3, (0.3, 0.2, 0.3))]
    assert [len(found) for found in lines] == [0, 1]


def test_what_is_marked_differs_by_color_by_form_and_by_its_bold_name():
    text = body(marked=["ours"])
    assert len(dots(text)) == 2 and len(dots(text, look.PALETTE[1])) == 1
    bold = re.findall(r"<text[^>]*font-weight: (?:700|bold)[^>]*>([^<]+)<", text)
    assert bold == ["ours", "0.25"]
    forms = re.findall(r'<path d="([^"]+)" transform="translate[^>]*fill: #', text)
    assert len(forms) == 3 and forms[0] == forms[2] != forms[1]


def test_names_stand_whole_in_short_lines_each_beside_its_dot():
    text = body()
    said = re.findall(r">([^<>]+)</text>", text)
    assert {"a name of more than", "a line", "all", "ours"} <= set(said)
    heights = [y for _, y in dots(text)]
    assert heights == sorted(heights)
    assert heights[2] - heights[1] > 1.2 * (heights[1] - heights[0])  # two lines


def test_the_figure_is_fit_for_a_page():
    text = body(marked=["ours"])
    sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", text)]
    assert min(sizes) >= 10 and "currentColor" in text and look.INK not in text
    assert float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1]) <= 390
    assert 'aria-label="Some shares."' in text and "A title</figcaption>" in text
    for forbidden in ("<style", " id=", "url(#", "<use", "#000000"):
        assert forbidden not in text


@pytest.mark.parametrize(
    ("values", "more", "sentence"),
    [
        ({}, {}, "at least one value"),
        ({"a": 1.1}, {}, "a share from 0 to 1 .* for 'a'"),
        ({"a": -0.1}, {}, "a share from 0 to 1"),
        ({"a": (0.5, 0.6, 0.7)}, {}, "a share from 0 to 1"),
        ({"a": (0.1, 0.2)}, {}, "a share from 0 to 1"),
        ({"a": float("nan")}, {}, "a share from 0 to 1"),
        ({"a": "x"}, {}, "expected numbers in the share of 'a'"),
        ({"a": 1}, {"marked": ["b"]}, r"marked names of \['a'\], got \{'b'\}"),
    ],
)
def test_other_values_are_refused_in_one_sentence(values, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        body(values, **more)


def test_no_figure_without_its_alternative():
    with pytest.raises(ValueError, match="expected alt"):
        viz.shares({"a": 1}, **WORDS | {"alt": " "})
