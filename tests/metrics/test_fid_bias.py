"""The bias of FID: closed form against simulation, extrapolation, what they refuse."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.fid_bias import fid_at_infinity, fid_bias

SCALE = torch.tensor([3.0, 1.0, 0.5, 0.1])


def sample(n, seed, scale=SCALE, shift=0.0):
    noise = torch.randn(n, len(scale), generator=generator(seed))
    return Features(shift + noise * scale, "noise")


@pytest.mark.parametrize(("m", "n"), [(400, 400), (2000, 300)])
def test_the_formula_is_the_mean_over_many_samples_of_a_gaussian(m, n):
    found = [fid(sample(m, 2 * s), sample(n, 2 * s + 1)).value for s in range(300)]
    want = fid_bias(torch.diag(SCALE.square()), m, n)
    mean = torch.tensor(found).double().mean().item()
    assert mean == pytest.approx(want, rel=0.08)


def test_one_eigenvalue_many_times_grows_with_the_square_of_the_width():
    for d in (1, 2, 10):
        want = 2 * d * (d + 5) / 4 * (1 / 50 + 1 / 100)
        assert fid_bias(2 * torch.eye(d), 50, 100) == pytest.approx(want)


def test_a_turned_space_has_the_same_bias_and_a_flat_direction_none():
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator(5))).Q
    covariance = torch.diag(SCALE.square())
    one, two = (fid_bias(c, 90, 80) for c in (covariance, turn @ covariance @ turn.T))
    assert two == pytest.approx(one, rel=1e-5)
    flat = torch.diag(torch.tensor([2.0, 0.0]))
    assert fid_bias(flat, 90, 80) == pytest.approx(fid_bias(2 * torch.eye(1), 90, 80))
    assert fid_bias(torch.zeros(2, 2), 90, 80) == 0


def test_the_line_takes_the_bias_of_the_generated_pictures_away():
    real, sizes = sample(20_000, 1), (100, 200, 400)
    direct, line = [], []
    for seed in range(2, 12):
        fake = sample(400, seed)
        direct.append(fid(real, fake).value)
        options = {"sizes": sizes, "generator": generator(seed)}
        line.append(fid_at_infinity(real, fake, **options).value)
    direct, line = (sum(x) / len(x) for x in (direct, line))
    assert abs(line) < 0.3 * direct


def test_a_true_distance_stays():
    real, fake = sample(20_000, 1), sample(2000, 2, shift=2.0)
    found = fid_at_infinity(real, fake, sizes=(200, 500, 1000), generator=generator(0))
    assert found.value == pytest.approx(16, rel=0.1) and found.source == "noise"


def test_a_line_through_points_on_a_line_is_that_line(monkeypatch):
    from mmdl_lib.metrics import fid_bias as module

    line = lambda real, fake: module.FID(5 + 30 / len(fake), "noise")  # noqa: E731
    monkeypatch.setattr(module, "fid", line)
    x = sample(100, 0)
    assert fid_at_infinity(x, x, sizes=[10, 30, 90]).value == pytest.approx(5)


@pytest.mark.usefixtures("as_a_reader")
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x: fid_bias(torch.ones(2, 3), 9, 9), "covariance expected a square"),
        (lambda x: fid_bias(torch.eye(2), 1, 9), "real expected a whole number from 2"),
        (lambda x: fid_at_infinity(x, x, sizes=[5, 5]), "sizes expected two that diff"),
        (lambda x: fid_at_infinity(x, x, sizes=[5, 99]), "sizes expected .* got 99"),
    ],
)
def test_bad_input_gets_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(sample(20, 0))
