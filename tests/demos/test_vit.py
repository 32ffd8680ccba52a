"""The demo of ViT, in a browser as on a page, and answered by the kernel."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data.shapes import LABELS, to_float
from mmdl_lib.models.vit import rollout

MODULE = (
    'const m = await import(new URL("_static/demos/vit/demo.js", document.baseURI));'
)


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "vit/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def vit():
    return pretrained.load("vit")


@pytest.fixture(scope="module")
def scenes(facts):
    raw = [base64.b64decode(scene["pixels"]) for scene in facts["scenes"]]
    return torch.stack([torch.tensor(list(x), dtype=torch.uint8) for x in raw])


@pytest.fixture(scope="module")
def pictures(scenes):
    """The scenes of the demo and pictures of noise, flat, (n, 3072) bytes."""
    g = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (4, 3072), generator=g, dtype=torch.uint8)
    return torch.cat([scenes, noise])


def by_torch(vit, pictures):
    """Logits; attention of the class token; rollout up to each layer."""
    image = to_float(pictures.reshape(-1, 3, 32, 32))
    with torch.no_grad():
        logits, attention = vit(image), vit.attention(image)
        through = [rollout(attention[:, :k])[:, 0] for k in range(1, 5)]
    return logits, attention[:, :, :, 0], torch.stack(through, 1)


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the model is loaded."""
    page, faults = visit(address + "vit.html")
    start(page, "vit")
    yield page, faults
    page.close()


def test_the_browser_computes_what_torch_computes(running, vit, pictures, ask):
    answers = ask(running[0], "vit", pictures.reshape(-1, 1, 3, 32, 32))
    expected = by_torch(vit, pictures)
    for name, wanted in zip(("logits", "attention", "rollout"), expected, strict=True):
        got = torch.tensor([answer[name] for answer in answers]).reshape(wanted.shape)
        torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


def test_shares_are_those_of_a_head_their_mean_or_the_rollout(
    running, vit, pictures, facts
):
    picked = [(1, 0, False), (2, 3, False), (4, 4, False), (3, 0, True), (4, 2, True)]
    _, attention, through = by_torch(vit, pictures[:1])
    js = f"""async ([attention, rollout, facts, picked]) => {{ {MODULE}
      const outputs = {{attention: Float32Array.from(attention),
        rollout: Float32Array.from(rollout)}};
      return picked.map(([layer, head, through]) =>
        m.shares(outputs, facts, {{layer, head, through}})); }}"""
    flat = [attention.flatten().tolist(), through.flatten().tolist()]
    got = torch.tensor(running[0].evaluate(js, [*flat, facts, picked]))
    a, r = attention[0], through[0]
    wanted = torch.stack([a[0].mean(0), a[1, 2], a[3, 3], r[2], r[3]])
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(got.sum(1), torch.ones(5))


def test_probabilities_are_the_softmax_of_the_logits(running):
    logits = torch.tensor([1.5, -2.0, 0.25, 40.0, 39.0])
    js = f"async (logits) => {{ {MODULE} return m.softmax(logits); }}"
    got = torch.tensor(running[0].evaluate(js, logits.tolist()))
    torch.testing.assert_close(got, logits.softmax(0))


def test_the_patch_of_the_largest_share_keeps_its_light(running, pictures, facts):
    share = np.full(65, 0.01)
    share[0], share[1 + 8 * 2 + 5] = 0.9, 0.02  # the class token itself does not count
    js = f"""async ([pixels, facts, share]) => {{ {MODULE}
      return [...m.lit(Uint8Array.from(pixels), facts, share)]; }}"""
    got = running[0].evaluate(js, [pictures[0].tolist(), facts, share.tolist()])
    got = torch.tensor(got).reshape(3, 32, 32)
    before = pictures[0].reshape(3, 32, 32).float()
    patch = (slice(None), slice(8, 12), slice(20, 24))
    assert (got[patch] == before[patch]).all()
    rest = torch.ones(3, 32, 32, dtype=torch.bool)
    rest[patch] = False
    assert ((got - 0.56 * before).abs()[rest] <= 0.51).all()


def test_a_stroke_paints_what_the_brush_covers_and_nothing_else(running):
    js = f"""async () => {{ {MODULE}
      const pixels = new Uint8Array(3 * 32 * 32).fill(235);
      m.stroke(pixels, 32, [6, 16], [26, 16], 4, [10, 20, 30]);
      return [...pixels]; }}"""
    got = torch.tensor(running[0].evaluate(js)).reshape(3, 32, 32)
    for channel, value in zip(got, (10, 20, 30), strict=True):
        assert (channel[15:17, 6:26] == value).all()  # no gap along the line
        assert (channel[:13] == 235).all() and (channel[19:] == 235).all()
        assert (channel[:, :3] == 235).all() and (channel[:, 29:] == 235).all()


def status(page):
    return page.get_by_role("status").inner_text()


def settle(page, before):
    """Waits until another answer than `before` is read out."""
    js = "t => document.querySelector('[role=status]').textContent !== t"
    page.wait_for_function(js, arg=before, timeout=10_000)


def test_a_scene_is_named_as_torch_names_it(running, vit, scenes, facts):
    page, faults = running
    before = status(page)
    page.get_by_role("button", name="a blue heart", exact=True).click()
    settle(page, before)
    chances = by_torch(vit, scenes[1:2])[0].softmax(1)[0]
    best = chances.topk(5)
    rows = page.locator("li").all_inner_texts()
    names = [LABELS["pair"][i] for i in best.indices.tolist()]
    assert [row.split("\n")[0] for row in rows] == names
    for row, chance in zip(rows, best.values.tolist(), strict=True):
        shown = float(re.search(r"([\d.]+) %", row)[1])
        assert shown == pytest.approx(100 * chance, abs=0.51)
    assert f"Most likely: {names[0]}" in status(page)
    assert "Computed by this browser" in status(page)
    assert faults == []


def test_the_mouse_draws_and_the_answer_follows(running):
    page, faults = running
    before = status(page)
    page.get_by_role("button", name="Clear").click()
    settle(page, before)
    before = status(page)
    page.get_by_role("radio", name="blue").check(force=True)
    box = page.get_by_role("application").bounding_box()
    at = [
        (box["x"] + box["width"] * x, box["y"] + box["height"] / 2) for x in (0.3, 0.7)
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=8)
    page.mouse.up()
    settle(page, before)
    assert pixel(page, 16, 16) == [40, 75, 205]
    assert pixel(page, 16, 4) == [235, 235, 235]
    assert faults == []


def pixel(page, x, y):
    js = """([x, y]) => [...document.querySelector("[role=application]")
      .getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3)"""
    return page.evaluate(js, [x, y])


def test_the_keyboard_is_enough(visit, address, start):
    page, faults = visit(address + "vit.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Most likely").wait_for(timeout=120_000)
    before = status(page)
    page.keyboard.press("Tab")  # from the first scene to the second
    page.keyboard.press("Enter")
    settle(page, before)
    page.get_by_role("application").focus()
    assert pixel(page, 4, 16) == [235, 235, 235]
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert pixel(page, 4, 16) == [210, 35, 40]  # red, the first color
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="green").is_checked()
    assert faults == []
    page.close()


def test_layer_head_and_rollout_change_the_light(running):
    page, faults = running
    look = page.locator(".look .note")
    seen = {look.inner_text()}
    page.get_by_label("Layer", exact=True).fill("1")
    seen.add(look.inner_text())
    page.get_by_label("Head", exact=True).fill("2")
    seen.add(look.inner_text())
    assert "2 of 4" in page.locator(".look").inner_text()
    page.get_by_label("Rollout").check()
    seen.add(look.inner_text())
    assert page.get_by_label("Head", exact=True).is_disabled()
    page.get_by_label("Rollout").uncheck()
    assert page.get_by_label("Head", exact=True).is_enabled()
    assert len(seen) >= 3 and all("Brightest patch: row" in text for text in seen)
    assert faults == []


def test_the_kernel_answers_the_same_numbers(vit, pictures):
    widget = demos.vit()
    text = base64.b64encode(bytes(pictures[0].tolist())).decode()
    answer = widget.answer({"id": 7, "pixels": text})
    assert answer["id"] == 7
    for packed, wanted in zip(
        answer["outputs"].values(), by_torch(vit, pictures[:1]), strict=True
    ):
        got = torch.tensor(np.frombuffer(base64.b64decode(packed), "<f4"))
        torch.testing.assert_close(got, wanted.flatten(), atol=1e-5, rtol=0)
    for wrong in ("AAAA", "not base64", None):
        error = widget.answer({"id": 8, "pixels": wrong})["error"]
        assert "expected 3 x 32 x 32 bytes a picture" in error


def test_the_same_module_shows_what_the_kernel_answers(live):
    page, faults = live(demos.vit(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    before = status(page)
    page.get_by_role("button", name="a green ring").click()
    settle(page, before)
    assert "Computed by the kernel" in status(page)
    assert faults == []
    page.close()


def test_what_the_kernel_complains_of_is_shown(live, monkeypatch):
    widget = demos.vit()

    def complain(message):
        raise ValueError("expected a kernel with time, got none.")

    monkeypatch.setattr(widget, "reply", complain)
    page, _ = live(widget, ["facts"])
    page.get_by_text("Expected a kernel with time").wait_for()
    page.close()
