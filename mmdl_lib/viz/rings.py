"""A graph in rings: what is in the middle carries what is outside."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mmdl_lib.viz import look
from mmdl_lib.viz.look import Figure

GAPS = (0.1, 0.23, 0.33)  # inches from a point to its name, above and below the rings
FIRST, STEP = 1.05, 0.8  # inches: radius of the innermost ring, and between two


def rings(
    layers: Mapping[str, Sequence[str]],
    edges: Collection[tuple[str, str]],
    *,
    named: Collection[str] = (),
    title: str,
    alt: str,
) -> Figure:
    """Points in rings around one center, told apart by color and marker, and lines.

    Args:
        layers: name of a ring -> its points, the innermost first; three rings at most.
            Points with a name are spread over their ring.
        edges: pairs of points that a faint line joins.
        named: points whose names are written beside them and that stand out.
        title: shown below the figure.
        alt: what the rings show, for those who cannot see them.

    Raises:
        ValueError: no ring, a fourth one, a point in two rings, an unknown point, or
            no `alt`.
    """
    look.check_words(title, alt)
    _check(layers, edges, named)
    order = {name: _spread(ring, set(named)) for name, ring in layers.items()}
    place = {}
    for i, ring in enumerate(order.values()):
        angle = 2 * np.pi * (np.arange(len(ring)) + 0.5) / max(len(ring), 1)
        xy = (FIRST + STEP * i) * np.stack([np.sin(angle), np.cos(angle)], 1)
        place |= dict(zip(ring, xy, strict=True))

    def paint(canvas):
        ax = canvas.add_subplot()
        ax.set_axis_off()
        ax.set_aspect("equal")
        for a, b in edges:
            line = np.stack([place[a], place[b]])
            ax.plot(*line.T, color=look.INK, alpha=0.09, linewidth=0.5)
        for i, (name, ring) in enumerate(order.items()):
            known = [point for point in ring if point in named]
            style = {"color": look.PALETTE[i], "marker": look.MARKERS[i]}
            for points, size in ((ring, 3), (known, 7)):
                rows = np.array([place[point] for point in points]).reshape(-1, 2)
                label = name if points is ring else None
                ax.plot(
                    *rows.T, linestyle="none", markersize=size, label=label, **style
                )
            _names(ax, {point: place[point] for point in known})
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, markerscale=2)

    return look.draw(paint, look.WIDTH + 0.4, title, alt)


def _check(layers: Mapping, edges: Collection, named: Collection) -> None:
    if not 1 <= len(layers) <= 3:
        raise ValueError(f"rings expected one to three layers, got {len(layers)}.")
    points = [point for ring in layers.values() for point in ring]
    if len(set(points)) < len(points):
        raise ValueError("rings expected each point in one layer, got one in two.")
    unknown = ({point for edge in edges for point in edge} | set(named)) - set(points)
    if unknown:
        raise ValueError(f"rings expected points of the layers, got {min(unknown)!r}.")


def _spread(ring: Sequence[str], named: set[str]) -> list[str]:
    """The points of a ring, those with a name at equal steps, else in their order."""
    known = [point for point in ring if point in named]
    others = [point for point in ring if point not in named]
    if not known:
        return others
    parts = np.array_split(np.arange(len(others)), len(known))
    return [
        point
        for name, part in zip(known, parts, strict=True)
        for point in (name, *(others[i] for i in part))
    ]


def _names(ax, place: Mapping) -> None:
    """Names of a ring outside it; above and below they lie at different heights."""
    odd = len(place) % 2  # then the last would meet the first
    for k, (name, (x, y)) in enumerate(place.items()):
        far = np.hypot(x, y)
        side = "left" if x > 0.3 * far else "right" if x < -0.3 * far else "center"
        up = "bottom" if y > 0.8 * far else "top" if y < -0.8 * far else "center"
        gap = GAPS[2 if odd and k == len(place) - 1 else k % 2]
        where = {"horizontalalignment": side, "verticalalignment": up, "fontsize": 10}
        scale = 1 + (gap if side == "center" else GAPS[0]) / far
        ax.text(x * scale, y * scale, name, **where)
