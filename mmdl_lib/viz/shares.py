"""Shares between 0 and 1, small and large ones in one figure, in the look of `viz`."""

import textwrap
from collections.abc import Collection, Mapping

import numpy as np

from mmdl_lib.viz import look
from mmdl_lib.viz.look import INK, PALETTE, Figure

TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)
LETTERS, LINE = 20, 0.17  # of a line of a name: its width, its height in inches


def shares(
    values: Mapping,
    *,
    xlabel: str,
    title: str,
    alt: str,
    marked: Collection[str] = (),
) -> Figure:
    """Dots on an axis from 0 to 1 that is stretched near 0, as square roots are.

    No bars: on such an axis their lengths would mislead.

    Args:
        values: name -> share, or name -> (mean, low, high), drawn with its range.
        xlabel: what the shares are of.
        title: shown below the figure.
        alt: what the dots show, for those who cannot see them.
        marked: names in bold, with a diamond of another color in place of a dot.

    Raises:
        ValueError: no values, one outside 0 to 1 or its range, an unknown name in
            `marked`, or no `alt`.
    """
    look.check_words(title, alt)
    if not values:
        raise ValueError("shares expected at least one value, got none.")
    rows = [_row(name, value) for name, value in values.items()]
    unknown = set(marked) - set(values)
    if unknown:
        raise ValueError(f"shares expected marked names of {[*values]}, got {unknown}.")
    names = [textwrap.wrap(str(name), LETTERS) for name in values]
    shown = look.words([mean for mean, _, _ in rows])
    # the middle of each row, from above; a name of two lines gets more room
    height = np.array([0.08 + LINE * len(lines) for lines in names])
    middle = np.cumsum(height) - height / 2

    def paint(canvas):
        ax = canvas.add_subplot()
        look.plain_axes(ax, grid="both")
        ax.set_yticks(middle, [""] * len(names))
        ax.set_xticks(np.sqrt(TICKS), map(look.word, TICKS))
        ax.set(xlim=(0, 1), ylim=(height.sum(), 0), xlabel=xlabel)
        ax.spines["left"].set_visible(False)
        for i, (name, y) in enumerate(zip(values, middle, strict=True)):
            weight = "bold" if name in marked else "normal"
            style = {"weight": weight, "ha": "right", "va": "center_baseline"}
            top = y - LINE * (len(names[i]) - 1) / 2
            for k, line in enumerate(names[i]):
                ax.text(-0.03, top + k * LINE, line, **style)
            ax.text(1.18, y, shown[i], **style)
            _dot(ax, y, np.sqrt(rows[i]), name in marked)

    return look.draw(paint, height.sum() + 0.6, title, alt)


def _row(name, value) -> tuple[float, float, float]:
    parts = look.numbers(value, f"the share of {name!r}", scalar=True)
    parts = np.repeat(parts, 3) if len(parts) == 1 else parts
    if len(parts) != 3 or not 0 <= parts[1] <= parts[0] <= parts[2] <= 1:
        raise ValueError(
            f"shares expected a share from 0 to 1 or (mean, low, high) for {name!r}, "
            f"got {tuple(parts.tolist())}."
        )
    return tuple(parts.tolist())


def _dot(ax, y: float, row: np.ndarray, marked: bool) -> None:
    mean, low, high = row
    if low < high:
        line = {"color": INK, "linewidth": 2, "solid_capstyle": "butt"}
        ax.plot([low, high], [y, y], clip_on=False, zorder=3, **line)
    color, marker = (PALETTE[1], "D") if marked else (PALETTE[0], "o")
    style = {"color": color, "marker": marker, "markersize": 7, "clip_on": False}
    ax.plot([mean], [y], linestyle="none", zorder=2.5, **style)
