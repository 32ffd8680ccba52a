"""The demo of CLIP, in a browser as on a page, and answered by the kernel."""

import json
import shutil

import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.demos import _widget

DEMO = "clip"
CAPTIONS = {
    "shapes": [
        "a red star",
        "A RED STAR!",
        "purple",
        "a picture with a large striped ring and a small dotted moon",
        "an orange cross left of a cyan heart",
        "a cyan heart left of an orange cross",
        "there is a small blue square above a large green triangle",
        "red " * 30,
    ]
}
BAD = ["", "   ", "?!", "_", "'", "a\tb", "a rod circle", "it's a star", "dog's", "x"]
BAD += ["star's", "a 'red' \"sq\"", "red's star", "crircle", "moonmoon", "rerd", "zzz"]
BAD += ["etoile", "étoile", "ÉTOILE rouge", "красный круг", "赤い星", "😀", "a 😀 star"]
BAD += ["red_star", "red-star", "red.star", "star2", "2 stars", "²", "İstanbul", "ΟΔΟΣ"]
BAD += ["constructor", "__proto__", "a\nred\nstare", "back\\slash", "red " * 31]
BAD += ["gren " * 40, "squre", "trianglee", "whith", "abov", "ligt", "yelow", "o"]
GOOD = ["red STAR", "a,red;star", "'red'", "(A) [red] {star}", "red\u00a0star", "red's"]


@pytest.fixture(scope="module")
def two(site, address, page_html):
    """Address of a page with both galleries."""
    body = two_worlds(site / "_static/demos")
    (site / "two.html").write_text(page_html(body), "utf-8")
    return address + "two.html"


def two_worlds(folder):
    """The element with both tabs; the emoji are shapes where no emoji are trained."""
    for suffix in ("onnx", "json"):
        copy = folder / f"clip/emoji.{suffix}"
        if not copy.exists():
            shutil.copy(folder / f"clip/shapes.{suffix}", copy)
    both = [{"name": w, "title": demos.WORLDS[w]} for w in demos.WORLDS]
    state = {"worlds": both, "first": "shapes", "megabytes": 1}
    return f"<mmdl-demo name='clip' data-state='{json.dumps(state)}'></mmdl-demo>"


def start(page):
    page.get_by_role("button", name="Load the model").click()
    page.get_by_role("status").get_by_text("Nearest:").wait_for(timeout=30_000)


@pytest.fixture(scope="module")
def running(visit, address):
    """One page, used by several tests, on which the model is loaded."""
    page, faults = visit(address)
    start(page)
    yield page, faults
    page.close()


def torch_cosines(world, caption):
    """The cosines as the library computes them, with the same picture features."""
    model, tokenizer = pretrained.load("clip", world)
    facts = json.loads(demos.files(world)[1].read_text("utf-8"))
    features = _widget._features(facts)
    with torch.no_grad():
        return features @ model.encode_text(*tokenizer([caption]))[0]


def python_tokens(tokenizer, caption):
    try:
        return tokenizer.encode(caption)
    except ValueError as error:
        return str(error)


ASK = """async ([world, captions]) => {
  const {browserEngine} = await import(
    new URL("_static/demos/clip.js", document.baseURI));
  const [files, runtime] = ["demos/clip/", "vendor/onnxruntime/"].map(
    (path) => new URL("_static/" + path, document.baseURI).href);
  const engine = browserEngine({files, runtime});
  const out = [];
  for (const caption of captions)
    out.push((await engine.cosines(world, caption)).cosines);
  return out;
}"""
TOKENIZE = """async ([captions, words, length]) => {
  const {tokenize} = await import(
    new URL("_static/demos/clip.js", document.baseURI));
  return captions.map((caption) => {
    try { return tokenize(caption, {words, length}); }
    catch (error) { return error.message; }
  });
}"""


@pytest.mark.parametrize("world", demos.worlds())
def test_the_browser_computes_the_cosines_of_torch(running, world):
    captions = CAPTIONS.get(world) or emoji_captions()
    answers = running[0].evaluate(ASK, [world, captions])
    for caption, answer in zip(captions, answers, strict=True):
        expected = torch_cosines(world, caption)
        torch.testing.assert_close(torch.tensor(answer), expected, atol=1e-3, rtol=0)


def emoji_captions():
    facts = json.loads(demos.files("emoji")[1].read_text("utf-8"))
    return facts["suggestions"] + [" ".join(facts["words"][:5]), facts["words"][-1]]


@pytest.mark.parametrize(
    "words", [None, ["it's", "étoile", "красный", "σος", "a", "b"]]
)
def test_the_browser_cuts_captions_into_the_same_tokens(running, words):
    assert len(BAD + GOOD) >= 50
    words = words or pretrained.load("clip", "shapes")[1].words
    tokenizer = WordTokenizer(words, length=32)
    answers = running[0].evaluate(TOKENIZE, [BAD + GOOD, words, 32])
    assert answers == [python_tokens(tokenizer, caption) for caption in BAD + GOOD]


def test_a_page_asks_for_nothing_before_the_click(browser, address):
    asked = []
    page = browser.new_page()
    page.on("request", lambda r: asked.append(r.url.rsplit("/", 1)[1][:20]))
    page.goto(address, wait_until="networkidle")
    alt = page.get_by_role("img").get_attribute("alt")
    page.close()
    served = [name for name in asked if "base64" not in name and name != ","]
    scripts = ["", "mmdl-host.js", "clip.js", "common.js"]
    assert [n for n in served if "webp" not in n] == scripts
    assert len(alt) > 40


def test_the_first_answer_comes_within_two_seconds(visit, address):
    def seconds():
        page, _ = visit(address)
        start(page)
        took = page.evaluate(
            """() => performance.measure("t", "mmdl-clip-files", "mmdl-clip-answer")
                 .duration / 1000"""
        )
        page.close()
        return took

    # other work on the machine may slow one try down, not three
    assert any(seconds() < 2 for _ in range(3))


def test_the_page_has_no_fault_and_names_the_nearest_picture(running):
    page, faults = running
    page.get_by_label("Caption", exact=True).fill("a blue heart")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("status").get_by_text("Computed by this browser").wait_for()
    expected = torch_cosines("shapes", "a blue heart")
    value = f"{expected.max().item():.3f}"[:-1]
    status = page.get_by_role("status").inner_text()
    facts = json.loads(demos.files("shapes")[1].read_text("utf-8"))
    assert facts["labels"][expected.argmax()] in status and value in status
    assert page.locator("li").count() == 5
    assert faults == []


def test_an_unknown_word_is_named_in_one_sentence_and_mended(running):
    page, faults = running
    field = page.get_by_label("Caption", exact=True)
    field.fill("a rod star")
    field.press("Enter")
    page.get_by_text("the nearest known word is 'red'").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("a red star")
    page.get_by_role("status").get_by_text("Nearest: a red star").wait_for()
    assert field.get_attribute("aria-invalid") == "false"
    assert faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Nearest:").wait_for(timeout=30_000)
    page.keyboard.press("Control+A")
    page.keyboard.type("a green ring")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Nearest: a green ring").wait_for()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expected = json.loads(demos.files("shapes")[1].read_text())["suggestions"][0]
    assert page.get_by_label("Caption", exact=True).input_value() == expected
    assert faults == []
    page.close()


def test_the_arrow_keys_change_the_gallery(visit, two):
    page, faults = visit(two)
    start(page)
    page.get_by_label("Caption", exact=True).fill("a rod star")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Shapes").press("ArrowRight")
    page.locator("[role=tab][aria-selected=true]", has_text="Emoji").wait_for()
    page.get_by_role("status").get_by_text("Nearest:").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Emoji"
    assert page.get_by_role("tab", name="Shapes").get_attribute("tabindex") == "-1"
    assert faults == []
    page.close()


def test_axe_finds_nothing_serious(visit, address, two, serious):
    for url in (two, address + "dark.html"):
        page, _ = visit(url)
        start(page)
        page.get_by_text("words that this model knows").click()
        assert serious(page) == []
        page.close()


@pytest.mark.parametrize("name", ["index.html", "dark.html"])
def test_it_fits_a_phone(visit, address, name):
    page, faults = visit(address + name, viewport={"width": 390, "height": 844})
    start(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    page.close()


def test_without_the_runtime_the_still_picture_stays(visit, address):
    page, faults = visit(address + "plain.html")
    assert "built without Node" in page.locator("mmdl-demo").inner_text()
    assert page.get_by_role("img").is_visible() and faults == []
    page.close()


def test_opened_from_a_file_the_still_picture_stays(visit, site):
    page, faults = visit((site / "index.html").as_uri())
    assert "serve the folder" in page.locator("mmdl-demo").inner_text()
    assert page.get_by_role("img").is_visible() and faults == []
    page.close()


def test_a_missing_file_is_named(browser, address):
    page = browser.new_page()
    page.route("**/shapes.onnx", lambda route: route.fulfill(status=404, body=""))
    page.goto(address)
    button = page.get_by_role("button", name="Load the model")
    button.click()
    page.get_by_text("expected the model's files").wait_for(timeout=30_000)
    assert button.is_enabled()
    page.close()


def test_the_kernel_answers_the_same_numbers():
    widget = demos.clip("shapes")
    answer = widget.answer({"id": 7, "world": "shapes", "caption": "a red star"})
    assert answer["id"] == 7
    expected = torch_cosines("shapes", "a red star")
    torch.testing.assert_close(torch.tensor(answer["cosines"]), expected)
    sent = []
    widget.send = sent.append
    widget._handle_custom_msg({"id": 7, "world": "shapes", "caption": "a red star"}, [])
    assert sent == [answer]
    wrong = widget.answer({"id": 8, "world": "shapes", "caption": "a rod star"})
    assert "nearest known word is 'red'" in wrong["error"]
    assert "got 'x'" in widget.answer({"id": 9, "world": "x"})["error"]


def test_the_same_module_shows_what_the_kernel_answers(live):
    page, faults = live(demos.clip("shapes"), ("worlds", "first", "galleries"))
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    page.get_by_label("Caption", exact=True).fill("a rod star")
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("the nearest known word is 'red'").wait_for()
    assert faults == []
    page.close()


def test_the_site_gets_html_without_widget_state(monkeypatch):
    monkeypatch.setenv("MMDL_BUILD", "1")
    page = demos.clip()
    assert page._repr_html_().startswith('<mmdl-demo name="clip"')
    assert not hasattr(page, "_repr_mimebundle_") and "Demo" in repr(page)


def test_what_is_not_there_is_said(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="expected shapes or emoji, got 'x'"):
        demos.clip("x")
    monkeypatch.setattr(demos, "HERE", tmp_path)
    with pytest.raises(FileNotFoundError, match="recipes/clip_demo.py"):
        demos.clip("shapes")


def test_the_sizes_on_the_button_are_those_of_the_files(runtime):
    sizes = {name: (runtime / name).stat().st_size for name in demos.RUNTIME}
    assert sizes == demos.RUNTIME
