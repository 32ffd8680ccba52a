"""The GAN: best D in closed form, slopes, who gets which gradient, the penalty."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import gan
from mmdl_lib.models.gan import GAN, best_logit, generator_loss, gradient_penalty, value

P, Q = torch.tensor([4, 3, 2, 1]), torch.tensor([1, 2, 2, 5])  # of ten examples each


def at(logit):
    """D's logits of ten real and ten drawn examples that stand on four places."""
    return logit.repeat_interleave(P), logit.repeat_interleave(Q)


def divergence(p, q):
    """Jensen-Shannon, from its definition."""
    middle = (p + q) / 2
    both = [(x * (x / middle).log()).sum() for x in (p, q)]
    return sum(both) / 2


def reaches_the_bound(best):
    """Whether V with this D is -log 4 + 2 JSD, and no D near it does better."""
    p, q = P / 10, Q / 10
    logit = best(p, q)
    reached = value(*at(logit))
    if not torch.isclose(reached, 2 * divergence(p, q) - math.log(4), atol=1e-6):
        return False
    others = logit + 0.3 * torch.randn(50, 4, generator=generator(0))
    return all(value(*at(other)) < reached for other in others)


def test_the_best_d_is_p_over_p_plus_q_and_its_value_is_minus_log_4_plus_2_jsd():
    assert reaches_the_bound(best_logit)
    assert torch.allclose(best_logit(P / 10, Q / 10).sigmoid(), P / (P + Q))
    same = value(torch.zeros(3), torch.zeros(5))  # p = q: D is a coin
    assert same.item() == pytest.approx(-math.log(4))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, q: q.log() - p.log(),  # real and drawn exchanged
        lambda p, q: p / (p + q),  # a probability for a logit
        lambda p, q: p.log(),
        lambda p, q: torch.zeros_like(p),  # the D that minimizes nothing
    ],
)
def test_other_ds_do_not_reach_it(wrong):
    assert not reaches_the_bound(wrong)


def test_exchanging_real_and_drawn_flips_the_sign_of_the_best_logit():
    p, q = torch.rand(2, 9, generator=generator(0)) + 0.1
    assert torch.allclose(best_logit(p, q), -best_logit(q, p))


def slope(aim, logit=-6.0):
    x = torch.tensor([logit], requires_grad=True)
    generator_loss(x, aim).backward()
    return x.grad.item()


def test_where_d_is_sure_minimax_has_no_slope_and_the_other_aim_has():
    assert slope("minimax") == pytest.approx(-0.002473, abs=1e-6)
    assert slope("non-saturating") == pytest.approx(-0.997527, abs=1e-6)
    # both pull the same way, and equally where D is a coin
    assert slope("minimax", 0.0) == slope("non-saturating", 0.0) == -0.5


def test_minimax_is_the_same_value_that_d_has_and_bce_with_ones_is_not():
    fake = torch.randn(7, generator=generator(1))
    minimax = generator_loss(fake, "minimax")
    assert torch.isclose(minimax, value(torch.full((1,), 99.0), fake))
    ones, zeros = torch.ones(7), torch.zeros(7)
    bce = F.binary_cross_entropy_with_logits
    assert torch.isclose(minimax, -bce(fake, zeros))
    assert torch.isclose(generator_loss(fake, "non-saturating"), bce(fake, ones))
    assert not torch.isclose(minimax, bce(fake, ones))  # often called minimax


def lifts_real_and_lowers_drawn(loss):
    real, fake = torch.zeros(2, 5, requires_grad=True).unbind()
    up, down = torch.autograd.grad(loss(real, fake), [real, fake])
    return bool((up < 0).all() and (down > 0).all())


def test_d_lifts_real_and_lowers_drawn_logits():
    assert lifts_real_and_lowers_drawn(lambda real, fake: -value(real, fake))
    bce = F.binary_cross_entropy_with_logits
    ones = torch.ones(5)
    # drawn examples labeled as real, and a D that minimizes V
    assert not lifts_real_and_lowers_drawn(lambda r, f: bce(r, ones) + bce(f, ones))
    assert not lifts_real_and_lowers_drawn(value)


def test_a_step_of_d_makes_v_larger_and_a_step_of_g_makes_it_smaller():
    torch.manual_seed(0)
    model = GAN(gan.GANConfig(points=2, noise=4, width=16, aim="minimax"))
    batch = {"points": torch.randn(256, 2, generator=generator(0)) + 2}

    def now():
        return -model.loss(batch, phase="discriminator", generator=generator(1))["loss"]

    for phase, sign in (("discriminator", 1), ("generator", -1)):
        before = now().item()
        own = model.trainable(phase)
        loss = model.loss(batch, phase=phase, generator=generator(1))["loss"]
        with torch.no_grad():
            for p, g in zip(own, torch.autograd.grad(loss, own), strict=True):
                p -= 0.05 * g
        assert sign * (now().item() - before) > 1e-4


def g_stands_still(loss):
    """Whether the backward pass of D's turn leaves G without any gradient."""
    torch.manual_seed(0)
    model = GAN.from_preset("tiny packed")
    batch = GAN.example_batch(model.config, 4, generator=generator(0))
    loss(model, batch).backward()
    own = all(p.grad is not None for p in model.discriminator.parameters())
    return own and all(p.grad is None for p in model.generator.parameters())


def test_in_ds_turn_g_gets_no_gradient():
    def ours(model, batch):
        return model.loss(batch, phase="discriminator", generator=generator(0))["loss"]

    def without_detach(model, batch):
        drawn = model.draw(4, generator(0))
        return -value(model.judge(batch["points"]), model.judge(drawn))

    assert g_stands_still(ours)
    assert not g_stands_still(without_detach)


def test_the_penalty_of_a_linear_d_is_its_slope_less_one_squared():
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    real, fake = torch.randn(2, 6, 2, generator=generator(0))
    found = gradient_penalty(lambda x: x @ w, real, fake, generator=generator(1))
    assert found.item() == pytest.approx((5 - 1) ** 2)
    found.backward()  # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    assert torch.allclose(w.grad, torch.tensor([4.8, 6.4]))


def per_number(judge, real, fake, *, generator=None):
    """The usual mistake: a share for each number, which leaves the line."""
    share = torch.rand(real.shape, generator=generator)
    judge(share * real + (1 - share) * fake)


def on_the_line(penalty):
    """Whether D is asked at places that lie between a real and a drawn example."""
    real, fake = torch.randn(2, 5, 3, 4, generator=generator(0))
    asked = []

    def judge(x):
        asked.append(x.detach())
        return x.sum((1, 2))

    penalty(judge, real, fake, generator=generator(1))
    share = (asked[0] - fake) / (real - fake)
    one = share.flatten(1)
    same = torch.allclose(one, one[:, :1].expand_as(one), atol=1e-3)
    return same and len(set(one[:, 0].tolist())) == 5 and bool((one > 0).all())


def test_the_penalty_draws_one_share_for_an_example_and_not_for_each_number():
    assert on_the_line(gradient_penalty)
    assert not on_the_line(per_number)
    one_for_all = partial(lambda j, r, f, generator: j(0.5 * r + 0.5 * f))
    assert not on_the_line(one_for_all)


def test_the_penalty_is_added_to_ds_loss_by_its_weight():
    found = []
    for weight in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        model = GAN(gan.GANConfig(points=2, noise=4, width=16, penalty=weight))
        batch = GAN.example_batch(model.config, 8, generator=generator(0))
        given = {"phase": "discriminator", "generator": generator(1)}
        found.append(model.loss(batch, **given)["loss"].item())
    assert found[1] - found[0] > 0.1  # an untrained D is nearly flat
    assert found[2] - found[0] == pytest.approx(2 * (found[1] - found[0]))


def test_a_packed_d_sees_examples_together():
    torch.manual_seed(0)
    model = GAN.from_preset("tiny packed")
    points = torch.randn(6, 2, generator=generator(0))
    said = model.judge(points)
    assert said.shape == (3,)
    points[1] += 1  # neighbors share a pack
    assert torch.equal(model.judge(points)[1:], said[1:])
    assert model.judge(points)[0] != said[0]
    with pytest.raises(ValueError, match="expected a multiple of 2 rows, got 5"):
        model.judge(points[:5])


def test_a_trained_d_comes_near_the_closed_form():
    torch.manual_seed(0)
    net = gan.mlp(1, 32, 1, torch.nn.LeakyReLU)
    optimizer, g = torch.optim.Adam(net.parameters(), lr=1e-2), generator(0)
    for _ in range(300):
        real = torch.randn(256, 1, generator=g)
        drawn = torch.randn(256, 1, generator=g) + 1
        optimizer.zero_grad()
        (-value(net(real)[:, 0], net(drawn)[:, 0])).backward()
        optimizer.step()
    x = torch.linspace(-1, 2, 13)[:, None]
    normal = torch.distributions.Normal(torch.tensor([0.0, 1.0]), 1.0)
    p, q = normal.log_prob(x).exp().unbind(1)
    off = net(x)[:, 0].sigmoid() - best_logit(p, q).sigmoid()
    assert off.abs().max() < 0.08  # 300 steps; an untrained net is off by 0.3


def test_who_sees_one_kind_only_and_other_bad_input_get_a_sentence(as_a_reader):
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="drawn examples expected at least one, got n"):
        value(x, x[:0])
    with pytest.raises(ValueError, match="real examples expected at least one, got n"):
        value(x[:0], x)
    with pytest.raises(ValueError, match="logits of drawn.* finite"):
        value(x, x / 0)
    with pytest.raises(ValueError, match="aim expected one of .*, got 'Minimax'"):
        generator_loss(x, "Minimax")
    with pytest.raises(ValueError, match="q expected densities above 0"):
        best_logit(x + 1, x)
    with pytest.raises(ValueError, match="points expected floats of shape"):
        GAN.from_preset("tiny").judge(x)
