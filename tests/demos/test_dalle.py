"""The demo of DALL-E: its networks and draws against torch, and its page."""

import base64
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.lab import one_object as oo
from mmdl_lib.pretrained import small
from tests.demos.by_torch import luck, pixels, status

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "dalle/facts.json").read_text("utf-8"))
FIRST = FACTS["begins"][0]
MODULE = """const m = await import(
  new URL("_static/demos/dalle/demo.js", document.baseURI));
  const d = await import(new URL("_static/demos/drawing.js", document.baseURI));"""
ENGINE = """const at = (path) => new URL("_static/" + path, document.baseURI).href;
  const engine = m.browserEngine({files: at("demos/dalle/"),
    runtime: at("vendor/onnxruntime/")});"""


@pytest.fixture(scope="module")
def nets():
    return tuple(small.load(name, oo.WEIGHTS) for name in ("dalle", "dvae"))


@pytest.fixture(scope="module")
def running(visit, address, start):
    page, faults = visit(address + "dalle.html")
    start(page, "dalle")
    yield page, faults
    page.close()


def call(page, body, *given):
    js = f"async ([facts, given]) => {{ {MODULE} {body} }}"
    return page.evaluate(js, [FACTS, list(given)])


def filled(nets, captions):
    return nets[0].filled(*oo.tokenizer()(captions))


@torch.no_grad()
def drafted(nets, caption, seed, temperature):
    """A draft as the page makes it, by torch: codes and their probabilities."""
    words, codes, shares = filled(nets, [caption]), [], []
    for u in luck(seed, 64):
        row = torch.tensor([codes + [0] * (64 - len(codes))])
        logits = nets[0].told(words, row)[1][0, len(codes)].double()
        share = (logits / temperature).softmax(0)
        codes.append(int((share.cumsum(0) <= u).sum().clamp(max=255)))
        shares.append(share[codes[-1]].item())
    return torch.tensor(codes), torch.tensor(shares)


@torch.no_grad()
def shown(nets, codes, count=64):
    """The bytes of a draft of which `count` codes are shown."""
    half = torch.where(torch.arange(64) < count, codes, FACTS["ground"])
    return ((nets[1].decode(half[None])[0] + 1) * 127.5).round()


def settled(page, caption, seed):
    """Waits until a draft is whole."""
    said = f"“{caption}”, seed {seed}: all 64 codes are written"
    page.get_by_role("status").filter(has_text=said).wait_for()


def begin(page, caption=FIRST, seed=1, temperature="0.8"):
    page.get_by_label("Temperature").fill(temperature)
    page.get_by_label("Seed", exact=True).fill(str(seed))
    page.get_by_label("Caption", exact=True).fill(caption)
    settled(page, caption, seed)


# ---- the parts
def test_the_places_of_a_caption_are_those_of_the_library(running, nets):
    captions = [*FACTS["begins"], "A Red star!", "there is a large yellow moon"]
    got = call(running[0], "return given.map((c) => m.places(c, facts));", *captions)
    assert got == filled(nets, captions).tolist()


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a red dragon", 'words that this DALL-E knows, got "dragon"'),
        ("an orange 7", 'words that this DALL-E knows, got "7"'),
        (" ?! ", "a caption with words, got none"),
        ("a red star and a blue ring", "at most 6 words, got 7"),
    ],
)
def test_a_caption_that_cannot_be_read_is_named(running, caption, words):
    body = "try { m.places(given[0], facts); } catch (e) { return e.message; }"
    assert call(running[0], body, caption).startswith(f"expected {words}")
    with pytest.raises(ValueError, match="expected"):
        oo.tokenizer()([caption])


def test_the_networks_of_the_page_say_what_torch_says(running, nets):
    rows = torch.randint(256, (3, 64), generator=generator(0))
    words = filled(nets, FACTS["begins"][:3])
    counts = [0, 17, 63]
    body = f"""{ENGINE} const out = [];
      for (const [words, codes, all] of given)
        out.push([...await engine.next(words, codes)], [...await engine.picture(all)]);
      return out;"""
    given = [
        [w.tolist(), row[:n].tolist(), row.tolist()]
        for w, row, n in zip(words, rows, counts, strict=True)
    ]
    got = call(running[0], body, *given)
    with torch.no_grad():
        told, image = nets[0].told(words, rows)[1], nets[1].decode(rows)
    for i, n in enumerate(counts):
        torch.testing.assert_close(
            torch.tensor(got[2 * i]), told[i, n], atol=1e-3, rtol=0
        )
        torch.testing.assert_close(
            torch.tensor(got[2 * i + 1]).view(3, 16, 16), image[i], atol=1e-3, rtol=0
        )


def test_luck_is_that_of_the_seed(running):
    body = """return given.map((seed) => { const next = d.luck(seed);
      return Array.from({length: 200}, next); });"""
    got = call(running[0], body, 0, 1, 999_999_999)
    assert got == [luck(seed, 200) for seed in (0, 1, 999_999_999)]
    assert got[0] != got[1] and abs(sum(got[1]) / 200 - 0.5) < 0.1


def test_a_temperature_divides_and_a_draw_falls_where_it_should(running):
    logits = torch.randn(20, generator=generator(1))
    body = "return m.chances(given[0], given[1]);"
    got = torch.tensor(call(running[0], body, logits.tolist(), 0.5))
    torch.testing.assert_close(got, (logits / 0.5).softmax(0), atol=1e-6, rtol=0)
    body = "return given.map((u) => m.draw([0.25, 0, 0.5, 0.25], u));"
    assert call(running[0], body, 0, 0.24, 0.26, 0.74, 0.76, 1) == [0, 0, 2, 2, 3, 3]


# ---- the page
@pytest.mark.parametrize(
    ("caption", "seed", "temperature"),
    [(FIRST, 1, "0.8"), ("a red star", 12, "1"), ("a blue moon", 3, "0.3")],
)
def test_a_draft_of_the_page_is_that_of_torch(
    running, nets, caption, seed, temperature
):
    page, faults = running
    begin(page, caption, seed, temperature)
    codes, shares = drafted(nets, caption, seed, float(temperature))
    assert (pixels(page, "The draft so far") - shown(nets, codes)).abs().max() <= 1
    sure = (255 * shares).view(8, 8).expand(3, -1, -1)
    assert (pixels(page, "How likely") - sure).abs().max() <= 1.5
    assert f"the least likely one had {100 * shares.min():.1f} %" in status(page)
    assert ("never seen a blue moon" in status(page)) == (caption == "a blue moon")
    assert faults == []


def test_the_slider_goes_back_to_fewer_codes(running, nets):
    page, faults = running
    begin(page)
    codes, _ = drafted(nets, FIRST, 1, 0.8)
    assert not torch.equal(shown(nets, codes), shown(nets, codes, 30))
    page.get_by_label("Codes written").fill("30")
    page.get_by_text("30 of 64").wait_for()
    page.wait_for_timeout(500)
    assert (pixels(page, "The draft so far") - shown(nets, codes, 30)).abs().max() <= 1
    sure = pixels(page, "How likely").flatten(1)
    assert (sure[:, 30:] == 255).all() and (sure[:, :30] < 255).any()
    assert faults == []


def test_the_next_seed_is_another_draft(running, nets):
    page, faults = running
    begin(page, "a red star", 5)
    before = pixels(page, "The draft so far")
    page.get_by_role("button", name="Next seed").click()
    settled(page, "a red star", 6)
    assert (pixels(page, "The draft so far") - before).abs().max() > 1
    codes, _ = drafted(nets, "a red star", 6, 0.8)
    assert (pixels(page, "The draft so far") - shown(nets, codes)).abs().max() <= 1
    assert faults == []


def test_a_change_ends_the_draft_before(running, nets):
    page, faults = running
    begin(page)
    page.get_by_role("button", name="a red star", exact=True).click()
    page.wait_for_timeout(300)  # somewhere in the middle of the first
    page.get_by_role("button", name="a pink moon", exact=True).click()
    settled(page, "a pink moon", 1)
    page.wait_for_timeout(500)
    codes, _ = drafted(nets, "a pink moon", 1, 0.8)
    assert (pixels(page, "The draft so far") - shown(nets, codes)).abs().max() <= 1
    assert faults == []


def test_what_cannot_be_read_is_said_and_the_next_caption_is_drawn(running):
    page, faults = running
    page.get_by_label("Caption", exact=True).fill("a red dragon")
    wanted = 'Expected words that this DALL-E knows, got "dragon": they stand below.'
    assert status(page) == wanted
    page.get_by_label("Caption", exact=True).fill("a pink heart")
    settled(page, "a pink heart", 1)
    for wrong in ("one", "", "-1", "1234567890"):
        page.get_by_label("Seed", exact=True).fill(wrong)
        assert status(page).startswith("Expected a seed, a whole number")
    page.get_by_role("button", name="Next seed").click()
    settled(page, "a pink heart", 1)
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "dalle.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page, FIRST, 1)
    page.keyboard.press("Control+A")
    page.keyboard.type("a green ring")
    settled(page, "a green ring", 1)
    for _ in range(5):  # past the four captions
        page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.get_by_text("0 of 64", exact=True).wait_for()
    assert (pixels(page, "How likely") == 255).all()
    assert faults == []
    page.close()


# ---- the kernel and the files
def floats(text):
    return torch.tensor(np.frombuffer(base64.b64decode(text), "<f4"))


@torch.no_grad()
def test_the_kernel_answers_the_same_numbers(nets):
    widget, words = demos.dalle(), filled(nets, [FIRST])
    row = torch.randint(256, (1, 64), generator=generator(2))
    told = nets[0].told(words, row)[1][0]
    for n in (0, 5, 63):
        message = {"id": 1, "words": words[0].tolist(), "codes": row[0, :n].tolist()}
        got = floats(widget.answer(message)["logits"])
        torch.testing.assert_close(got, told[n], atol=1e-5, rtol=0)
    got = floats(widget.answer({"picture": row[0].tolist()})["pixels"])
    torch.testing.assert_close(got.view(3, 16, 16), nets[1].decode(row)[0])


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"words": [0] * 8, "codes": [256]},
        {"words": [0] * 7, "codes": []},
        {"words": [46] * 8, "codes": []},
        {"words": [0] * 8, "codes": [0] * 64},
        {"words": [0] * 8, "codes": [0.5]},
        {"picture": [0] * 63},
        {"picture": "all"},
        {"picture": [True] * 64},
    ],
)
def test_what_the_kernel_cannot_read_it_says(message):
    said = demos.dalle().answer(message | {"id": 2})["error"]
    assert " expected " in said and " numbers from 0 to " in said


def test_the_same_module_shows_what_the_kernel_answers(live, nets):
    page, faults = live(demos.dalle(), ["facts"])
    settled(page, FIRST, 1)
    assert "Computed by the kernel (torch)" in status(page)
    codes, _ = drafted(nets, FIRST, 1, 0.8)
    assert (pixels(page, "The draft so far") - shown(nets, codes)).abs().max() <= 1
    assert faults == []
    page.close()


def test_an_old_draft_asks_for_no_further_code(live):
    widget, asked = demos.dalle(), []
    answer = widget.answer
    widget.answer = lambda message: (asked.append(message), answer(message))[1]
    page, faults = live(widget, ["facts"])
    settled(page, FIRST, 1)
    asked.clear()
    slow = "slowness => { window.slowness = slowness; }"
    page.evaluate(slow, 500)  # so that the first line is far from whole
    page.get_by_role("button", name="a red star", exact=True).click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name="a pink moon", exact=True).click()
    page.evaluate(slow, 0)
    settled(page, "a pink moon", 1)
    rows = [tuple(m["words"]) for m in asked if "words" in m]
    old, new = rows[0], rows[-1]
    assert old != new and old not in rows[rows.index(new) :]
    assert rows.count(old) < 8 and rows.count(new) == 64
    assert faults == []
    page.close()


def test_the_file_is_what_the_recipe_writes(monkeypatch, nets):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    assert importlib.import_module("dalle_demo").facts(*nets) == FACTS
    sizes = [p.stat().st_size for p in (demos.HERE / "dalle").iterdir()]
    assert sum(sizes) < 2_000_000
