/* The demo of fused vectors: how near words lie by two sources, at each weight of the text.

   No network runs here: vectors come as 8-bit numbers, drawings as one picture
   (`recipes/fusion_demo.py`), on a page after a click, in a notebook with the widget; the law
   of the weight is computed here. What the model may offer:
     title   what the demo is for
     facts   {words, text, image, tile, names, size, columns, together, vectors, tiles}; absent
             on a page, which loads the three files */

import { bytes, download, fixed, make, slider, stage, startButton, uid } from "../common.js";
import { directions, dot, field, find, listen, numbers } from "../vectors.js";

// ---- the law
/** Which part of the cosine comes from text. */
export const share = (gamma) => gamma ** 2 / (gamma ** 2 + (1 - gamma) ** 2);

/** Words, directions of both parts, and which words share a picture. */
export function unpack(facts, buffer) {
  const { words, text, image, together } = facts, n = words.length;
  const codes = numbers(buffer, n * (text + image));
  const shared = new Map();
  for (const set of together)
    for (const i of set) shared.set(i, new Set([...shared.get(i) ?? [], ...set]));
  return { ...facts, shared, index: new Map(words.map((word, i) => [word, i])),
    parts: [directions(codes.subarray(0, n * text), n, text),
      directions(codes.subarray(n * text), n, image)] };
}

/** The cosines of a word with all others: {row, text, image}. */
export function compare({ parts: [text, image], words }, row) {
  return words.map((_, i) => ({ row: i, text: dot(text[row], text[i]),
    image: dot(image[row], image[i]) })).filter((one) => one.row !== row);
}

/** The n words of the highest fused cosine, which each is given as `both`. */
export function nearest(compared, gamma, n) {
  const w = share(gamma);
  return compared.map((one) => ({ ...one, both: w * one.text + (1 - w) * one.image }))
    .sort((a, b) => b.both - a.both).slice(0, n);
}

// ---- what the reader sees
const COUNT = 8, FIRST = "pencil", HALF = 0.5;
const WORDS = [FIRST, "moon", "penguin", "piano", "idea", "ice"];
const SOURCES = { text: "Text", image: "Pictures", both: "Both" };
const plain = (className, text = "") => make("span", { className }, text);

/** One line of the table; its nodes stay, so that the focus stays. */
function line(size) {
  const canvas = make("canvas", { width: size, height: size, attributes: { role: "img" } });
  const name = plain("name"), mark = make("small");
  const bar = make("span", { className: "bar", attributes: { "aria-hidden": "true" } },
    plain("of-text"), plain("of-image"));
  const button = make("button", { type: "button", className: "known" }, name);
  const cells = Object.keys(SOURCES).map((key) => make("td", { className: `n-${key}` }));
  const row = make("tr", {}, make("td", {}, canvas),
    make("th", { scope: "row" }, button, mark, bar), ...cells);
  return { row, canvas, name, mark, bar, button, cells };
}

function build(el, { words, size }) {
  const list = make("datalist", { id: uid() }), word = field("Word", list.id);
  const picks = WORDS.map((text) => make("button", { type: "button" }, text));
  const weight = slider("Weight \u03b3", 0, 1, HALF, 0.05);
  const parts = make("p", { className: "parts" });
  const own = make("canvas", { width: size, height: size, attributes: { role: "img" } });
  const lines = Array.from({ length: COUNT }, () => line(size));
  const table = make("table", {}, make("caption"), make("thead", {}, make("tr", {},
    make("td"), make("th", { scope: "col" }, "Word"),
    ...Object.entries(SOURCES).map(([key, text]) =>
      make("th", { scope: "col", className: `n-${key}` }, text)))),
  make("tbody", {}, ...lines.map(({ row }) => row)));
  const ends = ["By pictures alone (\u03b3 = 0)", "By text alone (\u03b3 = 1)"].map((title) => {
    const node = plain("names");
    return { node, box: make("p", {}, make("b", {}, `${title}: `), node) };
  });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(
    make("p", {}, `${words.length.toLocaleString("en")} words, each with a direction by text ` +
      "and one by pictures. Turn the weight from 0 (pictures alone) to 1 (text alone), type a " +
      "word, or click one to go on from it."),
    list, make("div", { className: "ask" }, own, word),
    make("div", { className: "picks", attributes: { role: "group", "aria-label": "Examples" } },
      ...picks),
    weight.row, parts, table, status, ...ends.map(({ box }) => box),
    make("p", { className: "note" }, "Bars show what each source adds to the cosine (none for " +
      "a cosine below zero); bold words stand in the table. A drawing is one of a word's " +
      "pictures; the direction of the word is the mean of all of them. Words without a drawing " +
      "have pictures of OpenMoji alone, which are not copied here. Two words in one picture's " +
      "name or tags share it. Vectors: GloVe and the chapter's picture features, rounded to " +
      "8 bits."));
  return { list, word, picks, weight, parts, own, table, lines, ends, status };
}

function run(el, table, drawings) {
  const ui = build(el, table), { words, names, size, columns } = table;
  let word = FIRST, compared = [];

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  /** Shows the drawing of a word, or hides its place. */
  function drawOn(canvas, row) {
    const tile = table.tile[row];
    canvas.style.visibility = tile < 0 ? "hidden" : "";
    canvas.setAttribute("aria-label", tile < 0 ? "no drawing" : `Drawing: ${names[tile]}`);
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, size, size);
    if (tile < 0) return;
    const x = size * (tile % columns), y = size * Math.floor(tile / columns);
    pen.drawImage(drawings, x, y, size, size, 0, 0, size, size);
  }
  function fill({ canvas, name, mark, bar, button, cells }, one, part) {
    const shared = table.shared.get(table.index.get(word))?.has(one.row);
    name.textContent = words[one.row];
    mark.textContent = shared ? "shares a picture" : "";
    drawOn(canvas, one.row);
    const votes = [part * one.text, (1 - part) * one.image];
    [...bar.children].forEach((node, i) => {
      node.style.width = `${100 * Math.max(0, votes[i])}%`;
    });
    Object.keys(SOURCES).forEach((key, i) => { cells[i].textContent = fixed(one[key], 2); });
    button.onclick = () => pick(words[one.row]);
  }
  function show() {
    const gamma = Number(ui.weight.input.value), part = share(gamma);
    const found = nearest(compared, gamma, COUNT), text = fixed(part, 2);
    ui.weight.output.textContent = fixed(gamma, 2);
    ui.parts.replaceChildren("Share of the cosine: ", plain("key of-text"), ` text ${text}, `,
      plain("key of-image"), ` pictures ${fixed(1 - part, 2)}`);
    ui.table.caption.textContent = `Nearest to ${word}, with their cosines`;
    found.forEach((one, i) => fill(ui.lines[i], one, part));
    const shown = found.map((one) => one.row);
    ui.ends.forEach(({ node }, i) => {
      const nodes = nearest(compared, i, COUNT).map(({ row }) =>
        shown.includes(row) ? make("b", {}, words[row]) : words[row]);
      node.replaceChildren(...nodes.flatMap((one, k) => k ? [", ", one] : [one]));
    });
    say(`Nearest to ${word} at \u03b3 = ${fixed(gamma, 2)}: ${words[found[0].row]}, ` +
      `${fixed(found[0].both, 2)}. Text has ${text} of the cosine, pictures ` +
      `${fixed(1 - part, 2)}.`);
  }
  function pick(name) {
    word = ui.word.value = name;
    compared = compare(table, table.index.get(name));
    drawOn(ui.own, table.index.get(name));
    show();
  }
  listen(ui.word, words, ui.list, () => pick(find(table, ui.word.value, "words with a picture")),
    say);
  ui.picks.forEach((node, i) => { node.onclick = () => pick(WORDS[i]); });
  ui.weight.input.oninput = show;
  pick(FIRST);
}

const STYLE = `
.mmdl-fusion { --text: var(--accent); --image: #d9730d; }
.mmdl-fusion .ask { display: flex; gap: 0.6em; align-items: center; }
.mmdl-fusion .ask input { flex: 1; min-width: 0; }
.mmdl-fusion .picks { display: flex; flex-wrap: wrap; gap: 0.4em; margin: 0.5em 0; }
.mmdl-fusion .picks button { padding: 0.15em 0.6em; font-size: 0.9em; }
.mmdl-fusion canvas { display: block; width: 36px; height: 36px; flex: none; border-radius: 0.3em; }
.mmdl-fusion .slider { margin: 0.6em 0 0; }
.mmdl-fusion :is(.of-text, .of-image) { display: inline-block; height: 0.45em; }
.mmdl-fusion .of-text { background: var(--text); }
.mmdl-fusion .of-image { background: var(--image); }
.mmdl-fusion .key { width: 0.8em; height: 0.8em; border-radius: 0.15em; }
.mmdl-fusion table { width: 100%; margin: 0.4em 0; border-collapse: collapse; font-size: 1em;
  table-layout: fixed; background: none; border: none; }
.mmdl-fusion caption { caption-side: top; text-align: left; font-weight: 600; padding: 0.2em 0;
  color: inherit; }
.mmdl-fusion :is(th, td, tr) { border: none; background: none; padding: 0.15em 0.25em;
  vertical-align: middle; text-align: left; font-weight: 400; color: inherit; }
.mmdl-fusion :is(th, td):first-child { width: 36px; }
.mmdl-fusion tbody tr { height: 3em; }
.mmdl-fusion :is(.n-text, .n-image, .n-both) { width: 3.2em; text-align: right;
  font-variant-numeric: tabular-nums; }
.mmdl-fusion .n-image { width: 4.2em; }
.mmdl-fusion td.n-both { font-weight: 600; }
.mmdl-fusion th .known { padding: 0 0.25em; border-color: transparent; overflow-wrap: anywhere; }
.mmdl-fusion th .bar { display: flex; height: 0.45em; margin: 0.1em 0.25em; max-width: 100%; }
.mmdl-fusion tbody small { color: var(--soft); white-space: nowrap; }
`;

/** A picture from the bytes of its file. */
const decode = (raw) => createImageBitmap(new Blob([raw], { type: "image/webp" }));

export default {
  async render({ model, el }) {
    const root = stage(el, "fusion", model.get("title"), STYLE), known = model.get("facts");
    if (known) {
      const drawings = await decode(bytes(known.tiles));
      return run(root, unpack(known, bytes(known.vectors).buffer), drawings);
    }
    startButton(root, model, async () => {
      const names = ["vectors.bin", "tiles.webp", "facts.json"];
      const [vectors, tiles, facts] = await Promise.all(names.map((name) =>
        download(model.get("files") + name)));
      const table = unpack(JSON.parse(new TextDecoder().decode(facts)), vectors);
      const drawings = await decode(tiles);
      model.set("running", true);
      run(root, table, drawings);
      root.querySelector("input").focus({ preventScroll: true });
    }, "words");
  },
};
