"""Tables of results, in the look of `viz`."""

import html
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mmdl_lib.viz.look import Figure, word


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
