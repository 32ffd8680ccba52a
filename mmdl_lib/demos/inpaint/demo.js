/* The demo of a hole to fill: a brush, a caption, and GLIDE's steps with the known pixels put
   back into every belief. Net, words and steps are those of the demo of GLIDE. */

import { bytes, download, fixed, label, make, netDemo, paint, sentence, slider } from "../common.js";
import { luck, nextSeed, normal, seedOf, tokens, unseenIn } from "../drawing.js";
import { browserEngine, kernelEngine, shown, walk } from "../denoise/chain.js";

// ---- holes: a byte a pixel, 1 = to be filled
const HALVES = { left: (x, y, n) => x < n / 2, right: (x, y, n) => x >= n / 2,
  upper: (x, y, n) => y < n / 2, lower: (x, y, n) => y >= n / 2 };

/** A half of a picture of n x n pixels as a hole. */
export const half = (name, n) => Uint8Array.from({ length: n * n }, (_, i) =>
  HALVES[name](i % n, Math.floor(i / n), n));

/** The hole with a disk more or, when `open` is 0, less in it. */
export const brushed = (hole, n, [x, y], radius, open = 1) => hole.map((was, i) =>
  Math.hypot((i % n) - x, Math.floor(i / n) - y) <= radius ? open : was);

/** All places on the way from one to another, both included. */
export function between(from, to) {
  const n = Math.max(1, ...to.map((v, i) => Math.abs(v - from[i])));
  return Array.from({ length: n + 1 }, (_, k) =>
    from.map((v, i) => Math.round(v + ((to[i] - v) * k) / n)));
}

/** For `walk`: puts what is known back into a believed picture. */
export const known = (picture, hole) => (x0) =>
  x0.map((v, i) => hole[i % hole.length] ? v : picture[i]);

/** What a picture with a hole looks like: checks of two grays where nothing is known. */
export const checked = (picture, hole, n) => Float32Array.from(picture, (v, i) => {
  const at = i % (n * n);
  return hole[at] ? (((at % n) + Math.floor(at / n)) % 2 ? 0.35 : -0.2) : v;
});

// ---- what the reader sees
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Builds the controls; returns the nodes that change. */
function build(el, { scenes, size, scale, text, words }) {
  const canvas = (more = {}) => make("canvas", { width: size, height: size, ...more });
  const given = scenes.map(({ shows, pixels }) => {
    const thumb = canvas();
    paint(thumb, bytes(pixels), size);
    return make("button", { type: "button", attributes: { "aria-label": shows } }, thumb);
  });
  const sheet = canvas({ tabIndex: 0, attributes: { role: "application", "aria-label":
    "The picture. Arrow keys move the brush, space brushes, Enter fills." } });
  const ring = make("i", { className: "ring" });
  const filled = canvas({ attributes: { role: "img", "aria-label": "The picture, filled" } });
  const button = (name, properties = {}) => make("button", { type: "button", ...properties }, name);
  const halves = Object.keys(HALVES).map((name) =>
    button(`${name[0].toUpperCase()}${name.slice(1)} half`));
  const brush = slider("Brush", 0, 8, 3), guide = slider("Guidance scale", 0, 4, scale, 0.5);
  const erase = button("Brush takes away", { attributes: { "aria-pressed": "false" } });
  const none = button("No hole"), keep = button("Go on with this picture");
  const caption = make("input", { type: "text", maxLength: 200, attributes: {
    "aria-label": "Caption", autocomplete: "off", spellcheck: "false" } });
  const seed = make("input", { type: "text", value: "1", size: 6, inputMode: "numeric",
    attributes: { "aria-label": "Seed", autocomplete: "off" } });
  const again = button("Next seed", { className: "main" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const heading = (words_) => make("p", { className: "heading" }, words_);
  const picks = (name, ...nodes) => make("div", { className: "picks",
    attributes: { role: "group", "aria-label": name } }, ...nodes);
  el.append(
    make("p", {}, "Brush over what is to be drawn anew, and say what the whole picture shows, " +
      `in at most ${text - 2} words.`),
    picks("Pictures", ...given), caption,
    make("div", { className: "two" },
      make("div", {}, heading("Known; checks: the hole"),
        make("div", { className: "sheet" }, sheet, ring)),
      make("div", {}, heading("Filled"), filled)),
    picks("Holes", ...halves, none, erase), brush.row, guide.row,
    picks("Draws", make("label", {}, "Seed ", seed), again, keep), status,
    make("p", { className: "note" }, "The net was not trained for holes. In each of the twenty " +
      "steps the known pixels are put back into the picture that it believes, and that is all. " +
      `It reads these words: ${words.join(", ")}.`));
  return { given, sheet, ring, filled, halves, brush, guide, erase, none, keep, caption, seed,
    again, status };
}

/** Brings the controls to life; resolves when the first hole is filled. */
async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts), { size, steps, scenes } = facts;
  let picture, hole, result, at = [size / 2, size / 2], version = 0;

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  const busy = (now) => el.setAttribute("aria-busy", String(now));
  function showHole() {
    paint(ui.sheet, shown(checked(picture, hole, size)), size);
    const radius = Number(ui.brush.input.value), wide = `${(100 * (2 * radius + 1)) / size}%`;
    ui.brush.output.textContent = `${2 * radius + 1} px`;
    Object.assign(ui.ring.style, { width: wide, left: `${(100 * (at[0] + 0.5)) / size}%`,
      top: `${(100 * (at[1] + 0.5)) / size}%` });
  }
  /** Fills the hole; a change of the controls ends it. */
  async function fill() {
    const mine = ++version, said = ui.caption.value.trim();
    const scale = Number(ui.guide.input.value), given = { picture, hole };
    ui.guide.output.textContent = fixed(scale, 1);
    ui.keep.disabled = true;
    showHole();
    try {
      const ids = tokens(said, facts.words, facts.text, "this GLIDE");
      const seed = seedOf(ui.seed.value), count = hole.reduce((sum, v) => sum + v, 0);
      const net = (x, step) => engine.say(ids, x, step, (words) => say(words, true));
      const began = performance.now(), noise = normal(3 * size * size, luck(seed));
      let last;
      say("Filling ...");
      busy(true);
      const settle = known(given.picture, given.hole);
      for await (const { x0 } of walk(net, noise, facts, scale, settle)) {
        if (mine !== version) return;
        last = x0;
        paint(ui.filled, shown(last), size);
        await new Promise((resolve) => setTimeout(resolve)); // lets the page be painted
        if (mine !== version) return;
      }
      const ms = (performance.now() - began) / steps.length;
      result = last;
      ui.keep.disabled = false;
      say(`“${said}”, seed ${seed}: ${count} of ${(size * size).toLocaleString("en")} pixels are filled. ` +
        `${unseenIn(said, facts)}Computed by ${engine.by}, ${label(ms)} a step.`);
    } catch (error) {
      if (mine === version) say(sentence(error), true);
    } finally {
      if (mine === version) busy(false);
    }
  }
  function change(to) {
    hole = to;
    return fill();
  }

  // ---- the brush
  function stroke(from = at) {
    version += 1; // what is being filled is old
    busy(false);
    ui.keep.disabled = true;
    say("Let go of the brush, or press Enter, and the hole is filled.");
    const open = ui.erase.getAttribute("aria-pressed") === "true" ? 0 : 1;
    const radius = Number(ui.brush.input.value);
    hole = between(from, at).reduce((was, one) => brushed(was, size, one, radius, open), hole);
    showHole();
  }
  const place = (event) => {
    const box = ui.sheet.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((share) => Math.min(size - 1, Math.max(0, Math.floor(share * size))));
  };
  ui.sheet.onpointerdown = (event) => {
    if (event.button) return;
    ui.sheet.setPointerCapture(event.pointerId);
    at = place(event);
    stroke();
  };
  ui.sheet.onpointermove = (event) => {
    const from = at;
    at = place(event);
    event.buttons ? stroke(from) : showHole();
  };
  ui.sheet.onpointerup = ui.sheet.onpointercancel = (event) => { if (!event.button) fill(); };
  ui.sheet.onkeydown = (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) at = at.map((v, i) => Math.min(size - 1, Math.max(0, v + arrow[i])));
    else if (event.key === " ") stroke();
    else if (event.key === "Enter") fill();
    else return;
    event.preventDefault();
    showHole();
  };

  // ---- the rest
  function begin(scene) {
    picture = Float32Array.from(bytes(scene.pixels), (v) => v / 127.5 - 1);
    ui.caption.value = scene.asked;
    return change(half(scene.hole, size));
  }
  ui.given.forEach((button, i) => { button.onclick = () => begin(scenes[i]); });
  ui.halves.forEach((button, i) => {
    button.onclick = () => change(half(Object.keys(HALVES)[i], size));
  });
  ui.none.onclick = () => change(new Uint8Array(size * size));
  ui.erase.onclick = () => ui.erase.setAttribute("aria-pressed",
    String(ui.erase.getAttribute("aria-pressed") !== "true"));
  ui.keep.onclick = () => { picture = result; return change(new Uint8Array(size * size)); };
  ui.brush.input.oninput = showHole;
  ui.caption.oninput = ui.seed.oninput = ui.guide.input.oninput = fill;
  ui.again.onclick = () => { ui.seed.value = nextSeed(ui.seed.value); return fill(); };
  await begin(scenes[0]);
}

const STYLE = `
.mmdl-inpaint > input { width: 100%; box-sizing: border-box; }
.mmdl-inpaint .picks button:has(canvas) { padding: 2px; width: 3.4em; }
.mmdl-inpaint [aria-pressed=true] { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); }
.mmdl-inpaint .two { display: grid; gap: 0.6em 1.4em; grid-template-columns: 1fr 1fr;
  max-width: 34em; margin: 0.4em auto; }
.mmdl-inpaint button:disabled { opacity: 0.5; cursor: default; }
.mmdl-inpaint canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 0.3em;
  border: 1px solid var(--edge); image-rendering: pixelated; box-sizing: border-box; }
.mmdl-inpaint .sheet { position: relative; overflow: hidden; border-radius: 0.3em; }
.mmdl-inpaint .sheet canvas { touch-action: none; cursor: crosshair; }
.mmdl-inpaint .sheet canvas:focus-visible { outline-offset: -2px; }
.mmdl-inpaint .ring { position: absolute; aspect-ratio: 1; border-radius: 50%;
  pointer-events: none; transform: translate(-50%, -50%); border: 1px solid #000;
  outline: 1px solid #fff; box-sizing: border-box; }
.mmdl-inpaint .value { text-align: right; }
`;

/** GLIDE's engine, and the pictures to begin with. */
function pageEngine({ files, runtime }) {
  const engine = browserEngine({ files: `${files}../denoise/`, runtime,
    mark: "mmdl-inpaint-files" });
  let opened = null;
  async function start() {
    const [facts, own] = await Promise.all([engine.open(), download(`${files}scenes.json`)]);
    return { ...facts, ...JSON.parse(new TextDecoder().decode(own)) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  return { ...engine, open };
}

export default netDemo({ name: "inpaint", style: STYLE, run, kernel: kernelEngine,
  browser: pageEngine, focus: ".picks button" });
