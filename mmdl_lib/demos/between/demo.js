/* The demo of unCLIP: walks between two captions, through the prior and without it.

   No net runs here. `recipes/between_demo.py` has drawn eleven pictures for each pair of
   captions, from the same noise; they come on a page after a click, in a notebook with the
   widget. What the model may offer:
     title   what the demo is for
     facts   {captions, stations, size, near, tiles}; absent on a page, which loads two files */

import { bytes, download, fixed, make, paint, slider, stage, startButton } from "../common.js";

// ---- walks
export const WAYS = { prior: "Through the prior", own: "Between the captions' own embeddings" };

/** The place of a station among all: walk by walk, of a pair with a < b; a = b is an end. */
export function placeOf({ captions, stations }, from, to, station) {
  const n = captions.length, last = stations - 1;
  if (from === to) {
    const [a, b] = from ? [0, from] : [0, 1];
    return placeOf({ captions, stations }, a, b, from ? last : 0);
  }
  const [a, b] = [Math.min(from, to), Math.max(from, to)];
  const before = a * n - (a * (a + 1)) / 2; // pairs whose first is smaller
  return (before + b - a - 1) * stations + (from < to ? station : last - station);
}

/** The bytes of a picture, channel by channel; `way` is 0 or 1. */
export function tile({ size, near, tiles }, way, place) {
  const long = 3 * size * size, all = near.prior.length;
  return tiles.subarray((way * all + place) * long, (way * all + place + 1) * long);
}

/** CLIP's cosine of a picture with the captions at both ends, the near end first. */
export function nearTo({ captions, near }, way, from, to, place) {
  const [one, two] = near[Object.keys(WAYS)[way]][place];
  if (from === to) return from ? [two, two] : [one, one];
  return from < to ? [one, two] : [two, one];
}

// ---- what the reader sees
/** Builds the controls; returns the nodes that change. */
function build(el, { captions, stations, size }) {
  const choice = (name, value) => {
    const select = make("select", { attributes: { "aria-label": name } },
      ...captions.map((said, i) => make("option", { value: i }, said)));
    select.value = value;
    return select;
  };
  const from = choice("From", 0), to = choice("To", 1);
  const swap = make("button", { type: "button" }, "Turn round");
  const share = slider("Share of the way", 0, 1, 0, 1 / (stations - 1));
  const ways = Object.values(WAYS).map((name) => {
    const big = make("canvas", { width: size, height: size,
      attributes: { role: "img", "aria-label": `${name}: here` } });
    const strip = make("canvas", { width: stations * size, height: size, className: "strip",
      attributes: { role: "img", "aria-label": `${name}: the whole walk` } });
    const told = make("p", { className: "note" });
    return { big, strip, told, node: make("div", {},
      make("p", { className: "heading" }, name), strip, big, told) };
  });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(
    make("p", {}, "Choose two captions, then walk from one to the other."),
    make("div", { className: "picks" }, make("label", {}, "From ", from),
      make("label", {}, "to ", to), swap),
    share.row, make("div", { className: "ways" }, ...ways.map(({ node }) => node)), status,
    make("p", { className: "note" }, "Each walk is a slerp of two embeddings in equal steps. All " +
      "pictures begin with the same noise and were drawn before by the decoder of this chapter, " +
      "with one prior that learned for 500 steps. Numbers: CLIP's cosine of the drawing with a " +
      "caption."));
  return { from, to, swap, share, ways, status };
}

/** Brings the controls to life. */
function run(el, facts) {
  const ui = build(el, facts), { captions, stations, size } = facts;
  function update() {
    const [from, to] = [ui.from, ui.to].map((select) => Number(select.value));
    const share = Number(ui.share.input.value), at = Math.round(share * (stations - 1));
    ui.share.output.textContent = fixed(share, 1);
    ui.ways.forEach(({ big, strip, told }, way) => {
      for (let k = 0; k < stations; k++) {
        const one = tile(facts, way, placeOf(facts, from, to, k));
        paint(big, one, size); // the last one stays until it is painted below
        strip.getContext("2d", { willReadFrequently: true }).drawImage(big, k * size, 0);
      }
      const place = placeOf(facts, from, to, at);
      paint(big, tile(facts, way, place), size);
      const near = nearTo(facts, way, from, to, place).map((v) => fixed(v, 2));
      told.textContent = `“${captions[from]}” ${near[0]}` +
        (from === to ? "" : `, “${captions[to]}” ${near[1]}`);
    });
    ui.status.textContent = from === to ? `A walk that ends where it begins: “${captions[from]}”.`
      : `${fixed(share, 1)} of the way from “${captions[from]}” to “${captions[to]}”.`;
  }
  ui.from.onchange = ui.to.onchange = ui.share.input.oninput = update;
  ui.swap.onclick = () => {
    [ui.from.value, ui.to.value] = [ui.to.value, ui.from.value];
    update();
  };
  update();
}

const STYLE = `
.mmdl-between select { font: inherit; color: inherit; background: transparent; max-width: 100%;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; }
.mmdl-between select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-between option { color: #111; background: #fff; }
.mmdl-between label { margin: 0; }
.mmdl-between .ways { display: grid; gap: 0.6em 1.4em; max-width: 40em; margin: 0 auto;
  grid-template-columns: repeat(2, minmax(0, 1fr)); }
.mmdl-between .ways > * { display: grid; grid-row: span 4; grid-template-rows: subgrid; gap: 0.3em; }
.mmdl-between canvas { display: block; width: 100%; image-rendering: pixelated;
  border-radius: 0.3em; border: 1px solid var(--edge); box-sizing: border-box; }
.mmdl-between .value { text-align: right; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "between", model.get("title"), STYLE), known = model.get("facts");
    if (known) return run(root, { ...known, tiles: bytes(known.tiles) });
    startButton(root, model, async () => {
      const files = model.get("files");
      const [tiles, facts] = await Promise.all([download(`${files}tiles.bin`),
        download(`${files}facts.json`)]);
      model.set("running", true);
      run(root, { ...JSON.parse(new TextDecoder().decode(facts)), tiles: new Uint8Array(tiles) });
      root.querySelector("select").focus({ preventScroll: true });
    }, "pictures");
  },
};
