/* The demo of collapse: a tiny BYOL that is trained in the page, with parts to leave out.

   No network to load and no kernel to ask: `byol.js` does all the work, on a page and in a
   notebook. What the model must offer: `title`, what the demo is for. */

import { fixed, make, paint, stage, uid } from "../common.js";
import { PLACES, SEEDS, SIZES, TRAINING, drawn, effectiveRank, forward, generator, spread, start,
  step, view, views } from "./byol.js";

const PARTS = {
  predictor: ["Predictor", "a small net on one side only"],
  stop: ["Stop-gradient", "what is predicted stands still"],
  slow: ["Slow target", "a moving average of the net"],
  norm: ["Batch norm", "inside the nets"],
};
const SHOWN = generator(1000); // the pictures that are drawn: never trained on
const PICTURES = views(PLACES, SHOWN);
const COLORS = PLACES.map((angle) => `hsl(${Math.round((180 * angle) / Math.PI)} 70% 50%)`);
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const pause = (ms = 16) => new Promise((resolve) => setTimeout(resolve, ms));
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  node.append(...children);
  return node;
}

// ---- what is looked at in each step: two numbers, and 96 points in a plane
export function look(state, before) {
  const z = forward(state.online, PICTURES, state.parts.norm).out;
  return { spread: spread(z), rank: effectiveRank(z), ...drawn(z, before) };
}

export const without = (parts) => {
  const off = Object.keys(PARTS).filter((key) => !parts[key] && (key !== "slow" || parts.stop));
  const names = off.map((key) => PARTS[key][0].toLowerCase());
  return names.length ? `without ${names.join(" and ")}` : "with all parts";
};

// ---- what the reader sees
function examples() {
  const random = generator(5), { side } = SIZES;
  const picture = (angle, name) => {
    const canvas = make("canvas", { width: side, height: side,
      attributes: { role: "img", "aria-label": name } });
    const light = view(angle, random);
    const bytes = Uint8Array.from({ length: 3 * side * side }, (_, i) =>
      Math.max(0, Math.min(255, 40 + 160 * light[i % (side * side)])));
    paint(canvas, bytes, side);
    return canvas;
  };
  const places = { right: 0, bottom: 24, left: 48, top: 72 };
  return Object.entries(places).map(([name, i]) => {
    const box = make("div", { className: "pair" },
      picture(PLACES[i], `A blob at the ${name}`), picture(PLACES[i], "Another view of it"));
    box.style.borderColor = COLORS[i];
    return box;
  });
}

function cloud() {
  const points = COLORS.map((fill) => svg("circle", { r: 0.035, fill }));
  const node = svg("svg", { viewBox: "-1.1 -1.1 2.2 2.2", role: "img", class: "cloud" },
    svg("circle", { r: 1.05, class: "rim" }), ...points);
  const show = (frame, text) => {
    frame.points.forEach(([x, y], i) => {
      points[i].setAttribute("cx", x.toFixed(4));
      points[i].setAttribute("cy", (-y).toFixed(4));
    });
    node.setAttribute("aria-label", text);
  };
  return { node, show };
}

/** One number against steps: this run, and the one before it dashed. */
function chart(title, top) {
  const [left, bottom, wide, high] = [26, 98, 268, 90];
  const x = (i) => left + (wide * i) / TRAINING.steps, y = (v) => bottom - (high * v) / top;
  const label = (text, at, anchor) => svg("text", { ...at, "text-anchor": anchor }, text);
  const ticks = [0, top / 2, top].map((v) => label(String(v), { x: left - 5, y: y(v) + 4 }, "end"));
  const steps = [0, 20, 40, 60].map((i) => label(i, { x: x(i), y: bottom + 14 }, "middle"));
  const [older, line] = ["before", "now"].map((name) => svg("polyline", { class: name }));
  const dot = svg("circle", { r: 3.5, class: "dot" });
  const node = svg("svg", { viewBox: "0 0 300 116", role: "img", class: "chart" },
    svg("path", { class: "axis", d: `M${left} ${y(top)}V${bottom}H${left + wide}` }),
    ...ticks, ...steps, older, line, dot);
  const path = (values) => values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
  const show = (values, before, at) => {
    line.setAttribute("points", path(values));
    older.setAttribute("points", path(before));
    dot.setAttribute("cx", x(at));
    dot.setAttribute("cy", y(values[at]));
    node.setAttribute("aria-label", `${title} against steps: ${fixed(values[0], 2)} at the ` +
      `start, ${fixed(values.at(-1), 2)} after ${values.length - 1} steps.`);
  };
  return { box: make("div", {}, make("p", { className: "title" }, title), node), show };
}

function text() {
  return [
    make("details", {}, make("summary", {}, "What falls first when the predictor goes?"),
      make("p", {}, "The spread. Five steps are enough to halve it: all vectors turn the same " +
        "way. The rank tells little so early: it falls with all parts, too, since a trained " +
        "net leaves out the noise, and what remains is a ring, which needs few directions. " +
        "Only later does it fall lower than with all parts. And the loss? It is lowest where " +
        "the net has collapsed.")),
    make("details", {}, make("summary", {}, "Which parts does it need?"),
      make("p", {}, "Here: predictor, stop-gradient and batch norm. Without any one of them the " +
        "spread falls below 0.3, with each of the ten seeds. Without the slow target it " +
        "stays where it is: the lesson of SimSiam, which has none. BYOL's paper reports that " +
        "its large net fails without one, unless the predictor learns faster. Batch norm is a " +
        "finding about this tiny net, not a law: larger nets have been trained without.")),
    make("p", { className: "note" }, `Pictures of ${SIZES.side} × ${SIZES.side} pixels; a net ` +
      `of one hidden layer (${SIZES.hidden}) makes vectors of ${SIZES.width} numbers; ` +
      `${SIZES.batch} pairs a step, gradient descent with rate ${TRAINING.rate} and momentum ` +
      `${TRAINING.momentum}, tau ${TRAINING.tau}. All of it is computed here.`)];
}

/** Builds the controls; returns the nodes that change. */
function build(el) {
  const name = uid();
  const boxes = Object.fromEntries(Object.entries(PARTS).map(([key, [title, words]]) => {
    const input = make("input", { type: "checkbox", checked: true });
    return [key, { input, row: make("label", {}, input,
      make("span", {}, title, make("small", {}, words))) }];
  }));
  const seed = make("select", { id: `${name}-seed` }, ...SEEDS.map((s) => make("option", {}, s)));
  const train = make("button", { type: "button", className: "main" });
  const slider = make("input", { type: "range", id: `${name}-step`, min: 0, value: 0 });
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const values = make("p", { className: "values" }), key = make("p", { className: "note" });
  const points = cloud(), charts = { spread: chart("Spread", 1), rank: chart("Effective rank", 8) };
  el.append(
    make("p", {}, "A net shall say the same of two views of a picture. The easy way out: it says " +
      "the same of every picture. Which parts keep it from that?"),
    make("div", { className: "pairs" }, ...examples()),
    make("fieldset", {}, make("legend", {}, "Parts"),
      ...Object.values(boxes).map(({ row }) => row)),
    make("div", { className: "line" }, train,
      make("label", { htmlFor: seed.id }, "Seed"), seed),
    status,
    make("div", { className: "panel" },
      make("div", {}, make("p", { className: "title" }, `Vectors of ${SIZES.pictures} pictures`),
        points.node),
      make("div", {}, charts.spread.box, charts.rank.box, key)),
    make("div", { className: "line" }, make("label", { htmlFor: slider.id }, "Step"), slider,
      values),
    make("p", { className: "note" }, "Each dot is the direction of a picture's vector, in the two " +
      "directions in which they differ most; its color is the place of the blob. The more the net " +
      "says the same of all pictures, the closer the dots are to the middle."),
    ...text());
  return { boxes, seed, train, slider, status, values, key, points, charts };
}

/** Brings the controls to life. */
function run(el) {
  const ui = build(el);
  let state, frames, before = null, turn = 0;
  const on = () => Object.fromEntries(Object.entries(ui.boxes).map(([key, { input }]) =>
    [key, input.checked]));
  const last = () => frames.length - 1;

  function show(at = last()) {
    const { spread, rank } = frames[at];
    const numbers = `step ${at}: spread ${fixed(spread, 2)}, rank ${fixed(rank, 1)}`;
    ui.points.show(frames[at], `The vectors at ${numbers}.`);
    for (const [name, { show: draw }] of Object.entries(ui.charts))
      draw(frames.map((f) => f[name]), before?.frames.map((f) => f[name]) ?? [], at);
    Object.assign(ui.slider, { max: last(), value: at, disabled: last() === 0 });
    ui.slider.setAttribute("aria-valuetext", numbers);
    ui.values.textContent = numbers;
    ui.key.textContent = before ? `Dashed: the run before, ${before.name}.` : "";
  }
  /** Back to step 0, as the switches and the seed say; a finished run is kept. */
  function reset() {
    turn++;
    if (frames?.length > TRAINING.steps)
      before = { frames, name: `${without(state.parts)}, seed ${state.seed}` };
    const parts = on();
    ui.boxes.slow.input.disabled = !parts.stop;
    state = { ...start(Number(ui.seed.value), parts), seed: ui.seed.value };
    frames = [look(state)];
    ui.train.textContent = `Train for ${TRAINING.steps} steps`;
    ui.status.textContent = `An untrained net, ${without(parts)}.` +
      (parts.stop ? "" : " There is no slow target without a stop-gradient.");
    show();
  }
  async function train() {
    const running = ui.train.textContent === "Stop";
    if (running || last() > 0) reset();
    if (running) return;
    const now = ++turn, calm = still();
    ui.train.textContent = "Stop";
    ui.status.textContent = `Training ${without(state.parts)} ...`;
    let loss;
    while (last() < TRAINING.steps) {
      await pause();
      if (now !== turn) return;
      loss = step(state);
      frames.push(look(state, frames.at(-1).axes));
      if (!calm || last() === TRAINING.steps) show();
    }
    const [first, end] = [frames[0], frames.at(-1)];
    ui.train.textContent = "Train again";
    ui.status.textContent = `${TRAINING.steps} steps ${without(state.parts)}: spread from ` +
      `${fixed(first.spread, 2)} to ${fixed(end.spread, 2)}, rank from ${fixed(first.rank, 1)} ` +
      `to ${fixed(end.rank, 1)}, loss ${fixed(loss, 2)}.`;
  }
  for (const { input } of Object.values(ui.boxes)) input.onchange = reset;
  ui.seed.onchange = reset;
  ui.train.onclick = train;
  ui.slider.oninput = () => show(Number(ui.slider.value));
  reset();
}

const STYLE = `
.mmdl-collapse .pairs { display: flex; flex-wrap: wrap; gap: 0.5em 0.9em; margin: 0.6em 0; }
.mmdl-collapse .pair { display: flex; gap: 3px; border-bottom: 4px solid; padding-bottom: 3px; }
.mmdl-collapse canvas { width: 2.3em; aspect-ratio: 1; image-rendering: pixelated; }
.mmdl-collapse fieldset { border: 1px solid var(--edge); border-radius: 0.4em; margin: 0.6em 0;
  padding: 0.2em 0.8em 0.5em; display: grid; gap: 0.3em 1em; min-width: 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5em, 1fr)); }
.mmdl-collapse legend { font-size: 0.85em; padding: 0 0.3em; width: auto; margin: 0; float: none; }
.mmdl-collapse fieldset label { display: flex; gap: 0.5em; align-items: baseline; margin: 0; }
.mmdl-collapse label:has(:disabled) { opacity: 0.65; text-decoration: line-through; }
.mmdl-collapse label small { display: block; line-height: 1.2; }
.mmdl-collapse input { accent-color: var(--accent); }
.mmdl-collapse .line { display: flex; flex-wrap: wrap; gap: 0.4em 0.7em; align-items: center; }
.mmdl-collapse .line input { flex: 1; min-width: 8em; padding: 0; }
.mmdl-collapse .main { min-width: 11em; }
.mmdl-collapse select { font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; }
.mmdl-collapse option { color: #111; background: #fff; }
.mmdl-collapse select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-collapse .values { font-variant-numeric: tabular-nums; min-width: 15em; margin: 0; }
.mmdl-collapse .title { font-weight: 600; margin: 0.3em 0; }
.mmdl-collapse .panel { display: grid; gap: 0.5em 2em; margin: 0.4em 0; }
.mmdl-collapse .panel > * { min-width: 0; }
@container (min-width: 600px) { .mmdl-collapse .panel { grid-template-columns: 1fr 1fr; } }
.mmdl-collapse svg { display: block; width: 100%; height: auto; }
.mmdl-collapse .cloud { max-width: 20em; margin: 0 auto; }
.mmdl-collapse .rim { fill: none; stroke: var(--edge); stroke-width: 0.012; }
.mmdl-collapse .axis { fill: none; stroke: var(--edge); }
.mmdl-collapse polyline { fill: none; stroke: var(--accent); stroke-width: 2; }
.mmdl-collapse .before { stroke: currentColor; opacity: 0.6; stroke-width: 1.5;
  stroke-dasharray: 4 3; }
.mmdl-collapse .dot { fill: var(--accent); }
.mmdl-collapse text { font-size: 11px; fill: currentColor; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "collapse", model.get("title"), STYLE);
    model.set("running", true);
    run(root);
  },
};
