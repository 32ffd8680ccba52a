/* Words of captions: how they are cut, and cut down to their stems.

   The same steps as `metrics/_words/ptb.py`, `metrics/_words/stem.py` and `meteor_words`;
   all tables come from there, by `recipes/caption_scores_demo.py`. */

/** An expression at one place of a text; what it finds there, or null. */
const at = (rule, text, place) => {
  rule.lastIndex = place;
  return rule.exec(text)?.[0] ?? null;
};
// what \l (a letter), \w and \b mean beyond ASCII
const WORD = "\\p{L}\\p{N}_", INNER = `[${WORD}]`;
const SPELLED = [["\\l", "(?:(?![_²³¹¼-¾])[\\p{L}\\p{Nl}\\p{No}])"], ["[^\\w", `[^${WORD}`],
  ["\\w", INNER], ["\\b", `(?:(?<=${INNER})(?!${INNER})|(?<!${INNER})(?=${INNER}))`]];
const spelled = (source) => SPELLED.reduce((text, pair) => text.replaceAll(...pair), source);
const rule = ([source, flags]) => new RegExp(spelled(source), `${flags}uy`);

/** Words of a caption as coco-caption counts them, without punctuation (so the
    second full stop at the end of a sentence, which `ptb_tokenize` adds, is never seen). */
export function cutter({ entities, rules, signs, dropped }) {
  const marks = entities.map(([source, flags, sign]) =>
    [new RegExp(spelled(source), `${flags}gu`), sign]);
  const kinds = rules.map(rule);
  const known = new Map(Object.entries(signs)), punctuation = new Set(dropped);

  function token(found, after) {
    if (found === '"') return /^[A-Za-z0-9$]/.test(after) ? "``" : "''";
    if (found === "'" && /^[A-Za-z]\S/.test(after)) return "`";
    if (/^[:;=]./s.test(found))
      return found.replaceAll("(", "-lrb-").replaceAll(")", "-rrb-");
    if (/^[. ]{3,}$/.test(found)) return "...";
    if (/^-{2,4}$/.test(found)) return "--";
    return found.includes("/") ? found.replaceAll(" ", "\u00a0") : found; // "2 3/4"
  }

  return (raw) => {
    let text = raw;
    for (const [mark, sign] of marks) text = text.replace(mark, () => sign);
    text = text.replaceAll("\u2019", "'");
    const out = [];
    for (let place = 0; place < text.length;) {
      let found = null;
      for (const kind of kinds) if ((found = at(kind, text, place)) !== null) break;
      if (found === null) {
        place += String.fromCodePoint(text.codePointAt(place)).length;
        continue;
      }
      const small = token(found, text.slice(place + found.length)).toLowerCase();
      out.push(known.get(small) ?? small);
      place += found.length;
    }
    return out.filter((word) => !punctuation.has(word));
  };
}

const LETTERS = "A-Za-zŠŽšžŸÀ-ÖØ-öø-žЀ-ӿ";
const exp = (source, flags = "gu") => new RegExp(source, flags);
// in turn, as METEOR's normalizer does it
const NORMAL = [
  [exp(`([^0-9${LETTERS}\\s.'\`,‘’-])`), " $1 "], [/\.{2,}/gu, " $& "],
  [/(?<!\p{Nd}),|,(?!\p{Nd})/gu, " , "], [/[“”]|''/gu, ' " '], [/[`‘’]/gu, "'"],
  [/--|–/gu, "-"], [exp(`([.0-9${LETTERS}])-([0-9${LETTERS}])`), "$1 $2"],
  [exp(`(?<![0-9${LETTERS}])'|'(?![${LETTERS}])(?<!\\p{Nd}'s)`), " ' "],
  [exp(`([${LETTERS}])'([${LETTERS}])|(\\p{Nd})'(s)`), "$1$3 '$2$4"]];

/** Words of a caption that is cut already, as METEOR cuts them again. */
export function meteorWords(cut) {
  let text = ` ${cut.join(" ")} `;
  for (const [found, put] of NORMAL) text = text.replace(found, put);
  const words = text.trim().split(/\s+/).filter(Boolean), letter = exp(`[${LETTERS}]`, "u");
  return words.flatMap((word, i) => {
    const root = word.slice(0, -1);
    if (!word.endsWith(".") || word.length < 2) return [word];
    if (root.includes(".") && letter.test(root)) return [word.replaceAll(".", "")];
    const keeps = ["v", "vs", "rev"].includes(root) || /^[a-z]/.test(words[i + 1] ?? "");
    return keeps ? [word] : [root, "."];
  });
}

const V = "[aeiouy]", C = "[^aeiouy]";
const REGION = new RegExp(`^.*?${V}${C}`), VOWEL = new RegExp(V);
const SHORT = new RegExp(`(?:${C}${V}[^aeiouywxY]|^${V}${C})$`);
const longest = (word, endings) => endings.filter((ending) => word.endsWith(ending))
  .reduce((best, one) => (one.length > (best?.length ?? 0) ? one : best), null);

function plural(word) {
  if (word.endsWith("sses")) return word.slice(0, -2);
  if (/ie[ds]$/.test(word)) return word.slice(0, word.length > 4 ? -2 : -1);
  if (/[^us]s$/.test(word)) return VOWEL.test(word.slice(0, -2)) ? word.slice(0, -1) : word;
  return word;
}

function past(word, one) {
  const eed = /eed(?:ly)?$/.exec(word);
  if (eed) return eed.index >= one ? `${word.slice(0, eed.index)}ee` : word;
  const found = /(?:ed|ing)(?:ly)?$/.exec(word);
  if (!found || !VOWEL.test(word.slice(0, found.index))) return word;
  const root = word.slice(0, found.index);
  if (/(?:at|bl|iz)$/.test(root)) return `${root}e`;
  if (/(?:bb|dd|ff|gg|mm|nn|pp|rr|tt)$/.test(root)) return root.slice(0, -1);
  return one >= root.length && SHORT.test(root) ? `${root}e` : root;
}

/** Snowball's English stemmer with its tables: endings go, step by step. */
export function stemmer({ exceptions, finished, step_2: second, step_3: third, step_4: fourth }) {
  const own = new Map(Object.entries(exceptions)), done = new Set(finished);
  const keys = [[...Object.keys(second), "ogi", "li"], [...Object.keys(third), "ative"],
    [...fourth, "ion"]];

  function derived(word, one, two) {
    const cut = (k, from) => {
      const ending = longest(word, keys[k]);
      const far = ending !== null && word.length - ending.length >= from;
      return far ? [ending, word.slice(0, word.length - ending.length)] : ["", word];
    };
    let [ending, root] = cut(0, one);
    if (ending in second) word = root + second[ending];
    else if (ending === "ogi" && root.endsWith("l")) word = `${root}og`;
    else if (ending === "li" && /[cdeghkmnrt]$/.test(root)) word = root;
    [ending, root] = cut(1, one);
    if (ending in third) word = root + third[ending];
    else if (ending && root.length >= two) word = root;
    [ending, root] = cut(2, two);
    return ending && (ending !== "ion" || /[st]$/.test(root)) ? root : word;
  }

  return (given) => {
    if (given.length <= 2) return given;
    if (own.has(given)) return own.get(given);
    // a y that is a consonant is written Y
    let word = given.replace(/^'/, "").replace(/^y/, "Y").replace(/([aeiouy])y/g, "$1Y");
    const end = (text) => REGION.exec(text)?.[0].length ?? text.length;
    const one = /^(?:gener|commun|arsen)/.exec(word)?.[0].length ?? end(word);
    const two = one + end(word.slice(one));
    word = plural(word.replace(/(?:'s'|'s|')$/, ""));
    if (done.has(word)) return word;
    word = past(word, one);
    if (/.[^aeiouy][yY]$/.test(word)) word = `${word.slice(0, -1)}i`;
    word = derived(word, one, two);
    const last = word.length - 1;
    if (word.endsWith("e")) {
      if (last >= two || (last >= one && !SHORT.test(word.slice(0, -1)))) word = word.slice(0, -1);
    } else if (word.endsWith("ll") && last >= two) word = word.slice(0, -1);
    return word.toLowerCase();
  };
}
