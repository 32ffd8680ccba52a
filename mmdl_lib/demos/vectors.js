/* What the demos of word vectors share: directions from 8-bit numbers, a word that is typed. */

import { make, sentence } from "./common.js";

export const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
export function unit(vector) {
  const length = Math.hypot(...vector) || 1;
  return Float64Array.from(vector, (x) => x / length);
}

/** Directions from 8-bit numbers, row by row. */
export const directions = (codes, count, width) => Array.from({ length: count }, (_, i) =>
  unit(codes.subarray(i * width, (i + 1) * width)));

/** 8-bit numbers, if there are as many as there should be. */
export function numbers(buffer, count) {
  const codes = new Int8Array(buffer);
  if (codes.length !== count)
    throw new Error(`expected ${count} numbers, got ${codes.length}.`);
  return codes;
}

/** The known word that was typed; throws a sentence that names words spelled alike. */
export function find(table, typed, what = "words") {
  const word = typed.trim().toLowerCase();
  if (table.index.has(word)) return word;
  const count = table.words.length.toLocaleString("en");
  const alike = starting(table, word).slice(0, 3).map((w) => ` ${w}`);
  throw new Error(`expected one of ${count} ${what}, got \u201c${word}\u201d.` +
    (word && alike.length ? ` There are:${alike}.` : ""));
}

/** Words that begin with the longest beginning of a word that some word has. */
function starting(table, word) {
  for (let n = word.length; n > 0; n--) {
    const found = table.words.filter((w) => w.startsWith(word.slice(0, n)));
    if (found.length) return found;
  }
  return [];
}

/** A field for a word; `list` is that of its suggestions. */
export const field = (name, list) => make("input", { type: "text", maxLength: 30, attributes: {
  "aria-label": name, list, autocomplete: "off", autocapitalize: "none", spellcheck: "false" } });

/** A field is read when it is left or Enter is pressed; meanwhile it suggests. */
export function listen(node, words, list, read, say) {
  node.oninput = () => {
    const begun = node.value.trim().toLowerCase();
    const found = begun ? words.filter((w) => w.startsWith(begun)).slice(0, 8) : [];
    list.replaceChildren(...found.map((value) => make("option", { value })));
  };
  node.onclick = () => node.select(); // what is typed replaces the word
  node.onchange = () => {
    try {
      read();
    } catch (error) {
      say(sentence(error), true);
    }
  };
}
