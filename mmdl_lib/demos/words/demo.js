/* The demo of word vectors: neighbors, analogies and a map of 5,000 words of GloVe.

   No network runs here: the vectors come as 8-bit numbers (`recipes/words_demo.py`), on a page
   after a click, in a notebook with the widget; all else is computed here. What the model may
   offer:
     title   what the demo is for
     facts   {words, width, vectors}; absent on a page, which loads the two files */

import { bytes, download, fixed, make, stage, startButton, uid } from "../common.js";
import { directions, dot, field, find, listen, numbers, unit } from "../vectors.js";

// ---- vectors
/** Words and their directions, from 8-bit numbers row by row. */
export function unpack({ words, width }, buffer) {
  const rows = directions(numbers(buffer, words.length * width), words.length, width);
  return { words, rows, index: new Map(words.map((word, i) => [word, i])) };
}

/** The n words of the highest cosine with a direction; `without` are no answers. */
export function nearest(table, query, n, without = []) {
  const goal = unit(query);
  return table.rows.map((row, i) => ({ word: table.words[i], cosine: dot(row, goal) }))
    .filter(({ word }) => !without.includes(word))
    .sort((a, b) => b.cosine - a.cosine).slice(0, n);
}

/** Where a - b + c points. */
export function combine(table, inputs) {
  const [a, b, c] = inputs.map((word) => table.rows[table.index.get(word)]);
  return unit(a.map((x, i) => x - b[i] + c[i]));
}

/** Values and vectors (columns) of a symmetric matrix, by Jacobi's rotations. */
function eigen(matrix) {
  const a = matrix.map((row) => [...row]), n = a.length;
  const v = a.map((_, i) => a.map((_, k) => Number(i === k)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) {
      off += a[p][q] ** 2;
      if (Math.abs(a[p][q]) < 1e-15) continue;
      const angle = 0.5 * Math.atan2(2 * a[p][q], a[q][q] - a[p][p]);
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      const turn = (row) => { [row[p], row[q]] = [c * row[p] - s * row[q], s * row[p] + c * row[q]]; };
      a.forEach(turn);
      [a[p], a[q]] = [a[p].map((x, k) => c * x - s * a[q][k]),
        a[q].map((x, k) => s * a[p][k] + c * x)];
      v.forEach(turn);
    }
    if (off < 1e-24) break;
  }
  return { values: a.map((row, i) => row[i]), vectors: v };
}

/** Points on the two directions in which they spread most, and the share of their spread that
    these hold: principal component analysis, by the products of the points. */
export function flatten(points) {
  const n = points.length;
  const middle = points[0].map((_, d) => points.reduce((sum, p) => sum + p[d], 0) / n);
  const centered = points.map((p) => p.map((x, d) => x - middle[d]));
  const { values, vectors } = eigen(centered.map((p) => centered.map((q) => dot(p, q))));
  const order = values.map((_, i) => i).sort((i, k) => values[k] - values[i]).slice(0, 2);
  const axes = order.map((k) => {
    const column = vectors.map((row) => row[k] * Math.sqrt(Math.max(values[k], 0)));
    const far = column.reduce((a, b) => Math.abs(b) > Math.abs(a) + 1e-9 ? b : a, 0);
    return column.map((x) => far < 0 ? -x : x); // the farthest point is on the right, or above
  });
  const whole = values.reduce((a, b) => a + b, 0);
  return { places: points.map((_, i) => [axes[0][i], axes[1][i]]),
    share: whole > 1e-12 ? (values[order[0]] + values[order[1]]) / whole : 1 };
}

// ---- the map
const LETTER = 7.4, LINE = 17; // pixels of a name
const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]))
  * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

/** Places for names beside their dots, so that they cover each other as little as can be:
    boxes [left, top, right, bottom]. */
export function place(dots, names, width, height) {
  const taken = dots.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
  return names.map((name, i) => {
    const [x, y] = dots[i], w = LETTER * name.length + 4;
    let best = null, least = Infinity;
    for (const far of [0, 14, 30, 48]) {
      for (const [left, top] of [[x + 9 + far, y - LINE / 2], [x - 9 - far - w, y - LINE / 2],
        [x - w / 2, y - 8 - LINE - far], [x - w / 2, y + 8 + far], [x + 7, y - 6 - LINE - far],
        [x + 7, y + 6 + far], [x - 7 - w, y - 6 - LINE - far], [x - 7 - w, y + 6 + far]]) {
        const box = [left, top, left + w, top + LINE];
        const outside = w * LINE - overlap(box, [0, 0, width, height]);
        const cost = far / 4 + 10 * outside
          + taken.reduce((sum, other, k) => sum + (k === i ? 0 : overlap(box, other)), 0);
        if (cost < least) [best, least] = [box, cost];
      }
    }
    taken.push(best);
    return best;
  });
}

function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  node.append(...children);
  return node;
}

/** shown: {name, point, kind}; arrows: pairs of names. */
function picture(shown, arrows, title, width) {
  const height = Math.round(Math.max(300, Math.min(420, 0.6 * width)));
  const { places, share } = flatten(shown.map(({ point }) => point));
  const reach = (d) => {
    const all = places.map((p) => p[d]);
    return [Math.min(...all), Math.max(...all)];
  };
  const [[left, right], [low, high]] = [reach(0), reach(1)];
  const edge = [70, 34]; // one scale for both directions
  const scale = Math.min((width - 2 * edge[0]) / (right - left || 1),
    (height - 2 * edge[1]) / (high - low || 1));
  const dots = places.map(([x, y]) => [width / 2 + scale * (x - (left + right) / 2),
    height / 2 - scale * (y - (low + high) / 2)]);
  const boxes = place(dots, shown.map(({ name }) => name), width, height);
  const tip = uid(), at = (name) => dots[shown.findIndex((one) => one.name === name)];
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    draw("defs", {}, draw("marker", { id: tip, viewBox: "0 0 8 8", refX: 7, refY: 4,
      markerWidth: 7, markerHeight: 7, orient: "auto" },
    draw("path", { d: "M0 0 L8 4 L0 8 z", class: "tip" }))));
  for (const [from, to] of arrows) {
    const [[x1, y1], [x2, y2]] = [at(from), at(to)];
    svg.append(draw("line", { x1, y1, x2, y2, class: "arrow", "marker-end": `url(#${tip})` }));
  }
  shown.forEach(({ name, kind }, i) => {
    const [x, y] = dots[i], [l, t, r, b] = boxes[i];
    const near = [Math.min(Math.max(x, l), r), Math.min(Math.max(y, t), b)];
    if (Math.hypot(near[0] - x, near[1] - y) > 14)
      svg.append(draw("line", { x1: x, y1: y, x2: near[0], y2: near[1], class: "leader" }));
    svg.append(draw("circle", { cx: x, cy: y, r: 4.5, class: kind }),
      draw("text", { x: (l + r) / 2, y: b - 4, class: kind }, name));
  });
  return { svg, share };
}

// ---- what the reader sees
const BEGIN = "king";
const WORDS = ["king", "bank", "paris", "hot", "went", "python"];
const QUESTIONS = [["king", "man", "woman"], ["paris", "france", "japan"],
  ["wrote", "write", "sing"], ["bigger", "big", "small"]];
const asked = ([a, b, c]) => `${a} \u2212 ${b} + ${c}`;
const group = (name, ...nodes) => make("div", { className: "picks",
  attributes: { role: "group", "aria-label": name } }, ...nodes);
const heading = (text) => make("p", { className: "title" }, text);

function build(el, { words }) {
  const list = make("datalist", { id: uid() });
  const word = field("Word", list.id);
  const inputs = ["First word", "Minus", "Plus"].map((name) => field(name, list.id));
  const button = (text) => make("button", { type: "button" }, text);
  const picks = WORDS.map(button), questions = QUESTIONS.map((one) => button(asked(one)));
  const near = make("ol"), free = make("ol"), strict = make("ol");
  const views = ["Neighbors", "Analogy"].map(button);
  const map = make("div", { className: "map" }), note = make("p", { className: "note" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const [a, b, c] = inputs;
  el.append(
    make("p", {}, `${words.length.toLocaleString("en")} frequent words of GloVe, each a direction ` +
      "in 50 dimensions. Bars are cosines. Type words, pick examples, or click a word to go on " +
      "from it."),
    list, make("div", { className: "parts" },
      make("div", {}, heading("a \u2212 b + c"),
        group("Analogy", a, "\u2212", b, "+", c), group("Examples of analogies", ...questions),
        make("div", { className: "two" },
          make("div", {}, make("p", { className: "note" }, "All words"), free),
          make("div", {}, make("p", { className: "note" }, "The three inputs left out"), strict)),
        status),
      make("div", {}, heading("Ten nearest words"), word,
        group("Examples of words", ...picks), near)),
    heading("Map"), group("Words of the map", ...views), map, note,
    make("p", { className: "note" }, "Vectors: GloVe 6B by Pennington, Socher and Manning, 50 " +
      "dimensions, here rounded to 8 bits. It learned from texts of 2014 and before, with " +
      "their prejudices; we left some words out."));
  return { list, word, inputs, picks, questions, near, free, strict, views, map, note, status };
}

function run(el, table) {
  const ui = build(el, table);
  let word = BEGIN, inputs = QUESTIONS[0], view = 1;

  function say(words, wrong = false) {
    ui.status.textContent = words;
    ui.status.classList.toggle("wrong", wrong);
  }
  function fillList(list, found, known = []) {
    list.replaceChildren(...found.map(({ word: name, cosine }) => {
      const bar = make("span", { className: "bar" }, make("i"));
      bar.firstChild.style.width = `${100 * Math.max(0, cosine)}%`;
      const own = known.includes(name);
      const what = make("span", { className: "what" }, name,
        ...(own ? [make("small", {}, " (input)")] : []), bar);
      const node = make("button", { type: "button", className: own ? "known own" : "known" },
        what, make("b", {}, fixed(cosine, 2)));
      node.onclick = () => { pick(name); };
      return make("li", {}, node);
    }));
  }
  const vector = (name) => table.rows[table.index.get(name)];
  const neighbors = () => nearest(table, vector(word), 10, [word]);
  const answers = () => {
    const query = combine(table, inputs);
    return { query, free: nearest(table, query, 5), strict: nearest(table, query, 5, inputs) };
  };

  function showMap() {
    ui.views.forEach((node, i) => node.setAttribute("aria-pressed", i === view));
    let names, shown, arrows = [], title;
    if (view === 0) {
      names = neighbors().map((one) => one.word);
      shown = [{ name: word, point: vector(word), kind: "input" },
        ...names.map((name) => ({ name, point: vector(name), kind: "answer" }))];
      title = `Map of ${word} and its ten nearest words`;
    } else {
      const { query, strict } = answers(), [a, b, c] = inputs, goal = asked(inputs);
      names = strict.map((one) => one.word);
      shown = [...new Set(inputs)].map((name) => ({ name, point: vector(name), kind: "input" }));
      shown.push({ name: goal, point: query, kind: "goal" },
        ...names.map((name) => ({ name, point: vector(name), kind: "answer" })));
      arrows = b === c ? [] : [[b, c], [a, goal]];
      title = `Map of ${goal}, its three inputs and the five nearest other words`;
    }
    const width = Math.max(280, Math.min(ui.map.clientWidth || 600, 900));
    const { svg, share } = picture(shown, arrows, title, width);
    ui.map.replaceChildren(svg);
    ui.note.textContent = `${title}, on the two directions in which they spread most. These hold ` +
      `${Math.round(100 * share)} % of the spread; who looks near here may be far in the rest.`;
  }
  function showWord() {
    ui.word.value = word;
    const found = neighbors();
    fillList(ui.near, found);
    say(`Nearest to ${word}: ${found[0].word}, ${fixed(found[0].cosine, 2)}.`);
  }
  function showAnalogy() {
    ui.inputs.forEach((node, i) => { node.value = inputs[i]; });
    const { free, strict } = answers();
    fillList(ui.free, free, inputs);
    fillList(ui.strict, strict);
    const first = free[0], own = inputs.includes(first.word) ? ", an input" : "";
    say(`${asked(inputs)}: nearest of all words is ${first.word}${own}, ` +
      `${fixed(first.cosine, 2)}; with the inputs left out ${strict[0].word}, ` +
      `${fixed(strict[0].cosine, 2)}.`);
  }
  function pick(name) {
    [word, view] = [name, 0];
    showWord();
    showMap();
  }
  function ask(three) {
    [inputs, view] = [three, 1];
    showAnalogy();
    showMap();
  }
  const heed = (node, read) => listen(node, table.words, ui.list, read, say);
  heed(ui.word, () => pick(find(table, ui.word.value)));
  ui.inputs.forEach((node) => {
    heed(node, () => ask(ui.inputs.map((one) => find(table, one.value))));
  });
  ui.picks.forEach((node, i) => { node.onclick = () => pick(WORDS[i]); });
  ui.questions.forEach((node, i) => { node.onclick = () => ask(QUESTIONS[i]); });
  ui.views.forEach((node, i) => { node.onclick = () => { view = i; showMap(); }; });
  showWord();
  ask(inputs);
  let before = ui.map.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(ui.map.clientWidth - before) < 2) return;
    before = ui.map.clientWidth;
    showMap();
  }).observe(ui.map);
}

const STYLE = `
.mmdl-words .picks { display: flex; flex-wrap: wrap; gap: 0.4em; margin: 0.5em 0;
  align-items: center; }
.mmdl-words .picks button { padding: 0.15em 0.6em; font-size: 0.9em; }
.mmdl-words .picks input { flex: 1; min-width: 4em; width: 4em; box-sizing: border-box; }
.mmdl-words input { width: 100%; box-sizing: border-box; }
.mmdl-words .title { font-weight: 600; margin: 0.8em 0 0.3em; }
.mmdl-words .parts { display: grid; gap: 0 1.6em; }
.mmdl-words .two { display: grid; gap: 0 1.2em; grid-template-columns: repeat(2, minmax(0, 1fr)); }
@container (min-width: 640px) { .mmdl-words .parts { grid-template-columns: 3fr 2fr; } }
.mmdl-words li { margin: 0 0 0.15em; }
.mmdl-words li button { display: flex; gap: 0.6em; align-items: center; width: 100%;
  text-align: left; padding: 0.1em 0.4em; border-color: transparent; box-sizing: border-box; }
.mmdl-words .own .bar i { background: var(--bad); }
.mmdl-words [aria-pressed=true] { border-color: var(--accent);
  box-shadow: 0 0 0 1px var(--accent); }
.mmdl-words svg { display: block; width: 100%; max-width: 900px; height: auto;
  border: 1px solid var(--edge); border-radius: 0.4em; }
.mmdl-words svg text { font: 13px sans-serif; text-anchor: middle; fill: currentColor; }
.mmdl-words svg text:is(.input, .goal) { font-weight: 700; }
.mmdl-words circle { fill: var(--accent); }
.mmdl-words circle.input { fill: var(--bad); }
.mmdl-words circle.goal { fill: none; stroke: currentColor; stroke-width: 2; }
.mmdl-words .arrow { stroke: currentColor; stroke-opacity: 0.6; stroke-dasharray: 4 3; }
.mmdl-words .leader { stroke: var(--edge); }
.mmdl-words .tip { fill: currentColor; fill-opacity: 0.6; }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "words", model.get("title"), STYLE), known = model.get("facts");
    if (known) return run(root, unpack(known, bytes(known.vectors).buffer));
    startButton(root, model, async () => {
      const files = model.get("files");
      const [vectors, facts] = await Promise.all([download(`${files}vectors.bin`),
        download(`${files}facts.json`)]);
      const table = unpack(JSON.parse(new TextDecoder().decode(facts)), vectors);
      model.set("running", true);
      run(root, table);
      root.querySelector("input").focus({ preventScroll: true });
    }, "words");
  },
};
