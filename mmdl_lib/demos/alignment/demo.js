/* The demo of alignment: where attention looks, beside the gold links and the diagonal.

   The weights come from a file (`recipes/alignment_demo.py`); what is found is counted here,
   on a page and in a notebook. What the model must offer:
     title   what the demo is for
     facts   {clauses, found, links, count, eligible, longest, least}; of a clause
             {name, spanish, english, gold, diagonal, weights}; row = English word,
             weights in thousandths */

import { make, stage, uid } from "../common.js";

const KINDS = { bahdanau: "Bahdanau's attention", transformer: "Transformer, layer 2",
  diagonal: "The diagonal" };
const SVG = "http://www.w3.org/2000/svg";

/** Weights of each English word on each Spanish word, from 0 to 1; those of the diagonal
    are 1 at one word. */
export function weightsOf(clause, kind) {
  const count = clause.spanish.split(" ").length;
  if (kind !== "diagonal") return clause.weights[kind].map((row) => row.map((w) => w / 1000));
  return clause.diagonal.map((to) => Array.from({ length: count }, (_, j) => Number(j === to)));
}

/** Spanish words that an English word translates, by the gold links. */
export const goldOf = (clause, word) =>
  clause.gold.filter(([i]) => i === word).map(([, j]) => j);

/** The place of the largest weight; the first of equals. */
export const largest = (row) => row.indexOf(Math.max(...row));

/** For each English word: true, found; false, missed; null, no gold link. */
export function judge(clause, kind) {
  return weightsOf(clause, kind).map((row, i) => {
    const gold = goldOf(clause, i);
    return gold.length ? gold.includes(largest(row)) : null;
  });
}

/** How many English words with a gold link are found, of how many. */
export function count(clause, kind) {
  const verdicts = judge(clause, kind).filter((verdict) => verdict !== null);
  return [verdicts.filter(Boolean).length, verdicts.length];
}

// ---- what the reader sees
const percent = (x) => `${Math.round(100 * x)}\u00a0%`;
const quoted = (words) => words.map((word) => `“${word}”`).join(" and ");
const whole = (n) => n.toLocaleString("en");

function svg(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  return node;
}

function sample(kind) {
  const picture = svg("svg", { width: 34, height: 10, "aria-hidden": "true" });
  picture.append(svg("path", { class: kind, d: "M1 5H33", "stroke-width": 5 }));
  return picture;
}

function choices(name) {
  const inputs = {};
  const rows = Object.entries(KINDS).map(([kind, text]) => {
    inputs[kind] = make("input", { type: "radio", name, value: kind });
    return make("label", {}, inputs[kind], text);
  });
  return { inputs, group: make("fieldset", {}, make("legend", {}, "Draw the lines of"),
    ...rows) };
}

function note({ eligible, found, links, longest, least, clauses }) {
  return make("p", { className: "note" },
    `${clauses.length} of the ${eligible} clauses of John, Job, James and Esther with at most ` +
    `${longest} words and at least ${least} English words that have a gold link, drawn by a ` +
    "fixed seed; nobody picked them. Neither model has trained on these books. The true words " +
    "before are given, and weights of a word's pieces are put together. The Transformer's are " +
    `means over heads; its first layer finds ${percent(found["first layer"] / links)} of all. ` +
    "The two models differ in more than their attention.");
}

/** Builds the controls; returns the nodes that change. */
function build(el, facts) {
  const name = uid(), { inputs, group } = choices(name);
  const select = make("select", { id: `${name}-clause` }, ...facts.clauses.map((one, value) =>
    make("option", { value }, `${value + 1}. ${one.name}`)));
  const next = make("button", { type: "button" }, "Next clause");
  const all = make("button", { type: "button" }, "All words");
  const lines = svg("svg", { class: "lines", "aria-hidden": "true" });
  const source = make("div", { className: "words", lang: "es",
    attributes: { role: "group", "aria-label": "Spanish words" } });
  const target = make("div", { className: "words",
    attributes: { role: "group", "aria-label": "English words" } });
  const board = make("div", { className: "board" }, lines, source, target);
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const body = make("tbody"), head = make("th", { scope: "col" }, "this clause");
  el.append(
    make("p", {}, "Point at an English word, or go there with Tab and the arrow keys: where " +
      "did the model look when it wrote the word?"),
    make("div", { className: "line" }, make("label", { htmlFor: select.id }, "Clause"), select,
      next, all), group, board,
    make("p", { className: "legend" }, make("span", {}, sample("look"), " weight, the thicker " +
      "the larger"), make("span", {}, sample("gold"), " gold link"), make("span", {}, "✓ found"),
    make("span", {}, "✗ missed")),
    status,
    make("table", {}, make("caption", {}, "English words whose largest weight lies on a word " +
      "that they translate, of those with a gold link"),
    make("thead", {}, make("tr", {}, make("td"), head,
      make("th", { scope: "col" }, `all ${facts.count} new clauses`))), body),
    note(facts));
  return { inputs, select, next, all, lines, source, target, board, status, body };
}

/** Places of the ends of a line between an English and a Spanish word. */
function ends(ui, word, to) {
  const box = ui.board.getBoundingClientRect();
  const [a, b] = [ui.target.children[word], ui.source.children[to]]
    .map((node) => node.getBoundingClientRect());
  if (ui.board.classList.contains("upright"))
    return [a.left - box.left - 2, (a.top + a.bottom) / 2 - box.top,
      b.right - box.left + 2, (b.top + b.bottom) / 2 - box.top];
  return [(a.left + a.right) / 2 - box.left, a.top - box.top - 2,
    (b.left + b.right) / 2 - box.left, b.bottom - box.top + 2];
}

/** Draws lines for some English words: all their weights, or the largest only. */
function draw(ui, clause, weights, words, all) {
  const looks = [], gold = [];
  for (const i of words) {
    const best = largest(weights[i]);
    weights[i].forEach((w, j) => {
      if (all ? w < 0.02 : j !== best) return;
      const [x, y, u, v] = ends(ui, i, j);
      looks.push(svg("path", { class: "look", d: `M${x} ${y}L${u} ${v}`,
        "stroke-width": 1 + 9 * w }));
    });
    for (const j of goldOf(clause, i)) {
      const [x, y, u, v] = ends(ui, i, j);
      const upright = ui.board.classList.contains("upright"), [p, q] = upright ? [0, 7] : [7, 0];
      const [m, n] = upright ? [(x + u) / 2, null] : [null, (y + v) / 2];
      gold.push(svg("path", { class: "gold", d: `M${x + p} ${y + q}C` +
        `${m ?? x + p} ${n ?? y + q} ${m ?? u + p} ${n ?? v + q} ${u + p} ${v + q}` }));
    }
  }
  ui.lines.replaceChildren(...looks, ...gold);
}

/** Side by side if the words have no room in two rows. */
function arrange(ui) {
  ui.board.classList.remove("upright");
  const wide = [ui.source, ui.target].some((line) => line.scrollWidth > line.clientWidth + 1);
  ui.board.classList.toggle("upright", wide);
}

const MARKS = new Map([[true, ["✓", "found"]], [false, ["✗", "missed"]],
  [null, ["", "no gold link"]]]);

/** The rows of the table. */
function counts(facts, clause, kind) {
  return Object.entries(KINDS).map(([one, text]) => {
    const total = facts.found[one];
    return make("tr", { className: one === kind ? "now" : "" },
      make("th", { scope: "row" }, text), make("td", {}, count(clause, one).join(" of ")),
      make("td", {}, `${whole(total)} of ${whole(facts.links)} (${percent(total / facts.links)})`));
  });
}

/** What is read out: of a word, or of the clause. */
function words(facts, clause, kind, word) {
  const spanish = clause.spanish.split(" "), english = clause.english.split(" ");
  if (word === null) {
    const [[k, n], [straight]] = [count(clause, kind), count(clause, "diagonal")];
    if (kind === "diagonal") return `The diagonal finds ${k} of ${n} here; it looks at no word.`;
    return `${KINDS[kind]} finds ${k} of ${n} here, the diagonal ${straight} of ${n}.`;
  }
  const row = weightsOf(clause, kind)[word], gold = goldOf(clause, word);
  const order = row.map((_, j) => j).sort((a, b) => row[b] - row[a] || a - b).slice(0, 2);
  const most = order.filter((j) => row[j] >= 0.005)
    .map((j) => `${percent(row[j])} on “${spanish[j]}”`);
  const end = gold.length ? `Gold: ${quoted(gold.map((j) => spanish[j]))}, ` +
    `${judge(clause, kind)[word] ? "found" : "missed"}.` : "It has no gold link: not counted.";
  return `“${english[word]}”: ${most.join(", ")}. ${end}`;
}

/** Brings the controls to life. */
function run(el, facts) {
  const ui = build(el, facts);
  let clause = null, kind = "bahdanau", chosen = null, pointed = null;

  function show() {
    const weights = weightsOf(clause, kind), verdicts = judge(clause, kind);
    const word = pointed ?? chosen, gold = word === null ? [] : goldOf(clause, word);
    const buttons = [...ui.target.children];
    buttons.forEach((button, i) => {
      const [mark, said] = MARKS.get(verdicts[i]);
      button.lastChild.textContent = mark;
      button.setAttribute("aria-label", `${button.firstChild.textContent}, ${said}`);
      button.setAttribute("aria-pressed", i === chosen);
      button.classList.toggle("pointed", i === word);
      button.tabIndex = i === (chosen ?? 0) ? 0 : -1;
    });
    [...ui.source.children].forEach((node, j) => {
      const share = word === null ? 0 : weights[word][j];
      node.lastChild.textContent = share >= 0.02 ? percent(share) : "";
      node.classList.toggle("true", gold.includes(j));
    });
    const linked = verdicts.flatMap((verdict, i) => verdict === null ? [] : [i]);
    draw(ui, clause, weights, word === null ? linked : [word], word !== null);
    ui.body.replaceChildren(...counts(facts, clause, kind));
    ui.status.textContent = words(facts, clause, kind, word);
  }
  function choose(word) {
    chosen = word;
    show();
  }
  function point(word) {
    pointed = word;
    show();
  }
  function press(event, i) {
    const last = ui.target.children.length - 1;
    const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1,
      Home: 0, End: last }[event.key];
    if (event.key === "Escape") choose(null);
    if (to === undefined) return;
    event.preventDefault();
    ui.target.children[Math.min(last, Math.max(0, to))].focus();
  }
  function button(text, i) {
    const node = make("button", { type: "button" }, make("span", {}, text), make("small"));
    node.onfocus = () => choose(i);
    node.onclick = () => choose(i); // where a click gives no focus
    node.onkeydown = (event) => press(event, i);
    node.onpointerenter = (event) => { if (event.pointerType !== "touch") point(i); };
    node.onpointerleave = () => point(null);
    return node;
  }
  function open(index) {
    [clause, chosen, pointed] = [facts.clauses[index], null, null];
    ui.select.value = index;
    ui.source.replaceChildren(...clause.spanish.split(" ").map((text) =>
      make("span", {}, make("span", {}, text), make("small"))));
    ui.target.replaceChildren(...clause.english.split(" ").map(button));
    arrange(ui);
    show();
  }
  ui.select.onchange = () => open(Number(ui.select.value));
  ui.next.onclick = () => open((Number(ui.select.value) + 1) % facts.clauses.length);
  ui.all.onclick = () => choose(null);
  for (const [name, input] of Object.entries(ui.inputs))
    input.onchange = () => { kind = name; show(); };
  ui.inputs[kind].checked = true;
  open(0);
  let width = 0;
  new ResizeObserver(() => {
    if (el.clientWidth === width) return; // only the height has changed
    width = el.clientWidth;
    arrange(ui);
    show();
  }).observe(el);
}

const STYLE = `
.mmdl-alignment .line { display: flex; flex-wrap: wrap; gap: 0.5em 0.7em; align-items: center;
  margin: 0.6em 0; }
.mmdl-alignment label { margin: 0; }
.mmdl-alignment select { font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.25em 0.4em; }
.mmdl-alignment option { color: #111; background: #fff; }
.mmdl-alignment select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-alignment fieldset { border: 0; padding: 0; margin: 0 0 0.8em; display: flex;
  flex-wrap: wrap; gap: 0.2em 1em; }
.mmdl-alignment legend { float: left; font-size: inherit; width: auto; margin: 0; padding: 0; }
.mmdl-alignment fieldset input { margin: 0 0.35em 0 0; accent-color: var(--accent); }
.mmdl-alignment .board { position: relative; display: flex; flex-direction: column; gap: 9em;
  margin: 0.4em 0; }
.mmdl-alignment .words { display: flex; justify-content: space-between; gap: 0.25em; }
.mmdl-alignment .words > * { display: flex; flex-direction: column; align-items: center;
  padding: 0.1em 0.3em; border: 2px solid transparent; border-radius: 0.4em; line-height: 1.25;
  white-space: nowrap; min-width: 2.4em; box-sizing: border-box; }
.mmdl-alignment .words small { min-height: 1.3em; font-size: 0.8em; line-height: 1.3;
  font-variant-numeric: tabular-nums; }
.mmdl-alignment .words > span { flex-direction: column-reverse; }
.mmdl-alignment .words button.pointed { border-color: var(--accent); }
.mmdl-alignment .words .true { border: 2px dashed currentColor; }
.mmdl-alignment .board.upright { flex-direction: row; gap: 0; justify-content: space-between; }
.mmdl-alignment .upright .words { flex-direction: column; justify-content: space-between; }
.mmdl-alignment .upright .words > * { flex-direction: row; gap: 0.4em; min-height: 1.7em; }
.mmdl-alignment .upright .words > span { flex-direction: row-reverse; }
.mmdl-alignment .upright .words small { min-width: 2.9em; }
.mmdl-alignment .upright .words button small { min-width: 1em; }
.mmdl-alignment .lines { position: absolute; inset: 0; width: 100%; height: 100%;
  overflow: visible; pointer-events: none; }
.mmdl-alignment .look { stroke: var(--accent); fill: none; opacity: 0.8; }
.mmdl-alignment .gold { stroke: currentColor; fill: none; stroke-width: 2;
  stroke-dasharray: 5 4; }
.mmdl-alignment .legend { font-size: 0.85em; display: flex; flex-wrap: wrap; gap: 0 1em; }
.mmdl-alignment .legend svg { vertical-align: middle; }
.mmdl-alignment table { border-collapse: collapse; margin: 0.4em 0; border: 0; width: auto; }
.mmdl-alignment caption { caption-side: top; text-align: left; color: inherit; padding: 0.2em 0;
  font-size: 0.9em; }
.mmdl-alignment :is(tr, td, th) { border: 0; background: none; color: inherit; }
.mmdl-alignment :is(td, th) { padding: 0.2em 1em 0.2em 0; text-align: left;
  font-variant-numeric: tabular-nums; vertical-align: top; }
.mmdl-alignment tbody th { font-weight: 400; }
.mmdl-alignment .now :is(th, td) { font-weight: 600; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "alignment", model.get("title"), STYLE);
    model.set("running", true);
    run(root, model.get("facts"));
  },
};
