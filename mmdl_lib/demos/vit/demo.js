/* The demo of ViT: draw a picture; it is named, and lit where the class token looks.

   One module, two hosts, as that of CLIP. What the model must offer:
     title      what the demo is for
     facts      in a notebook: size, names, colors, scenes, ...; a page fetches them
     files      on a page: address of the folder with facts.json and model.onnx
     runtime    on a page: address of the folder of onnxruntime-web
     megabytes  on a page: what is loaded after the click */

import { bytes, download, fixed, kernelNetwork, make, pageNetwork, paint, sentence, slider,
  stage, startButton, uid } from "../common.js";

// ---- drawing
/** A round dab of color at (x, y), in pixels; its edge covers pixels in part. */
export function dab(pixels, size, [x, y], width, color) {
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const away = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const cover = Math.min(1, Math.max(0, width / 2 + 0.5 - away));
      if (!cover) continue;
      for (let c = 0; c < 3; c++) {
        const i = (c * size + row) * size + column;
        pixels[i] = Math.round(pixels[i] + (color[c] - pixels[i]) * cover);
      }
    }
}

/** Dabs from one place to another, close enough to look like a line. */
export function stroke(pixels, size, from, to, width, color) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
  for (let k = 1; k <= steps; k++)
    dab(pixels, size, from.map((a, i) => a + ((to[i] - a) * k) / steps), width, color);
}

// ---- what the network says
/** Shares of n numbers that sum to one. */
export function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / sum);
}

/** Shares of the tokens, class token first: of a head (0 is their mean) or the rollout. */
export function shares({ attention, rollout }, { layers, heads }, { layer, head, through }) {
  if (through) {
    const n = rollout.length / layers;
    return Array.from(rollout.subarray((layer - 1) * n, layer * n));
  }
  const n = attention.length / (layers * heads);
  const rows = Array.from({ length: heads }, (_, h) => {
    const start = ((layer - 1) * heads + h) * n;
    return attention.subarray(start, start + n);
  }).filter((_, h) => head === 0 || h === head - 1);
  return Array.from(rows[0], (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
}

/** The picture, dark where a patch has a small share. */
export function lit(pixels, { size, patch }, share) {
  const across = size / patch, most = Math.max(...share.slice(1));
  return pixels.map((value, i) => {
    const [row, column] = [Math.floor((i % (size * size)) / size), i % size];
    const token = 1 + Math.floor(row / patch) * across + Math.floor(column / patch);
    return Math.round(value * (0.12 + (0.88 * share[token]) / most));
  });
}

const percent = (x) => `${fixed(100 * x, 100 * x >= 9.95 ? 0 : 1)} %`;

// ---- what the reader sees
/** Builds the controls; returns the nodes that change. */
function build(el, { size, layers, heads, colors, ground, scenes }) {
  const group = uid();
  const canvas = () => make("canvas", { width: size, height: size });
  const scene = scenes.map(({ name, pixels }) => {
    const thumb = canvas();
    paint(thumb, bytes(pixels), size);
    return make("button", { type: "button", title: name, attributes: { "aria-label": name } },
      thumb);
  });
  const draw = Object.assign(canvas(), { tabIndex: 0 });
  const about = "Drawing. Arrow keys move the brush, the space bar paints.";
  for (const pair of Object.entries({ role: "application", "aria-label": about }))
    draw.setAttribute(...pair);
  const ring = make("i", { className: "ring", hidden: true });
  const color = Object.entries({ ...colors, eraser: ground }).map(([name, rgb], i) => {
    const input = make("input", { type: "radio", name: group, checked: i === 0,
      attributes: { "aria-label": name } });
    input.rgb = rgb;
    const dot = make("span", { className: name === "eraser" ? "eraser" : "" });
    dot.style.background = `rgb(${rgb})`;
    return make("label", { title: name }, input, dot);
  });
  const brush = slider("Brush", 1, 6, 4), layer = slider("Layer", 1, layers, layers);
  const head = slider("Head", 0, heads, 0);
  const clear = make("button", { type: "button" }, "Clear");
  const through = make("input", { type: "checkbox" });
  const attention = make("canvas", { width: size, height: size,
    attributes: { role: "img", "aria-label": "The drawing, lit where the class token looks" } });
  const names = make("ol"), look = make("p", { className: "note" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const heading = (text) => make("p", { className: "heading" }, text);
  el.append(
    make("p", {}, "Pick a picture or draw one: a tiny ViT names it, and the second picture is " +
      "lit where its class token looks."),
    make("div", { className: "scenes", attributes: { role: "group",
      "aria-label": "Pictures to begin with" } }, ...scene),
    make("div", { className: "panel" },
      make("div", { className: "draw" }, heading("Draw here"),
        make("div", { className: "sheet" }, draw, ring),
        make("div", { className: "colors", attributes: { role: "radiogroup",
          "aria-label": "Color" } }, ...color),
        brush.row, clear),
      make("div", { className: "names" }, heading("What it sees, probability"), names),
      make("div", { className: "look" }, heading("Where the class token looks"), attention,
        layer.row, head.row, make("label", { className: "check" }, through,
          "Rollout, through all layers up to this one"), look)),
    status,
    make("p", { className: "note" }, "The net has seen one medium or large object " +
      "in a plain color, on light ground. Small ones, night, outlines, two objects and your own " +
      "drawings are new to it."));
  return { scene, draw, ring, color, brush, layer, head, through, clear, attention, names, look,
    status };
}

/** Brings the controls to life; resolves when the first answer stands. */
async function run(el, facts, network) {
  const ui = build(el, facts), { size } = facts;
  const blank = Uint8Array.from({ length: 3 * size * size }, (_, i) =>
    facts.ground[Math.floor(i / (size * size))]);
  let pixels = blank.slice(), answer = null, busy = false, again = false, timer;

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  function showNames() {
    const chance = softmax(answer.outputs.logits);
    const order = chance.map((_, i) => i).sort((a, b) => chance[b] - chance[a]).slice(0, 5);
    ui.names.replaceChildren(...order.map((i) => {
      const bar = make("span", { className: "bar" }, make("i"));
      bar.firstChild.style.width = `${100 * chance[i]}%`;
      return make("li", {}, make("span", { className: "what" }, facts.names[i], bar),
        make("b", {}, percent(chance[i])));
    }));
    clearTimeout(timer); // a stroke has many answers, and one is read out
    const best = `Most likely: ${facts.names[order[0]]}, ${percent(chance[order[0]])}.`;
    timer = setTimeout(say, 300, `${best} Computed by ${answer.by}.`);
  }
  function showLook() {
    const [layer, head] = [ui.layer, ui.head].map(({ input }) => Number(input.value));
    const through = ui.through.checked;
    ui.layer.output.textContent = `${layer} of ${facts.layers}`;
    ui.head.output.textContent = through || !head ? "mean" : `${head} of ${facts.heads}`;
    ui.head.input.disabled = through;
    ui.head.input.setAttribute("aria-valuetext", ui.head.output.textContent);
    ui.brush.output.textContent = `${ui.brush.input.value} px`;
    if (!answer) return;
    const share = shares(answer.outputs, facts, { layer, head, through });
    paint(ui.attention, lit(answer.pixels, facts, share), size);
    const across = size / facts.patch, most = share.indexOf(Math.max(...share.slice(1)), 1) - 1;
    const place = `row ${Math.floor(most / across) + 1}, column ${(most % across) + 1}`;
    ui.look.textContent = `Brightest patch: ${place}, with ${percent(share[most + 1])}. ` +
      `The class token keeps ${percent(share[0])} for itself.`;
  }
  const late = (text) => { clearTimeout(timer); say(text, true); };
  async function update() { // one question at a time; the last drawing counts
    paint(ui.draw, pixels, size);
    again = busy;
    if (busy) return;
    busy = true;
    try {
      do {
        again = false;
        const asked = pixels.slice();
        answer = { ...await network.run(asked, late), pixels: asked };
        showNames();
        showLook();
      } while (again);
    } catch (error) {
      clearTimeout(timer);
      say(sentence(error), true);
    }
    busy = false;
  }
  const choose = (scene) => { pixels = bytes(scene.pixels); return update(); };

  // pointer and keys paint alike
  let at = [size / 2, size / 2], down = false;
  const width = () => Number(ui.brush.input.value);
  const rgb = () => ui.color.map((l) => l.firstChild).find((i) => i.checked).rgb;
  function ring(shown) {
    ui.ring.hidden = !shown;
    Object.assign(ui.ring.style, { left: `${(100 * at[0]) / size}%`,
      top: `${(100 * at[1]) / size}%`, width: `${(100 * width()) / size}%` });
  }
  function move(to, painting) {
    if (painting) stroke(pixels, size, at, to, width(), rgb());
    at = to;
    ring(true);
    if (painting) update();
  }
  const place = (event) => {
    const box = ui.draw.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((x) => x * size);
  };
  ui.draw.onpointerdown = (event) => {
    if (event.button) return;
    down = true;
    ui.draw.setPointerCapture(event.pointerId);
    at = place(event);
    move(at, true);
  };
  ui.draw.onpointermove = (event) => move(place(event), down);
  ui.draw.onpointerup = ui.draw.onpointercancel = () => { down = false; };
  ui.draw.onpointerleave = ui.draw.onblur = () => ring(false);
  ui.draw.onfocus = () => ring(ui.draw.matches(":focus-visible"));
  ui.draw.onkeydown = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
      ArrowDown: [0, 1], " ": [0, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = at.map((x, i) => Math.min(size - 0.5, Math.max(0.5, Math.floor(x) + 0.5 + step[i])));
    move(to, event.key === " ");
  };
  ui.clear.onclick = () => { pixels = blank.slice(); update(); };
  ui.scene.forEach((button, i) => { button.onclick = () => choose(facts.scenes[i]); });
  for (const { input } of [ui.layer, ui.head, ui.brush]) input.oninput = showLook;
  ui.through.onchange = showLook;
  showLook();
  await choose(facts.scenes[0]);
}

const STYLE = `
.mmdl-vit canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated;
  border-radius: 0.3em; }
.mmdl-vit .scenes { display: flex; flex-wrap: wrap; gap: 0.5em; margin: 0.6em 0; }
.mmdl-vit .scenes button { padding: 2px; width: 3.2em; }
.mmdl-vit .panel { display: grid; gap: 0.5em 1.6em; max-width: 26em; margin: 0 auto; }
.mmdl-vit .panel > * { min-width: 0; }
@container (min-width: 600px) { .mmdl-vit .panel { max-width: none;
  grid-template-columns: repeat(3, minmax(0, 1fr)); } .mmdl-vit .names { order: 1; } }
.mmdl-vit .names { min-height: 15em; }
.mmdl-vit .sheet { position: relative; overflow: hidden; }
.mmdl-vit .sheet canvas { touch-action: none; cursor: crosshair; }
.mmdl-vit .sheet canvas:focus-visible { outline-offset: -2px; }
.mmdl-vit .ring { position: absolute; aspect-ratio: 1; border-radius: 50%; pointer-events: none;
  transform: translate(-50%, -50%); border: 1px solid #000; outline: 1px solid #fff; }
.mmdl-vit .colors { display: flex; justify-content: space-between; margin: 0.6em 0; }
.mmdl-vit .colors label { position: relative; cursor: pointer; }
.mmdl-vit .colors input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
.mmdl-vit .colors span { display: block; width: 1.3em; aspect-ratio: 1; border-radius: 50%;
  border: 1px solid var(--edge); }
.mmdl-vit .colors .eraser { border-radius: 0.2em; }
.mmdl-vit .colors input:checked + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-vit .colors input:focus-visible + span { outline: 4px double var(--accent);
  outline-offset: 2px; }
.mmdl-vit .slider { grid-template-columns: 3.2em minmax(0, 1fr) 3.6em; }
.mmdl-vit .check { display: flex; gap: 0.5em; align-items: baseline; }
.mmdl-vit .check input { accent-color: var(--accent); }
.mmdl-vit li b { width: 3.2em; text-align: right; white-space: nowrap; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "vit", model.get("title"), STYLE);
    if (model.get("facts")) return void run(root, model.get("facts"), kernelNetwork(model));
    const [files, runtime] = [model.get("files"), model.get("runtime")];
    startButton(root, model, async () => {
      const facts = JSON.parse(new TextDecoder().decode(await download(`${files}facts.json`)));
      const network = pageNetwork({ files, runtime, size: facts.size, mark: "mmdl-vit-files" });
      await network.open();
      model.set("running", true);
      await run(root, facts, network);
      performance.mark("mmdl-vit-answer");
      root.querySelector(".scenes button").focus({ preventScroll: true });
    });
  },
};
