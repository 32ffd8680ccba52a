"""The hero figure: what is drawn, what is refused."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from mmdl_lib import viz
from mmdl_lib.viz.look import PALETTE, WIDTH

WORDS = {"title": "A title", "alt": "What it shows."}
BOXES = {"a": (0, 0, ""), "b": (2, 0, "")}


def drawn(parts, arrows=(), **options):
    html = viz.schema(parts, arrows, **WORDS, **options)._repr_html_()
    return BeautifulSoup(html, "html.parser")


def shown(figure):
    """The pictures of a figure as arrays, and their widths on the page; each stands
    upright."""
    found = []
    for image in figure.find_all("image"):
        data = base64.b64decode(image["href"].partition(",")[2])
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        matrix = re.search(r"matrix\((.*)\)", image["transform"])[1]
        across, _, _, down, _, _ = (float(x) for x in re.split("[ ,]+", matrix))
        assert down > 0
        found.append((pixels, across * float(image["width"])))
    return found


def words(figure):
    return [text.get_text() for text in figure.find_all("text")]


def place(figure, said):
    """Where the text stands, in units of the figure."""
    text = next(t for t in figure.find_all("text") if t.get_text() == said)
    if text.has_attr("x"):
        return float(text["x"]), float(text["y"])
    x, y = re.search(r"translate\(([-\d.]+) ([-\d.]+)\)", text["transform"]).groups()
    return float(x), float(y)


def tip(figure):
    """Where the head of the last arrow begins, along the width."""
    return float(re.match(r"M ([\d.]+)", figure.find_all("path")[-1]["d"])[1])


def marked(figure, color, attribute="stroke"):
    """How many shapes carry a color of the palette."""
    return len(re.findall(rf"{attribute}: {color}", str(figure)))


def test_a_picture_is_shown_with_its_own_pixels_and_the_asked_width():
    picture = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    ((pixels, width),) = shown(drawn({"x": (0, 0, picture, "x", 1.5)}, column=0.8))
    assert np.array_equal(pixels, picture.permute(1, 2, 0).numpy())
    assert width == pytest.approx(1.5 * 0.8 * 72, rel=1e-3)


def test_floats_of_a_picture_end_at_black_and_white():
    picture = torch.tensor([-1.0, 1.0]).repeat(3, 2, 1)
    ((pixels, _),) = shown(drawn({"x": (0, 0, picture)}))
    assert pixels[0, :, 0].tolist() == [0, 255]


def test_a_large_photograph_is_made_smaller_and_keeps_its_shape():
    ((pixels, _),) = shown(drawn({"x": (0, 0, torch.zeros(3, 300, 600))}))
    assert pixels.shape == (64, 128, 3)


def test_patches_keep_their_places():
    shades = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    patches = shades[:, :, None, None, None].expand(2, 3, 3, 4, 4) * 40
    found = shown(drawn({"p": (0, 0, patches, "", 1.5)}))
    assert [pixels[0, 0, 0] for pixels, _ in found] == [0, 40, 80, 120, 160, 200]
    # a third of the width each, without a little gap
    assert all(0.8 < width / (0.5 * 72) < 1 for _, width in found)


def test_cells_are_blue_above_zero_and_orange_below_and_stronger_when_larger():
    figure = drawn({"m": (0, 0, torch.tensor([[1.0, 0.5], [-1.0, 0.0]]))})
    assert marked(figure, PALETTE[0], "fill") == 3
    assert marked(figure, PALETTE[1], "fill") == 1
    fills = re.findall(rf"fill: {PALETTE[0]}; opacity: ([\d.]+)", str(figure))
    fills = fills or re.findall(r"fill-opacity: ([\d.]+)", str(figure))
    assert float(fills[0]) > float(fills[1])


def test_only_wide_cells_show_their_number():
    table = torch.tensor([[0.25, -0.5]])
    assert words(drawn({"m": (0, 0, table, "", 1.0)})) == ["0.25", "−0.5"]
    assert words(drawn({"m": (0, 0, table, "", 0.5)})) == []


def test_a_vector_is_a_column_of_cells():
    figure = drawn({"v": (0, 0, torch.ones(5))})
    assert marked(figure, PALETTE[0], "fill") == 5
    box = [float(x) for x in figure.svg["viewbox"].split()]
    assert box[3] == pytest.approx((5 * 0.2 + 0.24) * 72, abs=0.5)


def test_a_label_stands_below_its_part():
    figure = drawn({"x": (0, 0, torch.zeros(3, 4, 4), "below"), "y": (1, 0, "beside")})
    assert place(figure, "below")[1] > place(figure, "beside")[1] + 20


def test_a_box_without_words_shows_its_name():
    assert words(drawn(BOXES)) == ["a", "b"]


def test_an_arrow_points_from_the_first_to_the_second_and_says_its_words():
    there = drawn(BOXES, [("a", "b", 0, "t")])
    left, right = place(there, "a")[0], place(there, "b")[0]
    assert right - left == pytest.approx(2 * 72, abs=1)
    assert tip(there) == pytest.approx(right, abs=30)
    assert tip(drawn(BOXES, [("b", "a")])) == pytest.approx(left, abs=30)
    assert left < place(there, "t")[0] < right
    assert place(there, "t")[1] < place(there, "a")[1]


def test_only_a_dashed_arrow_is_dashed():
    plain = drawn(BOXES, [("a", "b")])
    dashed = drawn(BOXES, [("a", "b", 0, "", "dashed")])
    assert "stroke-dasharray" not in str(plain)
    assert "stroke-dasharray" in str(dashed)


def test_a_group_carries_its_title_and_can_be_pointed_at():
    groups, colors = {"both": ["a"]}, {"both": 1}
    parts = BOXES | {"c": (0, 2, "")}
    figure = drawn(parts, [("c", "both")], groups=groups, colors=colors)
    assert "both" in words(figure)
    assert place(figure, "both")[1] < place(figure, "a")[1]
    assert marked(figure, PALETTE[1]) >= 1


def test_a_colored_box_has_a_line_of_that_color():
    assert marked(drawn(BOXES, colors={"a": 2}), PALETTE[2]) == 1
    assert marked(drawn(BOXES), PALETTE[2]) == 0


def test_the_figure_is_as_wide_as_a_phone_and_as_high_as_its_parts():
    low = drawn(BOXES).svg["viewbox"].split()
    high = drawn(BOXES | {"c": (0, 3, "")}, row=0.5).svg["viewbox"].split()
    assert float(low[2]) == float(high[2]) == pytest.approx(WIDTH * 72, abs=0.1)
    assert float(high[3]) - float(low[3]) == pytest.approx(3 * 0.5 * 72, abs=0.2)


def test_what_is_shown_takes_the_color_of_the_text_and_has_words_for_the_blind():
    figure = drawn(BOXES, [("a", "b", 0, "t")])
    assert figure.svg["aria-label"] == "What it shows."
    assert figure.figure["class"] == ["mmdl-figure", "mmdl-schema"]
    assert "#010203" not in str(figure) and "currentColor" in str(figure)


@pytest.mark.parametrize(
    ("parts", "arrows", "options", "complaint"),
    [
        ({}, [], {}, "at least one part, got none"),
        (BOXES, [("a", "c")], {}, "one of a, b, got c"),
        (BOXES, [("a",)], {}, "expected arrows"),
        (BOXES, [("a", "b", 0, "t", "dotted")], {}, "expected arrows"),
        (BOXES, [], {"groups": {"g": ["c"]}}, "one of a, b, g, got c"),
        (BOXES, [], {"groups": {"g": []}}, "at least one part in 'g', got none"),
        (BOXES, [], {"colors": {"c": 1}}, "one of a, b, got c"),
        (BOXES, [], {"colors": {"a": 7}}, "a color from 0 to 6 for 'a', got 7"),
        ({"x": (0, 0, torch.zeros(4, 8, 8))}, [], {}, r"in 'x', got \(4, 8, 8\)"),
        ({"x": (0, 0, torch.zeros(()))}, [], {}, "in 'x', got"),
        ({"x": (0, 0, torch.zeros(0, 3))}, [], {}, r"in 'x', got \(0, 3\)"),
        ({"x": (0, 0, 3.0)}, [], {}, "in 'x', got float"),
        ({"x": (0,)}, [], {}, r"'x' as \(x, y, content, label, width\)"),
        ({"x": (0, 0, torch.ones(2) / 0)}, [], {}, "finite numbers in 'x'"),
        (BOXES | {"c": (0.1, 0, "")}, [], {}, "'a' and 'c' overlapping"),
        (BOXES | {"c": (9, 0, "")}, [], {}, "at most 5.4 inches"),
        (
            BOXES | {"c": (1, 0, "")},
            [],
            {"groups": {"g": ["a", "b"]}},
            "'g' and 'c' overlapping",
        ),
        (
            {"a": (0, 0, ""), "b": (0, 0.7, "")},
            [("a", "b", 3.0, "words that reach another part"), ("b", "a", 0, "w" * 80)],
            {},
            "at most 5.4 inches",
        ),
    ],
)
def test_a_figure_that_cannot_be_read_is_refused(parts, arrows, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        viz.schema(parts, arrows, **WORDS, **options)


def test_words_of_an_arrow_over_a_part_are_refused():
    parts = {"a": (0, 0, ""), "b": (0, 1.2, ""), "c": (0.35, 0.6, "")}
    with pytest.raises(ValueError, match="'long, from a to b' overlapping"):
        viz.schema(parts, [("a", "b", 0, "long")], **WORDS)


def test_a_figure_without_words_for_the_blind_is_refused():
    with pytest.raises(ValueError, match="expected alt"):
        viz.schema(BOXES, title="t", alt=" ")
