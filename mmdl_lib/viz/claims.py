"""A forest plot of claims: what was measured, how sure it is, and what that says.

Each claim is a row of words and a strip: the difference with its 95 % interval, the
seeds as dots, the margin as a band around zero. To the right of zero lies what the
paper says. Claims of one unit share a scale; shape and word tell the verdict.
"""

import html
from collections.abc import Sequence

from mmdl_lib.record import VERDICTS, results
from mmdl_lib.viz import look
from mmdl_lib.viz.look import PALETTE, Figure, word

WIDE, HIGH, MIDDLE = 320, 40, 17  # units of the strip: one is about a pixel
GRAY = PALETTE[6]
COLORS = dict(zip(VERDICTS, (PALETTE[2], PALETTE[1], PALETTE[0], GRAY), strict=True))
SIGNS = dict(zip(VERDICTS, "▶◀■○", strict=True))
TIE = "min-width:14em;flex:1 1 16em"


def claims(slug: str, *, title: str | None = None) -> Figure:
    """The claims of `results/<slug>.json` as a forest plot, headlines first.

    Args:
        slug: the recipe's name.
        title: shown below; by default it counts the verdicts.

    Raises:
        FileNotFoundError: nothing has been measured under that name.
        ValueError: the file holds no claims, or one that lacks something.
    """
    found = results(slug).get("claims") or []
    if not found:
        raise ValueError(
            f"expected claims in results/{slug}.json, got none: run "
            f"`python recipes/{slug}.py summary`."
        )
    return look.figure(
        forest(found), title or f"{len(found)} claims tried in small: {count(found)}"
    )


def count(found: Sequence[dict]) -> str:
    """How many of each verdict, in words.

    Example:
        >>> count([{"verdict": "holds"}, {"verdict": "holds"}])
        'holds 2'
    """
    said = [claim["verdict"] for claim in found]
    return ", ".join(f"{v} {said.count(v)}" for v in VERDICTS if v in said)


def forest(found: Sequence[dict]) -> str:
    """The rows as HTML, headlines first; each strip has its own alternative text.

    Args:
        found: records of claims, as `lab.judge` makes them.

    Raises:
        ValueError: a record that lacks something.
    """
    for claim in found:
        check(claim)
    scales = {unit: _scale(found, unit) for unit in {c["unit"] for c in found}}
    rows = sorted(found, key=lambda claim: not claim["headline"])  # stable
    return (
        '<ul class="mmdl-forest" style="list-style:none;margin:0;padding:0">'
        + "".join(_row(claim, scales[claim["unit"]]) for claim in rows)
        + "</ul>"
    )


NEEDED = ("id", "claim", "paper", "note", "unit", "ours", "low", "high", "seeds")
NEEDED += ("values", "margin", "why", "headline", "verdict")


def check(claim: dict) -> None:
    """Raise ValueError where a record lacks something or says an unknown verdict."""
    missing = [key for key in NEEDED if key not in claim]
    if missing:
        name = claim.get("id", "a claim")
        raise ValueError(f"expected {', '.join(missing)} in {name}.")
    if claim["verdict"] not in VERDICTS:
        known = ", ".join(VERDICTS)
        raise ValueError(
            f"{claim['id']} expected one of {known}, got {claim['verdict']!r}."
        )


def spoken(claim: dict) -> str:
    """The difference with its interval, as text: `0.95 (0.94 to 0.96)`."""
    if claim["low"] is None:
        return f"{word(claim['ours'])} (one seed)"
    mean, low, high = look.words([claim[k] for k in ("ours", "low", "high")])
    return f"{mean} ({low} to {high})"


def badge(said: str) -> str:
    """Shape and word of a verdict."""
    return (
        f'<span class="mmdl-verdict" style="white-space:nowrap;font-weight:600">'
        f'<span aria-hidden="true" style="color:{COLORS[said]}">{SIGNS[said]}</span> '
        f"{said}</span>"
    )


def _row(claim: dict, scale: float | int) -> str:
    text = html.escape(claim["claim"])
    text = f"<strong>{text}</strong>" if claim["headline"] else text
    paper = html.escape(claim["paper"] or "no number")
    seeds = f"{claim['seeds']} seed{'s' * (claim['seeds'] != 1)}"
    unit = html.escape(claim["unit"])
    numbers = f"{spoken(claim)} {unit}, {seeds}"
    return (
        f'<li data-verdict="{claim["verdict"]}" style="display:flex;flex-wrap:wrap;'
        'gap:.2em 1.2em;padding:.5em 0;border-top:1px solid rgba(128,128,128,.35)">'
        f'<div style="{TIE}">{text}<div style="font-size:.85em;opacity:.85">'
        f"Paper: {paper}<br>{html.escape(claim['note'])}{_more(claim)}</div></div>"
        f'<div style="{TIE}">{_strip(claim, scale)}<div style="font-size:.85em">'
        f"{badge(claim['verdict'])}: {numbers}</div></div></li>"
    )


def _more(claim: dict) -> str:
    """What a world without the mechanism means for the claim."""
    shown = claim.get("check")
    if not shown:
        return ""
    text = html.escape(shown["text"])
    return f"<br>Mechanism {'shown' if shown['shown'] else 'not shown'}: {text}"


def _scale(found: Sequence[dict], unit: str) -> float:
    """Half the width of the strips of a unit, in that unit."""
    spans = [1.2 * c["margin"] for c in found if c["unit"] == unit]
    for claim in found:
        if claim["unit"] == unit:
            ends = [claim[k] for k in ("ours", "low", "high")]
            spans += [abs(x) for x in [*ends, *claim["values"]] if x is not None]
    return 1.08 * max(spans)


def _strip(claim: dict, scale: float | int) -> str:
    def x(value) -> str:
        return f"{WIDE / 2 * (1 + max(-1, min(1, value / scale))):.1f}"

    color, y = COLORS[claim["verdict"]], MIDDLE
    left, right = float(x(-claim["margin"])), float(x(claim["margin"]))
    parts = [
        f'<rect x="{left}" y="3" width="{max(1, right - left):.1f}" '
        f'height="{2 * y - 6}" fill="currentColor" fill-opacity=".13"/>',
        f'<path d="M{x(0)} 1V{2 * y - 1}" stroke="currentColor" stroke-width="1"/>',
    ]
    parts += [
        f'<circle cx="{x(value)}" cy="{y + 8}" r="1.7" fill="currentColor" '
        'fill-opacity=".6"/>'
        for value in claim["values"]
    ]
    if claim["low"] is not None:
        line = f"M{x(claim['low'])} {y}H{x(claim['high'])}"
        parts.append(f'<path d="{line}" stroke="{color}" stroke-width="2.2"/>')
    parts.append(_mark(claim["verdict"], float(x(claim["ours"])), y, color))
    parts += _ticks(scale)
    alt = html.escape(_alt(claim))
    return (
        f'<svg role="img" aria-label="{alt}" viewBox="0 0 {WIDE} {HIGH + 8}" '
        f'style="display:block;width:100%;max-width:{WIDE + 60}px;height:auto;'
        f'font-family:inherit;font-size:10px;fill:currentColor">{"".join(parts)}</svg>'
    )


def _mark(said: str, x: float, y: int, color: str) -> str:
    shapes = {
        "holds": f"M{x - 4:.1f} {y - 6}L{x + 6:.1f} {y}L{x - 4:.1f} {y + 6}Z",
        "reversed": f"M{x + 4:.1f} {y - 6}L{x - 6:.1f} {y}L{x + 4:.1f} {y + 6}Z",
        "no effect here": f"M{x - 4.5:.1f} {y - 4.5}h9v9h-9Z",
    }
    if said in shapes:
        return f'<path d="{shapes[said]}" fill="{color}"/>'
    # open: the ring of the ground's color cannot be known, so the line shows through
    ring = f'cx="{x:.1f}" cy="{y}" r="4.5" fill="none"'
    return f'<circle {ring} stroke="{color}" stroke-width="1.6"/>'


def _ticks(scale: float | int) -> list[str]:
    step = _round(scale * 0.7)
    shown = look.words([-step, step])
    places = (-step / scale, 0, step / scale)
    return [
        f'<text x="{WIDE / 2 * (1 + at):.1f}" y="{HIGH + 4}" text-anchor="middle">'
        f"{'+' * (at > 0)}{text}</text>"
        for at, text in zip(places, (shown[0], "0", shown[1]), strict=True)
    ]


def _round(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most the value."""
    power = 10.0 ** int(f"{value:e}".partition("e")[2])
    return max(n * power for n in (1, 2, 5) if n * power <= value * (1 + 1e-9))


def _alt(claim: dict) -> str:
    margin = f"margin {word(claim['margin'])}"
    return f"{claim['verdict']}: {spoken(claim)} {claim['unit']}, {margin}"
