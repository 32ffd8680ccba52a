from itertools import combinations

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import dictionary
from mmdl_lib.lab import dictionary as graphs

CHAIN = {"a": ["b", "c"], "b": ["c"], "c": ["b"], "d": ["a"], "e": ["d", "f"], "f": []}


def by_chance(n, chance, seed):
    there = torch.rand(n, n, generator=generator(seed)) < chance
    return {
        str(i): [str(j) for j in range(n) if there[i, j] and i != j] for i in range(n)
    }


def teaches(uses, grounded):
    learned = graphs.learned(uses, grounded)
    return len(grounded) + sum(map(len, learned)) == len(uses)


def brute_force(uses):
    for size in range(len(uses) + 1):
        for some in combinations(uses, size):
            if teaches(uses, some):
                return size


def test_words_are_learned_when_their_whole_definition_is_known():
    assert graphs.learned(CHAIN, ["b"]) == [["c", "f"], ["a"], ["d"], ["e"]]
    assert graphs.learned(CHAIN, []) == [["f"]]
    assert graphs.learned(CHAIN, ["d"]) == [["f"], ["e"]]
    assert graphs.learned({}, []) == []


def test_all_words_that_are_learned_follow_from_those_before():
    uses = dictionary.small().uses
    known = set(graphs.minimum_grounding_set(uses).words)
    for words in graphs.learned(uses, known):
        assert all(set(uses[word]) <= known for word in words)
        known |= set(words)
    assert known == set(uses)


def test_the_kernel_defines_itself_and_teaches_the_rest():
    uses = dictionary.small().uses
    kernel = graphs.kernel(uses)
    assert len(kernel) == 107
    users = dictionary.small().users
    assert all(set(users[word]) & kernel for word in kernel)
    assert all(set(uses[word]) <= kernel for word in kernel)
    assert teaches(uses, kernel)


def test_a_word_that_only_idle_words_use_is_not_in_the_kernel():
    assert graphs.kernel(CHAIN) == {"b", "c"}
    assert graphs.kernel({"a": [], "b": ["a"]}) == set()


def test_components_are_the_words_that_lead_to_each_other():
    two = {"a": ["b"], "b": ["a"], "c": ["d", "a"], "d": ["e"], "e": ["c"], "f": ["e"]}
    assert graphs.components(two) == [{"c", "d", "e"}, {"a", "b"}]
    assert graphs.components({"a": [], "b": ["a"]}) == []


@pytest.mark.parametrize("seed", range(12))
def test_the_set_is_as_small_as_any_other_that_teaches_all(seed):
    uses = by_chance(9, (0.15, 0.25, 0.4)[seed % 3], seed)
    found = graphs.minimum_grounding_set(uses)
    assert teaches(uses, found.words)
    assert found.proven and len(found.words) == found.least == brute_force(uses)


def test_a_dictionary_without_cycles_needs_nothing():
    found = graphs.minimum_grounding_set({"a": [], "b": ["a"], "c": ["a", "b"]})
    assert (found.words, found.least, found.rounds) == (set(), 0, 0)


def test_our_dictionary_needs_36_words_and_no_35():
    uses = dictionary.small().uses
    found = graphs.minimum_grounding_set(uses)
    assert found.proven and len(found.words) == 36
    assert found.words <= graphs.kernel(uses)
    for word in found.words:
        assert not teaches(uses, found.words - {word})


def test_out_of_time_the_set_still_teaches_all_and_the_bound_is_below():
    uses = by_chance(70, 0.06, 1)
    best = graphs.minimum_grounding_set(uses)
    hasty = graphs.minimum_grounding_set(uses, seconds=1e-9)
    assert teaches(uses, hasty.words)
    assert hasty.least <= len(best.words) <= len(hasty.words)
    for word in hasty.words:
        assert not teaches(uses, hasty.words - {word})


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: graphs.learned(CHAIN, ["z"]), "'z'"),
        (lambda: graphs.kernel({"a": ["z"]}), "'z'"),
        (lambda: graphs.kernel({"a": ["a"]}), "itself"),
        (lambda: graphs.minimum_grounding_set(CHAIN, seconds=0), "seconds"),
    ],
)
def test_a_mistake_is_named_in_one_sentence(call, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        call()
