/* The demo of data2vec: hide places of a picture, a text or a sound, and see what the
   teacher says there and what the student expects.

   One module, two hosts, as in the demo of CLIP. On a page three nets run here, by
   onnxruntime-web; in a notebook the kernel runs them. */

import { ask, bytes, download, fixed, label, make, netDemo, openRuntime, sentence } from "../common.js";

const KINDS = { pictures: ["Picture", "patch", "patches"], texts: ["Text", "word", "words"],
  sounds: ["Sound", "part", "parts"] };
const RATE = 16_000; // of a sound, samples a second

// ---- from facts to numbers
/** Numbers of 16 bits behind a base64 text, as floats: no browser must know float16. */
export function halves(text) {
  return Float32Array.from(new Uint16Array(bytes(text).buffer), (x) => {
    const sign = x >> 15 ? -1 : 1, power = (x >> 10) & 31, rest = (x & 1023) / 1024;
    return sign * (power ? (1 + rest) * 2 ** (power - 15) : rest * 2 ** -14);
  });
}

/** Facts of one kind, with arrays for what was packed. */
export const tables = (facts) => Object.fromEntries(Object.entries(facts).map(([kind, one]) =>
  [kind, { ...one, kind, mean: halves(one.mean), center: halves(one.center),
    axes: halves(one.axes) }]));

/** 0 and 1 for each place of the net; the cells of the reader may cover several. */
export function places({ cells, places: n }, chosen) {
  const hidden = new Array(n).fill(0);
  for (const cell of chosen)
    for (let i = cells[cell][0]; i < cells[cell][1]; i++) hidden[i] = 1;
  return hidden;
}

/** What a net reads of an example: {data, dims}, the data of its own kind. */
export function input({ kind, shape }, { input: stored }) {
  if (kind === "texts") return { data: BigInt64Array.from(stored, BigInt), dims: [1, stored.length] };
  if (kind === "pictures")
    return { data: Float32Array.from(bytes(stored), (x) => x / 127.5 - 1), dims: [1, ...shape] };
  const data = wave(stored);
  return { data, dims: [1, data.length] };
}

/** Samples in [-1, 1). */
export const wave = (stored) =>
  Float32Array.from(new Int16Array(bytes(stored).buffer), (x) => x / 32768);

/** A sound as the student gets it: silent where places are hidden. */
export function muted(samples, { hop }, hidden) {
  return samples.map((x, i) => (hidden[Math.min(Math.floor(i / hop), hidden.length - 1)] ? 0 : x));
}

// ---- from vectors to what is seen
/** Red, green and blue of each place: three main directions of all targets. */
export function colors({ axes, center, width: d }, vectors) {
  return Array.from({ length: vectors.length / d }, (_, i) => [0, 1, 2].map((c) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += (vectors[i * d + j] - center[j]) * axes[c * d + j];
    return Math.round(255 * Math.min(1, Math.max(0, 0.5 + sum)));
  }));
}

/** How much of what tells the hidden targets from the mean of their place is predicted. */
export function explained({ mean, width: d }, { target, prediction }, hidden) {
  let missed = 0, varied = 0;
  for (let i = 0; i < target.length; i++) {
    if (!hidden[Math.floor(i / d)]) continue;
    missed += (target[i] - prediction[i]) ** 2;
    varied += (target[i] - mean[i]) ** 2;
  }
  return 1 - missed / varied;
}

// ---- the two engines: see(kind, number, hidden, late) -> {target, prediction, by}
export function browserEngine({ files, runtime }) {
  let opened = null;
  async function start() {
    const names = Object.keys(KINDS);
    const [ort, json, ...networks] = await Promise.all([openRuntime(runtime),
      download(`${files}facts.json`), ...names.map((name) => download(`${files}${name}.onnx`))]);
    performance.mark("mmdl-data2vec-files");
    const facts = tables(JSON.parse(new TextDecoder().decode(json))), sessions = {};
    for (const [i, network] of networks.entries())
      sessions[names[i]] = await ort.InferenceSession.create(new Uint8Array(network));
    return { ort, facts, sessions };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  async function see(kind, number, hidden) {
    const { ort, facts, sessions } = await open(), began = performance.now();
    const { data, dims } = input(facts[kind], facts[kind].examples[number]);
    const { target, prediction } = await sessions[kind].run({
      x: new ort.Tensor(kind === "texts" ? "int64" : "float32", data, dims),
      hidden: new ort.Tensor("bool", Uint8Array.from(hidden), [1, hidden.length]) });
    const by = `this browser, ${label(performance.now() - began)}`;
    return { target: target.data, prediction: prediction.data, by };
  }
  return { open: async () => (await open()).facts, see };
}

function kernelEngine(model) {
  async function see(kind, example, hidden, late) {
    const began = performance.now();
    const { target, prediction } = await ask(model, { kind, example, hidden }, late);
    const by = `the kernel (torch), ${label(performance.now() - began)}`;
    const array = (text) => new Float32Array(bytes(text).buffer);
    return { target: array(target), prediction: array(prediction), by };
  }
  return { open: async () => tables(model.get("facts")), see };
}

// ---- drawing
/** Paints rows of [red, green, blue, alpha] onto a canvas. */
function fill(canvas, width, height, color) {
  Object.assign(canvas, { width, height });
  const data = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) data.data.set(color(i), 4 * i);
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(data, 0, 0);
}

const LOUD = [[68, 1, 84], [33, 145, 140], [253, 231, 37]]; // from silent to loud
function loud(byte) {
  const at = (2 * byte) / 255, i = Math.min(1, Math.floor(at));
  return LOUD[i].map((x, c) => Math.round(x + (at - i) * (LOUD[i + 1][c] - x)));
}

/** What stands behind the cells: a picture, or a sound as frequencies over time. */
function backdrop(canvas, { kind, shape, seen }, example) {
  canvas.hidden = kind === "texts";
  if (kind === "pictures") {
    const raw = bytes(example.input), [, h, w] = shape;
    fill(canvas, w, h, (i) => [raw[i], raw[h * w + i], raw[2 * h * w + i], 255]);
  } else if (kind === "sounds") {
    const raw = bytes(example.picture), [h, w] = seen;
    fill(canvas, w, h, (i) => [...loud(raw[i]), 255]);
  }
}

const percent = (x) => `${fixed(100 * x, 0)}\u00a0%`;
/** In words: how much of the hidden targets the student explains. */
export const verdict = (share) => share < 0
  ? "What the student says is farther from their targets than what is usual at these places."
  : `What the student says explains ${percent(share)} of how their targets differ from what is ` +
    "usual at these places.";
const group = (name, className, ...nodes) => make("div", { className,
  attributes: { role: "group", "aria-label": name } }, ...nodes);

function panel(heading, ...nodes) {
  return make("div", { className: "panel" }, make("p", { className: "heading" }, heading), ...nodes);
}

function build(el) {
  const button = (text) => make("button", { type: "button" }, text);
  const kinds = Object.values(KINDS).map(([name]) => button(name));
  const canvas = () => make("canvas", { attributes: { role: "img" } });
  const ui = { kinds, examples: group("Examples", "picks"), cells: group("Places", "cells"),
    back: make("canvas", { attributes: { "aria-hidden": true } }), target: canvas(), said: canvas(),
    another: button("Another mask"), none: button("Show all"), all: button("Hide all"),
    play: button("Play it"), part: button("Play what the student gets"),
    note: make("p", { className: "note" }),
    status: make("p", { className: "status", attributes: { role: "status", "aria-live": "polite" } }) };
  ui.panels = make("div", { className: "panels" },
    panel("What the student gets", make("div", { className: "given" }, ui.back, ui.cells)),
    panel("What the teacher says: the target", ui.target),
    panel("What the student expects", ui.said));
  ui.sounds = group("Listen", "picks", ui.play, ui.part);
  el.append(make("p", {}, "Click or drag to hide and to show. The teacher gets everything; the " +
      "student gets what is not hidden, and says at the hidden places what the teacher says there. " +
      "Like colors: like vectors, as far as three of their directions tell."),
    group("Kind", "picks", ...kinds), ui.panels, ui.status,
    group("Mask", "picks", ui.another, ui.none, ui.all), ui.sounds, ui.examples, ui.note);
  return ui;
}

// ---- sound, after a click
let speaker = null, playing = null;
export function play(samples) {
  speaker ??= new AudioContext();
  playing?.stop();
  const buffer = speaker.createBuffer(1, samples.length, RATE);
  buffer.copyToChannel(samples, 0);
  playing = speaker.createBufferSource();
  playing.buffer = buffer;
  playing.connect(speaker.destination);
  playing.start();
}

async function run(el, engine) {
  const facts = await engine.open(), ui = build(el);
  let kind = "pictures", number = 0, chosen = new Set(), buttons = [], turn = 0;
  let busy = false, again = false, timer, drag = null;
  const own = () => facts[kind], example = () => own().examples[number];

  function say(words, wrong = false) {
    clearTimeout(timer);
    ui.status.textContent = words;
    ui.status.classList.toggle("wrong", wrong);
  }
  function showCells() {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", chosen.has(i)));
  }
  function show(found) {
    const { first, grid: [rows, columns], cells } = own(), hidden = places(own(), chosen);
    const [target, said] = [found.target, found.prediction].map((x) => colors(own(), x));
    fill(ui.target, columns, rows, (i) => [...target[first + i], 255]);
    fill(ui.said, columns, rows, (i) => [...said[first + i], hidden[first + i] ? 255 : 0]);
    const share = chosen.size ? explained(own(), found, hidden) : null;
    const count = `${chosen.size} of ${cells.length} ${KINDS[kind][2]}`;
    ui.target.setAttribute("aria-label",
      `A color for what the teacher says at each of ${rows * columns} places.`);
    ui.said.setAttribute("aria-label", share === null ? "Empty: nothing is hidden."
      : `A color for what the student expects at each hidden place: ${count}.`);
    const words = share === null ? "Nothing is hidden: click a place, or take a mask."
      : `${count} are hidden. ${verdict(share)} Computed by ${found.by}.`;
    clearTimeout(timer);
    timer = setTimeout(say, 300, words);
  }
  async function update() {
    showCells();
    again = busy;
    if (busy) return;
    busy = true;
    try {
      let found, asked;
      do {
        again = false;
        asked = [kind, number, places(own(), chosen)];
        found = await engine.see(...asked, (late) => say(late, true));
      } while (again);
      show(found);
    } catch (error) {
      say(sentence(error), true);
    }
    busy = false;
  }
  function set(cell, away) {
    if (chosen.has(cell) === away) return;
    away ? chosen.add(cell) : chosen.delete(cell);
    update();
  }
  function move(event, i) {
    const columns = own().columns, step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns,
      ArrowDown: columns }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[i + step];
    if (!next) return;
    buttons.forEach((button) => { button.tabIndex = button === next ? 0 : -1; });
    next.focus();
  }
  function cell(i) {
    const { words, columns } = own(), word = words?.[example().input[own().cells[i][0]]];
    const where = kind === "pictures"
      ? `row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}` : `${i + 1}`;
    return make("button", { type: "button", textContent: word ?? "", tabIndex: i ? -1 : 0,
      onkeydown: (event) => move(event, i),
      onclick: (event) => event.detail || set(i, !chosen.has(i)), // by keyboard
      onpointerdown(event) {
        event.target.releasePointerCapture?.(event.pointerId);
        drag = !chosen.has(i);
        set(i, drag);
      },
      onpointerenter: (event) => event.buttons && drag !== null && set(i, drag),
      attributes: { "aria-label": `Hide ${KINDS[kind][1]} ${where}${word ? `: ${word}` : ""}` } });
  }
  function choose(next, at) {
    [kind, number] = [next, at];
    chosen = new Set(own().masks[turn % own().masks.length]);
    ui.panels.className = `panels ${kind}`;
    ui.cells.style.setProperty("--columns", own().columns);
    buttons = own().cells.map((_, i) => cell(i));
    ui.cells.replaceChildren(...buttons);
    backdrop(ui.back, own(), example());
    ui.kinds.forEach((button, i) =>
      button.setAttribute("aria-pressed", Object.keys(KINDS)[i] === kind));
    ui.examples.replaceChildren("Examples", ...own().examples.map(({ name }, i) =>
      make("button", { type: "button", onclick: () => choose(kind, i),
        attributes: { "aria-pressed": i === number } }, name)));
    ui.sounds.hidden = kind !== "sounds";
    ui.note.textContent = own().note;
    return update();
  }
  function listen(samples) {
    try {
      play(samples);
    } catch {
      say("Expected a way to play sounds, got none from this browser.", true);
    }
  }
  window.addEventListener("pointerup", () => { drag = null; });
  ui.kinds.forEach((button, i) => {
    button.onclick = () => { turn = 0; return choose(Object.keys(KINDS)[i], 0); };
  });
  const mask = (cells) => { chosen = new Set(cells); return update(); };
  ui.another.onclick = () => mask(own().masks[++turn % own().masks.length]);
  ui.none.onclick = () => mask([]);
  ui.all.onclick = () => mask(own().cells.keys());
  ui.play.onclick = () => listen(wave(example().input));
  ui.part.onclick = () => listen(muted(wave(example().input), own(), places(own(), chosen)));
  await choose(kind, 0);
}

const STYLE = `
.mmdl-data2vec .picks:not([hidden]) { display: flex; flex-wrap: wrap; gap: 0.4em;
  align-items: center; margin: 0.6em 0; }
.mmdl-data2vec .picks [aria-pressed=true] { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); }
.mmdl-data2vec .panels { display: grid; gap: 0.2em 1.2em; }
.mmdl-data2vec .panels.pictures { grid-template-columns: repeat(3, minmax(0, 1fr));
  align-items: end; max-width: 44em; }
.mmdl-data2vec .given { position: relative; }
.mmdl-data2vec .panel canvas:not([hidden]) { display: block; width: 100%; height: auto;
  image-rendering: pixelated; border-radius: 3px; outline: 1px solid var(--edge); }
.mmdl-data2vec .texts .panel canvas { height: 3.6em; }
.mmdl-data2vec .sounds .panel canvas { height: 2.2em; }
.mmdl-data2vec .sounds .given canvas { height: 6em; }
.mmdl-data2vec .cells { display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr));
  touch-action: pan-y; user-select: none; }
.mmdl-data2vec :is(.pictures, .sounds) .cells { position: absolute; inset: 0; }
.mmdl-data2vec .cells button { border-radius: 0; padding: 0; min-width: 0;
  border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
.mmdl-data2vec :is(.pictures, .sounds) .cells [aria-pressed=true] { background: #8c929c; }
.mmdl-data2vec .texts .cells { gap: 0.2em; }
.mmdl-data2vec .texts .cells button { padding: 0.25em 0; font-family: serif; }
.mmdl-data2vec .texts .cells [aria-pressed=true] { text-decoration: line-through;
  border: 1px dashed currentColor; background: color-mix(in srgb, currentColor 14%, transparent); }
@container (max-width: 480px) {
  .mmdl-data2vec .panels.pictures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .mmdl-data2vec .panels.pictures .panel:first-child { grid-column: 1 / -1; max-width: 15em; }
  .mmdl-data2vec .texts .cells { font-size: 0.9em; } }
`;

export default netDemo({ name: "data2vec", style: STYLE, run, kernel: kernelEngine,
  browser: browserEngine, focus: ".cells button", what: "models" });
