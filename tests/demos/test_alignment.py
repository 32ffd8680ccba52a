"""The demo of alignment: its numbers against torch, and its page in a browser."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.lab import translation as tr

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "alignment/facts.json").read_text("utf-8"))
CLAUSES = FACTS["clauses"]
KINDS = {"bahdanau": "Bahdanau's attention", "transformer": "Transformer, layer 2"}
KINDS |= {"diagonal": "The diagonal"}
MODULE = """const m = await import(
  new URL("_static/demos/alignment/demo.js", document.baseURI));"""


@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "alignment.html")
    yield page
    assert faults == []
    page.close()


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "recipes")
        yield importlib.import_module("alignment_demo")


def call(page, body, *given):
    return page.evaluate(f"async (given) => {{ {MODULE} {body} }}", list(given))


def links_of(recipe, kind):
    text = recipe.clauses().text
    if kind == "diagonal":
        return tr.diagonal(text)
    return [{*enumerate(w.argmax(1).tolist())} for w in recipe.weights()[kind]]


def status(page):
    return page.get_by_role("status").inner_text()


def test_clauses_are_those_of_the_draw_and_none_is_picked(recipe):
    text, rows = recipe.clauses().text, recipe.drawn()
    assert len(set(rows)) == len(CLAUSES) == 20
    assert rows != sorted(rows)
    for i, one in zip(rows, CLAUSES, strict=True):
        assert one["english"].split() == text.english[i]
        assert one["spanish"].split() == text.spanish[i]
        assert {tuple(link) for link in one["gold"]} == set(text.links[i])
        assert one["name"].endswith(f" {text.chapter[i]}:{text.verse[i]}")
        assert one["name"].startswith(text.book[i][:2])
    enough = [i for i, gold in enumerate(text.links) if len({a for a, _ in gold}) >= 4]
    assert len(enough) == FACTS["eligible"] and set(rows) < set(enough)


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_of_the_page_are_those_of_torch(page, recipe, kind):
    body = "return given[0].map((c) => m.weightsOf(c, given[1]));"
    found = call(page, body, CLAUSES, kind)
    for got, i in zip(found, recipe.drawn(), strict=True):
        if kind == "diagonal":
            assert {(a, row.index(1)) for a, row in enumerate(got)} == links_of(
                recipe, kind
            )[i]
            assert all(sum(row) == 1 for row in got)
            continue
        wanted = recipe.weights()[kind][i].double()
        got = torch.tensor(got, dtype=torch.double)
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found_is_counted_as_torch_counts(page, recipe, kind):
    got = call(page, "return given[0].map((c) => m.count(c, given[1]));", CLAUSES, kind)
    text, mine = recipe.clauses().text, links_of(recipe, kind)
    for (k, n), i in zip(got, recipe.drawn(), strict=True):
        judged = {a for a, _ in text.links[i]}
        assert n == len(judged) >= 4
        right = {a for a, b in mine[i] if (a, b) in text.links[i]}
        assert k == len(right)


def test_the_totals_are_those_of_all_new_clauses(recipe):
    text = recipe.clauses().text
    assert FACTS["count"] == len(text) == 818
    assert FACTS["links"] == sum(len({a for a, _ in gold}) for gold in text.links)
    for kind, total in FACTS["found"].items():
        links = links_of(recipe, kind)
        both = zip(links, text.links, strict=True)
        assert total == sum(len(mine & set(gold)) for mine, gold in both)
    # what the sentence beside the demo says
    found = FACTS["found"]
    assert found["bahdanau"] < found["diagonal"] < found["transformer"]
    assert [
        round(100 * found[k] / FACTS["links"])
        for k in ("bahdanau", "diagonal", "transformer", "first layer")
    ] == [52, 55, 65, 34]


def test_a_word_on_one_of_two_gold_links_is_found(page):
    clause = {"spanish": "a b c", "english": "x y z", "diagonal": [0, 1, 2]}
    clause |= {"gold": [[0, 1], [0, 2], [1, 0]]}
    clause |= {"weights": {"bahdanau": [[1, 2, 900], [1, 500, 499], [900, 1, 1]]}}
    body = "return [m.judge(given[0], given[1]), m.count(given[0], given[1])];"
    assert call(page, body, clause, "bahdanau") == [[True, False, None], [1, 2]]
    assert call(page, body, clause, "diagonal") == [[False, False, None], [0, 2]]


def counted(clause, kind):
    found = {i for i, _ in clause["gold"]}
    if kind == "diagonal":
        places = clause["diagonal"]
    else:
        places = [row.index(max(row)) for row in clause["weights"][kind]]
    return sum([i, places[i]] in clause["gold"] for i in found), len(found)


def rows(page):
    cells = page.locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in cells]


def test_the_first_sight_has_the_counts_and_the_diagonal_beside(page):
    for (name, here, everywhere), (kind, text) in zip(
        rows(page), KINDS.items(), strict=True
    ):
        k, n = counted(CLAUSES[0], kind)
        assert (name, here) == (text, f"{k} of {n}")
        total = FACTS["found"][kind]
        share = round(100 * total / FACTS["links"])
        assert everywhere == f"{total:,} of {FACTS['links']:,} ({share}\u00a0%)"
    assert status(page).startswith(f"{KINDS['bahdanau']} finds 2 of 4 here")
    assert "drawn by a fixed seed; nobody picked them" in page.inner_text("mmdl-demo")
    linked = {i for i, _ in CLAUSES[0]["gold"]}
    assert page.locator(".lines .look").count() == len(linked)
    assert page.locator(".lines .gold").count() == len(CLAUSES[0]["gold"])
    assert page.locator("figure").count() == 0


@pytest.mark.parametrize("index", [1, 9, 19])
def test_another_clause_and_another_model_change_lines_and_counts(page, index):
    clause = CLAUSES[index]
    page.get_by_label("Clause", exact=True).select_option(str(index))
    for kind, text in KINDS.items():
        page.get_by_label(text).check()
        k, n = counted(clause, kind)
        assert status(page).startswith(f"{text} finds {k} of {n} here")
        group = page.get_by_role("group", name="English words")
        marks = group.locator("small").all_inner_texts()
        assert (marks.count("✓"), marks.count("✗")) == (k, n - k)
        assert page.locator("tbody .now th").inner_text() == text
    words = page.get_by_role("group", name="Spanish words").locator("span > span")
    assert words.all_inner_texts() == clause["spanish"].split()


def test_the_twentieth_clause_is_followed_by_the_first(page):
    page.get_by_label("Clause", exact=True).select_option("19")
    page.get_by_role("button", name="Next clause").click()
    assert page.get_by_label("Clause", exact=True).input_value() == "0"


def widths(page):
    return [
        float(line.get_attribute("stroke-width"))
        for line in page.locator(".lines .look").all()
    ]


def test_pointing_at_a_word_draws_its_weights_and_leaving_takes_them_away(page):
    before = status(page)
    button = (
        page.get_by_role("group", name="English words").get_by_role("button").nth(3)
    )
    button.hover()
    row = CLAUSES[0]["weights"]["bahdanau"][3]
    drawn = [w for w in row if w >= 20]
    assert widths(page) == pytest.approx([1 + 9 * w / 1000 for w in drawn])
    shown = page.get_by_role("group", name="Spanish words").locator("small")
    texts = [f"{w / 10:.0f} %" if w >= 20 else "" for w in row]
    assert [t[:1] for t in shown.all_inner_texts()] == [t[:1] for t in texts]
    gold = [j for i, j in CLAUSES[0]["gold"] if i == 3]
    assert page.locator(".lines .gold").count() == len(gold)
    assert page.locator(".words .true").count() == len(gold)
    assert CLAUSES[0]["english"].split()[3] in status(page)
    page.get_by_role("status").hover()
    assert status(page) == before


ENDS = """() => [...document.querySelectorAll('.lines .look')].map((line) => {
  const box = line.ownerSVGElement.getBoundingClientRect();
  const at = (p) => [p.x + box.left, p.y + box.top];
  return [0, line.getTotalLength()].map((far) => at(line.getPointAtLength(far)));
})"""
NEAREST = """([x, y, name]) => {
  const words = [...document.querySelector(`[aria-label="${name}"]`).children];
  const far = (node) => {
    const b = node.getBoundingClientRect();
    const out = (v, low, high) => Math.max(low - v, 0, v - high);
    return Math.hypot(out(x, b.left, b.right), out(y, b.top, b.bottom));
  };
  const all = words.map(far), least = Math.min(...all);
  return [all.indexOf(least), least];
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_lines_lead_from_the_word_to_where_it_looks_most(visit, address, width):
    size = {"width": width, "height": 900}
    page, faults = visit(address + "alignment.html", viewport=size)
    page.get_by_label("Clause", exact=True).select_option("3")
    upright = page.locator(".board.upright").count() == 1
    assert upright == (width == 390)
    clause, found = CLAUSES[3], set()
    for start, end in page.evaluate(ENDS):
        i, off = page.evaluate(NEAREST, [*start, "English words"])
        j, away = page.evaluate(NEAREST, [*end, "Spanish words"])
        assert off < 4 and away < 4
        found.add((i, j))
    linked = {i for i, _ in clause["gold"]}
    looks = clause["weights"]["bahdanau"]
    assert found == {(i, looks[i].index(max(looks[i]))) for i in linked}
    assert faults == []
    page.close()


def test_gold_links_differ_from_weights_not_by_color_alone(page):
    style = "(x) => getComputedStyle(x).strokeDasharray"
    assert page.locator(".lines .gold").first.evaluate(style) != "none"
    assert page.locator(".lines .look").first.evaluate(style) == "none"


def test_the_keyboard_goes_from_word_to_word(page):
    page.get_by_label(KINDS["bahdanau"]).focus()
    page.keyboard.press("ArrowDown")
    assert status(page).startswith(KINDS["transformer"])
    page.keyboard.press("Tab")
    words = CLAUSES[0]["english"].split()
    assert status(page).startswith(f"“{words[0]}”")
    page.keyboard.press("ArrowRight")
    assert status(page).startswith(f"“{words[1]}”")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert status(page).startswith(f"“{words[-1]}”")
    assert "not counted" in status(page)
    page.keyboard.press("Home")
    pressed = page.locator(".words [aria-pressed=true]")
    assert re.match(words[0], pressed.get_attribute("aria-label"))
    page.keyboard.press("Escape")
    assert status(page).startswith(KINDS["transformer"]) and pressed.count() == 0


def test_a_tap_chooses_a_word_and_all_words_come_back(visit, address):
    phone = {"width": 390, "height": 844}
    page, faults = visit(
        address + "alignment.html", viewport=phone, has_touch=True, is_mobile=True
    )
    before = status(page)
    words = CLAUSES[0]["english"].split()
    page.get_by_role("button", name=words[2]).tap()
    assert status(page).startswith(f"“{words[2]}”")
    page.get_by_role("button", name="All words").tap()
    assert status(page) == before and faults == []
    page.close()


def test_every_clause_fits_a_phone(visit, address):
    phone = {"width": 390, "height": 844}
    page, faults = visit(address + "alignment.html", viewport=phone)
    for index, clause in enumerate(CLAUSES):
        page.get_by_label("Clause", exact=True).select_option(str(index))
        buttons = page.get_by_role("group", name="English words").get_by_role("button")
        assert buttons.count() == len(clause["english"].split())
        buttons.last.focus()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    page.close()


def test_the_same_module_works_in_a_notebook(live):
    page, faults = live(demos.alignment(), ["facts"])
    page.get_by_role("button", name="Next clause").click()
    k, n = counted(CLAUSES[1], "bahdanau")
    assert f"finds {k} of {n} here" in status(page) and faults == []
    page.close()
