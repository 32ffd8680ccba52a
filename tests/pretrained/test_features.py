"""Features of our own network: FID on shapes does what FID is for."""

import doctest

import pytest
import torch

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes, views
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.kid import kid
from mmdl_lib.metrics.precision_recall import precision_recall
from mmdl_lib.pretrained import features
from mmdl_lib.pretrained.features import inception_features, shapes_features

N = 300


def pictures(seed, *, style="default", keep=None):
    scenes = shapes.sample(
        2 * N + 100, seed=seed, objects=1, held_out="include", style=style
    )
    if keep is not None:
        scenes = scenes[keep(scenes).nonzero()[:, 0]]
    assert len(scenes) >= N
    return shapes.to_float(scenes[:N].render())


def to_real(image, real):
    return fid(real, shapes_features(image)).value


@pytest.fixture(scope="module")
def real():
    return shapes_features(pictures(0))


@pytest.fixture(scope="module")
def same(real):
    """The distance of as many new pictures of the same kind, with two seeds."""
    return max(to_real(pictures(seed), real) for seed in (1, 2))


def test_what_is_as_real_is_near_and_a_set_is_at_no_distance_from_itself(real, same):
    assert fid(real, real).value == pytest.approx(0, abs=1e-3)
    # far below the spread of the features, whose trace is the distance to one point
    assert 0 < same < 0.05 * real.values.var(0).sum().item()
    assert fid(real, real).source == "resnet_shapes"


@pytest.mark.parametrize("style", ["outline", "night"])
def test_another_style_is_farther_away(real, same, style):
    assert to_real(pictures(1, style=style), real) > 5 * same


@pytest.mark.parametrize("seed", [1, 2])
def test_half_of_the_colors_are_missed(real, same, seed):
    half = pictures(seed, keep=lambda scenes: scenes.color[:, 0] < 4)
    assert to_real(half, real) > 2 * same


def test_the_more_blur_the_farther(real, same):
    image = pictures(1)
    distances = [
        to_real(views.blur(image, torch.full((N,), sigma)).clamp(-1, 1), real)
        for sigma in (0.75, 1.5, 3.0)
    ]
    assert 2 * same < distances[0] < distances[1] < distances[2]


def test_neither_the_order_nor_the_batches_of_the_pictures_count(real):
    image = pictures(1)[:100]
    features = shapes_features(image)
    order = torch.randperm(100, generator=generator(0))
    shuffled = shapes_features(image[order], batch=33)
    assert torch.allclose(shuffled.values, features.values[order], atol=1e-4)
    assert fid(real, shuffled).value == pytest.approx(
        fid(real, features).value, rel=1e-3
    )


@torch.no_grad()
def test_the_features_are_those_of_the_trained_network_in_eval_mode():
    image = pictures(1)[:4]
    want = pretrained.load("resnet", "shapes").encode_image(image)
    found = shapes_features(image)
    assert torch.equal(found.values, want)
    assert found.values.shape == (4, 64) and not found.values.requires_grad
    assert torch.allclose(shapes_features(image.double()).values, want)


def test_the_source_goes_through_every_metric(real):
    fake = shapes_features(pictures(1)[:100])
    g = generator(0)
    assert kid(real, fake, subsets=2, size=50, generator=g).source == "resnet_shapes"
    assert precision_recall(real, fake).source == "resnet_shapes"


@pytest.mark.parametrize(
    "image, sentence",
    [
        (torch.zeros(2, 3, 16, 16), r"shape \(n, 3, 32, 32\), .*got \(2, 3, 16, 16\)"),
        (torch.zeros(2, 1, 32, 32), r"shape \(n, 3, 32, 32\)"),
        (torch.zeros(0, 3, 32, 32), r"shape \(n, 3, 32, 32\)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "pictures as floats"),
        (torch.full((2, 3, 32, 32), 200.0), r"pixels in \[-1, 1\]"),
    ],
)
def test_bad_pictures_are_named_in_one_sentence(image, sentence):
    with pytest.raises(ValueError, match=sentence):
        shapes_features(image)


def test_a_batch_of_nothing_and_missing_weights_are_named_in_one_sentence(tmp_path):
    image = torch.zeros(2, 3, 32, 32)
    with pytest.raises(ValueError, match="at least one picture, got 0"):
        shapes_features(image, batch=0)
    with pytest.raises(FileNotFoundError, match="FID weights of Inception-v3"):
        inception_features(image, tmp_path / "none.pth")


def test_the_example_is_there_and_true():
    found = doctest.testmod(features)
    assert found.attempted > 0
    assert found.failed == 0
