"""How figures look: colors, sizes, words for numbers, and SVG fit for a page.

Lines and letters take the color of the text around them, and the palette reads on a
white and on a dark ground. A figure carries no id, no style sheet and no script, so any
number of them can share a page. Matplotlib's settings hold only while it is drawn.
"""

import html
import io
import re
from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

# at least 3:1 against white and against #121212, told apart by the color-blind
PALETTE = ("#2f86d6", "#d8650b", "#12967c", "#b8559f", "#9a8500", "#d9485f", "#7a7f87")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1)))
MARKERS = "osD^vPX"
CELL_INKS = ("#0a0e14", "#ffffff")
INK = "#010203"  # stands for the color of the text around, replaced in `_svg`
WIDTH = 5.4  # inches, 389 units: about one unit a pixel on a phone
LOOK = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mmdl",
    "svg.image_inline": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # for measuring; the page's own font is shown
    "font.size": 11.5,
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "path.simplify_threshold": 0.3,
}


class Figure:
    """HTML that displays itself; its `repr` is the title."""

    def __init__(self, title: str, body: str):
        self.title = title
        self.body = body

    def __repr__(self) -> str:
        return self.title

    def _repr_html_(self) -> str:
        return self.body


def check_words(title: str, alt: str) -> None:
    if not title.strip():
        raise ValueError("a figure expected a title, got an empty one.")
    if not alt.strip():
        raise ValueError(
            f"the figure {title!r} expected alt, a sentence that says what it shows, "
            "got an empty one."
        )


def word(value) -> str:
    """A value as a reader wants to see it: three digits, thousands apart."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    large = abs(value) >= 1000 and abs(value) < 1e15
    word = f"{value:,.0f}" if large or value == int(value) else f"{value:.3g}"
    return word.replace("-", "−")


def words(values: Sequence) -> list[str]:
    """Words with the same number of decimals, as far as three suffice."""
    plain = [word(float(value)) for value in values]
    decimals = max(len(w.partition(".")[2]) for w in plain)
    if not 0 < decimals <= 3 or any("e" in w or "," in w for w in plain):
        return plain
    shown = [f"{value:.{decimals}f}" for value in values]
    return [re.sub(r"^-(?=0\.0*$)", "", w).replace("-", "−") for w in shown]


def tick(value: float, _place: int = 0) -> str:
    """The number at a tick: millions as M, thousands as k."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            scale = 1e3 if unit == " k" else size
            return word(value / scale) + unit
    return word(round(value, 10))


def luminance(rgb: Sequence) -> float:
    """Relative luminance of an sRGB color in [0, 1], as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def bare(value):
    """A tensor as an array; anything else as it is."""
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    return value


def numbers(values, name: str, *, scalar: bool = False) -> np.ndarray:
    """(n,) floats out of a list, a range, an array or a tensor."""
    if isinstance(values, Iterable) and not isinstance(values, Tensor | np.ndarray):
        values = [bare(v) for v in values]
    try:
        array = np.asarray(bare(values), dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}, got {values!r:.60}.") from error
    array = np.atleast_1d(array) if scalar else array
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"expected one row of numbers in {name}, got shape {array.shape}."
        )
    return array


def matrix(given) -> np.ndarray:
    """(n, m) floats out of nested lists, an array or a tensor."""
    if not isinstance(given, Tensor | np.ndarray):
        given = [bare(row) for row in given]
    array = np.asarray(bare(given), dtype=float)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"heat expected a matrix of shape (n, m), got shape {array.shape}."
        )
    return array


def plain_axes(ax, *, grid: str) -> None:
    """Axes without ticks and with a grid over "x", "y" or "both"."""
    ax.tick_params(length=0)
    ax.grid(axis=grid, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_alpha(0.5)
    for part, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if grid in (part, "both"):
            ax.locator_params(axis=part, nbins=6)
            axis.set_major_formatter(tick)


def draw(paint, height: float, title: str, alt: str) -> Figure:
    """Run `paint` on a fresh matplotlib figure in our look, and return it as HTML."""
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context(LOOK):
        canvas = Canvas(figsize=(WIDTH, height), layout="constrained")
        paint(canvas)
        canvas.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return figure(_svg(buffer.getvalue(), alt), title)


def figure(body: str, title: str) -> Figure:
    caption = f'<figcaption style="margin-top:.4em">{html.escape(title)}</figcaption>'
    opened = '<figure class="mmdl-figure" style="margin:0 0 1em">'
    return Figure(title, f"{opened}{body}{caption}</figure>")


def _svg(drawn: str, alt: str) -> str:
    """Matplotlib's SVG made fit to stand inside a page.

    Its style sheet would apply to the whole page and its ids would clash with those of
    the next figure, so both go; markers are written out where they are used.
    """
    box = re.search(r'viewBox="([^"]+)"', drawn).group(1)
    body = re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", drawn, flags=re.S)
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.S)
    marks = dict(re.findall(r'<path id="(\w+)" d="([^"]+)"', body))
    body = re.sub(r"<defs>.*?</defs>", "", body, flags=re.S)

    def written_out(use):
        mark, x, y, style = use.groups()
        return f'<path d="{marks[mark]}" transform="translate({x} {y})" style="{style}"'

    pattern = r'<use xlink:href="#(\w+)" x="([^"]+)" y="([^"]+)" style="([^"]+)"'
    body = re.sub(pattern, written_out, body)
    body = re.sub(r' (?:id|clip-path)="[^"]*"', "", body)
    body = re.sub(r"; font-family: [^;\"]+|font-family: [^;\"]+; ", "", body)
    body = body.replace(INK, "currentColor").replace("xlink:href", "href")
    body = re.sub(r"<[^>]+>", _shorter, body)
    body = re.sub(r">\s+<", "><", body).strip()
    width = float(box.split()[2])
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{box}" '
        f'style="display:block;width:100%;max-width:{1.45 * width:.0f}px;height:auto;'
        "overflow:visible;font-family:inherit;stroke-linejoin:round;color:inherit;"
        f'fill:currentColor">{body}</svg>'
    )


def _shorter(tag: re.Match) -> str:
    """One tag with its numbers rounded to 1/100 unit; embedded pictures untouched."""
    text = tag.group(0)
    if "base64" in text:
        return re.sub(r"\s+", " ", text.replace("\n", "")) if "\n" in text else text
    return re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", text))
