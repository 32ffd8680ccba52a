"""Diffusion: the chain, three targets that mean the same, steps back, guidance.

Each wrong version that public code has had stands beside the right one and is refused.
"""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.nn.diffusion import (
    Diffusion,
    alpha_bars,
    chain,
)

KINDS = ["linear", "scaled", "cosine"]
TARGETS = ["noise", "x0", "v"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_target = pytest.mark.parametrize("target", TARGETS)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


# the chain


@each_kind
def test_many_small_steps_are_one_large_one(kind):
    alpha_bar = alpha_bars(kind, 60)
    alpha = alpha_bar / torch.cat([torch.ones(1), alpha_bar[:-1]])
    x, mean, variance = normal(40_000), 1.0, 0.0
    for a in alpha[:40].tolist():
        # eq. (2): q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t)
        mean, variance = math.sqrt(a) * mean, a * variance + 1 - a
    assert math.isclose(mean, alpha_bar[39].sqrt(), rel_tol=1e-9)
    assert math.isclose(variance, 1 - alpha_bar[39], rel_tol=1e-9)
    # the wrong version: sqrt(alpha_bar) for the noise, too
    assert abs(math.sqrt(alpha_bar[39]) - math.sqrt(variance)) > 0.05
    process = Diffusion(kind, 60)
    step = torch.full((40_000,), 39)
    drawn = process.q_sample(torch.full_like(x, 0.7).float(), step, x.float())
    # three standard errors of a mean and of a deviation of 40,000 draws
    assert abs(drawn.mean() - 0.7 * mean) < 3 * math.sqrt(variance / 40_000)
    assert abs(drawn.std() - math.sqrt(variance)) < 3 * math.sqrt(variance / 80_000)


def test_ddpms_thousand_betas_go_from_a_ten_thousandth_to_a_fiftieth():
    alpha_bar = alpha_bars("linear", 1000)
    alpha = alpha_bar / torch.cat([torch.ones(1), alpha_bar[:-1]])
    assert torch.allclose(1 - alpha[[0, -1]], torch.tensor([1e-4, 0.02]).double())
    assert math.isclose(alpha_bar[-1], 4.0358e-5, rel_tol=1e-4)
    assert alpha_bar.dtype == torch.float64


@pytest.mark.parametrize("steps", [100, 200, 500])
def test_a_short_chain_ends_in_noise_as_the_long_one_does(steps):
    ours = alpha_bars("linear", steps)[-1]
    unscaled = (1 - torch.linspace(1e-4, 0.02, steps).double()).cumprod(0)[-1]
    assert ours < 1.1 * alpha_bars("linear", 1000)[-1]
    assert unscaled > 0.006  # the wrong version: its sampler starts where no net was


def test_a_chain_that_is_too_short_for_its_betas_is_refused():
    with pytest.raises(ValueError, match="linear chain expected more steps, got 20"):
        alpha_bars("linear", 20)


def test_the_cosine_halves_in_the_middle_and_no_beta_is_above_its_bound():
    alpha_bar = alpha_bars("cosine", 1000)
    assert abs(alpha_bar[499] - 0.4938) < 1e-3
    beta = 1 - alpha_bar / torch.cat([torch.ones(1), alpha_bar[:-1]])
    assert math.isclose(beta.max(), 0.999) and beta.min() > 0
    assert math.isclose(alpha_bar[-1], 2.4e-9, rel_tol=0.02)


def test_stable_diffusions_chain_leaks_brightness_unless_it_is_stretched():
    plain, stretched = (alpha_bars("scaled", 1000, zero_snr=z) for z in (False, True))
    assert math.isclose(plain[-1], 0.00466, rel_tol=2e-3)
    assert stretched[-1] == 0
    assert math.isclose(stretched[0], plain[0], rel_tol=1e-12)
    assert (stretched.diff() < 0).all()
    # the wrong version: alpha-bar itself stretched, not its root
    wrong = (plain - plain[-1]) * plain[0] / (plain[0] - plain[-1])
    assert (wrong - stretched).abs().max() > 0.02


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_a_shift_moves_log_snr_by_the_same_everywhere(shift):
    def log_snr(alpha_bar):
        return (alpha_bar / (1 - alpha_bar)).log()

    moved = log_snr(alpha_bars("cosine", 50, shift=shift))
    moved = moved - log_snr(alpha_bars("cosine", 50))
    assert torch.allclose(moved, torch.full_like(moved, 2 * math.log(shift)))


@each_kind
def test_the_variance_of_pictures_of_variance_one_stays_one(kind):
    process = Diffusion(kind, 100)
    total = process.signal.square() + process.spread.square()
    assert torch.allclose(total, torch.ones(100))


def test_trailing_begins_at_the_last_step_and_leading_does_not():
    assert chain(1000, 4) == [999, 749, 499, 249]
    assert chain(1000, 4, spacing="leading") == [750, 500, 250, 0]
    assert chain(1000, 4, spacing="linspace") == [999, 666, 333, 0]
    assert chain(1000, 20)[0] == 999 and chain(1000, 20, spacing="leading")[0] == 950
    assert chain(7, 7) == [6, 5, 4, 3, 2, 1, 0]
    for count in (1, 3, 6, 49, 50):
        places = chain(50, count)
        assert len(set(places)) == count and min(places) >= 0


def test_steps_are_drawn_evenly_over_the_chain():
    process = Diffusion("cosine", 100)
    step = process.draw(10, generator=generator(0))
    assert sorted((step // 10).tolist()) == list(range(10))
    many = torch.cat([process.draw(7, generator=generator(i)) for i in range(3000)])
    share = many.bincount(minlength=100) / len(many)
    # 210 draws a step: four standard errors
    assert (share - 0.01).abs().max() < 4 * math.sqrt(0.01 / len(many))


# three targets


@each_target
def test_what_is_said_means_the_picture_and_the_noise(target):
    process = Diffusion("cosine", 50, target=target)
    x0, noise = normal(6, 3, 4, 4), normal(6, 3, 4, 4, seed=1)
    step = torch.tensor([0, 5, 20, 30, 45, 47])
    x = process.q_sample(x0, step, noise)
    said = process.goal(x0, step, noise)
    assert torch.allclose(process.x0(said, x, step), x0, atol=1e-4)
    assert torch.allclose(process.noise(said, x, step), noise, atol=1e-4)


def test_v_is_signal_noise_less_spread_picture_and_turns_with_the_step():
    process = Diffusion("cosine", 1000, target="v")
    x0, noise = torch.ones(3, 1), torch.full((3, 1), 10.0)
    v = process.goal(x0, torch.tensor([0, 499, 999]), noise)
    # near the picture v is the noise, near the noise it is minus the picture
    assert abs(v[0] - 10) < 0.1 and abs(v[2] + 1) < 0.01
    a, s = process.signal[499], process.spread[499]
    assert torch.isclose(v[1], 10 * a - s)


@pytest.mark.parametrize("weight", ["min_snr", "capped"])
def test_a_weight_is_the_same_whatever_the_net_says(weight):
    x0, noise, step = normal(50, 2), normal(50, 2, seed=1), torch.arange(50)
    believed = x0 + 0.1 * normal(50, 2, seed=2)
    found = {}
    for target in TARGETS:
        process = Diffusion("cosine", 50, target=target, weight=weight)
        x = process.q_sample(x0, step, noise)
        a, s = process.at(step, x)
        says = {"x0": believed, "noise": (x - a * believed) / s}
        says["v"] = a * says["noise"] - s * believed
        squares = (says[target] - process.goal(x0, step, noise)).square().mean(1)
        found[target] = process.weights(step) * squares
    # floats: SNR of the ends spans many powers of ten
    assert torch.allclose(found["noise"], found["x0"], rtol=2e-3)
    assert torch.allclose(found["v"], found["x0"], rtol=2e-3)


def test_min_snr_for_noise_and_v_is_that_of_its_paper():
    step = torch.arange(1000)
    for target in ("noise", "v"):
        process = Diffusion("cosine", 1000, target=target, weight="min_snr")
        snr = process.alpha_bar / (1 - process.alpha_bar)
        below = snr if target == "noise" else snr + 1
        wanted = snr.clamp(max=5) / below
        assert torch.allclose(process.weights(step), wanted, rtol=1e-3)
    # the wrong version: v divided by SNR alone
    assert not torch.allclose(snr.clamp(max=5) / snr, process.weights(step), rtol=0.1)


def test_the_noisiest_step_counts_for_capped_and_not_for_min_snr():
    last = torch.tensor([99])
    ways = {"target": "x0"}
    capped = Diffusion("cosine", 100, weight="capped", **ways).weights(last)
    snr = Diffusion("cosine", 100, weight="min_snr", **ways).weights(last)
    assert torch.isclose(capped, torch.ones(1)) and snr < 1e-6


@each_target
def test_the_error_of_a_net_that_knows_is_zero_and_of_one_that_is_silent_is_not(target):
    process = Diffusion("cosine", 50, target=target)
    x0, noise, step = (
        normal(5, 3),
        normal(5, 3, seed=1),
        torch.tensor([0, 9, 20, 30, 49]),
    )
    assert process.error(process.goal(x0, step, noise), x0, step, noise) == 0
    assert process.error(torch.zeros_like(x0), x0, step, noise) > 0.1


@pytest.mark.parametrize("target", ["x0", "v"])
def test_with_nothing_left_in_the_last_step_v_is_minus_the_picture(target):
    process = Diffusion("scaled", 100, target=target, zero_snr=True)
    x0, noise = normal(2, 3), normal(2, 3, seed=1)
    step = torch.full((2,), 99)
    assert torch.equal(process.q_sample(x0, step, noise), noise)
    said = process.goal(x0, step, noise)
    assert torch.equal(said, x0 if target == "x0" else -x0)
    assert torch.equal(process.x0(said, noise, step), x0)
    assert torch.isfinite(process.weights(torch.arange(100))).all()
