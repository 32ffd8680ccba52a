"""VCR: by hand, its bounds, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.vcr import vcr


@st.composite
def cases(draw):
    n, g = draw(st.integers(1, 12)), generator(draw(st.integers(0, 10_000)))
    scores = (torch.rand(n, 4, generator=g) for _ in range(2))
    return *scores, *(torch.randint(0, 4, (n,), generator=g) for _ in range(2))


def of(answers, reasons, answer, reason):
    return vcr(answers, reasons, answer=answer, reason=reason)


def test_an_example_by_hand():
    answers, reasons = torch.eye(4), torch.eye(4)[[0, 1, 1, 0]]
    out = of(answers, reasons, torch.tensor([0, 1, 2, 0]), torch.tensor([0, 0, 1, 1]))
    assert out == (0.75, 0.5, 0.5)


@given(cases())
@settings(deadline=None)
def test_both_is_within_its_bounds(case):
    a, r, both = of(*case)
    assert max(0, a + r - 1) - 1e-9 <= both <= min(a, r) + 1e-9 <= 1 + 1e-9


@given(cases(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_copies_and_scale_do_not_matter(case, random):
    before = of(*case)
    order = list(range(len(case[0])))
    random.shuffle(order)
    assert of(*(x[order] for x in case)) == pytest.approx(before)
    assert of(*(torch.cat([x, x]) for x in case)) == pytest.approx(before)
    assert of(3 * case[0] - 1, case[1].exp(), *case[2:]) == before


@given(cases())
@settings(deadline=None)
def test_the_truth_is_perfect(case):
    scores = (torch.eye(4)[label] for label in case[2:])
    assert of(*scores, *case[2:]) == (1, 1, 1)


def test_equal_scores_mean_the_first_choice():
    zeros, first = torch.zeros(2, 4), torch.tensor([0, 1])
    assert of(zeros, zeros, first, torch.tensor([0, 0])) == (0.5, 1, 0.5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            [torch.zeros(0, 4)] * 2 + [torch.zeros(0).long()] * 2,
            "answers and reasons expected at least one",
        ),
        (
            [torch.zeros(3, 4)] + [None] * 3,
            "answers expected as many as reasons, got 3 and 2",
        ),
        ([None] * 3 + [torch.zeros(3).long()], "got 2 and 3"),
        (
            [torch.full((2, 4), torch.nan)] + [None] * 3,
            "answer scores expected finite numbers, got 8 NaN",
        ),
        ([None] * 2 + [torch.tensor([0, 4]), None], "from 0 to 3, got 0 to 4"),
    ],
)
def test_bad_input_gets_one_clear_sentence(change, sentence):
    good = [torch.zeros(2, 4)] * 2 + [torch.zeros(2).long()] * 2
    case = [g if c is None else c for g, c in zip(good, change, strict=True)]
    with pytest.raises(ValueError, match=sentence):
        of(*case)
