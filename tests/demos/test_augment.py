"""The demo of augmentation, in a browser as on a page, and answered by the kernel."""

import base64
import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdl_lib import demos, pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import views
from mmdl_lib.data.shapes import to_float

MODULE = """const m = await import(
  new URL("_static/demos/augment/views.js", document.baseURI));"""
FACTS = json.loads((demos.HERE / "augment/facts.json").read_text("utf-8"))
SIZE = FACTS["size"]


@pytest.fixture(scope="module")
def pictures():
    """All pictures of the demo, and two of noise, as bytes."""
    flat = [base64.b64decode(p["pixels"]) for s in FACTS["sets"] for p in s]
    image = torch.tensor([list(x) for x in flat], dtype=torch.uint8)
    noise = torch.randint(256, (2, image.shape[1]), generator=generator(0)).byte()
    return torch.cat([image, noise]).reshape(-1, 3, SIZE, SIZE)


@pytest.fixture(scope="module")
def page(visit, address):
    """A page on which the encoder is not loaded."""
    page, faults = visit(address + "augment.html")
    yield page
    assert faults == []
    page.close()


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the encoder is loaded."""
    page, faults = visit(address + "augment.html")
    start(page, "augment")
    yield page, faults
    page.close()


def step(page, name, image, *arguments):
    """A step of the module on each picture of a batch."""
    js = f"""async ([name, n, pictures, more]) => {{ {MODULE}
      return pictures.map((x, i) => [...m[name](Float32Array.from(x), n,
        ...more.map((values) => values[i]))]); }}"""
    more = [a.tolist() for a in arguments]
    out = page.evaluate(js, [name, image.shape[-1], image.flatten(1).tolist(), more])
    return torch.tensor(out).reshape(image.shape)


def agree(ours, wanted):
    torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=0)


def test_a_crop_is_that_of_the_library(page, pictures):
    image = to_float(pictures[-6:])
    box = views.boxes(6, views.SIMCLR, generator=generator(1))
    box[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    for flip in (torch.zeros(6).bool(), torch.ones(6).bool()):
        agree(
            step(page, "crop", image, box, flip), views.resized_crop(image, box, flip)
        )


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_a_color_step_is_that_of_the_library(page, pictures, name):
    image = to_float(pictures[-6:])
    value = torch.tensor([0.2, 0.9, 1.3, 1.8, 0.0, 1.0])
    value = value - 1 if name == "hue" else value
    agree(step(page, name, image, value), getattr(views, name)(image, value))


def test_gray_blur_and_noise_are_those_of_the_library(page, pictures):
    image = to_float(pictures[-6:])
    agree(step(page, "gray", image), views.gray(image))
    sigma = torch.tensor([0.1, 0.3, 0.7, 1.0, 1.5, 2.0])
    agree(step(page, "blur", image, sigma), views.blur(image, sigma))
    drawn = torch.randn(image.shape, generator=generator(3))
    noisy = views.noise(image, generator=generator(3))
    agree(step(page, "noise", image, drawn.flatten(1)), noisy)


def test_a_view_takes_its_steps_in_the_library_s_order(page, pictures):
    image = to_float(pictures[-6:])
    box = views.boxes(6, views.SIMCLR, generator=generator(5))
    flip = torch.tensor([True, False] * 3)
    factor, sigma = torch.linspace(0.4, 1.7, 6), torch.linspace(0.2, 2, 6)
    drawn = [
        {
            "box": box[i].tolist(),
            "flip": flip[i].item(),
            "jitter": {
                "brightness": factor[i].item(),
                "contrast": factor[5 - i].item(),
                "saturation": factor[i].item(),
                "hue": factor[i].item() - 1,
            },
            "gray": i == 2,
            "blur": sigma[i].item(),
            "noise": None,
        }
        for i in range(6)
    ]
    wanted = views.resized_crop(image, box, flip)
    wanted = views.brightness(wanted, factor)
    wanted = views.contrast(wanted, factor.flip(0))
    wanted = views.hue(views.saturation(wanted, factor), factor - 1)
    wanted[2] = views.gray(wanted[2:3])[0]
    wanted = views.blur(wanted, sigma)
    js = f"""async ([n, pictures, drawn]) => {{ {MODULE}
      return pictures.map((x, i) =>
        [...m.apply(Float32Array.from(x), n, drawn[i])]); }}"""
    out = page.evaluate(js, [SIZE, image.flatten(1).tolist(), drawn])
    agree(torch.tensor(out).reshape(image.shape), wanted)


DRAW = f"""async ([n, settings, count]) => {{ {MODULE}
  let state = 1; // a plain generator of our own, so that the test repeats
  const random = () => {{ state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32; }};
  return Array.from({{ length: count }}, () => m.draw(n, settings, random)); }}"""
ALL = dict.fromkeys(("crop", "flip", "jitter", "gray", "blur"), True)


def test_parameters_are_drawn_as_the_library_draws_them(page):
    settings = ALL | {"area": 0.2, "strength": 0.5}
    drawn = page.evaluate(DRAW, [SIZE, settings, 4000])
    box = torch.tensor([d["box"] for d in drawn])
    ours = views.Views(area=(0.2, 1.0))
    wanted = views.boxes(40_000, ours, generator=generator(0))
    levels = torch.tensor([0.02, 0.25, 0.5, 0.75, 0.98])
    for part in range(4):
        got, far = box[:, part].quantile(levels), wanted[:, part].quantile(levels)
        torch.testing.assert_close(got, far, atol=0.03, rtol=0)
    area = (box[:, 2] * box[:, 3]).quantile(levels)
    far = (wanted[:, 2] * wanted[:, 3]).quantile(levels)
    torch.testing.assert_close(area, far, atol=0.03, rtol=0)
    simclr = views.SIMCLR
    for name in ("flip", "jitter", "gray", "blur"):
        share = np.mean([bool(d[name]) for d in drawn])
        assert share == pytest.approx(getattr(simclr, name), abs=0.03), name
    reach = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    for name, half in reach.items():
        values = [d["jitter"][name] for d in drawn if d["jitter"]]
        middle = 0 if name == "hue" else 1
        assert min(values) == pytest.approx(middle - half, abs=0.01)
        assert max(values) == pytest.approx(middle + half, abs=0.01)
    sigmas = [d["blur"] for d in drawn if d["blur"]]
    assert (min(sigmas), max(sigmas)) == pytest.approx(simclr.sigma, abs=0.02)


def test_steps_that_are_off_change_nothing(page, pictures):
    off = dict.fromkeys(ALL | {"noise": 1}, False) | {"area": 0.2, "strength": 1}
    js = f"""async ([n, off, pixels]) => {{ {MODULE}
      const x = m.toFloat(pixels);
      const view = [...m.apply(x, n, m.draw(n, off))];
      return view.every((v, i) => Math.abs(v - x[i]) < 1e-6);
    }}"""
    assert page.evaluate(js, [SIZE, off, pictures[0].flatten().tolist()])


def histograms(page, image):
    js = f"""async ([n, pictures]) => {{ {MODULE}
      return pictures.map((x) => [...m.histogram(x, n)]); }}"""
    return torch.tensor(page.evaluate(js, [SIZE, image.flatten(1).tolist()]))


def histogram_of_the_recipe(image, bins=6):
    """`recipes/simclr.py`: three histograms, one a channel, of pictures in [-1, 1]."""
    place = ((image + 1) / 2 * bins).long().clamp(0, bins - 1)
    return F.one_hot(place, bins).float().mean((2, 3)).flatten(1)


def test_histograms_and_their_overlap_are_those_of_the_recipe(page, pictures):
    # where a bin begins, rounding decides: bytes of 85 and 170 are moved away from it
    image = torch.where(pictures % 85 == 0, pictures.clamp(1, 254) ^ 1, pictures)
    got, wanted = histograms(page, image), histogram_of_the_recipe(to_float(image))
    torch.testing.assert_close(got, wanted)
    js = f"async (all) => {{ {MODULE} return all.map((b) => m.overlap(all[0], b)); }}"
    shared = torch.tensor(page.evaluate(js, wanted.tolist()))
    distance = torch.cdist(wanted[:1], wanted, p=1)[0]
    torch.testing.assert_close(shared, 1 - distance / 6)
    assert shared[0] == 1 and shared[1:].max() < 1


def test_the_histogram_does_not_see_a_flip_but_a_turn_of_hue(page, pictures):
    first, mirrored = (
        histograms(page, x) for x in (pictures[:8], pictures[:8].flip(-1))
    )
    torch.testing.assert_close(first, mirrored)
    turned = views.hue(to_float(pictures[:8]), torch.full((8,), 0.5))
    other = histograms(page, ((turned + 1) * 127.5).round())
    assert ((first - other).abs().sum(1) > 0.5).all()


def test_partners_are_counted(page):
    js = f"""async ([a, b]) => {{ {MODULE} return m.found(a, b, m.cosine); }}"""
    eye = torch.eye(4).tolist()
    assert page.evaluate(js, [eye, eye]) == 1
    assert page.evaluate(js, [eye, eye[1:] + eye[:1]]) == 0
    assert page.evaluate(js, [eye, [[1, 1, 1, 1]] * 4]) == pytest.approx(1 / 4)
    nothing = [[0, 0, 0, 0]] * 4
    assert page.evaluate(js, [nothing, eye]) == pytest.approx(1 / 4)


def projections(image):
    with torch.no_grad():
        return pretrained.load("simclr")(to_float(image)).projection


def test_the_browser_computes_the_projections_of_torch(running, pictures, ask):
    batches = [pictures, pictures[-1:]]
    for part, got in zip(batches, ask(running[0], "augment", batches), strict=True):
        wanted = F.normalize(projections(part), dim=1)
        ours = torch.tensor(got["projection"]).reshape(wanted.shape)
        ours = F.normalize(ours, dim=1)
        torch.testing.assert_close(ours, wanted, atol=1e-3, rtol=0)


def share(page, title):
    """How often a way to compare finds the partner, once all draws are done."""
    words = "Color alone finds the partner in" if title == "color" else "SimCLR in"
    text = page.get_by_role("status").get_by_text("of 96 draws")
    text.wait_for(timeout=120_000)
    return int(re.search(words + r" (\d+) %", text.inner_text())[1])


def choose(page, preset):
    """Presses a preset and waits until its draws are done."""
    clear = "for (const s of document.querySelectorAll('.status')) s.textContent = ''"
    page.evaluate(clear)
    page.get_by_role("button", name=preset).click()


def test_colors_give_crops_away_and_color_jitter_stops_that(page):
    choose(page, "Crop and flip")
    crops = share(page, "color")
    choose(page, "With color jitter")
    jitter = share(page, "color")
    assert crops > 85 and jitter < 60


def test_views_by_no_step_are_the_picture_and_another_picture_is_not(page):
    choose(page, "Crop and flip")
    for name in ("Crop", "Flip"):
        page.get_by_role("checkbox", name=name, exact=True).uncheck()
    share(page, "color")
    shown = canvases(page)
    assert (shown[1] == shown[0]).all() and (shown[2] == shown[0]).all()
    assert not (shown[3] == shown[0]).all()
    view, other = page.locator(".score b").all_inner_texts()[:2]
    assert float(view) == 1 and float(other) < 0.9


def canvases(page):
    """The four pictures that a page shows, as bytes."""
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".frames canvas")].map((c) =>
             [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data])"""
    )
    image = torch.tensor(shown, dtype=torch.uint8).reshape(4, SIZE, SIZE, 4)
    return image[..., :3].permute(0, 3, 1, 2).contiguous()


def test_the_numbers_are_those_of_the_views_that_are_shown(running):
    page, faults = running
    choose(page, "As in training")
    share(page, "simclr")
    views_ = canvases(page)[1:]
    texts = page.locator(".score b").all_inner_texts()
    got = [float(text.replace("\u2212", "-")) for text in texts if "%" not in text]
    bins, z = histogram_of_the_recipe(to_float(views_)), projections(views_)
    colors = 1 - torch.cdist(bins[:1], bins[1:], p=1)[0] / 6
    near = F.cosine_similarity(z[:1], z[1:])
    wanted = torch.cat([colors, near]).tolist()
    assert got == pytest.approx(wanted, abs=0.02)
    assert faults == []


def test_the_trained_encoder_finds_partners_where_colors_do_not(running):
    page, faults = running
    choose(page, "With color jitter")
    assert share(page, "simclr") > share(page, "color") + 10
    assert "Computed by this browser" in page.get_by_role("status").inner_text()
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "augment.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the second picture
    pressed = page.locator(".thumbs button[aria-pressed=true]")
    assert pressed.get_attribute("aria-label") == FACTS["sets"][0][1]["name"]
    box = page.get_by_role("checkbox", name="Color jitter")
    box.focus()
    page.keyboard.press("Space")
    assert box.is_checked()
    page.get_by_role("slider", name="strength").focus()
    page.keyboard.press("ArrowLeft")
    assert "0.4" in page.locator(".controls").inner_text()
    pressed = page.locator(".presets button[aria-pressed=true]")
    assert pressed.inner_text() == "With color jitter"
    assert faults == []
    page.close()


def test_there_are_other_pictures(page):
    before = page.locator(".thumbs button").first.get_attribute("aria-label")
    for _ in FACTS["sets"]:
        page.get_by_role("button", name="Others").click()
    after = page.locator(".thumbs button").first.get_attribute("aria-label")
    assert before == after
    assert len({p["name"] for s in FACTS["sets"] for p in s}) > 8


def test_the_kernel_answers_the_same_numbers(pictures):
    widget = demos.augment()
    packed = base64.b64encode(bytes(pictures.flatten().tolist())).decode()
    answer = widget.answer({"id": 7, "pixels": packed})
    raw = base64.b64decode(answer["outputs"]["projection"])
    wanted = projections(pictures)
    got = torch.tensor(np.frombuffer(raw, "<f4")).reshape(wanted.shape)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_the_same_module_shows_what_the_kernel_answers(live):
    page, faults = live(demos.augment(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for(timeout=120_000)
    assert page.get_by_role("button", name="Load the").count() == 0
    assert faults == []
    page.close()
