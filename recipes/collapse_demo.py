"""Draw the still picture of the demo of collapse, from the demo's own training.

Command: python recipes/collapse_demo.py
Expected: a few seconds on one core; needs Node; writes `still.webp` to
`mmdl_lib/demos/collapse/`. Run it again when `byol.js` changes.
"""

import colorsys
import json
import subprocess

from PIL import Image, ImageDraw

from mmdl_lib import demos
from mmdl_lib.demos._export import webp, write

OUT = demos.HERE / "collapse"
SIDE, LARGER = 320, 4
TRAIN = """
import(process.argv[1]).then((m) => {
  const pictures = m.views(m.PLACES, m.generator(1000));
  console.log(JSON.stringify([true, false].map((predictor) => {
    const state = m.start(0, { predictor, stop: true, slow: true, norm: true });
    for (let i = 0; i < m.TRAINING.steps; i++) m.step(state);
    return m.drawn(m.forward(state.online, pictures).out).points;
  })));
});
"""


def trained() -> list:
    """Places of the dots, (n, 2) each: with all parts, and without the predictor."""
    module = (OUT / "byol.js").as_uri()
    command = ["node", "--input-type=module", "-e", TRAIN, module]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def still(clouds: list) -> Image.Image:
    """One disk for each set of dots, side by side."""
    side = SIDE * LARGER
    image = Image.new("RGBA", (side * len(clouds), side))
    draw = ImageDraw.Draw(image)
    for k, dots in enumerate(clouds):

        def circle(x, y, radius, left=k * side, **look):
            x, y, r = (left + side * (1.1 + x) / 2.2, side * (1.1 - y) / 2.2, radius)
            r *= side / 2.2
            draw.ellipse((x - r, y - r, x + r, y + r), **look)

        circle(0, 0, 1.05, outline=(136, 136, 136), width=LARGER)
        for i, (x, y) in enumerate(dots):
            color = colorsys.hls_to_rgb(i / len(dots), 0.5, 0.7)
            circle(x, y, 0.035, fill=tuple(round(255 * c) for c in color))
    return image.resize((SIDE * len(clouds), SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    write(OUT / "still.webp", webp(still(trained()), quality=60))


if __name__ == "__main__":
    main()
