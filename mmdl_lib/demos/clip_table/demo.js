/* The demo of CLIP's table: three pictures, three captions, the loss of the nine cosines.

   The cosines come from a file (`recipes/clip_table_demo.py`); the rest is computed here, on
   a page and in a notebook. What the model must offer:
     title   what the demo is for
     facts   {labels, cosines, temperature, sprite}; row = picture, column = caption */

import { fixed, make, stage, uid } from "../common.js";

/** Softmax of some numbers divided by a temperature. */
export function softmax(values, temperature) {
  const top = Math.max(...values);
  const parts = values.map((v) => Math.exp((v - top) / temperature));
  const sum = parts.reduce((a, b) => a + b);
  return parts.map((p) => p / sum);
}

const turned = (table) => table[0].map((_, k) => table.map((row) => row[k]));

/** CLIP's loss of a square table whose pairs stand on the diagonal: softmax by rows and by
    columns, the cross-entropy of each, in nats, and their mean. */
export function contrast(cosines, temperature) {
  const byRow = cosines.map((row) => softmax(row, temperature));
  const byColumn = turned(turned(cosines).map((column) => softmax(column, temperature)));
  // the logarithm of the softmax, not of its rounded value: a share may be as good as zero
  const entropy = (table) => table.reduce((sum, row, i) => {
    const top = Math.max(...row);
    const rest = row.reduce((total, v) => total + Math.exp((v - top) / temperature), 0);
    return sum + ((top - row[i]) / temperature + Math.log(rest)) / table.length;
  }, 0);
  const [rows, columns] = [entropy(cosines), entropy(turned(cosines))];
  return { byRow, byColumn, rows, columns, loss: (rows + columns) / 2 };
}

// ---- what the reader sees
const SETS = {
  "Three different things": [0, 1, 2],
  "Sharing a color or a shape": [0, 3, 4],
  "Colors exchanged": [6, 7, 1],
};
const [COLDEST, HOTTEST] = [0.01, 1]; // the slider goes from one to the other by factors
const FIRST = 0.25; // warm enough to see the softmax at work
const temperatureAt = (value) => COLDEST * (HOTTEST / COLDEST) ** (value / 100);
const placeOf = (temperature) =>
  Math.round((100 * Math.log(temperature / COLDEST)) / Math.log(HOTTEST / COLDEST));

function picture(facts, index) {
  const node = make("span", { className: "tile",
    attributes: { role: "img", "aria-label": `Picture of ${facts.labels[index]}` } });
  node.style.backgroundPosition = `${(100 * index) / (facts.labels.length - 1)}% 0`;
  return node;
}

/** A table of numbers; `strong` of a number says how dark its cell is, from 0 to 1. */
function table(facts, title, pairs, numbers, strong, digits) {
  const heads = pairs.map(({ caption }) =>
    make("th", { scope: "col" }, facts.labels[caption]));
  const rows = numbers.map((row, i) => make("tr", {},
    make("th", { scope: "row" }, picture(facts, pairs[i].picture)),
    ...row.map((value, k) => {
      const cell = make("td", { className: i === k ? "pair" : "" }, fixed(value, digits));
      cell.style.setProperty("--share", `${Math.round(55 * strong(value))}%`);
      return cell;
    })));
  return make("table", {}, make("caption", {}, title),
    make("thead", {}, make("tr", {}, make("td"), ...heads)), make("tbody", {}, ...rows));
}

function choice(facts, text, name) {
  const select = make("select", { id: name }, ...facts.labels.map((label, value) =>
    make("option", { value }, label)));
  return { select, row: make("div", {}, make("label", { htmlFor: name }, text), select) };
}

function folds() {
  return [
    make("details", {}, make("summary", {}, "Does a lower temperature always lower the loss?"),
      make("p", {}, "No. While the largest cosine of each row and each column is that of the " +
        "pair, a lower temperature gives the pair a larger share, and the loss goes to zero. " +
        "But where a wrong caption is nearer, as with \u201cColors exchanged\u201d, the softmax " +
        "gets ever surer of a mistake: below some temperature the loss rises again, in the end " +
        "like one over the temperature. So a model that learns its temperature cannot simply " +
        "turn it down.")),
    make("details", {}, make("summary", {}, "What if two of the three captions are the same?"),
      make("p", {}, "Then their columns are equal, and nobody can tell which of them belongs to " +
        "a picture: each gets half of what both get. Two of three pairs cost ln 2 = 0.69 or " +
        "more, so the loss is at least 0.46 whatever the model does. Choose one caption twice " +
        "and lower the temperature. Large batches do hold such pairs."))];
}

/** Builds the controls; returns the nodes that change. */
function build(el, facts) {
  const name = uid();
  const presets = Object.keys(SETS).map((title) => make("button", { type: "button" }, title));
  const pairs = [0, 1, 2].map((i) => ({
    picture: choice(facts, `Picture ${i + 1}`, `${name}-picture-${i}`),
    caption: choice(facts, `Caption ${i + 1}`, `${name}-caption-${i}`) }));
  const slider = make("input", { type: "range", id: `${name}-heat`, min: 0, max: 100 });
  const value = make("b"), learned = make("button", { type: "button" },
    `As learned, ${fixed(facts.temperature, 3)}`);
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const tables = make("div", { className: "tables" });
  el.append(
    make("p", {}, "CLIP compares each picture with each caption of a batch. Its loss wants the " +
      "pairs, on the diagonal, to win in their row and in their column."),
    make("div", { className: "presets" }, ...presets),
    make("div", { className: "choices" }, ...pairs.flatMap(({ picture: p, caption: c }) =>
      [p.row, c.row])),
    make("div", { className: "line" }, make("label", { htmlFor: slider.id }, "Temperature"),
      slider, value, learned),
    status, tables, ...folds(),
    make("p", { className: "note" }, "The cosines were computed once, by our small CLIP of the " +
      "generated shapes; softmax and loss are computed here. A yellow triangle was never shown " +
      "in training."));
  return { presets, pairs, slider, value, learned, status, tables };
}

/** Brings the controls to life. */
function run(el, facts) {
  const ui = build(el, facts);
  el.style.setProperty("--sprite", `url("${facts.sprite}")`);
  el.style.setProperty("--across", facts.labels.length);

  function update() {
    const pairs = ui.pairs.map(({ picture: p, caption: c }) =>
      ({ picture: Number(p.select.value), caption: Number(c.select.value) }));
    const cosines = pairs.map(({ picture: p }) =>
      pairs.map(({ caption }) => facts.cosines[p][caption]));
    const temperature = ui.heat;
    const found = contrast(cosines, temperature);
    const share = (x) => x;
    ui.value.textContent = fixed(temperature, 3);
    ui.slider.setAttribute("aria-valuetext", fixed(temperature, 3));
    ui.tables.replaceChildren(
      table(facts, "Cosines", pairs, cosines, (x) => Math.max(0, x), 2),
      table(facts, "Softmax by rows: which caption?", pairs, found.byRow, share, 2),
      table(facts, "Softmax by columns: which picture?", pairs, found.byColumn, share, 2));
    ui.status.textContent = `Cross-entropy by rows ${fixed(found.rows)}, by columns ` +
      `${fixed(found.columns)}; the loss is their mean, ${fixed(found.loss)}. ` +
      `Guessing costs ln 3 = ${fixed(Math.log(3))}.`;
    ui.presets.forEach((button) => button.setAttribute("aria-pressed",
      SETS[button.textContent].every((k, i) => pairs[i].picture === k && pairs[i].caption === k)));
  }
  function heat(temperature) {
    ui.heat = temperature;
    update();
  }
  function choose(indices) {
    ui.pairs.forEach(({ picture: p, caption: c }, i) => {
      p.select.value = c.select.value = indices[i];
    });
    update();
  }
  ui.presets.forEach((button) => {
    button.onclick = () => choose(SETS[button.textContent]);
  });
  ui.pairs.forEach(({ picture: p, caption: c }) => {
    p.select.onchange = c.select.onchange = update;
  });
  ui.slider.oninput = () => heat(temperatureAt(Number(ui.slider.value)));
  ui.learned.onclick = () => {
    ui.slider.value = placeOf(facts.temperature);
    heat(facts.temperature);
  };
  [ui.heat, ui.slider.value] = [FIRST, placeOf(FIRST)];
  choose(Object.values(SETS)[0]);
}

const STYLE = `
.mmdl-clip_table :is(.presets, .line) { display: flex; flex-wrap: wrap; gap: 0.5em 0.7em;
  align-items: center; margin: 0.6em 0; }
.mmdl-clip_table [aria-pressed=true] { border-color: var(--accent);
  box-shadow: 0 0 0 1px var(--accent); }
.mmdl-clip_table .choices { display: grid; gap: 0.4em 1em;
  grid-template-columns: repeat(2, minmax(0, 1fr)); }
.mmdl-clip_table label { display: block; font-size: 0.85em; margin: 0; }
.mmdl-clip_table select { font: inherit; color: inherit; background: transparent; width: 100%;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; }
.mmdl-clip_table option { color: #111; background: #fff; }
.mmdl-clip_table select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-clip_table .line input { flex: 1; min-width: 8em; padding: 0; accent-color: var(--accent); }
.mmdl-clip_table .tables { display: grid; gap: 0.8em 1.4em; align-items: end; }
@container (min-width: 640px) { .mmdl-clip_table .tables { grid-template-columns: repeat(3, 1fr); }
  .mmdl-clip_table .choices { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
.mmdl-clip_table table { width: 100%; border-collapse: separate; border-spacing: 3px; margin: 0;
  table-layout: fixed; border: 0; font-size: 0.95em; }
.mmdl-clip_table caption { caption-side: top; text-align: left; font-weight: 600; color: inherit;
  padding: 0.2em 0; }
.mmdl-clip_table :is(tr, td, th) { border: 0; background: none; color: inherit; }
.mmdl-clip_table thead th { font-weight: 400; font-size: 0.8em; line-height: 1.2; padding: 0.1em;
  vertical-align: bottom; text-align: center; overflow-wrap: anywhere; }
.mmdl-clip_table :is(thead td, tbody th) { width: 3.4em; padding: 0; }
.mmdl-clip_table tbody td { text-align: center; font-variant-numeric: tabular-nums; padding: 0.2em;
  border-radius: 0.3em; background: color-mix(in srgb, var(--accent) var(--share), transparent); }
.mmdl-clip_table .pair { outline: 2px solid var(--accent); outline-offset: -1px; }
.mmdl-clip_table .tile { display: block; width: 3em; aspect-ratio: 1; border-radius: 0.3em;
  background-image: var(--sprite); background-size: calc(100% * var(--across)) 100%; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "clip_table", model.get("title"), STYLE);
    model.set("running", true);
    run(root, model.get("facts"));
  },
};
