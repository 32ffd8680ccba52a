"""The demo of data2vec, in a browser as on a page, and answered by the kernel."""

import base64
import json
import re

import numpy as np
import pytest
import torch

from mmdl_lib import demos
from mmdl_lib.data import sounds
from mmdl_lib.demos._live.data2vec import KINDS, trained, unpacked
from mmdl_lib.lab import three_senses as senses

MODULE = """const at = (path) => new URL("_static/" + path, document.baseURI).href;
  const m = await import(at("demos/data2vec/demo.js"));"""
SEED, MANY = 70_000, 512
each = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "data2vec/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def nets():
    return {kind: trained(kind) for kind in KINDS}


def halves(text):
    raw = np.frombuffer(base64.b64decode(text), np.float16)
    return torch.tensor(raw.astype(np.float32))


def places(facts, cells):
    """Which places of the net the cells hide, (1, n)."""
    hidden = torch.zeros(1, facts["places"], dtype=torch.bool)
    for i in cells:
        hidden[0, slice(*facts["cells"][i])] = True
    return hidden


@torch.no_grad()
def seen(nets, facts, kind, number, cells):
    """Target, prediction and the explained share of an example."""
    own = facts[kind]
    x = unpacked(kind, own["examples"][number]["input"], own["shape"])
    hidden = places(own, cells)
    target, said = (y[0] for y in nets[kind](x, hidden))
    mean, at = halves(own["mean"]).view_as(target), hidden[0]
    missed, varied = (target - said)[at].square(), (target - mean)[at].square()
    return target, said, (1 - missed.sum() / varied.sum()).item()


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the nets are loaded."""
    page, faults = visit(address + "data2vec.html")
    start(page, "data2vec")
    yield page, faults
    page.close()


@each
def test_the_nets_of_the_page_agree_with_torch(running, nets, facts, kind):
    js = f"""async ([kind, rows]) => {{ {MODULE}
      const engine = m.browserEngine({{files: at("demos/data2vec/"),
        runtime: at("vendor/onnxruntime/")}}), out = [];
      for (const [i, hidden] of rows.entries()) {{
        const found = await engine.see(kind, i, hidden);
        out.push([[...found.target], [...found.prediction]]);
      }}
      return out; }}"""
    own = facts[kind]
    cells = own["masks"][: len(own["examples"])]
    rows = [places(own, chosen)[0].int().tolist() for chosen in cells]
    got = running[0].evaluate(js, [kind, rows])
    for i, (one, chosen) in enumerate(zip(got, cells, strict=True)):
        for here, wanted in zip(one, seen(nets, facts, kind, i, chosen), strict=False):
            here = torch.tensor(here).view_as(wanted)
            torch.testing.assert_close(here, wanted, atol=3e-3, rtol=0)


@each
def test_the_page_computes_colors_and_shares_as_the_recipe(running, nets, facts, kind):
    js = f"""async ([facts, target, prediction, hidden]) => {{ {MODULE}
      const f = m.tables(facts)[Object.keys(facts)[0]];
      const share = m.explained(f, {{target, prediction}}, hidden);
      return [m.colors(f, target), share]; }}"""
    own, cells = facts[kind], facts[kind]["masks"][1]
    target, said, share = seen(nets, facts, kind, 0, cells)
    hidden = places(own, cells)[0].int().tolist()
    rows = [x.flatten().tolist() for x in (target, said)]
    got, part = running[0].evaluate(js, [{kind: own}, *rows, hidden])
    assert part == pytest.approx(share, abs=1e-4)
    axes, center = halves(own["axes"]).view(3, -1), halves(own["center"])
    wanted = (255 * (0.5 + (target - center) @ axes.T).clamp(0, 1)).round()
    assert (torch.tensor(got) - wanted).abs().max() <= 1


def test_numbers_of_sixteen_bits_are_read_as_numpy_reads_them(running):
    values = np.array([0, -0.5, 1, 3.14159, 65504, 6e-8, -2e-5], np.float16)
    text = base64.b64encode(values.tobytes()).decode()
    js = f"async (text) => {{ {MODULE} return [...m.halves(text)]; }}"
    assert running[0].evaluate(js, text) == values.astype(np.float32).tolist()


@each
def test_the_teacher_sees_everything_and_the_student_what_is_not_hidden(
    nets, facts, kind
):
    own = facts[kind]
    x = unpacked(kind, own["examples"][0]["input"], own["shape"])
    cells = own["masks"][0]
    hidden = places(own, cells)
    other = x.clone()
    if kind == "texts":
        other[hidden] = 7
    elif kind == "pictures":
        away = hidden.view(6, 6).repeat_interleave(4, 0).repeat_interleave(4, 1)
        other[:, :, away] = 0.3
    with torch.no_grad():
        before = nets[kind](x, hidden)
        none = nets[kind](x, torch.zeros_like(hidden))
        after = nets[kind](other, hidden)
    torch.testing.assert_close(before[0], none[0])
    assert (before[1] - none[1]).abs().max() > 0.05
    if kind != "sounds":  # a frame's window reaches into the next one
        torch.testing.assert_close(before[1], after[1], atol=1e-5, rtol=0)
        assert (before[0] - after[0]).abs().max() > 0.05


@each
def test_the_examples_are_new_and_cells_cover_what_can_be_hidden(nets, facts, kind):
    own = facts[kind]
    world = senses.WORLDS[kind](MANY, SEED)
    for i, example in enumerate(own["examples"]):
        x = unpacked(kind, example["input"], own["shape"])
        row = next(iter(senses.rows(world, torch.arange(i, i + 1)).values()))
        torch.testing.assert_close(x, row.to(x.dtype), atol=1e-4, rtol=0)
    count = sum(b - a for a, b in own["cells"])
    rows, columns = own["grid"]
    assert count == rows * columns == places(own, range(len(own["cells"]))).sum()
    first = own["first"]
    assert places(own, range(len(own["cells"])))[0, first : first + count].all()
    batch = senses.rows(world, torch.arange(1))
    assert nets[kind].model.front.places(batch).sum() == count
    assert {len(mask) for mask in own["masks"]} <= {*range(1, len(own["cells"]))}


def test_words_are_spelled_by_their_two_topics(facts):
    words, examples = facts["texts"]["words"], facts["texts"]["examples"]
    real = words[3:-1]
    assert len(words) == senses.VOCAB and len({*real}) == len(real) == 112
    for example in examples:
        letter = example["name"][-1]
        inside = [letter in words[i] for i in example["input"][1:-1]]
        assert sum(inside) >= 5


def test_sounds_are_those_of_the_loader(facts):
    said = sounds.load(n=MANY, seed=SEED)
    for i, example in enumerate(facts["sounds"]["examples"]):
        assert example["name"] == f"“{said.text[i]}”"
        x = unpacked("sounds", example["input"], [16_000])
        assert torch.equal(x[0], said.wave[i])


@each
@torch.no_grad()
def test_what_the_note_says_of_all_rows_is_so(nets, facts, kind):
    """Over the rows one by one, with other masks of training."""
    world, own = senses.WORLDS[kind](MANY, SEED), facts[kind]
    batch, model = senses.rows(world, torch.arange(MANY)), nets[kind].model
    target = model.targets(batch)
    mean = target.mean(0)
    torch.testing.assert_close(
        halves(own["mean"]).view_as(mean), mean, atol=2e-3, rtol=0
    )
    hidden = model.hide(batch, generator=torch.Generator().manual_seed(5))
    gap = (model(batch, hidden) - target)[hidden].square().sum()
    share = 1 - gap / (target - mean)[hidden].square().sum()
    assert own["whole"] == pytest.approx(100 * share, abs=3)
    assert f"explains {own['whole']}\u00a0%" in own["note"]
    assert own["whole"] > 5


def status(page):
    return page.get_by_role("status").inner_text()


def cells(page):
    return page.get_by_role("group", name="Places").get_by_role("button")


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def hidden_cells(page):
    js = "x => x.map((y, i) => y.ariaPressed === 'true' ? i : -1).filter((i) => i >= 0)"
    return cells(page).evaluate_all(js)


def check(page, nets, facts, kind, number, chosen):
    """The page hides these cells and says what torch finds."""
    own, names = facts[kind], {"pictures": "patches", "texts": "words"}
    some = (
        f"{len(chosen)} of {len(own['cells'])} {names.get(kind, 'parts')} are hidden."
    )
    share = seen(nets, facts, kind, number, chosen)[2]
    words = f"explains {100 * share:.0f}" if share >= 0 else "is farther"
    answer = page.get_by_role("status").filter(has_text=some).filter(has_text=words)
    answer.wait_for(timeout=20_000)
    assert hidden_cells(page) == sorted(chosen)
    assert "Computed by" in status(page)


def test_each_kind_begins_with_a_mask_and_explains_something(running, nets, facts):
    page, faults = running
    for kind, name in zip(KINDS, ("Picture", "Text", "Sound"), strict=True):
        press(page, name)
        check(page, nets, facts, kind, 0, facts[kind]["masks"][0])
        assert seen(nets, facts, kind, 0, facts[kind]["masks"][0])[2] > 0
    assert faults == []


def test_masks_examples_all_and_nothing(running, nets, facts):
    page, faults = running
    press(page, "Picture")
    masks = facts["pictures"]["masks"]
    check(page, nets, facts, "pictures", 0, masks[0])
    press(page, "Another mask")
    check(page, nets, facts, "pictures", 0, masks[1])
    press(page, facts["pictures"]["examples"][2]["name"])
    check(page, nets, facts, "pictures", 2, masks[1])
    press(page, "Hide all")
    check(page, nets, facts, "pictures", 2, range(36))
    press(page, "Show all")
    page.get_by_role("status").get_by_text("Nothing is hidden").wait_for()
    assert hidden_cells(page) == []
    assert page.get_by_role("img", name="Empty: nothing is hidden.").is_visible()
    assert faults == []


def test_a_click_hides_and_shows_and_a_drag_goes_on(running, nets, facts):
    page, faults = running
    press(page, "Picture")
    press(page, "Show all")
    cells(page).nth(14).click()
    check(page, nets, facts, "pictures", 0, [14])
    cells(page).nth(14).click()
    page.get_by_role("status").get_by_text("Nothing is hidden").wait_for()
    one, two = (cells(page).nth(i).bounding_box() for i in (6, 9))
    page.mouse.move(one["x"] + 5, one["y"] + 5)
    page.mouse.down()
    page.mouse.move(two["x"] + 5, two["y"] + 5, steps=12)
    page.mouse.up()
    page.mouse.move(two["x"] + 5, two["y"] + 60, steps=5)  # no longer pressed
    check(page, nets, facts, "pictures", 0, [6, 7, 8, 9])
    # what begins beside the cells is no drag
    page.mouse.move(one["x"] + 5, one["y"] - 60)
    page.mouse.down()
    page.mouse.move(one["x"] + 5, one["y"] + 60, steps=12)
    page.mouse.up()
    check(page, nets, facts, "pictures", 0, [6, 7, 8, 9])
    assert faults == []


def test_what_is_hidden_is_covered_and_colors_stand_where_it_is(running, facts):
    page, _ = running
    press(page, "Picture")
    chosen = facts["pictures"]["masks"][0]
    page.get_by_role("status").get_by_text("22 of 36").wait_for()
    js = """x => [...x.getContext("2d").getImageData(0, 0, 6, 6).data]
      .filter((_, i) => i % 4 === 3)"""
    expects = page.get_by_role("img", name=re.compile("the student expects"))
    filled = [i for i, alpha in enumerate(expects.evaluate(js)) if alpha]
    assert filled == sorted(chosen)
    teacher = page.get_by_role("img", name=re.compile("the teacher says"))
    assert set(teacher.evaluate(js)) == {255}


def test_the_keyboard_is_enough(visit, address, nets, facts):
    page, faults = visit(address + "data2vec.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("are hidden").wait_for(timeout=120_000)
    chosen = {*facts["pictures"]["masks"][0]}
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")  # row 2, column 2
    assert cells(page).nth(7).evaluate("x => x === document.activeElement")
    page.keyboard.press("Space")
    check(page, nets, facts, "pictures", 0, chosen ^ {7})
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # nothing is there
    assert cells(page).nth(1).evaluate("x => x === document.activeElement")
    assert faults == []
    page.close()


EAR = """() => {
  window.heard = [];
  window.AudioContext = class {
    createBuffer(channels, length, rate) {
      return { rate, copyToChannel: (x) => window.heard.push([...x], rate) };
    }
    createBufferSource() { return { connect() {}, start() {}, stop() {} }; }
  };
}"""


def test_a_sound_is_played_whole_and_as_the_student_gets_it(
    visit, address, start, facts
):
    page, faults = visit(address + "data2vec.html")
    start(page, "data2vec")
    assert not page.get_by_role("button", name="Play it").is_visible()
    press(page, "Sound")
    page.get_by_role("status").get_by_text("of 12 parts").wait_for()
    page.evaluate(EAR)
    press(page, "Play it")
    press(page, "Play what the student gets")
    whole, rate, part, _ = page.evaluate("window.heard")
    own = facts["sounds"]
    x = unpacked("sounds", own["examples"][0]["input"], [16_000])[0]
    assert rate == 16_000 and torch.equal(torch.tensor(whole), x)
    hidden = places(own, own["masks"][0])[0]
    away = torch.cat([hidden.repeat_interleave(320), hidden[-1:].expand(320)])
    assert torch.equal(torch.tensor(part), x.masked_fill(away, 0))
    assert away.any() and not away.all() and faults == []
    page.close()


def test_real_players_of_a_browser_take_it(running):
    page, faults = running
    press(page, "Sound")
    press(page, "Play it")
    page.get_by_role("status").get_by_text("of 12 parts").wait_for()
    assert "Expected" not in status(page) and faults == []


@each
def test_the_kernel_answers_the_same_numbers(nets, facts, kind):
    widget, own = demos.data2vec(), facts[kind]
    chosen = own["masks"][1]
    hidden = places(own, chosen)[0].int().tolist()
    answer = widget.answer({"id": 7, "kind": kind, "example": 1, "hidden": hidden})
    wanted = seen(nets, facts, kind, 1, chosen)
    for name, y in zip(("target", "prediction"), wanted, strict=False):
        raw = np.frombuffer(base64.b64decode(answer[name]), "<f4")
        torch.testing.assert_close(torch.tensor(raw).view_as(y), y, atol=1e-5, rtol=0)
    good = {"id": 8, "kind": kind, "example": 1, "hidden": hidden}
    for change, words in (
        ({"kind": "smells"}, "kind expected one of pictures, texts, sounds, got"),
        ({"example": 4}, "example expected 0 to 3, got 4"),
        ({"example": True}, "example expected 0 to 3, got True"),
        ({"hidden": hidden[1:]}, f"hidden expected {len(hidden)} of 0 and 1"),
        ({"hidden": [2] * len(hidden)}, f"hidden expected {len(hidden)} of 0 and 1"),
        ({"hidden": None}, "of 0 and 1, got None"),
    ):
        assert words in widget.answer(good | change)["error"]


def test_the_same_module_shows_what_the_kernel_answers(live, nets, facts):
    page, faults = live(demos.data2vec(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    press(page, "Text")
    check(page, nets, facts, "texts", 0, facts["texts"]["masks"][0])
    assert "Computed by the kernel" in status(page) and faults == []
    page.close()
