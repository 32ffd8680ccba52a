"""Boxes and arrows, in the look of `viz`."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmdl_lib.viz import look
from mmdl_lib.viz.look import INK, Figure


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
