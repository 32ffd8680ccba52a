/* Beam search as mmdl_lib/nn/decode.py has it without a length penalty, and told. */

export const START = 1, END = 2;

/** Logarithms of the shares that the softmax gives. */
export function logSoftmax(logits) {
  const most = Math.max(...logits);
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  return Array.from(logits, (x) => x - most - Math.log(sum));
}

/** The best `beams` captions; one beam is greedy.

    next(rows) -> {logits, attention} of each row of tokens, without their start.
    seen(best, steps) hears after each word; false stops the search, which is then null.

    Returns kept: [{tokens, logP, looks}], the best first, and steps: for each word the
    candidates in order, [{tokens, logP, fate}]. Twice as many as beams are compared:
    "kept" are read on, "ended" are whole captions, "cut" is the rest. */
export async function beamSearch(next, { beams, longest, seen = () => true }) {
  let live = [{ tokens: [], logP: 0, looks: [] }], kept = [];
  const steps = [];
  for (let length = 1; length <= longest; length++) {
    const { logits, attention } = await next(live.map(({ tokens }) => tokens));
    const candidates = live.flatMap(({ tokens, logP, looks }, i) =>
      logSoftmax(logits[i]).map((x, id) => ({ tokens: [...tokens, id], logP: logP + x,
        looks: [...looks, attention[i]] })));
    candidates.sort((a, b) => b.logP - a.logP);
    candidates.length = Math.min(candidates.length, 2 * beams);
    let left = beams;
    candidates.forEach((one, rank) => {
      const ended = one.tokens.at(-1) === END, last = length === longest;
      if (ended || last) one.fate = rank < beams ? "ended" : "cut";
      else one.fate = left-- > 0 ? "kept" : "cut";
    });
    const found = candidates.filter(({ fate }) => fate === "ended");
    kept = [...kept, ...found].sort((a, b) => b.logP - a.logP).slice(0, beams);
    live = candidates.filter(({ fate }) => fate === "kept");
    steps.push(candidates);
    const best = live.length && !(kept[0]?.logP > live[0].logP) ? live[0] : kept[0];
    if (!seen(best, steps)) return null;
    // log p only falls, so no beginning can get better than it is
    if (!live.length || (kept.length === beams && live[0].logP <= kept.at(-1).logP)) break;
  }
  return { kept, steps };
}
