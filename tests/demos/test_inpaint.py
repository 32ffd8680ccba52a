"""The demo of a hole to fill: its pixels against torch, its brush, keys and page."""

import base64
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.nn.diffusion import known
from mmdl_lib.pretrained import small
from tests.demos.by_torch import canvas, drawn, pixels, shown, status

ROOT = Path(__file__).resolve().parents[2]
FACTS = json.loads((demos.HERE / "inpaint/scenes.json").read_text("utf-8"))
SCENES = FACTS["scenes"]
FIRST = SCENES[0]["asked"]
MODULE = """const m = await import(
  new URL("_static/demos/inpaint/demo.js", document.baseURI));"""


@pytest.fixture(scope="module")
def glide():
    return small.load("glide", "shapes")


@pytest.fixture(scope="module")
def running(visit, address, start):
    page, faults = visit(address + "inpaint.html")
    start(page, "inpaint")
    yield page, faults
    page.close()


@pytest.fixture
def fresh(running):
    """The page with its first picture, hole and caption."""
    page, faults = running
    page.get_by_label("Seed", exact=True).fill("1")
    page.get_by_label("Brush", exact=True).fill("3")
    page.get_by_label("Guidance scale").fill("3")
    page.get_by_role("button", name=SCENES[0]["shows"]).click()
    settled(page, FIRST, 512)
    yield page
    assert faults == []


def call(page, body, *given):
    return page.evaluate(f"async (given) => {{ {MODULE} {body} }}", list(given))


def picture(i=0):
    raw = base64.b64decode(SCENES[i]["pixels"])
    return to_float(torch.tensor(np.frombuffer(raw, np.uint8)).view(1, 3, 32, 32))


def right_half():
    hole = torch.zeros(32, 32, dtype=torch.bool)
    hole[:, 16:] = True
    return hole


def disk(x, y, radius):
    at = torch.arange(32)
    return (at - x).square() + (at[:, None] - y).square() <= radius**2


def settled(page, caption, count, seed=1):
    said = f"“{caption}”, seed {seed}: {count:,} of 1,024 pixels are filled."
    page.get_by_role("status").filter(has_text=said).wait_for()


def sheet(page):
    return page.get_by_role("application", name="The picture")


def agrees(page, glide, hole, caption=FIRST, seed=1, scale=3.0, image=None):
    """Whether the page shows what torch fills in, and the known pixels as they are."""
    image = picture() if image is None else image
    settle = known(image, ~hole[None, None])
    wanted = drawn(glide, caption, seed, scale, settle=settle)[20][0]
    assert torch.equal(wanted[:, ~hole], image[0][:, ~hole])
    return (pixels(page, "The picture, filled") - shown(wanted)).abs().max() <= 2


# ---- the parts
def test_a_half_is_a_half(running):
    body = "return given.map((name) => [...m.half(name, 32)]);"
    names = ("left", "right", "upper", "lower")
    got = torch.tensor(call(running[0], body, *names)).view(4, 32, 32)
    right = right_half().long()
    for one, wanted in zip(got, (1 - right, right, 1 - right.T, right.T), strict=True):
        assert torch.equal(one, wanted)


def test_a_brush_opens_a_disk_and_takes_it_away(running):
    body = """const none = new Uint8Array(1024), [a, b] = given;
      const one = m.brushed(none, 32, a, 3), two = m.brushed(one, 32, b, 2, 0);
      return [[...one], [...two]];"""
    got = torch.tensor(call(running[0], body, [5, 9], [6, 9])).view(2, 32, 32).bool()
    assert torch.equal(got[0], disk(5, 9, 3))
    assert torch.equal(got[1], disk(5, 9, 3) & ~disk(6, 9, 2))


def test_a_quick_stroke_has_no_gaps(running):
    got = call(running[0], "return m.between(...given);", [2, 9], [7, 6])
    assert got[0] == [2, 9] and got[-1] == [7, 6] and len(got) == 6
    steps = torch.tensor(got).diff(dim=0).abs()
    assert (steps.amax(1) == 1).all()
    assert call(running[0], "return m.between(...given);", [3, 3], [3, 3]) == 2 * [
        [3, 3]
    ]


def test_what_is_known_comes_back_in_all_channels(running):
    image, x0 = (torch.rand(1, 3, 4, 4, generator=generator(s)) for s in (0, 1))
    hole = torch.rand(4, 4, generator=generator(2)) < 0.5
    body = """const [image, x0, hole] = given.map((x) => Float32Array.from(x));
      return [...m.known(image, hole)(x0)];"""
    rows = [x.flatten().tolist() for x in (image, x0, hole.float())]
    got = torch.tensor(call(running[0], body, *rows)).view(1, 3, 4, 4)
    wanted = known(image, ~hole[None, None])(x0)
    torch.testing.assert_close(got, wanted)


# ---- the page
def test_the_first_hole_is_filled_as_torch_fills_it(fresh, glide):
    assert agrees(fresh, glide, right_half())
    seen = canvas(sheet(fresh))
    assert torch.equal(seen[:, :, :16], shown(picture()[0])[:, :, :16].int())
    assert len(seen[:, :, 16:].unique()) == 2  # checks


def test_caption_seed_and_scale_make_another_filling(fresh, glide):
    page, caption = fresh, "a cyan triangle left of an orange heart"
    page.get_by_label("Caption", exact=True).fill(caption)
    settled(page, caption, 512)
    assert "never seen an orange heart" in status(page)
    page.get_by_role("button", name="Next seed").click()
    settled(page, caption, 512, 2)
    assert agrees(page, glide, right_half(), caption, seed=2)
    page.get_by_label("Guidance scale").fill("1")
    settled(page, caption, 512, 2)
    assert agrees(page, glide, right_half(), caption, seed=2, scale=1.0)


def test_the_brush_opens_what_the_mouse_passes(fresh, glide):
    page = fresh
    page.get_by_role("button", name="No hole").click()
    settled(page, FIRST, 0)
    assert agrees(page, glide, torch.zeros(32, 32, dtype=torch.bool))
    sheet(page).scroll_into_view_if_needed()
    box = sheet(page).bounding_box()
    at = [
        (box["x"] + (i + 0.5) / 32 * box["width"], box["y"] + 0.5 * box["height"])
        for i in (8, 20)
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1])
    assert status(page).startswith("Let go of the brush")
    page.mouse.up()
    hole = torch.stack([disk(x, 16, 3) for x in range(8, 21)]).any(0)
    settled(page, FIRST, int(hole.sum()))
    assert agrees(page, glide, hole)


def test_the_keyboard_brushes_too(fresh, glide):
    page = fresh
    page.get_by_role("button", name="Brush takes away").click()
    page.get_by_label("Brush", exact=True).fill("5")
    page.get_by_text("11 px").wait_for()
    box = sheet(page).bounding_box()
    page.mouse.move(
        box["x"] + 0.5 * box["width"] + 1, box["y"] + 0.5 * box["height"] + 1
    )
    sheet(page).focus()
    for key in (*4 * ["ArrowRight"], *2 * ["ArrowDown"], " "):
        page.keyboard.press(key)
    assert status(page).startswith("Let go of the brush")
    page.keyboard.press("Enter")
    hole = right_half() & ~disk(20, 18, 5)
    settled(page, FIRST, int(hole.sum()))
    page.get_by_role("button", name="Brush takes away").click()
    assert agrees(page, glide, hole)


def test_one_may_go_on_with_what_was_filled(fresh, glide):
    page = fresh
    first = pixels(page, "The picture, filled")
    page.get_by_role("button", name="Go on with this picture").click()
    settled(page, FIRST, 0)
    assert torch.equal(pixels(page, "The picture, filled"), first)
    assert torch.equal(canvas(sheet(page)), first)
    page.get_by_role("button", name="Left half").click()
    settled(page, FIRST, 512)
    later = pixels(page, "The picture, filled")
    assert torch.equal(later[:, :, 16:], first[:, :, 16:])
    assert not torch.equal(later, first)


def test_a_change_ends_the_filling_before(fresh, glide):
    page = fresh
    page.get_by_role("button", name="Lower half").click()
    page.wait_for_timeout(200)  # somewhere in the middle of it
    page.get_by_role("button", name=SCENES[2]["shows"]).click()
    settled(page, SCENES[2]["asked"], 512)
    page.wait_for_timeout(500)
    caption = SCENES[2]["asked"]
    assert agrees(page, glide, right_half(), caption, image=picture(2))


def test_what_cannot_be_read_is_said(fresh):
    page = fresh
    page.get_by_label("Caption", exact=True).fill("a red dragon")
    wanted = 'Expected words that this GLIDE knows, got "dragon": they stand below.'
    assert status(page) == wanted
    assert page.get_by_role("button", name="Go on with this picture").is_disabled()
    page.get_by_label("Caption", exact=True).fill(FIRST)
    settled(page, FIRST, 512)
    assert page.get_by_role("button", name="Go on with this picture").is_enabled()


# ---- the kernel and the files
def test_the_same_module_shows_what_the_kernel_answers(live, glide):
    page, faults = live(demos.inpaint(), ["facts"])
    settled(page, FIRST, 512)
    assert "Computed by the kernel (torch)" in status(page)
    assert agrees(page, glide, right_half())
    assert faults == []
    page.close()


def test_the_file_is_what_the_recipe_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "recipes")
    assert importlib.import_module("inpaint_demo").scenes() == FACTS
    assert SCENES[0]["hole"] == SCENES[2]["hole"] == "right"
