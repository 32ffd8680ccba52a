"""Points in a plane, in the look of `viz`."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from mmdl_lib.viz import look
from mmdl_lib.viz.look import DASHES, MARKERS, PALETTE, Figure


def scatter(
    groups: Mapping,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    alt: str,
    lines: Mapping | None = None,
    limits: tuple | None = None,
    names: Mapping | None = None,
) -> Figure:
    """Groups of points, told apart by color and marker, and lines between points.

    Both axes have the same scale, so that angles and distances are true.

    Args:
        groups: name -> (n, 2) numbers.
        xlabel: what the first column is, with its unit.
        ylabel: what the second column is, with its unit.
        title: shown below the figure.
        alt: what the points do, for those who cannot see them.
        lines: name -> (m, 2) numbers inside the limits, joined in order.
        limits: (low, high) of both axes, so that figures can be compared; what lies
            outside is not drawn.
        names: name of a group -> a word for each of its points, written beside it.

    Raises:
        ValueError: no group, a point without its word, another shape, values that are
            not finite, or no `alt`.
    """
    look.check_words(title, alt)
    if not groups:
        raise ValueError("scatter expected at least one group of points, got none.")
    points = {str(name): _points(name, rows) for name, rows in groups.items()}
    paths = {str(name): _points(name, rows) for name, rows in (lines or {}).items()}
    beside = {str(name): list(said) for name, said in (names or {}).items()}
    for name, said in beside.items():
        if name not in points or len(said) != len(points[name]):
            count = len(points.get(name, ()))
            raise ValueError(f"expected {count} names of {name!r}, got {len(said)}.")

    def paint(canvas):
        ax = canvas.add_subplot()
        for i, (name, rows) in enumerate(points.items()):
            style = {"color": PALETTE[i % 7], "marker": MARKERS[i % 7], "label": name}
            style |= {"markersize": 5 if len(rows) < 300 else 3, "linestyle": "none"}
            ax.plot(*_inside(rows, limits).T, alpha=0.75, **style)
        for i, (name, rows) in enumerate(paths.items()):
            # counted from the end of the palette, so that lines differ from points
            style = {"color": PALETTE[-1 - i % 7], "linestyle": DASHES[i % 5]}
            ax.plot(*rows.T, label=name, linewidth=2, **style)
        for name, said in beside.items():
            for word, place in zip(said, points[name], strict=True):
                offset = {"xytext": (4, 3), "textcoords": "offset points"}
                ax.annotate(word, place, annotation_clip=False, **offset)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        if limits:
            ax.set(xlim=limits, ylim=limits)
        ax.set_aspect("equal", adjustable="box" if limits else "datalim")
        ax.grid(True)
        listed = [*points, *paths]
        if len(listed) > 1:
            columns = max(1, min(len(listed), 48 // (max(map(len, listed)) + 6)))
            canvas.legend(loc="outside upper left", ncols=columns)

    return look.draw(paint, 4.0, title, alt)


def _points(name, rows) -> np.ndarray:
    rows = rows.detach().cpu().numpy() if isinstance(rows, Tensor) else rows
    rows = np.asarray(rows, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"scatter expected finite points of shape (n, 2) in {name!r}, got "
            f"shape {rows.shape}."
        )
    return rows


def _inside(rows: np.ndarray, limits: tuple | None) -> np.ndarray:
    """Figures clip nothing, so points beyond the limits are left out."""
    if limits is None:
        return rows
    return rows[((rows >= limits[0]) & (rows <= limits[1])).all(1)]
