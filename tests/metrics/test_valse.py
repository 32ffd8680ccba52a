"""VALSE: by hand, by brute force, its laws, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.valse import auroc, valse


@st.composite
def scores(draw):
    n, g = draw(st.integers(1, 12)), generator(draw(st.integers(0, 10_000)))
    return [torch.randint(0, 9, (n,), generator=g) / 8 for _ in range(2)]


def test_an_example_by_hand():
    out = valse(torch.tensor([0.9, 0.6, 0.5, 0.2]), torch.tensor([0.1, 0.6, 0.7, 0.1]))
    assert out.pairwise == 0.5
    assert (out.caption, out.foil, out.accuracy) == (0.5, 0.5, 0.5)
    # of 16 pairs: .9 beats four, .6 two and ties one, .5 two, .2 two
    assert out.auroc == pytest.approx(10.5 / 16)


@given(scores())
@settings(deadline=None)
def test_one_pair_after_the_other_gives_the_same(pair):
    caption, foil = (x.tolist() for x in pair)
    n, out = len(caption), valse(*pair)
    assert out.pairwise == pytest.approx(
        sum(c > f for c, f in zip(caption, foil, strict=True)) / n
    )
    right = sum(c > 0.5 for c in caption) + sum(not f > 0.5 for f in foil)
    assert out.accuracy == pytest.approx(right / (2 * n))
    wins = sum((c > f) + 0.5 * (c == f) for c in caption for f in foil)
    assert out.auroc == pytest.approx(wins / n**2)


@given(scores(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_range_order_copies_and_scale(pair, random):
    before = valse(*pair)
    assert all(0 <= x <= 1 for x in before)
    order = list(range(len(pair[0])))
    random.shuffle(order)
    assert valse(*(x[order] for x in pair)) == pytest.approx(before)
    assert valse(*(torch.cat([x, x]) for x in pair)) == pytest.approx(before)
    logits = [4 * x - 2 for x in pair]
    assert valse(*logits, threshold=0.0) == pytest.approx(before)
    assert auroc(*pair) + auroc(*pair[::-1]) == pytest.approx(1)


def test_perfect_and_blind():
    best = valse(torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.2]))
    assert best == (1, 1, 1, 1, 1)
    blind = valse(torch.full((5,), 0.7), torch.full((5,), 0.7))
    assert blind == (0, 0.5, 1, 0, 0.5)


@pytest.mark.parametrize(
    ("caption", "foil", "sentence"),
    [
        ([], [], "captions and foils expected at least one"),
        ([0.1], [0.1, 0.2], "captions expected as many as foils, got 1 and 2"),
        ([torch.nan], [0.1], "scores of captions expected finite numbers, got 1 NaN"),
        (
            [0.1],
            [torch.inf],
            "scores of foils expected finite numbers, got 1 NaN or infinite",
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(caption, foil, sentence):
    with pytest.raises(ValueError, match=sentence):
        valse(torch.tensor(caption), torch.tensor(foil))
