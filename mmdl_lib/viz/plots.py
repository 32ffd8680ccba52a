"""Curves, bars and heat maps, in the look of `viz`."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mmdl_lib.viz import look
from mmdl_lib.viz.look import DASHES, INK, MARKERS, PALETTE, Figure, word


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
    x = look.numbers(x, "x")
    if not series:
        raise ValueError("curve expected at least one series, got none.")
    lines = {str(k): _band(k, y, len(x)) for k, y in series.items()}

    def paint(canvas):
        ax = canvas.add_subplot()
        _lines(ax, x, lines)
        _check_limits(ax, limits)
        ax.set(xlabel=xlabel, ylabel=ylabel, ylim=limits)
        look.plain_axes(ax, grid="both")
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
    nested = len(rows) == 3 and all(np.ndim(look.bare(part)) == 1 for part in rows)
    band = [
        look.numbers(part, f"series {name!r}") for part in (rows if nested else [y])
    ]
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
        low, high = _bar_limits(ends, names, shown)
        ax.set_xlim(low, high)
        if limits is not None:  # beyond them is room for numbers, and no value
            inside = [x for x in ax.get_xticks() if limits[0] <= x <= limits[1]]
            ax.set_xticks(inside)
            ax.spines["bottom"].set_bounds(min(low, limits[0]), limits[1])
            ax.set_xlim(low, high)
        ax.set_yticks(range(len(names)), names)
        ax.set(ylim=(len(names) - 0.5, -0.5), xlabel=ylabel or "")
        look.plain_axes(ax, grid="x")
        ax.spines["left"].set_visible(False)
        if baseline is not None:
            _baseline(ax, baseline)

    return look.draw(paint, lines + extra, title, alt)


def _interval(name, value) -> tuple[float, float, float]:
    parts = look.numbers(value, f"the value of {name!r}", scalar=True)
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
    framed: Iterable = (),
    dashed: Iterable = (),
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
        framed: cells (row, column) with a frame, such as where the truth lies.
        dashed: cells with a dashed frame, of less certain truth.

    Raises:
        ValueError: another number of axes or of names, a frame outside, or a missing
            `alt`.
    """
    look.check_words(title, alt)
    matrix = look.matrix(matrix)
    n, m = matrix.shape
    rows = _names(rows, n, "row", 20)
    columns = _names(columns, m, "column", 22)
    high, turned = _heat_size(n, m, rows, columns, values)
    frames = _frames(framed, dashed, (n, m))

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
        for cell in frames:
            _frame(ax, *cell)

    return look.draw(paint, high, title, alt)


def _frames(framed: Iterable, dashed: Iterable, shape: tuple) -> list[tuple]:
    """Row, column and line of each frame; a cell in both gets the full line."""
    full = [tuple(cell) for cell in framed]
    cells = [(*c, "-") for c in full]
    cells += [(*c, (0, (2, 1.5))) for c in map(tuple, dashed) if c not in full]
    for i, j, _ in cells:
        if not (0 <= i < shape[0] and 0 <= j < shape[1]):
            raise ValueError(
                f"heat expected frames inside {shape[0]} x {shape[1]}, got {(i, j)}."
            )
    return cells


def _frame(ax, i: int, j: int, line) -> None:
    from matplotlib.patches import Rectangle

    corner, side = (j - 0.44, i - 0.44), 0.88
    style = {"fill": False, "edgecolor": "white", "linewidth": 3.4}
    # white below red: seen on dark and on bright cells
    ax.add_patch(Rectangle(corner, side, side, **style))
    style |= {"edgecolor": PALETTE[5], "linewidth": 1.9, "linestyle": line}
    ax.add_patch(Rectangle(corner, side, side, **style))


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
