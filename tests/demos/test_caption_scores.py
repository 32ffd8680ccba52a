"""The demo of caption scores: its numbers against the library, and its page."""

import importlib
import json
import random
import re
from pathlib import Path

import pytest

from mmdl_lib import demos
from mmdl_lib.data.shapes.language import article
from mmdl_lib.data.words import glove
from mmdl_lib.lab.captioning import texts
from mmdl_lib.metrics._words import ptb
from mmdl_lib.metrics._words.stem import stem
from mmdl_lib.metrics.bleu import coco_bleu
from mmdl_lib.metrics.cider import cider_d, rarity
from mmdl_lib.metrics.meteor import meteor, meteor_words
from mmdl_lib.metrics.rouge_l import coco_rouge_l
from mmdl_lib.metrics.spice import spice

ROOT = Path(__file__).resolve().parents[2]
FOLDER = demos.HERE / "caption_scores"
FACTS = json.loads((FOLDER / "facts.json").read_text("utf-8"))
STORED = json.loads((ROOT / "tests/metrics/cases.json").read_text("utf-8"))
TABLE = {w: {i} for i, line in enumerate(FACTS["synonyms"]) for w in line.split()}
NAMES = ["BLEU-1", "BLEU-4", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE"]
LETTERS = ["Caption A", "Caption B"]
MODULES = """const get = (name) => import(
  new URL(`_static/demos/caption_scores/${name}.js`, document.baseURI));
const [m, w] = [await get("demo"), await get("words")];"""
ODD = "photo big little stars rings crescent over dotted spotted isn't disk no and of"


@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "caption_scores.html")
    yield page
    assert faults == []
    page.close()


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "recipes")
        yield importlib.import_module("caption_scores_demo")


@pytest.fixture(scope="module")
def corpus(recipe):
    return texts(recipe.corpus())


def call(page, body, *given):
    return page.evaluate(f"async (given) => {{ {MODULES} {body} }}", list(given))


def cases(corpus):
    """English captions that are stored, and captions of the corpus taken to pieces."""
    found = [(case["candidate"], case["references"]) for case in STORED["captions"]]
    chance = random.Random(0)
    for _ in range(80):
        true = chance.sample(chance.choice(corpus), chance.randint(1, 5))
        words = chance.choice(true).split()
        for _ in range(chance.randint(0, 5)):
            word = chance.choice([*ODD.split(), *true[0].split()])
            words.insert(chance.randint(0, len(words)), word)
            words.pop(chance.randrange(len(words)))
            if chance.random() < 0.3:
                chance.shuffle(words)
        found.append((" ".join(words), true))
    odd = ("", ["a cat"]), ("...", ["a red star"]), ("a star", ["", ""]), ("", [""])
    odd += (("a red | star", ["a red star | a dog"]),)
    return [*found, *odd, ("a", ["a"]), ("a cat a cat a cat", ["a cat"])]


def scores(said, true, known, table=None):
    """What the library says, in the order of the table."""
    synonyms = table and (lambda word: table.get(word, set()))
    found = coco_bleu([said], [true])
    return [
        *(found[0], found[3], coco_rouge_l([said], [true])[0]),
        meteor([said], [true], synonyms=synonyms)[0],
        cider_d([said], [true], known=known)[0],
        spice([said], [true], synonyms=synonyms)[0].f,
    ]


@pytest.mark.parametrize("table", [None, TABLE], ids=["equal words", "synonyms"])
def test_all_scores_are_those_of_the_library(page, corpus, table):
    given, known = cases(corpus), rarity(corpus)
    assert len(given) >= 150
    body = """const tools = m.scorer(given[0]);
      return given[1].map(([said, truth]) =>
        m.rowsOf(tools.score(said, truth, given[2])).map(([, value]) => value));"""
    found = call(page, body, FACTS, given, bool(table))
    wanted = [scores(*case, known, table) for case in given]
    for got, want, case in zip(found, wanted, given, strict=True):
        assert got == pytest.approx(want, abs=1e-9), case
    if table:
        plain = [scores(*case, known) for case in given]
        more = [i for i in range(6) if [x[i] for x in plain] != [x[i] for x in wanted]]
        assert more == [3, 5]


def test_words_and_stems_are_those_of_the_library(page):
    captions = STORED["captions"]
    strings = STORED["strings"] + [case["candidate"] for case in captions]
    strings += [text for case in captions for text in case["references"]]
    strings += ["it'sé", "cannoté :Dé", "éd. l'été à Noël"]  # borders beyond ASCII
    body = """const cut = w.cutter(given[0].tokenizer);
      const stem = w.stemmer(given[0].stems);
      return [given[1].map(cut), given[1].map((text) => w.meteorWords(cut(text))),
        given[2].map(stem)];"""
    vocabulary = list(glove().words)
    cut, again, stems = call(page, body, FACTS, strings, vocabulary)
    assert len(strings) > 1000
    assert cut == [ptb.caption_words(text) for text in strings]
    assert again == [meteor_words(text) for text in strings]
    assert stems == [stem(word) for word in vocabulary]


def test_the_file_holds_what_the_recipe_writes(recipe):
    wanted = json.loads(json.dumps(recipe.facts()))
    assert {k: v for k, v in FACTS.items() if k != "sprite"} == {
        k: v for k, v in wanted.items() if k != "sprite"
    }


def test_the_corpus_and_its_captions_are_those_of_the_shapes_world(page, corpus):
    body = "return m.scenesOf(given[0]).map(m.captionsOf);"
    assert call(page, body, FACTS) == corpus
    assert len(corpus) == len(FACTS["corpus"].split()) == 200


def status(page):
    return page.get_by_role("status").inner_text()


def fill(page, *captions):
    for letter, caption in zip(LETTERS, captions, strict=False):
        page.get_by_label(letter, exact=True).fill(caption)


def numbers(page):
    """The table: of each score the numbers of A and B, as texts."""
    out = {}
    for row in page.locator("tbody tr").all():
        title = row.locator("th").inner_text().split()[0]
        out[title] = row.locator("td > span:first-child").all_inner_texts()
    return out


def bars(page):
    width = "(all) => all.map((bar) => parseFloat(bar.style.width))"
    return page.locator("td .bar i").evaluate_all(width)


def references(page):
    fields = page.get_by_label(re.compile(r"^Reference \d$"))
    return [field.input_value() for field in fields.all()]


def captions(page):
    return [page.get_by_label(x, exact=True).input_value() for x in LETTERS]


def test_the_first_sight_has_a_false_caption_that_bleu_prefers(page, recipe, corpus):
    i = FACTS["shown"][0]
    assert references(page) == corpus[i]
    assert captions(page) == list(recipe.swapped(recipe.corpus().things()[i]))
    assert "the colors are swapped. B is true." in status(page)
    assert "A scores higher in BLEU-4 and ROUGE-L" in status(page)
    assert "B scores higher in METEOR, CIDEr-D and SPICE; equal: BLEU-1" in status(page)
    known, found = rarity(corpus), numbers(page)
    wanted = [scores(text, corpus[i], known) for text in captions(page)]
    for k, name in enumerate(NAMES):
        assert found[name] == [f"{row[k]:.3f}" for row in wanted]
    assert float(found["BLEU-4"][0]) > 0.5 > 0.01 > float(found["BLEU-4"][1])
    full = [1, 1, 1, 1, 10, 1]
    widths = [100 * row[k] / full[k] for k in range(6) for row in wanted]
    assert bars(page) == pytest.approx(widths, abs=1e-3)
    assert page.locator("figure").count() == 0


@pytest.mark.parametrize("scene", range(6))
def test_what_the_presets_say_is_true_of_every_scene(page, recipe, scene):
    page.get_by_label("Scene").select_option(str(scene))
    one, two = recipe.corpus().things()[FACTS["shown"][scene]]
    assert one.x < two.x and one.color != two.color and one.shape != two.shape
    name = [article(f"{thing.color} {thing.shape}") for thing in (one, two)]
    wanted = {
        "Sides swapped": (
            f"{name[1]} left of {name[0]}",
            f"{name[1]} right of {name[0]}",
        ),
        "Wrong count": (None, f"there is {name[0]}"),
        "Words shuffled": (
            " ".join(f"{name[0]} left of {name[1]}".split()[::-1]),
            name[0],
        ),
    }
    for preset, pair in wanted.items():
        page.get_by_role("button", name=preset).click()
        for got, want in zip(captions(page), pair, strict=True):
            assert want is None or got == want
        assert "B is true" in status(page) or "true caption read backwards" in status(
            page
        )
    page.get_by_role("button", name="Wrong count").click()
    assert captions(page)[0].startswith(f"three {one.color} {one.shape}")
    assert page.locator("[aria-pressed=true]").inner_text() == "Wrong count"
    label = page.locator(".tile").get_attribute("aria-label")
    assert all(f"{t.color} {t.shape}" in label for t in (one, two))


def test_a_tile_shows_its_scene(page, recipe):
    # the middle of the first object has a color near the object's own
    js = """async ([x, y]) => {
      const style = getComputedStyle(document.querySelector(".tile"));
      const image = new Image();
      image.src = style.backgroundImage.slice(5, -2);
      await image.decode();
      const across = parseFloat(style.backgroundSize) / 100;
      const side = image.width / across;
      const index = parseFloat(style.backgroundPosition) / 100 * (across - 1);
      const canvas = new OffscreenCanvas(image.width, image.height);
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      return [...pen.getImageData((index + x / 32) * side, side * y / 32, 1, 1).data];
    }"""
    for scene, i in enumerate(FACTS["shown"]):
        page.get_by_label("Scene").select_option(str(scene))
        drawn = recipe.corpus()[[i]].render(recipe.SIDE)[0]
        for thing in recipe.corpus().things()[i]:
            x, y = (int(v / 32 * recipe.SIDE) for v in (thing.x, thing.y))
            got = page.evaluate(js, [thing.x, thing.y])[:3]
            want = drawn[:, y - 1 : y + 2, x - 1 : x + 2].float().mean((1, 2)).tolist()
            assert got == pytest.approx(want, abs=60)


def test_each_key_moves_the_numbers_and_takes_the_verdict_away(page):
    before = numbers(page)
    field = page.get_by_label("Caption B", exact=True)
    field.press("End")
    seen = [before["SPICE"][1]]
    for key in " left":
        field.press(key)
        seen.append(numbers(page)["SPICE"][1])
    assert len(set(seen)) > 1 and "is true" not in status(page)
    assert page.locator("[aria-pressed=true]").count() == 0
    assert {k: v[0] for k, v in numbers(page).items()} == {
        k: v[0] for k, v in before.items()
    }


def test_odd_input_gets_one_sentence_and_a_number(page):
    fill(page, "", "a red star")
    assert status(page).count("Caption A has no words: nothing can match.") == 1
    fill(page, "A red star!", "a red star")
    assert "Both captions have the same words: every score is equal." in status(page)
    assert "Equal: BLEU-1, BLEU-4, ROUGE-L, METEOR, CIDEr-D and SPICE." in status(page)
    fill(page, "a silver star", "a star")
    assert "“silver” stands in no caption of the 200 scenes" in status(page)
    fill(page, "silver golden", "ivory coast")
    assert "“silver”, “golden”, “ivory” and 1 more stand in no" in status(page)
    fill(page, "", "")
    assert "Caption A has no words" in status(page)
    assert "Caption B has no words" in status(page)
    assert "Both captions" not in status(page)
    for pair in numbers(page).values():
        assert pair == ["0.000", "0.000"]
    for kind in ("BLEU", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE"):
        page.get_by_label(kind, exact=True).check()
        assert "NaN" not in page.inner_text("mmdl-demo")


def test_references_come_and_go_and_empty_ones_do_not_count(page, corpus):
    true = corpus[FACTS["shown"][0]]
    assert page.get_by_role("button", name="Add a reference").is_disabled()
    for k in (5, 4, 2):
        page.get_by_role("button", name=f"Remove reference {k}").click()
    assert references(page) == [true[0], true[2]]
    page.get_by_role("button", name="Add a reference").click()
    assert "Reference 3 has no words and does not count." in status(page)
    fill(page, true[0], true[1])
    known = rarity(corpus)
    kept = [true[0], true[2]]
    wanted = [scores(text, kept, known) for text in (true[0], true[1])]
    for k, name in enumerate(NAMES):
        assert numbers(page)[name] == [f"{row[k]:.3f}" for row in wanted]
    page.get_by_label("Reference 1", exact=True).fill("")
    assert "Reference 1 and Reference 3 have no words and do not count." in status(page)
    fill(page, true[2])
    page.get_by_label("ROUGE-L", exact=True).check()
    marks = page.get_by_role("group", name="What counts in caption A").inner_text()
    assert "Reference 2" in marks and "of reference 2" in marks
    page.get_by_label("Reference 2", exact=True).fill(" ")
    assert status(page) == (
        "No reference has words: there is nothing to compare a caption with."
    )
    assert {x for pair in numbers(page).values() for x in pair} == {"–"}
    for k in (3, 2):
        page.get_by_role("button", name=f"Remove reference {k}").click()
    assert page.get_by_role("button", name="Remove reference 1").is_disabled()


def marks(page, kind, letter="A"):
    page.get_by_label(kind, exact=True).check()
    return page.get_by_role("group", name=f"What counts in caption {letter}")


def chips(box):
    """Words, what stands below them, and whether they count."""
    js = """(all) => all.map((node) => [node.firstChild.textContent,
      node.lastChild.textContent, node.classList.contains("on")])"""
    return box.locator(".chip").evaluate_all(js)


def test_marks_show_what_each_score_counts(page):
    for k in (5, 4, 3, 2):
        page.get_by_role("button", name=f"Remove reference {k}").click()
    page.get_by_label("Reference 1", exact=True).fill("a red star left of a blue ring")
    fill(page, "a blue star left of the ring", "two red stars")
    box = marks(page, "BLEU")
    assert chips(box)[:3] == [
        ["a", "■■□□", True], ["blue", "■□□□", True], ["star", "■■■□", True]
    ]  # fmt: skip
    assert chips(box)[-2:] == [["the", "□□", False], ["ring", "■", True]]
    assert "6 of 7 words, 3 of 6 pairs, 1 of 5 triples and 0 of 4" in box.inner_text()
    box = marks(page, "ROUGE-L")
    counted = [word for word, _, on in chips(box)[:7] if on]
    assert counted == "a star left of ring".split()
    assert [word for word, _, on in chips(box)[7:] if on] == counted
    assert "5 of 7 words" in box.inner_text()
    box = marks(page, "METEOR")
    below = [text for _, text, _ in chips(box)]
    assert below == ["2", "2", "1", "1", "1", "", "3", *["", "", "1", "1", "1"], *"223"]
    assert "6 of 7 words match, in 3 chunks" in box.inner_text()
    assert ["stars", "1 stem", True] in chips(marks(page, "METEOR", "B"))
    box = marks(page, "SPICE")
    assert ["✗ star · blue", "", False] in chips(box)
    assert ["✓ star · left of · ring", "", True] in chips(box)
    assert ["ring · blue", "", False] in chips(box)  # not said
    assert "3 of 4 tuples agree" in box.inner_text()
    box = marks(page, "CIDEr-D")
    parts = [float(below) for word, below, on in chips(box)[7:] if on]
    total = float(numbers(page)["CIDEr-D"][0])
    assert sum(parts) == pytest.approx(total, abs=0.05) and len(parts) > 4


def test_synonyms_of_the_table_count_only_when_switched_on(page):
    fill(page, "an image with a circle", "a picture with a disk")
    page.get_by_label("Reference 1", exact=True).fill("a picture with a disk")
    before = numbers(page)
    page.get_by_label("match synonyms").check()
    after = numbers(page)
    changed = {k for k in before if before[k] != after[k]}
    assert changed == {"METEOR", "SPICE"}
    below = [text for _, text, _ in chips(marks(page, "METEOR"))]
    assert any(text.endswith("synonym") for text in below)


def test_the_keyboard_reaches_all(page):
    page.get_by_role("button", name="Sides swapped").press("Enter")
    assert "the sides are swapped" in status(page)
    page.get_by_label("BLEU", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert "In the same order, with gaps" in page.inner_text("mmdl-demo")
    page.get_by_role("button", name="Remove reference 5").press("Enter")
    focused = "document.activeElement.labels[0].textContent"
    assert page.evaluate(focused) == "Reference 4"


def test_every_score_fits_a_phone(visit, address):
    phone = {"width": 390, "height": 844}
    page, faults = visit(address + "caption_scores.html", viewport=phone)
    fill(page, "a " * 70, "w" * 140)
    for kind in ("BLEU", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE"):
        marks(page, kind)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, kind
    assert faults == []
    page.close()


def test_the_same_module_works_in_a_notebook(live):
    page, faults = live(demos.caption_scores(), ["facts"])
    assert "A scores higher in BLEU-4" in status(page)
    fill(page, "a star", "a star")
    assert "every score is equal" in status(page) and faults == []
    page.close()
