"""Alignment error rate: by hand, at its bounds, as nltk counts, refused."""

import random

import pytest
from nltk.translate.metrics import alignment_error_rate as nltk_rate

from mmdl_lib.metrics.alignment_error_rate import alignment_error_rate

SURE = {(0, 0), (1, 2)}
POSSIBLE = SURE | {(2, 1), (2, 3)}


def rate(*links, sure=SURE, possible=POSSIBLE):
    return alignment_error_rate(
        list(links), [sure] * len(links), [possible] * len(links)
    )


def test_by_hand():
    # three links: one sure, one only possible, one wrong
    assert rate({(0, 0), (2, 1), (3, 3)}) == pytest.approx(1 - (1 + 2) / (3 + 2))
    # a sure link that is missed costs, a possible one that is missed does not
    assert rate({(0, 0)}) == pytest.approx(1 - 2 / 3)


def test_all_between_the_sure_and_the_possible_links_is_perfect():
    for more in (set(), {(2, 1)}, {(2, 1), (2, 3)}):
        assert rate(SURE | more) == 0
    assert rate({(5, 5)}) == 1


def test_a_sure_link_is_possible_even_where_it_is_not_named():
    assert rate(SURE, possible=POSSIBLE - SURE) == 0


def test_with_all_links_sure_it_is_one_minus_f1():
    links = {(0, 0), (2, 1), (3, 3), (4, 4)}
    precision, recall = 2 / 4, 2 / 4
    f1 = 2 * precision * recall / (precision + recall)
    found = rate(links, sure=POSSIBLE, possible=POSSIBLE)
    assert found == pytest.approx(1 - f1)


def test_counts_are_summed_before_the_division():
    one, two = {(0, 0)}, {(k, k) for k in range(3, 9)}
    together = 1 - (2 + 0) / ((1 + 6) + (2 + 2))
    assert rate(one, two) == pytest.approx(together)
    assert rate(one, two) != pytest.approx((rate(one) + rate(two)) / 2)


def test_an_empty_sentence_counts_by_its_sure_links_alone():
    assert rate(set()) == 1
    assert rate(set(), SURE) == pytest.approx(1 - 4 / 6)


def test_nltk_agrees_on_single_sentences():
    draw = random.Random(0)
    for _ in range(200):
        some = [
            {(draw.randrange(5), draw.randrange(5)) for _ in range(6)} for _ in "abc"
        ]
        links, sure, possible = some[0], some[1], some[1] | some[2]
        mine = alignment_error_rate([links], [sure], [possible])
        assert mine == pytest.approx(nltk_rate(sure, links, possible))


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ([], "expected at least one"),
        ([{(0, 0)}] * 2, "as many as"),
        ([[(0, 0)]], "links expected sets of pairs"),
        ([{0}], "links expected sets of pairs"),
        ([{(0, 1, 2)}], "links expected sets of pairs"),
    ],
)
def test_anything_but_sets_of_pairs_is_refused(links, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        alignment_error_rate(links, [SURE][: len(links)], [POSSIBLE][: len(links)])


def test_nothing_to_count_is_refused():
    with pytest.raises(ValueError, match="got none"):
        alignment_error_rate([set()], [set()], [{(0, 0)}])
