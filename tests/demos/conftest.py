"""What the tests of all demos share: a small site, and what a reader does there."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from mmdl_lib import demos

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from browser import MODULES, PATIENCE, ROOT, browser, serious, serve, visit  # noqa: E402

__all__ = ["browser", "serious", "visit"]  # fixtures
RUNTIME = MODULES / "onnxruntime-web/dist"
# what the status of a demo says when the model's first answer stands
ANSWERS = {"clip": "Nearest:", "augment": "SimCLR in", "vit": "Most likely:"}
ANSWERS |= {"collapse": "spread from", "clip_table": "the loss is their mean"}
ANSWERS |= {"next_token": "Likeliest:", "masked_words": "Likeliest:"}
ANSWERS |= {"caption_scores": "scores higher in"}
ANSWERS |= {"words": "nearest of all words", "alignment": "here, the diagonal"}
ANSWERS |= {"captioner": "It says:", "latent_board": "the nearest new digit"}
ANSWERS |= {"gan_ring": "of the points", "codebook": "are not as they were"}
ANSWERS |= {"dalle": "codes are written", "denoise": "drawn in 20 steps"}
ANSWERS |= {"inpaint": "pixels are filled", "between": "of the way from"}
ANSWERS |= {"equal_work": "believed at look"}
ANSWERS |= {"gan_ring": "of the points", "grounding": "All words are known."}
ANSWERS |= {"data2vec": "are hidden.", "fusion": "of the cosine, pictures"}
# how it begins, where there is nothing to load
BUTTONS = {"collapse": "Train for", "clip_table": "Three different things"}
BUTTONS |= {"alignment": "Next clause", "caption_scores": "Colors swapped"}
BUTTONS |= {"gan_ring": "Play", "latent_board": "To the middle"}
BUTTONS |= {"grounding": "A smallest set"}
# a demo as a notebook shows it: the widget's one text, a model that asks `kernel`
LIVE = """async ([text, state]) => {
  const url = URL.createObjectURL(new Blob([text], {type: "text/javascript"}));
  const {default: demo} = await import(url);
  const heard = new Set();
  const model = {
    get: (key) => state[key], set() {}, save_changes() {},
    on: (_, f) => heard.add(f), off: (_, f) => heard.delete(f),
    send: async (message) => {
      const answer = await window.kernel(message);
      await new Promise((resolve) => setTimeout(resolve, window.slowness ?? 0));
      heard.forEach((f) => f(answer));
    }};
  document.body.replaceChildren();
  await demo.render({model, el: document.body});
}"""

# a network of a page, asked as its demo asks it
ASK = """async ([demo, size, batches]) => {
  const url = (path) => new URL("_static/" + path, document.baseURI).href;
  const {pageNetwork} = await import(url("demos/common.js"));
  const network = pageNetwork({files: url(`demos/${demo}/`),
    runtime: url("vendor/onnxruntime/"), size, mark: "test"});
  const out = [];
  for (const pixels of batches) {
    const {outputs} = await network.run(Uint8Array.from(pixels));
    out.push(Object.fromEntries(Object.entries(outputs).map(([k, v]) => [k, [...v]])));
  }
  return out;
}"""


@pytest.fixture(scope="session")
def page_html():
    """A page around a demo, as bare as can be."""

    def make(body, *, runtime="yes", theme="light"):
        return (
            f'<!doctype html><html lang="en" data-theme="{theme}"><head>'
            '<meta charset="utf-8"><title>t</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" '
            'href="data:,"><style>html[data-theme=dark] { background: #121212; '
            "color: #ced6dd }</style>"
            '<script defer src="_static/mmdl-host.js" '
            f'data-runtime="{runtime}"></script></head><body>{body}</body></html>'
        )

    return make


@pytest.fixture(scope="session")
def runtime():
    """Folder of onnxruntime-web."""
    if not RUNTIME.exists():
        pytest.skip("onnxruntime-web is not there: run `npm install`.")
    return RUNTIME


@pytest.fixture(scope="module")
def site(tmp_path_factory, runtime, page_html):
    """A folder laid out as the built site, with three pages of each demo."""
    folder = tmp_path_factory.mktemp("site")
    static, vendor = folder / "_static", folder / "_static/vendor/onnxruntime"
    vendor.mkdir(parents=True)
    shutil.copy(ROOT / "book/_static/mmdl-host.js", static)
    ignore = shutil.ignore_patterns("*.py", "__pycache__", "_live")
    shutil.copytree(demos.HERE, static / "demos", ignore=ignore)
    for name in demos.RUNTIME:
        shutil.copy(runtime / name, vendor)
    kinds = {"": {}, "-dark": {"theme": "dark"}, "-plain": {"runtime": "no"}}
    for demo in demos.names():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MMDL_BUILD", "1")
            body = demos.show(demo)._repr_html_()
        for kind, options in kinds.items():
            html = page_html(body, **options)
            (folder / f"{demo}{kind}.html").write_text(html, "utf-8")
    return folder


@pytest.fixture(scope="module")
def address(site):
    with serve(site) as url:
        yield url


@pytest.fixture(scope="session")
def start():
    """Loads the model of a page and waits for its first answer."""

    def load(page, demo):
        name = BUTTONS.get(demo, "Load the")
        page.get_by_role("button", name=re.compile(f"^{name}")).click()
        answer = page.get_by_role("status").get_by_text(ANSWERS[demo])
        answer.wait_for(timeout=PATIENCE)

    return load


@pytest.fixture(scope="module")
def live(visit, address):
    """Opens a widget as a notebook would; its own kernel answers, after a while."""

    def open_widget(widget, keys, slowness=0):
        # a notebook makes its modules from text, which the policy of a page forbids
        page, faults = visit(address + "clip-plain.html", bypass_csp=True)
        page.expose_function("kernel", widget.answer)
        page.evaluate("slowness => { window.slowness = slowness; }", slowness)
        state = {key: getattr(widget, key) for key in ("title", *keys)}
        page.evaluate(LIVE, [widget._esm, state])
        return page, faults

    return open_widget


@pytest.fixture(scope="session")
def ask():
    """What the network of a demo says of batches of pictures, (n, 3, h, h) bytes."""

    def run(page, demo, batches):
        flat = [batch.flatten().tolist() for batch in batches]
        return page.evaluate(ASK, [demo, batches[0].shape[-1], flat])

    return run
