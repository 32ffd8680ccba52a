/* What the demos share: two ways to run a network, a few helpers, one look.

   On a page `./common.js` is fetched beside the demo's module. A notebook's widget is one
   text, so `_widget.py` puts this file in the place of the import. */

// ---- small helpers
export function make(tag, properties = {}, ...children) {
  const { attributes = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  for (const pair of Object.entries(attributes)) node.setAttribute(...pair);
  node.append(...children);
  return node;
}

export const fixed = (x, digits = 3) => x.toFixed(digits).replace("-", "\u2212");
export const label = (ms) => ms >= 10_000 ? `${Math.round(ms / 1000)} s`
  : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
export const uid = () => `mmdl-${Math.random().toString(36).slice(2, 8)}`;
export const sentence = ({ message }) => message[0].toUpperCase() + message.slice(1);

/** The bytes behind a base64 text, e.g. for `new Float32Array(bytes(text).buffer)`. */
export const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Base64 of bytes. */
export function base64(array) {
  let text = "";
  for (const byte of array) text += String.fromCharCode(byte);
  return btoa(text);
}

// ---- in the page: onnxruntime-web
let received = () => {}; // hears how many bytes have come

/** The bytes at an address; while they come, the start button counts them. */
export async function download(url) {
  const name = url.split("/").at(-1), parts = [];
  try {
    const answer = await fetch(url);
    if (!answer.ok)
      throw new Error(`expected the model's files at ${url}, got HTTP ${answer.status}.`);
    const reader = answer.body.getReader();
    for (let part; !(part = await reader.read()).done; parts.push(part.value))
      received(part.value.length);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the browser's word for no network
    throw new Error(`expected the file ${name}, got only a part or nothing: is the network there?`);
  }
  return new Blob(parts).arrayBuffer();
}

let library = null;
async function load(runtime) {
  const script = "ort.wasm.bundle.min.mjs";
  const [ort, wasm] = await Promise.all([
    import(`${runtime}${script}`).catch(() => {
      throw new Error(`expected the file ${script}, got nothing: is the network there?`);
    }),
    download(`${runtime}ort-wasm-simd-threaded.wasm`)]);
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
  return ort;
}

/** onnxruntime-web, fetched once a page. */
export function openRuntime(runtime) {
  library ??= load(runtime);
  library.catch(() => (library = null)); // a second click may try again
  return library;
}

// ---- in a notebook: the kernel
/** Sends a message to the kernel; resolves with its answer, throws what it complains of.
    After ten seconds it says so by `late`, and takes a later answer all the same. */
export function ask(model, message, late = () => {}, { patience = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const id = uid() + uid();
    const stop = () => { timers.forEach(clearTimeout); model.off("msg:custom", hear); };
    const hear = (answer) => {
      if (answer.id !== id) return;
      stop();
      answer.error ? reject(new Error(answer.error)) : resolve(answer);
    };
    const seconds = (n) => `${Math.round((n * patience) / 1000)} s`;
    const timers = [
      setTimeout(late, patience, `No answer of the kernel for ${seconds(1)}: is it busy? ` +
        "What you see is older."),
      setTimeout(() => {
        stop();
        reject(new Error(`expected an answer of the kernel within ${seconds(12)}, got none.`));
      }, 12 * patience)];
    model.on("msg:custom", hear);
    model.send({ ...message, id });
  });
}

// ---- networks that read pictures: {open(), run(pixels, late) -> {outputs, by}}
// pixels: Uint8Array of n pictures, channel by channel; outputs: {name: Float32Array}

/** Runs `<files>model.onnx` in the page; its input is `image (n, 3, size, size)`. */
export function pageNetwork({ files, runtime, size, mark }) {
  let opened = null;
  async function start() {
    const [ort, network] = await Promise.all([openRuntime(runtime),
      download(`${files}model.onnx`)]);
    performance.mark(mark);
    return [ort, await ort.InferenceSession.create(new Uint8Array(network))];
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  async function run(pixels) {
    const [ort, session] = await open();
    const began = performance.now();
    const shape = [pixels.length / (3 * size * size), 3, size, size];
    const image = new ort.Tensor("float32", Float32Array.from(pixels, (x) => x / 127.5 - 1), shape);
    const found = await session.run({ image });
    const outputs = Object.fromEntries(Object.entries(found).map(([k, v]) => [k, v.data]));
    return { outputs, by: `this browser, ${label(performance.now() - began)}` };
  }
  return { open, run };
}

/** Has the kernel behind the notebook run it. */
export function kernelNetwork(model) {
  async function run(pixels, late) {
    const began = performance.now();
    const { outputs } = await ask(model, { pixels: base64(pixels) }, late);
    const arrays = Object.entries(outputs).map(([name, text]) =>
      [name, new Float32Array(bytes(text).buffer)]);
    const by = `the kernel (torch), ${label(performance.now() - began)}`;
    return { outputs: Object.fromEntries(arrays), by };
  }
  return { open: async () => {}, run };
}

// ---- what the reader sees
/** On a page: nothing heavy before this click. */
export function startButton(el, model, begin, what = "model") {
  const status = make("p", { className: "status", attributes: { role: "status" } });
  const all = model.get("megabytes"), count = make("small"); // counts without being read out
  const button = make("button", { type: "button", className: "main" },
    `Load the ${what}, ${all} MB`);
  const box = make("div", { className: "start" }, button, status, count);
  button.onclick = async () => {
    let bytes = 0;
    button.disabled = true;
    Object.assign(status, { textContent: "Loading ...", className: "status" });
    received = (more) => {
      bytes += more;
      count.textContent = `${Math.min(bytes / 1e6, all).toFixed(1)} of ${all} MB`;
    };
    try {
      await begin();
      box.remove();
    } catch (error) {
      button.disabled = false;
      count.textContent = "";
      const textContent = `${sentence(error)} The button tries again.`;
      Object.assign(status, { textContent, className: "status wrong" });
    }
  };
  el.append(box);
}

/** A demo whose nets run on the page after a click, or in the kernel of a notebook.
    `browser({files, runtime})` and `kernel(model)` make engines, which `open`; `focus`
    is reached when the first answer stands. */
export const netDemo = ({ name, style, run, browser, kernel, focus, what }) => ({
  async render({ model, el }) {
    const root = stage(el, name, model.get("title"), style);
    if (model.get("facts")) return void run(root, kernel(model));
    startButton(root, model, async () => {
      const engine = browser({ files: model.get("files"), runtime: model.get("runtime") });
      await engine.open();
      model.set("running", true);
      await run(root, engine);
      performance.mark(`mmdl-${name}-answer`);
      root.querySelector(focus).focus({ preventScroll: true });
    }, what);
  },
});

/** A range with its name before it and its value behind it. */
export function slider(text, min, max, value, step = 1) {
  const input = make("input", { type: "range", min, max, step, value,
    attributes: { "aria-label": text } });
  const output = make("span", { className: "value" }, String(value));
  return { row: make("label", { className: "slider" }, make("span", {}, text), input, output),
    input, output };
}

/** Paints pixels (3, size, size), 0 to 255, onto a canvas of that size. */
export function paint(canvas, pixels, size) {
  const data = new ImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = pixels[c * size * size + i];
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d", { willReadFrequently: true }).putImageData(data, 0, 0);
}

/** The element of a demo, with the look that all share and its own. */
export function stage(el, name, title, style) {
  const root = make("section", { className: `mmdl-live mmdl-${name}`,
    attributes: { "aria-label": `Demo: ${title}` } });
  el.append(make("style", {}, SHARED_STYLE + style), root);
  return root;
}

const SHARED_STYLE = `
.mmdl-live { --accent: var(--pst-color-primary, var(--jp-brand-color1, #0b7285));
  --edge: var(--pst-color-border, var(--jp-border-color1, #8888));
  --soft: var(--pst-color-text-muted, var(--jp-ui-font-color1, inherit));
  --bad: var(--pst-color-danger, var(--jp-error-color1, #c92a2a));
  container-type: inline-size; color: var(--pst-color-text-base, var(--jp-ui-font-color0, inherit));
  padding: 0 4px; /* room for the focus ring */
  font-size: 0.95rem; line-height: 1.4; text-align: left; }
.mmdl-live [hidden] { display: none; }
.mmdl-live p { margin: 0.4em 0; }
.mmdl-live :is(button, input) { font: inherit; color: inherit; background: none;
  border: 1px solid var(--edge); border-radius: 0.4em; padding: 0.3em 0.7em; margin: 0; }
.mmdl-live button { cursor: pointer; }
.mmdl-live button:hover { border-color: var(--accent); }
.mmdl-live :is(button, input, summary, canvas, .known):focus-visible {
  outline: 2px solid var(--accent); outline-offset: 2px; }
.mmdl-live .status:not(:empty) { min-height: 2.8em; }
.mmdl-live .start { text-align: center; }
.mmdl-live .wrong { color: var(--bad); }
.mmdl-live :is(.heading, .note, details) { font-size: 0.85em; color: var(--soft); }
.mmdl-live ol { list-style: none; padding: 0; margin: 0 0 0.6em; }
.mmdl-live li { display: flex; align-items: center; gap: 0.7em; margin: 0 0 0.5em; }
.mmdl-live .what { flex: 1; min-width: 0; overflow-wrap: anywhere; }
.mmdl-live b { font-variant-numeric: tabular-nums; font-weight: 600; }
.mmdl-live .picks:where(:not([hidden])) { display: flex; flex-wrap: wrap; gap: 0.5em; margin: 0.6em 0;
  align-items: center; }
.mmdl-live .slider { display: grid; gap: 0.5em; align-items: center; margin: 0.3em 0;
  grid-template-columns: 7.5em minmax(0, 1fr) 4.6em; }
.mmdl-live .slider input { width: 100%; padding: 0; accent-color: var(--accent); }
.mmdl-live .value { font-variant-numeric: tabular-nums; }
.mmdl-live small { color: var(--soft); }
.mmdl-live .bar { display: block; height: 0.4em; border-radius: 0.2em; margin-top: 0.2em;
  background: color-mix(in srgb, currentColor 14%, transparent); overflow: hidden; }
.mmdl-live .bar i { display: block; height: 100%; background: var(--accent); }
`;
