"""Write what the demo of the VAE's board shows: the decoder, and where digits lie.

Command: python recipes/latent_board_demo.py
Expected: a few seconds on one core; writes `facts.json` and `still.webp` to
`mmdl_lib/demos/latent_board/`. Run it again after each training of the board:
`tests/demos/test_latent_board.py` compares the file with the weights.
"""

import base64
import json

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.data import digits
from mmdl_lib.demos._export import webp, write
from mmdl_lib.pretrained import small

OUT = demos.HERE / "latent_board"
REACH, DOTS = 3.0, 120
SHOWN = (0.1, -2.4)  # where the still picture's ring stands


def packed(values: torch.Tensor) -> tuple[str, float]:
    """Numbers as whole steps in 16 bits, and the step."""
    step = values.abs().max().item() / 32_767
    steps = (values / step).round().to(torch.int16)
    return base64.b64encode(steps.numpy().tobytes()).decode(), step


@torch.no_grad()
def facts() -> dict:
    """The decoder's two layers, and new digits with their places on the board."""
    model = small.load("vae", "board")
    layers = []
    for layer in (model.decoder[0], model.decoder[2]):
        weight, bias = packed(layer.weight), packed(layer.bias)
        scale = [weight[1], bias[1]]
        known = {"weight": weight[0], "bias": bias[0], "scale": scale}
        layers.append(known | {"shape": list(layer.weight.shape)})
    image, label = digits.load("test")
    place = model.encode_image(digits.to_float(image))[:DOTS]
    dots = [
        [round(x, 2), round(y, 2), int(digit)]
        for (x, y), digit in zip(place.tolist(), label[:DOTS], strict=True)
        if max(abs(x), abs(y)) < REACH
    ]
    return {"layers": layers, "dots": dots, "size": 8, "reach": REACH}


@torch.no_grad()
def still(dots: list) -> Image.Image:
    """The board with its digits, and the picture at one place."""
    image = Image.new("RGB", (640, 320), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15)

    def pixel(v: float) -> float:
        return 10 + 300 * (v + REACH) / (2 * REACH)

    for x, y, digit in dots:
        draw.text((pixel(x), pixel(y)), str(digit), "black", font, anchor="mm")
    x, y = map(pixel, SHOWN)
    draw.ellipse((x - 11, y - 11, x + 11, y + 11), outline="#c22", width=4)
    drawn = small.load("vae", "board").decode(torch.tensor([SHOWN]))[0, 0].clamp(-1, 1)
    gray = ((drawn + 1) * 127.5).round().to(torch.uint8).numpy()
    image.paste(Image.fromarray(gray).resize((300, 300), Image.NEAREST), (330, 10))
    return image


def main() -> None:
    found = facts()
    write(OUT / "facts.json", json.dumps(found).encode())
    write(OUT / "still.webp", webp(still(found["dots"]), quality=80))


if __name__ == "__main__":
    main()
