"""What holds for every demo, on a page of a small site."""

import json
import re
import shutil
from pathlib import Path

import pydata_sphinx_theme
import pytest

from mmdl_lib import demos

# what a page asks for before the click
SCRIPTS = {name: {"demo.js", "common.js"} for name in demos.names()}
SCRIPTS["augment"] |= {"views.js", "facts.json"}
SCRIPTS["collapse"] |= {"byol.js"}
SCRIPTS["caption_scores"] |= {"align.js", "scores.js", "words.js"}
SCRIPTS["captioner"] |= {"scene.js", "beams.js"}
SCRIPTS["dalle"] |= {"drawing.js"}
SCRIPTS["denoise"] |= {"drawing.js", "chain.js"}
SCRIPTS["inpaint"] |= {"drawing.js", "chain.js"}
SCRIPTS["between"] |= {"strips.js"}
SCRIPTS["equal_work"] |= {"strips.js"}
SCRIPTS["fusion"] |= {"vectors.js"}
SCRIPTS["words"] |= {"vectors.js"}
SCRIPTS["gan_ring"] |= {"byol.js", "game.js"}
HEAVY = [n for n in demos.names() if demos.about(n).get("runtime", True)]
FILES = [n for n in demos.names() if demos.about(n).get("files", False)]
LIGHT = [n for n in demos.names() if n not in {*HEAVY, *FILES}]
each = pytest.mark.parametrize("demo", demos.names())
each_heavy = pytest.mark.parametrize("demo", HEAVY)
# what `common.js` does for all of them is tried on two: one with a file, one with two
some_heavy = pytest.mark.parametrize("demo", ["vit", "clip"])
each_loading = pytest.mark.parametrize("demo", [*HEAVY, *FILES])
each_with_files = pytest.mark.parametrize("demo", FILES)
each_light = pytest.mark.parametrize("demo", LIGHT)


@each
def test_a_page_asks_for_nothing_heavy_before_the_click(browser, address, demo):
    asked, sizes = [], []
    page = browser.new_page()
    page.on("request", lambda r: asked.append(r.url))
    page.on("response", lambda r: sizes.append(len(r.body())))
    page.goto(f"{address}{demo}.html", wait_until="networkidle")
    page.close()
    served = {url.rsplit("/", 1)[1] for url in asked if not url.startswith("data:")}
    assert served == {f"{demo}.html", "mmdl-host.js"} | SCRIPTS[demo]
    assert sum(sizes) < 250_000


@each
def test_axe_finds_nothing_serious_in_the_dark(visit, address, start, serious, demo):
    page, _ = visit(f"{address}{demo}-dark.html")
    start(page, demo)
    assert serious(page, "mmdl-demo") == []
    page.close()


@pytest.fixture(scope="module")
def theme_classes():
    """Classes for which the site's theme has rules of their own, such as "row"."""
    sheets = Path(pydata_sphinx_theme.__file__).parent.rglob("*theme.css")
    css = "".join(sheet.read_text("utf-8") for sheet in sheets)
    found = set(re.findall(r"(?:^|[},])\s*\.([a-z-]+)(?=[\s>{,:.])", css))
    assert {"row", "card", "container"} <= found
    return found


@each
def test_a_demo_on_a_phone(visit, address, start, serious, theme_classes, demo):
    """One visit: no fault, no wider than the phone, no class of the theme, nothing
    for axe."""
    phone = {"width": 390, "height": 844}
    page, faults = visit(f"{address}{demo}.html", viewport=phone)
    start(page, demo)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults == []
    used = page.locator("mmdl-demo").evaluate(
        "x => [...x.querySelectorAll('[class]')].flatMap(y => [...y.classList])"
    )
    assert used and theme_classes.isdisjoint(used)
    assert serious(page, "mmdl-demo") == []
    page.close()


@each_heavy
def test_without_the_runtime_the_still_picture_stays(visit, address, demo):
    page, faults = visit(f"{address}{demo}-plain.html")
    assert "built without Node" in page.locator("mmdl-demo").inner_text()
    picture = page.get_by_role("img")
    assert picture.is_visible() and faults == []
    assert len(picture.get_attribute("alt")) > 40
    sizes = "x => [x.naturalWidth, x.naturalHeight]"
    assert tuple(picture.evaluate(sizes)) == tuple(demos.about(demo)["size"])
    page.close()


@each
def test_without_scripts_the_still_picture_says_what_it_is(browser, address, demo):
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}{demo}.html")
    assert page.get_by_role("img").is_visible()
    assert "The demo needs JavaScript" in page.locator("mmdl-demo").inner_text()
    page.close()


@each_loading
def test_opened_from_a_file_the_still_picture_stays(visit, site, demo):
    page, faults = visit((site / f"{demo}.html").as_uri())
    assert "serve the folder" in page.locator("mmdl-demo").inner_text()
    assert page.get_by_role("img").is_visible() and faults == []
    page.close()


@each_with_files
def test_a_demo_with_files_of_its_own_needs_no_runtime(visit, address, start, demo):
    page, faults = visit(f"{address}{demo}-plain.html")
    start(page, demo)
    assert page.locator("figure").count() == 0 and faults == []
    page.close()


@each_light
@pytest.mark.parametrize("kind", ["plain", "file"])
def test_a_demo_without_a_network_needs_no_runtime_and_no_server(
    visit, address, site, start, demo, kind
):
    file = (site / f"{demo}.html").as_uri()
    page, faults = visit(file if kind == "file" else f"{address}{demo}-plain.html")
    start(page, demo)
    assert page.locator("figure").count() == 0 and faults == []
    page.close()


@each_light
def test_a_demo_without_a_network_is_small(demo):
    sizes = [path.stat().st_size for path in (demos.HERE / demo).iterdir()]
    assert 0 < sum(sizes) < 60_000


SLOW = """() => {
  const ask = window.fetch;
  window.fetch = async (url, ...rest) => {
    const answer = await ask(url, ...rest);
    if (!String(url).endsWith(".wasm")) return answer;
    const bytes = new Uint8Array(await answer.arrayBuffer()), half = bytes.length >> 1;
    return new Response(new ReadableStream({ async start(stream) {
      stream.enqueue(bytes.slice(0, half));
      await new Promise((resolve) => { window.goOn = resolve; });
      stream.enqueue(bytes.slice(half));
      stream.close();
    } }));
  };
}"""


@some_heavy
def test_while_files_come_their_bytes_are_counted(visit, address, start, demo):
    page, faults = visit(f"{address}{demo}.html")
    page.evaluate(SLOW)
    page.get_by_role("button", name="Load the").click()
    page.wait_for_function("() => window.goOn")
    page.wait_for_function(
        "() => parseFloat(document.querySelector('.start small').textContent) > 7"
    )
    page.wait_for_timeout(500)  # the small files are there
    some, whole = re.fullmatch(
        r"(\d+\.\d) of (\d+\.\d) MB", page.locator(".start small").inner_text()
    ).groups()
    # half of the runtime, 7.1 MB, and the demo's own files
    assert 7.1 <= float(some) < float(whole) - 7
    page.evaluate("window.goOn()")
    page.locator(".start small").wait_for(state="detached")
    assert faults == []
    page.close()


FAILURES = {
    "not there": {"status": 404, "body": ""},
    "no network": None,
    "script": None,
}


@some_heavy
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_told_in_our_words_and_the_button_tries_again(
    browser, address, start, demo, failure
):
    page = browser.new_page()
    file = "**/*.min.mjs" if failure == "script" else "**/*.onnx"
    answer = FAILURES[failure]
    page.route(file, lambda r: r.fulfill(**answer) if answer else r.abort())
    page.goto(f"{address}{demo}.html")
    button = page.get_by_role("button", name="Load the")
    button.click()
    said = page.get_by_text("The button tries again.")
    said.wait_for(timeout=120_000)
    words = "the model's files" if failure == "not there" else "is the network there?"
    assert said.inner_text().startswith("Expected") and words in said.inner_text()
    assert button.is_enabled()
    page.unroute(file)
    if failure != "script":  # a browser may not ask again for a module that failed
        start(page, demo)
    page.close()


@each
def test_without_its_script_a_demo_keeps_the_picture_and_says_so(
    browser, address, demo
):
    page = browser.new_page()
    page.route("**/demo.js", lambda route: route.abort())
    page.goto(f"{address}{demo}.html")
    said = page.get_by_text("its script did not come")
    said.wait_for(timeout=120_000)
    assert page.get_by_role("img").is_visible()
    page.close()


@each
def test_the_site_gets_html_without_widget_state(monkeypatch, demo):
    monkeypatch.setenv("MMDL_BUILD", "1")
    page = demos.show(demo)
    assert page._repr_html_().startswith(f'<mmdl-demo name="{demo}"')
    assert not hasattr(page, "_repr_mimebundle_") and "Demo" in repr(page)


@each
def test_what_is_not_there_is_said(monkeypatch, tmp_path, demo):
    (tmp_path / demo).mkdir()
    shutil.copy(demos.HERE / demo / "about.json", tmp_path / demo)
    monkeypatch.setattr(demos, "HERE", tmp_path)
    with pytest.raises(FileNotFoundError, match=f"recipes/{demo}_demo.py"):
        demos.show(demo)


@each
def test_the_files_of_a_demo_are_small(demo):
    for path in (demos.HERE / demo).iterdir():
        # as much as any file here may have
        assert path.stat().st_size <= 2_000_000, path.name


def test_the_sizes_on_the_button_are_those_of_the_files(runtime):
    sizes = {name: (runtime / name).stat().st_size for name in demos.RUNTIME}
    assert sizes == demos.RUNTIME


def test_a_folder_is_a_demo_without_a_further_line(monkeypatch, tmp_path):
    shutil.copytree(demos.HERE / "vit", tmp_path / "other")
    monkeypatch.setattr(demos, "HERE", tmp_path)
    assert demos.names() == ["other"] and "other" in dir(demos)
    with pytest.raises(ValueError, match="expected one of other, got 'vit'"):
        demos.show("vit")
    with pytest.raises(AttributeError, match="no attribute 'vit'"):
        _ = demos.vit


def test_files_in_the_folders_belong_to_a_demo():
    assert demos.names() == ["augment", "clip", "vit"] or len(demos.names()) > 3
    for folder in (p for p in demos.HERE.iterdir() if p.name[0] not in "_."):
        if folder.is_dir():
            names = {path.name for path in folder.iterdir()}
            assert names >= {"about.json", "demo.js", "still.webp"}, folder.name


@each
def test_title_and_words_of_a_demo_are_said_once(demo):
    facts = json.loads((demos.HERE / demo / "about.json").read_text("utf-8"))
    assert {"title", "alt", "caption", "widest", "size"} <= set(facts)
    script = (demos.HERE / demo / "demo.js").read_text("utf-8")
    assert facts["title"] not in script
