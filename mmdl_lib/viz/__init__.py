"""Figures in one look, for light and dark pages; `source` shows the real code.

Each function returns an object that a notebook and the built page display by itself.
Curves, bars and heat maps are drawn by matplotlib and shown as inline SVG whose text
stays text (`look.py` says how).
"""

import base64
import html
import inspect
import io
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmdl_lib.core import check_image
from mmdl_lib.viz import look
from mmdl_lib.viz.claims import claims
from mmdl_lib.viz.look import DASHES, INK, MARKERS, PALETTE, Figure, word
from mmdl_lib.viz.scatter import scatter
from mmdl_lib.viz.tradeoff import silhouettes, tradeoff

__all__ = [
    "bars",
    "claims",
    "curve",
    "diagram",
    "heat",
    "images",
    "scatter",
    "silhouettes",
]
__all__ += ["source", "table", "tradeoff"]


class Source:
    """Code that displays itself, in the colors of the notebook or page around it.

    It is shown as Markdown and not as HTML because JupyterLab, Colab and the page all
    color a Markdown code block in their own theme, light or dark.
    """

    def __init__(self, title: str, code: str):
        self.title = title
        self.code = code

    def __repr__(self) -> str:
        return self.title

    def __str__(self) -> str:
        return self.code

    def _repr_markdown_(self) -> str:
        runs = re.findall(r"`{3,}", self.code)
        fence = "`" * max(3, 1 + max(map(len, runs), default=0))
        return f"{fence}python\n{self.code}\n{fence}"


def source(*objects) -> Source:
    """The code of functions, methods, properties or classes, as it stands in the file.

    Raises:
        ValueError: nothing was given, or an object that has no Python source.
    """
    if not objects:
        raise ValueError("source expected a function, a method or a class, got none.")
    parts, names, place = [], [], None
    for item in objects:
        code, module, name = _code_of(item)
        if module not in (place, "__main__"):
            code = f"# {module.replace('.', '/')}.py\n{code}"
        parts.append(code)
        names.append(name)
        place = module
    return Source("source of " + ", ".join(names), "\n\n".join(parts))


def _code_of(item) -> tuple[str, str, str]:
    item = inspect.unwrap(getattr(item, "fget", None) or item)
    try:
        code = textwrap.dedent(inspect.getsource(item)).strip()
    except (OSError, TypeError) as error:
        raise ValueError(
            "source expected a function, a method or a class written in Python, got "
            f"{item!r:.60}."
        ) from error
    module = getattr(item, "__module__", None) or item.__name__
    return code, module, getattr(item, "__qualname__", module)


def images(
    image: Tensor,
    *,
    labels: Sequence | None = None,
    columns: int | None = None,
    title: str,
    alt: str,
) -> Figure:
    """A grid of pictures, with fewer columns where the page is narrow.

    Args:
        image: (b, 3, h, w), uint8 in [0, 255] or floats in [-1, 1]. Pictures of at most
            64 pixels keep their pixels sharp when enlarged.
        labels: one for each picture, shown below it.
        columns: at most so many beside each other.
        title: shown below the grid.
        alt: what the pictures show, for those who cannot see them.

    Raises:
        ValueError: another shape or range, a missing `alt`, or a wrong count of labels.
    """
    look.check_words(title, alt)
    pixels = _pixels(image)
    if labels is not None and len(labels) != len(pixels):
        raise ValueError(
            f"images expected {len(pixels)} labels, one for each picture, got "
            f"{len(labels)}."
        )
    columns = columns or min(len(pixels), 8 if labels is None else 4)
    least = min(60 if labels is None else 100, 560 // columns)
    share = f"calc((100% - {columns - 1} * .6em) / {columns})"
    tiles = (
        _tile(picture, None if labels is None else labels[i])
        for i, picture in enumerate(pixels)
    )
    grid = (
        f'<div role="img" aria-label="{html.escape(alt)}" style="display:grid;gap:.6em;'
        f"grid-template-columns:repeat(auto-fill,minmax(max({least}px,{share}),1fr));"
        f'max-width:{min(720, 150 * columns)}px">{"".join(tiles)}</div>'
    )
    return look.figure(grid, title)


def _pixels(image: Tensor) -> np.ndarray:
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3:
        got = tuple(image.shape) if hasattr(image, "shape") else type(image).__name__
        raise ValueError(
            f"images expected a tensor of pictures of shape (b, 3, h, w), got {got}."
        )
    if len(image) == 0:
        raise ValueError("images expected at least one picture, got none.")
    if image.dtype != torch.uint8:
        check_image(image)
        image = ((image.float() + 1) * 127.5).round().clamp(0, 255).byte()
    return image.detach().cpu().permute(0, 2, 3, 1).contiguous().numpy()


def _tile(picture: np.ndarray, label) -> str:
    from PIL import Image

    h, w = picture.shape[:2]
    small, buffer = max(h, w) <= 64, io.BytesIO()
    # a photograph as PNG is several times as large
    kind, options = ("png", {"optimize": True}) if small else ("webp", {"quality": 85})
    Image.fromarray(picture).save(buffer, kind, **options)
    data = base64.b64encode(buffer.getvalue()).decode()
    scaling = "pixelated" if small else "auto"
    below = ""
    if label is not None:
        words = html.escape(word(label))
        below = f'<div style="font-size:.85em;line-height:1.25">{words}</div>'
    return (
        f'<div style="text-align:center"><svg viewBox="0 0 {w} {h}" '
        f'style="display:block;width:100%;border-radius:4px"><image width="{w}" '
        f'height="{h}" style="image-rendering:{scaling}" '
        f'href="data:image/{kind};base64,{data}"/></svg>{below}</div>'
    )


def curve(
    x: Iterable,
    series: Mapping,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    alt: str,
    logx: bool = False,
    limits: tuple | None = None,
) -> Figure:
    """Lines over a common x, told apart by color, dashes and markers.

    Args:
        x: (n,) numbers.
        series: name -> (n,) numbers, or name -> (mean, low, high), each (n,), drawn as
            a line inside its band.
        xlabel: what x is, with its unit.
        ylabel: what y is, with its unit.
        title: shown below the figure.
        alt: what the lines do, for those who cannot see them.
        logx: whether x is logarithmic.
        limits: (low, high) of the y axis, so that figures can be compared.

    Raises:
        ValueError: no series, one of another length, or a missing `alt`.
    """
    look.check_words(title, alt)
    x = _numbers(x, "x")
    if not series:
        raise ValueError("curve expected at least one series, got none.")
    lines = {str(k): _band(k, y, len(x)) for k, y in series.items()}

    def paint(canvas):
        ax = canvas.add_subplot()
        _lines(ax, x, lines)
        _check_limits(ax, limits)
        ax.set(xlabel=xlabel, ylabel=ylabel, ylim=limits)
        _plain_axes(ax, grid="both")
        if logx:
            _log_axis(ax, x)
        if len(lines) > 1 or not ylabel.startswith(tuple(lines)):
            columns = 48 // (max(map(len, lines)) + 6)
            columns = max(1, min(len(lines), columns))
            canvas.legend(loc="outside upper left", ncols=columns)

    return look.draw(paint, 3.1 if len(lines) < 4 else 3.9, title, alt)


def _lines(ax, x: np.ndarray, lines: dict[str, tuple]) -> None:
    for i, (name, (mean, low, high)) in enumerate(lines.items()):
        color, dash = PALETTE[i % len(PALETTE)], DASHES[i % len(DASHES)]
        marker = MARKERS[i % len(MARKERS)] if len(x) <= 12 else None
        style = {"color": color, "linestyle": dash, "linewidth": 2}
        style |= {"marker": marker, "markersize": 5, "clip_on": False}
        ax.plot(x, mean, label=name, **style)
        if low is not None:
            ax.fill_between(x, low, high, color=color, alpha=0.22, linewidth=0)


def _check_limits(ax, limits: tuple | None) -> None:
    low, high = ax.dataLim.intervaly
    if limits is not None and not limits[0] <= low <= high <= limits[1]:
        raise ValueError(
            f"expected limits that hold all values, from {low:.4g} to {high:.4g}, got "
            f"{tuple(limits)}."
        )


def _band(name, y, n: int) -> tuple:
    rows = list(y) if isinstance(y, Iterable) else [y]
    nested = len(rows) == 3 and all(np.ndim(_bare(part)) == 1 for part in rows)
    band = [_numbers(part, f"series {name!r}") for part in (rows if nested else [y])]
    for part in band:
        if len(part) != n:
            raise ValueError(
                f"curve expected {n} values in series {name!r}, one for each x, got "
                f"{len(part)}."
            )
    return tuple(band) if nested else (band[0], None, None)


def _log_axis(ax, x: np.ndarray) -> None:
    if (x <= 0).any():
        raise ValueError(
            f"curve expected x above zero on a logarithmic axis, got {x.min():g}."
        )
    ax.set_xscale("log")
    if len(x) <= 8:
        ax.set_xticks(x, [word(v) for v in x.tolist()])
    ax.minorticks_off()


def bars(
    values: Mapping,
    *,
    title: str,
    alt: str,
    ylabel: str | None = None,
    baseline: float | int | Mapping | None = None,
    limits: tuple | None = None,
) -> Figure:
    """Horizontal bars, so that their names stay readable on a phone.

    Args:
        values: name -> number, or name -> (number, low, high), drawn with its interval.
        title: shown below the figure.
        alt: what the bars show, for those who cannot see them.
        ylabel: what the numbers are, with their unit.
        baseline: a dashed line: a number, or {"chance": 0.5} to name it.
        limits: (low, high) of the axis, so that figures can be compared.

    Raises:
        ValueError: no values, an interval that does not hold its value, or no `alt`.
    """
    look.check_words(title, alt)
    if not values:
        raise ValueError("bars expected at least one value, got none.")
    names = [textwrap.fill(str(name), 20) for name in values]
    triples = [_interval(name, value) for name, value in values.items()]
    lines = sum(0.34 + 0.17 * name.count("\n") for name in names)
    extra = 0.55 + 0.2 * (ylabel is not None) + 0.2 * (baseline is not None)

    def paint(canvas):
        ax = canvas.add_subplot()
        shown = look.words([value for value, _, _ in triples])
        for i, triple in enumerate(triples):
            _bar(ax, i, *triple, shown[i])
        ends = triples if limits is None else [*triples, (0.0, *map(float, limits))]
        ax.set_xlim(*_bar_limits(ends, names, shown))
        ax.set_yticks(range(len(names)), names)
        ax.set(ylim=(len(names) - 0.5, -0.5), xlabel=ylabel or "")
        _plain_axes(ax, grid="x")
        ax.spines["left"].set_visible(False)
        if baseline is not None:
            _baseline(ax, baseline)

    return look.draw(paint, lines + extra, title, alt)


def _interval(name, value) -> tuple[float, float, float]:
    parts = _numbers(value, f"the value of {name!r}", scalar=True)
    if len(parts) == 1 and np.isfinite(parts[0]):
        return (float(parts[0]),) * 3
    if len(parts) != 3 or not -np.inf < parts[1] <= parts[0] <= parts[2] < np.inf:
        raise ValueError(
            f"bars expected a finite number or (value, low, high) for {name!r}, got "
            f"{tuple(parts.tolist())}."
        )
    return tuple(parts.tolist())


def _bar(ax, i: int, value: float, low: float, high: float, shown: str) -> None:
    ax.barh(i, value, 0.62, color=PALETTE[0])
    if low < high:
        ax.plot([low, high], [i, i], color=INK, linewidth=2, clip_on=False)
    offset = {"xytext": (5, 0), "textcoords": "offset points", "va": "center_baseline"}
    ax.annotate(shown, (max(high, 0.0), i), annotation_clip=False, **offset)


def _bar_limits(triples: list, names: list, shown: list) -> tuple[float, float]:
    """Limits that leave room for the longest number behind the longest bar."""
    left = min(0.0, *(low for _, low, _ in triples), 0.0)
    right = max(0.0, *(high for _, _, high in triples), 0.0)
    letters = max(len(line) for name in names for line in name.split("\n"))
    across = look.WIDTH - 0.1 * letters
    share = (0.1 * max(map(len, shown)) + 0.1) / across
    span = (right - left) / (1 - share) or 1.0
    return 1.03 * left, left + span


def _baseline(ax, baseline) -> None:
    name, value = "baseline", baseline
    if isinstance(baseline, Mapping):
        ((name, value),) = baseline.items()
    value = float(value)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, value), max(high, value))
    ax.axvline(value, color=INK, linestyle=DASHES[1], linewidth=1.3, clip_on=False)
    low, high = ax.get_xlim()
    ax.annotate(
        f"{name} {word(value)}",
        (value, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="left" if value < (low + high) / 2 else "right",
        fontsize=10.5,
        annotation_clip=False,
    )


def heat(
    matrix: Iterable,
    *,
    rows: Sequence | None,
    columns: Sequence | None,
    title: str,
    alt: str,
    values: bool = True,
    limits: tuple | None = None,
) -> Figure:
    """A table of numbers as colors: the brighter, the larger.

    Args:
        matrix: (n, m) numbers; NaN leaves a cell empty.
        rows: n names, or None.
        columns: m names, or None.
        title: shown below the figure.
        alt: what the colors show, for those who cannot see them.
        values: whether each cell shows its number; else a scale stands beside.
        limits: (low, high) of the colors, so that figures can be compared.

    Raises:
        ValueError: another number of axes or of names, or a missing `alt`.
    """
    look.check_words(title, alt)
    matrix = _matrix(matrix)
    n, m = matrix.shape
    rows = _names(rows, n, "row", 20)
    columns = _names(columns, m, "column", 22)
    high, turned = _heat_size(n, m, rows, columns, values)

    def paint(canvas):
        ax = canvas.add_subplot()
        shown = _colors(ax, matrix, limits)
        ax.set_xticks(range(m if columns else 0), columns, rotation=90 * turned)
        ax.set_yticks(range(n if rows else 0), rows)
        ax.tick_params(length=0)
        if values:
            _cell_values(ax, shown, matrix)
        else:
            _color_scale(ax, *shown.get_clim())

    return look.draw(paint, high, title, alt)


def _colors(ax, matrix: np.ndarray, limits: tuple | None):
    shown = ax.imshow(matrix, "viridis", interpolation="none", aspect="auto")
    shown.set_clim(*limits or (None, None))
    shown.set_clip_on(False)
    ax.spines[:].set_visible(False)
    return shown


def _heat_size(n: int, m: int, rows: list, columns: list, values: bool) -> tuple:
    """Height in inches, and whether the names of the columns must stand upright."""
    lines = [line for name in rows for line in name.split("\n")]
    cell = (look.WIDTH - 0.4 - 0.09 * max(map(len, lines), default=0)) / m
    tall = max((0.2 * (1 + name.count("\n")) + 0.08 for name in rows), default=0)
    tall = max(tall, min(cell, 0.55) if rows else cell, 0.3 if values else 0)
    lines = [line for name in columns for line in name.split("\n")]
    longest = max(map(len, lines), default=0)
    turned = longest * 0.105 > cell
    below = 0.1 + (0.1 * longest if turned else 0.2 * bool(columns))
    return n * tall + below + 0.15, turned


def _names(names: Sequence | None, count: int, kind: str, width: int) -> list[str]:
    if names is None:
        return []
    if len(names) != count:
        raise ValueError(
            f"heat expected {count} names, one for each {kind}, got {len(names)}."
        )
    return [textwrap.fill(str(name), width) for name in names]


def _cell_values(ax, shown, matrix: np.ndarray) -> None:
    crowded = matrix.shape[1] > 6
    for (i, j), value in np.ndenumerate(matrix):
        if np.isnan(value):
            continue
        ground = look.luminance(shown.to_rgba(value)[:3])
        # 0.19: the ground on which dark and white letters have the same contrast
        ink = look.CELL_INKS[0] if ground > 0.19 else look.CELL_INKS[1]
        text = _cell_word(value, whole=not (matrix[~np.isnan(matrix)] % 1).any())
        text = re.sub(r"^(−?)0\.", r"\1.", text) if crowded else text
        size = 10 if crowded else 10.5
        ax.text(j, i, text, color=ink, ha="center", va="center", fontsize=size)


def _cell_word(value: float, *, whole: bool) -> str:
    if whole or abs(value) >= 10:
        return word(float(value))
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _color_scale(ax, low: float, high: float) -> None:
    side = ax.inset_axes([1.03, 0, 0.035, 1])
    ramp = np.linspace(high, low, 64)[:, None]
    extent = (0, 1, low, high if high > low else low + 1)
    bar = side.imshow(
        ramp, "viridis", interpolation="none", aspect="auto", extent=extent
    )
    bar.set_clip_on(False)
    side.set_xticks([])
    side.yaxis.tick_right()
    side.locator_params(axis="y", nbins=5)
    side.tick_params(length=0)
    side.spines[:].set_visible(False)


def diagram(boxes: Mapping, arrows: Sequence, *, title: str, alt: str) -> Figure:
    """Boxes and arrows, for the parts of a model.

    Args:
        boxes: name -> (x, y, text); x and y count columns and rows from the upper left,
            fractions allowed. An empty text shows the name, "+" stands in a circle.
        arrows: (from, to), or (from, to, bend) for an arc: 0.5 bows it to the left of
            its way, -0.5 to the right; or (from, to, bend, label).
        title: shown below the figure.
        alt: what the arrows connect, for those who cannot see them.

    Raises:
        ValueError: no boxes, an arrow between unknown boxes, or a missing `alt`.
    """
    look.check_words(title, alt)
    if not boxes:
        raise ValueError("diagram expected at least one box, got none.")
    unknown = {name for arrow in arrows for name in arrow[:2]} - set(boxes)
    if unknown:
        raise ValueError(
            f"diagram expected arrows between {', '.join(boxes)}, got {unknown}."
        )
    x, y = ([box[i] for box in boxes.values()] for i in (0, 1))

    def paint(canvas):
        canvas.set_layout_engine("none")  # the boxes' places are final
        ax = canvas.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set_xlim(min(x) - 0.6, max(x) + 0.6)
        ax.set_ylim(max(y) + 0.5, min(y) - 0.5)
        drawn = {name: _box(ax, name, *box) for name, box in boxes.items()}
        canvas.draw_without_rendering()  # only then do the boxes know their sizes
        for start, end, *rest in arrows:
            _arrow(ax, drawn[start], drawn[end], *rest)

    return look.draw(paint, 0.6 * (max(y) - min(y) + 1), title, alt)


def _box(ax, name: str, x: int | float, y: int | float, text: str = ""):
    text = text or name
    shape = "circle,pad=0.15" if text == "+" else "round,pad=0.35,rounding_size=0.25"
    line = {"boxstyle": shape, "facecolor": "none", "edgecolor": INK, "linewidth": 1.2}
    return ax.text(x, y, text, ha="center", va="center", fontsize=10.5, bbox=line)


def _arrow(ax, start, end, bend: int | float = 0, label: str = "") -> None:
    one, other = start.get_position(), end.get_position()
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "mutation_scale": 12}
    style |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": 1, "shrinkB": 1}
    style |= {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
    ax.annotate("", xy=other, xytext=one, arrowprops=style)
    if label:
        # the middle of an arc lies half its bend beside the middle of its chord
        a, b = (ax.transData.transform(p) for p in (one, other))
        normal = np.array([(b - a)[1], (a - b)[0]])
        middle = ax.transData.inverted().transform((a + b) / 2 + bend / 2 * normal)
        away = -1 if bend * normal[0] < 0 else 1
        side = "right" if away < 0 else "left"
        place = {"xytext": (6 * away, 0), "textcoords": "offset points"}
        place["annotation_clip"] = False
        ax.annotate(label, middle, ha=side, va="center", fontsize=10.5, **place)


def table(rows: Sequence, *, caption: str) -> Figure:
    """A table of results; it scrolls by itself where the page is narrow.

    Args:
        rows: dicts from column name to value; a missing value shows as a dash.
        caption: shown above the table.

    Raises:
        ValueError: no rows, or a missing caption.
    """
    if not caption.strip():
        raise ValueError("table expected a caption, got an empty one.")
    if not rows:
        raise ValueError("table expected at least one row, got none.")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    right = {c for c in columns if all(_is_number(row.get(c, 0)) for row in rows)}
    sides = ["right" if c in right else "left" for c in columns]
    lines = [_row(columns, sides, ["col"] * len(columns))]
    for row in rows:
        scopes = ["row"] + [None] * (len(columns) - 1)
        lines.append(_row([row.get(c) for c in columns], sides, scopes))
    name = html.escape(caption)
    markup = (
        f'<div class="mmdl-table" tabindex="0" role="region" aria-label="{name}" '
        f'style="overflow-x:auto"><table class="dataframe table"><caption '
        f'style="caption-side:top;text-align:left">{name}</caption>'
        f"<thead>{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table></div>"
    )
    return Figure(caption, markup)


def _is_number(value) -> bool:
    value = value.item() if isinstance(value, Tensor | np.generic) else value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(values: list, sides: list[str], scopes: list) -> str:
    """One row of a table; cells with a scope are headings."""
    cells = []
    for value, side, scope in zip(values, sides, scopes, strict=True):
        value = value.item() if isinstance(value, Tensor | np.generic) else value
        tag, mark = ("th", f' scope="{scope}"') if scope else ("td", "")
        weight = ";font-weight:normal" if scope == "row" else ""
        style = f"text-align:{side};padding:.25em .7em{weight}"
        shown = html.escape(word(value))
        cells.append(f'<{tag}{mark} style="{style}">{shown}</{tag}>')
    return f"<tr>{''.join(cells)}</tr>"


def _bare(value):
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    return value


def _numbers(values, name: str, *, scalar: bool = False) -> np.ndarray:
    """(n,) floats out of a list, a range, an array or a tensor."""
    if isinstance(values, Iterable) and not isinstance(values, Tensor | np.ndarray):
        values = [_bare(v) for v in values]
    try:
        array = np.asarray(_bare(values), dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in {name}, got {values!r:.60}.") from error
    array = np.atleast_1d(array) if scalar else array
    if array.ndim != 1 or array.size == 0:
        raise ValueError(
            f"expected one row of numbers in {name}, got shape {array.shape}."
        )
    return array


def _matrix(matrix) -> np.ndarray:
    if not isinstance(matrix, Tensor | np.ndarray):
        matrix = [_bare(row) for row in matrix]
    array = np.asarray(_bare(matrix), dtype=float)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"heat expected a matrix of shape (n, m), got shape {array.shape}."
        )
    return array


def _plain_axes(ax, *, grid: str) -> None:
    ax.tick_params(length=0)
    ax.grid(axis=grid, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_alpha(0.5)
    for part, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if grid in (part, "both"):
            ax.locator_params(axis=part, nbins=6)
            axis.set_major_formatter(look.tick)
