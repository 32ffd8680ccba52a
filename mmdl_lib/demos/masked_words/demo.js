/* The demo of BERT: hide words of a verse, and see what two nets expect there.

   One module, two hosts, as in the demo of CLIP. On a page both nets run here, by
   onnxruntime-web; in a notebook the kernel runs them. */

import { ask, bytes, download, fixed, label, make, netDemo, openRuntime, sentence, uid } from "../common.js";

const UNK = 1, CLS = 2, SEP = 3, MASK = 4; // mmdl_lib/lab/masks.py
const SHOWN = 10;

// ---- from a verse to tokens, and from logits to a list
/** Tokens of a verse, framed and padded with 0, and where nothing may be read. */
export function encode(words, places, { ids, length }) {
  const tokens = new Array(length).fill(0), hidden = new Array(length).fill(0);
  [CLS, ...words.map((word) => ids.get(word) ?? UNK), SEP].forEach((id, i) => { tokens[i] = id; });
  for (const place of places) hidden[place + 1] = 1;
  return { tokens, hidden };
}

/** Probabilities of the words at one place, counted from 0, and their order. */
export function fillers(logits, place, size) {
  const row = Array.from(logits.slice((place + 1) * size, (place + 2) * size));
  const most = Math.max(...row), e = row.map((x) => Math.exp(x - most));
  const sum = e.reduce((a, b) => a + b), shares = e.map((x) => x / sum);
  return { shares, order: shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a] || a - b) };
}

/** Facts, and a table that looks words up. */
export const tables = (facts) =>
  ({ ...facts, ids: new Map(facts.vocab.map((word, i) => [word, i])) });

// ---- the two engines: fill({tokens, hidden}, late) -> {bert, gpt, by}
export function browserEngine({ files, runtime }) {
  let opened = null;
  async function start() {
    const [ort, json, network] = await Promise.all([openRuntime(runtime),
      download(`${files}facts.json`), download(`${files}model.onnx`)]);
    performance.mark("mmdl-masked_words-files");
    const facts = tables(JSON.parse(new TextDecoder().decode(json)));
    return { ort, facts, session: await ort.InferenceSession.create(new Uint8Array(network)) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  async function fill({ tokens, hidden }) {
    const { ort, session } = await open(), began = performance.now();
    const { bert, gpt } = await session.run({
      tokens: new ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      hidden: new ort.Tensor("bool", Uint8Array.from(hidden), [1, hidden.length]),
    });
    const by = `this browser, ${label(performance.now() - began)}`;
    return { bert: bert.data, gpt: gpt.data, by };
  }
  return { open: async () => (await open()).facts, fill };
}

function kernelEngine(model) {
  async function fill(row, late) {
    const began = performance.now();
    const { bert, gpt } = await ask(model, row, late);
    const by = `the kernel (torch), ${label(performance.now() - began)}`;
    const array = (text) => new Float32Array(bytes(text).buffer);
    return { bert: array(bert), gpt: array(gpt), by };
  }
  return { open: async () => tables(model.get("facts")), fill };
}

// ---- what the reader sees
const percent = (x) => x < 0.0005 ? "< 0.1 %" : `${fixed(100 * x, x >= 0.0995 ? 0 : 1)} %`;
const NETS = { bert: ["BERT", "sees both sides"], gpt: ["GPT", "sees the left side only"] };

function column(key) {
  const [name, sees] = NETS[key], heading = make("p", { id: uid(), className: "heading" },
    make("b", {}, name), `, ${sees}`);
  const list = make("ol"), read = make("p", { className: "read" });
  const truth = make("p", { className: "note" });
  const box = make("div", { attributes: { role: "group", "aria-labelledby": heading.id } },
    heading, read, list, truth);
  return { box, list, read, truth };
}

function build(el, { verses, known, ahead }) {
  const group = (name, className, ...nodes) => make("div", { className,
    attributes: { role: "group", "aria-label": name } }, ...nodes);
  const pick = verses.map(({ name }) => make("button", { type: "button" }, name));
  const words = group("Words of the verse", "words");
  const chooser = group("Hidden places", "picks");
  const columns = Object.fromEntries(Object.keys(NETS).map((key) => [key, column(key)]));
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  el.append(make("p", {}, "Click a word to hide it, and again to show it. Two nets of the same " +
      "size say what they expect there; ✓ marks the verse's own word."),
    words, chooser, make("div", { className: "columns" }, columns.bert.box, columns.gpt.box),
    status, group("Verses", "picks", ...pick),
    make("p", { className: "note" }, `A seed drew the ${verses.length} verses, from books that ` +
      "neither net has read. Their order and the first hidden word of each are chosen: where BERT " +
      `leads most comes first. Over all their ${known} words and marks that are not rare, hidden ` +
      `one at a time, BERT gives the right one more probability than GPT in ${ahead}.`),
    make("p", { className: "note" }, "To the nets, all but 495 words are one: “rare word”. GPT " +
      "never saw [MASK] in training: a hidden word on its left is a rare word to it."));
  return { pick, words, chooser, columns, status };
}

async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts), size = facts.vocab.length;
  const SPECIAL = { [UNK]: "rare word", [SEP]: "end of the verse", 0: "nothing", [CLS]: "beginning",
    [MASK]: "[MASK]" };
  const name = (id) => SPECIAL[id] ?? facts.vocab[id];
  let verse = facts.verses[0], hidden = new Set(), asked = null, buttons = [], choices = [];
  let found = null, busy = false, again = false, timer;

  function say(words, wrong = false) {
    clearTimeout(timer);
    ui.status.textContent = words;
    ui.status.classList.toggle("wrong", wrong);
  }
  const rare = (word) => !facts.ids.has(word);
  function showVerse() {
    ui.pick.forEach((button, i) => {
      button.setAttribute("aria-pressed", facts.verses[i] === verse);
    });
    verse.words.forEach((word, i) => {
      const away = hidden.has(i), button = buttons[i];
      button.setAttribute("aria-pressed", away);
      if (away) button.setAttribute("aria-label", `[MASK], word ${i + 1}`);
      else button.removeAttribute("aria-label");
      button.classList.toggle("asked", away && i === asked);
      button.classList.toggle("rare", !away && rare(word));
      button.replaceChildren(away ? "[MASK]" : word);
      if (!away && rare(word)) button.append(make("small", {}, "rare word"));
      choices[i].hidden = !away;
      choices[i].setAttribute("aria-pressed", i === asked);
    });
    ui.chooser.hidden = hidden.size < 2;
  }
  /** What a net reads, around the place. */
  function context(key) {
    const seen = verse.words.map((word, i) => i === asked ? "____" : rare(word) ? "(rare)"
      : hidden.has(i) ? (key === "bert" ? "[MASK]" : "(rare)") : word);
    return (key === "bert" ? seen : seen.slice(0, asked + 1)).join(" ");
  }
  function showColumn(key) {
    const { list, read, truth } = ui.columns[key], own = facts.ids.get(verse.words[asked]) ?? UNK;
    const { shares, order } = fillers(found[key], asked, size);
    read.textContent = context(key);
    list.replaceChildren(...order.slice(0, SHOWN).map((id) => {
      const bar = make("span", { className: "bar" }, make("i"));
      bar.firstChild.style.width = `${100 * shares[id]}%`;
      const right = id === own;
      return make("li", { className: right ? "right" : "" },
        make("span", { className: "what" }, right ? `✓ ${name(id)}` : name(id), bar),
        make("b", {}, percent(shares[id])));
    }));
    const what = own === UNK ? "a rare word" : `“${name(own)}”`;
    truth.textContent = `The verse has ${what}: rank ${order.indexOf(own) + 1} of ${size}, ` +
      `${percent(shares[own])}.`;
    return `${NETS[key][0]} “${name(order[0])}”, ${percent(shares[order[0]])}`;
  }
  function show() {
    showVerse();
    if (asked === null) {
      for (const { list, read, truth } of Object.values(ui.columns))
        for (const node of [list, read, truth]) node.replaceChildren();
      return say("Nothing is hidden: click a word.");
    }
    const best = Object.keys(NETS).map(showColumn).join("; ");
    clearTimeout(timer);
    timer = setTimeout(say, 300, `Likeliest: ${best}. Computed by ${found.by}.`);
  }
  async function update() {
    showVerse();
    again = busy;
    if (busy) return;
    busy = true;
    try {
      do {
        again = false;
        if (asked !== null)
          found = await engine.fill(encode(verse.words, hidden, facts), (late) => say(late, true));
      } while (again);
      show();
    } catch (error) {
      say(sentence(error), true);
    }
    busy = false;
  }
  function toggle(i) {
    if (!hidden.delete(i)) hidden.add(i);
    asked = hidden.has(i) ? i : [...hidden].at(-1) ?? null;
    return update();
  }
  function choose(next) {
    [verse, hidden, asked] = [next, new Set([next.first]), next.first];
    buttons = next.words.map((_, i) => make("button", { type: "button", onclick: () => toggle(i) }));
    choices = next.words.map((_, i) => make("button", { type: "button", onclick() {
      asked = i;
      return update();
    } }, `Word ${i + 1}`));
    ui.words.replaceChildren(...buttons);
    ui.chooser.replaceChildren("Guesses for", ...choices);
    return update();
  }
  ui.pick.forEach((button, i) => { button.onclick = () => choose(facts.verses[i]); });
  await choose(verse);
}

const STYLE = `
.mmdl-masked_words :is(.words, .picks:not([hidden])) { display: flex; flex-wrap: wrap; gap: 0.4em;
  align-items: center; margin: 0.6em 0; }
.mmdl-masked_words .words { font-family: serif; font-size: 1.1em; align-items: stretch; }
.mmdl-masked_words .words button { padding: 0.2em 0.5em; }
.mmdl-masked_words .rare { font-style: italic; line-height: 1.1; }
.mmdl-masked_words .rare small { display: block; font-size: 0.65em; }
.mmdl-masked_words .words [aria-pressed=true] { border-style: dashed; font-family: monospace;
  font-size: 0.85em; }
.mmdl-masked_words .words .asked { border: 2px solid var(--accent); }
.mmdl-masked_words .picks [aria-pressed=true] { border-color: var(--accent);
  box-shadow: inset 0 0 0 1px var(--accent); }
.mmdl-masked_words .columns { display: grid; gap: 0 1.4em;
  grid-template-columns: repeat(2, minmax(0, 1fr)); }
.mmdl-masked_words .columns > * { display: grid; grid-row: span 4; grid-template-rows: subgrid; }
.mmdl-masked_words .columns .heading { font-size: 1em; }
.mmdl-masked_words .read { font-family: serif; overflow-wrap: anywhere; }
.mmdl-masked_words li { margin: 0 0 0.3em; }
.mmdl-masked_words li b { width: 3.6em; font-weight: 400; text-align: right; white-space: nowrap; }
.mmdl-masked_words .right :is(.what, b) { font-weight: 700; }
.mmdl-masked_words li:not(.right) .bar i { background: currentColor; opacity: 0.5; }
@container (max-width: 480px) { .mmdl-masked_words .columns { gap: 0 0.9em; font-size: 0.9em; } }
`;

export default netDemo({ name: "masked_words", style: STYLE, run, kernel: kernelEngine,
  browser: browserEngine, focus: ".words button" });
