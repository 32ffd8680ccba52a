"""The figure by which a paper is remembered: pictures, matrices, words and arrows.

Places are counted in columns and rows from the upper left, fractions allowed; sizes are
measured, and parts that meet or do not fit the width of a phone are refused.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mmdl_lib.viz import look
from mmdl_lib.viz.look import INK, PALETTE, Figure, word
from mmdl_lib.viz.pictures import pixels

PAD = 0.12  # inches around the figure and inside a group
SIZE = 11.5  # of letters, points: as large as the text beside it on a phone
LARGEST = 128  # pixels of a picture; larger ones are made smaller


class Part(NamedTuple):
    """One thing in the figure: where it stands, what it is, its words and its width."""

    x: int | float
    y: int | float
    content: str | Tensor = ""
    label: str = ""
    width: int | float | None = None


def schema(
    parts: Mapping,
    arrows: Sequence = (),
    *,
    groups: Mapping | None = None,
    colors: Mapping | None = None,
    column: int | float = 1.0,
    row: int | float = 0.8,
    title: str,
    alt: str,
) -> Figure:
    """Pictures, matrices and boxes of words with arrows between them.

    Args:
        parts: name -> (x, y, content), (x, y, content, label) or (x, y, content,
            label, width). The content is
            words: a box; no words show the name, "+" stands in a circle;
            (3, h, w), uint8 or floats in [-1, 1]: a picture;
            (n, m, 3, h, w): a table of pictures with gaps, such as patches;
            (n,) or (n, m) numbers: a column or a matrix of cells, the stronger the
            larger; blue above zero, orange below. Wide cells show their number.
            The label stands below; the width is in columns.
        arrows: (from, to), (from, to, bend), (from, to, bend, label) or (from, to,
            bend, label, "dashed"), between parts or groups; see `viz.diagram`.
        groups: title -> names of the parts that stand on a common ground.
        colors: name of a part or group -> its place in `look.PALETTE`.
        column: inches between two columns; the whole has 5.4.
        row: inches between two rows.
        title: shown below the figure.
        alt: what the parts show and the arrows connect, for those who cannot see them.

    Raises:
        ValueError: no parts, an unknown name, a content of another shape, parts that
            overlap, a figure too wide, or a missing `alt`.
    """
    look.check_words(title, alt)
    if not parts:
        raise ValueError("schema expected at least one part, got none.")
    read = {name: _read(name, part) for name, part in parts.items()}
    groups, colors = dict(groups or {}), dict(colors or {})
    _check_names(read, arrows, groups, colors)

    def paint(canvas):
        canvas.set_layout_engine("none")  # the places are final
        ax = canvas.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        _frame(canvas, ax, (0, 0, look.WIDTH, look.WIDTH))
        drawn = {
            name: _part(ax, name, part, (column, row), colors.get(name))
            for name, part in read.items()
        }
        _connect(canvas, ax, drawn, arrows, groups, colors)

    made = look.draw(paint, look.WIDTH, title, alt)
    kind = 'class="mmdl-figure mmdl-schema"'  # chosen for the card of its chapter
    return Figure(title, made.body.replace('class="mmdl-figure"', kind, 1))


def _connect(canvas, ax, drawn: dict, arrows, groups: dict, colors: dict) -> None:
    """Groups around parts and arrows between them, once the sizes are known."""
    canvas.draw_without_rendering()  # only then do words know their sizes
    ends = {name: end for name, (end, _) in drawn.items()}
    parts = {name: _extent(ax, artists) for name, (_, artists) in drawn.items()}
    _check_places(parts)
    boxes = dict(parts)
    for name, inside in groups.items():
        around = [parts[i] for i in inside]
        ends[name], boxes[name] = _group(ax, name, around, colors.get(name))
        others = {i: box for i, box in parts.items() if i not in inside}
        _check_places({name: boxes[name]} | others, first_only=True)
    _frame(canvas, ax, _union(boxes.values(), PAD))
    canvas.draw_without_rendering()
    said = {}
    for start, end, *rest in arrows:
        text = _arrow(ax, ends[start], ends[end], *rest)
        if text:
            said[f"{text.get_text()}, from {start} to {end}"] = _extent(ax, [text])
    for name, box in parts.items():
        _check_places({name: box} | said, first_only=True)
    _frame(canvas, ax, _union([*boxes.values(), *said.values()], PAD))


def _read(name: str, given) -> Part:
    """A part out of a tuple, checked."""
    if not isinstance(given, tuple) or not 2 <= len(given) <= 5:
        raise ValueError(
            f"schema expected {name!r} as (x, y, content, label, width), the last "
            f"three optional, got {given!r:.60}."
        )
    part = Part(*given)
    if isinstance(part.content, str):
        return part
    shape = tuple(getattr(part.content, "shape", ()))
    picture = len(shape) in (3, 5) and shape[-3] == 3
    drawable = isinstance(part.content, Tensor) and (picture or len(shape) in (1, 2))
    if not drawable or 0 in shape:
        raise ValueError(
            "schema expected words, a picture (3, h, w), pictures (n, m, 3, h, w) or "
            f"numbers (n,) or (n, m) in {name!r}, got "
            f"{shape if shape else type(part.content).__name__}."
        )
    if not part.content.isfinite().all():
        raise ValueError(f"schema expected finite numbers in {name!r}.")
    return part


def _check_names(parts: Mapping, arrows: Sequence, groups: Mapping, colors: Mapping):
    known = [*parts, *groups]
    for arrow in arrows:
        if not 2 <= len(arrow) <= 5 or (len(arrow) == 5 and arrow[4] != "dashed"):
            raise ValueError(
                "schema expected arrows (from, to, bend, label, 'dashed'), the last "
                f"three optional, got {arrow}."
            )
    asked = [name for arrow in arrows for name in arrow[:2]] + list(colors)
    unknown = [name for name in asked if name not in known]
    unknown += [i for inside in groups.values() for i in inside if i not in parts]
    if unknown:
        raise ValueError(
            f"schema expected one of {', '.join(known)}, got {unknown[0]}."
        )
    for name, inside in groups.items():
        if not inside:
            raise ValueError(
                f"schema expected at least one part in {name!r}, got none."
            )
    for name, color in colors.items():
        if color not in range(len(PALETTE)):
            raise ValueError(
                f"schema expected a color from 0 to {len(PALETTE) - 1} for {name!r}, "
                f"got {color!r}."
            )


def _frame(canvas, ax, box: tuple) -> None:
    """Show a box of (left, top, right, bottom) inches in the middle of the width."""
    left, top, right, bottom = box
    if right - left > look.WIDTH + 0.01:
        raise ValueError(
            f"schema expected at most {look.WIDTH} inches, the width of a phone, got "
            f"{right - left:.1f}: use fewer columns or a smaller `column`."
        )
    canvas.set_size_inches(look.WIDTH, bottom - top)
    middle = (left + right) / 2
    ax.set_xlim(middle - look.WIDTH / 2, middle + look.WIDTH / 2)
    ax.set_ylim(bottom, top)


def _part(ax, name: str, part: Part, grid: tuple, color) -> tuple:
    """Draw a part; returns the patch at which arrows end, and all of it."""
    x, y = part.x * grid[0], part.y * grid[1]
    line = INK if color is None else PALETTE[color]
    if isinstance(part.content, str):
        text = _words(ax, part.content or name, x, y, line)
        end, artists, foot = text.get_bbox_patch(), [text], None
    else:
        width = None if part.width is None else part.width * grid[0]
        end = _drawn(ax, part.content, x, y, width, line, color is not None)
        artists, foot = [end], end.get_y() + end.get_height()
    if part.label:
        foot = y + 0.3 if foot is None else foot
        place = {"ha": "center", "va": "top", "fontsize": SIZE, "linespacing": 1.1}
        artists.append(ax.text(x, foot + 0.04, part.label, **place))
    return end, artists


def _words(ax, text: str, x: int | float, y: int | float, line: str):
    shape = "circle,pad=0.15" if text == "+" else "round,pad=0.35,rounding_size=0.25"
    box = {"boxstyle": shape, "edgecolor": line, "linewidth": 1.4}
    box["facecolor"] = (line, 0.14) if line != INK else "none"
    return ax.text(x, y, text, ha="center", va="center", fontsize=SIZE, bbox=box)


def _drawn(ax, content: Tensor, x, y, width, line: str, framed: bool):
    """Pictures or cells around a place; returns the rectangle around them."""
    from matplotlib.patches import Rectangle

    grid = _grid(content)
    n, m = len(grid), len(grid[0])
    ratio = grid[0][0].shape[0] / grid[0][0].shape[1] if content.ndim > 2 else 1.0
    usual = 0.75 if content.ndim > 2 else min(0.2 * m, 1.5)
    width = usual if width is None else width
    cell = np.array([width / m, width / m * ratio])
    left, top = x - width / 2, y - n * cell[1] / 2
    for i in range(n):
        for j in range(m):
            corner = (left + j * cell[0], top + i * cell[1])
            if content.ndim > 2:
                gap = 0.06 * cell if content.ndim == 5 else 0 * cell
                _picture(ax, grid[i][j], corner + gap, cell - 2 * gap)
            else:
                largest = content.detach().abs().max().item() or 1.0
                _cell(ax, grid[i][j], largest, corner, cell[0])
    edge = line if framed else "none"
    end = Rectangle(
        (left, top), width, n * cell[1], facecolor="none", edgecolor=edge, linewidth=2.4
    )
    return ax.add_patch(end)


def _grid(content: Tensor) -> list:
    """Rows of pixel arrays (h, w, 3) or of numbers."""
    if content.ndim <= 2:
        table = look.bare(content)
        return (table if content.ndim == 2 else table[:, None]).tolist()
    tables = content if content.ndim == 5 else content[None, None]
    return [list(pixels(pictures)) for pictures in tables]


def _picture(ax, picture: np.ndarray, corner, size) -> None:
    from PIL import Image

    if max(picture.shape) > LARGEST:
        small = Image.fromarray(picture)
        small.thumbnail((LARGEST, LARGEST))
        picture = np.asarray(small)
    x, y = corner
    limits = ax.get_xlim(), ax.get_ylim()
    extent = (x, x + size[0], y + size[1], y)
    ax.imshow(picture, extent=extent, interpolation="none", aspect="auto", zorder=1.5)
    ax.set_xlim(limits[0]), ax.set_ylim(limits[1])


def _cell(ax, value: int | float, largest: int | float, corner, side) -> None:
    from matplotlib.patches import Rectangle

    color = (PALETTE[value < 0], 0.05 + 0.6 * abs(value) / largest)
    style = {"facecolor": color, "edgecolor": (INK, 0.45), "linewidth": 0.7}
    ax.add_patch(Rectangle(corner, side, side, **style))
    if side >= 0.42:  # inches: three digits fit
        middle = (corner[0] + side / 2, corner[1] + side / 2)
        text = word(round(value, 2))
        ax.text(*middle, text, ha="center", va="center", fontsize=SIZE)


def _extent(ax, artists: list) -> tuple:
    """(left, top, right, bottom) of what was drawn, in inches of the axes."""
    back = ax.transData.inverted()
    found = []
    for artist in artists:
        patch = getattr(artist, "get_bbox_patch", lambda: None)()
        ends = [artist, patch] if patch else [artist]
        for end in ends:
            (a, b), (c, d) = back.transform(end.get_window_extent())
            found.append((min(a, c), min(b, d), max(a, c), max(b, d)))
    return _union(found)


def _union(boxes, pad: float = 0.0) -> tuple:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left) - pad, min(top) - pad, max(right) + pad, max(bottom) + pad


def _check_places(boxes: Mapping, first_only: bool = False) -> None:
    """Raise ValueError where two boxes share ground, or the first one and another."""
    pairs = list(combinations(boxes.items(), 2))
    for (one, a), (other, b) in pairs[: len(boxes) - 1] if first_only else pairs:
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        if min(wide, high) > 0.02:
            raise ValueError(
                f"schema expected parts apart from each other, got {one!r} and "
                f"{other!r} overlapping by {wide:.2f} x {high:.2f} inches."
            )


def _group(ax, title: str, boxes: list, color) -> tuple:
    """A common ground below parts, its title in the upper left corner."""
    from matplotlib.patches import FancyBboxPatch

    left, top, right, bottom = _union(boxes, PAD)
    line = INK if color is None else PALETTE[color]
    words = {"ha": "left", "va": "bottom", "fontsize": SIZE, "fontweight": "bold"}
    text = ax.text(left + 0.03, top, title, **words, color=line)
    written = _extent(ax, [text])
    top, right = written[1] - 0.05, max(right, written[2] + 0.05)
    style = {"boxstyle": "round,pad=0,rounding_size=0.1", "edgecolor": (line, 0.5)}
    style |= {"facecolor": (line, 0.07), "linewidth": 1.0, "zorder": 0.5}
    ground = FancyBboxPatch((left, top), right - left, bottom - top, **style)
    return ax.add_patch(ground), (left, top, right, bottom)


def _arrow(ax, start, end, bend: int | float = 0, label: str = "", line: str = ""):
    """Draw an arrow; returns its words, None where it has none."""
    ways = [patch.get_window_extent() for patch in (start, end)]
    a, b = (np.array([(w.x0 + w.x1) / 2, (w.y0 + w.y1) / 2]) for w in ways)
    back = ax.transData.inverted().transform
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.3, "mutation_scale": 12}
    style |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": 2, "shrinkB": 2}
    style |= {"patchA": start, "patchB": end}
    style |= {"linestyle": (0, (4, 2.5))} if line else {}
    ax.annotate("", xy=back(b), xytext=back(a), arrowprops=style)
    if not label:
        return None
    # beside the middle of what is seen of the way, on the side to which it bows
    way = (_edge(ways[0], a, b) + _edge(ways[1], b, a)) / 2
    side = np.array([(b - a)[1], (a - b)[0]])
    middle = way + bend / 2 * side
    side = (side / np.linalg.norm(side)).round(3)
    across = side * (np.sign(bend) or np.sign(side[1]) or np.sign(side[0]))
    h, v = (int(np.sign(x)) if abs(x) > 0.2 else 0 for x in across)
    place = {"ha": ("center", "left", "right")[h], "va": ("center", "bottom", "top")[v]}
    place |= {"xytext": 5 * across, "textcoords": "offset points", "fontsize": SIZE}
    return ax.annotate(label, back(middle), annotation_clip=False, **place)


def _edge(box, inside, outside) -> np.ndarray:
    """Where the way from a box's middle to a place outside leaves the box."""
    way = outside - inside
    half = np.array([box.width, box.height]) / 2
    share = np.min(
        np.where(np.abs(way) > 1e-9, half / np.maximum(np.abs(way), 1e-9), 1)
    )
    return inside + min(1.0, share) * way
