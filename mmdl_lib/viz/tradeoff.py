"""Cost against quality, and nets drawn as silhouettes, in the look of `viz`."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmdl_lib.viz import look
from mmdl_lib.viz.look import DASHES, INK, MARKERS, PALETTE, Figure


def tradeoff(
    groups: Mapping,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    alt: str,
    names: Mapping | None = None,
    kinds: Mapping | None = None,
) -> Figure:
    """Nets by cost and score; the cost on a logarithmic axis.

    Args:
        groups: name -> rows of (cost, score), the cost above zero.
        xlabel: what a cost is, with its unit.
        ylabel: what a score is, with its unit.
        title: shown below the figure.
        alt: what the points do, for those who cannot see them.
        names: group -> one text for each of its points, written beside it.
        kinds: group -> "points", "line", or by default "both".

    Raises:
        ValueError: no group, another shape, a cost of zero or less, another kind,
            another count of texts, or no `alt`.
    """
    look.check_words(title, alt)
    if not groups:
        raise ValueError("tradeoff expected at least one group of nets, got none.")
    names, kinds = names or {}, kinds or {}
    points = {str(name): _rows(name, rows) for name, rows in groups.items()}
    for kind in kinds.values():
        if kind not in ("points", "line", "both"):
            raise ValueError(f"expected kinds points, line or both, got {kind!r}.")
    for name, texts in names.items():
        if len(texts) != len(points[name]):
            raise ValueError(
                f"tradeoff expected {len(points[name])} names in {name!r}, got "
                f"{len(texts)}."
            )

    def paint(canvas):
        ax = canvas.add_subplot()
        for i, (name, rows) in enumerate(points.items()):
            ax.plot(*rows.T, label=name, **_style(i, kinds.get(name, "both")))
            for (x, y), text in zip(rows, names.get(name, ()), strict=False):
                _beside(ax, x, y, text, PALETTE[i % 7])
        ax.set_xscale("log")
        ax.set(xlabel=xlabel, ylabel=ylabel)
        ticks = _decades(np.concatenate([rows[:, 0] for rows in points.values()]))
        ax.set_xticks(ticks, [look.tick(t) for t in ticks])
        ax.minorticks_off()
        ax.tick_params(length=0)
        ax.grid(linewidth=0.8)
        ax.set_axisbelow(True)
        ax.spines[:].set_alpha(0.5)
        ax.margins(x=0.08, y=0.1)
        if len(points) > 1:
            columns = max(1, min(len(points), 48 // (max(map(len, points)) + 6)))
            canvas.legend(loc="outside upper left", ncols=columns)

    return look.draw(paint, 3.9, title, alt)


def _rows(name, rows) -> np.ndarray:
    rows = np.asarray(rows, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != 2 or not np.isfinite(rows).all():
        raise ValueError(
            f"tradeoff expected finite rows (cost, score) in {name!r}, got shape "
            f"{rows.shape}."
        )
    if (rows[:, 0] <= 0).any():
        raise ValueError(
            f"tradeoff expected costs above zero in {name!r}, got {rows[:, 0].min():g}."
        )
    return rows


def _style(i: int, kind: str) -> dict:
    style = {"color": PALETTE[i % 7], "linewidth": 2, "clip_on": False}
    style |= {"linestyle": "none" if kind == "points" else DASHES[i % len(DASHES)]}
    if kind != "line":
        style |= {"marker": MARKERS[i % 7], "markersize": 6}
    return style


def _beside(ax, x: float, y: float, text: str, color: str) -> None:
    place = {"xytext": (4, -11), "textcoords": "offset points", "fontsize": 10}
    ax.annotate(text, (x, y), color=color, annotation_clip=False, **place)


def _decades(costs: np.ndarray) -> list[float]:
    """1, 2 and 5 times powers of ten within the costs, thinned to at most seven."""
    low, high = np.log10(costs.min()), np.log10(costs.max())
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    ticks = [t for t in ticks if low - 0.05 <= np.log10(t) <= high + 0.05]
    return ticks if len(ticks) <= 7 else ticks[:: -(-len(ticks) // 7)]


def silhouettes(nets: Mapping, *, title: str, alt: str) -> Figure:
    """Nets side by side: the picture as a square, above it a bar for each layer.

    Args:
        nets: name -> (side of the picture in pixels, channels of each layer).
        title: shown below the figure.
        alt: how the nets differ, for those who cannot see them.

    Raises:
        ValueError: no net, a net without layers, or no `alt`.
    """
    look.check_words(title, alt)
    if not nets or not all(len(layers) for _, layers in nets.values()):
        raise ValueError("silhouettes expected at least one net, and layers in each.")
    side = max(side for side, _ in nets.values())
    wide = max(max(layers) for _, layers in nets.values())
    tall = max(len(layers) for _, layers in nets.values())
    step, columns = min(0.16, 2.2 / tall), max(4, len(nets))
    low, high = -1.35, step * tall + 0.05

    def paint(canvas):
        ax = canvas.add_subplot()
        ax.set_axis_off()
        for i, (name, (pixels, layers)) in enumerate(nets.items()):
            bars = [0.84 * channels / wide for channels in layers]
            _net(ax, i, name, 0.8 * pixels / side, bars, step)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(low, high), aspect="equal")

    return look.draw(paint, look.WIDTH / columns * (high - low), title, alt)


def _net(
    ax, at: int, name: str, side: float, bars: Sequence[float], step: float
) -> None:
    from matplotlib.patches import Rectangle

    box = {"facecolor": "none", "edgecolor": INK, "linewidth": 1.2}
    ax.add_patch(Rectangle((at - side / 2, -0.15 - side), side, side, **box))
    for i, width in enumerate(bars):
        corner = at - width / 2, step * i
        ax.add_patch(Rectangle(corner, width, 0.7 * step, color=PALETTE[0], lw=0))
    ax.text(at, -1.15, name, ha="center", va="top", fontsize=10.5)
