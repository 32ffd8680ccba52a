"""The demo of BERT, in a browser as on a page, and answered by the kernel."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.data import verses
from mmdl_lib.demos._live.masked_words import Fill
from mmdl_lib.lab import masks

MODULE = """const at = (path) => new URL("_static/" + path, document.baseURI).href;
  const m = await import(at("demos/masked_words/demo.js"));"""
# what is hidden in the verses, one after another
HIDDEN = ([2], [7], [3, 7], [0, 1, 2, 3], [5], [6, 8], [], [4])


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "masked_words/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def nets():
    return Fill()


@pytest.fixture(scope="module")
def stored(facts):
    """Tokens of the verses, and where they are hidden."""
    tokens = masks.encode([verse["words"] for verse in facts["verses"]]).tokens
    hidden = torch.zeros_like(tokens, dtype=torch.bool)
    for row, places in zip(hidden, HIDDEN, strict=True):
        row[[place + 1 for place in places]] = True
    return tokens, hidden


def expected(nets, words, place, also=()):
    """Probabilities of BERT and GPT at a place, found one by one, without the demo."""
    with torch.no_grad():
        both = [
            masks.SPECIAL[masks.MASK] if i in also else w for i, w in enumerate(words)
        ]
        left = [
            masks.SPECIAL[masks.UNK] if i in also else w for i, w in enumerate(words)
        ]
        return [
            masks.guesses(net, some, place)
            for net, some in ((nets.bert, both), (nets.gpt, left))
        ]


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the nets are loaded."""
    page, faults = visit(address + "masked_words.html")
    start(page, "masked_words")
    yield page, faults
    page.close()


def test_the_network_of_the_page_agrees_with_torch(running, nets, stored):
    js = f"""async ([tokens, hidden]) => {{ {MODULE}
      const engine = m.browserEngine({{files: at("demos/masked_words/"),
        runtime: at("vendor/onnxruntime/")}}), out = [];
      for (let i = 0; i < tokens.length; i++) {{
        const row = {{tokens: tokens[i], hidden: hidden[i]}};
        const {{bert, gpt}} = await engine.fill(row);
        out.push([[...bert], [...gpt]]);
      }}
      return out; }}"""
    tokens, hidden = stored
    got = running[0].evaluate(js, [tokens.tolist(), hidden.int().tolist()])
    with torch.no_grad():
        found = nets(tokens, hidden)
    for i, name in enumerate(("bert", "gpt")):
        here = torch.tensor([row[i] for row in got]).reshape(found[i].shape)
        torch.testing.assert_close(here, found[i], atol=1e-3, rtol=0, msg=name)


def test_tokens_of_the_page_are_those_of_the_library(running, facts, stored):
    js = f"""async ([facts, hidden]) => {{ {MODULE} const f = m.tables(facts);
      return facts.verses.map(({{words}}, i) => m.encode(words, hidden[i], f)); }}"""
    got = running[0].evaluate(js, [facts, HIDDEN])
    for one, tokens, hidden in zip(got, *stored, strict=True):
        assert one["tokens"] == tokens.tolist()
        assert one["hidden"] == hidden.int().tolist()


def test_each_net_reads_what_it_was_trained_to_read(nets, facts, stored):
    with torch.no_grad():
        found = nets(*stored)
    for i, (verse, places) in enumerate(zip(facts["verses"], HIDDEN, strict=True)):
        for place in places:
            also = {*places} - {place}
            for logits, wanted in zip(
                found, expected(nets, verse["words"], place, also), strict=True
            ):
                got = logits[i, place + 1].softmax(-1)
                torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_gpt_sees_the_left_side_only_and_bert_both(nets, stored):
    tokens, hidden = stored[0][:1], stored[1][:1]
    at = int(hidden[0].nonzero()[0, 0])
    for side, moves in ((slice(at + 1, None), False), (slice(1, at), True)):
        other = tokens.clone()
        other[:, side] = masks.UNK
        with torch.no_grad():
            before, after = nets(tokens, hidden), nets(other, hidden)
        changed = [
            (a - b)[0, at].abs().max() > 1e-4
            for a, b in zip(before, after, strict=True)
        ]
        assert changed == [True, moves]


def test_no_hidden_word_is_seen_by_either_net(nets, stored):
    tokens, hidden = stored
    with torch.no_grad():
        before = nets(tokens, hidden)
        after = nets(torch.where(hidden, 99, tokens), hidden)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_the_verses_are_of_books_held_out_and_none_is_cut(facts):
    held = [" ".join(words) for words in verses.load("test").english]
    assert len({verse["name"] for verse in facts["verses"]}) == 8
    for verse in facts["verses"]:
        assert " ".join(verse["words"]) in held
        assert len(verse["words"]) + 2 <= facts["length"] == masks.LENGTH
    assert facts["vocab"] == masks.vocabulary()


def test_what_the_note_counts_is_so(nets, facts):
    gaps = {}
    for verse in facts["verses"]:
        for place, word in enumerate(verse["words"]):
            if word in facts["vocab"]:
                i = facts["vocab"].index(word)
                p, q = (x[i].item() for x in expected(nets, verse["words"], place))
                gaps[verse["name"], place] = p - q
    assert len(gaps) == facts["known"]
    assert sum(gap > 0 for gap in gaps.values()) == facts["ahead"]
    firsts = [gaps[verse["name"], verse["first"]] for verse in facts["verses"]]
    assert firsts == sorted(firsts, reverse=True) and firsts[0] > 0.5


def status(page):
    return page.get_by_role("status").inner_text()


def settle(page, before):
    """Waits until another answer than `before` is read out."""
    js = "t => document.querySelector('[role=status]').textContent !== t"
    page.wait_for_function(js, arg=before, timeout=10_000)


def rows(page, net):
    column = page.get_by_role("group", name=re.compile(f"^{net}, sees"))
    return [
        text.split("\n") for text in column.get_by_role("listitem").all_inner_texts()
    ]


def word(page, number):
    """The button of a word, counted from 1."""
    return (
        page.get_by_role("group", name="Words of the verse")
        .get_by_role("button")
        .nth(number - 1)
    )


def pick(page, name):
    before = status(page)
    page.get_by_role("button", name=name, exact=True).click()
    if status(page) == before:
        settle(page, before)


def check_rows(page, nets, words, place, also=()):
    """The lists show what torch finds."""
    names = [*masks.vocabulary()]
    names[masks.UNK], names[masks.SEP] = "rare word", "end of the verse"
    for net, wanted in zip(
        ("BERT", "GPT"), expected(nets, words, place, also), strict=True
    ):
        best = wanted.topk(10)
        shown = rows(page, net)
        assert [row[0].removeprefix("✓ ") for row in shown] == [
            names[i] for i in best.indices.tolist()
        ]
        for row, p in zip(shown, best.values.tolist(), strict=True):
            said = float(re.search(r"([\d.]+) %", row[-1])[1])
            assert said == pytest.approx(100 * p, abs=0.6)


def test_the_first_state_shows_that_the_right_side_helps(running, nets, facts):
    page, faults = running
    verse = facts["verses"][0]
    pick(page, facts["verses"][1]["name"])
    pick(page, verse["name"])
    check_rows(page, nets, verse["words"], verse["first"])
    own = verse["words"][verse["first"]]
    assert rows(page, "BERT")[0][0] == f"✓ {own}"
    assert rows(page, "GPT")[0][0] != f"✓ {own}"
    assert "Computed by this browser" in status(page)
    assert faults == []


def test_several_words_can_be_hidden_and_each_asked_for(running, nets, facts):
    page, faults = running
    verse = facts["verses"][1]
    pick(page, verse["name"])
    first, second = verse["first"], verse["first"] - 2
    assert not page.get_by_role("group", name="Hidden places").is_visible()
    before = status(page)
    word(page, second + 1).click()
    settle(page, before)
    check_rows(page, nets, verse["words"], second, {first})
    before = status(page)
    page.get_by_role("button", name=f"Word {first + 1}", exact=True).click()
    settle(page, before)
    check_rows(page, nets, verse["words"], first, {second})
    before = status(page)
    word(page, second + 1).click()  # shown again
    settle(page, before)
    check_rows(page, nets, verse["words"], first)
    word(page, first + 1).click()
    page.get_by_role("status").get_by_text("Nothing is hidden").wait_for()
    assert rows(page, "BERT") == rows(page, "GPT") == []
    assert faults == []


def test_a_rare_word_is_called_so(running, nets, facts):
    page, faults = running
    verse = next(v for v in facts["verses"] if "comfortless" in v["words"])
    pick(page, facts["verses"][0]["name"])
    pick(page, verse["name"])
    place = verse["words"].index("comfortless")
    button = page.get_by_role("button", name="comfortless rare word")
    assert button.inner_text().split() == ["comfortless", "rare", "word"]
    before = status(page)
    button.click()
    settle(page, before)
    check_rows(page, nets, verse["words"], place, {verse["first"]})
    column = page.get_by_role("group", name=re.compile("^BERT, sees"))
    assert "The verse has a rare word: rank" in column.inner_text()
    assert "[UNK]" not in page.locator("mmdl-demo").inner_text()
    assert faults == []


def test_the_keyboard_is_enough(visit, address, facts):
    page, faults = visit(address + "masked_words.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Likeliest").wait_for(timeout=120_000)
    before = status(page)
    page.keyboard.press("Space")  # the first word
    settle(page, before)
    assert word(page, 1).inner_text() == "[MASK]"
    assert word(page, 1).evaluate("x => x === document.activeElement")
    page.keyboard.press("Tab")
    assert word(page, 2).evaluate("x => x === document.activeElement")
    assert faults == []
    page.close()


def test_the_kernel_answers_the_same_numbers(nets, stored):
    widget = demos.masked_words()
    tokens, hidden = (x[2].int().tolist() for x in stored)
    answer = widget.answer({"id": 7, "tokens": tokens, "hidden": hidden})
    with torch.no_grad():
        found = nets(*(x[2:3] for x in stored))
    for name, wanted in zip(("bert", "gpt"), found, strict=True):
        raw = np.frombuffer(base64.b64decode(answer[name]), "<f4")
        got = torch.tensor(raw).reshape(wanted.shape)
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
    for message, words in (
        ({}, "tokens expected 16 numbers from 0 to 499, got None"),
        ({"tokens": tokens[:-1]}, "tokens expected 16 numbers"),
        ({"tokens": [500] * 16}, "tokens expected 16 numbers from 0 to 499"),
        ({"tokens": tokens}, "hidden expected 16 numbers from 0 to 1, got None"),
        ({"tokens": tokens, "hidden": ["a"] * 16}, "hidden expected 16 numbers"),
    ):
        assert words in widget.answer({"id": 8, **message})["error"]


def test_the_same_module_shows_what_the_kernel_answers(live, facts):
    page, faults = live(demos.masked_words(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    before = status(page)
    page.get_by_role("button", name=facts["verses"][2]["name"], exact=True).click()
    settle(page, before)
    assert "Computed by the kernel" in status(page)
    assert faults == []
    page.close()
