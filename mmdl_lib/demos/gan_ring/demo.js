/* The demo of the ring: a GAN that is trained in the page, with rules to choose.

   No network to load and no kernel to ask: `game.js` does all the work, on a page and in a
   notebook. What the model must offer: `title`, what the demo is for. */

import { fixed, make, stage, uid } from "../common.js";
import { generator } from "../collapse/byol.js";
import { PLAY, RING, TRIES, begin, count, draw, field, turn } from "./game.js";

const RULES = {
  aim: ["G minimizes", { "non-saturating": "\u2212log D",
    minimax: "log(1 \u2212 D)" }],
  pace: ["Rate of D", { 2: "twice that of G", 1: "that of G", 0.1: "a tenth of G's" }],
  updates: ["Turns of D", { 1: "one for each of G", 3: "three for each of G" }],
  penalty: ["Penalty", { 0: "none", 0.1: "on D's slope" }],
};
const EVERY = 20, SEEN = 400, GRID = 40, REACH = 3;
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const breath = () => new Promise((resolve) => setTimeout(resolve, 0));
const SPACE = "http://www.w3.org/2000/svg";

function shape(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  node.append(...children);
  return node;
}

// ---- what is looked at: points, counts, and what D believes
/** The same noise in every frame, so that a point can be followed. */
export function frame(game) {
  const points = draw(game, SEEN, generator(1000));
  return { ...count(points), points, belief: field(game, GRID, REACH) };
}

export const told = ({ aim, pace, updates, penalty }) => [aim,
  `D at ${RULES.pace[1][pace]}`, ...(updates > 1 ? ["three turns of D"] : []),
  ...(penalty ? ["with the penalty"] : [])].join(", ");

// ---- what the reader sees
function plane() {
  const canvas = make("canvas", { width: GRID, height: GRID });
  const dots = Array.from({ length: SEEN }, () => shape("circle", { r: 0.035, class: "drawn" }));
  const rings = Array.from({ length: RING.modes }, (_, k) => {
    const angle = (2 * Math.PI * k) / RING.modes;
    return shape("circle", { cx: RING.radius * Math.cos(angle), class: "mode",
      cy: -RING.radius * Math.sin(angle), r: RING.reach * RING.deviation });
  });
  const view = `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`;
  const node = shape("svg", { viewBox: view, role: "img" }, ...rings, ...dots);
  const paint = canvas.getContext("2d"), image = paint.createImageData(GRID, GRID);
  const show = ({ points, belief }, text) => {
    belief.forEach((p, i) => {
      const color = p > 0.5 ? [0, 114, 178] : [230, 120, 0];
      image.data.set([...color, Math.round(2 * Math.abs(p - 0.5) * 150)], 4 * i);
    });
    paint.putImageData(image, 0, 0);
    dots.forEach((dot, i) => {
      const [x, y] = points.data.subarray(2 * i, 2 * i + 2);
      dot.setAttribute("cx", x.toFixed(3));
      dot.setAttribute("cy", (-y).toFixed(3));
      dot.setAttribute("visibility", Math.max(Math.abs(x), Math.abs(y)) < REACH
        ? "visible" : "hidden");
    });
    node.setAttribute("aria-label", text);
  };
  return { box: make("div", { className: "plane" }, canvas, node), show };
}

/** One number against steps: this run, and the one before it dashed. */
function graph(title, top) {
  const [left, bottom, wide, high] = [26, 98, 262, 90], last = PLAY.steps;
  const x = (i) => left + (wide * i * EVERY) / last, y = (v) => bottom - (high * v) / top;
  const word = (text, at, anchor) => shape("text", { ...at, "text-anchor": anchor }, text);
  const ticks = [0, top / 2, top].map((v) => word(String(v), { x: left - 5, y: y(v) + 4 }, "end"));
  const steps = [0, last / 2, last].map((n) =>
    word(n, { x: x(n / EVERY), y: bottom + 14 }, "middle"));
  const [older, line] = ["before", "now"].map((name) => shape("polyline", { class: name }));
  const dot = shape("circle", { r: 3.5, class: "dot" });
  const node = shape("svg", { viewBox: "0 0 300 116", role: "img" },
    shape("path", { class: "axis", d: `M${left} ${y(top)}V${bottom}H${left + wide}` }),
    ...ticks, ...steps, older, line, dot);
  const path = (values) => values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
  const show = (values, before, at) => {
    line.setAttribute("points", path(values));
    older.setAttribute("points", path(before));
    dot.setAttribute("cx", x(at));
    dot.setAttribute("cy", y(values[at]));
    node.setAttribute("aria-label", `${title} against steps: ${fixed(values[0], 2)} at the ` +
      `start, ${fixed(values.at(-1), 2)} after ${(values.length - 1) * EVERY} steps.`);
  };
  return { box: make("div", {}, make("p", { className: "head" }, title), node), show };
}

function folds() {
  return [
    make("details", {}, make("summary", {}, "What does a slow D do?"),
      make("p", {}, "G runs to the place that D likes best, with all of its points. D finds out, " +
        "slowly, and likes another place; G runs there. It never has to cover the ring, because " +
        "D is never right about all of it at once.")),
    make("details", {}, make("summary", {}, "What do the colors mean?"),
      make("p", {}, "Blue: D takes a point here for real. Orange: for drawn. Without color: it " +
        "throws a coin, as the best D does everywhere once G draws like the data. G's points " +
        "move towards deeper blue: that is all that G knows of the ring.")),
    make("p", { className: "note" }, `Nets of two hidden layers with ${PLAY.width} units; ` +
      `${PLAY.batch} real and as many drawn points a turn; Adam, rate ${PLAY.rate} for G. A mode ` +
      `counts as found with a tenth of its fair share of ${SEEN} points. All of it is computed ` +
      "here."),
  ];
}

/** Builds the controls; returns the nodes that change. */
function lay(el) {
  const name = uid();
  const choice = ([key, [title, options]]) => {
    const select = make("select", { id: `${name}-${key}` }, ...Object.entries(options).map(
      ([value, words]) => make("option", { value }, words)));
    return [key, { select, box: make("div", {},
      make("label", { htmlFor: select.id }, title), select) }];
  };
  const rules = Object.fromEntries(Object.entries(RULES).map(choice));
  for (const key of ["pace"]) rules[key].select.value = "2";
  const seed = make("select", { id: `${name}-seed` }, ...TRIES.map((s) => make("option", {}, s)));
  const play = make("button", { type: "button", className: "main" });
  const slider = make("input", { type: "range", id: `${name}-step`, min: 0, value: 0 });
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const values = make("p", { className: "values" }), key = make("p", { className: "note" });
  const view = plane(), graphs = { found: graph("Modes found", 8), good: graph("On a mode", 1) };
  el.append(
    make("p", {}, "Circles: the eight modes of the data. Dots: what G draws. Can G find all eight " +
      "with the rules that you choose?"),
    make("div", { className: "rules" }, ...Object.values(rules).map(({ box }) => box),
      make("div", {}, make("label", { htmlFor: seed.id }, "Seed"), seed)),
    play, status,
    make("div", { className: "panel" }, view.box,
      make("div", {}, graphs.found.box, graphs.good.box, key)),
    make("div", { className: "line" }, make("label", { htmlFor: slider.id }, "Step"), slider,
      values),
    ...folds());
  return { rules, seed, play, slider, status, values, key, view, graphs };
}

/** Brings the controls to life. */
function live(el) {
  const ui = lay(el);
  let game, frames, before = null, now = 0;
  const chosen = () => Object.fromEntries(Object.entries(ui.rules).map(([key, { select }]) =>
    [key, key === "aim" ? select.value : Number(select.value)]));
  const last = () => frames.length - 1;

  function show(at = last()) {
    const { found, good } = frames[at];
    const numbers = `step ${at * EVERY}: ${found} of 8 modes, ${Math.round(100 * good)} % on a mode`;
    ui.view.show(frames[at], `Drawn points and D's belief at ${numbers}.`);
    for (const [name, { show: line }] of Object.entries(ui.graphs))
      line(frames.map((f) => f[name]), before?.frames.map((f) => f[name]) ?? [], at);
    Object.assign(ui.slider, { max: last(), value: at, disabled: last() === 0 });
    ui.slider.setAttribute("aria-valuetext", numbers);
    ui.values.textContent = numbers;
    ui.key.textContent = before ? `Dashed: the run before, ${before.name}.` : "";
  }
  /** Back to step 0, as the rules and the seed say; a finished run is kept. */
  function reset() {
    now++;
    if (frames && last() * EVERY === PLAY.steps)
      before = { frames, name: `${told(game.rules)}, seed ${game.seed}` };
    game = { ...begin(Number(ui.seed.value), chosen()), seed: ui.seed.value };
    frames = [frame(game)];
    ui.play.textContent = `Play ${PLAY.steps} steps`;
    ui.status.textContent = `Before the game: ${told(game.rules)}.`;
    show();
  }
  async function play() {
    const running = ui.play.textContent === "Stop";
    if (running || last() > 0) reset();
    if (running) return;
    const mine = ++now, quiet = calm();
    ui.play.textContent = "Stop";
    ui.status.textContent = `Playing ${told(game.rules)} ...`;
    while (last() * EVERY < PLAY.steps) {
      await breath();
      if (mine !== now) return;
      for (let i = 0; i < EVERY; i++) turn(game);
      frames.push(frame(game));
      if (!quiet || last() * EVERY === PLAY.steps) show();
    }
    const { found, good } = frames.at(-1);
    ui.play.textContent = "Play again";
    ui.status.textContent = `${PLAY.steps} steps, ${told(game.rules)}: ${found} of 8 modes found, ` +
      `${Math.round(100 * good)} % of the points on a mode.`;
  }
  for (const { select } of Object.values(ui.rules)) select.onchange = reset;
  ui.seed.onchange = reset;
  ui.play.onclick = play;
  ui.slider.oninput = () => show(Number(ui.slider.value));
  reset();
}

const LOOK = `
.mmdl-gan_ring .rules { display: grid; gap: 0.5em 1em; margin: 0.6em 0;
  grid-template-columns: repeat(auto-fit, minmax(10.5em, 1fr)); }
.mmdl-gan_ring .rules label { display: block; font-size: 0.85em; margin: 0; }
.mmdl-gan_ring select { font: inherit; color: inherit; background: transparent; width: 100%;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; }
.mmdl-gan_ring option { color: #111; background: #fff; }
.mmdl-gan_ring select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-gan_ring input { accent-color: var(--accent); flex: 1; min-width: 8em; padding: 0; }
.mmdl-gan_ring .line { display: flex; flex-wrap: wrap; gap: 0.4em 0.7em; align-items: center; }
.mmdl-gan_ring .main { min-width: 11em; }
.mmdl-gan_ring .values { font-variant-numeric: tabular-nums; min-width: 17em; margin: 0; }
.mmdl-gan_ring .head { font-weight: 600; margin: 0.3em 0; }
.mmdl-gan_ring .panel { display: grid; gap: 0.5em 2em; margin: 0.4em 0; }
.mmdl-gan_ring .panel > * { min-width: 0; }
@container (min-width: 600px) { .mmdl-gan_ring .panel { grid-template-columns: 1fr 1fr; } }
.mmdl-gan_ring svg { display: block; width: 100%; height: auto; }
.mmdl-gan_ring .plane { position: relative; width: 100%; max-width: 22em; margin: 0 auto;
  aspect-ratio: 1; border: 1px solid var(--edge); }
.mmdl-gan_ring .plane > * { position: absolute; inset: 0; width: 100%; height: 100%; }
.mmdl-gan_ring .mode { fill: none; stroke: currentColor; stroke-width: 0.03; }
.mmdl-gan_ring .drawn { fill: currentColor; opacity: 0.75; }
.mmdl-gan_ring .axis { fill: none; stroke: var(--edge); }
.mmdl-gan_ring polyline { fill: none; stroke: var(--accent); stroke-width: 2; }
.mmdl-gan_ring .before { stroke: currentColor; opacity: 0.6; stroke-width: 1.5;
  stroke-dasharray: 4 3; }
.mmdl-gan_ring .dot { fill: var(--accent); }
.mmdl-gan_ring text { font-size: 11px; fill: currentColor; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "gan_ring", model.get("title"), LOOK);
    model.set("running", true);
    live(root);
  },
};
