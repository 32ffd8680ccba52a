"""Write what the demo of caption scores needs: tables, a corpus, six scenes.

Command: python recipes/caption_scores_demo.py
Expected: a few seconds on one core; writes `facts.json` and `still.webp` to
`mmdl_lib/demos/caption_scores/`. The tables are those of `mmdl_lib.metrics`: run it
again where these change; `tests/demos/test_caption_scores.py` compares them.
"""

import base64
import json
import re

from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.language import article
from mmdl_lib.demos._export import to_image, webp, write
from mmdl_lib.lab.captioning import left_to_right, texts
from mmdl_lib.metrics import meteor, spice
from mmdl_lib.metrics._words import ptb, stem
from mmdl_lib.metrics.bleu import coco_bleu
from mmdl_lib.metrics.cider import cider_d, rarity
from mmdl_lib.metrics.rouge_l import coco_rouge_l

OUT = demos.HERE / "caption_scores"
SEED, SCENES = 2016, 200  # of the corpus
SHOWN, SIDE = 6, 80
# a table of our own: WordNet, which METEOR and SPICE ask, is not part of the book
SYNONYMS = ("photo picture image", "small little", "large big", "above over")
SYNONYMS += ("below under", "circle disk", "moon crescent", "purple violet")
SYNONYMS += ("dotted spotted",)
TRUTH = ("false", "true")
SHADES = ("#0b7285", "#adb5bd")  # of captions A and B
# what Python's expressions write, and how JavaScript says it; `words.js` knows \l (a
# letter), and gives \w and \b their meaning beyond ASCII
SPELLED = ((ptb.L, r"\l"), (r"\d", r"\p{Nd}"), (r"\#", "#"))
SPELLED += ((r"\U00010000-\U0010ffff", r"\u{10000}-\u{10ffff}"),)


def spelled(pattern: str, flags: str = "") -> list[str]:
    """An expression of Python and its flags as JavaScript takes it."""
    inner = re.fullmatch(r"\(\?i:(.*)\)", pattern)
    if inner:
        pattern, flags = inner[1], "i"
    for python, script in SPELLED:
        pattern = pattern.replace(python, script)
    assert "(?i" not in pattern and "(?-i" not in pattern
    return [pattern, flags]


def tokenizer() -> dict:
    """The tables of `ptb.py`, one rule a line."""
    rules = []
    for line in ptb.RULES.strip().splitlines():
        # a group that minds capitals stands alone, before its neighbors
        strict, rest = re.fullmatch(r"(?:\(\?-i:(.*?)\)\|)?(.*)", line).groups()
        rules += [spelled(strict)] if strict else []
        rules.append(spelled(rest, "i"))
    return {
        "entities": [[*spelled(k), v] for k, v in ptb.ENTITIES.items()],
        "rules": rules,
        "signs": ptb.SIGNS,
        "dropped": sorted(ptb.PUNCTUATION),
    }


def stems() -> dict:
    """The tables of the stemmer."""
    return {
        "exceptions": stem.EXCEPTIONS,
        "finished": sorted(stem.FINISHED),
        "step_2": stem.STEP_2,
        "step_3": stem.STEP_3,
        "step_4": stem.STEP_4.split(),
    }


def corpus() -> shapes.Scenes:
    """The scenes on whose captions rarity is counted."""
    return left_to_right(shapes.sample(SCENES, seed=SEED))


def coded(scenes: shapes.Scenes) -> list[str]:
    """Four digits an object (shape, color, size, texture); of two, their relation."""
    parts = (scenes.shape, scenes.color, scenes.size, scenes.texture)
    rows = zip(*(part.tolist() for part in parts), strict=True)
    relations, out = shapes.relation(scenes).tolist(), []
    for row, count, here in zip(rows, scenes.count.tolist(), relations, strict=True):
        digits = ["".join(map(str, thing)) for thing in zip(*row, strict=True)]
        out.append("".join(digits[:count]) + (str(here) if count == 2 else ""))
    return out


def shown() -> list[int]:
    """The first scenes of the corpus with two objects side by side, unlike in color and
    shape, whose pattern one can see."""
    found, beside = [], (shapes.relation(corpus()) < 2).tolist()
    for i, things in enumerate(corpus().things()):
        kinds = [{getattr(t, a) for t in things} for a in ("color", "shape")]
        clear = all(t.size != "small" or t.texture == "solid" for t in things)
        if len(things) == 2 and beside[i] and clear and all(len(k) == 2 for k in kinds):
            found.append(i)
    return found[:SHOWN]


def facts() -> dict:
    """Tables of the scores, words and scenes of the corpus, which of them are shown."""
    pictures = map(to_image, corpus()[shown()].render(SIDE))
    sheet = Image.new("RGB", (SIDE * SHOWN, SIDE))
    for k, picture in enumerate(pictures):
        sheet.paste(picture, (SIDE * k, 0))
    words = (shapes.SHAPES, shapes.COLORS, shapes.SIZES, shapes.TEXTURES)
    return {
        "tokenizer": tokenizer(),
        "stems": stems(),
        "common": sorted(meteor.FUNCTION_WORDS),
        "grammar": {
            "articles": spice.ARTICLES,
            "frames": spice.FRAMES,
            "relations": spice.RELATIONS,
        },
        "synonyms": SYNONYMS,
        "words": words,
        "relations": shapes.RELATIONS,
        "corpus": " ".join(coded(corpus())),
        "seed": SEED,
        "shown": shown(),
        "sprite": "data:image/webp;base64,"
        + base64.b64encode(webp(sheet, quality=80)).decode(),
    }


def swapped(things) -> tuple[str, str]:
    """A false caption of two objects, the colors exchanged, and a true one."""
    one, two = things

    def say(color, thing):
        return article(f"{color} {thing.shape}")

    here = shapes.RELATIONS[shapes.relation(corpus()[shown()[:1]]).item()]
    return (
        f"{say(two.color, one)} {here} {say(one.color, two)}",
        f"{say(two.color, two)} and {say(one.color, one)}",
    )


def scores(said: list[str], true: list[str]) -> dict[str, list[float]]:
    """What the library says of captions, by the names of the scores; CIDEr-D by ten."""
    known, each = rarity(texts(corpus())), [true] * len(said)
    bleu = [coco_bleu([s], [true]) for s in said]
    return {
        "BLEU-1": [row[0] for row in bleu],
        "BLEU-4": [row[3] for row in bleu],
        "ROUGE-L": coco_rouge_l(said, each),
        "METEOR": meteor.meteor(said, each),
        "CIDEr-D/10": [x / 10 for x in cider_d(said, each, known=known)],
        "SPICE": [score.f for score in spice.spice(said, each)],
    }


def still() -> Image.Image:
    """The first scene, a false and a true caption of it, and their scores."""
    i = shown()[0]
    said = swapped(corpus().things()[i])
    found = scores(list(said), texts(corpus()[[i]])[0])
    image = Image.new("RGB", (640, 320), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(17)
    image.paste(to_image(corpus()[[i]].render(108)[0]), (14, 12))
    for k, (name, text, verdict) in enumerate(zip("AB", said, TRUTH, strict=True)):
        y = 40 + 52 * k
        draw.rectangle((140, y - 8, 156, y + 8), SHADES[k])
        draw.text((166, y), f"{name}: {text} ({verdict})", "black", font, anchor="lm")
    for row, (title, values) in enumerate(found.items()):
        y = 146 + 28 * row
        draw.text((14, y), title, "black", font, anchor="lm")
        for k, value in enumerate(values):
            top = y - 10 + 11 * k
            draw.rectangle((120, top, 120 + round(400 * value), top + 8), SHADES[k])
        text = " ".join(f"{value:.2f}" for value in values)
        draw.text((540, y), text, "black", font, anchor="lm")
    return image


def main() -> None:
    content = json.dumps(facts(), ensure_ascii=False, separators=(",", ":"))
    write(OUT / "facts.json", content.encode())
    write(OUT / "still.webp", webp(still(), lossless=True))


if __name__ == "__main__":
    main()
