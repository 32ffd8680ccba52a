"""Figures: alternatives, colors, ids, sizes, and errors in one sentence."""

import re
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
import torch

from mmdl_lib import viz
from mmdl_lib.core import generator
from mmdl_lib.viz import look

WORDS = {"title": "A title & more", "alt": 'What it "shows" <here>'}
AXES = {"xlabel": "step", "ylabel": "loss"}


def pictures(n=6, size=32):
    return torch.randint(0, 256, (n, 3, size, size), generator=generator(0)).byte()


def figures():
    noise = torch.randn(6, 6, generator=generator(1))
    names = [f"name {i}" for i in range(6)]
    bands = {"ours": ([1, 2, 3, 4], [0, 1, 2, 3], [2, 3, 4, 5]), "chance": [1] * 4}
    # smooth pictures: noise does not compress
    smooth = (
        (pictures() // 64 * 64).float().mean(0, keepdim=True).byte().repeat(6, 1, 1, 1)
    )
    return {
        "images": viz.images(smooth, labels=names, **WORDS),
        "curve": viz.curve(range(3000), {"a": torch.rand(3000)}, **AXES, **WORDS),
        "bands": viz.curve([1, 10, 100, 1000], bands, logx=True, **AXES, **WORDS),
        "bars": viz.bars({"a": 1, "b": (2, 1, 3)}, baseline={"chance": 0.5}, **WORDS),
        "heat": viz.heat(noise, rows=names, columns=names, **WORDS),
        "scale": viz.heat(noise, rows=None, columns=None, values=False, **WORDS),
    }


@pytest.fixture(scope="module")
def drawn():
    return figures()


KINDS = ["images", "curve", "bands", "bars", "heat", "scale"]
SVG = KINDS[1:]


class Tags(HTMLParser):
    VOID = ("img", "br", "input", "image", "path", "rect", "use", "circle", "line")

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_has_its_alternative_and_a_visible_title(drawn, kind):
    page = drawn[kind]._repr_html_()
    tags = Tags(page).found
    assert tags[0][0] == "figure"
    named = [attrs for _, attrs in tags if attrs.get("role") == "img"]
    assert [attrs["aria-label"] for attrs in named] == [WORDS["alt"]]
    assert "A title &amp; more</figcaption>" in page
    assert repr(drawn[kind]) == WORDS["title"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_is_small_and_leaves_no_trace_on_its_page(drawn, kind):
    page = drawn[kind]._repr_html_()
    assert len(page.encode()) < 60_000
    for forbidden in ("<style", "<script", " id=", "url(#", "<use", "http", "<?xml"):
        assert forbidden not in page, forbidden


@pytest.mark.parametrize("kind", SVG)
def test_ink_takes_the_color_of_the_text_around(drawn, kind):
    page = drawn[kind]._repr_html_()
    assert "currentColor" in page
    assert look.INK not in page
    assert not re.search(r"#000(000)?\b|\bblack\b|#ffffff;? fill-opacity: 1", page)
    assert "font-family: " not in page


@pytest.mark.parametrize("kind", SVG)
def test_text_stays_text_and_is_not_tiny(drawn, kind):
    page = drawn[kind]._repr_html_()
    sizes = [float(s) for s in re.findall(r"font-size: ([\d.]+)px", page)]
    assert min(sizes) >= 10
    # a phone shows 358 pixels of width beside the margins
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', page).group(1))
    assert width <= 390


def contrast(color, ground):
    one, two = sorted(
        look.luminance(matplotlib.colors.to_rgb(c)) for c in (color, ground)
    )
    return (two + 0.05) / (one + 0.05)


@pytest.mark.parametrize("color", look.PALETTE)
@pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
def test_the_palette_reads_on_light_and_dark(color, ground):
    assert contrast(color, ground) >= 3


def test_numbers_in_cells_read_on_every_color():
    for place in np.linspace(0, 1, 33):
        ground = matplotlib.colormaps["viridis"](place)[:3]
        dark = look.luminance(ground) > 0.19
        assert contrast(look.CELL_INKS[0 if dark else 1], ground) >= 4.3


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        before = dict(matplotlib.rcParams)
        figures()
        assert dict(matplotlib.rcParams) == before


def test_the_same_figure_is_drawn_in_the_same_bytes():
    one, two = (viz.bars({"a": 1.0}, **WORDS)._repr_html_() for _ in range(2))
    assert one == two


@pytest.mark.parametrize("alt", ["", "  "])
def test_every_figure_demands_an_alternative(alt):
    words = {"title": "Losses", "alt": alt}
    for make in (
        lambda: viz.images(pictures(), **words),
        lambda: viz.curve([1, 2], {"a": [1, 2]}, **AXES, **words),
        lambda: viz.bars({"a": 1}, **words),
        lambda: viz.heat([[1]], rows=None, columns=None, **words),
    ):
        with pytest.raises(ValueError, match="'Losses' expected alt, a sentence"):
            make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: viz.images(torch.zeros(3, 8, 8), **WORDS), r"\(b, 3, h, w\), got \(3"),
        (lambda: viz.images(torch.full((1, 3, 8, 8), 7.0), **WORDS), r"\[-1, 1\]"),
        (lambda: viz.images(pictures(2), labels=["a"], **WORDS), "2 labels.*got 1"),
        (lambda: viz.images(pictures(0), **WORDS), "at least one picture"),
        (lambda: viz.curve([1, 2], {"a": [1]}, **AXES, **WORDS), "2 values.*got 1"),
        (lambda: viz.curve([1, 2], {}, **AXES, **WORDS), "at least one series"),
        (lambda: viz.curve([0, 1], {"a": [1, 2]}, logx=True, **AXES, **WORDS), "above"),
        (lambda: viz.bars({"a": (1, 2, 3)}, **WORDS), r"\(value, low, high\) for 'a'"),
        (lambda: viz.bars({"a": "x"}, **WORDS), "expected numbers in the value of 'a'"),
        (lambda: viz.bars({"a": float("nan")}, **WORDS), "a finite number or"),
        (
            lambda: viz.curve([1, 2], {"a": [1, 2]}, limits=(0, 1), **AXES, **WORDS),
            "limits that hold all values, from 1 to 2",
        ),
        (lambda: viz.bars({}, **WORDS), "at least one value"),
        (
            lambda: viz.heat([1], rows=None, columns=None, **WORDS),
            r"\(n, m\), got shape",
        ),
        (lambda: viz.heat([[1]], rows=["a", "b"], columns=None, **WORDS), "1 names"),
        (lambda: viz.table([], caption="x"), "at least one row"),
        (lambda: viz.table([{"a": 1}], caption=" "), "a caption, got an empty"),
        (lambda: viz.source(), "got none"),
        (lambda: viz.source(3), "written in Python, got 3"),
        (lambda: viz.source(len), "written in Python, got <built-in"),
    ],
)
def test_wrong_input_is_answered_in_one_sentence(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_floats_and_bytes_show_the_same_pictures():
    pixels = pictures()
    floats = pixels.float() / 127.5 - 1
    assert (
        viz.images(pixels, **WORDS)._repr_html_()
        == viz.images(floats, **WORDS)._repr_html_()
    )


def test_pixels_of_small_pictures_stay_sharp():
    assert "pixelated" in viz.images(pictures(1), **WORDS)._repr_html_()
    assert "pixelated" not in viz.images(pictures(1, 65), **WORDS)._repr_html_()


def test_labels_are_escaped():
    page = viz.images(pictures(1), labels=["<b>&"], **WORDS)._repr_html_()
    assert "&lt;b&gt;&amp;" in page
    page = viz.bars({"<b>&": 1}, **WORDS)._repr_html_()
    assert "&lt;b&gt;&amp;" in page


@pytest.mark.parametrize("value", [0.3, 0.983, 1])
def test_no_tick_of_bars_lies_beyond_their_limits(value):
    page = viz.bars(
        {"a": value, "long name": 0.5}, limits=(0, 1), **WORDS
    )._repr_html_()
    ticks = [float(x) for x in re.findall(r">([\d.]+)<", page)]
    assert 1.0 in ticks and max(ticks) == 1


def test_limits_make_figures_comparable():
    for kind in ("curve", "bars", "heat"):
        grounds = []
        for y in ([0.2, 0.4], [0.1, 0.2]):
            if kind == "curve":
                series = {"loss": y}
                figure = viz.curve([1, 2], series, limits=(0, 1), **AXES, **WORDS)
            elif kind == "bars":
                bars = dict(zip("ab", y, strict=True))
                figure = viz.bars(bars, limits=(0, 1), **WORDS)
            else:
                names = {"rows": None, "columns": None, "values": False}
                figure = viz.heat([y], limits=(0, 1), **names, **WORDS)
            words = re.findall(r'<text [^>]*x="([^"]+)"[^>]*>([^<]+)', figure.body)
            grounds.append([w for w in words if w[1] in ("0", "0.8", "1", "0.0")])
        assert grounds[0] == grounds[1] != []


def test_three_points_with_a_band_are_not_taken_for_three_values():
    x, plain = [1, 2, 3], {"a": (1.0, 2.0, 3.0)}
    band = {"a": ([1, 2, 3], [0, 1, 2], [2, 3, 4])}
    read = {"a": [[1, 2, 3], [0, 1, 2], [2, 3, 4]]}  # as a results file holds it
    tensor = {"a": torch.tensor(read["a"])}
    pages = [viz.curve(x, y, **AXES, **WORDS).body for y in (plain, band, read, tensor)]
    assert ["fill-opacity: 0.22" in page for page in pages] == [False] + [True] * 3


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (427616513, "427,616,513"),
        (0.123456, "0.123"),
        (-2.0, "−2"),
        (True, "yes"),
        (None, "–"),
        ("a name", "a name"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_are_written_for_readers(value, shown):
    assert look.word(value) == shown


def test_values_beside_each_other_have_the_same_decimals():
    assert look.words([0.6, 0.98, -0.0001]) == ["0.6", "0.98", "−0.0001"]
    assert look.words([0.6, 0.98]) == ["0.60", "0.98"]
    assert look.words([3, 12000]) == ["3", "12,000"]


def test_a_table_heads_its_rows_and_columns_and_shows_gaps():
    rows = [{"claim": "a<b", "ours": torch.tensor(0.5)}, {"claim": "c", "holds": False}]
    page = viz.table(rows, caption="Claims")._repr_html_()
    tags = Tags(page).found
    scopes = [attrs.get("scope") for tag, attrs in tags if tag == "th"]
    assert scopes == ["col"] * 3 + ["row"] * 2
    for shown in ("a&lt;b", ">0.5<", ">no<", ">–<", "<caption"):
        assert shown in page


BLOCK = {"x": (0, 0, ""), "conv": (0, 1, "3 x 3"), "sum": (0, 2, "+")}


def test_a_diagram_shows_its_boxes_and_arrows():
    arrows = [("x", "conv"), ("conv", "sum"), ("x", "sum", 0.5, "identity")]
    figure = viz.diagram(BLOCK, arrows, title="A block", alt="x goes to the sum twice.")
    drawn = figure._repr_html_()
    for text in ("x", "3 x 3", "+", "identity"):
        assert f">{text}<" in re.sub(r"> *([^<>]*?) *<", r">\1<", drawn)
    fewer = viz.diagram(BLOCK, arrows[:1], title="A block", alt="One arrow only.")
    # an arrow is a line and a head
    paths = [f._repr_html_().count("<path") for f in (figure, fewer)]
    assert paths[0] - paths[1] == 4


def test_diagrams_without_boxes_or_with_loose_arrows_are_refused():
    with pytest.raises(ValueError, match="at least one box"):
        viz.diagram({}, [], title="t", alt="a")
    with pytest.raises(ValueError, match="between x, conv, sum, got {'y'}"):
        viz.diagram(BLOCK, [("x", "y")], title="t", alt="a")
    with pytest.raises(ValueError, match="alt"):
        viz.diagram(BLOCK, [], title="t", alt=" ")


def test_an_arrow_runs_from_the_edge_of_one_box_to_the_edge_of_the_other():
    boxes = {"a": (0, 0, "from"), "b": (0, 2, "to")}
    words = {"title": "t", "alt": "an arrow"}
    alone = viz.diagram(boxes, [], **words)._repr_html_()
    drawn = viz.diagram(boxes, [("a", "b")], **words)._repr_html_()
    paths = re.findall(r'<path d="([^"]+)"', drawn)
    tops = [[float(n) for n in re.findall(r"[\d.]+", path)][1::2] for path in paths]
    _, upper, lower, line, head = tops  # behind the ground of the figure
    assert len(paths) == alone.count("<path") + 2
    # y grows downwards: from below the upper box to above the lower one
    assert max(upper) < min(line) < max(upper) + 4
    assert min(lower) - 4 < max(head) < min(lower)


def test_a_fixed_grid_keeps_its_columns_on_a_narrow_page():
    patches = torch.zeros(6, 3, 4, 4)
    body = viz.images(patches, columns=3, fixed=True, **WORDS)._repr_html_()
    assert "grid-template-columns:repeat(3,minmax(0,1fr))" in body
    body = viz.images(patches, columns=3, **WORDS)._repr_html_()
    assert "repeat(auto-fill,minmax(max(" in body


def test_frames_of_a_heat_map_lie_on_its_cells_and_are_told_apart():
    names = {"rows": ["a", "b"], "columns": ["c", "d", "e"]}
    plain, one, both = (
        str(viz.heat([[1, 2, 3], [4, 5, 6]], **names, **more, **WORDS).body)
        for more in (
            {},
            {"framed": [(0, 2)]},
            {"framed": [(0, 2)], "dashed": [(0, 2), (1, 0)]},
        )
    )
    color = look.PALETTE[5]
    assert [text.count(color) for text in (plain, one, both)] == [0, 1, 2]
    assert "stroke-dasharray" not in one and "stroke-dasharray" in both
    with pytest.raises(ValueError, match=r"frames inside 2 x 3, got \(2, 0\)"):
        viz.heat([[1, 2, 3], [4, 5, 6]], **names, dashed=[(2, 0)], **WORDS)
