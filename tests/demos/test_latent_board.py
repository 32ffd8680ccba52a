"""The demo of the VAE's board: its decoder against torch, and its page in a browser."""

import importlib
import json
import math
import re
from pathlib import Path

import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.data import digits
from mmdl_lib.pretrained import small

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "latent_board/facts.json").read_text("utf-8"))
MODULE = """const m = await import(
  new URL("_static/demos/latent_board/demo.js", document.baseURI));"""


@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "latent_board.html")
    yield page
    assert faults == []
    page.close()


def status(page):
    return page.get_by_role("status").inner_text()


def drawn(page):
    """The pixels that the reader sees, as gray values from 0 to 255."""
    js = """() => {
      const canvas = document.querySelectorAll("mmdl-demo canvas")[1];
      const found = canvas.getContext("2d").getImageData(0, 0, 8, 8).data;
      return [...found].filter((_, i) => i % 4 === 0); }"""
    return torch.tensor(page.evaluate(js), dtype=torch.float)


@torch.no_grad()
def by_torch(places):
    model = small.load("vae", "board")
    return model.decode(torch.tensor(places)).clamp(-1, 1).flatten(1)


def test_the_page_decodes_as_torch_does(page):
    places = [[0.0, 0.0], [-1.2, 0.6], [2.9, -2.9], [0.5, 1.7]]
    js = f"""async ([facts, places]) => {{ {MODULE}
      const layers = m.opened(facts);
      return places.map((z) => m.decode(layers, z)); }}"""
    got = torch.tensor(page.evaluate(js, [FACTS, places]))
    # 16 bits a weight: 200 of them add up to less than a quarter of a gray level
    torch.testing.assert_close(got, by_torch(places), atol=2e-3, rtol=0)
    assert got.min() >= -1 and got.max() <= 1


@torch.no_grad()
def test_digits_stand_where_the_encoder_puts_them():
    image, label = digits.load("test")
    places = small.load("vae", "board").encode_image(digits.to_float(image))[:120]
    inside = places.abs().amax(1) < FACTS["reach"]
    wanted = torch.cat([places, label[:120, None]], 1)[inside]
    torch.testing.assert_close(
        torch.tensor(FACTS["dots"], dtype=wanted.dtype), wanted, atol=6e-3, rtol=0
    )
    assert len(FACTS["dots"]) > 100


def test_the_file_is_what_the_recipe_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    recipe = importlib.import_module("latent_board_demo")
    assert json.loads(json.dumps(recipe.facts())) == FACTS


def test_the_nearest_digit_is_that_of_brute_force(page):
    at = [0.3, -0.4]
    js = f"async ([dots, at]) => {{ {MODULE} return m.nearest(dots, at); }}"
    got = page.evaluate(js, [FACTS["dots"], at])
    far = [math.dist(dot[:2], at) for dot in FACTS["dots"]]
    assert got["away"] == pytest.approx(min(far))
    assert got["digit"] == FACTS["dots"][far.index(min(far))][2]


def test_the_first_sight_is_the_middle_of_the_board(page):
    wanted = ((by_torch([[0.0, 0.0]])[0] + 1) * 127.5).round()
    assert (drawn(page) - wanted).abs().max() <= 1
    assert re.match(r"At 0\.0 and 0\.0: the nearest new digit is a \d", status(page))
    assert page.locator("figure").count() == 0


def test_sliders_and_mouse_move_and_the_picture_follows(page):
    first = drawn(page)
    page.get_by_label("First number", exact=True).fill("-1.5")
    assert "At \u22121.5 and 0.0" in status(page)
    moved = drawn(page)
    assert (moved - first).abs().max() > 10
    wanted = ((by_torch([[-1.5, 0.0]])[0] + 1) * 127.5).round()
    assert (moved - wanted).abs().max() <= 1
    box = page.get_by_role("img", name="The board").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    assert "At 1.5 and \u22121.5" in status(page)
    page.get_by_role("button", name="To the middle").click()
    assert (drawn(page) - first).abs().max() == 0


def test_the_walk_goes_on_until_it_is_stopped(page):
    page.get_by_role("button", name="Walk around").click()
    page.get_by_role("status").filter(has_not_text="At 0.0 and 0.0").wait_for()
    page.get_by_role("button", name="Stop").click()
    said = status(page)
    page.wait_for_timeout(400)
    assert status(page) == said
