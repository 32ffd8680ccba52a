"""Play with a figure: live sliders with a kernel, precomputed states on the page."""

import html
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable
from numbers import Number

from mmdl_lib.viz.look import word

STATES = 200
BYTES = 4_000_000  # of all states together, before compression

# One explorer, found by its place in the page: no ids, no library, no global name.
SCRIPT = """
(script => {
  const root = script.parentElement;
  const states = JSON.parse(root.querySelector("script[type]").textContent);
  const controls = [...root.querySelectorAll("input, select")];
  const view = root.querySelector("[aria-live=polite]");
  let shown = 0;
  const show = () => {
    let state = 0;
    for (const control of controls) {
      const words = JSON.parse(control.dataset.words);
      const place = Number(control.value);
      state = state * words.length + place;
      if (control.type !== "range") continue;
      control.setAttribute("aria-valuetext", words[place]);
      control.closest("div").querySelector("output").value = words[place];
    }
    if (state !== shown) view.innerHTML = states.parts[states.order[state]];
    shown = state;
  };
  root.querySelector("fieldset").hidden = false;
  controls.forEach(control => control.addEventListener("input", show));
  show();
})(document.currentScript);
"""


class Explorer:
    """An explorer for a page: HTML that works without a kernel, from a file as well."""

    def __init__(self, title: str, body: str):
        self.title = title
        self.body = body

    def __repr__(self) -> str:
        return self.title

    def _repr_html_(self) -> str:
        return self.body


def explore(f: Callable, /, **choices):
    """Show `f(**state)` with one control for each keyword.

    With a kernel the controls are ipywidgets and call `f`. When the page is built
    (`MMDL_BUILD=1`), or where ipywidgets is missing, every state is computed now and
    the controls choose among them.

    Args:
        f: returns something that displays itself, such as a figure of `viz`, or text.
        choices: name -> values; numbers get a slider, anything else a menu.

    Returns:
        An object that the notebook displays.

    Raises:
        ValueError: no choices, an empty one, or too many states for a page.
    """
    values = {name: _values(name, given) for name, given in choices.items()}
    if not values:
        raise ValueError("explore expected at least one choice, such as x=[1, 2, 3].")
    if os.environ.get("MMDL_BUILD") == "1":
        return _page(f, values)
    try:
        import ipywidgets
    except ImportError:
        return _page(f, values)
    return _live(f, values, ipywidgets)


def _values(name: str, given) -> list:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(
            f"explore expected a list of values for {name!r}, got {given!r:.60}."
        )
    values = [v.item() if hasattr(v, "item") else v for v in given]
    if not values:
        raise ValueError(f"explore expected a value for {name!r}, got an empty list.")
    return values


def _is_range(values: list) -> bool:
    return all(isinstance(v, Number) and not isinstance(v, bool) for v in values)


def _name(name: str) -> str:
    return name.replace("_", " ")


def _html(result) -> str:
    """What a state shows: its own HTML, else its text."""
    if hasattr(result, "_repr_html_"):
        return result._repr_html_()
    style = "white-space:pre-wrap;background:none;border:0;color:inherit"
    return f'<pre style="{style}">{html.escape(str(result))}</pre>'


def _live(f: Callable, values: dict[str, list], ipywidgets):
    controls = {}
    for name, given in values.items():
        kind = ipywidgets.SelectionSlider if _is_range(given) else ipywidgets.Dropdown
        options = [(word(value), value) for value in given]
        style = {"description_width": "initial"}
        controls[name] = kind(options=options, description=_name(name), style=style)
    first = {name: control.value for name, control in controls.items()}
    view = ipywidgets.HTML(_html(f(**first)))

    def show(_change):
        state = {name: control.value for name, control in controls.items()}
        try:
            view.value = _html(f(**state))
        except Exception as error:  # ipywidgets would swallow it: the reader sees it
            view.value = _html(f"{type(error).__name__}: {error}")

    for control in controls.values():
        control.observe(show, names="value")
    return ipywidgets.VBox([*controls.values(), view])


def _page(f: Callable, values: dict[str, list]) -> Explorer:
    if math.prod(map(len, values.values())) > STATES:
        count = " x ".join(str(len(given)) for given in values.values())
        raise ValueError(
            f"explore expected at most {STATES} states for a page, got {count}: give "
            "fewer values."
        )
    states = itertools.product(*values.values())
    shown = [_html(f(**dict(zip(values, state, strict=True)))) for state in states]
    parts = {part: i for i, part in enumerate(dict.fromkeys(shown))}
    size = sum(len(part.encode()) for part in parts)
    if size > BYTES:
        raise ValueError(
            f"explore expected at most {BYTES / 1e6:g} MB of states for a page, got "
            f"{size / 1e6:.1f} MB: give fewer values or smaller figures."
        )
    data = {"order": [parts[part] for part in shown], "parts": list(parts)}
    # "<" is written as an escape, so that no state can close the script
    stored = json.dumps(data).replace("<", "\\u003c")
    names = ", ".join(_name(name) for name in values)
    controls = "".join(_control(name, given) for name, given in values.items())
    box = "border:1px solid rgba(128,128,128,.5);border-radius:6px"
    body = (
        f'<div class="mmdl-explore"><fieldset hidden style="{box};margin:0 0 .8em;'
        'padding:.4em 1em"><legend style="font-size:.9em;width:auto;margin:0;'
        f'padding:0 .4em">Choose {html.escape(names)}</legend>{controls}</fieldset>'
        f'<div aria-live="polite">{shown[0]}</div>'
        f'<script type="application/json">{stored}</script>'
        f"<script>{SCRIPT}</script></div>"
    )
    return Explorer(f"explore {names}", body)


def _control(name: str, values: list) -> str:
    """A labeled slider or menu; its value is the place in the list of values."""
    words = [word(value) for value in values]
    stored = html.escape(json.dumps(words))
    shared = f'data-words="{stored}" autocomplete="off"'
    row = (
        '<div style="display:flex;flex-wrap:wrap;gap:.3em .8em;align-items:center;'
        'min-height:2.2em"><label style="display:contents">'
        f'<span style="min-width:4em">{html.escape(_name(name))}</span>'
    )
    if not _is_range(values):
        options = "".join(
            f'<option value="{i}">{html.escape(shown)}</option>'
            for i, shown in enumerate(words)
        )
        style = "max-width:100%;font:inherit"
        return f'{row}<select {shared} style="{style}">{options}</select></label></div>'
    return (
        f'{row}<input type="range" min="0" max="{len(values) - 1}" step="1" value="0" '
        f'aria-valuetext="{html.escape(words[0])}" {shared} style="flex:1 1 8em;'
        f'max-width:24em;height:1.8em"></label>'
        f'<output aria-live="off" style="min-width:3em">{html.escape(words[0])}'
        "</output></div>"
    )
