"""The demo of the captioner, in a browser as on a page, and answered by the kernel."""

import json
import re

import pytest
import torch

from mmdl_lib import demos, pretrained
from mmdl_lib.data import shapes
from mmdl_lib.demos._live.captioner import Tell
from mmdl_lib.lab.captioning import crops, regions
from mmdl_lib.nn import decode
from tests.demos.making_captioner import (
    begin,
    both,
    drawn_by_lot,
    known,
    memory_of,
    said,
    scene,
    settle,
)

MODULE = """const load = (name) =>
    import(new URL(`_static/demos/captioner/${name}.js`, document.baseURI));
  const [m, s, b] = await Promise.all(["demo", "scene", "beams"].map(load));"""
# the demo's own search, with the network asked as the page asks it
SAY = f"""async ([facts, things, beams]) => {{ {MODULE}
  const url = (path) => new URL("_static/" + path, document.baseURI).href;
  window.engine ??= m.browserEngine({{
    files: url("demos/captioner/"), runtime: url("vendor/onnxruntime/")}});
  const scene = {{pixels: s.draw(things, facts), corners: s.boxes(things, facts)}};
  const next = (rows) =>
    window.engine.next(scene, rows.map((row) => [b.START, ...row]));
  const longest = facts.length - 2;
  const {{kept, steps}} = await b.beamSearch(next, {{beams, longest}});
  return [kept.map((k) => ({{...k, looks: k.looks.map((x) => [...x])}})),
    steps.map((step) => step.map(({{looks, ...rest}}) => rest))]; }}"""


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "captioner/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def model():
    return pretrained.load("captioner")


@pytest.fixture(scope="module")
def running(visit, address, start):
    """One page, used by several tests, on which the model is loaded."""
    page, faults = visit(address + "captioner.html")
    start(page, "captioner")
    yield page, faults
    page.close()


def test_scenes_are_drawn_as_the_library_draws_them(running, facts):
    given = [*facts["scenes"], *drawn_by_lot()]
    js = f"""async ([facts, given]) => {{ {MODULE}
      return given.map((things) => [...s.draw(things, facts)]); }}"""
    for things, got in zip(given, running[0].evaluate(js, [facts, given]), strict=True):
        wanted = scene(things).render()[0].flatten().tolist()
        assert got == wanted, things


def test_the_given_scenes_hold_what_a_sampled_scene_could(facts):
    for things in facts["scenes"]:
        assert scene(things).boxes()[0, : len(things)].aminmax().min >= 0
        assert len(things) == 2 or all(t["size"] == "small" for t in things)
    pairs = [{f"{t['color']} {t['shape']}" for t in x} for x in facts["scenes"]]
    unseen = set(facts["unseen"])
    # the last one shows a pair that training kept away
    assert unseen & pairs[-1] and not unseen & set.union(*pairs[:-1])


def test_the_crops_of_the_network_are_those_of_the_recipe(facts):
    (things,) = facts["scenes"][3:4]
    found, (image, box, _) = regions(scene(things), seed=1), known(things)
    order = [found.box[0].tolist().index(one) for one in box[0].tolist()]
    assert sorted(order) == [0, 1, 2, 3]
    torch.testing.assert_close(crops(image, box)[0], found.feature[0, order])


@torch.no_grad()
def test_the_network_of_the_demo_is_the_model(model, facts):
    for things in facts["scenes"]:
        tokens = torch.tensor([[1, 5, 9, 20, 7], [1, 30, 2, 0, 4]])
        seen = model.memory(*both(model, things, 2))
        place = torch.tensor([4])
        logits, looks = Tell(model)(*known(things), tokens, place)
        torch.testing.assert_close(logits, model.told(tokens, seen)[:, 4])
        torch.testing.assert_close(looks, model.looks(tokens, seen)[:, :, :, 4])


@torch.no_grad()
def test_the_browser_computes_what_torch_computes(running, model, facts):
    js = f"""async ([facts, things, rows]) => {{ {MODULE}
      const url = (path) => new URL("_static/" + path, document.baseURI).href;
      const engine = m.browserEngine({{
        files: url("demos/captioner/"), runtime: url("vendor/onnxruntime/")}});
      const out = await engine.next(
        {{pixels: s.draw(things, facts), corners: s.boxes(things, facts)}}, rows);
      return [out.logits.map((x) => [...x]), out.attention.map((x) => [...x])]; }}"""
    g = torch.Generator().manual_seed(0)
    for i, things in enumerate([*facts["scenes"], *drawn_by_lot(4)]):
        t = 2 + 3 * i
        tokens = torch.randint(3, 38, (1 + t % 5, t), generator=g)
        tokens[:, 0] = 1
        logits, looks = running[0].evaluate(js, [facts, things, tokens.tolist()])
        seen = model.memory(*both(model, things, len(tokens)))
        wanted = model.told(tokens, seen)[:, -1]
        torch.testing.assert_close(torch.tensor(logits), wanted, atol=1e-3, rtol=0)
        wanted = model.looks(tokens, seen)[..., -1, :].flatten(1)
        torch.testing.assert_close(torch.tensor(looks), wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_captions_are_those_of_the_library(running, model, facts, beams):
    for things in facts["scenes"]:
        kept, steps = running[0].evaluate(SAY, [facts, things, beams])
        seen = memory_of(model, things)
        found = model.search(seen, decode.beam_search, beams=beams, max_length=30)
        rows = zip(found.tokens[0], found.mask[0], strict=True)
        assert [k["tokens"] for k in kept] == [t[m].tolist() for t, m in rows]
        got = torch.tensor([k["logP"] for k in kept])
        torch.testing.assert_close(got, found.log_prob[0], atol=1e-3, rtol=0)
        if beams == 1:
            said = model.search(seen, decode.greedy, max_length=30)
            assert kept[0]["tokens"] == said.tokens[0].tolist()
        for one in kept:  # the looks of each word, where it was chosen
            tokens = torch.tensor([[1, *one["tokens"][:-1]]])
            with torch.no_grad():
                wanted = model.looks(tokens, seen)[0].permute(2, 0, 1, 3).flatten(1)
            looks = torch.tensor(one["looks"])
            torch.testing.assert_close(looks, wanted, atol=1e-3, rtol=0)
        assert len(steps) >= len(kept[0]["tokens"])


@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_the_search_is_that_of_the_library_where_it_is_hard(running, beams):
    # random shares: many ends, few clear cases, and beginnings cut by the length
    tables = torch.randn(60, 72, 8, generator=torch.Generator().manual_seed(0))
    tables[:, :, 2] += torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0]).repeat(12)[:, None]
    js = f"""async ([tables, beams]) => {{ {MODULE}
      return Promise.all(tables.map(async (table) => {{
        const next = async (rows) => ({{attention: rows.map(() => null),
          logits: rows.map((row) => table[8 * row.length + (row.at(-1) ?? 1)])}});
        const {{kept}} = await b.beamSearch(next, {{beams, longest: 9}});
        return kept.map(({{tokens, logP}}) => [tokens, logP]);
      }})); }}"""
    answers = running[0].evaluate(js, [tables.tolist(), beams])
    for table, kept in zip(tables, answers, strict=True):

        def step(tokens, count, table=table):
            return table[8 * count + tokens], count + 1

        options = {"end": 2, "max_length": 9, "beams": beams}
        found = decode.beam_search(step, torch.tensor([1]), 0, **options)
        rows = zip(found.tokens[0], found.mask[0], strict=True)
        assert [k[0] for k in kept] == [t[m].tolist() for t, m in rows]
        got = torch.tensor([k[1] for k in kept])
        torch.testing.assert_close(got, found.log_prob[0])


def test_of_each_word_as_many_beginnings_are_kept_as_there_are_beams(running, facts):
    _, steps = running[0].evaluate(SAY, [facts, facts["scenes"][0], 3])
    for k, step in enumerate(steps):
        fates = [one["fate"] for one in step]
        logs = [one["logP"] for one in step]
        assert len(step) == 6 and fates.count("kept") == 3
        assert logs == sorted(logs, reverse=True)
        alive = [one["tokens"] for one in steps[k - 1] if one["fate"] == "kept"]
        assert k == 0 or all(one["tokens"][:-1] in alive for one in step)
        for rank, one in enumerate(step):
            over = one["tokens"][-1] == 2
            assert (one["fate"] == "ended") == (over and rank < 3)


def test_shares_are_means_over_the_heads_of_a_layer(running, facts):
    looks = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    js = f"""async ([looks, facts]) => {{ {MODULE}
      return [m.shares(looks, facts, 1, 3), m.shares(looks, facts, 2, 4)]; }}"""
    one, two = running[0].evaluate(js, [looks.flatten().tolist(), facts])
    torch.testing.assert_close(torch.tensor(one), looks[0].mean(0)[:3])
    torch.testing.assert_close(torch.tensor(two), looks[1].mean(0))


def test_the_object_of_the_largest_share_keeps_its_light(running, facts):
    js = f"""async ([things, facts]) => {{ {MODULE}
      const pixels = s.draw(things, facts), corners = s.boxes(things, facts);
      return [...s.lit(pixels, corners, [0.2, 0.8], facts)]; }}"""
    things = facts["scenes"][0]
    got = torch.tensor(running[0].evaluate(js, [things, facts])).reshape(3, 32, 32)
    before = scene(things).render()[0].float()
    (x0, y0, x1, y1), (u0, v0, u1, v1) = scene(things).boxes()[0, :2].int().tolist()
    factor = torch.full((32, 32), 0.12)
    factor[y0:y1, x0:x1], factor[v0:v1, u0:u1] = 0.12 + 0.22, 1.0
    assert ((got - factor * before).abs() <= 0.51).all()


WRONG = {
    "none": ([], "expected at least one object, got none: add one."),
    "meet": (
        [("red", "star", "small", 10, 10), ("blue", "ring", "small", 15, 12)],
        "expected objects that stand apart, got a red star that meets a blue ring: "
        "move one.",
    ),
    "touch": (
        [("red", "star", "small", 10, 10), ("blue", "ring", "small", 19, 10)],
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_scene_is_one_sentence(running, facts, case):
    things, wanted = WRONG[case]
    keys = ("color", "shape", "size", "x", "y")
    things = [dict(zip(keys, thing, strict=True)) for thing in things]
    js = f"async ([things, facts]) => {{ {MODULE} return s.wrong(things, facts); }}"
    assert running[0].evaluate(js, [things, facts]) == wanted


def test_a_given_scene_is_told_and_its_words_point(running, model, facts):
    page, faults = running
    begin(page, 0)
    assert page.locator(".words [aria-pressed=true]").all_inner_texts() == ["star"]
    begin(page, 2)
    words = ["small", "purple", "heart", "small", "orange", "circle", "cyan", "cross"]
    assert all(word in said(page).split() for word in words)
    caption = page.get_by_role("group", name="Caption")
    assert caption.locator("button").all_inner_texts() == [*said(page).split(), "(end)"]
    for word, thing in (("heart", "purple heart"), ("cross", "cyan cross")):
        caption.get_by_role("button", name=word).hover()
        note = page.locator(".words ~ .note").inner_text()
        assert re.match(f"“{word}” looked at the {thing} \\d+ %, the", note)
    page.get_by_label("Layer", exact=True).fill("1")
    assert page.locator(".words ~ .note").inner_text() != note
    page.get_by_label("Layer", exact=True).fill("2")
    assert page.locator(".words ~ .note").inner_text() == note
    assert faults == []


def test_the_beams_are_listed_with_their_fates(running, facts):
    page, faults = running
    begin(page, 1)
    for beams in (5, 2):
        page.get_by_label("Beams", exact=True).fill(str(beams))
        settle(page)
        assert page.locator(".tried li").count() == 2 * beams
        assert page.locator(".tried .kept").count() == beams
        assert page.locator(".tried .cut").count() == beams
        assert page.locator(".found li").count() == beams
    page.get_by_label("Word", exact=True).fill("3")
    assert page.locator(".tried li").first.inner_text().split()[0] == "a"
    page.get_by_label("Word", exact=True).fill("2")
    page.get_by_label("Beams", exact=True).fill("3")
    settle(page)
    assert faults == []


def test_the_mouse_drags_and_the_keys_move_an_object(running):
    page, faults = running
    begin(page, 0)
    assert said(page).index("red star") < said(page).index("blue ring")
    box = page.get_by_role("application").bounding_box()

    def at(x, y):
        return box["x"] + box["width"] * x / 32, box["y"] + box["height"] * y / 32

    page.mouse.move(*at(8, 16))
    page.mouse.down()
    page.mouse.move(*at(8, 26), steps=4)
    page.mouse.move(*at(20, 26), steps=4)
    page.mouse.up()
    settle(page)
    sheet = page.get_by_role("application")
    for _ in range(30):
        sheet.press("ArrowRight")  # up to the edge and no further
    settle(page)
    place = page.locator(".ring").evaluate("x => [x.style.left, x.style.top]")
    assert place == [f"{100 * 26 / 32}%", f"{100 * 26 / 32}%"]
    assert said(page).index("blue ring") < said(page).index("red star")
    assert faults == []


def test_bad_scenes_are_told_and_mended(running):
    page, faults = running
    begin(page, 0)
    remove = page.get_by_role("button", name="Remove")
    remove.click()
    settle(page)
    assert said(page).endswith("blue ring")
    remove.click()
    page.get_by_text("Expected at least one object, got none: add one.").wait_for()
    assert page.get_by_role("group", name="Caption").locator("button").count() == 0
    assert remove.is_disabled() and page.locator(".tried li").count() == 0
    add = page.get_by_role("button", name="Add an object")
    for _ in range(4):
        add.click()
    assert add.is_disabled()
    settle(page)
    assert len([w for w in said(page).split() if w in shapes.SHAPES]) == 4
    page.get_by_label("Size").select_option("large")
    page.get_by_text("Expected objects that stand apart, got a").wait_for()
    page.get_by_label("Size").select_option("small")
    settle(page)
    begin(page, 0)
    page.get_by_label("Color").select_option("green")
    settle(page)
    assert "green star" in said(page) and faults == []


def test_the_keyboard_is_enough(visit, address):
    page, faults = visit(address + "captioner.html")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("It says:").wait_for(timeout=120_000)
    page.keyboard.press("Tab")  # from the first scene to the second
    page.keyboard.press("Enter")
    settle(page)
    sheet = page.get_by_role("application")
    sheet.focus()
    before = page.locator(".ring").get_attribute("style")
    page.keyboard.press("ArrowDown")
    assert page.locator(".ring").get_attribute("style") != before
    page.keyboard.press("Tab")  # the first object
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    objects = page.get_by_role("group", name="Objects").locator("button")
    assert objects.nth(1).get_attribute("aria-pressed") == "true"
    assert objects.nth(1).evaluate("x => x === document.activeElement")
    assert faults == []
    page.close()
