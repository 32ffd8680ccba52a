"""The demo of word vectors: its numbers against torch, and its page in a browser."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib import demos
from mmdl_lib.data import words
from mmdl_lib.data.words import Words
from mmdl_lib.demos._live.words import table
from mmdl_lib.inside.words import answers

ROOT = Path(__file__).resolve().parents[2]
TABLE = table()
MODULE = """const m = await import(
    new URL("_static/demos/words/demo.js", document.baseURI));
  const get = async (name) =>
    fetch(new URL(`_static/demos/words/${name}`, document.baseURI));
  const t = m.unpack(await (await get("facts.json")).json(),
    await (await get("vectors.bin")).arrayBuffer());"""
ASKED = ("king", "bank", "paris", "hot", "went", "python", "polish", "the", "pluto")
QUESTIONS = (
    ("king", "man", "woman"),
    ("paris", "france", "japan"),
    ("wrote", "write", "sing"),
    ("bigger", "big", "small"),
    ("went", "go", "see"),
    ("bank", "bank", "river"),
)


@pytest.fixture(scope="module")
def source():
    """The same words in full precision."""
    gold = words.glove()
    return Words(TABLE.words, gold[TABLE.words])


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    return importlib.import_module("words_demo")


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the words are loaded."""
    page, faults = visit(address + "words.html")
    start(page, "words")
    yield page
    assert faults == []
    page.close()


@pytest.fixture
def page(visit, address, start):
    """A page of its own, as it begins."""
    page, faults = visit(address + "words.html")
    start(page, "words")
    yield page
    assert faults == []
    page.close()


def call(page, body, given):
    js = f"async (given) => {{ {MODULE} {body} }}"
    return page.evaluate(js, given)


def query(where, question):
    a, b, c = where.unit()[list(question)]
    return a - b + c


def agree(found, wanted, atol):
    assert [one["word"] for one in found] == [word for word, _ in wanted]
    got = torch.tensor([one["cosine"] for one in found])
    cosines = torch.tensor([cosine for _, cosine in wanted])
    torch.testing.assert_close(got, cosines, atol=atol, rtol=0)


# ---- the files
def test_the_files_are_those_of_the_recipe(recipe, source):
    assert recipe.choose(words.glove()) == TABLE.words
    codes = recipe.quantize(source.value).numpy().tobytes()
    assert codes == (demos.HERE / "words/vectors.bin").read_bytes()
    assert len(codes) == 250_000


def test_of_a_hundred_words_at_least_95_keep_their_first_neighbor(recipe, source):
    whole = recipe.first_neighbors(source.value)
    packed = recipe.first_neighbors(TABLE.value)
    assert len(whole) == 5000 and whole.unique().numel() > 1000
    assert (whole == packed).float().mean() >= 0.95
    # four bits would not do
    coarse = (source.value / source.value.abs().amax(1, keepdim=True) * 7).round()
    assert (whole == recipe.first_neighbors(coarse)).float().mean() < 0.95


def test_cosines_of_eight_bits_differ_by_less_than_a_hundredth(source):
    exact, packed = (x.unit().value for x in (source, TABLE))
    assert (exact @ exact.T - packed @ packed.T).abs().max() < 0.01


def test_words_that_no_class_needs_are_left_out_and_those_of_the_chapter_are_in(recipe):
    assert not [word for word in TABLE.words if recipe.LEFT_OUT.fullmatch(word)]
    assert recipe.LEFT_OUT.fullmatch("terrorists")
    assert not recipe.LEFT_OUT.fullmatch("military")
    lists = (set(recipe.MORE.split()), {"military", "queen", "tokyo"})
    assert all(known <= {*TABLE.words} for known in lists)


# ---- the module
def test_neighbors_of_the_page_are_those_of_torch(running):
    body = """return given.map((w) =>
      m.nearest(t, t.rows[t.index.get(w)], 10, [w]));"""
    for word, found in zip(ASKED, call(running, body, list(ASKED)), strict=True):
        agree(found, TABLE.nearest(TABLE[word], 10, without=[word]), 1e-5)


def test_analogies_of_the_page_are_those_of_torch(running):
    body = """return given.map((q) =>
      [m.nearest(t, m.combine(t, q), 5), m.nearest(t, m.combine(t, q), 5, q)]);"""
    found = call(running, body, [list(q) for q in QUESTIONS])
    for question, (free, strict) in zip(QUESTIONS, found, strict=True):
        goal = query(TABLE, question)
        agree(free, TABLE.nearest(goal, 5), 1e-5)
        agree(strict, TABLE.nearest(goal, 5, without=question), 1e-5)


def test_answers_are_those_of_full_precision(running, source):
    body = "return given.map((q) => m.nearest(t, m.combine(t, q), 1, q)[0]);"
    found = call(running, body, [list(q) for q in QUESTIONS])
    asked = [(b, a, c) for a, b, c in QUESTIONS]  # `answers` asks for b - a + c
    assert [one["word"] for one in found] == answers(source, asked)
    for question, one in zip(QUESTIONS, found, strict=True):
        goal = F.normalize(query(source, question), dim=0)
        exact = source.unit()[one["word"]] @ goal
        assert one["cosine"] == pytest.approx(exact.item(), abs=5e-3)


@pytest.mark.parametrize("word", ["king", "paris", "python"])
def test_the_map_is_that_of_torch(running, word):
    names = [word, *(w for w, _ in TABLE.nearest(TABLE[word], 10, without=[word]))]
    body = "return m.flatten(given.map((w) => t.rows[t.index.get(w)]));"
    found = call(running, body, names)
    points = TABLE[names].double()
    points = points - points.mean(0)
    _, lengths, axes = torch.linalg.svd(points)
    wanted, got = points @ axes[:2].T, torch.tensor(found["places"]).double()
    torch.testing.assert_close(
        got, wanted * (got * wanted).sum(0).sign(), atol=1e-3, rtol=0
    )
    share = (lengths[:2] ** 2).sum() / (lengths**2).sum()
    assert found["share"] == pytest.approx(share.item(), abs=1e-3)
    farthest = got.gather(0, got.abs().argmax(0, keepdim=True))
    assert (farthest > 0).all()


def test_points_that_are_one_make_a_map_without_a_fault(running):
    found = call(running, "return m.flatten(given);", [[1, 0, 0]] * 4)
    assert found == {"places": [[0, 0]] * 4, "share": 1}


def test_a_damaged_file_is_refused(running):
    body = """try { m.unpack({words: ["a", "b"], width: 3}, new ArrayBuffer(5)); }
      catch (e) { return e.message; }"""
    assert call(running, body, None) == "expected 6 numbers, got 5."


# ---- the page
def status(page):
    return page.get_by_role("status").inner_text()


def rows(page, index):
    """Word and cosine of each line of a list."""
    lines = page.locator("ol").nth(index).locator("button").all_inner_texts()
    return [re.match(r"(\w+)(?: \(input\))?\s+([\d.]+)", x).groups() for x in lines]


def shown(found):
    return [(word, f"{cosine:.2f}") for word, cosine in found]


def names(page):
    return page.locator("svg text").all_text_contents()


def test_the_first_sight_shows_the_trap(page):
    goal, inputs = query(TABLE, QUESTIONS[0]), QUESTIONS[0]
    free, strict = TABLE.nearest(goal, 5), TABLE.nearest(goal, 5, without=inputs)
    assert rows(page, 0) == shown(free) and rows(page, 1) == shown(strict)
    assert rows(page, 2) == shown(TABLE.nearest(TABLE["king"], 10, without=["king"]))
    assert (free[0][0], strict[0][0]) == ("king", "queen")
    assert "king (input)" in page.locator("ol").first.inner_text()
    assert status(page) == (
        "king \u2212 man + woman: nearest of all words is king, an input, "
        f"{free[0][1]:.2f}; with the inputs left out queen, {strict[0][1]:.2f}."
    )
    assert {*names(page)} == {
        *inputs,
        "king \u2212 man + woman",
        *(word for word, _ in strict),
    }


def test_each_example_changes_lists_and_map(page):
    for word in ASKED[:6]:
        page.get_by_role("button", name=word, exact=True).first.click()
        wanted = TABLE.nearest(TABLE[word], 10, without=[word])
        assert rows(page, 2) == shown(wanted)
        assert {*names(page)} == {word, *(w for w, _ in wanted)}
        assert status(page).startswith(f"Nearest to {word}: {wanted[0][0]}, ")
    for question in QUESTIONS[:4]:
        text = "{} \u2212 {} + {}".format(*question)
        page.get_by_role("button", name=text).click()
        assert rows(page, 0) == shown(TABLE.nearest(query(TABLE, question), 5))
        assert text in names(page) and status(page).startswith(text)


def test_a_word_of_a_list_is_gone_on_from_and_the_map_can_be_chosen(page):
    page.locator("ol").nth(1).locator("button").first.click()
    assert page.get_by_label("Word", exact=True).input_value() == "queen"
    assert status(page).startswith("Nearest to queen")
    map_of = page.get_by_role("img")
    assert map_of.get_attribute("aria-label").startswith("Map of queen")
    pressed = page.locator("[aria-pressed=true]")
    assert pressed.inner_text() == "Neighbors"
    page.get_by_role("button", name="Analogy").click()
    assert map_of.get_attribute("aria-label").startswith("Map of king")
    assert pressed.inner_text() == "Analogy"


def test_the_keyboard_is_enough_and_unknown_words_are_named(visit, address):
    page, faults = visit(address + "words.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("nearest of all words").wait_for()
    page.keyboard.press("Control+A")  # the first input has the focus
    page.keyboard.type(" Uncle ")
    page.keyboard.press("Enter")
    assert status(page).startswith("uncle \u2212 man + woman: nearest")
    page.keyboard.press("Control+A")
    page.keyboard.type("quexx")
    page.keyboard.press("Enter")
    said = "Expected one of 5,000 words, got \u201cquexx\u201d. There are: question, "
    assert status(page).startswith(said)
    assert "wrong" in page.get_by_role("status").get_attribute("class")
    page.keyboard.press("Control+A")
    page.keyboard.type("queen")
    page.keyboard.press("Enter")
    assert status(page).startswith("queen \u2212 man + woman")
    assert faults == []
    page.close()


def test_three_times_the_same_word_is_answered_too(page):
    for name in ("First word", "Minus", "Plus"):
        page.get_by_label(name, exact=True).fill("lake")
        page.keyboard.press("Enter")
    assert rows(page, 0)[0] == ("lake", "1.00")
    assert rows(page, 1) == shown(TABLE.nearest(TABLE["lake"], 5, without=["lake"]))
    assert "NaN" not in page.locator("mmdl-demo").inner_html()


def test_a_beginning_suggests_words(page):
    page.get_by_label("Word", exact=True).click()
    page.keyboard.type("riv")
    options = page.locator("datalist option")
    values = [options.nth(i).get_attribute("value") for i in range(options.count())]
    assert values == [word for word in TABLE.words if word.startswith("riv")][:8]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_names_of_the_map_cover_each_other_or_leave_it(visit, address, start, width):
    page, faults = visit(
        address + "words.html", viewport={"width": width, "height": 844}
    )
    start(page, "words")
    js = """() => {
      const svg = document.querySelector("svg").viewBox.baseVal;
      const boxes = [...document.querySelectorAll("svg text")].map((x) => x.getBBox());
      const bad = [];
      boxes.forEach((a, i) => {
        if (a.x < 0 || a.y < 0 || a.x + a.width > svg.width
          || a.y + a.height > svg.height) bad.push(["out", i]);
        boxes.slice(i + 1).forEach((b, k) => {
          const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
          const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
          if (across > 1 && down > 2) bad.push([i, i + 1 + k]);
        });
      });
      return bad;
    }"""
    bad = {"first": page.evaluate(js)}
    for button in page.locator(".picks button").all():
        button.click()
        bad[button.inner_text()] = page.evaluate(js)
    assert not [name for name, found in bad.items() if found], bad
    assert faults == []
    page.close()


@pytest.mark.parametrize("status_code", [404, None])
def test_a_file_that_does_not_come_is_told_and_the_button_tries_again(
    browser, address, start, status_code
):
    page = browser.new_page()
    page.route(
        "**/vectors.bin",
        lambda r: r.fulfill(status=404, body="") if status_code else r.abort(),
    )
    page.goto(address + "words.html")
    button = page.get_by_role("button", name="Load the words, 0.3 MB")
    button.click()
    page.get_by_text("The button tries again.").wait_for()
    assert button.is_enabled() and page.get_by_role("img").is_visible()
    page.unroute("**/vectors.bin")
    start(page, "words")
    page.close()


def test_the_same_module_works_in_a_notebook(live):
    page, faults = live(demos.words(), ["facts"])
    assert "nearest of all words is king" in status(page)
    page.get_by_role("button", name="bank", exact=True).click()
    assert status(page).startswith("Nearest to bank: banks")
    assert faults == []
    page.close()


def test_the_words_are_each_once_and_nothing_else_is_stored():
    facts = json.loads((demos.HERE / "words/facts.json").read_text("utf-8"))
    assert set(facts) == {"width", "words"} and facts["width"] == 50
    assert len({*facts["words"]}) == 5000
