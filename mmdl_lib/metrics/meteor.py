r"""METEOR: align the words of two texts, then weigh matches and their order.

Words match in stages: **exact** (equal), **stem** (equal stems), **synonym** (a common
WordNet synset) and **paraphrase** (phrases in a table). An alignment uses each word at
most once; of all alignments a beam search takes the one with most matches, then fewest
chunks, then least distance. A chunk is a run of matches, in the same order on both
sides.

A function word counts $1 - \delta$ and a content word $\delta$. With $m_i(t)$ the count
of the words of text $t$ that match in stage $i$, $\ell(t)$ that of all its words, and
weights $w_i$ of the stages,

$$P = \frac{\sum_i w_i m_i(\text{candidate})}{\ell(\text{candidate})},\quad
R = \frac{\sum_i w_i m_i(\text{reference})}{\ell(\text{reference})},\quad
F = \frac{P R}{\alpha P + (1 - \alpha) R}$$

$$\text{METEOR} = F \cdot \Big(1 - \gamma \Big(\frac{\text{chunks}}{m}\Big)^\beta\Big)$$

with $m$ the plain mean number of matched words, and no chunk counted where all words of
both texts match in one. Of several references the best counts.

**Source** Banerjee and Lavie 2005, aclanthology W05-0909; Denkowski and Lavie, Meteor
Universal, 2014, doi 10.3115/v1/W14-3348, whose parameters for English are the default.
**Range** 0 to 1, higher is better.
**Official implementation** `meteor-1.5.jar` (Java), as coco-caption calls it with
`-l en -norm`. Given the synonyms and paraphrases of the official package, ours agrees
with it to rounding; those tables are 65 MB and not part of this book.
**Quirks** Without tables only exact and stem are used, and the score is lower than the
official one: say so when printing it. Captions are cut twice, first as Penn Treebank
words, then by METEOR's own normalizer: "n't" becomes "n" and "'t", "half-eaten" two
words. The search adds a stage's weight of one half to a whole number and loses it, so
stems and synonyms do not count as matches while an alignment is chosen; and it adds a
match's distance to the path without the match. We do the same. The score of a corpus is
computed from added counts, it is not the mean. NLTK's `meteor_score` has the parameters
of 2005 (`METEOR_2005` here), another search, and a penalty even for equal texts.
"""

import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from mmdl_lib.borders import check_references
from mmdl_lib.metrics._words.ptb import caption_words
from mmdl_lib.metrics._words.stem import stem

BEAM = 40
# words that make up a thousandth or more of the authors' English texts; their list,
# `function/english.words` of METEOR 1.5 (Denkowski and Lavie, 2014; LGPL 2.1)
FUNCTION_WORDS = frozenset(
    """the , . to of and a in that for " is on 's it with was as said at he by be from
    have has are his but an this not i will ’ they ) -rrb- ( -lrb- who their had
    we which were been more or s its would about new one after you : also up
    when there than $ all out her people she year two - can if last first “ over
    other ” into some what so -- no time years could ? 't — '""".split()
)
LETTERS = "A-Za-zŠŽšžŸÀ-ÖØ-öø-žЀ-ӿ"


class Parameters(NamedTuple):
    """What the score is made with; `weights` are those of the four stages."""

    alpha: float
    beta: float
    gamma: float
    delta: float
    weights: tuple[float, float, float, float]


METEOR_1_5 = Parameters(0.85, 0.2, 0.6, 0.75, (1.0, 0.6, 0.8, 0.6))
METEOR_2005 = Parameters(0.9, 3.0, 0.5, 0.5, (1.0, 1.0, 1.0, 1.0))


class Match(NamedTuple):
    """Words `at` to `at + length` of the reference match `of` to `of + width`."""

    at: int
    length: int
    of: int
    width: int
    stage: int


def meteor_words(text: str) -> list[str]:
    """Words of a caption as coco-caption and then METEOR's normalizer cut them.

    Example:
        >>> meteor_words("A half-eaten cake isn't in the U.S.")
        ['a', 'half', 'eaten', 'cake', 'is', 'n', "'t", 'in', 'the', 'us']
    """
    text = f" {' '.join(caption_words(text))} "
    text = re.sub(rf"([^0-9{LETTERS}\s.'`,‘’-])", r" \1 ", text)
    text = re.sub(r"\.{2,}", r" \g<0> ", text)
    text = re.sub(r"(?<!\d),|,(?!\d)", " , ", text)
    text = re.sub("[`‘’]", "'", re.sub("[“”]|''", ' " ', text))
    text = re.sub("--|–", "-", text)
    text = re.sub(rf"([.0-9{LETTERS}])-([0-9{LETTERS}])", r"\1 \2", text)
    text = re.sub(rf"(?<![0-9{LETTERS}])'|'(?![{LETTERS}])(?<!\d's)", " ' ", text)
    text = re.sub(rf"([{LETTERS}])'([{LETTERS}])|(\d)'(s)", r"\1\3 '\2\4", text)
    words, out = text.split(), []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        stem_, dot = word[:-1], word.endswith(".") and len(word) > 1
        if dot and "." in stem_ and re.search(f"[{LETTERS}]", stem_):
            out.append(word.replace(".", ""))
        elif dot and not (stem_ in ("v", "vs", "rev") or re.match("[a-z]", after)):
            out += [stem_, "."]
        else:
            out.append(word)
    return out


def _matches(said, true, synonyms, paraphrases) -> list[list[Match]]:
    """All matches that begin at each word of the reference."""
    found = [[] for _ in true]

    def pairs(stage, equal):
        for at, b in enumerate(true):
            for of, a in enumerate(said):
                if equal(a, b):
                    found[at].append(Match(at, 1, of, 1, stage))

    pairs(0, str.__eq__)
    stems = {word: stem(word) for word in {*said, *true}}
    pairs(1, lambda a, b: a != b and stems[a] == stems[b])
    if synonyms:
        sets = {word: frozenset(synonyms(word)) for word in {*said, *true}}
        pairs(2, lambda a, b: a != b and sets[a] & sets[b])
    if paraphrases:
        for at, length, of, width in _phrases(true, said, paraphrases):
            found[at].append(Match(at, length, of, width, 3))
        for of, width, at, length in _phrases(said, true, paraphrases):
            found[at].append(Match(at, length, of, width, 3))
    return found


def _phrases(one, other, paraphrases):
    """Where a phrase of one text has a paraphrase in the other."""
    for i in range(len(one)):
        for j in range(i + 1, len(one) + 1):
            for phrase in paraphrases.get(" ".join(one[i:j]), ()):
                words = phrase.split()
                for k in range(len(other) - len(words) + 1):
                    if list(other[k : k + len(words)]) == words:
                        yield i, j - i, k, len(words)


def _bits(start: int, length: int) -> int:
    """Places of words as bits of a number: sets that are quick to copy."""
    return ((1 << length) - 1) << start


class _Move(NamedTuple):
    """A match with what the search asks of it again and again."""

    match: Match
    gained: int
    distance: int
    used: int
    taken: int


def _move(match: Match) -> _Move:
    at, length, of, width, stage = match
    # half of a whole number, rounded down: see the quirks
    half = 2 if stage == 0 else 1
    gained = width * half // 2 + length * half // 2
    return _Move(match, gained, abs(at - of), _bits(at, length), _bits(of, width))


class _Path(NamedTuple):
    """A partial alignment; `end` is where its open chunk ends in the candidate.

    `used` and `taken` are the words of reference and candidate that it has, `chosen` is
    its last match behind all earlier ones.
    """

    matched: int = 0
    chunks: int = 0
    distance: int = 0
    next: int = 0
    end: int = -1
    used: int = 0
    taken: int = 0
    chosen: tuple = ()

    @property
    def rank(self):
        return -self.matched, self.chunks, self.distance


def align(
    said: Sequence[str],
    true: Sequence[str],
    *,
    synonyms: Callable[[str], Collection] | None = None,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
) -> list[Match]:
    """The matches of the best alignment, in the order of the reference.

    Example:
        >>> for match in align("the cats sat".split(), "a cat sat".split()):
        ...     print(match.at, match.of, match.stage)
        1 1 1
        2 2 0
    """
    found = _matches(list(said), list(true), synonyms, paraphrases)
    fixed = {at: _move(m) for at, m in _certain(found, len(said)).items()}
    used = sum(move.used for move in fixed.values())
    taken = sum(move.taken for move in fixed.values())
    paths = [_Path(used=used, taken=taken)]
    for at, some in enumerate(found):
        moves = [_move(match) for match in some]
        ways = [
            (rank, path, move)
            for path in paths
            for rank, move in _ways(path, at, moves, fixed)
        ]
        # like a stable sort, so that of equal ranks the earlier stay
        best = heapq.nsmallest(BEAM, ways, key=itemgetter(0))
        paths = [_go(path, at, move, rank) for rank, path, move in best]
    ends = [p._replace(chunks=p.chunks + (p.end != -1)) for p in paths]
    chosen, alignment = min(ends, key=lambda p: p.rank).chosen, []
    while chosen:
        chosen, match = chosen
        alignment.append(match)
    return alignment[::-1]


def _certain(found: list[list[Match]], said: int) -> dict[int, Match]:
    """The matches that no other competes with, by their place in the reference."""
    cover, covered = [0] * len(found), [0] * said
    for match in (m for some in found for m in some):
        for i in range(match.length):
            cover[match.at + i] += 1
        for i in range(match.width):
            covered[match.of + i] += 1
    fixed = {}
    for at, some in enumerate(found):
        if len(some) == 1:
            m = some[0]
            counts = cover[at : at + m.length] + covered[m.of : m.of + m.width]
            if set(counts) == {1}:
                fixed[at] = m
    return fixed


def _ways(path: _Path, at: int, moves: list[_Move], fixed: dict) -> list[tuple]:
    """What can be done with the next word of the reference, and how it ranks.

    A word that occurs often on both sides gives hundreds of ways, of which the beam
    keeps few. So ranks come before paths are made, and a way is left out that as many
    better ones precede as the beam is wide.

    Returns:
        Pairs of the rank of the longer path and the move that it takes, None for none.
    """
    matched, chunks, distance = path.rank
    if at < path.next:
        return [(path.rank, None)]
    end, used, taken = path.end, path.used, path.taken
    if used >> at & 1:
        move = fixed[at]
        broken = end not in (-1, move.match.of)
        rank = matched - move.gained, chunks + broken, distance + move.distance
        return [(rank, move)]
    out, seen = [], defaultdict(int)
    for move in moves:
        match, gained, apart, here, there = move
        if used & here or taken & there:
            continue
        broken = end not in (-1, match.of)
        # distance only grows, so of equal kinds the earlier are the better ones
        kind = 2 * gained + broken
        seen[kind] += 1
        if seen[kind] <= BEAM:
            out.append(((matched - gained, chunks + broken, distance), move))
        # the distance goes to the path without the match: see the quirks
        distance += apart
    return [*out, ((matched, chunks + (end != -1), distance), None)]


def _go(path: _Path, at: int, move: _Move | None, rank: tuple) -> _Path:
    """The path that goes one way, whose rank is known."""
    if at < path.next:
        return path
    matched, chunks, distance = rank
    if move is None:
        return path._replace(chunks=chunks, distance=distance, end=-1, next=at + 1)
    match = move.match
    return _Path(
        matched=-matched,
        chunks=chunks,
        distance=distance,
        next=match.at + match.length,
        end=match.of + match.width,
        used=path.used | move.used,
        taken=path.taken | move.taken,
        chosen=(path.chosen, match),
    )


def _chunks(said, true, alignment: list[Match]) -> int:
    """Number of chunks; 0 where both texts are one."""
    ends = [(m.at + m.length, m.of + m.width) for m in alignment]
    starts = [(m.at, m.of) for m in alignment]
    chunks = len(ends) - sum(map(tuple.__eq__, ends, starts[1:]))
    whole = sum(m.length for m in alignment), sum(m.width for m in alignment)
    return 0 if chunks == 1 and whole == (len(true), len(said)) else chunks


def _counts(said, true, alignment) -> list[int]:
    """Sizes of both texts, matches of each stage, all by kind of word; chunks."""
    sizes = [len(said), len(true)]
    common = [sum(w in FUNCTION_WORDS for w in words) for words in (said, true)]
    matched = [[0, 0, 0, 0] for _ in range(4)]
    for m in alignment:
        for side, words in enumerate(
            (said[m.of : m.of + m.width], true[m.at : m.at + m.length])
        ):
            for word in words:
                matched[2 * side + (word in FUNCTION_WORDS)][m.stage] += 1
    return [*sizes, *common, *sum(matched, []), _chunks(said, true, alignment)]


def _score(counts: Sequence[int], parameters: Parameters) -> float:
    alpha, beta, gamma, delta, weights = parameters
    sizes, common, chunks = counts[:2], counts[2:4], counts[20]
    shares, words = [], []
    for side in (0, 1):
        content, function = (
            counts[4 + 8 * side + 4 * kind : 8 + 8 * side + 4 * kind] for kind in (0, 1)
        )
        size = delta * (sizes[side] - common[side]) + (1 - delta) * common[side]
        matched = sum(
            w * (delta * c + (1 - delta) * f)
            for w, c, f in zip(weights, content, function, strict=True)
        )
        shares.append(matched / size if size else 0.0)
        words.append(sum(content) + sum(function))
    p, r = shares
    if p == 0 or r == 0:
        return 0.0
    fragmented = chunks / (sum(words) / 2)
    return p * r / (alpha * p + (1 - alpha) * r) * (1 - gamma * fragmented**beta)


def _best(candidates, references, synonyms, paraphrases, parameters, tokenize):
    """Counts of each candidate with the reference that scores best."""
    check_references(candidates, references)
    for candidate, texts in zip(candidates, references, strict=True):
        said, best, highest = tokenize(candidate), None, -1.0
        for text in texts:
            true = tokenize(text)
            alignment = align(said, true, synonyms=synonyms, paraphrases=paraphrases)
            counts = _counts(said, true, alignment)
            score = _score(counts, parameters)
            if score > highest:
                best, highest = counts, score
        yield best


def meteor(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    synonyms: Callable[[str], Collection] | None = None,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    parameters: Parameters = METEOR_1_5,
    tokenize: Callable[[str], list[str]] = meteor_words,
) -> list[float]:
    """METEOR of each text.

    Args:
        candidates: one text for each item.
        references: for each item at least one text to compare with.
        synonyms: names of the sets of synonyms that a word is in, such as
            `mmdl_lib.metrics._words.wordnet.wordnet_synonyms()`; words match where sets
            meet.
        paraphrases: other wordings of a phrase.
        parameters: `METEOR_1_5`, `METEOR_2005` or others.
        tokenize: cuts a text into words.

    Returns:
        A number from 0 to 1 for each text.

    Raises:
        ValueError: no item, unequal lengths, or no reference.

    Example:
        "on" and "the" are function words (1 - 0.75 each), the others 0.75. All words
        match exactly, in two chunks: "on the mat" and "sat a cat" turned around.

        >>> found = meteor(["on the mat sat"], [["sat on the mat"]])[0]
        >>> round(found, 4), round(1 - 0.6 * (2 / 4) ** 0.2, 4)
        (0.4777, 0.4777)
    """
    rows = _best(candidates, references, synonyms, paraphrases, parameters, tokenize)
    return [_score(counts, parameters) for counts in rows]


def corpus_meteor(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    synonyms: Callable[[str], Collection] | None = None,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    parameters: Parameters = METEOR_1_5,
    tokenize: Callable[[str], list[str]] = meteor_words,
) -> float:
    """METEOR of a corpus, from added counts, as coco-caption prints it.

    Args as in `meteor`.

    Example:
        >>> round(corpus_meteor(["a cat", "red dogs"], [["a cat"], ["a dog"]]), 4)
        0.3622
    """
    rows = _best(candidates, references, synonyms, paraphrases, parameters, tokenize)
    return _score([sum(column) for column in zip(*rows, strict=True)], parameters)
