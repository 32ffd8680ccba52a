"""The demo of CLIP, in a browser as on a page, and answered by the kernel."""

import json
import re
import shutil

import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data.shapes import to_float
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.demos._live import clip as live_clip
from tests.lab.making import recipe

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
    titles = demos.about("clip")["worlds"]
    both = [{"name": world, "title": title} for world, title in titles.items()]
    state = {"worlds": both, "first": "shapes", "megabytes": 1}
    return f"<mmdl-demo name='clip' data-state='{json.dumps(state)}'></mmdl-demo>"


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the model is loaded."""
    page, faults = visit(address + "clip.html")
    start(page, "clip")
    yield page, faults
    page.close()


def torch_cosines(world, caption):
    """The cosines as the library computes them, with the same picture features."""
    model, tokenizer = pretrained.load("clip", world)
    facts = json.loads(live_clip.files(world)[1].read_text("utf-8"))
    features = live_clip.features(facts)
    with torch.no_grad():
        return features @ model.encode_text(*tokenizer([caption]))[0]


def python_tokens(tokenizer, caption):
    try:
        return tokenizer.encode(caption)
    except ValueError as error:
        return str(error)


ASK = """async ([world, captions]) => {
  const {browserEngine} = await import(
    new URL("_static/demos/clip/demo.js", document.baseURI));
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
    new URL("_static/demos/clip/demo.js", document.baseURI));
  return captions.map((caption) => {
    try { return tokenize(caption, {words, length}); }
    catch (error) { return error.message; }
  });
}"""


@pytest.mark.parametrize("world", list(live_clip.titles()))
def test_the_browser_computes_the_cosines_of_torch(running, world):
    captions = CAPTIONS.get(world) or emoji_captions()
    answers = running[0].evaluate(ASK, [world, captions])
    for caption, answer in zip(captions, answers, strict=True):
        expected = torch_cosines(world, caption)
        torch.testing.assert_close(torch.tensor(answer), expected, atol=1e-3, rtol=0)


def emoji_captions():
    facts = json.loads(live_clip.files("emoji")[1].read_text("utf-8"))
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


def test_the_page_has_no_fault_and_names_the_nearest_picture(running):
    page, faults = running
    page.get_by_label("Caption", exact=True).fill("a blue heart")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("status").get_by_text("Computed by this browser").wait_for()
    expected = torch_cosines("shapes", "a blue heart")
    value = f"{expected.max().item():.3f}"[:-1]
    status = page.get_by_role("status").inner_text()
    facts = json.loads(live_clip.files("shapes")[1].read_text("utf-8"))
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
    page, faults = visit(address + "clip.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Nearest:").wait_for(timeout=120_000)
    page.keyboard.press("Control+A")
    page.keyboard.type("a green ring")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Nearest: a green ring").wait_for()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expected = json.loads(live_clip.files("shapes")[1].read_text())["suggestions"][0]
    assert page.get_by_label("Caption", exact=True).input_value() == expected
    assert faults == []
    page.close()


def test_the_arrow_keys_change_the_gallery(visit, two, start):
    page, faults = visit(two)
    start(page, "clip")
    page.get_by_label("Caption", exact=True).fill("a rod star")
    page.keyboard.press("Enter")
    page.get_by_role("tab", name="Shapes").press("ArrowRight")
    page.locator("[role=tab][aria-selected=true]", has_text="Emoji").wait_for()
    page.get_by_role("status").get_by_text("Nearest:").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Emoji"
    assert page.get_by_role("tab", name="Shapes").get_attribute("tabindex") == "-1"
    assert faults == []
    page.close()


def test_axe_finds_nothing_serious_in_two_galleries(visit, two, start, serious):
    page, _ = visit(two)
    start(page, "clip")
    page.get_by_text("words that this model knows").click()
    assert serious(page, "mmdl-demo") == []
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


def test_a_slow_kernel_is_said_and_its_late_answer_is_shown_as_its_own(live):
    page, faults = live(demos.clip("shapes"), ("worlds", "first", "galleries"), 11_500)
    status = page.get_by_role("status")
    status.get_by_text("No answer of the kernel for 10 s: is it busy?").wait_for()
    status.get_by_text("Computed by the kernel (torch), 1").wait_for()
    seconds = int(re.search(r"(\d+) s\.", status.inner_text())[1])
    assert seconds >= 11
    assert faults == []
    page.close()


NAMED = """async ([caption, words]) => {
  const {named} = await import(
    new URL("_static/demos/clip/demo.js", document.baseURI));
  return named(caption, words);
}"""
DRAWN = """async () => {
  const canvas = document.querySelector("mmdl-demo canvas");
  const copy = new OffscreenCanvas(64, 64).getContext("2d", {willReadFrequently: true});
  const pixels = () => {
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, 64, 64).data;
  };
  while (!pixels()[3]) await new Promise((done) => setTimeout(done, 50));
  return [...pixels()];
}"""


def pictures_of(rows, size=32):
    """What the library draws for scenes by their numbers, and what the model sees."""
    scenes = recipe("clip_demo").all_doubles()[rows].render(size)
    clip = pretrained.load("clip", "shapes")[0]
    with torch.no_grad():
        return scenes, clip.encode_image(to_float(scenes)) if size == 32 else None


@pytest.mark.parametrize(
    ("caption", "first"),
    [
        ("a red star left of a blue moon", "red star left of blue moon"),
        ("a large red star and a dotted blue moon", "red star left of blue moon"),
        ("a red star right of a blue moon", "blue moon left of red star"),
        ("a red star above a blue moon", "red star above blue moon"),
        ("there is a red star below a blue moon", "blue moon above red star"),
    ],
)
def test_a_caption_of_two_objects_names_its_scene_and_two_twins(
    running, caption, first
):
    facts = json.loads(live_clip.files("shapes")[1].read_text("utf-8"))
    scenes = running[0].evaluate(NAMED, [caption, facts["scene_words"]])
    a, b, *between, c, d = first.split()
    middle = " ".join(between)
    swapped = [f"{c} {b} {middle} {a} {d}", f"{c} {d} {middle} {a} {b}"]
    assert [scene["name"] for scene in scenes] == [first, *swapped]
    drawn = recipe("clip_demo").all_doubles()[[scene["row"] for scene in scenes]]
    for things, scene in zip(drawn.things(), scenes, strict=True):
        said = middle.join(f" {thing.color} {thing.shape} " for thing in things)
        assert said.strip() == scene["name"]
        place = [thing.y if middle == "above" else thing.x for thing in things]
        assert place[0] < place[1]


@pytest.mark.parametrize(
    "caption", ["a red star", "red and blue", "", "a star left of a moon"]
)
def test_other_captions_name_no_scene(running, caption):
    facts = json.loads(live_clip.files("shapes")[1].read_text("utf-8"))
    assert running[0].evaluate(NAMED, [caption, facts["scene_words"]]) == []


def test_the_page_draws_what_a_caption_names_and_compares_it(running):
    page, faults = running
    caption = "a red star above a blue moon"
    page.get_by_label("Caption", exact=True).fill(caption)
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("as the caption says").wait_for()
    facts = json.loads(live_clip.files("shapes")[1].read_text("utf-8"))
    scenes = page.evaluate(NAMED, [caption, facts["scene_words"]])
    rows = [scene["row"] for scene in scenes]
    clip, tokenizer = pretrained.load("clip", "shapes")
    with torch.no_grad():
        expected = pictures_of(rows)[1] @ clip.encode_text(*tokenizer([caption]))[0]
    shown = [
        float(x.replace("\u2212", "-")) for x in page.locator("li b").all_inner_texts()
    ]
    torch.testing.assert_close(torch.tensor(shown[:3]), expected, atol=0.02, rtol=0)
    got = torch.tensor(page.evaluate(DRAWN)).view(64, 64, 4)[..., :3].permute(2, 0, 1)
    wanted = pictures_of(rows[:1], 64)[0][0]
    other = pictures_of(rows[2:], 64)[0][0]  # the places exchanged
    gap, far = ((got - x.float()).abs().mean() for x in (wanted, other))
    assert gap < 4 < far
    assert faults == []


def test_an_unknown_word_leaves_no_old_answer_below_it(running):
    page, _ = running
    field = page.get_by_label("Caption", exact=True)
    field.fill("a red star left of a blue moon")
    field.press("Enter")
    page.get_by_text("as the caption says").wait_for()
    field.fill("a rod star")
    field.press("Enter")
    page.get_by_text("the nearest known word is 'red'").wait_for()
    assert page.locator("mmdl-demo li").count() == 0
    assert page.locator("mmdl-demo .near").count() == 0
    field.fill("a red star")
    page.get_by_role("status").get_by_text("Nearest: a red star").wait_for()
    assert page.locator("mmdl-demo li").count() == 5


def test_the_kernel_compares_scenes_as_the_page_does():
    widget = demos.clip("shapes")
    rows = [8 * (8 * (8 * 0 + 3) + 2) + 7, 4096]
    ask = {"id": 1, "world": "shapes", "caption": "a red star left of a blue moon"}
    drawn = widget.answer(ask | {"scenes": rows})["drawn"]
    clip, tokenizer = pretrained.load("clip", "shapes")
    with torch.no_grad():
        text = clip.encode_text(*tokenizer([ask["caption"]]))[0]
    expected = pictures_of(rows)[1] @ text
    torch.testing.assert_close(torch.tensor(drawn), expected, atol=0.02, rtol=0)
    assert widget.answer(ask)["drawn"] == []
    for bad in ([8192], [-1], ["x"]):
        wrong = widget.answer(ask | {"scenes": bad})["error"]
        assert wrong.startswith("expected scenes below 8192, got")


def test_an_unknown_gallery_is_said():
    with pytest.raises(ValueError, match="expected shapes or emoji, got 'x'"):
        demos.clip("x")
