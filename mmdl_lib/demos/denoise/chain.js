/* GLIDE's steps back, and the two engines that run its net; mmdl_lib/nn/diffusion.py in the
   page. A picture is a Float32Array, channel by channel, in [-1, 1] but for its noise. */

import { ask, base64, bytes, download, openRuntime } from "../common.js";

const clamp = (v) => Math.min(1, Math.max(-1, v));

/** Classifier-free guidance, GLIDE's eq. (8), and the belief clipped. */
export const guided = (told, empty, scale) =>
  told.map((v, i) => clamp(empty[i] + scale * (v - empty[i])));

/** DDIM's eq. (12) without chance, from what is `left` of a picture's variance to `then`. */
export function back(x, x0, left, then) {
  const [a, s] = [Math.sqrt(left), Math.sqrt(1 - left)];
  const [b, r] = [Math.sqrt(then), Math.sqrt(1 - then)];
  return x.map((v, i) => b * x0[i] + (r / s) * (v - a * x0[i]));
}

/** All places of a draw, {x, x0} each: before every step, and the picture at the end. */
export async function* walk(say, noise, { steps, left }, scale, settle = (x0) => x0) {
  let x = noise;
  for (let i = 0; i < steps.length; i++) {
    const x0 = settle(guided(...await say(x, steps[i]), scale));
    yield { x, x0 };
    x = back(x, x0, left[i], left[i + 1] ?? 1);
  }
  yield { x, x0: x };
}

/** Bytes to be shown: what lies outside of [-1, 1] is clipped. */
export const shown = (x) => Uint8Array.from(x, (v) => Math.round(127.5 * (clamp(v) + 1)));

// ---- the two engines: say(ids, x, step, late) -> [told the caption, told nothing]
const halves = (both) => [0, 1].map((i) =>
  both.subarray((i * both.length) / 2, ((i + 1) * both.length) / 2));

export function browserEngine({ files, runtime, mark }) {
  let opened = null, read = { key: null };
  async function start() {
    const [ort, json, network, reader] = await Promise.all([openRuntime(runtime),
      ...["facts.json", "model.onnx", "words.onnx"].map((name) => download(`${files}${name}`))]);
    performance.mark(mark);
    const session = (file) => ort.InferenceSession.create(new Uint8Array(file));
    return { ort, facts: JSON.parse(new TextDecoder().decode(json)),
      network: await session(network), reader: await session(reader) };
  }
  function open() {
    opened ??= start();
    opened.catch(() => (opened = null));
    return opened;
  }
  /** What the reader makes of a caption; kept until another one comes. */
  async function reading(ids) {
    const { ort, facts: { text }, reader } = await open(), key = ids.join();
    if (read.key === key) return read.found;
    const row = new BigInt64Array(text), real = new Uint8Array(text);
    ids.forEach((id, i) => { [row[i], real[i]] = [BigInt(id), 1]; });
    const found = await reader.run({ tokens: new ort.Tensor("int64", row, [1, text]),
      mask: new ort.Tensor("bool", real, [1, text]) });
    read = { key, found };
    return found;
  }
  async function say(ids, x, step) {
    const { ort, facts: { size }, network } = await open();
    const { said } = await network.run({ ...await reading(ids),
      x: new ort.Tensor("float32", x, [1, 3, size, size]),
      step: new ort.Tensor("int64", BigInt64Array.of(BigInt(step)), [1]) });
    return halves(said.data);
  }
  return { open: async () => (await open()).facts, say, by: "this browser" };
}

export function kernelEngine(model) {
  async function say(ids, x, step, late) {
    const message = { tokens: ids, step, x: base64(new Uint8Array(x.buffer)) };
    return halves(new Float32Array(bytes((await ask(model, message, late)).said).buffer));
  }
  return { open: async () => model.get("facts"), say, by: "the kernel (torch)" };
}
