/* The demo of unCLIP: walks between two captions, through the prior and without it.

   No net runs here. `recipes/between_demo.py` has drawn eleven pictures for each pair of
   captions, from the same noise; they come on a page after a click, in a notebook with the
   widget. What the model may offer:
     title   what the demo is for
     facts   {captions, stations, size, near, tiles}; absent on a page, which loads two files */

import { fixed, make, slider } from "../common.js";
import { choice, panel, stripDemo, tileAt } from "../strips.js";

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

/** CLIP's cosine of a picture with the captions at both ends, the near end first. */
export function nearTo({ captions, near }, way, from, to, place) {
  const [one, two] = near[Object.keys(WAYS)[way]][place];
  if (from === to) return from ? [two, two] : [one, one];
  return from < to ? [one, two] : [two, one];
}

// ---- what the reader sees
/** Builds the controls; returns the nodes that change. */
function build(el, { captions, stations, size }) {
  const from = choice("From", captions), to = choice("To", captions, 1);
  const swap = make("button", { type: "button" }, "Turn round");
  const share = slider("Share of the way", 0, 1, 0, 1 / (stations - 1));
  const ways = Object.values(WAYS).map((name) =>
    panel(name, "the whole walk", "here", size, stations));
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
  const ui = build(el, facts), { captions, stations, size, near, tiles } = facts;
  function update() {
    const [from, to] = [ui.from, ui.to].map((select) => Number(select.value));
    const share = Number(ui.share.input.value), at = Math.round(share * (stations - 1));
    ui.share.output.textContent = fixed(share, 1);
    ui.ways.forEach(({ show }, way) => {
      const walk = Array.from({ length: stations }, (_, k) => tileAt(tiles, size,
        way * near.prior.length + placeOf(facts, from, to, k)));
      const found = nearTo(facts, way, from, to, placeOf(facts, from, to, at));
      const ends = found.map((v, i) => `“${captions[[from, to][i]]}” ${fixed(v, 2)}`);
      show(walk, at, from === to ? ends[0] : ends.join(", "));
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

export default stripDemo("between", run);
