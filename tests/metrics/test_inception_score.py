"""Inception score: its ends, its laws, parts, and what it refuses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.inception_score import inception_score


def score(logits, **settings):
    return inception_score(Features(logits, "x"), **settings)


def test_sure_and_balanced_is_the_number_of_classes_and_unsure_is_one():
    assert score(200 * torch.eye(5), splits=1).mean == pytest.approx(5)
    assert score(torch.zeros(20, 5), splits=4).mean == pytest.approx(1)
    same = torch.randn(1, 5, generator=generator(0)).repeat(20, 1)
    assert score(same, splits=1).mean == pytest.approx(1)


def test_an_example_by_hand():
    # p(y|x) is (.8, .2) and (.2, .8): KL from (.5, .5) each
    p = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    want = math.exp(0.8 * math.log(1.6) + 0.2 * math.log(0.4))
    assert score(p.log(), splits=1).mean == pytest.approx(want)


@settings(deadline=None)
@given(st.integers(4, 40), st.integers(1, 4), st.integers(2, 6), st.integers(0, 999))
def test_laws(n, splits, classes, seed):
    g = generator(seed)
    logits = 3 * torch.randn(n, classes, generator=g, dtype=torch.float64)
    out = score(logits, splits=splits)
    assert 1 - 1e-9 <= out.mean <= classes + 1e-9
    assert score(logits + 7, splits=splits).mean == pytest.approx(out.mean)
    order = torch.randperm(classes, generator=g)
    assert score(logits[:, order], splits=splits).mean == pytest.approx(out.mean)
    whole = score(logits, splits=1)
    assert whole.std == 0
    assert score(logits.flip(0), splits=1).mean == pytest.approx(whole.mean)
    assert score(logits.repeat(2, 1), splits=1).mean == pytest.approx(whole.mean)


def test_parts_are_cut_as_in_the_official_code_and_each_has_its_own_mean():
    logits = torch.randn(7, 3, generator=generator(1), dtype=torch.float64)
    parts = [score(logits[a:b], splits=1).mean for a, b in ((0, 2), (2, 4), (4, 7))]
    out, mean = score(logits, splits=3), sum(parts) / 3
    assert out.mean == pytest.approx(mean)
    assert out.std == pytest.approx((sum((p - mean) ** 2 for p in parts) / 3) ** 0.5)


def test_a_generator_shuffles_what_is_sorted_by_class():
    sure = 100 * torch.eye(4)[torch.arange(40) // 10]
    assert score(sure, splits=4).mean == pytest.approx(1)
    assert score(sure, splits=4, generator=generator(0)).mean > 3
    one, two = (score(sure, splits=4, generator=generator(0)) for _ in range(2))
    assert one == two


def test_extreme_logits_stay_finite():
    assert score(1e4 * torch.eye(3), splits=1).mean == pytest.approx(3)


def test_bad_parts_get_one_clear_sentence():
    for splits in (0, 3):
        with pytest.raises(
            ValueError,
            match=f"splits expected a whole number from 1 to 2, got {splits}",
        ):
            score(torch.zeros(2, 3), splits=splits)
