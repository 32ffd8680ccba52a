"""The demo of GLIDE: its nets and steps against torch, and its page."""

import base64
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.nn.diffusion import chain
from mmdl_lib.pretrained import small
from tests.demos.by_torch import drawn, noise, pixels, shown, status

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "denoise/facts.json").read_text("utf-8"))
FIRST, STAR = FACTS["begins"][0], FACTS["begins"][2]
MODULE = """const at = (path) => new URL("_static/" + path, document.baseURI).href;
  const d = await import(at("demos/drawing.js"));
  const m = await import(at("demos/denoise/chain.js"));"""
ENGINE = """const engine = m.browserEngine({files: at("demos/denoise/"),
    runtime: at("vendor/onnxruntime/"), mark: "test"});"""


@pytest.fixture(scope="module")
def glide():
    return small.load("glide", "shapes")


@pytest.fixture(scope="module")
def running(visit, address, start):
    page, faults = visit(address + "denoise.html")
    start(page, "denoise")
    yield page, faults
    page.close()


def call(page, body, *given):
    js = f"async ([facts, given]) => {{ {MODULE} {body} }}"
    return page.evaluate(js, [FACTS, list(given)])


def agrees(page, place):
    """Whether the page shows a place of a draw, seen and believed."""
    names = ("What the net sees", "What the net believes")
    return all(
        (pixels(page, name) - shown(x)).abs().max() <= 2
        for name, x in zip(names, place, strict=True)
    )


def settled(page, caption, seed, scale="3.0"):
    said = f"“{caption}”, scale {scale}, seed {seed}: drawn in 20 steps."
    page.get_by_role("status").filter(has_text=said).wait_for()


def begin(page, caption=FIRST, seed=1, scale="3.0"):
    page.get_by_label("Guidance scale").fill(str(float(scale)))
    page.get_by_label("Seed", exact=True).fill(str(seed))
    page.get_by_label("Caption", exact=True).fill(caption)
    settled(page, caption, seed, scale)


def back_to(page, count):
    page.get_by_label("Steps taken").fill(str(count))
    page.get_by_text(f"{count} of 20", exact=True).wait_for()


# ---- the parts
@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a red dragon", 'words that this GLIDE knows, got "dragon"'),
        (" ?! ", "a caption with words, got none"),
        (" ".join(23 * ["red"]), "at most 22 words, got 23"),
    ],
)
def test_a_caption_that_cannot_be_read_is_named(running, caption, words):
    body = """try { d.tokens(given[0], facts.words, facts.text, "this GLIDE"); }
      catch (e) { return e.message; }"""
    assert call(running[0], body, caption).startswith(f"expected {words}")
    with pytest.raises(ValueError, match="expected"):
        fo.tokenizer()([caption])


def test_noise_is_normal_and_that_of_its_seed(running):
    body = "return given.map((seed) => [...d.normal(3072, d.luck(seed))]);"
    for seed, row in zip((1, 7), call(running[0], body, 1, 7), strict=True):
        got = torch.tensor(row)
        torch.testing.assert_close(got, noise(seed).flatten(), atol=1e-5, rtol=0)
        # of 3,072 numbers: mean within four, deviation within four standard errors
        assert got.mean().abs() < 4 / 3072**0.5
        assert (got.std() - 1).abs() < 4 / (2 * 3072) ** 0.5
    assert len(call(running[0], "return [...d.normal(5, d.luck(1))];")) == 5


@torch.no_grad()
@pytest.mark.parametrize("caption", [FIRST, "star", " ".join(11 * ["a", "star"])])
def test_the_nets_of_the_page_say_what_torch_says(running, glide, caption):
    tokens, mask = fo.tokenizer()([caption])
    body = f"""{ENGINE} const [ids, seed, step] = given;
      const x = d.normal(3072, d.luck(seed)), out = await engine.say(ids, x, step);
      return out.map((half) => [...half]);"""
    got = torch.tensor(call(running[0], body, tokens[0].tolist(), 4, 649))
    read = glide.read(tokens, mask), glide.read(tokens, mask, torch.tensor([True]))
    step = torch.tensor([649])
    for row, how in zip(got, read, strict=True):
        wanted = glide(noise(4), step, how)[0]
        # weights in half precision, as in the file that torch reads
        torch.testing.assert_close(row.view(3, 32, 32), wanted, atol=1e-4, rtol=0)
    assert (got[0] - got[1]).abs().max() > 0.1


def test_a_step_back_is_that_of_the_library(running, glide):
    process = glide.diffusion
    x, x0 = (torch.randn(12, generator=generator(s)) for s in (0, 1))
    body = """const [x, x0, pairs] = given;
      return pairs.map(([left, then]) => [...m.back(new Float32Array(x),
        new Float32Array(x0), left, then)]);"""
    steps = [(999, 949), (499, 99), (49, -1)]
    left = [[process.table[a], process.table[b] if b >= 0 else 1] for a, b in steps]
    got = call(running[0], body, x.tolist(), x0.tolist(), left)
    for row, (now, then) in zip(got, steps, strict=True):
        wanted = process.back(x, x0, now, then)
        torch.testing.assert_close(torch.tensor(row), wanted, atol=1e-5, rtol=0)


def test_guidance_goes_beyond_and_clips(running):
    body = """return [0, 1, 3].map((s) =>
      [...m.guided(new Float32Array([0.5, 0.2]), new Float32Array([0.2, 0.1]), s)]);"""
    got = torch.tensor(call(running[0], body))
    wanted = torch.tensor([[0.2, 0.1], [0.5, 0.2], [1.0, 0.4]])
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


# ---- the page
@pytest.mark.parametrize(
    ("caption", "seed", "scale"),
    [(FIRST, 1, "3.0"), (STAR, 12, "1.0"), ("an orange heart", 3, "0.0")],
)
def test_a_draw_of_the_page_is_that_of_torch(running, glide, caption, seed, scale):
    page, faults = running
    begin(page, caption, seed, scale)
    places = drawn(glide, caption, seed, float(scale))
    assert agrees(page, places[20])
    for count in (0, 7, 19, 20):
        back_to(page, count)
        assert agrees(page, places[count]), count
    told = "never seen an orange heart" in status(page)
    assert told == (caption == "an orange heart")
    assert faults == []


def test_the_share_of_picture_is_that_of_the_step(running, glide):
    page, faults = running
    begin(page)
    for count in (0, 9):
        back_to(page, count)
        step = chain(1000, 20)[count]
        share = 100 * glide.diffusion.alpha_bar[step].item()
        assert page.get_by_text(f"Step {step + 1} of 1000: {share:.1f} %").is_visible()
    back_to(page, 20)
    assert page.get_by_text("The picture: no noise is left.").is_visible()
    assert faults == []


def test_the_next_seed_and_another_scale_are_other_draws(running, glide):
    page, faults = running
    begin(page, STAR, 5)
    page.get_by_role("button", name="Next seed").click()
    settled(page, STAR, 6)
    assert agrees(page, drawn(glide, STAR, 6, 3.0)[20])
    page.get_by_label("Guidance scale").fill("1.5")
    settled(page, STAR, 6, "1.5")
    assert agrees(page, drawn(glide, STAR, 6, 1.5)[20])
    assert faults == []


def test_a_change_ends_the_draw_before(running, glide):
    page, faults = running
    begin(page)
    page.get_by_role("button", name=STAR, exact=True).click()
    page.wait_for_timeout(300)  # somewhere in the middle of the first
    other = FACTS["begins"][1]
    page.get_by_role("button", name=other, exact=True).click()
    settled(page, other, 1)
    page.wait_for_timeout(500)
    assert agrees(page, drawn(glide, other, 1, 3.0)[20])
    assert faults == []


def test_what_cannot_be_read_is_said_and_the_next_caption_is_drawn(running):
    page, faults = running
    page.get_by_label("Caption", exact=True).fill("a red dragon")
    wanted = 'Expected words that this GLIDE knows, got "dragon": they stand below.'
    assert status(page) == wanted
    page.get_by_label("Seed", exact=True).fill("one")
    page.get_by_label("Caption", exact=True).fill(STAR)
    assert status(page).startswith("Expected a seed, a whole number")
    page.get_by_role("button", name="Next seed").click()
    settled(page, STAR, 1)
    assert faults == []


def test_the_keyboard_is_enough(visit, address, glide):
    page, faults = visit(address + "denoise.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settled(page, FIRST, 1)
    page.keyboard.press("Control+A")
    page.keyboard.type(STAR)
    settled(page, STAR, 1)
    for _ in range(5):  # past the four captions
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("19 of 20", exact=True).wait_for()
    assert agrees(page, drawn(glide, STAR, 1, 3.0)[19])
    assert faults == []
    page.close()


# ---- the kernel and the files
def packed(x):
    return base64.b64encode(x.contiguous().numpy().tobytes()).decode()


@torch.no_grad()
def test_the_kernel_answers_the_same_numbers(glide):
    tokens, mask = fo.tokenizer()([FIRST])
    row = tokens[0].tolist()
    message = {"id": 1, "tokens": row, "step": 649, "x": packed(noise(4))}
    said = base64.b64decode(demos.denoise().answer(message)["said"])
    got = torch.tensor(np.frombuffer(said, "<f4")).view(2, 3, 32, 32)
    empty = torch.tensor([True])
    for one, read in zip(
        got, (glide.read(tokens, mask), glide.read(tokens, mask, empty)), strict=True
    ):
        wanted = glide(noise(4), torch.tensor([649]), read)[0]
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=0)


GOOD = {"tokens": [1, 7, 2], "step": 5, "x": packed(torch.zeros(1, 3, 32, 32))}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tokens": []}, "tokens expected from 1 to 24"),
        ({"tokens": 25 * [1]}, "tokens expected from 1 to 24"),
        ({"tokens": [38]}, "tokens expected"),
        ({"tokens": [1, 0.5]}, "tokens expected"),
        ({"tokens": None}, "tokens expected"),
        ({"step": 1000}, "step expected from 0 to 999"),
        ({"step": -1}, "step expected from 0 to 999"),
        ({"step": True}, "step expected from 0 to 999"),
        ({"x": "??"}, "x expected 3 x 32 x 32 numbers"),
        ({"x": packed(torch.zeros(5))}, "x expected 3 x 32 x 32 numbers"),
    ],
)
def test_what_the_kernel_cannot_read_it_says(wrong, words):
    widget = demos.denoise()
    assert "said" in widget.answer(GOOD | {"id": 2})
    assert widget.answer(GOOD | wrong | {"id": 2})["error"].startswith(words)


def test_the_same_module_shows_what_the_kernel_answers(live, glide):
    page, faults = live(demos.denoise(), ["facts"])
    settled(page, FIRST, 1)
    assert "Computed by the kernel (torch)" in status(page)
    assert agrees(page, drawn(glide, FIRST, 1, 3.0)[20])
    assert faults == []
    page.close()


def test_an_old_draw_asks_for_no_further_step(live):
    widget, asked = demos.denoise(), []
    answer = widget.answer
    widget.answer = lambda message: (asked.append(message), answer(message))[1]
    page, faults = live(widget, ["facts"])
    settled(page, FIRST, 1)
    asked.clear()
    slow = "slowness => { window.slowness = slowness; }"
    page.evaluate(slow, 500)
    page.get_by_role("button", name=STAR, exact=True).click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name=FACTS["begins"][1], exact=True).click()
    page.evaluate(slow, 0)
    settled(page, FACTS["begins"][1], 1)
    rows = [tuple(m["tokens"]) for m in asked]
    old, new = rows[0], rows[-1]
    assert old != new and old not in rows[rows.index(new) :]
    assert rows.count(old) < 8 and rows.count(new) == 20
    assert faults == []
    page.close()


def test_an_answer_that_comes_too_late_is_not_shown(live, glide):
    page, faults = live(demos.denoise(), ["facts"])
    settled(page, FIRST, 1)
    slow = "slowness => { window.slowness = slowness; }"
    page.evaluate(slow, 8000)
    page.get_by_role("button", name=STAR, exact=True).click()
    page.wait_for_timeout(200)
    page.evaluate(slow, 0)
    page.get_by_role("button", name=FACTS["begins"][1], exact=True).click()
    settled(page, FACTS["begins"][1], 1)
    page.wait_for_timeout(8000)
    assert agrees(page, drawn(glide, FACTS["begins"][1], 1, 3.0)[20])
    assert faults == []
    page.close()


def test_the_file_is_what_the_recipe_writes(monkeypatch, glide):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    recipe = importlib.import_module("denoise_demo")
    found = recipe.facts(glide)
    assert json.loads(json.dumps(found)) == FACTS
    assert set(re.findall(r"\w+", " ".join(FACTS["begins"]))) <= set(FACTS["learned"])
    sizes = [p.stat().st_size for p in (demos.HERE / "denoise").iterdir()]
    assert sum(sizes) < 2_200_000
