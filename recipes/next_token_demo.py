"""Export what the demo of GPT needs: the network, its pieces, some beginnings.

Command: python recipes/next_token_demo.py
Expected: half a minute on one core; writes `model.onnx`, `facts.json` and `still.webp`
to `mmdl_lib/demos/next_token/`. Run it again after each training of GPT:
`tests/demos/test_next_token.py` compares the files with the weights.
"""

import json
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos, pretrained
from mmdl_lib.data import verses
from mmdl_lib.demos._export import network, webp, write
from mmdl_lib.demos._live.next_token import Next
from mmdl_lib.nn.decode import truncate

OUT = demos.HERE / "next_token"
BEGINS = ("and the lord said unto", "in the beginning", "blessed are", "thou shalt not")
TOP_P = 0.5  # of the still picture


def export(gpt) -> bytes:
    """`tokens (1, context)` and `place (1,)` to `logits (1, k)`.

    Always the whole context: what stands behind the place changes nothing in it.
    """
    tokens = torch.zeros(1, gpt.config.context, dtype=torch.long)
    arguments = tokens, torch.zeros(1, dtype=torch.long)
    return network(Next(gpt), arguments, ["tokens", "place"], ["logits"])


def facts(gpt) -> str:
    """Everything but the network, as one JSON text."""
    pieces = verses.pieces("english")
    engine = json.loads(pieces.engine.to_str())["model"]
    vocab = sorted(engine["vocab"], key=engine["vocab"].get)
    return json.dumps(
        {
            "context": gpt.config.context,
            "vocab": vocab,
            "merges": [" ".join(pair) for pair in engine["merges"]],
            "letters": "".join(sorted(pieces.letters)),
            "begins": BEGINS,
        },
        ensure_ascii=False,
    )


def still(gpt) -> bytes:
    """The first beginning, and the likeliest pieces behind it."""
    pieces = verses.pieces("english")
    ids = torch.tensor([pieces.encode(BEGINS[0].split()).ids[:-1]])
    logits = gpt.logits(ids)[:, -1]
    share = logits.softmax(-1)[0]
    kept = truncate(logits, top_p=TOP_P).softmax(-1)[0]
    image = Image.new("RGB", (640, 420), "white")
    pen = ImageDraw.Draw(image)
    pen.text((20, 14), f"{BEGINS[0]} ...", "black", ImageFont.load_default(26))
    font = ImageFont.load_default(20)
    for row, i in enumerate(share.topk(10).indices.tolist()):
        y, left = 62 + 35 * row, kept[i] > 0
        word = pieces.engine.id_to_token(i).replace("</w>", "")
        pen.text((20, y), word, "black" if left else "gray", font)
        size = (kept if left else share)[i].item()
        box = (170, y + 4, 170 + max(2, 380 * size), y + 22)
        pen.rectangle(box, "#0b7285" if left else "#adb5bd")
        pen.text(
            (box[2] + 8, y), f"{100 * size:.0f} %" if left else "cut", "gray", font
        )
    return webp(image, quality=88)


@torch.no_grad()
def main(out: Path = OUT, gpt=None) -> None:
    """Write the three files; of the trained model, unless another one is given."""
    gpt = gpt or pretrained.load("gpt", "verses")
    write(out / "model.onnx", export(gpt))
    write(out / "facts.json", facts(gpt).encode())
    write(out / "still.webp", still(gpt))


if __name__ == "__main__":
    main()
