/* The demo of CLIP: a caption against a gallery of pictures.

   One module, two hosts. On a page of the book (`mmdl-host.js`) the text tower runs here,
   by onnxruntime-web. In a live notebook this is the front end of an anywidget and the
   kernel runs it. What the model must offer:
     title      what the demo is for
     worlds     [{name, title}], the galleries to choose from
     first      name of the gallery to begin with
     galleries  in a notebook: {name: facts}; a page fetches them
     files      on a page: address of the folder with <world>.json and <world>.onnx
     runtime    on a page: address of the folder of onnxruntime-web
     megabytes  on a page: what is loaded after the click */

import { ask, bytes, download, fixed, label, make, openRuntime, sentence, stage, startButton,
  uid } from "../common.js";

// ---- from a caption to token ids: mmdl_lib/data/text.py, word for word
const WORD = /[\p{L}\p{N}]+(?:'[\p{L}\p{N}]+)?/gu;
const START = 1, END = 2, FIRST_WORD = 3;
/** Ids of one caption, framed; throws the sentence that WordTokenizer.encode raises. */
export function tokenize(caption, { words, length }) {
  const found = caption.toLowerCase().match(WORD) ?? [];
  if (!found.length) throw new Error(`expected a caption with words, got ${quote(caption)}.`);
  const ids = found.map((word) => {
    const index = words.indexOf(word);
    if (index >= 0) return index + FIRST_WORD;
    const near = quote(nearest(word, words));
    throw new Error(
      `expected words of the vocabulary, got ${quote(word)}; the nearest known word is ${near}.`);
  });
  if (ids.length + 2 > length)
    throw new Error(
      `expected at most ${length - 2} words, got ${ids.length}: shorten the caption.`);
  return [START, ...ids, END];
}

/** Python's repr of a string. */
function quote(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escapes = { "\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\" };
  const inside = text.replace(/[\n\t\r\\]/g, (c) => escapes[c]).replaceAll("\u00a0", "\\xa0");
  return mark + (mark === "'" ? inside.replaceAll("'", "\\'") : inside) + mark;
}

/** The most similar known word: difflib.get_close_matches with n=1 and cutoff=0. */
export function nearest(word, words) {
  const b = [...word];
  const ratios = words.map((known) => {
    const a = [...known];
    return (2 * matches(a, b)) / (a.length + b.length);
  });
  const best = Math.max(...ratios);
  return words.filter((_, i) => ratios[i] === best).sort().at(-1);
}

/** Letters in common: the longest common run, and the same again on both its sides. */
function matches(a, b) {
  let [size, i, j] = [0, 0, 0];
  let runs = [];
  for (let p = 0; p < a.length; p++) {
    const now = [];
    for (let q = 0; q < b.length; q++) {
      if (a[p] !== b[q]) continue;
      now[q] = (runs[q - 1] ?? 0) + 1;
      if (now[q] > size) [size, i, j] = [now[q], p - now[q] + 1, q - now[q] + 1];
    }
    runs = now;
  }
  return size && size + matches(a.slice(0, i), b.slice(0, j))
    + matches(a.slice(i + size), b.slice(j + size));
}

// ---- what a caption of two objects names: pictures beyond the gallery
/** Three scenes {name, row}: what it says, and the same with colors or places exchanged;
    none where it names other than two objects. `row` counts as `recipes/clip_demo.py` does. */
export function named(caption, { colors, shapes }) {
  const words = caption.toLowerCase().match(WORD) ?? [];
  const things = words.flatMap((word, i) => {
    const [c, s] = [colors.indexOf(word), shapes.indexOf(words[i + 1])];
    return c < 0 || s < 0 ? [] : [[c, s]];
  });
  if (things.length !== 2) return [];
  const down = words.some((word) => word === "above" || word === "below");
  const turned = words.some((word) => word === "right" || word === "below");
  const [[c, s], [e, z]] = turned ? things.reverse() : things;
  const scene = (title, ...parts) => {
    const [a, b, f, g] = parts;
    const name = `${colors[a]} ${shapes[b]} ${down ? "above" : "left of"} ${colors[f]} ${shapes[g]}`;
    return { title, name, parts, down, row: parts.reduce((n, k) => 8 * n + k, Number(down)) };
  };
  return [scene("as the caption says", c, s, e, z), scene("colors exchanged", e, s, c, z),
    scene("places exchanged", e, z, c, s)];
}

// ---- the two engines: open(world) -> facts,
//      cosines(world, caption, rows, late) -> {cosines, drawn, by}; rows are those of scenes
/** Runs the text tower in the page. */
export function browserEngine({ files, runtime }) {
  const opened = {};
  async function open(world) {
    if (opened[world]) return opened[world].facts;
    const [ort, json, network] = await Promise.all([openRuntime(runtime),
      download(`${files}${world}.json`), download(`${files}${world}.onnx`)]);
    performance.mark("mmdl-clip-files");
    const facts = JSON.parse(new TextDecoder().decode(json));
    const features = new Float32Array(bytes(facts.features).buffer);
    const session = await ort.InferenceSession.create(new Uint8Array(network));
    const scenes = new Int8Array(bytes(facts.scenes ?? "").buffer);
    opened[world] = { ort, facts, features, scenes, session };
    return facts;
  }

  async function cosines(world, caption, rows = []) {
    await open(world);
    const { ort, facts, features, scenes, session } = opened[world];
    const ids = tokenize(caption, facts);
    const began = performance.now();
    const shape = [1, ids.length];
    const { text } = await session.run({
      tokens: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), shape),
      mask: new ort.Tensor("bool", new Uint8Array(ids.length).fill(1), shape),
    });
    const along = (table, i) => text.data.reduce(
      (sum, value, k) => sum + value * table[i * facts.width + k], 0);
    return { cosines: facts.labels.map((_, i) => along(features, i)),
      drawn: rows.map((i) => along(scenes, i) / 127), // bytes: 127 stands for 1
      by: `this browser, ${label(performance.now() - began)}` };
  }
  return { open, cosines };
}

/** Asks the kernel behind the notebook. */
function kernelEngine(model) {
  const open = async (world) => model.get("galleries")[world];
  async function cosines(world, caption, scenes, late) {
    const began = performance.now();
    const answer = await ask(model, { world, caption, scenes }, late);
    return { ...answer, by: `the kernel (torch), ${label(performance.now() - began)}` };
  }
  return { open, cosines };
}

// ---- what the reader sees
function tile(facts, index) {
  const rows = Math.ceil(facts.labels.length / facts.columns);
  const [x, y] = [index % facts.columns, Math.floor(index / facts.columns)];
  const node = make("span", { className: "tile" });
  node.style.backgroundSize = `${100 * facts.columns}% ${100 * rows}%`;
  node.style.backgroundPosition =
    `${(100 * x) / Math.max(facts.columns - 1, 1)}% ${(100 * y) / Math.max(rows - 1, 1)}%`;
  return node;
}

/** A picture with its words, a bar and a number. */
function line(picture, name, more, cosine) {
  const bar = make("span", { className: "bar" }, make("i"));
  bar.firstChild.style.width = `${100 * Math.min(1, Math.max(0, cosine))}%`;
  const words = make("span", {}, name, make("small", {}, more));
  const what = make("span", { className: "what" }, words, bar);
  return make("li", {}, picture, what, make("b", {}, fixed(cosine)));
}

/** The nearest pictures of the gallery. */
function ranking(facts, cosines, order) {
  return order.map((i) => line(tile(facts, i), facts.labels[i],
    facts.unseen.includes(i) ? " (not in training)" : "", cosines[i]));
}

/** A scene of two objects, put together from the gallery's single ones. */
function drawing(facts, { name, parts, down }) {
  const node = make("canvas", { className: "tile", width: 64, height: 64,
    attributes: { role: "img", "aria-label": name } });
  const ink = node.getContext("2d"), sprite = new Image();
  sprite.onload = () => {
    ink.drawImage(sprite, 0, 0, 4, 4, 0, 0, 64, 64); // the ground
    for (const k of [0, 1]) {
      const from = [64 * parts[2 * k + 1], 64 * parts[2 * k]];
      const [x, y] = down ? [0, 32 * k] : [32 * k, 0];
      ink.save();
      ink.beginPath();
      ink.rect(x, y, down ? 64 : 32, down ? 32 : 64);
      ink.clip(); // at three quarters the object just fits into its half
      ink.drawImage(sprite, ...from, 64, 64, down ? 8 : x - 7 - k, down ? y - 7 - k : 8, 48, 48);
      ink.restore();
    }
  };
  sprite.src = facts.sprite;
  return node;
}

/** All pictures at fixed places, faded where they are far from the caption. */
function gallery(facts) {
  const nodes = [];
  let start = 0;
  for (const [heading, count] of facts.sections) {
    const tiles = Array.from({ length: count }, (_, k) => tile(facts, start + k));
    const grid = make("div", { className: "grid", attributes: {
      role: "img", "aria-label": `${heading}: ${count} pictures; the list gives the nearest.` } },
      ...tiles);
    grid.style.setProperty("--across", facts.across);
    nodes.push(make("p", { className: "heading" }, `${heading} (${count})`), grid);
    start += count;
  }
  return nodes;
}

function fade(tiles, facts, cosines, top) {
  const low = Math.min(...cosines), range = Math.max(...cosines) - low || 1;
  tiles.forEach((node, i) => {
    node.style.opacity = 0.15 + 0.85 * ((cosines[i] - low) / range) ** 2;
    node.classList.toggle("near", top.includes(i));
    node.title = `${facts.labels[i]}: ${fixed(cosines[i])}`;
  });
}

/** Builds the controls; returns the nodes that change. */
function build(el, model) {
  const name = uid();
  const tabs = model.get("worlds").map(({ name: value, title }) => make("button", {
    type: "button", id: `${name}-${value}`, textContent: title, value,
    attributes: { role: "tab", "aria-controls": `${name}-panel` } }));
  const input = make("input", { type: "text", id: `${name}-caption`, maxLength: 150,
    autocomplete: "off", spellcheck: false, attributes: { list: `${name}-list`,
      "aria-describedby": `${name}-status`, autocapitalize: "none", enterkeyhint: "search" } });
  const status = make("p", { id: `${name}-status`, className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const list = make("datalist", { id: `${name}-list` });
  const picks = make("div", { className: "picks",
    attributes: { role: "group", "aria-label": "Captions to try" } });
  const drawn = make("ol"), near = make("ol"), grids = make("div"), more = make("button", { type: "button" });
  const known = make("div", { className: "known", tabIndex: 0,
    attributes: { role: "region", "aria-label": "Known words" } });
  const summary = make("summary");
  const line = make("span", { className: "line" }, input, make("button", {}, "Compare"));
  const form = make("form", {}, make("label", { htmlFor: input.id }, "Caption"), line);
  const tablist = make("div", { className: "tabs", hidden: tabs.length < 2,
    attributes: { role: "tablist", "aria-label": "Gallery" } }, ...tabs);
  const panel = make("div", { id: `${name}-panel`, className: "panel",
    attributes: tabs.length > 1 ? { role: "tabpanel" } : {} },
    make("div", {}, drawn, make("p", { className: "heading" }, "Nearest in the gallery, cosine"),
      near, more), grids);
  const note = make("p", { className: "note" }), words = make("details", {}, summary, known);
  el.append(tablist, form, picks, list, status, panel, note, words);
  return { tabs, form, input, list, picks, status, panel, drawn, near, more, grids, note, summary,
    known };
}

/** Brings the controls to life; resolves when the first answer stands. */
async function run(el, model, engine) {
  const ui = build(el, model);
  let world, facts, answer, all = false, asked = 0, timer;

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
    ui.input.setAttribute("aria-invalid", wrong);
  }
  function clear() { // an answer to another caption is none
    answer = null;
    for (const part of [ui.drawn, ui.near]) part.replaceChildren();
    ui.more.hidden = true;
    for (const node of ui.grids.querySelectorAll(".tile")) {
      node.style.opacity = 1;
      node.classList.remove("near");
    }
  }
  function show({ cosines, drawn, scenes } = answer) {
    ui.drawn.replaceChildren(...scenes.map((scene, i) =>
      line(drawing(facts, scene), scene.name, ` (${scene.title})`, drawn[i])));
    ui.more.hidden = false;
    const order = cosines.map((_, i) => i).sort((a, b) => cosines[b] - cosines[a]);
    ui.near.replaceChildren(...ranking(facts, cosines, all ? order : order.slice(0, 5)));
    ui.more.textContent = all ? "Show five" : `Show all ${order.length}`;
    fade([...ui.grids.querySelectorAll(".tile")], facts, cosines, order.slice(0, 5));
    return order[0];
  }
  async function compare({ quiet = false } = {}) {
    const [turn, caption] = [++asked, ui.input.value];
    try {
      if (quiet) tokenize(caption, facts); // half a word is no mistake yet
      const scenes = facts.scene_words ? named(caption, facts.scene_words) : [];
      const latest = await engine.cosines(world, caption, scenes.map(({ row }) => row), (text) => {
        if (turn === asked) ui.status.textContent = text;
      });
      if (turn !== asked) return;
      answer = { ...latest, scenes };
      const best = show(), value = fixed(answer.cosines[best]);
      say(`Nearest: ${facts.labels[best]}, cosine ${value}. Computed by ${answer.by}.`);
    } catch (error) {
      if (turn !== asked || quiet) return;
      clear();
      say(sentence(error), true);
    }
  }
  const choose = (caption) => { ui.input.value = caption; return compare(); };
  async function enter(name) { // show another gallery
    world = name;
    for (const tab of ui.tabs) {
      const on = tab.value === name;
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      if (on && ui.tabs.length > 1) ui.panel.setAttribute("aria-labelledby", tab.id);
    }
    if (facts) say("Loading ...");
    const latest = await engine.open(name);
    if (world !== name) return;
    facts = latest;
    clear();
    el.style.setProperty("--sprite", `url("${facts.sprite}")`);
    ui.list.replaceChildren(...facts.labels.map((value) => make("option", { value })));
    ui.picks.replaceChildren(...facts.suggestions.map((caption) =>
      make("button", { type: "button", onclick: () => choose(caption) }, caption)));
    ui.grids.replaceChildren(...gallery(facts));
    ui.note.textContent = facts.note;
    ui.summary.textContent = `The ${facts.words.length} words that this model knows`;
    ui.known.textContent = facts.words.join(", ");
    await choose(facts.suggestions[0] ?? facts.words[0]);
  }
  const visit = (name) => enter(name).catch((error) => say(error.message, true));

  ui.form.onsubmit = (event) => {
    event.preventDefault();
    clearTimeout(timer);
    compare();
  };
  ui.input.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(compare, 250, { quiet: true });
  };
  ui.more.onclick = () => { all = !all; if (answer) show(); };
  ui.tabs.forEach((tab, i) => {
    tab.onclick = () => visit(tab.value);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = ui.tabs.at((i + step) % ui.tabs.length);
      next.focus();
      visit(next.value);
    };
  });
  await enter(model.get("first"));
}

const STYLE = `
.mmdl-clip .tabs { display: flex; border-bottom: 1px solid var(--edge); margin-bottom: 0.8em; }
.mmdl-clip .tabs button { border: solid transparent; border-width: 0 0 3px; border-radius: 0; }
.mmdl-clip .tabs [aria-selected=true] { border-color: var(--accent); font-weight: 600; }
.mmdl-clip .line { display: flex; gap: 0.5em; }
.mmdl-clip input { flex: 1; min-width: 0; &[aria-invalid=true] { border-color: var(--bad); } }
.mmdl-clip label { font-weight: 600; display: block; margin: 0 0 0.2em; }
.mmdl-clip .picks { display: flex; flex-wrap: wrap; gap: 0.4em; margin: 0.6em 0; }
.mmdl-clip .picks button { border-radius: 1em; padding: 0.1em 0.8em; font-size: 0.9em; }
.mmdl-clip .panel { display: grid; gap: 0.5em 2em; }
.mmdl-clip .panel > * { min-width: 0; }
@container (min-width: 600px) { .mmdl-clip .panel { grid-template-columns: 1fr 1fr; } }
.mmdl-clip li .tile { flex: none; width: 3.2em; }
.mmdl-clip .tile { display: block; aspect-ratio: 1; border-radius: 0.3em;
  background-image: var(--sprite); }
.mmdl-clip .grid { display: grid; gap: 4px; max-width: 26em;
  grid-template-columns: repeat(var(--across), minmax(0, 1fr)); }
.mmdl-clip .near { outline: 2px solid var(--accent); outline-offset: 1px; }
.mmdl-clip .known { max-height: 8em; overflow: auto; margin-top: 0.4em; }
@media (prefers-reduced-motion: no-preference) { .mmdl-clip .tile { transition: opacity 0.3s; } }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "clip", model.get("title"), STYLE);
    if (model.get("galleries")) return void run(root, model, kernelEngine(model));
    const engine = browserEngine({ files: model.get("files"), runtime: model.get("runtime") });
    startButton(root, model, async () => {
      await engine.open(model.get("first"));
      model.set("running", true);
      await run(root, model, engine);
      performance.mark("mmdl-clip-answer");
      root.querySelector("input").focus({ preventScroll: true });
    });
  },
};
