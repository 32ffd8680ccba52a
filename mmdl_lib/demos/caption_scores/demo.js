/* The demo of caption scores: two captions that one types, six scores, what each counts.

   Everything is computed here, on a page and in a notebook, by the steps of `scores.js`. What
   the model must offer:
     title   what the demo is for
     facts   tables of the scores, and the scenes (`recipes/caption_scores_demo.py`) */

import { fixed, make, stage, uid } from "../common.js";
import { bleu, ciderD, meteor, rarity, rougeL, sceneGraph, spice } from "./scores.js";
import { cutter, meteorWords, stemmer } from "./words.js";

const MOST = 5; // references
const name = (thing, ...more) => {
  const words = [...more.map((part) => thing[part]), thing.color, thing.shape].join(" ");
  return `${/^[aeiou]/.test(words) ? "an" : "a"} ${words}`;
};

/** The scenes of the corpus: {things, here, back}, from left to right; `back` is `here`
    seen from the other object. */
export function scenesOf({ corpus, words, relations }) {
  return corpus.split(" ").map((code) => {
    const things = (code.match(/\d{4}/g) ?? []).map((digits) =>
      Object.fromEntries(["shape", "color", "size", "texture"].map((part, i) =>
        [part, words[i][digits[i]]])));
    const k = Number(code.at(-1));
    return { things, here: relations[k], back: relations[k ^ 1] };
  });
}

/** The five captions of a scene, as `shapes.captions` says them. */
export function captionsOf({ things, here, back }) {
  const [bare, sized, full] = [[], ["size"], ["size", "texture"]].map((more) =>
    things.map((thing) => name(thing, ...more)));
  const [short, middle, long] = [bare, sized, full].map((names) => names.join(" and "));
  const two = things.length === 2;
  return [short, `a photo of ${short}`, two ? `${bare[0]} ${here} ${bare[1]}` : middle,
    `a picture with ${long}`, two ? `${sized[1]} ${back} ${sized[0]}` : `there is ${middle}`];
}

/** All that computes: from texts to the scores of each candidate and what they count. */
export function scorer(facts) {
  const cut = cutter(facts.tokenizer), sets = new Map();
  facts.synonyms.forEach((line, i) => line.split(" ").forEach((word) =>
    sets.set(word, [...(sets.get(word) ?? []), i])));
  const synonyms = (word) => sets.get(word) ?? [];
  const known = rarity(scenesOf(facts).map((scene) =>
    captionsOf(scene).map((text) => text.split(" "))));
  const tools = { words: meteorWords, stem: stemmer(facts.stems), common: new Set(facts.common) };
  return {
    cut, known,
    score(candidate, references, wide = false) {
      const said = cut(candidate), truth = references.map(cut), some = wide ? synonyms : null;
      const graph = (words) => sceneGraph(words, facts.grammar);
      return { said, truth, bleu: bleu(said, truth), rouge: rougeL(said, truth),
        meteor: meteor(said, truth, { ...tools, sets: some }), cider: ciderD(said, truth, known),
        spice: spice(graph(said), truth.map(graph), some) };
    },
  };
}

/** The rows of the table: name, number, and the number of a full bar. */
export const rowsOf = (found) => [["BLEU-1", found.bleu.scores[0], 1],
  ["BLEU-4", found.bleu.scores[3], 1], ["ROUGE-L", found.rouge.score, 1],
  ["METEOR", found.meteor.score, 1], ["CIDEr-D", found.cider.score, 10],
  ["SPICE", found.spice.score, 1]];

// ---- what the reader sees
const several = (noun) => noun + (noun.endsWith("s") ? "es" : "s");
// of a scene of two objects: captions A and B, and what is true of them
export const PRESETS = {
  "Colors swapped": ({ things: [one, two], here }) => [
    `${name({ ...one, color: two.color })} ${here} ${name({ ...two, color: one.color })}`,
    `${name(two)} and ${name(one)}`, "A is false: the colors are swapped. B is true."],
  "Sides swapped": ({ things: [one, two], here, back }) => [
    `${name(two)} ${here} ${name(one)}`, `${name(two)} ${back} ${name(one)}`,
    "A is false: the sides are swapped. B is true."],
  "Wrong count": ({ things: [one, two] }) => [
    `three ${one.color} ${several(one.shape)} and ${name(two)}`,
    `there is ${name(one)}`, "A is false: it counts three where there is one. B is true."],
  "Words shuffled": ({ things: [one, two], here }) => [
    `${name(one)} ${here} ${name(two)}`.split(" ").reverse().join(" "), name(one),
    "A is a true caption read backwards. B is true, but leaves one object out."],
};
const list = (items) => (items.length < 2 ? items.join("") :
  `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
const quoted = (words) => list(words.length > 3 ?
  [...words.slice(0, 3).map((w) => `“${w}”`), `${words.length - 3} more`] :
  words.map((w) => `“${w}”`));
const times = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function chip(word, kind = "", under = "") {
  return make("span", { className: `chip ${kind}` }, word,
    make("small", { attributes: { "aria-hidden": "true" } }, under));
}
const row = (title, chips) => make("p", { className: "chips" },
  ...(title ? [make("span", { className: "heading" }, title)] : []), ...chips);
const says = (...parts) => make("p", {}, ...parts);

/** For each score: nodes that show what it counts in a caption. */
const COUNTS = {
  "BLEU": ({ said, bleu: { found, closest, brevity } }) => {
    const parts = found.map((some, n) => `${some.filter(Boolean).length} of ` +
      `${some.length} ${["words", "pairs", "triples", "runs of four"][n]}`);
    return [row("", said.map((word, i) => chip(word, found[0][i] ? "on" : "", found
      .map((some) => (i < some.length ? (some[i] ? "■" : "□") : "")).join("")))),
    says("Below a word: the runs of 1 to 4 words that begin there; ■ counts. " +
      `${list(parts)} stand in a reference, as often as there. The nearest length of a reference is ${closest}: ` +
      (brevity > 0.999999 ? "no penalty." : `the score is multiplied by ${fixed(brevity, 2)}.`))];
  },
  "ROUGE-L": ({ said, truth, rouge: { links, by, p, r, recallBy } }) => {
    const [mine, theirs] = [0, 1].map((side) => new Set(links.map((link) => link[side])));
    return [row("", said.map((word, i) => chip(word, mine.has(i) ? "on" : ""))),
      row(`Reference ${by + 1}`, truth[by].map((word, i) => chip(word, theirs.has(i) ? "on" : ""))),
      says(`In the same order, with gaps: ${links.length} of ${times(said.length, "word")}, ` +
        `precision ${fixed(p, 2)}. The best recall, of reference ${recallBy + 1}: ` +
        `${fixed(r, 2)}.`)];
  },
  "METEOR": ({ meteor: { said, truth, by, chunks, p, r, penalty } }) => {
    const sides = [new Map(), new Map()];
    chunks.forEach((chunk, k) => chunk.forEach(({ of, at: to, stage: kind }) => {
      const text = [`${k + 1}`, `${k + 1} stem`, `${k + 1} synonym`][kind];
      sides[0].set(of, text);
      sides[1].set(to, text);
    }));
    const chips = (words, side) => words.map((word, i) =>
      chip(word, side.has(i) ? "on" : "", side.get(i)));
    const all = chunks.flat().length;
    return [row("", chips(said, sides[0])), row(`Reference ${by + 1}`, chips(truth, sides[1])),
      says(`${all} of ${times(said.length, "word")} match, in ${times(chunks.length, "chunk")} ` +
        `(numbered): precision ${fixed(p, 2)}, recall ${fixed(r, 2)}, penalty ` +
        `${fixed(penalty, 2)}.`)];
  },
  "CIDEr-D": ({ said, cider: { parts, score } }, { known }) => {
    const top = parts.slice(0, 6), rest = parts.slice(6).reduce((a, { part }) => a + part, 0);
    return [row("", said.map((word) => chip(word, parts.some(({ words }) => words.length === 1 &&
      words[0] === word) ? "on" : "", fixed(known.weight(word), 1)))),
    says("Below a word: its weight, the rarer the larger. " + (top.length ?
      `The shared runs of one to four words that add most to the ${fixed(score, 2)}:` :
      "No run of words that weighs anything is shared.")),
    row("", [...top.map(({ words, part }) => chip(words.join(" "), "on", fixed(part, 2))),
      ...(rest ? [chip(`${parts.length - 6} more`, "on", fixed(rest, 2))] : [])])];
  },
  "SPICE": ({ spice: { said, missed, p, r, of: all } }) => {
    const tuple = ({ tuple: words, hit }) =>
      chip(`${hit ? "✓" : "✗"} ${words.join(" · ")}`, hit ? "on" : "");
    const hits = said.filter(({ hit }) => hit).length;
    return [row("", said.map(tuple)),
      says(`${hits} of ${times(said.length, "tuple")} agree: precision ${fixed(p, 2)}. ` +
        `The references say ${all}: recall ${fixed(r, 2)}. `),
      ...(missed.length ? [row("Not said", missed.map((words) => chip(words.join(" · "))))] : [])];
  },
};

/** Sentences on what is odd about the input. */
function oddities(found, empty, { corpus }) {
  const [a, b] = found.map(({ said }) => said.join(" "));
  const out = [];
  found.forEach(({ said }, i) => said.length ||
    out.push(`Caption ${"AB"[i]} has no words: nothing can match.`));
  if (a === b && a) out.push("Both captions have the same words: every score is equal.");
  const left = list(empty.map((i) => `Reference ${i + 1}`));
  const [have, do_] = empty.length > 1 ? ["have", "do"] : ["has", "does"];
  if (left) out.push(`${left} ${have} no words and ${do_} not count.`);
  const unknown = [...new Set(found.flatMap(({ cider }) => cider.unknown))];
  if (unknown.length) out.push(`${quoted(unknown)} ${unknown.length > 1 ? "stand" : "stands"} in ` +
    `no caption of the ${corpus.split(" ").length} scenes: for CIDEr-D as rare as can be.`);
  return out;
}

/** Which caption has the higher numbers. */
function verdict([a, b]) {
  const groups = [[], [], []];
  a.forEach(([title, value], i) => {
    const far = value - b[i][1];
    groups[Math.abs(far) < 5e-4 ? 2 : far > 0 ? 0 : 1].push(title);
  });
  const [higher, lower, equal] = groups, parts = [];
  if (higher.length) parts.push(`A scores higher in ${list(higher)}`);
  if (lower.length) parts.push(`B scores higher in ${list(lower)}`);
  if (equal.length) parts.push(`${parts.length ? "equal" : "Equal"}: ${list(equal)}`);
  return `${parts.join("; ")}.`;
}

function field(text, id) {
  const input = make("input", { id, type: "text", maxLength: 140, autocomplete: "off",
    spellcheck: false });
  return { input, box: make("div", { className: "field" }, make("label", { htmlFor: id }, text),
    input) };
}

function folds(facts) {
  const count = facts.corpus.split(" ").length;
  return [
    make("details", {}, make("summary", {}, "Why does a true caption get a BLEU-4 of 0?"),
      make("p", {}, "BLEU-4 is a geometric mean of four shares: of words, pairs, triples and " +
        "runs of four. If no run of four is shared, it is as good as 0, however true the caption " +
        "is. Tables add up the counts of all captions first, so single zeros do not show.")),
    make("details", {}, make("summary", {}, "Are these the numbers of published tables?"),
      make("p", {}, "BLEU, ROUGE-L and CIDEr-D are those of coco-caption. METEOR is that of " +
        "version 1.5 without its tables of synonyms (WordNet) and paraphrases, which the book " +
        "does not have: it matches equal words and equal stems, and is lower than the official " +
        "one. The synonyms that you can switch on are a table of our own, of " +
        `${facts.synonyms.join(" ").split(" ").length} words: ` +
        `${facts.synonyms.map((line) => line.split(" ").join(" = ")).join(", ")}. ` +
        "SPICE reads the grammar of the book's captions in the place of a trained parser; on " +
        "other English it guesses.")),
    make("details", {}, make("summary", {}, "What is rare for CIDEr-D?"),
      make("p", {}, `The weight of a run of words is ln(${count} / scenes with it in a caption), ` +
        `counted on the ${5 * count} captions of ${count} scenes of the shapes world (seed ` +
        `${facts.seed}), the six scenes of this page among them. Counted on other scenes, every ` +
        "CIDEr-D would differ. Tables print 100 times the mean of CIDEr-D."))];
}

/** Builds the controls; returns the nodes that change. */
function build(el, facts, scenes) {
  const own = uid();
  const select = make("select", { id: `${own}-scene` }, ...scenes.map((scene, value) =>
    make("option", { value }, `${value + 1}. ${captionsOf(scene)[2]}`)));
  const presets = Object.keys(PRESETS).map((title) => make("button", { type: "button" }, title));
  const picture = make("span", { className: "tile", attributes: { role: "img" } });
  const references = make("div"), add = make("button", { type: "button" }, "Add a reference");
  const captions = ["A", "B"].map((letter) => field(`Caption ${letter}`, `${own}-${letter}`));
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const cells = rowsOf({ bleu: { scores: [] }, rouge: {}, meteor: {}, cider: {}, spice: {} })
    .map(([title, , full]) => ({ title, full, pair: [0, 1].map(() => ({ value: make("span"),
      bar: make("i"), cell: make("td") })) }));
  cells.forEach(({ pair }) => pair.forEach(({ value, bar, cell }) =>
    cell.append(value, make("span", { className: "bar" }, bar))));
  const radios = Object.keys(COUNTS).map((value) =>
    make("input", { type: "radio", name: `${own}-count`, value }));
  const wide = make("input", { type: "checkbox" });
  const marks = captions.map(({ box }, i) => make("div", { attributes: { role: "group",
    "aria-label": `What counts in caption ${"AB"[i]}` } }));
  el.append(
    make("p", {}, "A score compares the words of a caption with those of references; the picture " +
      "it never sees. Change a word and watch."),
    make("div", { className: "line" }, make("label", { htmlFor: select.id }, "Scene"), select),
    make("div", { className: "scene" }, picture, make("div", {}, references, add)),
    make("div", { className: "line" }, ...presets),
    ...captions.map(({ box }) => box), status,
    make("table", {}, make("thead", {}, make("tr", {}, make("td"),
      ...["Caption A", "Caption B"].map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...cells.map(({ title, full, pair }) => make("tr", {},
      make("th", { scope: "row" }, title, ...(full > 1 ? [make("small", {}, ` of ${full}`)] : [])),
      ...pair.map(({ cell }) => cell))))),
    make("fieldset", {}, make("legend", {}, "What counts for"), ...radios.map((input) =>
      make("label", {}, input, input.value))),
    make("label", { className: "wide" }, wide, 
      "METEOR and SPICE match synonyms of a small table"),
    make("div", { className: "marks" }, ...marks), ...folds(facts));
  return { own, select, presets, picture, references, add, captions, status, cells, radios, wide,
    marks };
}

/** Brings the controls to life. */
function run(el, facts) {
  const everything = scenesOf(facts), scenes = facts.shown.map((i) => everything[i]);
  const tools = scorer(facts), ui = build(el, facts, scenes);
  let truth = "", fields = [];
  el.style.setProperty("--sprite", `url("${facts.sprite}")`);
  el.style.setProperty("--across", scenes.length);

  function update() {
    const texts = fields.map(({ input }) => input.value);
    const empty = texts.flatMap((text, i) => (tools.cut(text).length ? [] : [i]));
    // a reference without words keeps its number
    const kept = texts.flatMap((_, i) => (empty.includes(i) ? [] : [i]));
    const found = kept.length ? ui.captions.map(({ input }) =>
      tools.score(input.value, kept.map((i) => texts[i]), ui.wide.checked)) : null;
    ui.cells.forEach(({ full, pair }, k) => pair.forEach(({ value, bar, cell }, i) => {
      const numbers = found?.map((one) => rowsOf(one)[k][1]);
      value.textContent = found ? fixed(numbers[i], 3) : "–";
      bar.style.width = `${found ? (100 * numbers[i]) / full : 0}%`;
      cell.className = found && numbers[i] - numbers[1 - i] > 5e-4 ? "more" : "";
    }));
    ui.presets.forEach((button) => button.setAttribute("aria-pressed",
      truth !== "" && button.textContent === ui.preset));
    ui.status.textContent = found ? [...(truth ? [truth] : []), verdict(found.map(rowsOf)),
      ...oddities(found, empty, facts)].join(" ") :
      "No reference has words: there is nothing to compare a caption with.";
    const kind = ui.radios.find(({ checked }) => checked).value;
    ui.marks.forEach((box, i) => box.replaceChildren(make("p", { className: "heading" },
      `Caption ${"AB"[i]}`), ...(found ? shown(found[i], kind, kept) : [])));
  }
  function shown(one, kind, kept) {
    const number = (part) => ({ ...part, by: kept[part.by], recallBy: kept[part.recallBy] });
    const all = [];
    kept.forEach((i, k) => { all[i] = one.truth[k]; });
    if (!one.said.length) return [says("No words.")];
    return COUNTS[kind]({ ...one, truth: all, rouge: number(one.rouge),
      meteor: number(one.meteor) }, tools);
  }
  function typed() {
    truth = "";
    update();
  }
  function refer(texts) {
    fields = texts.map((text, i) => {
      const one = field(`Reference ${i + 1}`, `${ui.own}-reference-${i}`);
      const remove = make("button", { type: "button", disabled: texts.length === 1,
        attributes: { "aria-label": `Remove reference ${i + 1}` } }, "×");
      remove.onclick = () => {
        refer(fields.map(({ input }) => input.value).filter((_, k) => k !== i));
        fields[Math.min(i, fields.length - 1)].input.focus();
        typed();
      };
      one.input.value = text;
      one.input.oninput = typed;
      one.box.append(remove);
      return one;
    });
    ui.references.replaceChildren(...fields.map(({ box }) => box));
    ui.add.disabled = fields.length >= MOST;
  }
  function choose(title) {
    const scene = scenes[Number(ui.select.value)];
    const [a, b, words] = PRESETS[title](scene);
    [ui.captions[0].input.value, ui.captions[1].input.value] = [a, b];
    [ui.preset, truth] = [title, words];
    refer(captionsOf(scene));
    update();
  }
  function open(index) {
    const side = scenes.length - 1;
    ui.select.value = index;
    ui.picture.style.backgroundPosition = `${(100 * index) / side}% 0`;
    ui.picture.setAttribute("aria-label", `Picture of ${captionsOf(scenes[index])[3].slice(15)}`);
    choose(ui.preset ?? ui.presets[0].textContent);
  }
  ui.select.onchange = () => open(Number(ui.select.value));
  ui.presets.forEach((button) => { button.onclick = () => choose(button.textContent); });
  ui.captions.forEach(({ input }) => { input.oninput = typed; });
  ui.radios.forEach((input) => { input.onchange = update; });
  ui.wide.onchange = update;
  ui.add.onclick = () => {
    refer([...fields.map(({ input }) => input.value), ""]);
    fields.at(-1).input.focus();
    typed();
  };
  ui.radios[0].checked = true;
  open(0);
}

const STYLE = `
.mmdl-scores .line { display: flex; flex-wrap: wrap; gap: 0.5em 0.7em;
  align-items: center; margin: 0.6em 0; }
.mmdl-scores [aria-pressed=true] { border-color: var(--accent);
  box-shadow: 0 0 0 1px var(--accent); }
.mmdl-scores button:disabled { opacity: 0.5; cursor: default; }
.mmdl-scores label { margin: 0; }
.mmdl-scores select { font: inherit; color: inherit; background: transparent;
  max-width: 100%; min-width: 0; border: 1px solid var(--edge); border-radius: 0.4em;
  padding: 0.25em 0.4em; }
.mmdl-scores option { color: #111; background: #fff; }
.mmdl-scores select:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-scores .scene { display: grid; gap: 0.8em; align-items: start; }
.mmdl-scores .tile { width: 7em; aspect-ratio: 1; border-radius: 0.3em;
  background-image: var(--sprite); background-size: calc(100% * var(--across)) 100%; }
.mmdl-scores .field { display: flex; gap: 0.5em; align-items: center; margin: 0 0 0.3em; }
.mmdl-scores .field label { font-size: 0.85em; flex: none; width: 6.2em; }
.mmdl-scores .field input { flex: 1; min-width: 0; padding: 0.2em 0.5em; }
.mmdl-scores table { border-collapse: collapse; margin: 0.5em 0; border: 0; width: 100%;
  table-layout: fixed; display: table; }
.mmdl-scores :is(tr, td, th) { border: 0; background: none; color: inherit; }
.mmdl-scores :is(td, th) { padding: 0.15em 1em 0.15em 0; text-align: left;
  font-variant-numeric: tabular-nums; font-weight: 400; }
.mmdl-scores thead :is(th, td):first-child { width: 7.2em; }
.mmdl-scores .more > span:first-child { font-weight: 700; }
.mmdl-scores td .bar i { transition: width 0.2s; opacity: 0.55; }
.mmdl-scores .more .bar i { opacity: 1; }
@media (prefers-reduced-motion) { .mmdl-scores td .bar i { transition: none; } }
.mmdl-scores fieldset { border: 0; padding: 0; margin: 0.6em 0 0.2em; display: flex;
  flex-wrap: wrap; gap: 0.2em 1em; }
.mmdl-scores legend { float: left; font-size: inherit; width: auto; margin: 0; padding: 0; }
.mmdl-scores :is(fieldset, .wide) input { margin: 0 0.35em 0 0;
  accent-color: var(--accent); }
.mmdl-scores .marks { display: grid; gap: 0.2em 1.6em;
  grid-template-columns: minmax(0, 1fr); }
.mmdl-scores .chips { display: flex; flex-wrap: wrap; gap: 0.25em; align-items: start; }
.mmdl-scores .chips .heading { width: 100%; }
.mmdl-scores .chip { border: 1px dashed var(--edge); border-radius: 0.3em;
  padding: 0 0.35em; text-align: center; min-width: 0; }
.mmdl-scores :is(.chip, .status) { overflow-wrap: anywhere; }
.mmdl-scores .chip small { display: block; line-height: 1.2; min-height: 0;
  font-variant-numeric: tabular-nums; }
.mmdl-scores .chip.on { border: 1px solid var(--accent); font-weight: 600;
  box-shadow: inset 0 -2px var(--accent); }
@container (min-width: 640px) { .mmdl-scores .scene { grid-template-columns: 7em 1fr; }
  .mmdl-scores .marks { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
`;

export default {
  async render({ model, el }) {
    const root = stage(el, "scores", model.get("title"), STYLE);
    model.set("running", true);
    run(root, model.get("facts"));
  },
};
