/* The demo of GLIDE: a caption, and the twenty steps from noise to its picture.

   One module, two hosts, as in the demo of CLIP. On a page the net runs here, by
   onnxruntime-web; in a notebook the kernel runs it. Captions are cut and steps are taken
   here in both. */

import { fixed, label, make, netDemo, paint, sentence, slider } from "../common.js";
import { luck, nextSeed, normal, seedOf, tokens, unseenIn } from "../drawing.js";
import { browserEngine, kernelEngine, shown, walk } from "./chain.js";

const PAUSE = 60; // milliseconds behind each step, to be seen

/** Builds the controls; returns the nodes that change. */
function build(el, { begins, size, steps, scale, text, words, learned, unseen }) {
  const caption = make("input", { type: "text", value: begins[0], maxLength: 200,
    attributes: { "aria-label": "Caption", autocomplete: "off", spellcheck: "false" } });
  const begin = begins.map((said) => make("button", { type: "button" }, said));
  const seed = make("input", { type: "text", value: "1", size: 6, inputMode: "numeric",
    attributes: { "aria-label": "Seed", autocomplete: "off" } });
  const again = make("button", { type: "button", className: "main" }, "Next seed");
  const guide = slider("Guidance scale", 0, 4, scale, 0.5);
  const taken = slider("Steps taken", 0, steps.length, 0);
  const canvas = (name) => make("canvas", { width: size, height: size,
    attributes: { role: "img", "aria-label": name } });
  const seen = canvas("What the net sees"), believed = canvas("What the net believes");
  const share = make("p", { className: "note" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const part = (heading, node) => make("div", {},
    make("p", { className: "heading" }, heading), node);
  const other = words.filter((word) => !learned.includes(word));
  el.append(
    make("p", {}, `Write a caption of at most ${text - 2} words, or pick one. Then move through ` +
      `the ${steps.length} steps, back and forth.`),
    caption,
    make("div", { className: "picks", attributes: { role: "group", "aria-label": "Captions" } },
      ...begin),
    make("div", { className: "pair" }, part("Seen: the noisy picture", seen),
      part("Believed: the picture in it", believed)),
    share, taken.row, guide.row,
    make("div", { className: "picks" }, make("label", {}, "Seed ", seed), again), status,
    make("p", { className: "note" }, "A scale of 0 hears no caption, 1 is the net itself, more " +
      "goes beyond. The net was trained on one or two objects, in captions of these words: " +
      `${learned.join(", ")}. ` +
      (other.length ? `It can read, but has never learned: ${other.join(", ")}. ` : "") +
      `It has never seen a picture of these pairs: ${unseen.join(", ")}.`));
  return { caption, begin, seed, again, guide, taken, seen, believed, share, status };
}

/** Brings the controls to life; resolves when the first picture stands. */
async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts), { size, steps, left } = facts;
  let places = [], version = 0;

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  /** Shows a place of the draw: after so many steps. */
  function show(count) {
    const at = Math.min(count, places.length - 1), { x, x0 } = places[at];
    ui.taken.input.value = at;
    ui.taken.output.textContent = `${at} of ${steps.length}`;
    paint(ui.seen, shown(x), size);
    paint(ui.believed, shown(x0), size);
    ui.share.textContent = at === steps.length ? "The picture: no noise is left." :
      `Step ${steps[at] + 1} of ${steps[0] + 1}: ${fixed(100 * left[at], 1)} % of the variance ` +
      "that is seen is picture.";
  }
  /** Draws the caption; a change of the controls ends it. */
  async function draw() {
    const mine = ++version, said = ui.caption.value.trim();
    const scale = Number(ui.guide.input.value);
    ui.guide.output.textContent = fixed(scale, 1);
    try {
      const ids = tokens(said, facts.words, facts.text, "this GLIDE");
      const seed = seedOf(ui.seed.value), late = (words) => say(words, true);
      const net = (x, step) => engine.say(ids, x, step, late);
      const began = performance.now();
      let paused = 0;
      say("Drawing ...");
      el.setAttribute("aria-busy", "true");
      const found = [], noise = normal(3 * size * size, luck(seed));
      for await (const place of walk(net, noise, facts, scale)) {
        if (mine !== version) return;
        found.push(place);
        places = found;
        show(found.length - 1);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        paused += PAUSE;
        if (mine !== version) return;
      }
      const ms = (performance.now() - began - paused) / steps.length;
      say(`“${said}”, scale ${fixed(scale, 1)}, seed ${seed}: drawn in ${steps.length} steps. ` +
        `${unseenIn(said, facts)}Computed by ${engine.by}, ${label(ms)} a step.`);
    } catch (error) {
      if (mine === version) say(sentence(error), true);
    } finally {
      if (mine === version) el.setAttribute("aria-busy", "false");
    }
  }
  ui.caption.oninput = ui.seed.oninput = ui.guide.input.oninput = draw;
  ui.begin.forEach((button) => {
    button.onclick = () => { ui.caption.value = button.textContent; return draw(); };
  });
  ui.again.onclick = () => { ui.seed.value = nextSeed(ui.seed.value); return draw(); };
  ui.taken.input.oninput = () => places.length && show(Number(ui.taken.input.value));
  await draw();
}

const STYLE = `
.mmdl-denoise > input { width: 100%; box-sizing: border-box; }
.mmdl-denoise .pair { display: grid; gap: 0.6em 1.4em; grid-template-columns: 1fr 1fr;
  max-width: 30em; margin: 0 auto; }
.mmdl-denoise canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 0.3em;
  border: 1px solid var(--edge); image-rendering: pixelated; box-sizing: border-box; }
.mmdl-denoise .value { text-align: right; }
`;

export default netDemo({ name: "denoise", style: STYLE, run, kernel: kernelEngine,
  browser: (place) => browserEngine({ ...place, mark: "mmdl-denoise-files" }), focus: "input" });
