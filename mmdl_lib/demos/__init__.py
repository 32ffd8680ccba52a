"""Demos: one ES module each, live in a notebook and on a page without a kernel.

In a notebook a demo is an anywidget and the kernel computes. While the site is built
(`MMDL_BUILD=1`) it is a piece of HTML: a still picture inside `<mmdl-demo>`, which
`book/_static/mmdl-host.js` brings to life with onnxruntime-web.
"""

import base64
import html
import json
import os
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORLDS = {"shapes": "Shapes", "emoji": "Emoji"}
# what a page needs of onnxruntime-web 1.30.0, and the sizes in bytes
RUNTIME = {
    "ort.wasm.bundle.min.mjs": 73_054,
    "ort-wasm-simd-threaded.wasm": 14_239_897,
}
# of each still picture: alternative text, caption, widest in em, pixels
STILL = {
    "clip": (
        "A grid of 64 pictures, one color a row and one shape a column, faded by their "
        "distance to the caption: a red star. The red row and the column of stars "
        "stand out, and most of all the red star.",
        "How near each picture is to the caption <em>a red star</em>: the farther, the "
        "fainter.",
        26,
        (512, 512),
    ),
    "augment": (
        "Two rows of four pictures of simple shapes: a picture, two views of it and a "
        "view of another picture. In the upper row the views are crops and keep their "
        "colors; in the lower row their colors are changed as well.",
        "A picture, two views of it, a view of another picture: by crops alone above, "
        "with color jitter below.",
        30,
        (544, 272),
    ),
    "vit": (
        "A picture of a shape, and beside it the same picture lit where the class "
        "token looks: patches on the shape are bright, most of the ground is dark.",
        "A picture, and where the class token looks: the brighter a patch, the more.",
        26,
        (512, 252),
    ),
}
NAMES = {
    "clip": "compare a caption with pictures",
    "augment": "draw two views of a picture",
    "vit": "draw a picture and see where a ViT looks",
}


class Page:
    """A demo as a page of the book shows it; needs no kernel."""

    def __init__(self, markup: str, name: str):
        self.markup = markup
        self.name = name

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"Demo: {NAMES[self.name]}"


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
    if weights not in WORLDS:
        raise ValueError(f"expected shapes or emoji, got {weights!r}.")
    state = {
        "worlds": [{"name": w, "title": WORLDS[w]} for w in worlds()],
        "first": weights,
    }
    return _demo(
        "clip", files(weights), state, lambda w: w.ClipWidget(weights, worlds())
    )


def augment():
    """Draw two views of a picture and compare them, by color and by SimCLR.

    Returns and raises: as `clip`.
    """
    return _demo("augment", _pair("augment"), {}, lambda w: w.AugmentWidget())


def vit():
    """Draw a picture; a tiny ViT names it and shows where its class token looks.

    Returns and raises: as `clip`.
    """
    return _demo("vit", _pair("vit"), {}, lambda w: w.ViTWidget())


def worlds() -> list[str]:
    """The galleries that `recipes/clip_demo.py` has exported."""
    return [w for w in WORLDS if all(path.exists() for path in files(w))]


def files(world: str) -> tuple[Path, Path]:
    """Network and gallery of a world."""
    return HERE / "clip" / f"{world}.onnx", HERE / "clip" / f"{world}.json"


def _pair(name: str) -> tuple[Path, Path]:
    return HERE / name / "model.onnx", HERE / name / "facts.json"


def _demo(name: str, needed: tuple[Path, ...], state: dict, live: Callable):
    """The page's form while the site is built, else the widget that `live` makes."""
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"expected the demo's files, got no {' and no '.join(missing)}: run "
            f"`python recipes/{name}_demo.py`."
        )
    if os.environ.get("MMDL_BUILD") == "1":
        size = sum(RUNTIME.values()) + sum(path.stat().st_size for path in needed)
        return Page(_element(name, state | {"megabytes": round(size / 1e6, 1)}), name)
    try:
        from mmdl_lib.demos import _widget
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"expected the package anywidget for a live demo, got {error}: "
            "pip install anywidget."
        ) from error
    return live(_widget)


def _element(name: str, state: dict) -> str:
    """The element that a page holds, with its still picture."""
    alt, caption, widest, (width, height) = STILL[name]
    picture = base64.b64encode((HERE / name / "still.webp").read_bytes()).decode()
    return (
        f'<mmdl-demo name="{name}" data-state="{html.escape(json.dumps(state))}">'
        f'<figure style="max-width: {widest}em; margin: 0 auto">'
        f'<img alt="{alt}" width="{width}" height="{height}" '
        'style="width: 100%; height: auto; background: none; padding: 0" '
        f'src="data:image/webp;base64,{picture}">'
        f"<figcaption>{caption}</figcaption></figure>"
        "<noscript>The demo needs JavaScript; the picture shows one answer of it."
        "</noscript></mmdl-demo>"
    )
