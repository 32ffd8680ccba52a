"""A dictionary as a graph: its kernel, and the fewest words to be known before.

After Vincent-Lamarre et al., "The Latent Structure of Dictionaries", Topics in
Cognitive Science 2016, doi 10.1111/tops.12211. A word points to each word in whose
definition it stands. Who knows a set of words learns, one by one, each word whose whole
definition is known. A set from which all is learned breaks every cycle, so a smallest
one is a minimum feedback vertex set. That is NP-hard; HiGHS solves it as an integer
program whose cycles are added when they are found missing.
"""

import math
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from mmdl_lib.borders import check_number

Uses = Mapping[str, Collection[str]]  # by word, the words of its definition


def learned(uses: Uses, grounded: Collection[str]) -> list[list[str]]:
    """The words that definitions teach, in rounds, to one who knows some already.

    Args:
        uses: by word, the words of its definition.
        grounded: the words known before.

    Returns:
        Rounds of words, each sorted: those whose whole definition is known by then. The
        grounded ones are in none. Empty where nothing can be learned.

    Raises:
        ValueError: a grounded word that has no entry.
    """
    known = set(grounded)
    if unknown := known - set(uses):
        raise ValueError(f"grounded expected entries, got {min(unknown)!r}.")
    missing = {w: len(set(used) - known) for w, used in uses.items() if w not in known}
    users = graph(uses).succ
    rounds, ready = [], sorted(w for w, count in missing.items() if not count)
    while ready:
        rounds.append(ready)
        new = set()
        for word in ready:
            for user in users[word]:
                if user in missing:
                    missing[user] -= 1
                    new |= {user} if not missing[user] else set()
        ready = sorted(new)
    return rounds


def graph(uses: Uses) -> nx.DiGraph:
    """From each word to the words in whose definition it stands.

    Raises:
        ValueError: a definition with a word that has no entry, or with its own.
    """
    found = nx.DiGraph()
    found.add_nodes_from(uses)
    found.add_edges_from((one, word) for word, used in uses.items() for one in used)
    if own := [word for word, used in uses.items() if word in used]:
        raise ValueError(f"uses expected other words for {own[0]!r}, got itself.")
    if len(found) > len(uses):
        unknown = min(set(found) - set(uses))
        raise ValueError(
            f"uses expected an entry for each word, got none for {unknown!r}."
        )
    return found


def kernel(uses: Uses) -> set[str]:
    """What is left when words that define nothing more are removed again and again."""
    left = graph(uses)
    while idle := [word for word, users in left.out_degree if not users]:
        left.remove_nodes_from(idle)
    return set(left)


def components(uses: Uses) -> list[set[str]]:
    """Sets of words that all lead to each other, two words or more, largest first."""
    found = nx.strongly_connected_components(graph(uses))
    return sorted((c for c in found if len(c) > 1), key=lambda c: (-len(c), min(c)))


@dataclass
class MinSet:
    """A set of words from which all others can be learned.

    Attributes:
        words: the set.
        least: no set is smaller than this; equal to the set's size where it is proven
            to be smallest.
        rounds: integer programs that were solved.
    """

    words: set[str]
    least: int
    rounds: int = 0

    @property
    def proven(self) -> bool:
        """Whether no smaller set exists."""
        return len(self.words) == self.least


def minimum_grounding_set(uses: Uses, *, seconds: float | int = 60) -> MinSet:
    """As few words as possible from which all others can be learned.

    Args:
        uses: by word, the words of its definition.
        seconds: for each part of the dictionary that hangs together; after them the
            best set that was found counts, and `least` is what is proven.

    Raises:
        ValueError: a definition with a word that has no entry, or no seconds.
    """
    check_number("seconds", seconds, above=0)
    whole, total = graph(uses), MinSet(set(), 0)
    for part in components(uses):
        found = _smallest(_inside(whole, part), seconds)
        total.words |= found.words
        total.least += found.least
        total.rounds += found.rounds
    return total


def _smallest(part: nx.DiGraph, seconds: float | int) -> MinSet:
    """A smallest set that breaks all cycles of one strongly connected part."""
    names = list(part)
    row = {word: i for i, word in enumerate(names)}
    cycles = [{row[a], row[b]} for a, b in part.edges if part.has_edge(b, a) and a < b]
    cycles += [{row[w] for w in cycle} for cycle in _cycles(part)]
    left, found = seconds, MinSet(set(), 0)
    while True:
        began = time.perf_counter()
        chosen, bound = _hitting_set(cycles, len(names), max(left, 1))
        left -= time.perf_counter() - began
        found.rounds += 1
        found.least = max(found.least, bound)
        found.words = {names[i] for i in chosen}
        more = list(_cycles(_inside(part, set(part) - found.words)))
        if not more:
            return found
        if left <= 0:
            found.words = _completed(part, found.words)
            return found
        cycles += [{row[w] for w in cycle} for cycle in more]


def _inside(whole: nx.DiGraph, words: set[str]) -> nx.DiGraph:
    """The part of a graph among some words; the order is the same in every process."""
    found = nx.DiGraph()
    found.add_nodes_from(sorted(words))
    found.add_edges_from((a, b) for a in sorted(words) for b in whole[a] if b in words)
    return found


def _hitting_set(
    sets: list[set[int]], n: int, seconds: float | int
) -> tuple[list[int], int]:
    """The fewest of n things that meet each set, and a proven bound on how few."""
    rows = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    columns = np.fromiter((i for one in sets for i in sorted(one)), int)
    table = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(sets), n))
    solved = milp(
        np.ones(n),
        integrality=np.ones(n),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(table, lb=1),
        options={"time_limit": seconds},
    )
    if solved.x is None:
        return sorted({min(one) for one in sets}), 0
    return np.flatnonzero(solved.x > 0.5).tolist(), math.ceil(
        solved.mip_dual_bound - 1e-6
    )


def _cycles(left: nx.DiGraph) -> Iterator[list[str]]:
    """Short cycles without a common word, until none is left."""
    while True:
        parts = [c for c in nx.strongly_connected_components(left) if len(c) > 1]
        if not parts:
            return
        left = _inside(left, set().union(*parts))
        for part in sorted(parts, key=min):
            ways = {w: min(left.in_degree(w), left.out_degree(w)) for w in part}
            start = max(part, key=lambda w, ways=ways: (ways[w], w))
            cycle = _cycle(left, start)
            yield cycle
            left.remove_nodes_from(cycle)


def _cycle(within: nx.DiGraph, start: str) -> list[str]:
    """A shortest cycle through a word that lies on one."""
    before, front = {start: ""}, [start]
    while True:
        new = []
        for word in front:
            for user in within.succ[word]:
                if user == start:
                    cycle = [word]
                    while cycle[-1] != start:
                        cycle.append(before[cycle[-1]])
                    return cycle
                if user not in before:
                    before[user] = word
                    new.append(user)
        front = new


def _completed(part: nx.DiGraph, words: set[str]) -> set[str]:
    """The set with words of each cycle that it left, without those it can spare."""
    words = set(words)
    for cycle in _cycles(_inside(part, set(part) - words)):
        words |= set(cycle)
    rest = _inside(part, set(part) - words)
    for word in sorted(words, key=lambda w: (part.degree(w), w)):
        rest.add_node(word)
        rest.add_edges_from((one, word) for one in part.pred[word] if one in rest)
        rest.add_edges_from((word, one) for one in part.succ[word] if one in rest)
        if nx.descendants(rest, word) & set(rest.pred[word]):
            rest.remove_node(word)
    return words - set(rest)
