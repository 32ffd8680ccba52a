/* What the demos share that draw from a caption: its words, and luck that a seed repeats. */

// ---- from a caption to tokens: mmdl_lib/data/text.py
const WORD = /[\p{L}\p{N}]+(?:'[\p{L}\p{N}]+)?/gu, START = 1, END = 2, SPECIAL = 3;

/** Ids of a caption, framed; throws what `who` cannot read. */
export function tokens(caption, words, most, who) {
  const said = caption.toLowerCase().match(WORD) ?? [];
  if (!said.length) throw new Error("expected a caption with words, got none.");
  const strange = said.find((word) => !words.includes(word));
  if (strange)
    throw new Error(`expected words that ${who} knows, got "${strange}": they stand below.`);
  if (said.length + 2 > most)
    throw new Error(`expected at most ${most - 2} words, got ${said.length}: shorten the caption.`);
  return [START, ...said.map((word) => SPECIAL + words.indexOf(word)), END];
}

/** What a page says of a caption that has a pair which training never showed. */
export function unseenIn(caption, { unseen }) {
  const pair = unseen.find((two) => ` ${caption.toLowerCase()} `.includes(` ${two} `));
  return pair ? `It has never seen a${/^[aeiou]/.test(pair) ? "n" : ""} ${pair}. ` : "";
}

// ---- luck
/** Numbers from 0 to 1, always the same ones for a seed (the generator mulberry32). */
export function luck(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** n normal numbers out of such luck, two of two (Box and Muller). */
export function normal(n, random) {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const far = Math.sqrt(-2 * Math.log(1 - random())), angle = 2 * Math.PI * random();
    out[i] = far * Math.cos(angle);
    if (i + 1 < n) out[i + 1] = far * Math.sin(angle);
  }
  return out;
}

/** A seed that was typed; throws what is none. */
export function seedOf(text) {
  if (!/^\s*\d{1,9}\s*$/.test(text))
    throw new Error(`expected a seed, a whole number of at most nine digits, got "${text}".`);
  return Number(text);
}

/** The seed behind a typed one; 1 behind what is none. */
export function nextSeed(text) {
  try {
    return (seedOf(text) + 1) % 1e9;
  } catch {
    return 1;
  }
}
