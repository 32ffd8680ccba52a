/* The scores of a caption against references, and what each of them counts.

   The same numbers as `mmdl_lib.metrics` (`tests/demos/test_caption_scores.py`): `coco_bleu`,
   `coco_rouge_l`, `meteor`, `cider_d` and `spice`. Captions are lists of words but for SPICE. */

import { align } from "./align.js";

const GLUE = "\u0000"; // between the words of an n-gram or a tuple
const sum = (values) => values.reduce((a, b) => a + b, 0);
const most = (values) => values.indexOf(Math.max(...values));

/** The runs of n words, in order; and how often each occurs. */
const runs = (words, n) => words.slice(n - 1).map((_, i) => words.slice(i, i + n).join(GLUE));
function count(grams) {
  const out = new Map();
  for (const gram of grams) out.set(gram, (out.get(gram) ?? 0) + 1);
  return out;
}

/** BLEU-1 to BLEU-4 as coco-caption has them; `found[n - 1][i]`: does the run of n words
    that begins at i count? */
export function bleu(said, references) {
  const length = said.length;
  const off = (words) => Math.abs(words.length - length);
  const closest = references.reduce((best, one) =>
    (off(one) - off(best) || one.length - best.length) < 0 ? one : best).length;
  const found = [1, 2, 3, 4].map((n) => {
    const known = references.map((words) => count(runs(words, n))), spent = new Map();
    return runs(said, n).map((gram) => {
      const allowed = Math.max(...known.map((grams) => grams.get(gram) ?? 0));
      spent.set(gram, (spent.get(gram) ?? 0) + 1);
      return spent.get(gram) <= allowed;
    });
  });
  // 1e-15 and 1e-9: lest anything divide by 0
  const ratio = (length + 1e-15) / (closest + 1e-9);
  const brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  const logs = found.map((some) =>
    Math.log((some.filter(Boolean).length + 1e-15) / (some.length + 1e-9)));
  const scores = logs.map((_, n) => brevity * Math.exp(sum(logs.slice(0, n + 1)) / (n + 1)));
  return { scores, found, closest, brevity };
}

/** Pairs of places of a longest common subsequence. */
function common(one, other) {
  const table = Array.from({ length: one.length + 1 }, () => new Array(other.length + 1).fill(0));
  for (let i = one.length - 1; i >= 0; i--)
    for (let j = other.length - 1; j >= 0; j--)
      table[i][j] = one[i] === other[j] ? table[i + 1][j + 1] + 1
        : Math.max(table[i + 1][j], table[i][j + 1]);
  const out = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i] === other[j]) out.push([i++, j++]);
    else if (table[i + 1][j] >= table[i][j + 1]) i++;
    else j++;
  }
  return out;
}

/** ROUGE-L as coco-caption has it: the best precision and the best recall, perhaps of two
    references, `by` and `recallBy`. */
export function rougeL(words, references, beta = 1.2) {
  // a caption without words has one empty word, as if split at spaces
  const filled = (some) => (some.length ? some : [""]), said = filled(words);
  const links = references.map((true_) => common(said, filled(true_)));
  const recalls = links.map((some, k) => some.length / filled(references[k]).length);
  const by = most(links.map((some) => some.length)), recallBy = most(recalls);
  const [p, r] = [links[by].length / said.length, recalls[recallBy]], b = beta ** 2;
  return { score: p ? ((1 + b) * p * r) / (r + b * p) : 0, p, r, by, recallBy, links: links[by] };
}

// of METEOR 1.5 for English; the weights of equal words, stems, synonyms
const [ALPHA, BETA, GAMMA, DELTA, WEIGHTS] = [0.85, 0.2, 0.6, 0.75, [1, 0.6, 0.8]];

/** METEOR of a caption and one reference; a chunk is a list of matches. */
function meteorOne(said, truth, links, common_) {
  const weight = (word) => (common_.has(word) ? 1 - DELTA : DELTA);
  const chunks = [];
  links.forEach((link, i) => {
    const last = links[i - 1];
    const goes = last && last.at + 1 === link.at && last.of + 1 === link.of;
    goes ? chunks.at(-1).push(link) : chunks.push([link]);
  });
  const share = (words, place) => {
    const matched = sum(links.map((link) => WEIGHTS[link.stage] * weight(words[link[place]])));
    return words.length ? matched / sum(words.map(weight)) : 0;
  };
  const [p, r] = [share(said, "of"), share(truth, "at")];
  const whole = chunks.length === 1 && said.length === truth.length && said.length === links.length;
  const penalty = p && r ? GAMMA * ((whole ? 0 : chunks.length) / links.length) ** BETA : 0;
  const score = p && r ? ((p * r) / (ALPHA * p + (1 - ALPHA) * r)) * (1 - penalty) : 0;
  return { score, p, r, penalty, chunks, said, truth };
}

/** METEOR with the best of the references, `by`. Tools: {words, stem, common, sets}; `sets`
    gives the names of a word's sets of synonyms, or is null. */
export function meteor(said, references, tools) {
  const cut = tools.words(said), all = references.map((words) => {
    const truth = tools.words(words);
    return meteorOne(cut, truth, align(cut, truth, tools.stem, tools.sets), tools.common);
  });
  const by = most(all.map(({ score }) => score));
  return { ...all[by], by };
}

/** How much n-grams weigh: the logarithm of pictures by pictures that have it. */
export function rarity(pictures) {
  const held = new Map();
  for (const texts of pictures) {
    const grams = new Set(texts.flatMap((words) => [1, 2, 3, 4].flatMap((n) => runs(words, n))));
    for (const gram of grams) held.set(gram, (held.get(gram) ?? 0) + 1);
  }
  const rarest = Math.log(pictures.length);
  return { held, weight: (gram) => rarest - Math.log(held.get(gram) ?? 1) };
}

/** CIDEr-D, 0 to 10; `parts`: what each n-gram of the caption adds to it; `unknown`: its
    words that the corpus does not hold. */
export function ciderD(said, references, known, sigma = 6) {
  const weigh = (words) => [1, 2, 3, 4].map((n) => {
    const weights = new Map([...count(runs(words, n))].map(([gram, times]) =>
      [gram, times * known.weight(gram)]));
    return { weights, norm: Math.sqrt(sum([...weights.values()].map((w) => w * w))) };
  });
  const mine = weigh(said), parts = new Map();
  for (const reference of references) {
    const scale = 10 * Math.exp(-((said.length - reference.length) ** 2) / (2 * sigma ** 2));
    weigh(reference).forEach(({ weights, norm }, n) => {
      for (const [gram, weight] of mine[n].weights) {
        const shared = Math.min(weight, weights.get(gram) ?? 0) * (weights.get(gram) ?? 0);
        if (shared) parts.set(gram, (parts.get(gram) ?? 0) +
          (scale * shared) / (mine[n].norm * norm) / 4 / references.length);
      }
    });
  }
  const found = [...parts].map(([gram, part]) => ({ words: gram.split(GLUE), part }))
    .sort((a, b) => b.part - a.part);
  const unknown = [...new Set(said)].filter((word) => !known.held.has(word));
  return { score: sum(found.map(({ part }) => part)), parts: found, unknown };
}

/** The noun in the singular, by its ending. */
function singular(noun) {
  if (/(?:sses|xes|shes|ches)$/.test(noun)) return noun.slice(0, -2);
  return /[^s]s$|^s$/.test(noun) ? noun.slice(0, -1) : noun;
}

/** The tuples that a caption says, in the book's grammar: lists of one to three words. */
export function sceneGraph(words, { articles, frames, relations }) {
  let text = ` ${words.join(" ")} `.replaceAll("|", " ");
  for (const frame of frames)
    text = text.replaceAll(` a ${frame} `, " ").replaceAll(` ${frame} `, " ");
  for (const relation of relations)
    text = text.replaceAll(` ${relation} `, ` |${relation.replaceAll(" ", "_")}| `);
  const pieces = text.replaceAll(" and ", " || ").split("|"), tuples = new Map();
  const add = (...tuple) => tuples.set(tuple.join(GLUE), tuple);
  let before = null;
  for (let i = 0; i < pieces.length; i += 2) {
    const phrase = pieces[i].split(/\s+/).filter(Boolean), link = i ? pieces[i - 1] : "";
    if (!phrase.length || phrase[0] === "no") {
      before = null;
      continue;
    }
    const noun = singular(phrase.at(-1));
    add(noun);
    phrase.slice(0, -1).filter((word) => !articles.includes(word)).forEach((w) => add(noun, w));
    if (link && before) add(before, link.replaceAll("_", " "), noun);
    before = noun;
  }
  return [...tuples.values()];
}

/** SPICE of tuples; `said` and `missed`: {tuple, hit} of the caption, and what only the
    references say. */
export function spice(candidate, references, sets = null) {
  const alike = (a, b) => a === b ||
    (sets !== null && sets(a).some((name) => sets(b).includes(name)));
  const same = (one, other) =>
    one.length === other.length && one.every((word, i) => alike(word, other[i]));
  const distinct = (tuples) => [...new Map(tuples.map((t) => [t.join(GLUE), t]))]
    .sort(([a], [b]) => (a < b ? -1 : 1)).reduce((kept, [, tuple]) =>
      (kept.some((other) => same(tuple, other)) ? kept : [...kept, tuple]), []);
  const mine = distinct(candidate), truth = distinct(references.flat());
  const said = mine.map((tuple) => ({ tuple, hit: truth.some((other) => same(tuple, other)) }));
  const matched = said.filter(({ hit }) => hit).length;
  const [p, r] = matched ? [matched / mine.length, matched / truth.length] : [0, 0];
  const missed = truth.filter((tuple) => !mine.some((other) => same(tuple, other)));
  return { score: matched ? (2 * p * r) / (p + r) : 0, p, r, said, missed, of: truth.length };
}
