"""METEOR's search: which word of a text goes with which of the other.

An alignment uses each word at most once. Of all alignments a beam search takes the one
with most matches, then fewest chunks, then least distance; `meteor.py` says which slips
of the official program it repeats.

**Source** Denkowski and Lavie, Meteor Universal, 2014, doi 10.3115/v1/W14-3348.
**Official implementation** `meteor-1.5.jar` (Java).
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from mmdl_lib.metrics._words.stem import stem

BEAM = 40


class Match(NamedTuple):
    """Words `at` to `at + length` of the reference match `of` to `of + width`."""

    at: int
    length: int
    of: int
    width: int
    stage: int


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
