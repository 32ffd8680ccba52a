/* The demo of the captioner: a scene, its caption, the looks of its words, its beams.

   One module, two hosts, as in the demo of CLIP. On a page the network runs here, by
   onnxruntime-web; in a notebook the kernel runs it. Scenes are drawn and beams are
   searched here in both. */

import { ask, base64, bytes, download, fixed, label, make, netDemo, openRuntime, paint,
  sentence, slider } from "../common.js";
import { boxes, draw, inside, lit, named, roomFor, wrong } from "./scene.js";
import { START, beamSearch } from "./beams.js";

// ---- the two engines: next(scene, rows, late) -> {logits, attention} of each row, ms
const cut = (flat, n) => Array.from({ length: n }, (_, i) =>
  flat.subarray((i * flat.length) / n, ((i + 1) * flat.length) / n));

export function browserEngine({ files, runtime }) {
  let opened = null;
  async function start() {
    const [ort, json, network] = await Promise.all([openRuntime(runtime),
      download(`${files}facts.json`), download(`${files}model.onnx`)]);
    performance.mark("mmdl-captioner-files");
    const facts = JSON.parse(new TextDecoder().decode(json));
    return { ort, facts, session: await ort.InferenceSession.create(new Uint8Array(network)) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  async function next({ pixels, corners }, rows) {
    const { ort, facts: { size, most, beams }, session } = await open();
    const box = new Float32Array(4 * most), present = new Uint8Array(most);
    corners.forEach((one, i) => { box.set(one, 4 * i); present[i] = 1; });
    const length = rows[0].length, tokens = new BigInt64Array(beams * length);
    rows.forEach((row, r) => row.forEach((id, i) => { tokens[r * length + i] = BigInt(id); }));
    const image = Float32Array.from(pixels, (x) => x / 127.5 - 1);
    const { logits, attention } = await session.run({
      image: new ort.Tensor("float32", image, [1, 3, size, size]),
      box: new ort.Tensor("float32", box, [1, most, 4]),
      present: new ort.Tensor("bool", present, [1, most]),
      tokens: new ort.Tensor("int64", tokens, [beams, length]),
      place: new ort.Tensor("int64", BigInt64Array.of(BigInt(length - 1)), [1]),
    });
    return { logits: cut(logits.data, beams).slice(0, rows.length),
      attention: cut(attention.data, beams).slice(0, rows.length) };
  }
  return { open: async () => (await open()).facts, next, by: "this browser" };
}

function kernelEngine(model) {
  async function next({ pixels, corners }, rows, late) {
    const message = { pixels: base64(pixels), boxes: corners, tokens: rows };
    const { logits, attention } = await ask(model, message, late);
    return Object.fromEntries(Object.entries({ logits, attention }).map(([name, text]) =>
      [name, cut(new Float32Array(bytes(text).buffer), rows.length)]));
  }
  return { open: async () => model.get("facts"), next, by: "the kernel (torch)" };
}

/** Shares of the objects in a layer: the mean of its heads. */
export function shares(attention, { layers, heads, most }, layer, objects) {
  const start = (layer - 1) * heads * most;
  return Array.from({ length: objects }, (_, i) => {
    let sum = 0;
    for (let h = 0; h < heads; h++) sum += attention[start + h * most + i];
    return sum / heads;
  });
}

// ---- what the reader sees
function choice(text, names) {
  const select = make("select", { attributes: { "aria-label": text } },
    ...names.map((name) => make("option", { value: name }, name)));
  return { row: make("label", { className: "choice" }, make("span", {}, text), select), select };
}

/** Builds the controls; returns the nodes that change. */
function build(el, facts) {
  const { size, colors, radius, sprites, scenes, layers, beams } = facts;
  const canvas = (options = {}) => make("canvas", { width: size, height: size, ...options });
  const given = scenes.map((things) => {
    const thumb = canvas(), name = things.map(named).join(", ");
    paint(thumb, draw(things, facts), size);
    return make("button", { type: "button", title: name, attributes: { "aria-label": name } },
      thumb);
  });
  const about = "Scene. Arrow keys move the chosen object, or drag it.";
  const sheet = canvas({ tabIndex: 0, attributes: { role: "application", "aria-label": about } });
  const ring = make("i", { className: "ring" });
  const things = make("div", { className: "picks",
    attributes: { role: "group", "aria-label": "Objects" } });
  const color = choice("Color", Object.keys(colors));
  const shape = choice("Shape", Object.keys(sprites.small));
  const extent = choice("Size", Object.keys(radius));
  const add = make("button", { type: "button" }, "Add an object");
  const remove = make("button", { type: "button" }, "Remove");
  const words = make("p", { className: "words",
    attributes: { role: "group", "aria-label": "Caption" } });
  const looks = canvas({ attributes: { role: "img",
    "aria-label": "The scene, lit where the word looked" } });
  const look = make("p", { className: "note" });
  const layer = slider("Layer", 1, layers, layers), width = slider("Beams", 1, beams, 3);
  const step = slider("Word", 1, 2, 2);
  const tried = make("ol", { className: "tried" }), found = make("ol", { className: "found" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const heading = (text) => make("p", { className: "heading" }, text);
  el.append(
    make("p", {}, "Make a scene: a small captioner tells it from left to right. Point at a word " +
      "to see which object it looked at."),
    make("div", { className: "picks", attributes: { role: "group",
      "aria-label": "Scenes to begin with" } }, ...given),
    make("div", { className: "panel" },
      make("div", {}, heading("Your scene"), make("div", { className: "sheet" }, sheet, ring),
        things, color.row, shape.row, extent.row,
        make("div", { className: "picks" }, add, remove)),
      make("div", {}, heading("What it says, and where a word looked"), words, looks, look,
        layer.row),
      make("div", {}, heading("Beam search: beginnings, log-probability in nats"), width.row,
        step.row, tried, make("p", { className: "note" }, "Twice as many are compared as there " +
          "are beams: the best are kept, whole captions are put aside, the rest is cut."),
        heading("The best captions found"), found)),
    status,
    make("p", { className: "note" }, "Each object is handed over as a detector without faults " +
      "would: eight by eight pixels of its box, and the box. The captioner was trained on two to " +
      "four objects (three or four of them small) and five captions of each scene; it never saw " +
      `these pairs: ${facts.unseen.join(", ")}.`));
  return { given, sheet, ring, things, color, shape, extent, add, remove, words, looks, look,
    layer, width, step, tried, found, status };
}

/** Brings the controls to life; resolves when the first answer stands. */
async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts), { size, vocab } = facts;
  let things = [], chosen = 0, answer = null, pointed = 0, at = 0, busy = false, version = 0, timer;

  function say(text, bad = false) {
    clearTimeout(timer);
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", bad);
    el.setAttribute("aria-busy", String(busy));
  }
  const text = (tokens) => tokens.map((id) => vocab[id] === "end" ? "(end)" : vocab[id]);

  // ---- the scene
  function showScene() {
    paint(ui.sheet, draw(things, facts), size);
    const one = things[chosen];
    ui.ring.hidden = !one;
    if (one) {
      const percent = (x) => `${(100 * x) / size}%`;
      Object.assign(ui.ring.style, { left: percent(one.x), top: percent(one.y),
        width: percent(2 * facts.radius[one.size] + 2) });
    }
    const again = [...ui.things.children].indexOf(document.activeElement);
    ui.things.replaceChildren(...things.map((thing, i) => {
      const button = make("button", { type: "button",
        attributes: { "aria-pressed": String(i === chosen) } }, named(thing));
      button.onclick = () => { chosen = i; showScene(); };
      return button;
    }));
    if (again >= 0) ui.things.children[Math.min(again, things.length - 1)]?.focus();
    for (const [key, { select }] of Object.entries(
      { color: ui.color, shape: ui.shape, size: ui.extent })) {
      select.disabled = !one;
      if (one) select.value = one[key];
    }
    ui.add.disabled = things.length >= facts.most;
    ui.remove.disabled = !one;
  }
  function change(index, changes) {
    things = things.map((one, i) => i === index ? inside({ ...one, ...changes }, facts) : one);
    return update();
  }

  // ---- the caption
  function showLook() {
    const layer = Number(ui.layer.input.value);
    ui.layer.output.textContent = `${layer} of ${facts.layers}`;
    const best = answer?.shown;
    if (!best?.tokens.length) return;
    [...ui.words.children].forEach((node, i) =>
      node.setAttribute("aria-pressed", String(i === at)));
    const objects = answer.things;
    const share = shares(best.looks[at], facts, layer, objects.length);
    paint(ui.looks, lit(answer.pixels, answer.corners, share, facts), size);
    const order = share.map((_, i) => i).sort((a, b) => share[b] - share[a]);
    ui.look.textContent = `“${text(best.tokens)[at]}” looked at ` + order.map((i) =>
      `the ${named(objects[i])} ${fixed(100 * share[i], 0)} %`).join(", ") + ".";
  }
  function showWords() {
    const tokens = answer.shown.tokens;
    at = Math.min(pointed, tokens.length - 1);
    const focused = [...ui.words.children].indexOf(document.activeElement);
    ui.words.replaceChildren(...text(tokens).map((word, i) => {
      const button = make("button", { type: "button" }, word);
      button.onpointerenter = button.onfocus = button.onclick = () => {
        pointed = at = i;
        showLook();
      };
      return button;
    }));
    if (focused >= 0) ui.words.children[Math.min(focused, tokens.length - 1)].focus();
    showLook();
  }
  const line = (tokens, logP, fate = "") => {
    const words = text(tokens), last = words.pop();
    return make("li", { className: fate }, make("span", { className: "what" },
      words.map((word) => `${word} `).join(""), fate ? make("strong", {}, last) : last),
    make("b", {}, fixed(logP, 2)), ...(fate ? [make("small", {}, fate)] : []));
  };
  function showBeams() {
    const steps = answer?.steps ?? [];
    ui.width.output.textContent = Number(ui.width.input.value) === 1 ? "1, greedy"
      : ui.width.input.value;
    ui.step.input.max = Math.max(1, steps.length);
    const step = Number(ui.step.input.value);
    ui.step.output.textContent = `${step} of ${steps.length}`;
    ui.tried.replaceChildren(...(steps[step - 1] ?? []).map(({ tokens, logP, fate }) =>
      line(tokens, logP, fate)));
    ui.found.replaceChildren(...(answer?.kept ?? []).map(({ tokens, logP }) =>
      line(tokens.slice(0, tokens.at(-1) === 2 ? -1 : undefined), logP)));
  }
  function clear() {
    answer = null;
    ui.words.replaceChildren();
    ui.look.textContent = "";
    paint(ui.looks, new Uint8Array(3 * size * size), size);
    showBeams();
  }
  /** Tells one scene, each word shown as it comes; null if the scene has changed. */
  async function tell(mine) {
    const scene = { pixels: draw(things, facts), corners: boxes(things, facts) };
    const told = { ...scene, things: things.slice(), steps: [], kept: [], shown: null };
    const beams = Number(ui.width.input.value), began = performance.now();
    let count = 0;
    const next = (rows) => {
      count += 1;
      return engine.next(scene, rows.map((row) => [START, ...row]), (words) => say(words, true));
    };
    const seen = (best, steps) => {
      if (mine !== version) return false;
      answer = Object.assign(told, { shown: best, steps });
      showWords();
      return true;
    };
    const found = await beamSearch(next, { beams, longest: facts.length - 2, seen });
    if (mine !== version || !found) return null;
    answer = Object.assign(told, found, { shown: found.kept[0] });
    return { ms: (performance.now() - began) / count };
  }
  async function update() { // one scene at a time; the last one counts
    version += 1;
    clearTimeout(timer);
    el.setAttribute("aria-busy", "true");
    showScene();
    if (busy) return;
    busy = true;
    try {
      for (let mine = 0; mine !== version;) {
        mine = version;
        const bad = wrong(things, facts);
        if (bad) throw new Error(bad);
        const done = await tell(mine);
        if (!done) continue;
        showWords();
        showBeams();
        const { tokens, logP } = answer.kept[0];
        const caption = text(tokens).filter((word) => word !== "(end)").join(" ");
        timer = setTimeout(say, 300, `It says: “${caption}”, log-probability ` +
          `${fixed(logP, 2)}. Computed by ${engine.by}, ${label(done.ms)} a word.`);
      }
    } catch (error) {
      busy = false;
      clear();
      say(sentence(error), true);
    }
    busy = false;
  }

  // ---- pointer and keys
  let held = null;
  const place = (event) => {
    const box = ui.sheet.getBoundingClientRect();
    return { x: ((event.clientX - box.left) / box.width) * size,
      y: ((event.clientY - box.top) / box.height) * size };
  };
  ui.sheet.onpointerdown = (event) => {
    if (event.button) return;
    const { x, y } = place(event);
    const away = things.map((one) =>
      Math.hypot(one.x - x, one.y - y) - facts.radius[one.size]);
    const near = away.indexOf(Math.min(...away));
    if (near < 0 || away[near] > 1) return;
    chosen = near;
    held = { x: things[near].x - x, y: things[near].y - y };
    ui.sheet.setPointerCapture(event.pointerId);
    showScene();
  };
  ui.sheet.onpointermove = (event) => {
    if (!held) return;
    const { x, y } = place(event);
    const to = inside({ ...things[chosen], x: Math.round(x + held.x), y: Math.round(y + held.y) },
      facts);
    if (to.x !== things[chosen].x || to.y !== things[chosen].y) change(chosen, to);
  };
  ui.sheet.onpointerup = ui.sheet.onpointercancel = () => { held = null; };
  ui.sheet.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
      ArrowDown: [0, 1] }[event.key];
    if (!step || !things[chosen]) return;
    event.preventDefault();
    change(chosen, { x: things[chosen].x + step[0], y: things[chosen].y + step[1] });
  };
  ui.color.select.onchange = () => change(chosen, { color: ui.color.select.value });
  ui.shape.select.onchange = () => change(chosen, { shape: ui.shape.select.value });
  ui.extent.select.onchange = () => change(chosen, { size: ui.extent.select.value });
  ui.add.onclick = () => {
    const one = roomFor(things, facts);
    if (!one)
      return say("Expected room for a small object, found none: move or remove one.", true);
    things = [...things, one];
    chosen = things.length - 1;
    return update();
  };
  ui.remove.onclick = () => {
    things = things.filter((_, i) => i !== chosen);
    chosen = Math.max(0, Math.min(chosen, things.length - 1));
    return update();
  };
  const begin = (scene) => {
    [things, chosen, pointed] = [scene.map((one) => ({ ...one })), 0, 2];
    return update();
  };
  ui.given.forEach((button, i) => { button.onclick = () => begin(facts.scenes[i]); });
  ui.layer.input.oninput = showLook;
  ui.step.input.oninput = showBeams;
  ui.width.input.oninput = () => { showBeams(); return update(); };
  await begin(facts.scenes[0]);
}

const STYLE = `
.mmdl-captioner canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 0.3em;
  image-rendering: pixelated; }
.mmdl-captioner .picks button:has(canvas) { padding: 2px; width: 3.2em; }
.mmdl-captioner [aria-pressed=true] { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); }
.mmdl-captioner .panel { display: grid; gap: 0.5em 1.6em; max-width: 26em; margin: 0 auto; }
.mmdl-captioner .panel > * { min-width: 0; }
@container (min-width: 700px) { .mmdl-captioner .panel { max-width: none;
  grid-template-columns: minmax(0, 3fr) minmax(0, 3fr) minmax(0, 4fr); } }
.mmdl-captioner .sheet { position: relative; overflow: hidden; }
.mmdl-captioner :is(.sheet, .words + canvas) { max-width: 17em; }
.mmdl-captioner .sheet canvas { touch-action: none; cursor: grab; }
.mmdl-captioner .sheet canvas:focus-visible { outline-offset: -2px; }
.mmdl-captioner .ring { position: absolute; aspect-ratio: 1; border-radius: 50%;
  pointer-events: none; transform: translate(-50%, -50%); box-sizing: border-box;
  border: 1px dashed #000; }
.mmdl-captioner .slider { grid-template-columns: 3.4em minmax(0, 1fr) 4.4em; }
.mmdl-captioner .choice { display: grid; gap: 0.5em; align-items: center; margin: 0.3em 0;
  grid-template-columns: 3.4em minmax(0, 1fr); }
.mmdl-captioner select { font: inherit; color: inherit; background: none; padding: 0.2em 0.4em;
  border: 1px solid var(--edge); border-radius: 0.4em; }
.mmdl-captioner select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-captioner option { color: #000; background: #fff; }
.mmdl-captioner .words { display: flex; flex-wrap: wrap; gap: 0.2em; min-height: 4.4em;
  align-content: start; }
.mmdl-captioner .words button { padding: 0 0.35em; }
.mmdl-captioner li { align-items: baseline; gap: 0.5em; margin: 0 0 0.2em; font-size: 0.9em; }
.mmdl-captioner .tried { min-height: 9em; }
.mmdl-captioner li b { white-space: nowrap; }
.mmdl-captioner li small { width: 3.4em; }
.mmdl-captioner .cut :is(.what, b) { color: var(--soft); }
`;

export default netDemo({ name: "captioner", style: STYLE, run, kernel: kernelEngine,
  browser: browserEngine, focus: ".picks button" });
