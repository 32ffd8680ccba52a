/* The demo of the codebook: tokens of a picture, and what the decoder draws from others.

   The decoder is small, so the page computes it by itself; its weights come from a file
   (`recipes/codebook_demo.py`). What the model must offer:
     title   what the demo is for
     facts   {codes, width, layers, side, factor, tokens, patches, order}; absent on a page,
             which loads them */

import { bytes, download, make, paint, sentence, stage, startButton } from "../common.js";

// ---- weights
/** Numbers from 16 bits each: sign, five bits of exponent, ten of mantissa. */
export function halves(text) {
  return Float64Array.from(new Uint16Array(bytes(text).buffer), (x) => {
    const sign = x >> 15 ? -1 : 1, power = (x >> 10) & 31, rest = x & 1023;
    return sign * (power ? (1 + rest / 1024) * 2 ** (power - 15) : rest * 2 ** -24);
  });
}

const opened = (layer) => layer.branch ? { branch: layer.branch.map(opened) }
  : { ...layer, weight: halves(layer.weight), bias: halves(layer.bias) };

/** What a file says, ready to compute with. */
export const open = (facts) => ({ ...facts, layers: facts.layers.map(opened),
  codes: new Float32Array(bytes(facts.codes).buffer), patches: bytes(facts.patches) });

// ---- the decoder: mmdl_lib/nn/coder.py; a grid is n x n places, channel by channel
function convolve(x, n, { weight, bias, out, in: inward, side }) {
  const y = new Float64Array(out * n * n), reach = (side - 1) / 2;
  for (let o = 0; o < out; o++) {
    const sheet = y.subarray(o * n * n, (o + 1) * n * n).fill(bias[o]);
    for (let c = 0; c < inward; c++)
      for (let i = 0; i < side; i++)
        for (let j = 0; j < side; j++) {
          const w = weight[((o * inward + c) * side + i) * side + j];
          const dy = i - reach, dx = j - reach;
          for (let r = Math.max(0, -dy); r < Math.min(n, n - dy); r++) {
            const from = (c * n + r + dy) * n + dx;
            for (let s = Math.max(0, -dx); s < Math.min(n, n - dx); s++)
              sheet[r * n + s] += w * x[from + s];
          }
        }
  }
  return y;
}

function normed(x, n, { weight, bias, groups, eps }) {
  const y = new Float64Array(x.length), size = x.length / groups;
  for (let g = 0; g < groups; g++) {
    const part = x.subarray(g * size, (g + 1) * size);
    const mean = part.reduce((a, b) => a + b) / size;
    const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / size;
    const scale = 1 / Math.sqrt(variance + eps);
    for (let i = 0; i < size; i++) {
      const c = Math.floor((g * size + i) / (n * n));
      y[g * size + i] = (part[i] - mean) * scale * weight[c] + bias[c];
    }
  }
  return y;
}

const silu = (x) => x.map((v) => v / (1 + Math.exp(-v)));

function through(x, n, layer) {
  if (layer.kind === "conv") return convolve(x, n, layer);
  if (layer.kind === "norm") return silu(normed(x, n, layer)); // a norm is always followed
  const y = layer.branch.reduce((z, part) => through(z, n, part), x);
  return x.map((v, i) => v + y[i]);
}

/** The picture (3, h, h) of a list of tokens in reading order, from -1 to 1. */
export function decode({ layers, codes, width, side: n, factor: k }, tokens) {
  const grid = new Float64Array(width * n * n);
  tokens.forEach((code, i) => {
    for (let d = 0; d < width; d++) grid[d * n * n + i] = codes[code * width + d];
  });
  const out = layers.reduce((x, layer) => through(x, n, layer), grid);
  const picture = new Float64Array(out.length), size = n * k;
  for (let c = 0; c < 3; c++) // each place holds k x k pixels
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const channel = (c * k + (y % k)) * k + (x % k);
        const at = (channel * n + Math.floor(y / k)) * n + Math.floor(x / k);
        picture[(c * size + y) * size + x] = Math.min(1, Math.max(-1, out[at]));
      }
  return picture;
}

/** A grid of codes (n, n), each as its patch: bytes (3, n k, n k). */
export function patched({ patches, factor: k }, codes, n) {
  const size = n * k, out = new Uint8Array(3 * size * size);
  for (let c = 0; c < 3; c++)
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const code = codes[Math.floor(y / k) * n + Math.floor(x / k)];
        out[(c * size + y) * size + x] = patches[((code * 3 + c) * k + (y % k)) * k + (x % k)];
      }
  return out;
}

/** The number of a code that was typed; throws what is none. */
export function typed(text, { count }) {
  const code = /^\s*\d+\s*$/.test(text) ? Number(text) : NaN;
  if (!(code < count))
    throw new Error(`expected a whole number from 0 to ${count - 1}, got "${text}".`);
  return code;
}

// ---- what the reader sees
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FIRST = { picture: 2, place: [4, 7] }; // inside the orange square
const SEEN = 0.05; // a pixel has changed if it did by more, of a range of 2
const toBytes = (picture) => Uint8Array.from(picture, (v) => Math.round(127.5 * (v + 1)));

/** A square sheet of n x n places with a ring around one. */
function sheet(pixels, n, text) {
  const canvas = make("canvas", { width: pixels, height: pixels, tabIndex: 0,
    attributes: { role: "application", "aria-label": text } });
  const ring = make("i", { className: "ring" });
  const mark = (at) => Object.assign(ring.style, { left: `${(100 * (at % n)) / n}%`,
    top: `${(100 * Math.floor(at / n)) / n}%`, width: `${100 / n}%` });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((share) => Math.min(n - 1, Math.max(0, Math.floor(share * n))));
    return y * n + x;
  };
  /** Calls back with the place that a click or an arrow key asks for. */
  function hear(from, move) {
    canvas.onpointerdown = (event) => move(place(event));
    canvas.onpointermove = (event) => event.buttons && move(place(event));
    canvas.onkeydown = (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow) return;
      event.preventDefault();
      const [x, y] = [from() % n + arrow[0], Math.floor(from() / n) + arrow[1]];
      if (Math.min(x, y) >= 0 && Math.max(x, y) < n) move(y * n + x);
    };
  }
  return { canvas, mark, hear, node: make("div", { className: "sheet" }, canvas, ring) };
}

/** Builds the controls; returns the nodes that change. */
function build(el, facts) {
  const { side, factor, tokens, order } = facts, size = side * factor;
  const all = Math.sqrt(order.length);
  const begin = tokens.map((given, i) => {
    const thumb = make("canvas", { width: size, height: size });
    paint(thumb, toBytes(decode(facts, given)), size);
    return make("button", { type: "button", attributes: { "aria-label": `Picture ${i + 1}` } },
      thumb);
  });
  const drawn = sheet(size, side, "What the decoder draws. Arrow keys move the ring.");
  const grid = sheet(size, side, "The tokens. Arrow keys move the ring.");
  const palette = sheet(all * factor, all, "All codes. Arrow keys put another code at the ring.");
  const number = make("input", { type: "text", size: 4, inputMode: "numeric",
    attributes: { "aria-label": "Code at the ring", autocomplete: "off" } });
  const field = make("button", { type: "button" }, "Fill 3 x 3 places");
  const back = make("button", { type: "button" }, "As it was");
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const part = (text, { node }) => make("div", {},
    make("p", { className: "heading" }, text), node);
  el.append(
    make("p", {}, "Choose a place, then another code for it: the decoder draws again."),
    make("div", { className: "picks", attributes: { role: "group",
      "aria-label": "Pictures to begin with" } }, ...begin),
    make("div", { className: "panel" }, part("Drawn", drawn), part("Its tokens", grid),
      part("All 256 codes", palette)),
    make("div", { className: "picks" }, make("label", {}, "Code at the ring ", number), field,
      back),
    status,
    make("p", { className: "note" }, "A code is shown as the 2 x 2 pixels that the decoder drew " +
      "where it stood, on average over 1,000 new pictures. In another place, among other " +
      "neighbors, it draws something else."));
  return { begin, drawn, grid, palette, number, field, back, status };
}

/** Brings the controls to life. */
function run(el, given) {
  const facts = open(given), { side, factor, order } = facts, count = order.length;
  const ui = build(el, facts), size = side * factor, all = Math.sqrt(count);
  let first, tokens, before, at = FIRST.place[0] * side + FIRST.place[1];

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  function mark() {
    for (const one of [ui.drawn, ui.grid]) one.mark(at);
    ui.palette.mark(order.indexOf(tokens[at]));
    ui.number.value = tokens[at];
  }
  function update() {
    const picture = decode(facts, tokens);
    paint(ui.drawn.canvas, toBytes(picture), size);
    paint(ui.grid.canvas, patched(facts, tokens, side), size);
    mark();
    let changed = 0;
    for (let i = 0; i < size * size; i++)
      if ([0, 1, 2].some((c) => Math.abs(picture[c * size * size + i]
        - before[c * size * size + i]) > SEEN)) changed++;
    const others = tokens.filter((code, i) => code !== first[i]).length;
    const line = Math.floor(at / side) + 1, column = (at % side) + 1;
    say(`Line ${line}, column ${column}: code ${tokens[at]}. ${others} of ${tokens.length} ` +
      `tokens and ${changed} of ${(size * size).toLocaleString("en")} pixels are not as they were.`);
  }
  function begin(list) {
    first = list;
    tokens = list.slice();
    before = decode(facts, list);
    update();
  }
  function move(to) {
    at = to;
    update();
  }
  function put(code, reach = 0) {
    const x = at % side, y = Math.floor(at / side);
    tokens = tokens.map((old, i) =>
      Math.abs((i % side) - x) <= reach && Math.abs(Math.floor(i / side) - y) <= reach ? code : old);
    update();
  }
  ui.begin.forEach((button, i) => { button.onclick = () => begin(facts.tokens[i]); });
  for (const one of [ui.drawn, ui.grid]) one.hear(() => at, move);
  ui.palette.hear(() => order.indexOf(tokens[at]), (i) => put(order[i]));
  ui.number.oninput = () => {
    try {
      const text = ui.number.value;
      put(typed(text, { count }));
      ui.number.value = text;
    } catch (error) {
      say(sentence(error), true);
    }
  };
  ui.field.onclick = () => put(tokens[at], 1);
  ui.back.onclick = () => begin(first);
  paint(ui.palette.canvas, patched(facts, order, all), all * factor);
  begin(facts.tokens[FIRST.picture]);
}

const STYLE = `
.mmdl-codebook .panel { display: grid; gap: 0.6em 1.2em; margin: 0.6em 0;
  grid-template-columns: repeat(3, minmax(0, 1fr)); }
.mmdl-codebook canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated; }
.mmdl-codebook .sheet { position: relative; border: 1px solid var(--edge); }
.mmdl-codebook .sheet canvas { touch-action: none; cursor: crosshair; }
.mmdl-codebook .ring { position: absolute; aspect-ratio: 1; box-sizing: border-box;
  pointer-events: none; outline: 2px solid #000; box-shadow: 0 0 0 4px #fff; }
.mmdl-codebook .picks { display: flex; flex-wrap: wrap; gap: 0.6em; align-items: center; }
.mmdl-codebook .picks button:has(canvas) { padding: 2px; width: 3.4em; }
@container (max-width: 36em) {
  .mmdl-codebook .panel { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .mmdl-codebook .panel > :last-child { grid-column: 1 / -1; }
}
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "codebook", model.get("title"), STYLE);
    if (model.get("facts")) return run(root, model.get("facts"));
    startButton(root, model, async () => {
      const facts = await download(`${model.get("files")}facts.json`);
      model.set("running", true);
      run(root, JSON.parse(new TextDecoder().decode(facts)));
      root.querySelector(".picks button").focus({ preventScroll: true });
    }, "decoder");
  },
};
