"""Comparisons of methods: the numbers of scipy."""

import scipy.stats
import torch

from mmdl_lib.core import generator
from mmdl_lib.metrics.correlation_gain import correlation_gain
from mmdl_lib.metrics.many_tests import benjamini_hochberg
from mmdl_lib.record import beyond

SCIPY = {"package": "scipy", "reference": "scipy"}


def test_benjamini_and_hochberg(agree):
    p = torch.rand(400, generator=generator(0), dtype=torch.float64) ** 3
    theirs = torch.from_numpy(scipy.stats.false_discovery_control(p.numpy()))
    agree(
        "Benjamini and Hochberg's correction of 400 p-values",
        benjamini_hochberg(p),
        theirs,
        ours="mmdl_lib.metrics.many_tests",
        tolerance=1e-12,
        **SCIPY,
    )


def test_students_tail_for_williams(agree):
    grid = [(t / 4, free) for t in range(-12, 20) for free in (1, 2, 5, 40, 997)]
    mine = torch.tensor([beyond(t, free) for t, free in grid], dtype=torch.float64)
    theirs = torch.tensor(
        [2 * scipy.stats.t.sf(abs(t), free) for t, free in grid], dtype=torch.float64
    )
    agree(
        "p of Student's t, as Williams's test needs it",
        mine,
        theirs,
        ours="mmdl_lib.metrics.williams",
        tolerance=1e-12,
        **SCIPY,
    )


def test_the_interval_of_a_gain_is_that_of_scipy_up_to_the_draw(agree):
    g = generator(3)
    y = torch.randn(60, generator=g, dtype=torch.float64)
    x, z = (y + k * torch.randn(60, generator=g, dtype=torch.float64) for k in (3, 1))

    def gain(x, z, y):
        return scipy.stats.spearmanr(z, y)[0] - scipy.stats.spearmanr(x, y)[0]

    ends = scipy.stats.bootstrap(
        [v.numpy() for v in (x, z, y)], gain, paired=True, vectorized=False,
        n_resamples=3000, method="percentile", rng=0,
    ).confidence_interval  # fmt: skip
    found = correlation_gain(x, z, y, samples=20_000, generator=generator(0))
    agree(
        "ends of a paired bootstrap of two rank correlations; draws differ",
        torch.tensor([found.low, found.high], dtype=torch.float64),
        torch.tensor([ends.low, ends.high], dtype=torch.float64),
        ours="mmdl_lib.metrics.correlation_gain",
        tolerance=0.03,
        **SCIPY,
    )
