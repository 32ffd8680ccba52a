"""The demo of fused vectors: its numbers against torch, and its page in a browser."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmdl_lib import demos
from mmdl_lib.data import clipart, word_pictures
from mmdl_lib.demos._live.fusion import tables
from mmdl_lib.lab import fused
from mmdl_lib.models.concat_fusion import fuse, nearest, text_share

ROOT = Path(__file__).resolve().parents[2]
FOLDER = demos.HERE / "fusion"
WORDS, TEXT, IMAGE = tables()
FACTS = json.loads((FOLDER / "facts.json").read_text("utf-8"))
MODULE = """const m = await import(
    new URL("_static/demos/fusion/demo.js", document.baseURI));
  const get = async (name) =>
    fetch(new URL(`_static/demos/fusion/${name}`, document.baseURI));
  const t = m.unpack(await (await get("facts.json")).json(),
    await (await get("vectors.bin")).arrayBuffer());"""
ASKED = ["pencil", "moon", "ice", "idea", *WORDS[::97]]
PICKS = ("pencil", "moon", "penguin", "piano", "idea", "ice")


@pytest.fixture(scope="module")
def source():
    """Text and pictures of the same words in full precision."""
    return fused.text_vectors(WORDS), fused.picture_vectors(WORDS)


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    return importlib.import_module("fusion_demo")


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the words are loaded."""
    page, faults = visit(address + "fusion.html")
    start(page, "fusion")
    yield page
    assert faults == []
    page.close()


@pytest.fixture
def page(visit, address, start):
    """A page of its own, as it begins."""
    page, faults = visit(address + "fusion.html")
    start(page, "fusion")
    yield page
    assert faults == []
    page.close()


def call(page, body, given=None):
    js = f"async (given) => {{ {MODULE} {body} }}"
    return page.evaluate(js, given)


def wanted(words, gamma, k=8):
    """Python's answer: cosines and words; equal cosines in the order of the words."""
    asked = torch.tensor([WORDS.index(word) for word in words])
    cosines, rows = nearest(fuse(TEXT, IMAGE, gamma), asked, k + 8)
    found = []
    for c, r in zip(cosines.tolist(), rows.tolist(), strict=True):
        pairs = sorted((-round(x, 9), i) for x, i in zip(c, r, strict=True))[:k]
        found.append([(WORDS[i], -x) for x, i in pairs])
    return found


# ---- the files
def test_the_files_are_those_of_the_recipe(recipe, source):
    codes = b"".join(recipe.quantize(part).numpy().tobytes() for part in source)
    assert codes == (FOLDER / "vectors.bin").read_bytes()
    assert len(WORDS) == 1464 and len(codes) == 1464 * (50 + 128)
    names = clipart.load().name
    means = zip(WORDS, source[1], strict=True)
    rows = [recipe.drawing(word, mean, names) for word, mean in means]
    used, tile = recipe.numbered(rows)
    assert (tile, [names[row] for row in used]) == (FACTS["tile"], FACTS["names"])
    assert recipe.together() == FACTS["together"] and FACTS["words"] == WORDS
    with Image.open(FOLDER / "tiles.webp") as picture:
        raw = bytearray(picture.convert("RGB").tobytes())
    stored = torch.frombuffer(raw, dtype=torch.uint8)
    exact = recipe.atlas(used).permute(1, 2, 0).flatten()
    assert (stored.float() - exact.float()).abs().mean() < 6


def test_what_the_click_loads_is_less_than_half_a_megabyte():
    names = ("vectors.bin", "tiles.webp", "facts.json")
    assert sum((FOLDER / name).stat().st_size for name in names) <= 500_000
    assert (FOLDER / "still.webp").stat().st_size <= 12_000


def test_only_the_clip_art_is_shown():
    data, names = word_pictures.load(), clipart.load().name
    for word, tile in zip(WORDS, FACTS["tile"], strict=True):
        drawn = {names[data.row[i]] for i in data.of(word) if data.row[i] >= 0}
        assert (tile >= 0) == bool(drawn), word
        assert tile < 0 or FACTS["names"][tile] in drawn
        assert word not in drawn or FACTS["names"][tile] == word
    assert 0 < FACTS["tile"].count(-1) < len(WORDS) / 2


def test_pairs_that_share_a_picture_are_those_of_the_data():
    data = word_pictures.load()
    shows = torch.zeros(len(WORDS), len(data.code))
    shows[data.word, data.picture] = 1
    marked = torch.zeros(len(WORDS), len(WORDS), dtype=torch.bool)
    for rows in FACTS["together"]:
        marked[torch.tensor(rows)[:, None], torch.tensor(rows)] = True
    same = (shows @ shows.T > 0).fill_diagonal_(False)
    assert torch.equal(marked.fill_diagonal_(False), same) and same.any()


def test_eight_bits_keep_cosines_and_first_neighbors(recipe, source):
    assert min(recipe.kept(source, (TEXT.float(), IMAGE.float()))) >= 0.95
    for gamma in (0, 0.5, 1):
        unit = [torch.nn.functional.normalize(fuse(*x, gamma)) for x in
                (source, (TEXT.float(), IMAGE.float()))]  # fmt: skip
        exact, packed = (x @ x.T for x in unit)
        assert (exact - packed).abs().max() < 0.01


# ---- the law
@pytest.mark.parametrize("gamma", [0, 0.3, 0.5, 0.85, 1])
def test_neighbors_are_those_of_fuse(running, gamma):
    body = """return given.words.map((w) => {
      const all = m.compare(t, t.index.get(w));
      return m.nearest(all, given.gamma, 8).map((x) => [t.words[x.row], x.both]);
    });"""
    found = call(running, body, {"words": ASKED, "gamma": gamma})
    for one, right in zip(found, wanted(ASKED, gamma), strict=True):
        assert [x[1] for x in one] == pytest.approx([x[1] for x in right], abs=1e-8)
        assert [x[0] for x in one] == [x[0] for x in right]


def test_cosines_of_each_source_are_those_of_torch(running):
    body = """return m.compare(t, t.index.get(given))
      .map((x) => [x.row, x.text, x.image]);"""
    found = call(running, body, "moon")
    row = WORDS.index("moon")
    assert [x[0] for x in found] == [i for i in range(len(WORDS)) if i != row]
    for column, part in ((1, TEXT), (2, IMAGE)):
        unit = torch.nn.functional.normalize(part)
        exact = unit @ unit[row]
        assert [x[column] for x in found] == pytest.approx(
            [c for i, c in enumerate(exact.tolist()) if i != row], abs=1e-9
        )


def test_the_share_is_that_of_the_chapter(running):
    gammas = [i / 20 for i in range(21)]
    found = call(running, "return given.map(m.share);", gammas)
    assert found == pytest.approx([text_share(gamma) for gamma in gammas])


def test_a_damaged_file_is_refused(running):
    body = """try { m.unpack({words: ["a", "b"], text: 1, image: 2, together: []},
        new ArrayBuffer(5)); }
      catch (e) { return e.message; }"""
    assert call(running, body) == "expected 6 numbers, got 5."


# ---- the page
def status(page):
    return page.get_by_role("status").inner_text()


def rows(page):
    """Word, three cosines and the mark of each line of the table."""
    found = []
    for line in page.locator("tbody tr").all():
        word = line.locator("button").inner_text()
        cells = [x.replace("\u2212", "-") for x in line.locator(
            "td:not(:first-child)").all_inner_texts()]  # fmt: skip
        found.append((word, *cells, line.locator("small").inner_text()))
    return found


def expected(word, gamma):
    """The same lines by torch."""
    text, image = (torch.nn.functional.normalize(x) for x in (TEXT, IMAGE))
    data, row, found = word_pictures.load(), WORDS.index(word), []
    for name, both in wanted([word], gamma)[0]:
        i = WORDS.index(name)
        shared = {*data.of(word)} & {*data.of(name)}
        parts = (text[i] @ text[row], image[i] @ image[row], both)
        mark = "shares a picture" if shared else ""
        found.append((name, *(f"{float(x):.2f}" for x in parts), mark))
    return found


def end(page, number):
    """Words of one source alone, and those of them in bold."""
    names = page.locator(".names").nth(number)
    return names.inner_text().split(", "), names.locator("b").all_inner_texts()


def weigh(page, gamma):
    page.get_by_label("Weight \u03b3").fill(str(gamma))


def test_the_first_sight_shows_both_sources_and_both_ends(page):
    assert rows(page) == expected("pencil", 0.5)
    lists = [[w for w, _ in wanted(["pencil"], g)[0]] for g in (0, 0.5, 1)]
    for number, only in enumerate((lists[0], lists[2])):
        assert end(page, number) == (only, [w for w in only if w in lists[1]])
    assert status(page) == (
        f"Nearest to pencil at \u03b3 = 0.50: {rows(page)[0][0]}, {rows(page)[0][3]}. "
        "Text has 0.50 of the cosine, pictures 0.50."
    )
    shown = page.get_by_text("Share of the cosine:").inner_text()
    assert " ".join(shown.split()).endswith("text 0.50, pictures 0.50")


@pytest.mark.parametrize("word", PICKS)
def test_each_example_at_three_weights(page, word):
    page.get_by_role("button", name=word, exact=True).first.click()
    assert page.get_by_label("Word", exact=True).input_value() == word
    for gamma in (0, 0.3, 1):
        weigh(page, gamma)
        assert rows(page) == expected(word, gamma)
        caption = page.locator("caption").inner_text()
        assert caption == f"Nearest to {word}, with their cosines"
        part = text_share(gamma)
        said = f"Text has {part:.2f} of the cosine, pictures {1 - part:.2f}."
        assert status(page).endswith(said)


def test_bars_are_the_two_votes(page):
    weigh(page, 0.3)
    part = text_share(0.3)
    for line, row in zip(rows(page), page.locator("tbody tr").all(), strict=True):
        whole = row.locator(".bar").bounding_box()["width"]
        for part_of, kind, column in ((part, "text", 1), (1 - part, "image", 2)):
            width = row.locator(f".of-{kind}").bounding_box()["width"]
            right = part_of * max(0, float(line[column]))
            assert width / whole == pytest.approx(right, abs=0.01)


def test_the_keyboard_is_enough_and_unknown_words_are_named(visit, address):
    page, faults = visit(address + "fusion.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("of the cosine, pictures").wait_for()
    page.keyboard.press("Control+A")  # the word has the focus
    page.keyboard.type(" Guitar ")
    page.keyboard.press("Enter")
    assert rows(page) == expected("guitar", 0.5)
    page.keyboard.press("Control+A")
    page.keyboard.type("penx")
    page.keyboard.press("Enter")
    assert status(page) == (
        "Expected one of 1,464 words with a picture, got \u201cpenx\u201d. "
        f"There are: {', '.join([w for w in WORDS if w.startswith('pen')][:3])}."
    )
    assert "wrong" in page.get_by_role("status").get_attribute("class")
    assert rows(page) == expected("guitar", 0.5)
    for _ in range(1 + len(PICKS)):
        page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert rows(page) == expected("guitar", 0.3)
    assert "wrong" not in page.get_by_role("status").get_attribute("class")
    page.keyboard.press("End")
    assert rows(page) == expected("guitar", 1)
    page.keyboard.press("Tab")
    first = rows(page)[0][0]
    page.keyboard.press("Enter")
    assert rows(page) == expected(first, 1)
    assert page.locator("tbody button").first.evaluate(
        "x => x === document.activeElement"
    )
    assert faults == []
    page.close()


def test_a_beginning_suggests_words(page):
    page.get_by_label("Word", exact=True).click()
    page.keyboard.type("pen")
    options = page.locator("datalist option")
    values = [options.nth(i).get_attribute("value") for i in range(options.count())]
    assert values == [word for word in WORDS if word.startswith("pen")][:8]


PIXELS = """x => [...x.getContext("2d").getImageData(0, 0, x.width, x.height).data]"""


def test_each_word_has_its_drawing_or_none(page):
    exact = clipart.load(size=32)
    weigh(page, 0.5)
    assert "knife" in [row[0] for row in rows(page)]  # a word without one
    for row in page.locator("tbody tr").all():
        tile = FACTS["tile"][WORDS.index(row.locator("button").inner_text())]
        canvas = row.locator("canvas")
        if tile < 0:
            assert not canvas.is_visible()
            continue
        name = FACTS["names"][tile]
        assert canvas.get_attribute("aria-label") == f"Drawing: {name}"
        seen = torch.tensor(canvas.evaluate(PIXELS)).view(32, 32, 4)[..., :3]
        alike = [i for i, other in enumerate(exact.name) if other == name]
        far = (exact.image[alike].permute(0, 2, 3, 1) - seen.float()).abs()
        assert far.mean((1, 2, 3)).min() < 10


@pytest.mark.parametrize("file", ["vectors.bin", "tiles.webp"])
def test_a_file_that_does_not_come_is_told_and_the_button_tries_again(
    browser, address, start, file
):
    page = browser.new_page()
    page.route(f"**/{file}", lambda r: r.fulfill(status=404, body=""))
    page.goto(address + "fusion.html")
    button = page.get_by_role("button", name=re.compile("Load the words, 0.5 MB"))
    button.click()
    page.get_by_text("The button tries again.").wait_for()
    assert button.is_enabled() and page.get_by_role("img").is_visible()
    page.unroute(f"**/{file}")
    start(page, "fusion")
    page.close()


def test_the_same_module_works_in_a_notebook(live):
    page, faults = live(demos.fusion(), ["facts"])
    assert rows(page) == expected("pencil", 0.5)
    page.get_by_role("button", name="ice", exact=True).click()
    assert rows(page) == expected("ice", 0.5)
    assert page.locator("tbody canvas").first.is_visible()
    assert faults == []
    page.close()
