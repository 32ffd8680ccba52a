"""Retrieval: by sorting, ties, several right candidates, and refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.retrieval import median_rank, ranks, recall_at


@st.composite
def tables(draw, *, ties=True):
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    g = generator(draw(st.integers(0, 10_000)))
    scores = torch.rand(n, m, generator=g, dtype=torch.float64)
    if ties:
        scores = (scores * 3).round()
    right = torch.rand(n, m, generator=g) < 0.3
    right[torch.arange(n), torch.randint(0, m, (n,), generator=g)] = True
    return scores, right


def test_an_example_by_hand():
    scores = torch.tensor([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [0.5, 0.5, 0.1]])
    found = ranks(scores, torch.eye(3).bool())
    assert found.tolist() == [1, 2, 3]
    assert [recall_at(found, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert median_rank(found) == 2


@settings(deadline=None)
@given(tables())
def test_sorting_with_the_wrong_ones_first_gives_the_same(table):
    scores, right = table
    for row, good, rank in zip(*table, ranks(*table).tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda j: (-row[j].item(), bool(good[j])))
        assert rank == 1 + next(i for i, j in enumerate(order) if good[j])


@settings(deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_order_scale_and_range(table, random):
    scores, right = table
    before = ranks(scores, right)
    assert before.min() >= 1 and before.max() <= scores.shape[1]
    columns = list(range(scores.shape[1]))
    random.shuffle(columns)
    assert torch.equal(ranks(scores[:, columns], right[:, columns]), before)
    assert torch.equal(ranks(scores.exp(), right), before)
    curve = [recall_at(before, k) for k in range(1, scores.shape[1] + 1)]
    assert curve == sorted(curve) and curve[-1] == 1
    assert torch.equal(ranks(right.double(), right), torch.ones(len(right)).long())


@settings(deadline=None)
@given(tables(ties=False))
def test_more_wrong_candidates_never_help_and_more_right_ones_never_hurt(table):
    scores, right = table
    before = ranks(scores, right)
    more = torch.cat([scores, scores.flip(0)], 1)
    wrong = torch.cat([right, torch.zeros_like(right)], 1)
    assert (ranks(more, wrong) >= before).all()
    assert (ranks(scores, right | (torch.arange(right.shape[1]) == 0)) <= before).all()


def test_a_model_that_scores_all_alike_finds_nothing():
    found = ranks(torch.zeros(5, 10), torch.eye(5, 10).bool())
    assert found.tolist() == [10] * 5
    assert recall_at(found, 9) == 0


def test_the_median_of_an_even_number_is_rounded_down():
    assert median_rank(torch.tensor([1, 4])) == 2
    assert median_rank(torch.tensor([7])) == 7


@pytest.mark.parametrize(
    ("scores", "right", "sentence"),
    [
        (torch.zeros(2, 3), torch.ones(3, 2).bool(), r"got \(2, 3\) and \(3, 2\)"),
        (torch.zeros(0, 3), torch.ones(0, 3).bool(), "tables expected one shape"),
        (torch.full((1, 2), torch.nan), torch.ones(1, 2).bool(), "got 2 NaN"),
        (torch.zeros(3, 2), torch.tensor([[True] * 2, [False] * 2] * 2)[:3], "for 1."),
    ],
)
def test_bad_tables_get_one_clear_sentence(scores, right, sentence):
    with pytest.raises(ValueError, match=sentence):
        ranks(scores, right)


def test_no_queries_are_refused():
    none = torch.zeros(0).long()
    with pytest.raises(ValueError, match=r"ranks expected shape \(n,\), got \(0,\)"):
        recall_at(none, 1)
    with pytest.raises(ValueError, match="k expected a whole number from 1 up, got 0"):
        recall_at(none.new_ones(1), 0)
    with pytest.raises(ValueError, match="ranks expected shape"):
        median_rank(none)
