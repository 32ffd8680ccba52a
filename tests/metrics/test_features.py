"""Features know their source; nothing mixes two of them."""

import dataclasses

import pytest
import torch

from mmdl_lib.metrics.clip_score import clip_s, clip_score
from mmdl_lib.metrics.features import Features, check_same_source
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.inception_score import inception_score
from mmdl_lib.metrics.kid import kid
from mmdl_lib.metrics.precision_recall import precision_recall

PAIRED = [
    fid,
    lambda a, b: kid(a, b, size=3),
    precision_recall,
    clip_score,
    clip_s,
]


def some(source="a net", d=2):
    return Features(torch.arange(1.0, 5 * d + 1).reshape(5, d), source)


@pytest.mark.parametrize("metric", PAIRED)
def test_two_sources_or_widths_are_never_compared(metric):
    with pytest.raises(ValueError, match="one source, got 'a net' and 'ein Netz'"):
        metric(some(), some("ein Netz"))
    with pytest.raises(ValueError, match="one width, got 2 and 3 of 'a net'"):
        metric(some(), some(d=3))


@pytest.mark.parametrize("metric", PAIRED)
def test_each_result_says_which_features_made_it(metric):
    assert metric(some("日本"), some("日本")).source == "日本"
    assert inception_score(some("日本"), splits=2).source == "日本"


def test_features_are_frozen_and_count_their_rows():
    one = some()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.source = "another"
    assert len(one) == 5
    assert check_same_source(one, some()) == "a net"


@pytest.mark.parametrize(
    ("values", "source", "sentence"),
    [
        (torch.zeros(3), "x", r"floats of shape \(n, d\), got float32 of shape"),
        (torch.zeros(3, 2).long(), "x", "got int64"),
        (torch.zeros(0, 2), "x", r"some, got shape \(0, 2\)"),
        (torch.full((1, 2), torch.nan), "x", "finite numbers, got 2 NaN or infinite"),
        (torch.full((1, 2), torch.inf), "x", "finite numbers, got 2 NaN or infinite"),
        (torch.zeros(1, 2), " ", "what made the features, got no name"),
    ],
)
def test_bad_features_get_one_clear_sentence(values, source, sentence):
    with pytest.raises(ValueError, match=sentence):
        Features(values, source)
