"""The demo of unCLIP's walks: its pictures against the decoder, and its page."""

import importlib
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.lab import unclip as un
from mmdl_lib.pretrained import small
from tests.demos.by_torch import pixels, status

ROOT = Path(__file__).resolve().parents[2]
FOLDER = demos.HERE / "between"
FACTS = json.loads((FOLDER / "facts.json").read_text("utf-8"))
SAID, WAYS = FACTS["captions"], ("prior", "own")
RAW = np.frombuffer((FOLDER / "tiles.bin").read_bytes(), np.uint8)
TILES = torch.tensor(RAW).view(2, 15, 11, 3, 16, 16).int()
PAIRS = list(combinations(range(6), 2))
SHOWN = ("Through the prior: ", "Between the captions' own embeddings: ")


@pytest.fixture(scope="module")
def recipe():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "recipes")
        yield importlib.import_module("between_demo")


@pytest.fixture(scope="module")
def running(visit, address, start):
    page, faults = visit(address + "between.html")
    start(page, "between")
    yield page, faults
    page.close()


def choose(page, one, two, share):
    page.get_by_label("From", exact=True).select_option(label=SAID[one])
    page.get_by_label("To", exact=True).select_option(label=SAID[two])
    page.get_by_label("Share of the way").fill(str(share))


# ---- the files
@pytest.mark.parametrize("way", WAYS)
def test_the_pictures_are_those_of_the_decoder(recipe, way):
    decoder = small.load("dalle2", un.SOURCE)
    wanted = recipe.drawn(decoder, FACTS["ends"][way]).view(15, 11, 3, 16, 16)
    assert (TILES[WAYS.index(way)] - wanted.int()).abs().max() <= 1


def test_the_file_is_what_the_recipe_writes(recipe):
    tiles = {
        w: t.flatten(0, 1).to(torch.uint8) for w, t in zip(WAYS, TILES, strict=True)
    }
    found = recipe.facts(FACTS["ends"], tiles)
    assert found["near"].keys() == FACTS["near"].keys()
    for way in WAYS:  # rounded to two digits
        torch.testing.assert_close(
            torch.tensor(FACTS["near"][way]),
            torch.tensor(found["near"][way]),
            atol=0.011,
            rtol=0,
        )
    assert {k: v for k, v in found.items() if k != "near"} == {
        k: v for k, v in FACTS.items() if k != "near"
    }


def test_the_ends_are_embeddings_of_the_captions_and_of_the_prior():
    """The prior's lie far nearer to the middle of such pictures than the captions."""
    ends = {w: torch.tensor(FACTS["ends"][w]) / 10_000 for w in WAYS}
    torch.testing.assert_close(ends["own"], un.read(SAID).text, atol=1e-4, rtol=0)
    known = un.world(3000, seed=1)
    at, said = un.places(known), un.oo.texts(known.scenes)
    thing = [int(un.things(known.scenes)[said.index(text)]) for text in SAID]
    far = {
        w: (z - at.middle[thing]).square().sum(1) / at.spread for w, z in ends.items()
    }
    assert (far["prior"] < 1).all() and (far["own"] > 5).all()


# ---- the page
@pytest.mark.parametrize(("one", "two"), [(0, 1), (4, 2), (5, 0), (3, 4)])
def test_the_page_shows_the_walk_that_was_asked_for(running, one, two):
    page, faults = running
    pair = PAIRS.index((min(one, two), max(one, two)))
    for share in (0, 0.3, 1):
        choose(page, one, two, share)
        station = round(10 * share) if one < two else 10 - round(10 * share)
        for way in range(2):
            got = pixels(page, f"{SHOWN[way]}here")
            assert torch.equal(got, TILES[way, pair, station])
            near = FACTS["near"][WAYS[way]][11 * pair + station]
            first, last = near if one < two else near[::-1]
            told = page.locator(".ways > div").nth(way).locator(".note").inner_text()
            wanted = f"“{SAID[one]}” {first:.2f}, “{SAID[two]}” {last:.2f}"
            assert told == wanted.replace("-", "\u2212")
        assert f"{share:.1f} of the way from “{SAID[one]}” to" in status(page)
    assert faults == []


def test_the_strip_is_the_whole_walk(running):
    page, faults = running
    js = """canvas => { const {width, height} = canvas;
      return [...canvas.getContext("2d").getImageData(0, 0, width, height).data]; }"""
    for one, two in ((1, 3), (3, 1)):
        choose(page, one, two, 0.5)
        walk = TILES[:, PAIRS.index((1, 3))]
        walk = walk if one < two else walk.flip(1)
        for way in range(2):
            node = page.get_by_role("img", name=f"{SHOWN[way]}the whole walk")
            raw = torch.tensor(node.evaluate(js)).view(16, 11, 16, 4)[..., :3]
            assert torch.equal(raw.permute(1, 3, 0, 2).int(), walk[way])
    assert faults == []


def test_a_walk_may_be_turned_round_or_go_nowhere(running):
    page, faults = running
    choose(page, 0, 2, 0.2)
    page.get_by_role("button", name="Turn round").click()
    assert f"0.2 of the way from “{SAID[2]}” to “{SAID[0]}”" in status(page)
    assert torch.equal(
        pixels(page, f"{SHOWN[0]}here"), TILES[0, PAIRS.index((0, 2)), 8]
    )
    for i in range(6):
        choose(page, i, i, 0.7)
        assert status(page) == f"A walk that ends where it begins: “{SAID[i]}”."
        pair = PAIRS.index((0, i) if i else (0, 1))
        tile = TILES[1, pair, 10 if i else 0]
        assert torch.equal(pixels(page, f"{SHOWN[1]}here"), tile)
        near = FACTS["near"]["own"][11 * pair + (10 if i else 0)][1 if i else 0]
        told = page.locator(".ways > div").nth(1).locator(".note").inner_text()
        assert told == f"“{SAID[i]}” {near:.2f}"
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "between.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("0.0 of the way").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert status(page) == f"0.1 of the way from “{SAID[2]}” to “{SAID[1]}”."
    assert faults == []
    page.close()


def test_the_same_module_shows_it_in_a_notebook(live):
    page, faults = live(demos.between(), ["facts"])
    page.get_by_label("Share of the way").fill("1")
    assert torch.equal(pixels(page, f"{SHOWN[0]}here"), TILES[0, 0, 10])
    assert faults == []
    page.close()
