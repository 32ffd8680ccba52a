"""Diffusion: steps back, guidance, what is known, bad input."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.nn.diffusion import (
    Diffusion,
    alpha_bars,
    chain,
    guided,
    known,
    times,
)

KINDS = ["linear", "scaled", "cosine"]
TARGETS = ["noise", "x0", "v"]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_target = pytest.mark.parametrize("target", TARGETS)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


# steps back


def test_the_ancestral_step_is_bayes_rule_for_gaussians():
    process = Diffusion("linear", 100)
    x0, x = torch.tensor([0.4]), torch.tensor([-1.3])
    for now in (1, 30, 99):
        (a, _), (a2, s2) = process.level(now), process.level(now - 1)
        # x_{t-1} given x_0, seen through x_t = sqrt(alpha) x_{t-1} + noise
        alpha = (a / a2) ** 2
        precision = 1 / s2**2 + alpha / (1 - alpha)
        mean = (a2 * x0 / s2**2 + math.sqrt(alpha) * x / (1 - alpha)) / precision
        assert math.isclose(process.variance(now, now - 1), 1 / precision, rel_tol=1e-9)
        zero = torch.zeros(1)
        got = process.back(x, x0, now, now - 1, eta=1.0, noise=zero)
        assert torch.allclose(got, mean, atol=1e-5)
        one = process.back(x, x0, now, now - 1, eta=1.0, noise=zero + 1) - got
        assert torch.allclose(one, torch.tensor(precision**-0.5), atol=1e-5)
        # the wrong version: beta without its share (1 - ab_prev) / (1 - ab)
        if now == 1:
            assert abs((1 - alpha) - 1 / precision) > 0.1 * (1 - alpha)


def test_skipped_steps_have_the_variance_of_the_pair_and_not_of_one_beta():
    process = Diffusion("linear", 100)
    (a, _), (a2, s2) = process.level(80), process.level(40)
    alpha = (a / a2) ** 2
    precision = 1 / s2**2 + alpha / (1 - alpha)
    assert math.isclose(process.variance(80, 40), 1 / precision, rel_tol=1e-9)
    assert process.variance(80, 79) < 0.5 * process.variance(80, 40)


def test_eta_is_the_share_of_the_deviation_and_the_direction_gives_way():
    process = Diffusion("linear", 100)
    zero, one = torch.zeros(1), torch.ones(1)
    for eta in (0.25, 0.5, 1.0):
        got = process.back(zero, zero, 80, 60, eta=eta, noise=one)
        assert torch.isclose(got, torch.tensor(eta * process.variance(80, 60) ** 0.5))
        # x is noise alone: direction and new noise have all of the spread
        turned = process.back(
            process.level(80)[1] * one, zero, 80, 60, eta=eta, noise=zero
        )
        assert torch.isclose(turned**2 + got**2, one * process.level(60)[1] ** 2)


def test_the_last_step_gives_the_picture_without_noise():
    process = Diffusion("linear", 100)
    x0, x = normal(2, 3), normal(2, 3, seed=1)
    assert process.variance(0, -1) == 0
    for eta in (0.0, 1.0):
        assert torch.allclose(process.back(x, x0, 0, -1, eta=eta, noise=x), x0)
    # the wrong version: a last alpha-bar below 1 leaves noise
    (a, s), (a2, s2) = process.level(0), process.level(0)
    assert not torch.allclose(a2 * x0 + s2 / s * (x - a * x0), x0, atol=1e-3)


def exact(process, target="noise"):
    """What the best net says where pictures are standard normal: x0 = signal x."""

    def net(x, step):
        signal, spread = process.at(step, x)
        return {"x0": signal * x, "noise": spread * x, "v": 0 * x}[target]

    return net


@each_target
@pytest.mark.parametrize("eta", [0.0, 0.3])
def test_a_standard_normal_world_stays_one_in_every_step(target, eta):
    process = Diffusion("linear", 100, target=target)
    spreads = []
    x = process.sample(
        exact(process, target),
        normal(20_000, 1, dtype=torch.float32),
        steps=100,
        eta=eta,
        settle=lambda x0: x0,
        generator=generator(1),
        watch=lambda step, x, x0: spreads.append(x.std().item()),
    )
    # four standard errors of a deviation of 20,000 draws
    assert max(abs(s - 1) for s in [*spreads, x.std().item()]) < 0.02


def test_ancestral_steps_lose_a_little_variance_and_less_where_there_are_more():
    """Their noise is that of a known picture: here the picture is not known."""
    found = {}
    for steps in (50, 200, 1000):
        process, variance, lowest = Diffusion("linear", 1000), 1.0, 1.0
        places = chain(1000, steps)
        for now, then in zip(places, [*places[1:], -1], strict=True):
            (a, _), one = process.level(now), torch.ones(1, dtype=torch.float64)
            turn = process.back(one, a * one, now, then, eta=1.0, noise=0 * one)
            variance = turn.item() ** 2 * variance + process.variance(now, then)
            lowest = min(lowest, variance)
        found[steps] = lowest
    assert found[50] < found[200] < found[1000] < 1
    assert found[1000] > 0.98 and found[50] < 0.9


def test_ancestral_steps_that_forget_their_share_of_the_direction_lose_variance():
    """The wrong version, seen in public code: the direction keeps all of the spread."""
    process = Diffusion("linear", 100)
    x = normal(20_000, dtype=torch.float32)
    for now, then in zip(range(99, -1, -1), range(98, -2, -1), strict=True):
        (a, s), (a2, s2) = process.level(now), process.level(then)
        sigma = process.variance(now, then) ** 0.5
        x0 = a * x
        noise = torch.randn(x.shape, generator=generator(now))
        x = a2 * x0 + s2 / s * (x - a * x0) + sigma * noise
    assert abs(x.std() - 1) > 0.2


def test_without_chance_the_same_noise_gives_the_same_picture():
    process = Diffusion("cosine", 50)
    x, net = normal(3, 2, dtype=torch.float32), exact(process)
    one, two = (process.sample(net, x, steps=9) for _ in range(2))
    assert torch.equal(one, two)
    apart = (
        process.sample(net, x, steps=9, eta=1, generator=generator(i)) for i in (0, 1)
    )
    assert not torch.equal(*apart)


def test_with_the_true_noise_one_step_and_fifty_find_the_picture():
    process = Diffusion("linear", 100)
    x0, noise = normal(4, 3).clamp(-1, 1), normal(4, 3, seed=1)
    for steps in (1, 7, 50):
        x = process.q_sample(x0, torch.full((4,), 99), noise)

        def net(x, step):
            a, s = process.level(int(step[0]))
            return (x - a * x0) / s

        assert torch.allclose(process.sample(net, x, steps=steps), x0, atol=1e-3)


def test_a_clipped_picture_moves_the_noise_too():
    process = Diffusion("linear", 100, target="x0")
    x, said = torch.tensor([[3.0]]), torch.tensor([[2.0]])
    seen = []
    process.sample(
        lambda x, step: said,
        x,
        steps=2,
        watch=lambda step, x, x0: seen.append((step, x.clone(), x0)),
    )
    (a, s), (a2, s2) = process.level(99), process.level(49)
    assert [step for step, _, _ in seen] == [99, 49] and seen[0][2] == 1
    assert torch.isclose(seen[1][1], a2 + s2 / s * (x - a))
    # the wrong version: the noise of what was said before it was clipped
    assert not torch.isclose(seen[1][1], a2 + s2 / s * (x - 2 * a), atol=1e-3)


def test_all_black_pictures_need_a_chain_that_ends_in_nothing():
    """Lin et al. 2024: a net for the leaking chain has never seen pure noise."""
    found = {}
    for zero in (False, True):
        process = Diffusion("scaled", 1000, target="v", zero_snr=zero)

        def net(x, step, process=process):
            # a world of one number a picture, even from -1 to 1: its mean leaks
            a, s = process.level(int(step[0]))
            place = torch.linspace(-1, 1, 201)
            apart = (x.mean(1, keepdim=True)[..., None] - a * place) ** 2
            p = (-apart * x.shape[1] / 2 / max(s, 1e-9) ** 2).softmax(-1)
            x0 = (p * place).sum(-1).expand_as(x)
            return (a * x - x0) / s if s > 0 else -x0

        x = normal(300, 1024, dtype=torch.float32)
        found[zero] = process.sample(net, x, steps=50).mean(1).std().item()
    # the deviation of an even number from -1 to 1 is 0.58
    assert abs(found[True] - 0.577) < 0.08
    assert found[False] < 0.4


# guidance


def test_a_scale_of_one_is_the_net_and_zero_is_the_net_without_a_text():
    told, empty = normal(3, 2), normal(3, 2, seed=1)
    assert torch.allclose(guided(told, empty, 1.0), told, atol=1e-12)
    assert torch.equal(guided(told, empty, 0.0), empty)
    # scale = 1 + w of the other notation, and not w
    w = 2.0
    assert torch.allclose(guided(told, empty, 3.0), (1 + w) * told - w * empty)
    assert not torch.allclose(guided(told, empty, 2.0), (1 + w) * told - w * empty)


def test_the_guided_mean_of_two_gaussians_of_one_variance_lies_on_their_line():
    """A score is (mean - x) / variance: scale 3 is as a mean three times away."""
    x, a, b = normal(5), 0.3, 1.1
    got = guided(b - x, a - x, 3.0)
    assert torch.allclose(got, a + 3 * (b - a) - x)


def test_known_pixels_come_back_and_all_known_is_the_picture():
    process = Diffusion("cosine", 50, target="x0")
    image = normal(2, 3, 4, 4, dtype=torch.float32).clamp(-1, 1)
    x = normal(2, 3, 4, 4, seed=1, dtype=torch.float32)
    half = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    half[..., 2:] = True

    def net(x, step):
        return torch.zeros_like(x) + 0.3

    got = process.sample(net, x, steps=5, settle=known(image, half))
    assert torch.equal(got[..., 2:], image[..., 2:])
    assert torch.allclose(got[..., :2], torch.tensor(0.3))
    everything = torch.ones_like(half)
    assert torch.equal(
        process.sample(net, x, steps=5, settle=known(image, everything)), image
    )
    # nothing known: as without
    free = process.sample(net, x, steps=5, settle=known(image, ~everything))
    assert torch.equal(free, process.sample(net, x, steps=5))


def test_sines_and_cosines_tell_every_step_apart():
    found = times(torch.arange(1000), 32)
    assert found.shape == (1000, 32)
    assert torch.allclose(found[7, 0], torch.tensor(7.0).sin())
    assert torch.allclose(found[7, 16], torch.tensor(7.0).cos())
    apart = torch.cdist(found, found) + 9 * torch.eye(1000)
    assert apart.min() > 0.1


# bad input


def test_bad_chains_and_samplers_are_refused(as_a_reader):
    process = Diffusion("cosine", 50)
    x = torch.zeros(2, 3)
    step = torch.tensor([0, 50])
    bad = {
        "kind expected one of": lambda: alpha_bars("sine", 10),
        "steps expected an integer of at least 2": lambda: alpha_bars("cosine", 1),
        "shift expected a number above 0": lambda: alpha_bars("cosine", 9, shift=0.0),
        "target expected one of": lambda: Diffusion("cosine", 9, target="eps"),
        "zero terminal SNR expected target v or x0": lambda: Diffusion(zero_snr=True),
        "step expected numbers from 0 to 49": lambda: process.q_sample(x, step, x),
        "expected from 1 to 50": lambda: chain(50, 51),
        "spacing expected one of": lambda: chain(50, 5, spacing="even"),
        "eta expected": lambda: process.sample(exact(process), x, steps=5, eta=2),
    }
    for words, call in bad.items():
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError, match="True = known"):
        known(torch.zeros(2, 3, 4, 4), torch.ones(2, 1, 4, 4))
