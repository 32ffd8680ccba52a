"""Demos: one folder each, live in a notebook and on a page without a kernel.

`demos.clip()` shows the demo of the folder `clip`: about.json says what it is, demo.js
is what runs, still.webp shows one answer. In a notebook a demo is an anywidget and the
kernel computes (`_live/clip.py`). While the site is built (`MMDL_BUILD=1`) it is a
piece of HTML: the still picture inside `<mmdl-demo>`, which `book/_static/mmdl-host.js`
brings to life with onnxruntime-web. A demo whose about.json says `"runtime": false`
loads no network: its page carries the module and works without Node, and from a file.
With `"files": true` besides, it loads files of its own after a click, and so needs a
server, but no Node. A new folder needs no further line.
"""

import base64
import functools
import html
import importlib
import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
# what a page needs of onnxruntime-web 1.30.0, and the sizes in bytes
RUNTIME = {
    "ort.wasm.bundle.min.mjs": 73_054,
    "ort-wasm-simd-threaded.wasm": 14_239_897,
}


class Page:
    """A demo as a page of the book shows it; needs no kernel."""

    def __init__(self, markup: str, title: str):
        self.markup = markup
        self.title = title

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"Demo: {self.title}"


def names() -> list[str]:
    """All demos: folders that say what they are."""
    return sorted(path.parent.name for path in HERE.glob("*/about.json"))


def about(name: str) -> dict:
    """What a demo says of itself: title; of its still picture alternative text,
    caption, largest width in em and size in pixels; whether it needs a runtime, or
    files alone."""
    return json.loads((HERE / name / "about.json").read_text("utf-8"))


def show(name: str, *options):
    """A demo by name; `demos.clip("emoji")` is `demos.show("clip", "emoji")`.

    Args:
        name: of the folder.
        options: what the demo may be told, as `_live/<name>.py` says.

    Returns:
        An anywidget; while the site is built, a `Page` (no widget state in the page).

    Raises:
        ValueError: an unknown demo or option.
        FileNotFoundError: its files are not there.
        ModuleNotFoundError: a package of the notebooks is not there, such as anywidget.
    """
    if name not in names():
        raise ValueError(f"expected one of {', '.join(names())}, got {name!r}.")
    try:
        widget = importlib.import_module(f"{__name__}._live.{name}").Widget
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected the package anywidget for a live demo, got {error}: "
            "pip install anywidget."
        ) from error
    needed, state = widget.page(*options)
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"expected the demo's files, got no {' and no '.join(missing)}: run "
            f"`python recipes/{name}_demo.py`."
        )
    if os.environ.get("MMDL_BUILD") != "1":
        return widget(*options)
    facts = about(name)
    title, runtime = facts["title"], facts.get("runtime", True)
    if not runtime and not facts.get("files", False):
        script = f'<script type="text/plain">{widget._esm}</script>'
        return Page(_element(name, state | {"title": title}, script), title)
    size = sum(RUNTIME.values()) if runtime else 0
    size += sum(path.stat().st_size for path in needed)
    state = state | {"title": title, "megabytes": round(size / 1e6, 1)}
    return Page(_element(name, state), title)


def __getattr__(name: str):
    if name.startswith("_") or name not in names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return functools.partial(show, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *names()])


def _element(name: str, state: dict, script: str = "") -> str:
    """The element that a page holds, with its still picture, and its module where that
    is all it needs."""
    facts = about(name)
    picture = base64.b64encode((HERE / name / "still.webp").read_bytes()).decode()
    width, height = facts["size"]
    needs = 'data-needs="files" ' if facts.get("files", False) else ""
    return (
        f'<mmdl-demo name="{name}" {needs}'
        f'data-state="{html.escape(json.dumps(state))}">'
        f'<figure style="max-width: {facts["widest"]}em; margin: 0 auto">'
        f'<img alt="{facts["alt"]}" width="{width}" height="{height}" '
        'style="width: 100%; height: auto; background: none; padding: 0" '
        f'src="data:image/webp;base64,{picture}">'
        f"<figcaption>{facts['caption']}</figcaption></figure>"
        "<noscript>The demo needs JavaScript; the picture shows one answer of it."
        f"</noscript>{script}</mmdl-demo>"
    )
