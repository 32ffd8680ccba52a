"""Write what the demo of fused vectors needs: 1,464 words by text and by pictures.

Command: python recipes/fusion_demo.py
Expected: some seconds on one core; writes `vectors.bin`, `tiles.webp`, `facts.json` and
`still.webp` to `mmdl_lib/demos/fusion/`, and says how many words keep their first
neighbor at three weights.

The words are all of `mmdl_lib.data.word_pictures`, in 8 bits. A word is shown by one
drawing of the clip art: one with its name, if there is one (`drawing`). OpenMoji's
pictures are not copied: a word that has no others shows none.
"""

import json

import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mmdl_lib import demos
from mmdl_lib.data import clipart, word_pictures
from mmdl_lib.demos._export import quantize, to_image, webp, write
from mmdl_lib.lab import fused
from mmdl_lib.models.concat_fusion import fuse, nearest

OUT = demos.HERE / "fusion"
SIDE, COLUMNS = 32, 32
ASKED, GAMMAS = "pencil", (0, 0.5, 1)


def drawing(word: str, mean: Float[Tensor, " m"], names: list[str]) -> int:
    """The number of the drawing that stands for a word, -1 if there is none: one with
    its name, else with the word in its name; of equals that nearest to the mean.

    Args:
        word: with pictures.
        mean: of its pictures' features.
        names: of all drawings.
    """
    data = word_pictures.load()

    def far(picture: int) -> tuple:
        name, feature = names[data.row[picture]], data.feature[picture]
        near = feature @ mean / feature.norm()
        return name != word, word not in name.split(), -near.item()

    drawn = [picture for picture in data.of(word) if data.row[picture] >= 0]
    return int(data.row[min(drawn, key=far)]) if drawn else -1


def together() -> list[list[int]]:
    """Numbers of words that share a picture: sets that lie in no larger one."""
    data, shown = word_pictures.load(), {}
    for picture, word in zip(data.picture.tolist(), data.word.tolist(), strict=True):
        shown.setdefault(picture, set()).add(word)
    sets = {frozenset(words) for words in shown.values() if len(words) > 1}
    return sorted(sorted(one) for one in sets if not any(one < two for two in sets))


def atlas(rows: list[int]) -> UInt8[Tensor, "3 h w"]:
    """Drawings side by side, line by line."""
    small = avg_pool2d(clipart.load().image[rows].float(), 64 // SIDE)
    empty = small.new_full((-len(rows) % COLUMNS, *small.shape[1:]), 255)
    grid = torch.cat([small, empty]).unflatten(0, (-1, COLUMNS))
    return grid.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2).round().byte()


def still(
    words: list[str], text: Tensor, image: Tensor, tile: list[int]
) -> Image.Image:
    """The first question: the four nearest words by pictures, by both and by text."""
    page = Image.new("RGB", (640, 250), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(20)
    pen.text((20, 14), f"Nearest to {ASKED}", "black", ImageFont.load_default(26))
    asked, drawn = torch.tensor([words.index(ASKED)]), clipart.load().image
    titles = ("Pictures alone", "Both, half and half", "Text alone")
    for column, (title, gamma) in enumerate(zip(titles, GAMMAS, strict=True)):
        left = 20 + 210 * column
        pen.text((left, 54), title, "#555555", font)
        cosines, rows = nearest(fuse(text, image, gamma), asked, 4)
        for k, (cosine, row) in enumerate(
            zip(cosines[0].tolist(), rows[0].tolist(), strict=True)
        ):
            top = 86 + 40 * k
            if tile[row] >= 0:
                seen = to_image(drawn[tile[row]]).resize((34, 34))
                page.paste(seen, (left, top))
            pen.text((left + 44, top + 4), words[row], "black", font)
            pen.text((left + 140, top + 4), f"{cosine:.2f}", "black", font)
    return page


def kept(one: tuple, two: tuple) -> list[float]:
    """Which share of the words has the same first neighbor, at each of `GAMMAS`."""
    every = torch.arange(len(one[0]))
    rows = [[nearest(fuse(*x, g), every, 1)[1] for x in (one, two)] for g in GAMMAS]
    return [(a == b).float().mean().item() for a, b in rows]


def numbered(rows: list[int]) -> tuple[list[int], list[int]]:
    """The drawings that are used, and for each word which of them, -1 for none."""
    used = sorted(set(rows) - {-1})
    place = {row: i for i, row in enumerate(used)} | {-1: -1}
    return used, [place[row] for row in rows]


def main() -> None:
    words, names = word_pictures.load().words, clipart.load().name
    whole = fused.text_vectors(words), fused.picture_vectors(words)
    rows = [
        drawing(word, mean, names) for word, mean in zip(words, whole[1], strict=True)
    ]
    used, tile = numbered(rows)
    text, image = (quantize(vectors) for vectors in whole)
    raw = text.numpy().tobytes() + image.numpy().tobytes()
    write(OUT / "vectors.bin", raw)
    write(OUT / "tiles.webp", webp(to_image(atlas(used)), quality=55))
    facts = {"text": text.shape[1], "image": image.shape[1], "words": words,
             "tile": tile, "names": [names[row] for row in used],
             "size": SIDE, "columns": COLUMNS, "together": together()}  # fmt: skip
    write(OUT / "facts.json", json.dumps(facts, separators=(",", ":")).encode())
    small = text.float(), image.float()
    write(OUT / "still.webp", webp(still(words, *small, rows), quality=55))
    shares = zip(GAMMAS, kept(whole, small), strict=True)
    print("the same first neighbor:", {g: f"{100 * x:.1f} of 100" for g, x in shares})


if __name__ == "__main__":
    main()
