/* The demo of augmentation: two views of a picture, compared by color and by SimCLR.

   One module, two hosts, as `clip.js`. Views and colors are computed here; the encoder
   runs by onnxruntime-web after a click, or in the kernel. What the model must offer:
     facts      in a notebook: size, sets of pictures; a page fetches them
     files      on a page: address of the folder with facts.json and model.onnx
     runtime    on a page: address of the folder of onnxruntime-web
     megabytes  on a page: what is loaded after the click */

import { bytes, download, fixed, kernelNetwork, make, pageNetwork, paint, sentence, stage,
  startButton } from "./common.js";

// ---- the steps of a view: mmdl_lib/data/views.py, on one picture (3, n, n) in [-1, 1]
const clamp = (x, low = -1, high = 1) => Math.min(high, Math.max(low, x));
const floats = (picture, f) => Float32Array.from(picture, f);

/** Cut out a box [top, left, height, width], shares of the picture, and enlarge it. */
export function crop(picture, n, [top, left, height, width], flip = false) {
  const place = (i, start, extent) => {
    const at = clamp((start + (extent * (i + 0.5)) / n) * n - 0.5, 0, n - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, n - 1), at - low];
  };
  return floats(picture, (_, i) => {
    const [c, row, column] = [Math.floor(i / (n * n)), Math.floor(i / n) % n, i % n];
    const [y0, y1, v] = place(row, top, height);
    const [x0, x1, u] = place(flip ? n - 1 - column : column, left, width);
    const at = (y, x) => picture[(c * n + y) * n + x];
    return (1 - v) * ((1 - u) * at(y0, x0) + u * at(y0, x1))
      + v * ((1 - u) * at(y1, x0) + u * at(y1, x1));
  });
}

export const brightness = (picture, _, factor) =>
  floats(picture, (x) => clamp((x + 1) * factor - 1));

export function gray(picture, n) {
  const [r, g, b] = [0, n * n, 2 * n * n];
  return floats(picture, (_, i) => {
    const p = i % (n * n);
    return 0.299 * picture[r + p] + 0.587 * picture[g + p] + 0.114 * picture[b + p];
  });
}

export function contrast(picture, n, factor) {
  const mean = gray(picture, n).reduce((a, b) => a + b) / picture.length;
  return floats(picture, (x) => clamp(mean + factor * (x - mean)));
}

export function saturation(picture, n, factor) {
  const light = gray(picture, n);
  return floats(picture, (x, i) => clamp(light[i] + factor * (x - light[i])));
}

/** Chroma, and place on a color wheel of six, of red, green and blue. */
function wheel(r, g, b) {
  const most = Math.max(r, g, b), chroma = most - Math.min(r, g, b);
  const [gap, third] = most === r ? [g - b, 0] : most === g ? [b - r, 2] : [r - g, 4];
  return [most, chroma, third + gap / Math.max(chroma, 1e-6)];
}

const modulo = (x, m) => ((x % m) + m) % m;

export function hue(picture, n, turn) {
  const out = new Float32Array(picture.length), m = n * n;
  for (let p = 0; p < m; p++) {
    const [most, chroma, place] = wheel(picture[p], picture[m + p], picture[2 * m + p]);
    [5, 3, 1].forEach((shift, c) => {
      const away = modulo(place + 6 * turn + shift, 6);
      out[c * m + p] = most - chroma * clamp(Math.min(away, 4 - away), 0, 1);
    });
  }
  return out;
}

export function blur(picture, n, sigma) {
  const weights = Array.from({ length: n }, (_, i) => {
    const row = Array.from({ length: n }, (_, j) => Math.exp(-(((i - j) / sigma) ** 2) / 2));
    const sum = row.reduce((a, b) => a + b);
    return row.map((x) => x / sum);
  });
  const pass = (source, step, other) => floats(source, (_, i) => {
    const [c, a, b] = [Math.floor(i / (n * n)), Math.floor(i / step) % n,
      Math.floor(i / other) % n];
    return weights[a].reduce((sum, w, k) => sum + w * source[c * n * n + k * step + b * other], 0);
  });
  return pass(pass(picture, 1, n), n, 1);
}

export const noise = (picture, _, drawn) => floats(picture, (x, i) => clamp(x + 0.5 * drawn[i]));

/** Random parameters of a view, by the probabilities of SimCLR; `random()` in [0, 1). */
export function draw(n, settings, random = Math.random) {
  const uniform = (low, high) => low + (high - low) * random();
  const sometimes = (step, chance, value) => (step && random() < chance ? value() : null);
  function box() {
    const area = uniform(settings.area, 1), reach = Math.log(4 / 3);
    const ratio = Math.exp(uniform(-reach, reach));
    const height = Math.min(1, Math.sqrt(area / ratio)), width = Math.min(1, Math.sqrt(area * ratio));
    return [random() * (1 - height), random() * (1 - width), height, width];
  }
  function jitter() {
    const factor = () => uniform(Math.max(0, 1 - 0.8 * settings.strength), 1 + 0.8 * settings.strength);
    const turn = 0.2 * settings.strength;
    return { brightness: factor(), contrast: factor(), saturation: factor(),
      hue: uniform(-turn, turn) };
  }
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return {
    box: settings.crop ? box() : [0, 0, 1, 1],
    flip: Boolean(sometimes(settings.flip, 0.5, () => true)),
    jitter: sometimes(settings.jitter, 0.8, jitter),
    gray: Boolean(sometimes(settings.gray, 0.2, () => true)),
    blur: sometimes(settings.blur, 0.5, () => uniform(0.1, 2)),
    noise: sometimes(settings.noise, 0.5, () => Float32Array.from({ length: 3 * n * n }, normal)),
  };
}

/** The view with these parameters. */
export function apply(picture, n, drawn) {
  let view = crop(picture, n, drawn.box, drawn.flip);
  const color = { brightness, contrast, saturation, hue };
  for (const [name, value] of Object.entries(drawn.jitter ?? {}))
    view = color[name](view, n, value);
  if (drawn.gray) view = gray(view, n);
  if (drawn.blur) view = blur(view, n, drawn.blur);
  if (drawn.noise) view = noise(view, n, drawn.noise);
  return view;
}

export const toFloat = (pixels) => Float32Array.from(pixels, (x) => x / 127.5 - 1);
const toBytes = (view) => Uint8Array.from(view, (x) => Math.round((x + 1) * 127.5));

// ---- two ways to compare
/** Three histograms of pixels in bytes, one a channel, of six bins each. */
export function histogram(pixels, n) {
  const bins = new Float32Array(18), m = n * n;
  pixels.forEach((x, i) => {
    bins[6 * Math.floor(i / m) + Math.min(5, Math.floor((6 * x) / 255))] += 1 / m;
  });
  return bins;
}

/** Share of the pixels that two such histograms have in common. */
export const overlap = (a, b) => 1 - a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0) / 6;

/** Cosine of two vectors; 0 where one of them is 0. */
export function cosine(a, b) {
  const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths > 1e-12 ? dot(a, b) / lengths : 0;
}

/** Share of first views that are most similar to their own second view, by `compare`;
    ties count in part. */
export function found(first, second, compare) {
  const points = first.map((a, i) => {
    const near = second.map((b) => compare(a, b)), best = Math.max(...near);
    return near[i] < best ? 0 : 1 / near.filter((x) => x === best).length;
  });
  return points.reduce((a, b) => a + b) / points.length;
}

// ---- what the reader sees
const STEPS = {
  crop: ["Crop", "keeps at least", { min: 5, max: 100, step: 5 }],
  flip: ["Flip", "half of the views"],
  jitter: ["Color jitter", "strength", { min: 0.1, max: 1, step: 0.1 }],
  gray: ["Gray", "one view in five"],
  blur: ["Blur", "half of the views"],
  noise: ["Noise", "half of the views"],
};
const PRESETS = {
  "Crop and flip": ["crop", "flip"],
  "With color jitter": ["crop", "flip", "jitter"],
  "As in training": ["crop", "flip", "jitter", "gray"],
};
const COMPARE = { color: overlap, simclr: cosine };
const ROUNDS = 12;
const percent = (x) => `${Math.round(100 * x)} %`;

const once = (mark) => performance.getEntriesByName(mark).length || performance.mark(mark);

function control(key) {
  const [title, text, range] = STEPS[key];
  const input = make("input", { type: "checkbox" });
  const name = make("label", { className: "check" }, input, title);
  if (!range) return { input, row: [name, make("small", {}, text), make("span")] };
  const slider = make("input", { type: "range", ...range,
    attributes: { "aria-label": `${title}: ${text}` } });
  const output = make("span", { className: "value" });
  const words = make("label", { className: "slider" }, make("small", {}, text), slider);
  return { input, slider, output, row: [name, words, output] };
}

function bars(title) {
  const draws = make("small", {}, ` in ${8 * ROUNDS} draws`);
  const texts = [["View 2"], ["Another picture"], ["Partner found", draws]];
  const rows = texts.map((text) => {
    const bar = make("i"), number = make("b", {}, "\u2013");
    const what = make("span", { className: "what" }, ...text,
      make("span", { className: "bar" }, bar));
    return { node: make("li", {}, what, number), bar, number };
  });
  rows[2].node.className = "sum";
  const list = make("ol", {}, ...rows.map((row) => row.node));
  const box = make("div", { className: "score" }, make("p", { className: "title" }, title), list);
  const show = (row, value, text) => {
    rows[row].bar.style.width = `${100 * clamp(value, 0, 1)}%`;
    rows[row].number.textContent = text;
  };
  return { box, list, show };
}

/** Builds the controls; returns the nodes that change. */
function build(el, { size }) {
  const frame = (caption) => {
    const canvas = make("canvas", { width: size, height: size,
      attributes: { role: "img", "aria-label": caption } });
    return [canvas, make("div", {}, canvas, make("p", { className: "heading" }, caption))];
  };
  const frames = ["Picture", "View 1", "View 2", "Another picture"].map(frame);
  const controls = Object.fromEntries(Object.keys(STEPS).map((key) => [key, control(key)]));
  const again = make("button", { type: "button" }, "Draw new views");
  const presets = Object.keys(PRESETS).map((name) =>
    make("button", { type: "button" }, name));
  const thumbs = make("div", { className: "thumbs",
    attributes: { role: "group", "aria-label": "Pictures" } });
  const color = bars("Compared by color histogram"), simclr = bars("Compared by SimCLR");
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(
    make("p", {}, "Views 1 and 2 show one picture. What gives that away, color or shape?"),
    thumbs,
    make("div", { className: "frames" }, ...frames.map(([, box]) => box)),
    make("div", { className: "presets" }, ...presets, again),
    make("div", { className: "panel" },
      make("div", { className: "controls" },
        ...Object.values(controls).flatMap(({ row }) => row)),
      color.box, simclr.box),
    status,
    make("p", { className: "note" }, "Bars are similarities: how far two " +
      "histograms overlap, of six bins a channel, and the cosine of SimCLR's projections. " +
      "Partner found: how often view 2 is the most similar among views of all eight pictures; " +
      "guessing finds 12 %. SimCLR was trained on views like those of the third button."));
  return { canvases: frames.map(([canvas]) => canvas), controls, again, presets, thumbs, color,
    simclr, status };
}

/** Brings the controls to life; `open(box, use)` brings the encoder and calls `use`. */
function run(el, facts, open) {
  const ui = build(el, facts), { size } = facts;
  const pixels = 3 * size * size;
  let set = 0, chosen = 0, network = null, turn = 0;
  const gallery = () => facts.sets[set].map((picture) => toFloat(bytes(picture.pixels)));

  function settings() {
    const chosen = Object.entries(ui.controls).map(([key, { input }]) => [key, input.checked]);
    return { ...Object.fromEntries(chosen), area: ui.controls.crop.slider.value / 100,
      strength: Number(ui.controls.jitter.slider.value) };
  }
  const view = (picture, s) => toBytes(apply(picture, size, draw(size, s)));
  const slices = (data, count) => Array.from({ length: count }, (_, i) =>
    data.slice((i * data.length) / count, ((i + 1) * data.length) / count));

  /** Features of views: by color, and by SimCLR where it is there. */
  async function features(views) {
    const color = views.map((v) => histogram(v, size));
    if (!network) return { color };
    const joined = new Uint8Array(views.length * pixels);
    views.forEach((v, i) => joined.set(v, i * pixels));
    const { outputs, by } = await network.run(joined);
    return { color, simclr: slices(outputs.projection, views.length), by };
  }
  function showScores(values) {
    const parts = { color: ui.color, simclr: ui.simclr };
    for (const [name, part] of Object.entries(parts)) {
      if (!values[name]) continue;
      const [one, two, other] = values[name];
      [two, other].forEach((v, row) => {
        const near = COMPARE[name](one, v);
        part.show(row, near, fixed(near, 2));
      });
    }
  }
  /** New views; then how often the partner is found, over many draws. */
  async function update() {
    const now = ++turn, s = settings(), pictures = gallery();
    for (const part of [ui.color, ui.simclr]) part.show(2, 0, "\u2013");
    ui.controls.crop.output.textContent = percent(s.area);
    ui.controls.jitter.output.textContent = fixed(s.strength, 1);
    ui.presets.forEach((button) => {
      const on = Object.keys(STEPS).every((k) =>
        s[k] === PRESETS[button.textContent].includes(k));
      button.setAttribute("aria-pressed", on);
    });
    try {
      const other = (chosen + 1 + Math.floor(7 * Math.random())) % 8;
      const views = [chosen, chosen, other].map((i) => view(pictures[i], s));
      [toBytes(pictures[chosen]), ...views].forEach((v, i) => paint(ui.canvases[i], v, size));
      const first = await features(views);
      if (now !== turn) return;
      showScores(first);
      if (first.simclr) once("mmdl-augment-answer");
      const share = { color: 0, simclr: 0 };
      for (let round = 1; round <= ROUNDS; round++) {
        await new Promise((resolve) => setTimeout(resolve));
        if (now !== turn) return;
        const all = await features([...pictures, ...pictures].map((p) => view(p, s)));
        if (now !== turn) return;
        for (const name of ["color", "simclr"]) {
          if (!all[name]) continue;
          share[name] += found(all[name].slice(0, 8), all[name].slice(8), COMPARE[name]);
          ui[name].show(2, share[name] / round, percent(share[name] / round));
        }
      }
      const [color, simclr] = [share.color, share.simclr].map((x) => percent(x / ROUNDS));
      const draws = `of ${8 * ROUNDS} draws`;
      ui.status.textContent = first.simclr
        ? `Color alone finds the partner in ${color} ${draws}, SimCLR in ${simclr}. ` +
          `Computed by ${first.by} for three views.`
        : `Color alone finds the partner in ${color} ${draws}.`;
      ui.status.classList.remove("wrong");
    } catch (error) {
      if (now !== turn) return;
      ui.status.textContent = sentence(error);
      ui.status.classList.add("wrong");
    }
  }
  function showThumbs() {
    const nodes = facts.sets[set].map(({ name, pixels }, i) => {
      const canvas = make("canvas", { width: size, height: size });
      paint(canvas, bytes(pixels), size);
      const button = make("button", { type: "button", title: name, attributes: {
        "aria-label": name, "aria-pressed": i === chosen } }, canvas);
      button.onclick = () => {
        chosen = i;
        nodes.forEach((node, k) => node.setAttribute("aria-pressed", k === i));
        return update();
      };
      return button;
    });
    const more = make("button", { type: "button", className: "more" }, "Others");
    more.onclick = () => {
      set = (set + 1) % facts.sets.length;
      chosen = 0;
      showThumbs();
      ui.thumbs.lastChild.focus();
      return update();
    };
    ui.thumbs.replaceChildren(...nodes, more);
  }
  function preset(steps) {
    for (const [key, { input }] of Object.entries(ui.controls)) input.checked = steps.includes(key);
    return update();
  }

  ui.controls.crop.slider.value = 30;
  ui.controls.jitter.slider.value = 0.5;
  for (const { input, slider } of Object.values(ui.controls)) {
    input.onchange = update;
    if (slider) slider.oninput = update;
  }
  ui.again.onclick = update;
  ui.presets.forEach((button) => {
    button.onclick = () => preset(PRESETS[button.textContent]);
  });
  showThumbs();
  open(ui.simclr, (encoder) => {
    network = encoder;
    return update();
  });
  return preset(PRESETS["Crop and flip"]);
}

const STYLE = `
.mmdl-augment canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated;
  border-radius: 0.3em; }
.mmdl-augment .thumbs { display: flex; flex-wrap: wrap; gap: 0.5em; margin: 0.6em 0; }
.mmdl-augment .thumbs button { padding: 2px; width: 3.2em; }
.mmdl-augment .thumbs .more { width: auto; padding: 0.3em 0.7em; }
.mmdl-augment [aria-pressed=true] { border-color: var(--accent);
  box-shadow: 0 0 0 1px var(--accent); }
.mmdl-augment .frames { display: grid; gap: 0.8em; margin: 0.8em 0;
  grid-template-columns: repeat(4, minmax(0, 1fr)); }
.mmdl-augment .frames .heading { margin: 0.2em 0 0; }
@container (max-width: 420px) { .mmdl-augment .frames {
  grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.mmdl-augment .presets { display: flex; flex-wrap: wrap; gap: 0.5em; }
.mmdl-augment .presets button:last-child { margin-left: auto; }
.mmdl-augment .panel { display: grid; gap: 0.8em 2em; margin: 1em 0 0; }
.mmdl-augment .panel > * { min-width: 0; }
@container (min-width: 600px) { .mmdl-augment .panel { grid-template-columns: 1fr 1fr; }
  .mmdl-augment .controls { grid-row: span 2; } }
.mmdl-augment .controls { display: grid; gap: 0.5em 0.8em; align-content: start;
  grid-template-columns: auto minmax(0, 1fr) 2.8em; align-items: center; }
.mmdl-augment .check { display: flex; gap: 0.5em; align-items: baseline; }
.mmdl-augment .slider { display: block; }
.mmdl-augment .slider input { display: block; width: 100%; padding: 0; }
.mmdl-augment :is(.check, .slider) input { accent-color: var(--accent); }
.mmdl-augment .value { font-variant-numeric: tabular-nums; text-align: right; }
.mmdl-augment .title { font-weight: 600; margin: 0 0 0.3em; }
.mmdl-augment .score b { width: 3.6em; text-align: right; white-space: nowrap; }
.mmdl-augment .sum { border-top: 1px solid var(--edge); padding-top: 0.4em; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "augment", "draw two views of a picture", STYLE);
    if (model.get("facts"))
      return void run(root, model.get("facts"), (_, use) => use(kernelNetwork(model)));
    const [files, runtime] = [model.get("files"), model.get("runtime")];
    const facts = JSON.parse(new TextDecoder().decode(await download(`${files}facts.json`)));
    const mark = "mmdl-augment-files";
    const network = pageNetwork({ files, runtime, size: facts.size, mark });
    model.set("running", true);
    await run(root, facts, ({ box, list }, use) => {
      list.hidden = true;
      startButton(box, model, async () => {
        await network.open();
        list.hidden = false;
        use(network);
      }, "encoder");
    });
  },
};
