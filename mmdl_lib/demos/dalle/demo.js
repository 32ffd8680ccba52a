/* The demo of DALL-E: a caption, and its 64 codes written one after the other.

   One module, two hosts, as in the demo of CLIP. On a page the networks run here, by
   onnxruntime-web; in a notebook the kernel runs them. Captions are cut and codes are
   drawn here in both. */

import { ask, bytes, download, fixed, label, make, netDemo, openRuntime, paint, sentence, slider } from "../common.js";
import { luck, nextSeed, seedOf, tokens, unseenIn } from "../drawing.js";

// ---- from a caption to places: DALLE.filled
/** All text places of a caption: start, words, end, and a pad of its own for the rest. */
export function places(caption, { words, vocab, text }) {
  const ids = tokens(caption, words, text, "this DALL-E");
  return Array.from({ length: text }, (_, i) => ids[i] ?? vocab + i);
}

// ---- from logits to a code
/** Probabilities at a temperature. */
export function chances(logits, temperature) {
  const scaled = Array.from(logits, (x) => x / temperature), most = Math.max(...scaled);
  const e = scaled.map((x) => Math.exp(x - most)), sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

/** The place that a number from 0 to 1 falls on. */
export function draw(shares, u) {
  let left = u, last = 0;
  for (let i = 0; i < shares.length; i++) {
    if (!shares[i]) continue;
    last = i;
    left -= shares[i];
    if (left < 0) return i;
  }
  return last;
}

// ---- the two engines: next(words, codes, late) -> logits; picture(codes, late) -> floats
export function browserEngine({ files, runtime }) {
  let opened = null;
  async function start() {
    const [ort, json, network, decoder] = await Promise.all([openRuntime(runtime),
      ...["facts.json", "model.onnx", "decoder.onnx"].map((name) => download(`${files}${name}`))]);
    performance.mark("mmdl-dalle-files");
    const session = (file) => ort.InferenceSession.create(new Uint8Array(file));
    return { ort, facts: JSON.parse(new TextDecoder().decode(json)),
      network: await session(network), decoder: await session(decoder) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  const row = (ort, ids, length = ids.length) => {
    const whole = new BigInt64Array(length); // what stands behind changes nothing
    ids.forEach((id, i) => { whole[i] = BigInt(id); });
    return new ort.Tensor("int64", whole, [1, length]);
  };
  async function next(words, codes) {
    const { ort, facts: { grid }, network } = await open();
    const place = new ort.Tensor("int64", BigInt64Array.of(BigInt(codes.length)), [1]);
    const given = { words: row(ort, words), codes: row(ort, codes, grid ** 2 - 1), place };
    return (await network.run(given)).logits.data;
  }
  async function picture(codes) {
    const { ort, decoder } = await open();
    return (await decoder.run({ codes: row(ort, codes) })).image.data;
  }
  return { open: async () => (await open()).facts, next, picture, by: "this browser" };
}

function kernelEngine(model) {
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const next = async (words, codes, late) =>
    floats((await ask(model, { words, codes }, late)).logits);
  const picture = async (codes, late) =>
    floats((await ask(model, { picture: codes }, late)).pixels);
  return { open: async () => model.get("facts"), next, picture, by: "the kernel (torch)" };
}

// ---- what the reader sees
const PAUSE = 90; // milliseconds behind each line of the grid, to be seen

/** Builds the controls; returns the nodes that change. */
function build(el, facts) {
  const { begins, size, grid, text, words, learned, unseen } = facts;
  const caption = make("input", { type: "text", value: begins[0], maxLength: 80,
    attributes: { "aria-label": "Caption", autocomplete: "off", spellcheck: "false" } });
  const begin = begins.map((said) => make("button", { type: "button" }, said));
  const seed = make("input", { type: "text", value: "1", size: 6, inputMode: "numeric",
    attributes: { "aria-label": "Seed", autocomplete: "off" } });
  const again = make("button", { type: "button", className: "main" }, "Next seed");
  const temperature = slider("Temperature", 0.1, 2, 0.8, 0.1);
  const written = slider("Codes written", 0, grid ** 2, 0);
  const drawn = make("canvas", { width: size, height: size,
    attributes: { role: "img", "aria-label": "The draft so far; the rest is shown as ground" } });
  const sure = make("canvas", { width: grid, height: grid, attributes: { role: "img",
    "aria-label": "How likely each written code was: the darker, the less likely" } });
  const status = make("p", { className: "status",
    attributes: { role: "status", "aria-live": "polite" } });
  const part = (words_, node) => make("div", {},
    make("p", { className: "heading" }, words_), node);
  const other = words.filter((word) => !learned.includes(word));
  el.append(
    make("p", {}, `Write a caption of at most ${text - 2} words, or pick one. The Transformer ` +
      "writes its codes in reading order, the decoder draws those that are there."),
    caption,
    make("div", { className: "picks", attributes: { role: "group", "aria-label": "Captions" } },
      ...begin),
    make("div", { className: "pair" }, part("The draft", drawn),
      part("Dark: the code was unlikely", sure)),
    written.row, temperature.row,
    make("div", { className: "picks" }, make("label", {}, "Seed ", seed), again), status,
    make("p", { className: "note" }, `It was trained on captions of these words: ` +
      `${learned.join(", ")}. It can read, but has never learned: ${other.join(", ")}. It has ` +
      `never seen a picture of these pairs: ${unseen.join(", ")}.`));
  return { caption, begin, seed, again, temperature, written, drawn, sure, status };
}

/** Brings the controls to life; resolves when the first draft stands. */
async function run(el, engine) {
  const facts = await engine.open(), ui = build(el, facts), { grid, size, ground } = facts;
  const all = grid ** 2;
  let codes = [], shares = [], version = 0, painting = 0;

  function say(text, wrong = false) {
    ui.status.textContent = text;
    ui.status.classList.toggle("wrong", wrong);
  }
  const late = (words) => say(words, true);
  /** Shows the first `count` codes of the draft. */
  async function show(count) {
    const mine = ++painting;
    ui.written.input.value = count;
    ui.written.output.textContent = `${count} of ${all}`;
    const half = Array.from({ length: all }, (_, i) => i < count ? codes[i] : ground);
    const image = await engine.picture(half, late);
    if (mine !== painting) return; // a later one is on its way
    paint(ui.drawn, Uint8Array.from(image, (v) => Math.round(127.5 * (v + 1))), size);
    const gray = half.map((_, i) => i < count ? Math.round(255 * shares[i]) : 255);
    paint(ui.sure, Uint8Array.from([...gray, ...gray, ...gray]), grid);
  }
  /** Writes the codes of a caption; a change of the controls ends it. */
  async function write() {
    const mine = ++version, said = ui.caption.value.trim();
    const temperature = Number(ui.temperature.input.value);
    ui.temperature.output.textContent = fixed(temperature, 1);
    try {
      const words = places(said, facts), seed = seedOf(ui.seed.value), random = luck(seed);
      const began = performance.now();
      let paused = 0;
      say("Writing ...");
      el.setAttribute("aria-busy", "true");
      [codes, shares] = [[], []];
      const [row, likely] = [codes, shares];
      while (row.length < all) {
        const found = chances(await engine.next(words, row, late), temperature);
        if (mine !== version) return;
        row.push(draw(found, random()));
        likely.push(found[row.at(-1)]);
        if (row.length % grid) continue;
        await show(row.length);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        paused += PAUSE;
        if (mine !== version) return;
      }
      const ms = (performance.now() - began - paused) / all;
      const least = Math.min(...likely);
      say(`“${said}”, seed ${seed}: all ${all} codes are written; the least likely one had ` +
        `${fixed(100 * least, 1)} %. ` + unseenIn(said, facts) +
        `Computed by ${engine.by}, ${label(ms)} a code.`);
    } catch (error) {
      if (mine === version) say(sentence(error), true);
    } finally {
      if (mine === version) el.setAttribute("aria-busy", "false");
    }
  }
  ui.caption.oninput = ui.seed.oninput = ui.temperature.input.oninput = write;
  ui.begin.forEach((button) => {
    button.onclick = () => { ui.caption.value = button.textContent; return write(); };
  });
  ui.again.onclick = () => { ui.seed.value = nextSeed(ui.seed.value); return write(); };
  ui.written.input.oninput = async () => {
    const count = Math.min(codes.length, Number(ui.written.input.value));
    await show(count).catch((error) => say(sentence(error), true));
  };
  await write();
}

const STYLE = `
.mmdl-dalle > input { width: 100%; box-sizing: border-box; }
.mmdl-dalle .pair { display: grid; gap: 0.6em 1.4em; grid-template-columns: 1fr 1fr;
  max-width: 30em; margin: 0 auto; }
.mmdl-dalle canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 0.3em;
  border: 1px solid var(--edge); image-rendering: pixelated; box-sizing: border-box; }
.mmdl-dalle .value { text-align: right; }
`;

export default netDemo({ name: "dalle", style: STYLE, run, kernel: kernelEngine,
  browser: browserEngine, focus: "input" });
