"""The demo of the codebook: its decoder against torch, and its page in a browser."""

import base64
import importlib
import json
from pathlib import Path

import pytest
import torch
from einops import rearrange

from mmdl_lib import demos
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.pretrained import small

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "codebook/facts.json").read_text("utf-8"))
ORANGE, PLACE = 2, (4, 7)  # what a reader sees first
MODULE = """const m = await import(
  new URL("_static/demos/codebook/demo.js", document.baseURI));"""


@pytest.fixture
def page(visit, address, start):
    page, faults = visit(address + "codebook.html")
    start(page, "codebook")
    yield page
    assert faults == []
    page.close()


def status(page):
    return page.get_by_role("status").inner_text()


def pixels(page, name):
    """What a canvas shows, as bytes (3, h, w)."""
    js = """canvas => { const {width, height} = canvas;
      return [...canvas.getContext("2d").getImageData(0, 0, width, height).data]; }"""
    raw = torch.tensor(page.get_by_role("application", name=name).evaluate(js))
    side = round((len(raw) / 4) ** 0.5)
    return rearrange(raw, "(h w c) -> c h w", c=4, h=side)[:3]


def by_torch(tokens):
    return small.load("vqvae", "shapes").from_tokens(torch.tensor(tokens))


def grid(i):
    return torch.tensor(FACTS["tokens"][i]).view(16, 16)


def to_bytes(image):
    return ((image + 1) * 127.5).round()


def patches():
    raw = bytearray(base64.b64decode(FACTS["patches"]))
    return torch.frombuffer(raw, dtype=torch.uint8).view(256, 3, 2, 2)


def test_the_page_decodes_as_torch_does(page):
    random = torch.randint(256, (2, 256), generator=torch.Generator().manual_seed(0))
    lists = [FACTS["tokens"][1], *random.tolist(), [7] * 256]
    js = f"""async ([facts, lists]) => {{ {MODULE}
      const f = m.open(facts);
      return lists.map((tokens) => [...m.decode(f, tokens)]); }}"""
    got = torch.tensor(page.evaluate(js, [FACTS, lists])).view(-1, 3, 32, 32)
    wanted = by_torch(lists := [torch.tensor(x).view(16, 16).tolist() for x in lists])
    assert len(lists) == 4
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


def test_half_numbers_are_read_exactly(page):
    values = torch.tensor(
        [0.0, 1.0, -2.5, 6e-8, -3.05e-5, 65504.0, 0.1], dtype=torch.half
    )
    text = base64.b64encode(values.numpy().tobytes()).decode()
    js = f"async (text) => {{ {MODULE} return [...m.halves(text)]; }}"
    assert page.evaluate(js, text) == values.double().tolist()


def test_the_file_is_what_the_recipe_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    found = importlib.import_module("codebook_demo").facts()
    for key in ("patches", "order"):  # rounded means may differ by one on a machine
        assert len(found[key]) == len(FACTS[key])
    same = {k for k in FACTS if k not in ("patches", "order")}
    assert {k: found[k] for k in same} == {k: FACTS[k] for k in same}
    assert sorted(FACTS["order"]) == list(range(256))


def test_the_pictures_are_those_of_the_chapter():
    image = to_float(t2i.sample(200, seed=7).render())[:4]
    tokens = small.load("vqvae", "shapes").tokens(image)
    assert tokens.flatten(1).tolist() == FACTS["tokens"]


def test_a_patch_is_the_mean_of_what_the_decoder_draws_there():
    model = small.load("vqvae", "shapes")
    image = to_float(t2i.sample(1000, seed=8).render())
    tokens = torch.cat([model.tokens(part) for part in image.split(250)])
    drawn = torch.cat([model.from_tokens(part) for part in tokens.split(250)])
    code = 56  # the mean over its places, one by one
    places = (tokens == code).nonzero().tolist()
    cut = [drawn[b, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2] for b, y, x in places]
    wanted = to_bytes(torch.stack(cut).mean(0))
    assert len(cut) > 5
    assert (patches()[code].float() - wanted).abs().max() <= 1


def test_the_first_sight_is_the_picture_its_tokens_and_all_codes(page):
    wanted = to_bytes(by_torch(grid(ORANGE)[None].tolist())[0])
    assert (pixels(page, "What the decoder draws") - wanted).abs().max() <= 1
    shown = rearrange(patches()[grid(ORANGE)], "n m c i j -> c (n i) (m j)")
    assert torch.equal(pixels(page, "The tokens"), shown.long())
    palette = patches()[torch.tensor(FACTS["order"]).view(16, 16)]
    shown = rearrange(palette, "n m c i j -> c (n i) (m j)")
    assert torch.equal(pixels(page, "All codes"), shown.long())
    code = grid(ORANGE)[PLACE]
    assert status(page).startswith(f"Line 5, column 8: code {code}. 0 of 256 tokens")
    assert page.locator("figure").count() == 0


def click(page, name, y, x):
    box = page.get_by_role("application", name=name).bounding_box()
    at = [box["y"] + (y + 0.5) * box["height"] / 16]
    page.mouse.click(box["x"] + (x + 0.5) * box["width"] / 16, *at)


def test_a_click_chooses_a_place_and_another_code_for_it(page):
    before = pixels(page, "What the decoder draws")
    click(page, "The tokens", 12, 3)
    assert status(page).startswith(f"Line 13, column 4: code {grid(ORANGE)[12, 3]}.")
    assert torch.equal(pixels(page, "What the decoder draws"), before)
    click(page, "All codes", 15, 12)
    code = FACTS["order"][15 * 16 + 12]
    changed = grid(ORANGE)
    changed[12, 3] = code
    wanted = by_torch(changed[None].tolist())[0]
    shown = pixels(page, "What the decoder draws")
    assert (shown - to_bytes(wanted)).abs().max() <= 1
    apart = (wanted - by_torch(grid(ORANGE)[None].tolist())[0]).abs().amax(0) > 0.05
    assert f"1 of 256 tokens and {int(apart.sum())} of 1,024 pixels" in status(page)
    click(page, "What the decoder draws", 0, 15)
    assert status(page).startswith("Line 1, column 16")
    page.get_by_role("button", name="As it was").click()
    assert torch.equal(pixels(page, "What the decoder draws"), before)
    assert "0 of 256 tokens and 0 of 1,024" in status(page)


def test_nine_places_are_filled_and_four_in_a_corner(page):
    page.get_by_role("button", name="Picture 1").click()
    page.get_by_label("Code at the ring", exact=True).fill("200")
    page.get_by_role("button", name="Fill 3 x 3").click()
    wanted = grid(0)
    wanted[3:6, 6:9] = 200
    moved = int((wanted != grid(0)).sum())
    assert f"{moved} of 256 tokens" in status(page)
    shown = to_bytes(by_torch(wanted[None].tolist())[0])
    assert (pixels(page, "What the decoder draws") - shown).abs().max() <= 1
    page.get_by_role("button", name="As it was").click()
    click(page, "The tokens", 0, 15)
    page.get_by_label("Code at the ring", exact=True).fill("200")
    page.get_by_role("button", name="Fill 3 x 3").click()
    wanted = grid(0)
    wanted[:2, 14:] = 200
    assert f"{int((wanted != grid(0)).sum())} of 256 tokens" in status(page)


@pytest.mark.parametrize("wrong", ["256", "-1", "red", "", "1.5"])
def test_what_is_no_code_is_said_and_changes_nothing(page, wrong):
    before = pixels(page, "What the decoder draws")
    page.get_by_label("Code at the ring", exact=True).fill(wrong)
    assert status(page) == f'Expected a whole number from 0 to 255, got "{wrong}".'
    assert torch.equal(pixels(page, "What the decoder draws"), before)
    page.get_by_label("Code at the ring", exact=True).fill("255")
    assert "code 255. 1 of 256 tokens" in status(page)


def test_the_keyboard_is_enough(page):
    for key in ["Tab"] * 4 + ["ArrowDown", "ArrowLeft", "ArrowLeft"]:
        page.keyboard.press(key)  # the first picture has the focus
    code = int(grid(ORANGE)[5, 5])
    assert status(page).startswith(f"Line 6, column 6: code {code}.")
    for key in ["Tab", "ArrowUp", "ArrowDown", "Tab"]:
        page.keyboard.press(key)
    at = FACTS["order"].index(code)
    way, step = ("ArrowLeft", -1) if at % 16 else ("ArrowRight", 1)
    page.keyboard.press(way)
    assert f"code {FACTS['order'][at + step]}. 1 of 256" in status(page)
    for _ in range(20):
        page.keyboard.press("ArrowUp")
    assert f"code {FACTS['order'][(at + step) % 16]}." in status(page)


def test_a_notebook_shows_the_same(live):
    page, faults = live(demos.codebook(), ["facts"])
    click(page, "All codes", 0, 0)
    assert f"code {FACTS['order'][0]}. 1 of 256 tokens" in status(page)
    assert faults == []
    page.close()
