"""Translation: both maps are the minima that they claim to be."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.translation import least_squares, rotation, translate


def random(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed))


def test_a_linear_map_is_found_exactly():
    x, w = random(40, 5), random(5, 7, 1)
    torch.testing.assert_close(least_squares(x, x @ w), w, atol=1e-4, rtol=1e-4)


def test_a_rotation_is_found_exactly_and_stays_one_under_noise():
    x, (q, _) = random(40, 6), torch.linalg.qr(random(6, 6, 1))
    torch.testing.assert_close(rotation(x, x @ q), q, atol=1e-5, rtol=1e-4)
    noisy = rotation(x, x @ q + 0.3 * random(40, 6, 2))
    torch.testing.assert_close(noisy @ noisy.T, torch.eye(6), atol=1e-5, rtol=0)


def test_neither_map_can_be_improved_by_a_small_step():
    x, z = random(60, 4), random(60, 4, 1)
    best = least_squares(x, z)
    turned = rotation(x, z)
    for seed in range(20):
        step = 1e-2 * random(4, 4, 5 + seed)
        assert (x @ best - z).norm() < (x @ (best + step) - z).norm()
        turn = torch.linalg.matrix_exp(step - step.T)
        assert (x @ turned - z).norm() < (x @ turned @ turn - z).norm()


def test_candidates_are_ranked_by_angle_and_not_by_length():
    candidates = torch.tensor([[9.0, 9.0], [0.1, 0.0], [-5.0, 0.0]])
    found = translate(torch.tensor([[2.0, 0.1]]), torch.eye(2), candidates, best=3)
    assert found.tolist() == [[1, 0, 2]]


def test_pairs_that_do_not_match_are_refused():
    for source, target in (
        (random(0, 2), random(0, 2)),
        (random(3, 2) / 0, random(3, 2)),
    ):
        with pytest.raises(ValueError, match="source .*expected"):
            least_squares(source, target)
    with pytest.raises(ValueError, match="best expected"):
        translate(random(3, 2), torch.eye(2), random(4, 2), best=5)
