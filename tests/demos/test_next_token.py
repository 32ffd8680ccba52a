"""The demo of GPT, in a browser as on a page, and answered by the kernel."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data import verses
from mmdl_lib.nn.decode import truncate

MODULE = (
    'const m = await import(new URL("_static/demos/next_token/demo.js", '
    "document.baseURI));"
)
TEXTS = (
    "in the beginning god created the heaven and the earth .",
    "and nebuchadnezzar the king of beth-el was his brother's keeper ;",
    "zzxqj , abracadabra",
    "( mene , mene , tekel , upharsin ) !",
)


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "next_token/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def gpt():
    return pretrained.load("gpt", "verses")


def ids_of(text):
    return verses.pieces("english").encode(text.split()).ids[:-1]


def logits_of(gpt, text):
    with torch.no_grad():
        return gpt.logits(torch.tensor([ids_of(text)]))[0, -1]


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the model is loaded."""
    page, faults = visit(address + "next_token.html")
    start(page, "next_token")
    yield page, faults
    page.close()


def call(page, facts, body, *given):
    js = f"""async ([facts, given]) => {{ {MODULE}
      const f = m.tables(facts); {body} }}"""
    return page.evaluate(js, [facts, list(given)])


def test_the_pieces_of_the_page_are_those_of_the_library(running, facts):
    words = {w for s in verses.load("test").english[:300] for w in s}
    texts = [*TEXTS, " ".join(sorted(words))]
    got = call(running[0], facts, "return given.map((t) => m.encode(t, f));", *texts)
    assert got == [ids_of(text) for text in texts]


def test_capitals_and_marks_without_spaces_are_read(running, facts):
    text = "In the beginning, God’s heaven (and earth)."
    (got,) = call(running[0], facts, "return given.map((t) => m.encode(t, f));", text)
    assert got == ids_of("in the beginning , god's heaven ( and earth ) .")


def test_what_is_written_can_be_read_again(running, facts):
    ids = ids_of(TEXTS[1])
    (got,) = call(running[0], facts, "return given.map((i) => m.decode(i, f));", ids)
    assert got == "and nebuchadnezzar the king of beth-el was his brother's keeper;"


def test_a_strange_letter_is_named(running, facts):
    body = "try { m.encode(given[0], f); } catch (e) { return e.message; }"
    said = call(running[0], facts, body, "in the 7 days")
    assert said == 'expected letters of English verses, got "7".'


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.3, 0.9), (1.7, 0.5)])
def test_choices_are_those_of_the_library(running, gpt, temperature, top_p):
    logits = logits_of(gpt, TEXTS[0][:24])
    wanted = truncate(logits[None] / temperature, top_p=top_p).softmax(-1)[0]
    js = f"""async ([x, t, p]) => {{ {MODULE} return m.choices(x, t, p).after; }}"""
    got = torch.tensor(running[0].evaluate(js, [logits.tolist(), temperature, top_p]))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_a_draw_falls_on_each_piece_as_often_as_it_is_likely(running):
    js = f"""async () => {{ {MODULE} const seen = [0, 0, 0, 0];
      for (let i = 0; i < 1000; i++) seen[m.draw([0.2, 0, 0.5, 0.3], i / 1000)]++;
      return [...seen, m.draw([0.5, 0.5, 0], 1)]; }}"""
    got = running[0].evaluate(js)
    # to one, for the ends of the intervals are rounded
    assert got[1] == 0 and got[4] == 1
    assert got[0] == 200 and abs(got[2] - 500) <= 1 and abs(got[3] - 300) <= 1


def status(page):
    return page.get_by_role("status").inner_text()


def settle(page, before):
    """Waits until another answer than `before` is read out."""
    js = "t => document.querySelector('[role=status]').textContent !== t"
    page.wait_for_function(js, arg=before, timeout=10_000)


def rows(page):
    return page.locator("li button").all_inner_texts()


def test_the_browser_shows_what_torch_computes(running, gpt):
    page, faults = running
    before = status(page)
    page.get_by_label("Beginning", exact=True).fill("blessed are they that")
    settle(page, before)
    best = logits_of(gpt, "blessed are they that").softmax(0).topk(10)
    pieces = verses.pieces("english").engine
    names = [pieces.id_to_token(i).replace("</w>", "") for i in best.indices.tolist()]
    assert [row.split("\n")[0] for row in rows(page)] == names
    for row, chance in zip(rows(page), best.values.tolist(), strict=True):
        shown = float(re.search(r"([\d.]+) %", row)[1])
        assert shown == pytest.approx(100 * chance, abs=0.6)
    assert "Computed by this browser" in status(page)
    assert faults == []


def test_a_click_takes_a_piece_and_draws_go_on(running):
    page, faults = running
    page.get_by_role("button", name="in the beginning", exact=True).click()
    written = page.locator(".written")
    page.wait_for_function(
        "() => document.querySelector('.written').textContent === 'in the beginning'"
    )
    first = rows(page)[0].split("\n")[0]
    page.locator("li button").first.click()
    page.wait_for_function(
        "() => document.querySelector('.written').textContent !== 'in the beginning'"
    )
    assert written.inner_text().startswith("in the beginning")
    assert first in written.inner_text()
    before = written.inner_text()
    page.get_by_role("button", name="Draw ten").click()
    page.wait_for_function(
        "t => document.querySelector('.written').textContent.length > t.length + 9",
        arg=before,
    )
    page.wait_for_timeout(500)
    for _ in range(6):
        page.get_by_role("button", name="Draw ten").click()
        page.wait_for_timeout(500)
    assert "places of the context are full" in status(page)
    page.get_by_role("button", name="Begin again").click()
    page.wait_for_function(
        "() => document.querySelector('.written').textContent === 'in the beginning'"
    )
    assert faults == []


def test_top_p_cuts_and_the_temperature_sharpens(running):
    page, faults = running
    page.get_by_label("Top-p").fill("0.1")
    assert "1 of 3,000 pieces" in page.locator(".note").first.inner_text()
    assert [("cut" in row) for row in rows(page)] == [False] + [True] * 9
    page.get_by_label("Top-p").fill("1")
    assert "3,000 of 3,000 pieces" in page.locator(".note").first.inner_text()
    plain = float(re.search(r"([\d.]+) %", rows(page)[0])[1])
    page.get_by_label("Temperature").fill("0.3")
    sharp = float(re.search(r"([\d.]+) %", rows(page)[0])[1])
    assert sharp > plain
    page.get_by_label("Temperature").fill("1")
    assert faults == []


def test_what_cannot_be_read_is_said_and_the_next_text_is_read(running):
    page, faults = running
    text = page.get_by_label("Beginning", exact=True)
    text.fill("π is irrational")
    said = 'Expected letters of English verses, got "π".'
    assert status(page) == said
    text.fill("the lord " * 40)
    page.get_by_role("status").get_by_text("Expected at most 63 pieces").wait_for()
    before = status(page)
    text.fill("")
    settle(page, before)
    assert "(nothing yet)" in page.locator(".written").inner_text()
    assert len(rows(page)) == 10
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "next_token.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Likeliest").wait_for(timeout=120_000)
    before = status(page)
    page.keyboard.press("End")
    page.keyboard.type(" all the people")
    settle(page, before)
    assert "all the people" in page.locator(".written").inner_text()
    assert faults == []
    page.close()


def test_the_kernel_answers_the_same_numbers(gpt):
    widget = demos.next_token()
    answer = widget.answer({"id": 7, "tokens": ids_of(TEXTS[0])})
    got = torch.tensor(np.frombuffer(base64.b64decode(answer["logits"]), "<f4"))
    torch.testing.assert_close(got, logits_of(gpt, TEXTS[0]), atol=1e-5, rtol=0)
    for wrong, words in (
        ([], "got an empty prompt|from 1 to 64 tokens|expected"),
        ([5000], "tokens expected numbers from 0 to 2999"),
        (["a"], "expected a list of tokens"),
        (None, "expected"),
        ([1] * 65, "from 1 to 64 tokens"),
    ):
        assert re.search(words, widget.answer({"id": 8, "tokens": wrong})["error"])


def test_the_same_module_shows_what_the_kernel_answers(live):
    page, faults = live(demos.next_token(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    before = status(page)
    page.get_by_role("button", name="blessed are").click()
    settle(page, before)
    assert "Computed by the kernel" in status(page)
    assert faults == []
    page.close()
