/* The demo of augmentation: two views of a picture, compared by color and by SimCLR.

   One module, two hosts, as that of CLIP. Views and colors are computed here; the encoder
   runs by onnxruntime-web after a click, or in the kernel. What the model must offer:
     title      what the demo is for
     facts      in a notebook: size, sets of pictures; a page fetches them
     files      on a page: address of the folder with facts.json and model.onnx
     runtime    on a page: address of the folder of onnxruntime-web
     megabytes  on a page: what is loaded after the click */

import { bytes, download, fixed, kernelNetwork, make, pageNetwork, paint, sentence, stage,
  startButton } from "../common.js";
import { apply, clamp, cosine, draw, found, histogram, overlap, toBytes, toFloat }
  from "./views.js";

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
  async function features(views, now) {
    const color = views.map((v) => histogram(v, size));
    if (!network) return { color };
    const joined = new Uint8Array(views.length * pixels);
    views.forEach((v, i) => joined.set(v, i * pixels));
    const { outputs, by } = await network.run(joined, (text) => {
      if (now === turn) ui.status.textContent = text;
    });
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
      const first = await features(views, now);
      if (now !== turn) return;
      showScores(first);
      if (first.simclr) once("mmdl-augment-answer");
      const share = { color: 0, simclr: 0 };
      for (let round = 1; round <= ROUNDS; round++) {
        await new Promise((resolve) => setTimeout(resolve));
        if (now !== turn) return;
        const all = await features([...pictures, ...pictures].map((p) => view(p, s)), now);
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
.mmdl-augment .slider { display: block; margin: 0; }
.mmdl-augment .slider input { display: block; width: 100%; padding: 0; }
.mmdl-augment :is(.check, .slider) input { accent-color: var(--accent); }
.mmdl-augment .value { font-variant-numeric: tabular-nums; text-align: right; }
.mmdl-augment .title { font-weight: 600; margin: 0 0 0.3em; }
.mmdl-augment .score b { width: 3.6em; text-align: right; white-space: nowrap; }
.mmdl-augment .sum { border-top: 1px solid var(--edge); padding-top: 0.4em; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "augment", model.get("title"), STYLE);
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
