"""The demo of CLIP's table: its numbers against torch, and its page in a browser."""

import importlib
import json
import math
import re
from pathlib import Path

import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data import shapes
from mmdl_lib.models.clip import contrastive_loss

ROOT = Path(__file__).resolve().parents[2]

FACTS = json.loads((demos.HERE / "clip_table/facts.json").read_text("utf-8"))
COSINES = torch.tensor(FACTS["cosines"], dtype=torch.double)
MODULE = """const m = await import(
  new URL("_static/demos/clip_table/demo.js", document.baseURI));"""


@pytest.fixture
def page(visit, address):
    page, faults = visit(address + "clip_table.html")
    yield page
    assert faults == []
    page.close()


def picked(pictures, captions):
    return COSINES[list(pictures)][:, list(captions)]


def contrast(page, cosines, temperature):
    js = f"async ([c, t]) => {{ {MODULE} return m.contrast(c, t); }}"
    return page.evaluate(js, [cosines.tolist(), temperature])


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    return importlib.import_module("clip_table_demo")


@torch.no_grad()
def test_the_cosines_are_those_of_the_weights_and_of_the_pictures(recipe):
    clip, tokenizer = pretrained.load("clip")
    image = clip.encode_image(shapes.to_float(recipe.pictures(32))).double()
    wanted = image @ clip.encode_text(*tokenizer(FACTS["labels"])).double().T
    torch.testing.assert_close(COSINES, wanted, atol=1e-3, rtol=0)
    learned = 1 / clip.logit_scale.item()
    assert FACTS["temperature"] == pytest.approx(learned, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.01, 0.041, 0.25, 1.0])
def test_shares_and_losses_are_those_of_torch(page, temperature):
    for pictures, captions in (((0, 1, 2), (0, 1, 2)), ((6, 7, 4), (0, 6, 6))):
        cosines = picked(pictures, captions)
        found, logits = contrast(page, cosines, temperature), cosines / temperature
        for name, axis in (("byRow", 1), ("byColumn", 0)):
            shares = torch.tensor(found[name], dtype=torch.double)
            torch.testing.assert_close(shares, logits.softmax(axis))
        diagonal = torch.arange(3)
        rows, columns = (
            torch.nn.functional.cross_entropy(x, diagonal).item()
            for x in (logits, logits.T)
        )
        assert found["rows"] == pytest.approx(rows, abs=1e-9)
        assert found["columns"] == pytest.approx(columns, abs=1e-9)
        assert found["loss"] == pytest.approx(
            contrastive_loss(logits)["loss"].item(), abs=1e-9
        )
    assert rows != pytest.approx(columns, abs=1e-6)


def test_the_answers_of_the_folds_hold(page):
    loss = {
        (kind, t): contrast(page, picked(p, c), t)["loss"]
        for kind, p, c in (
            ("different", (0, 1, 2), (0, 1, 2)),
            ("exchanged", (6, 7, 1), (6, 7, 1)),
            ("twice", (0, 1, 2), (0, 0, 2)),
        )
        for t in (0.01, 0.02, 0.25, 1.0)
    }
    cold, cool, warm, hot = (loss["different", t] for t in (0.01, 0.02, 0.25, 1.0))
    assert cold <= cool < 1e-6 < warm < hot
    far = [
        contrast(page, picked((6, 7, 1), (6, 7, 1)), t)["loss"] for t in (1e-3, 5e-4)
    ]
    assert far[1] == pytest.approx(2 * far[0], rel=0.01)
    assert loss["exchanged", 0.01] > loss["exchanged", 0.02]
    least = 2 / 3 * math.log(2)
    assert all(loss["twice", t] >= least for t in (0.01, 0.02, 0.25, 1.0))


def status(page):
    return page.get_by_role("status").inner_text()


def said(page):
    """The three numbers of the status."""
    text = re.match(
        r"Cross-entropy by rows ([\d.]+), by columns ([\d.]+); .*, ([\d.]+)\. Guessing",
        status(page),
    )
    return [float(x) for x in text.groups()]


def test_the_first_sight_says_what_it_is_and_has_an_answer(page):
    assert "compares each picture with each caption" in page.inner_text("mmdl-demo")
    assert page.get_by_role("table").count() == 3
    rows, columns, loss = said(page)
    wanted = contrastive_loss(picked((0, 1, 2), (0, 1, 2)) / 0.25)["loss"].item()
    assert loss == pytest.approx(wanted, abs=5e-3)
    assert loss == pytest.approx((rows + columns) / 2, abs=1e-3)
    assert page.locator("figure").count() == 0


def test_menus_change_cells_and_pictures(page):
    page.get_by_label("Picture 1").select_option("a yellow triangle")
    page.get_by_label("Caption 2").select_option("a blue star")
    table = page.get_by_role("table", name="Cosines")
    cells = table.locator("tbody td").all_inner_texts()
    wanted = picked((5, 1, 2), (0, 4, 2)).flatten().tolist()
    got = [float(cell.replace("\u2212", "-")) for cell in cells]
    assert got == pytest.approx(wanted, abs=0.0051)
    heads = table.locator("thead th").all_inner_texts()
    assert heads == ["a red star", "a blue star", "a green ring"]
    name = "Picture of a yellow triangle"
    assert page.get_by_role("img", name=name).count() == 3
    pressed = page.locator("[aria-pressed=true]")
    assert pressed.count() == 0
    page.get_by_role("button", name="Colors exchanged").click()
    assert pressed.inner_text() == "Colors exchanged"


def test_a_tile_shows_its_own_picture(page):
    # the sprite in the page, cut as the style sheet cuts it, has the color of the label
    js = """async () => {
      const tile = document.querySelectorAll(".tile")[1];
      const style = getComputedStyle(tile);
      const image = new Image();
      image.src = style.backgroundImage.slice(5, -2);
      await image.decode();
      const across = parseFloat(style.backgroundSize) / 100;
      const index = parseFloat(style.backgroundPosition) / 100 * (across - 1);
      const canvas = new OffscreenCanvas(image.width, image.height);
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      const side = image.width / across;
      return [across, image.height / side,
        ...pen.getImageData((index + 0.5) * side, side / 2, 1, 1).data];
    }"""
    across, square, red, green, blue, _ = page.evaluate(js)
    assert (across, square) == (8, 1)
    assert blue > 150 > 100 > red and green < 120  # a blue heart


def test_the_keyboard_turns_the_heat(page):
    slider = page.get_by_label("Temperature", exact=True)
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "1.000"
    hot = said(page)[2]
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0.010"
    assert said(page)[2] == 0 < hot < math.log(3)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert slider.get_attribute("aria-valuetext") == f"{FACTS['temperature']:.3f}"


def test_the_questions_are_answered_in_folds(page):
    answer = page.get_by_text("surer of a mistake")
    assert not answer.is_visible()
    page.get_by_text("Does a lower temperature always lower the loss?").click()
    assert answer.is_visible()


def test_the_same_module_works_in_a_notebook(live):
    page, faults = live(demos.clip_table(), ["facts"])
    page.get_by_role("button", name="Colors exchanged").click()
    assert said(page)[2] > 0.4 and faults == []
    page.close()
