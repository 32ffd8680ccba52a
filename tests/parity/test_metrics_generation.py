"""Metrics of generated pictures: torchmetrics on equal features, scipy, sklearn."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import bootstrap
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torchmetrics.functional.multimodal import clip_score as peer_clip_score
from torchmetrics.functional.retrieval import retrieval_hit_rate
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from mmdl_lib.core import generator
from mmdl_lib.metrics.clip_score import clip_score
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid, frechet_distance
from mmdl_lib.metrics.inception_score import inception_score
from mmdl_lib.metrics.kid import kid
from mmdl_lib.metrics.precision_recall import precision_recall
from mmdl_lib.metrics.retrieval import median_rank, ranks, recall_at
from mmdl_lib.metrics.win_rate import win_rate

TORCHMETRICS = {"package": "torchmetrics", "reference": "torchmetrics, same features"}


class Identity(nn.Module):
    """A feature network that hands on what it gets, for torchmetrics."""

    def __init__(self, d):
        super().__init__()
        self.num_features = d

    def forward(self, x):
        return x


def number(value):
    return torch.as_tensor(value, dtype=torch.float64)


def sets(m, n, d, seed=0):
    g = generator(seed)
    mix = torch.randn(d, d, generator=g, dtype=torch.float64)
    x = torch.randn(m, d, generator=g, dtype=torch.float64)
    y = torch.randn(n, d, generator=g, dtype=torch.float64) @ mix / d**0.5 + 0.3
    return x, y


def both(x, y):
    return Features(x, "same"), Features(y, "same")


@pytest.mark.parametrize(("m", "n", "d"), [(200, 150, 8), (300, 300, 64), (20, 30, 48)])
def test_fid_is_that_of_torchmetrics(m, n, d, agree):
    x, y = sets(m, n, d)
    peer = FrechetInceptionDistance(feature=Identity(d), input_img_size=(3, 8, 8))
    peer.set_dtype(torch.float64)
    peer.update(x, real=True)
    peer.update(y, real=False)
    theirs = peer.compute().double()
    few = ", fewer samples than features" if m < d else ""
    agree(
        f"Frechet distance{few}, relative",
        number(fid(*both(x, y)).value) / theirs,
        theirs / theirs,
        ours="mmdl_lib.metrics.fid",
        # without full rank the peer takes roots of rounding errors
        tolerance=1e-5 if few else 1e-9,
        **TORCHMETRICS,
    )


@pytest.mark.parametrize("d", [1, 5, 32])
def test_frechet_distance_is_that_with_the_matrix_root_of_scipy(d, agree):
    x, y = sets(4 * d + 2, 5 * d + 2, d, seed=d)
    moments = [(v.mean(0), torch.atleast_2d(v.T.cov())) for v in (x, y)]
    (mean, one), (other, two) = moments
    root = np.real(sqrtm((one @ two).numpy()))
    theirs = (mean - other).square().sum() + one.trace() + two.trace()
    theirs = theirs - 2 * np.trace(root)
    agree(
        "Frechet distance by the root of the product",
        number(frechet_distance(mean, one, other, two)),
        theirs,
        ours="mmdl_lib.metrics.fid",
        package="scipy",
        reference="scipy.linalg.sqrtm",
        tolerance=1e-8,
    )


def test_kid_draws_the_subsets_of_torchmetrics_and_gives_its_numbers(agree):
    x, y = sets(80, 60, 6)
    peer = KernelInceptionDistance(feature=Identity(6), subsets=9, subset_size=25)
    peer.update(x, real=True)
    peer.update(y, real=False)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        theirs = torch.stack(peer.compute()).double()
    mine = kid(*both(x, y), subsets=9, size=25, generator=generator(4))
    agree(
        "KID: mean and deviation over subsets",
        number(mine[:2]),
        theirs,
        ours="mmdl_lib.metrics.kid",
        tolerance=1e-10,
        **TORCHMETRICS,
    )


@pytest.mark.parametrize("splits", [2, 5])
def test_inception_score_is_that_of_torchmetrics(splits, agree):
    logits = 2 * torch.randn(60, 7, generator=generator(5), dtype=torch.float64)
    peer = InceptionScore(feature=Identity(7), splits=splits)
    peer.update(logits)
    with torch.random.fork_rng():
        torch.manual_seed(6)
        mean, std = peer.compute()
    mine = inception_score(
        Features(logits, "same"), splits=splits, generator=generator(6)
    )
    agree(
        "Inception score: mean and deviation over parts",
        number(mine[:2]),
        # the official code divides by n, torchmetrics by n - 1
        torch.stack([mean, std * ((splits - 1) / splits) ** 0.5]).double(),
        ours="mmdl_lib.metrics.inception_score",
        tolerance=1e-10,
        **TORCHMETRICS,
    )


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_those_with_neighbors_of_scikit_learn(k, agree):
    x, y = sets(120, 90, 5, seed=1)
    theirs = []
    for points, of in ((y, x), (x, y)):
        search = NearestNeighbors(algorithm="kd_tree").fit(of.numpy())
        radius = search.kneighbors(n_neighbors=k)[0][:, -1]
        way, who = search.kneighbors(points.numpy(), n_neighbors=len(of))
        theirs.append((way <= radius[who]).any(1).mean())
    mine = precision_recall(*both(x, y), k=k)
    assert 0.05 < min(mine[:2]) < max(mine[:2]) <= 1
    agree(
        "Precision and recall of a generator",
        number(mine[:2]),
        number(theirs),
        ours="mmdl_lib.metrics.precision_recall",
        package="scikit-learn",
        reference="neighbors of scikit-learn",
        tolerance=1e-12,
    )


class FakeCLIP(nn.Module):
    """Hands out features that were made before, in the way of transformers' CLIP."""

    def __init__(self, image, text):
        super().__init__()
        self.image, self.text, self.config = image, text, None

    def get_image_features(self, pixels):
        return self.image

    def get_text_features(self, tokens, mask):
        return self.text


def fake_processor(**_):
    names = "pixel_values input_ids attention_mask".split()
    return {name: torch.zeros(1, 1) for name in names}


@pytest.mark.parametrize("shift", [0.5, -3.0])
def test_clip_score_is_that_of_torchmetrics(shift, agree):
    image, text = sets(40, 40, 12, seed=2)
    text = text + shift * image
    theirs = peer_clip_score(
        [torch.zeros(3, 8, 8)] * 40,
        ["a text"] * 40,
        model_name_or_path=lambda: (FakeCLIP(image, text), fake_processor),
    )
    agree(
        "CLIP score",
        number(clip_score(*both(image, text)).value),
        theirs.double(),
        ours="mmdl_lib.metrics.clip_score",
        tolerance=1e-10,
        **TORCHMETRICS,
    )


@pytest.mark.parametrize("k", [1, 5, 10])
def test_recall_at_k_is_the_hit_rate_of_torchmetrics(k, agree):
    g = generator(3)
    scores = torch.rand(50, 40, generator=g)
    right = torch.rand(50, 40, generator=g) < 0.05
    right[torch.arange(50), torch.arange(50) % 40] = True
    theirs = [
        retrieval_hit_rate(s, r, top_k=k) for s, r in zip(scores, right, strict=True)
    ]
    found = ranks(scores, right)
    agree(
        "Retrieval: recall at k",
        number(recall_at(found, k)),
        torch.stack(theirs).double().mean(),
        ours="mmdl_lib.metrics.retrieval",
        package="torchmetrics",
        reference="torchmetrics retrieval_hit_rate",
        tolerance=1e-12,
    )


@pytest.mark.parametrize("n", [49, 50])
def test_median_rank_is_that_of_sorted_places_in_numpy(n, agree):
    scores = torch.rand(n, 80, generator=generator(8))
    right = torch.eye(n, 80).bool()
    order = np.argsort(-scores.numpy(), axis=1)
    places = [np.where(row == i)[0][0] for i, row in enumerate(order)]
    agree(
        "Retrieval: median rank",
        number(median_rank(ranks(scores, right))),
        # places count from 0
        number(np.floor(np.median(places)) + 1),
        ours="mmdl_lib.metrics.retrieval",
        package="numpy",
        reference="sorted by NumPy, as in vsepp",
        tolerance=0,
    )


def test_the_interval_of_a_win_rate_is_that_of_scipy_up_to_the_draw(agree):
    g = generator(7)
    outcomes = torch.randint(0, 3, (300,), generator=g, dtype=torch.float64) / 2
    peer = bootstrap(
        (outcomes.numpy(),),
        np.mean,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    mine = win_rate(outcomes, samples=20_000, generator=g)
    agree(
        "Win rate: ends of the interval, up to the draw",
        number(mine[1:]),
        number([peer.low, peer.high]),
        ours="mmdl_lib.metrics.win_rate",
        package="scipy",
        reference="scipy.stats.bootstrap",
        # the interval is 0.09 wide; its ends scatter by about 0.0004 over draws
        tolerance=2e-3,
    )
