"""Export what the demo of BERT needs: two nets in one file, their words, some verses.

Command: python recipes/masked_words_demo.py
Expected: half a minute on one core; writes `model.onnx`, `facts.json` and `still.webp`
to `mmdl_lib/demos/masked_words/`. Run it again after each training of the two nets:
`tests/demos/test_masked_words.py` compares the files with the weights.
"""

import json
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data import verses
from mmdl_lib.demos._export import network, webp, write
from mmdl_lib.demos._live.masked_words import Fill
from mmdl_lib.lab import masks

OUT = demos.HERE / "masked_words"
BOOKS = {"Esth": "Esther", "Job": "Job", "John": "John", "Jas": "James"}
SEED, COUNT = 0, 8  # of the verses that are drawn
SHORTEST, LONGEST, RARE = 9, masks.LENGTH - 2, 2  # words; no verse is cut off


def export(nets: Fill) -> bytes:
    """`tokens (1, t)` and `hidden (1, t)` to `bert (1, t, k)` and `gpt (1, t, k)`."""
    tokens = torch.full((1, masks.LENGTH), masks.UNK)
    arguments = tokens, torch.zeros(1, masks.LENGTH, dtype=torch.bool)
    return network(nets, arguments, ["tokens", "hidden"], ["bert", "gpt"])


def drawn() -> verses.Verses:
    """Some short verses of the test books with few rare words, as the seed wants it."""
    test, known = verses.load("test"), set(masks.vocabulary())
    good = [
        i
        for i, words in enumerate(test.english)
        if SHORTEST <= len(words) <= LONGEST
        and sum(word not in known for word in words) <= RARE
    ]
    order = torch.randperm(len(good), generator=generator(SEED))[:COUNT]
    return test.take(good[i] for i in order.tolist())


def leads(nets: Fill, words: list[str]) -> dict[int, float]:
    """For each known word, hidden alone: how much more probability BERT gives it."""
    row, found = masks.encode([words]).tokens, {}
    for i in range(len(words)):
        word = row[0, i + 1]
        if word == masks.UNK:
            continue
        hidden = torch.arange(masks.LENGTH)[None] == i + 1
        p, q = (x[0, i + 1].softmax(-1)[word].item() for x in nets(row, hidden))
        found[i] = p - q
    return found


def facts(nets: Fill) -> dict:
    """Everything but the networks: words, verses, and where the first one is hidden."""
    some, rows, gaps = drawn(), [], []
    for i, words in enumerate(some.english):
        lead = leads(nets, words)
        gaps += lead.values()
        # no mark, and something to read on its left: where BERT leads most
        some_left = {j: gap for j, gap in lead.items() if j > 1 and words[j].isalpha()}
        first = max(some_left, key=some_left.get)
        name = f"{BOOKS[some.book[i]]} {some.chapter[i]}:{some.verse[i]}"
        rows.append((lead[first], {"name": name, "words": words, "first": first}))
    rows = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    return {
        "length": masks.LENGTH,
        "vocab": masks.vocabulary(),
        "verses": rows,
        "known": len(gaps),
        "ahead": sum(gap > 0 for gap in gaps),
    }


def still(nets: Fill, verse: dict) -> bytes:
    """The first verse, its first hidden word and the likeliest fillers."""
    row, at = masks.encode([verse["words"]]).tokens, verse["first"] + 1
    found = nets(row, torch.arange(masks.LENGTH)[None] == at)
    image = Image.new("RGB", (640, 470), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    words = [*verse["words"]]
    words[at - 1] = "[MASK]"
    half = len(words) // 2
    for line, part in enumerate((words[:half], words[half:])):
        pen.text((20, 10 + 28 * line), " ".join(part), "black", font)
    names = {masks.UNK: "rare word", masks.SEP: "end of the verse"}
    titles = ("BERT: both sides", "GPT: left side only")
    for left, title, logits in zip((20, 335), titles, found, strict=True):
        pen.text((left, 76), title, "gray", font)
        best = logits[0, at].softmax(-1).topk(10)
        for j, (p, i) in enumerate(zip(*map(torch.Tensor.tolist, best), strict=True)):
            y, right = 110 + 35 * j, i == row[0, at]
            pen.text((left, y), names.get(i, masks.vocabulary()[i]), "black", font)
            box = (left + 110, y + 4, left + 110 + max(2, 120 * p), y + 22)
            pen.rectangle(box, "#0b7285" if right else "#adb5bd")
            share = f"{100 * p:.0f} %" if p >= 0.01 else "< 1 %"
            pen.text((box[2] + 6, y), share, "gray", font)
    return webp(image, quality=88)


@torch.no_grad()
def main(out: Path = OUT, nets: Fill | None = None) -> None:
    """Write the three files; of the trained nets, unless others are given."""
    nets = (nets or Fill()).eval()
    found = facts(nets)
    write(out / "model.onnx", export(nets))
    write(out / "facts.json", json.dumps(found, ensure_ascii=False).encode())
    write(out / "still.webp", still(nets, found["verses"][0]))


if __name__ == "__main__":
    main()
