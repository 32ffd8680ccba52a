/* The demo of GPT: what may come next, and what temperature and top-p make of it.

   One module, two hosts, as in the demo of CLIP. On a page the network runs here, by
   onnxruntime-web; in a notebook the kernel runs it. Pieces are cut here in both. */

import { ask, bytes, download, fixed, label, make, netDemo, openRuntime, sentence, slider } from "../common.js";

// ---- from a text to pieces: mmdl_lib/data/verses.py
const WORD = /[^\s!'(),\-.:;?[\]—]+(?:['-][^\s!'(),\-.:;?[\]—]+)*|[!'(),\-.:;?[\]—]/gu;
const SUFFIX = "</w>", START = 1, END = 2;

/** Words and marks of a text, lowercase; throws what cannot be cut. */
export function wordsOf(text, { letters }) {
  const words = text.toLowerCase().replaceAll("’", "'").match(WORD) ?? [];
  const strange = [...new Set(words.join(""))].filter((c) => !letters.includes(c)).sort();
  if (strange.length)
    throw new Error(`expected letters of English verses, got "${strange[0]}".`);
  return words;
}

/** Pieces of one word: the earliest learned merge first, until none is left. */
export function cut(word, { ranks }) {
  const pieces = [...word];
  pieces.push(pieces.pop() + SUFFIX);
  for (;;) {
    let best = Infinity, at = -1;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const rank = ranks.get(`${pieces[i]} ${pieces[i + 1]}`) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (at < 0) return pieces;
    const [left, right] = [pieces[at], pieces[at + 1]];
    const joined = [];
    for (let i = 0; i < pieces.length; i++) {
      const here = pieces[i] === left && pieces[i + 1] === right;
      joined.push(here ? left + right : pieces[i]);
      if (here) i++;
    }
    pieces.splice(0, pieces.length, ...joined);
  }
}

/** Ids of a text, the start token first. */
export function encode(text, facts) {
  const words = wordsOf(text, facts);
  return [START, ...words.flatMap((word) => cut(word, facts).map((p) => facts.ids.get(p)))];
}

/** The text of ids: marks stand close to the word before them. */
export function decode(ids, { vocab }) {
  const shown = ids.filter((i) => i !== START).map((i) => i === END ? "\n" : vocab[i]);
  return shown.join("").replaceAll(SUFFIX, " ").replace(/ ([,.:;?!)\]])/g, "$1").trim();
}

/** Tables that the functions above look things up in. */
export function tables(facts) {
  return { ...facts, ids: new Map(facts.vocab.map((piece, i) => [piece, i])),
    ranks: new Map(facts.merges.map((pair, i) => [pair, i])) };
}

// ---- from logits to a choice: mmdl_lib/nn/decode.py
/** Probabilities after temperature and top-p, and those before the cut. */
export function choices(logits, temperature, topP) {
  const scaled = Array.from(logits, (x) => x / temperature), most = Math.max(...scaled);
  const e = scaled.map((x) => Math.exp(x - most)), sum = e.reduce((a, b) => a + b);
  const before = e.map((x) => x / sum);
  const order = before.map((_, i) => i).sort((a, b) => before[b] - before[a] || a - b);
  let had = 0;
  const after = new Array(before.length).fill(0);
  for (const i of order) { // a piece goes if those before it have enough
    if (had >= topP) break;
    after[i] = before[i];
    had += before[i];
  }
  return { before, after: after.map((x) => x / had), order };
}

/** The place that a number from 0 to 1 falls on. */
export function draw(chances, u) {
  let left = u, last = 0;
  for (let i = 0; i < chances.length; i++) {
    if (!chances[i]) continue;
    last = i;
    left -= chances[i];
    if (left < 0) return i;
  }
  return last;
}

// ---- the two engines: next(ids, late) -> {logits, by}
function browserEngine({ files, runtime }) {
  let opened = null;
  async function start() {
    const [ort, json, network] = await Promise.all([openRuntime(runtime),
      download(`${files}facts.json`), download(`${files}model.onnx`)]);
    performance.mark("mmdl-next_token-files");
    const facts = tables(JSON.parse(new TextDecoder().decode(json)));
    return { ort, facts, session: await ort.InferenceSession.create(new Uint8Array(network)) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  async function next(ids) {
    const { ort, facts, session } = await open(), began = performance.now();
    const row = new BigInt64Array(facts.context); // what stands behind changes nothing
    ids.forEach((id, i) => { row[i] = BigInt(id); });
    const { logits } = await session.run({
      tokens: new ort.Tensor("int64", row, [1, facts.context]),
      place: new ort.Tensor("int64", BigInt64Array.of(BigInt(ids.length - 1)), [1]),
    });
    return { logits: logits.data, by: `this browser, ${label(performance.now() - began)}` };
  }
  return { open: async () => (await open()).facts, next };
}

function kernelEngine(model) {
  async function next(ids, late) {
    const began = performance.now();
    const { logits } = await ask(model, { tokens: ids }, late);
    return { logits: new Float32Array(bytes(logits).buffer),
      by: `the kernel (torch), ${label(performance.now() - began)}` };
  }
  return { open: async () => tables(model.get("facts")), next };
}

const percent = (x) => `${fixed(100 * x, x >= 0.0995 ? 0 : 1)} %`;
const SHOWN = 10;

// ---- what the reader sees
function build(el, { begins }) {
  const text = make("input", { type: "text", value: begins[0], maxLength: 400,
    attributes: { "aria-label": "Beginning", autocomplete: "off", spellcheck: "false" } });
  const begin = begins.map((words) => make("button", { type: "button" }, words));
  const temperature = slider("Temperature", 0.1, 2, 1, 0.1);
  const topP = slider("Top-p", 0.1, 1, 1, 0.05);
  const one = make("button", { type: "button", className: "main" }, "Draw one");
  const many = make("button", { type: "button" }, "Draw ten");
  const back = make("button", { type: "button" }, "Begin again");
  const written = make("p", { className: "written" }), list = make("ol");
  const note = make("p", { className: "note" });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const group = (name, ...nodes) => make("div", { className: "picks",
    attributes: { role: "group", "aria-label": name } }, ...nodes);
  el.append(make("p", {}, "Type or pick a beginning. A tiny GPT says what may come next: click " +
      "a piece to take it, or draw."),
    text, group("Beginnings", ...begin), written, list, note,
    temperature.row, topP.row, group("Draw", one, many, back), status,
    make("p", { className: "note" }, "The model has read verses of the King James Version, " +
      "in lowercase, and nothing else. A mark ▸ begins a piece in the middle of a word."));
  return { text, begin, temperature, topP, one, many, back, written, list, note, status };
}

async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts);
  let ids = [START], logits = null, found = null, by = "", busy = false, again = false, timer;

  function say(words, wrong = false) {
    ui.status.textContent = words;
    ui.status.classList.toggle("wrong", wrong);
  }
  const name = (i) => {
    if (i === END) return "end of the verse";
    const inside = ids.length > 1 && !facts.vocab[ids.at(-1)].endsWith(SUFFIX)
      && ids.at(-1) > END;
    return (inside ? "▸" : "") + facts.vocab[i].replace(SUFFIX, "");
  };
  function show() {
    const [t, p] = [ui.temperature, ui.topP].map(({ input }) => Number(input.value));
    ui.temperature.output.textContent = fixed(t, 1);
    ui.topP.output.textContent = fixed(p, 2);
    if (!logits) return;
    found = choices(logits, t, p);
    ui.written.textContent = decode(ids, facts) || "(nothing yet)";
    ui.list.replaceChildren(...found.order.slice(0, SHOWN).map((i) => {
      const bar = make("span", { className: "bar" }, make("i"));
      const away = !found.after[i];
      bar.firstChild.style.width = `${100 * (found.after[i] || found.before[i])}%`;
      const button = make("button", { type: "button", className: away ? "known away" : "known" },
        make("span", { className: "what" }, name(i), bar),
        make("b", {}, away ? "cut" : percent(found.after[i])));
      button.onclick = () => add(i);
      return make("li", {}, button);
    }));
    const left = found.after.filter((x) => x > 0).length;
    ui.note.textContent = `${left.toLocaleString("en")} of ` +
      `${facts.vocab.length.toLocaleString("en")} pieces can be drawn.`;
    clearTimeout(timer);
    const best = found.order[0];
    timer = setTimeout(say, 300,
      `Likeliest: “${name(best)}”, ${percent(found.after[best])}. Computed by ${by}.`);
  }
  async function update() {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      do {
        again = false;
        if (ids.length > facts.context) {
          const most = facts.context - 1; // one place is the start
          throw new Error(`expected at most ${most} pieces, got ${ids.length - 1}: begin again.`);
        }
        const asked = ids.slice();
        const answer = await engine.next(asked, (words) => say(words, true));
        if (asked.join() === ids.join()) ({ logits, by } = answer);
        else again = true;
      } while (again);
      show();
    } catch (error) {
      clearTimeout(timer);
      say(sentence(error), true);
    }
    busy = false;
  }
  function read() {
    try {
      ids = encode(ui.text.value, facts);
      return update();
    } catch (error) {
      clearTimeout(timer);
      say(sentence(error), true);
    }
  }
  function add(i) {
    if (i === END) ids = [...ids, END, START];
    else ids = [...ids, i];
    return update();
  }
  async function drawSome(count) {
    for (let n = 0; n < count && found && ids.length < facts.context; n++)
      await add(draw(found.after, Math.random()));
    if (ids.length >= facts.context) {
      clearTimeout(timer);
      say(`The ${facts.context} places of the context are full: begin again.`, true);
    }
  }
  ui.text.oninput = read;
  ui.begin.forEach((button) => {
    button.onclick = () => { ui.text.value = button.textContent; return read(); };
  });
  for (const { input } of [ui.temperature, ui.topP]) input.oninput = show;
  ui.one.onclick = () => drawSome(1);
  ui.many.onclick = () => drawSome(10);
  ui.back.onclick = read;
  show();
  await read();
}

const STYLE = `
.mmdl-next_token > input { width: 100%; box-sizing: border-box; }
.mmdl-next_token .written { min-height: 4.2em; white-space: pre-wrap; overflow-wrap: anywhere;
  font-family: serif; font-size: 1.1em; }
.mmdl-next_token li { margin: 0 0 0.25em; }
.mmdl-next_token li button { display: flex; gap: 0.7em; align-items: center; width: 100%;
  text-align: left; padding: 0.15em 0.6em; border-color: transparent; box-sizing: border-box; }
.mmdl-next_token li b { width: 3.6em; text-align: right; white-space: nowrap; }
.mmdl-next_token .away .bar i { background: currentColor; }
.mmdl-next_token .away { color: var(--soft); }
.mmdl-next_token .slider { grid-template-columns: 6.5em minmax(0, 1fr) 2.6em; }
.mmdl-next_token .value { text-align: right; }
`;

export default netDemo({ name: "next_token", style: STYLE, run, kernel: kernelEngine,
  browser: browserEngine, focus: "input" });
