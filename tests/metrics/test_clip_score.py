"""CLIP score: by hand, its laws, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.clip_score import clip_s, clip_score
from mmdl_lib.metrics.features import Features


def of(metric, image, text, **settings):
    return metric(Features(image, "x"), Features(text, "x"), **settings).value


def test_an_example_by_hand():
    image = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    text = torch.tensor([[4.0, 3.0], [-1.0, 1.0]])
    cosines = 24 / 25, -(0.5**0.5)
    assert of(clip_score, image, text) == pytest.approx(50 * sum(cosines))
    assert of(clip_s, image, text) == pytest.approx(1.25 * cosines[0])
    assert of(clip_score, image, text, scale=1.0) == pytest.approx(sum(cosines) / 2)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 10_000))
def test_laws(n, d, seed):
    g = generator(seed)
    image, text = torch.randn(2, n, d, generator=g, dtype=torch.float64)
    score, cut = of(clip_score, image, text), of(clip_s, image, text)
    assert 0 <= score <= 100 + 1e-9 and 0 <= cut <= 2.5 + 1e-9
    assert cut >= score / 40 - 1e-9
    assert of(clip_score, image, image) == pytest.approx(100)
    assert of(clip_s, image, 2 * image) == pytest.approx(2.5)
    assert of(clip_score, image, -image) == of(clip_s, image, -image) == 0
    order = torch.randperm(n, generator=g)
    assert of(clip_score, image[order], text[order]) == pytest.approx(score)
    assert of(clip_s, image.repeat(2, 1), text.repeat(2, 1)) == pytest.approx(cut)
    longer = image * torch.rand(n, 1, generator=g).add(0.1)
    assert of(clip_score, longer, text) == pytest.approx(score)


def test_bad_pairs_get_one_clear_sentence():
    one = torch.ones(2, 3)
    for metric in (clip_score, clip_s):
        with pytest.raises(
            ValueError, match="pictures expected as many as texts, got 2 and 1"
        ):
            of(metric, one, one[:1])
        with pytest.raises(
            ValueError, match="texts expected a direction, got a row of zeros"
        ):
            of(metric, one, one * torch.tensor([[1.0], [0.0]]))
