"""Demos: one ES module each, live in a notebook and on a page without a kernel.

In a notebook `clip()` is an anywidget and the kernel computes. While the site is built
(`MMDL_BUILD=1`) it is a piece of HTML: a still picture inside `<mmdl-demo>`, which
`book/_static/mmdl-host.js` brings to life with onnxruntime-web.
"""

import base64
import html
import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORLDS = {"shapes": "Shapes", "emoji": "Emoji"}
# what a page needs of onnxruntime-web 1.30.0, and the sizes in bytes
RUNTIME = {
    "ort.wasm.bundle.min.mjs": 73_054,
    "ort-wasm-simd-threaded.wasm": 14_239_897,
}
ALT = (
    "A grid of 64 pictures, one color a row and one shape a column, faded by their "
    "distance to the caption: a red star. The red row and the column of stars stand "
    "out, and most of all the red star."
)


def worlds() -> list[str]:
    """The galleries that `recipes/clip_demo.py` has exported."""
    return [w for w in WORLDS if all(path.exists() for path in files(w))]


def files(world: str) -> tuple[Path, Path]:
    """Network and gallery of a world."""
    return HERE / "clip" / f"{world}.onnx", HERE / "clip" / f"{world}.json"


class Page:
    """A demo as a page of the book shows it; needs no kernel."""

    def __init__(self, markup: str):
        self.markup = markup

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return "Demo: compare a caption with pictures"


def clip(weights: str = "shapes"):
    """Compare a caption with a gallery of pictures.

    Args:
        weights: the gallery to begin with, "shapes" or "emoji".

    Returns:
        An anywidget; while the site is built, a `Page` (no widget state in the page).

    Raises:
        ValueError: an unknown gallery.
        FileNotFoundError: its files are not there.
        ModuleNotFoundError: a live notebook without the package anywidget.
    """
    _check(weights)
    if os.environ.get("MMDL_BUILD") == "1":
        return Page(clip_html(weights))
    try:
        from mmdl_lib.demos._widget import ClipWidget
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected the package anywidget for a live demo, got {error}: "
            "pip install anywidget."
        ) from error
    return ClipWidget(weights, worlds())


def clip_html(weights: str = "shapes") -> str:
    """The element that a page holds, with its still picture; see `clip` for errors."""
    _check(weights)
    size = sum(RUNTIME.values()) + sum(f.stat().st_size for f in files(weights))
    state = {
        "worlds": [{"name": w, "title": WORLDS[w]} for w in worlds()],
        "first": weights,
        "megabytes": round(size / 1e6, 1),
    }
    picture = base64.b64encode((HERE / "clip/still.webp").read_bytes()).decode()
    return (
        f'<mmdl-demo name="clip" data-state="{html.escape(json.dumps(state))}">'
        '<figure style="max-width: 26em; margin: 0 auto">'
        f'<img alt="{ALT}" width="512" height="512" '
        'style="width: 100%; height: auto; background: none; padding: 0" '
        f'src="data:image/webp;base64,{picture}">'
        "<figcaption>How near each picture is to the caption <em>a red star</em>: the "
        "farther, the fainter.</figcaption></figure>"
        "<noscript>The demo needs JavaScript; the picture shows one answer of it."
        "</noscript></mmdl-demo>"
    )


def _check(weights: str) -> None:
    if weights not in WORLDS:
        raise ValueError(f"expected shapes or emoji, got {weights!r}.")
    missing = [path.name for path in files(weights) if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"expected the demo's files, got no {' and no '.join(missing)}: run "
            "`python recipes/clip_demo.py`."
        )
