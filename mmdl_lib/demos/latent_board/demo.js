/* The demo of the VAE: a board of its two latent numbers, and what the decoder draws there.

   The decoder has one hidden layer, so the page computes it by itself; its weights come from
   a file (`recipes/latent_board_demo.py`). What the model must offer:
     title   what the demo is for
     facts   {layers: [{weight, bias, scale, shape}], dots: [[x, y, digit]], size, reach} */

import { bytes, fixed, make, paint, slider, stage } from "../common.js";

// ---- the decoder
/** Numbers that were stored as whole steps of `scale` in 16 bits. */
export function numbers(text, scale) {
  return Float64Array.from(new Int16Array(bytes(text).buffer), (x) => x * scale);
}

/** The layers of a file, ready to compute with. */
export const opened = ({ layers }) => layers.map(({ weight, bias, scale, shape }) => ({
  rows: shape[0], columns: shape[1], weight: numbers(weight, scale[0]),
  bias: numbers(bias, scale[1]) }));

/** What the decoder draws at z: linear, tanh, linear; from -1 to 1. */
export function decode(layers, z) {
  return layers.reduce((x, { rows, columns, weight, bias }, i) => {
    const input = i ? x.map(Math.tanh) : x;
    return Array.from({ length: rows }, (_, r) => {
      let sum = bias[r];
      for (let c = 0; c < columns; c++) sum += weight[r * columns + c] * input[c];
      return sum;
    });
  }, Array.from(z)).map((x) => Math.min(1, Math.max(-1, x)));
}

/** The dot that is nearest to a place, and how far it is. */
export function nearest(dots, [x, y]) {
  const far = dots.map(([a, b]) => Math.hypot(a - x, b - y));
  const least = Math.min(...far);
  return { digit: dots[far.indexOf(least)][2], away: least };
}

// ---- what the reader sees
const SIDE = 320; // pixels of the board's canvas

/** Builds the controls; returns the nodes that change. */
function build(el, { size, reach }) {
  const board = make("canvas", { width: SIDE, height: SIDE,
    attributes: { role: "img", "aria-label":
      "The board: each number stands where the encoder puts a digit of its kind" } });
  const drawn = make("canvas", { width: size, height: size,
    attributes: { role: "img", "aria-label": "What the decoder draws at the ring" } });
  const axes = ["First number", "Second number"].map((text) => slider(text, -reach, reach, 0, 0.1));
  const middle = make("button", { type: "button" }, "To the middle");
  const walk = make("button", { type: "button" }, "Walk around");
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(
    make("p", {}, "Move on the board with the mouse, a finger or the sliders. The decoder has " +
      "never seen most of these places, and draws something everywhere."),
    make("div", { className: "pair" },
      make("div", {}, make("p", { className: "heading" }, "Two latent numbers"), board),
      make("div", {}, make("p", { className: "heading" }, "Drawn there"), drawn)),
    ...axes.map(({ row }) => row), make("div", { className: "buttons" }, middle, walk), status,
    make("p", { className: "note" }, "A VAE with two units, trained on 1,437 real digits of " +
      "8 x 8 pixels. The numbers on the board are digits that it has not seen."));
  return { board, drawn, axes, middle, walk, status };
}

/** Brings the controls to life. */
function run(el, facts) {
  const ui = build(el, facts), layers = opened(facts), { size, reach } = facts;
  let at = [0, 0], timer;
  const toPixel = (v) => ((v + reach) / (2 * reach)) * SIDE;

  function paintBoard() {
    const context = ui.board.getContext("2d");
    const ink = getComputedStyle(el);
    context.clearRect(0, 0, SIDE, SIDE);
    Object.assign(context, { font: "13px sans-serif", textAlign: "center",
      textBaseline: "middle", fillStyle: ink.color });
    for (const [x, y, digit] of facts.dots) context.fillText(digit, toPixel(x), toPixel(y));
    Object.assign(context, { lineWidth: 3,
      strokeStyle: ink.getPropertyValue("--accent") || ink.color });
    context.beginPath();
    context.arc(toPixel(at[0]), toPixel(at[1]), 9, 0, 2 * Math.PI);
    context.stroke();
  }
  function update() {
    const gray = decode(layers, at).map((v) => Math.round(127.5 * (v + 1)));
    paint(ui.drawn, Uint8Array.from([...gray, ...gray, ...gray]), size);
    ui.axes.forEach(({ input, output }, i) => {
      input.value = at[i];
      output.textContent = fixed(at[i], 1);
    });
    paintBoard();
    const { digit, away } = nearest(facts.dots, at);
    ui.status.textContent = `At ${fixed(at[0], 1)} and ${fixed(at[1], 1)}: the nearest new digit ` +
      `is a ${digit}, ${fixed(away, 2)} away.`;
  }
  function move(to) {
    at = to.map((v) => Math.min(reach, Math.max(-reach, v)));
    update();
  }
  function stop() {
    clearInterval(timer);
    timer = undefined;
    ui.walk.textContent = "Walk around";
  }
  const place = (event) => {
    const box = ui.board.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((share) => (2 * share - 1) * reach);
  };
  ui.board.onpointerdown = (event) => {
    stop();
    ui.board.setPointerCapture(event.pointerId);
    move(place(event));
  };
  ui.board.onpointermove = (event) => event.buttons && move(place(event));
  ui.axes.forEach(({ input }, i) => {
    input.oninput = () => {
      stop();
      move(at.map((v, k) => (k === i ? Number(input.value) : v)));
    };
  });
  ui.middle.onclick = () => { stop(); move([0, 0]); };
  ui.walk.onclick = () => {
    if (timer) return stop();
    let angle = 0;
    ui.walk.textContent = "Stop";
    timer = setInterval(() => {
      if (!el.isConnected) return stop();
      angle += 0.06;
      move([1.3 * Math.cos(angle), 1.3 * Math.sin(angle)]);
    }, 120);
  };
  update();
}

const STYLE = `
.mmdl-latent_board .pair { display: grid; gap: 0.6em 1.4em; grid-template-columns: 1fr 1fr;
  max-width: 34em; margin: 0 auto; }
.mmdl-latent_board canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 0.3em;
  border: 1px solid var(--edge); image-rendering: pixelated; }
.mmdl-latent_board .pair > :first-child canvas { touch-action: none; cursor: crosshair;
  image-rendering: auto; }
.mmdl-latent_board .slider { grid-template-columns: 8em minmax(0, 1fr) 3em; margin: 0.5em 0; }
.mmdl-latent_board .value { font-weight: 600; }
.mmdl-latent_board .buttons { display: flex; flex-wrap: wrap; gap: 0.6em; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "latent_board", model.get("title"), STYLE);
    model.set("running", true);
    run(root, model.get("facts"));
  },
};
