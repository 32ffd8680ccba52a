/* METEOR's search: which word of a caption goes with which of a reference.

   The same steps as `metrics/_words/alignment.py`, slips of the official program included;
   without paraphrases, so a match is one word on each side. */

const BEAM = 40;
const byRank = (a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.rank[2] - b.rank[2];

/** All matches of each word of the reference: {at, of, stage}; stages: equal words, equal
    stems, a common set of synonyms. */
function matches(said, truth, stem, sets) {
  const found = truth.map(() => []);
  const pairs = (stage, equal) => truth.forEach((b, at) => said.forEach((a, of) => {
    if (equal(a, b)) found[at].push({ at, of, stage });
  }));
  pairs(0, (a, b) => a === b);
  pairs(1, (a, b) => a !== b && stem(a) === stem(b));
  if (sets) pairs(2, (a, b) => a !== b && sets(a).some((name) => sets(b).includes(name)));
  return found;
}

/** The matches that no other competes with, by their place in the reference. */
function certain(found, count) {
  const covered = new Array(count).fill(0);
  found.flat().forEach(({ of }) => { covered[of] += 1; });
  const alone = found.flatMap((some) =>
    some.length === 1 && covered[some[0].of] === 1 ? [[some[0].at, some[0]]] : []);
  return new Map(alone);
}

const bit = (place) => 1n << BigInt(place);
// half of a whole number, rounded down: other stages do not count as matches here
const gain = ({ stage }) => (stage === 0 ? 2 : 0);
const apart = ({ at, of }) => Math.abs(at - of);

/** What can be done with the next word of the reference: {rank, path, match}. */
function ways(path, at, some, fixed) {
  const { rank: [matched, chunks, distance], end, used, taken } = path;
  const longer = (match, far) => ({ path, match, rank: [matched - gain(match),
    chunks + (end !== -1 && end !== match.of), distance + far] });
  if (used & bit(at)) return [longer(fixed.get(at), apart(fixed.get(at)))];
  const out = [], seen = {};
  let far = 0;
  for (const match of some) {
    if (taken & bit(match.of)) continue;
    const way = longer(match, far), kind = `${way.rank[0]} ${way.rank[1]}`;
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (seen[kind] <= BEAM) out.push(way);
    far += apart(match); // goes to the path without the match: a slip of the program
  }
  return [...out, { path, match: null, rank: [matched, chunks + (end !== -1), distance + far] }];
}

function go({ path, match, rank }) {
  if (match === null) return { ...path, rank, end: -1 };
  return { rank, end: match.of + 1, used: path.used | bit(match.at),
    taken: path.taken | bit(match.of), chosen: [path.chosen, match] };
}

/** The matches of the best alignment, in the order of the reference. */
export function align(said, truth, stem, sets = null) {
  const found = matches(said, truth, stem, sets), fixed = certain(found, said.length);
  const sum = (bits) => bits.reduce((all, one) => all | one, 0n);
  let paths = [{ rank: [0, 0, 0], end: -1, chosen: null,
    used: sum([...fixed.keys()].map(bit)), taken: sum([...fixed.values()].map((m) => bit(m.of))) }];
  found.forEach((some, at) => {
    paths = paths.flatMap((path) => ways(path, at, some, fixed)).sort(byRank)
      .slice(0, BEAM).map(go);
  });
  const ends = paths.map((path) => ({ ...path,
    rank: [path.rank[0], path.rank[1] + (path.end !== -1), path.rank[2]] }));
  const out = [];
  for (let link = ends.sort(byRank)[0].chosen; link; link = link[0]) out.unshift(link[1]);
  return out;
}
