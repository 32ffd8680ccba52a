"""Compute what the demo of alignment shows: clauses, attention weights, gold links.

Command: python recipes/alignment_demo.py
Expected: a few seconds on one core; writes `facts.json` and `still.webp` to
`mmdl_lib/demos/alignment/`. Run it again after each training of the two translators:
`tests/demos/test_alignment.py` compares the file with the weights.
"""

import json
from functools import cache

import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos, pretrained
from mmdl_lib.core import generator
from mmdl_lib.data.verses import Verses
from mmdl_lib.demos._export import webp, write
from mmdl_lib.lab import one_vocabulary
from mmdl_lib.lab import translation as tr

OUT = demos.HERE / "alignment"
SEED, SHOWN = 2015, 20
LONGEST = 12  # words of a clause, as in the training of both
LEAST = 4  # English words with a gold link, so that there is something to count
BOOKS = {"Esth": "Esther", "Job": "Job", "John": "John", "Jas": "James"}


def judged(text: Verses) -> list[int]:
    """How many English words of each clause have a gold link."""
    return [len({i for i, _ in gold}) for gold in text.links]


def found(links: tr.Links, text: Verses) -> list[int]:
    """How many of those words are linked to a word that they translate."""
    both = zip(links, text.links, strict=True)
    return [len({i for i, j in mine if (i, j) in gold}) for mine, gold in both]


@cache
def clauses() -> tr.Pairs:
    """All clauses of the books that no translator was trained on."""
    return tr.pairs("test", longest=LONGEST)


@cache
def eligible() -> list[int]:
    """Rows of the clauses that may be drawn."""
    return [i for i, n in enumerate(judged(clauses().text)) if n >= LEAST]


def drawn() -> list[int]:
    """Rows of the clauses that the demo shows, in the order of the draw."""
    order = torch.randperm(len(eligible()), generator=generator(SEED))
    return [eligible()[k] for k in order[:SHOWN].tolist()]


@cache
@torch.no_grad()
def weights() -> dict[str, list[torch.Tensor]]:
    """Of each English word on each Spanish word, for all clauses; mean over heads."""
    cross = one_vocabulary.cross_weights(
        pretrained.load("transformer", "verses"), clauses()
    )
    first, second = ([layers[k].mean(0) for layers in cross] for k in (0, 1))
    bahdanau = tr.word_weights(pretrained.load("bahdanau", "verses"), clauses())
    return {"bahdanau": bahdanau, "transformer": second, "first layer": first}


def clause(i: int) -> dict:
    """A clause; its weights in thousandths."""
    text = clauses().text
    looks = {name: weights()[name][i] for name in ("bahdanau", "transformer")}
    return {
        "name": f"{BOOKS[text.book[i]]} {text.chapter[i]}:{text.verse[i]}",
        "spanish": " ".join(text.spanish[i]),
        "english": " ".join(text.english[i]),
        "gold": sorted(text.links[i]),
        "diagonal": [j for _, j in sorted(tr.diagonal(text)[i])],
        "weights": {k: (1000 * w).round().int().tolist() for k, w in looks.items()},
    }


def facts() -> dict:
    """The clauses, and what is found in all of those that are new to the models."""
    text = clauses().text
    links = {name: tr.best(w) for name, w in weights().items()}
    links["diagonal"] = tr.diagonal(text)
    return {
        "clauses": [clause(i) for i in drawn()],
        "found": {name: sum(found(mine, text)) for name, mine in links.items()},
        "links": sum(judged(text)),
        "count": len(text),
        "eligible": len(eligible()),
        "longest": LONGEST,
        "least": LEAST,
    }


def still(one: dict) -> Image.Image:
    """The first clause: where Bahdanau's model looks most, and (dashed) gold links."""
    image = Image.new("RGB", (1280, 520), "white")
    letters = font_manager.findfont("DejaVu Sans")  # Pillow's own has no accents
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(letters, 30)
    places = {}
    for side, y in (("spanish", 60), ("english", 440)):
        words = one[side].split()
        gap = (1200 - sum(map(font.getlength, words))) / max(len(words) - 1, 1)
        x, places[side] = 40, []
        for word in words:
            width = font.getlength(word)
            draw.text((x, y), word, "black", font, anchor="lm")
            places[side].append(x + width / 2)
            x += width + gap
    for i in sorted({i for i, _ in one["gold"]}):
        row = one["weights"]["bahdanau"][i]
        x, to = places["english"][i], places["spanish"][row.index(max(row))]
        draw.line((x, 412, to, 88), "#0b7285", round(2 + max(row) / 70))
    for i, j in one["gold"]:
        x, to = places["english"][i] + 12, places["spanish"][j] + 12
        for k in range(0, 20, 2):
            a, b = k / 20, (k + 1) / 20
            ends = [(x + (to - x) * t, 412 - 324 * t) for t in (a, b)]
            draw.line(ends, "black", 4)
    return image


def main() -> None:
    known = facts()
    write(OUT / "facts.json", json.dumps(known, ensure_ascii=False).encode())
    write(OUT / "still.webp", webp(still(known["clauses"][0]), quality=80))


if __name__ == "__main__":
    main()
