"""The demo of latent diffusion: what its file says of work, and its page."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.record import results
from tests.demos.by_torch import pixels, status

ROOT = Path(__file__).resolve().parents[2]
FOLDER = demos.HERE / "equal_work"
FACTS = json.loads((FOLDER / "facts.json").read_text("utf-8"))
SAID, LOOKS, UPDATES = (FACTS[k] for k in ("captions", "shown", "updates"))
RAW = np.frombuffer((FOLDER / "tiles.bin").read_bytes(), np.uint8)
TILES = torch.tensor(RAW).view(2, 3, 5, 6, 3, 16, 16).int()
KINDS = ("Latents", "Pixels")


@pytest.fixture(scope="module")
def running(visit, address, start):
    page, faults = visit(address + "equal_work.html")
    start(page, "equal_work")
    yield page, faults
    page.close()


def choose(page, caption, work, look):
    page.get_by_label("Caption", exact=True).select_option(label=SAID[caption])
    page.get_by_label("Work", exact=True).fill(str(work + 1))
    page.get_by_label("Looks", exact=True).fill(str(look + 1))


def strip(page, kind):
    js = """canvas => { const {width, height} = canvas;
      return [...canvas.getContext("2d").getImageData(0, 0, width, height).data]; }"""
    node = page.get_by_role("img", name=f"{KINDS[kind]}: all captions")
    raw = torch.tensor(node.evaluate(js)).view(16, 6, 16, 4)[..., :3]
    return raw.permute(1, 3, 0, 2).int()


# ---- the files
def test_work_is_equal_and_that_of_the_chapter():
    cost, measured = FACTS["cost"], results("latent_diffusion")["work"]
    assert {k: measured["cost"][k] for k in cost} == cost
    assert UPDATES["latents"][0] == measured["steps"]["latents"]
    assert UPDATES["pixels"][0] == measured["steps"]["pixels"]
    for one, two in zip(UPDATES["latents"], UPDATES["pixels"], strict=True):
        # as near as whole updates allow
        assert abs(one * cost["latents"] - two * cost["pixels"]) <= cost["pixels"] / 2


def test_the_file_is_what_the_recipe_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    recipe = importlib.import_module("equal_work_demo")
    assert json.loads(json.dumps(recipe.facts(TILES.to(torch.uint8)))) == FACTS
    assert LOOKS[-1] == recipe.LOOKS


def test_the_still_picture_shows_what_its_text_says():
    """After the most work each latent picture has a colored thing, no pixel one has."""
    last = TILES[:, -1, -1].float()
    chroma = (last.amax(2) - last.amin(2)).flatten(2).amax(2)
    assert (chroma[0] > 100).all() and (chroma[1] < 50).all()
    assert "without an object" in demos.about("equal_work")["alt"]


# ---- the page
@pytest.mark.parametrize(
    ("caption", "work", "look"), [(0, 0, 4), (2, 2, 4), (5, 1, 0), (3, 2, 2)]
)
def test_the_page_shows_what_was_asked_for(running, caption, work, look):
    page, faults = running
    choose(page, caption, work, look)
    for kind, name in enumerate(KINDS):
        wanted = TILES[kind, work, look]
        got = pixels(page, f"{name}: the chosen caption")
        assert torch.equal(got, wanted[caption]) and torch.equal(
            strip(page, kind), wanted
        )
        right = FACTS["right"][name.lower()][work]
        told = page.locator(".ways > div").nth(kind).locator(".note").inner_text()
        updates = UPDATES[name.lower()][work]
        assert told == f"{updates} updates; in the end {right} of 6 right"
    wanted = f"“{SAID[caption]}” after {UPDATES['latents'][work]} updates in latents "
    wanted += f"and {UPDATES['pixels'][work]} in pixels: believed at look {LOOKS[look]}"
    assert status(page) == f"{wanted} of 20."
    assert page.get_by_text(f"{2**work}×", exact=True).is_visible()
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "equal_work.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("believed at look 20 of 20").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert status(page).startswith(f"“{SAID[1]}” after {UPDATES['latents'][1]}")
    assert status(page).endswith("believed at look 12 of 20.")
    assert faults == []
    page.close()


def test_the_same_module_shows_it_in_a_notebook(live):
    page, faults = live(demos.equal_work(), ["facts"])
    page.get_by_label("Work", exact=True).fill("3")
    got = pixels(page, "Pixels: the chosen caption")
    assert torch.equal(got, TILES[1, 2, 4, 0])
    assert faults == []
    page.close()
