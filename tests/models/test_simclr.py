"""SimCLR: the loss by brute force, its gradient, planted wrong versions, the head."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.simclr import (
    LOSSES,
    SimCLR,
    contrastive_accuracy,
    entropy,
    make_head,
    margin_loss,
    nt_logistic,
    nt_xent,
    pairs,
    semi_hard,
)


def projections(n=5, p=7, seed=0):
    return torch.randn(2, n, p, generator=generator(seed), dtype=torch.float64)


def cosine(u, v):
    return (u @ v / (u.norm() * v.norm())).item()


def by_hand(first, second, tau):
    """Eq. (1) and Algorithm 1 of the paper, one number after the other."""
    views = [*first, *second]
    n, total = len(first), 0.0
    for i in range(2 * n):
        j = i + n if i < n else i - n
        below = sum(
            math.exp(cosine(views[i], views[k]) / tau) for k in range(2 * n) if k != i
        )
        total -= math.log(math.exp(cosine(views[i], views[j]) / tau) / below)
    return total / (2 * n)


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("tau", [0.1, 0.5, 2.0])
def test_nt_xent_is_the_double_loop_of_the_paper(n, tau):
    first, second = projections(n)
    found = nt_xent(*pairs(first, second), temperature=tau).item()
    assert found == pytest.approx(by_hand(first, second, tau), rel=1e-10)


def unnormalized(first, second, tau):
    return nt_xent(*pairs(first, second, similarity="dot"), temperature=tau)


def without_tau(first, second, tau):
    return nt_xent(*pairs(first, second), temperature=1.0)


def own_view_not_masked(first, second, tau):
    z = F.normalize(torch.cat([first, second]), dim=1)
    return F.cross_entropy(z @ z.T / tau, torch.arange(len(z)).roll(len(first)))


def one_direction(first, second, tau):
    one, two = F.normalize(first, dim=1), F.normalize(second, dim=1)
    return F.cross_entropy(one @ two.T / tau, torch.arange(len(one)))


def partner_not_below(first, second, tau):
    positive, negative = pairs(first, second)
    return (-positive / tau + (negative / tau).logsumexp(1)).mean()


@pytest.mark.parametrize(
    "wrong",
    [unnormalized, without_tau, own_view_not_masked, one_direction, partner_not_below],
)
def test_known_wrong_versions_give_another_loss(wrong):
    first, second = projections()
    right = nt_xent(*pairs(first, second), temperature=0.2)
    assert abs(right - wrong(first, second, 0.2)) > 0.01


def test_views_that_all_agree_cost_log_2n_minus_1():
    same = torch.ones(6, 4)
    for tau in (0.1, 1.0):
        loss = nt_xent(*pairs(same, same), temperature=tau)
        assert loss.item() == pytest.approx(math.log(11), abs=1e-5)
        spread = entropy(*pairs(same, same), temperature=tau)
        assert spread.item() == pytest.approx(math.log(11), abs=1e-5)


def test_perfect_views_cost_almost_nothing_at_a_small_temperature():
    corners = torch.eye(6)
    found = pairs(corners, corners)
    assert nt_xent(*found, temperature=0.05).item() < 1e-6
    assert contrastive_accuracy(*found) == 1


def test_its_gradient_is_the_share_of_the_softmax():
    positive, negative = (x.requires_grad_() for x in pairs(*projections()))
    loss = nt_xent(positive, negative, temperature=0.3)
    by_positive, by_negative = torch.autograd.grad(loss, (positive, negative))
    share = (torch.cat([positive[:, None], negative], 1) / 0.3).softmax(1)
    m = len(positive)
    assert torch.allclose(by_positive, (share[:, 0] - 1) / 0.3 / m)
    assert torch.allclose(by_negative, share[:, 1:] / 0.3 / m)


def test_a_view_has_one_partner_and_all_other_pictures_as_negatives():
    first, second = projections(4)
    positive, negative = pairs(first, second)
    assert positive.shape == (8,) and negative.shape == (8, 6)
    views = torch.cat([first, second])
    for i in range(8):
        partner = (i + 4) % 8
        assert positive[i].item() == pytest.approx(cosine(views[i], views[partner]))
        others = sorted(
            cosine(views[i], views[k]) for k in range(8) if k not in (i, partner)
        )
        assert negative[i].sort().values.tolist() == pytest.approx(others)


def test_a_batch_of_8192_has_16382_negatives():
    z = torch.zeros(8192, 1, device="meta")
    assert pairs(z, z).negative.shape == (16_384, 16_382)


def test_cosines_ignore_the_length_and_dot_products_do_not():
    first, second = projections()
    scale = torch.linspace(0.1, 10, 5)[:, None]
    for a, b in zip(pairs(first, second), pairs(first * scale, second), strict=True):
        assert torch.allclose(a, b)
    plain = pairs(first, second, similarity="dot")
    assert torch.allclose(plain.positive[:5], (first * second).sum(1))


POSITIVE = torch.tensor([0.9, 0.3])
NEGATIVE = torch.tensor([[0.8, 0.95, -0.5], [0.2, -0.4, 0.6]])


def test_the_logistic_loss_by_hand():
    def log_sigmoid(x):
        return -math.log(1 + math.exp(-x))

    same = (log_sigmoid(0.9 / 0.5) + log_sigmoid(0.3 / 0.5)) / 2
    apart = sum(log_sigmoid(-s / 0.5) for s in NEGATIVE.flatten().tolist()) / 6
    found = nt_logistic(POSITIVE, NEGATIVE, temperature=0.5).item()
    assert found == pytest.approx(-same - apart, rel=1e-5)


def test_the_margin_loss_by_hand():
    # gaps to the partner, plus the margin, where that is above zero
    costs = [0.8 - 0.9 + 0.3, 0.95 - 0.9 + 0.3, 0, 0.2 - 0.3 + 0.3, 0, 0.6 - 0.3 + 0.3]
    found = margin_loss(POSITIVE, NEGATIVE, margin=0.3).item()
    assert found == pytest.approx(sum(costs) / 6, rel=1e-5)


def test_semi_hard_takes_the_nearest_stranger_behind_the_partner():
    positive, nearest = semi_hard(POSITIVE, NEGATIVE, margin=0.3)
    assert torch.equal(positive, POSITIVE)
    assert nearest.flatten().tolist() == pytest.approx([0.8, 0.2])
    # with a margin of 0.05 nobody is near enough, and that costs nothing
    none = semi_hard(POSITIVE, NEGATIVE, margin=0.05)
    assert none.negative.flatten().tolist() == [-math.inf, -math.inf]
    assert margin_loss(*none, margin=0.05) == 0


def test_semi_hard_losses_have_finite_gradients():
    for loss in (
        lambda p, n: margin_loss(*semi_hard(p, n, margin=0.15), margin=0.15),
        lambda p, n: nt_logistic(*semi_hard(p, n, margin=0.15), temperature=0.2),
    ):
        negative = torch.tensor([[0.8, 0.95], [0.1, -0.4]]).requires_grad_()
        loss(POSITIVE, negative).backward()
        assert torch.isfinite(negative.grad).all()
        assert negative.grad[0, 0] != 0 and not negative.grad[1].any()


def test_only_cross_entropy_weighs_negatives_by_how_hard_they_are():
    def push(loss):
        negative = NEGATIVE.clone().requires_grad_()
        loss(POSITIVE, negative).backward()
        return negative.grad[0]  # of similarities 0.8, 0.95, -0.5

    soft = push(lambda p, n: nt_xent(p, n, temperature=0.1))
    assert soft[1] > 2 * soft[0] > 1000 * soft[2]
    flat = push(lambda p, n: margin_loss(p, n, margin=0.3))
    assert flat[0] == flat[1] and flat[2] == 0
    single = push(lambda p, n: nt_logistic(p, n, temperature=0.1))
    assert single[0].item() == pytest.approx(single[1].item(), rel=1e-2)


@pytest.mark.parametrize(
    ("name", "printed"),
    [("ResNet-50 (1x)", 24), ("ResNet-50 (2x)", 94), ("ResNet-50 (4x)", 375)],
)
def test_the_encoder_has_the_printed_millions_of_parameters(name, printed):
    with torch.device("meta"):
        model = SimCLR.from_preset(name)
    count = sum(p.numel() for p in model.encoder.parameters())
    assert round(count / 1e6) == printed


def test_the_head_of_the_paper_is_2048_2048_128():
    with torch.device("meta"):
        model = SimCLR.from_preset("ResNet-50 (1x)")
    shapes = [tuple(p.shape) for p in model.head.parameters() if p.ndim == 2]
    assert shapes == [(2048, 2048), (128, 2048)]


def test_heads_none_linear_nonlinear():
    image = torch.rand(3, 3, 16, 16, generator=generator(0)) * 2 - 1
    for name in ("tiny", "tiny-linear", "tiny-none"):
        torch.manual_seed(0)
        h, z = SimCLR.from_preset(name).eval()(image)
        if name == "tiny-none":
            assert torch.equal(h, z)
        else:
            assert h.shape == (3, 64) and z.shape == (3, 32)
    torch.manual_seed(0)
    linear = SimCLR.from_preset("tiny-linear").eval()
    a, b = torch.randn(2, 4, 64, generator=generator(1))
    middle = linear.project((a + b) / 2)
    assert torch.allclose(
        middle, (linear.project(a) + linear.project(b)) / 2, atol=1e-6
    )
    torch.manual_seed(0)
    bent = SimCLR.from_preset("tiny").eval()
    gap = bent.project((a + b) / 2) - (bent.project(a) + bent.project(b)) / 2
    assert gap.abs().max() > 1e-3


def test_the_loss_of_the_model_is_that_of_its_projections():
    torch.manual_seed(0)
    model = SimCLR.from_preset("tiny").eval()
    batch = SimCLR.example_batch(model.config, 4, generator=generator(0))
    z1, z2 = (model(batch[name]).projection for name in ("view1", "view2"))
    want = by_hand(z1.detach().double(), z2.detach().double(), 0.2)
    terms = model.loss(batch)
    assert terms["loss"].item() == pytest.approx(want, rel=1e-4)
    assert terms["accuracy"] == contrastive_accuracy(*pairs(z1, z2))


@pytest.mark.parametrize("name", LOSSES)
def test_the_config_chooses_the_loss_and_its_own_settings(name):
    torch.manual_seed(0)
    tiny = replace(SimCLR.PRESETS["tiny"], loss=name, temperature=0.3, margin=0.2)
    model = SimCLR(tiny).eval()
    batch = SimCLR.example_batch(tiny, 4, generator=generator(0))
    found = pairs(*(model(batch[v]).projection for v in ("view1", "view2")))
    mined = semi_hard(*found, margin=0.2)
    want = {
        "nt-xent": nt_xent(*found, temperature=0.3),
        "nt-logistic": nt_logistic(*found, temperature=0.3),
        "margin": margin_loss(*found, margin=0.2),
        "nt-logistic-semi-hard": nt_logistic(*mined, temperature=0.3),
        "margin-semi-hard": margin_loss(*mined, margin=0.2),
    }
    assert torch.allclose(model.loss(batch)["loss"], want[name], atol=1e-5)


def test_swapping_the_views_changes_nothing():
    torch.manual_seed(0)
    model = SimCLR.from_preset("tiny").eval()
    batch = SimCLR.example_batch(model.config, 4, generator=generator(0))
    other = batch | {"view1": batch["view2"], "view2": batch["view1"]}
    found, swapped = model.loss(batch)["loss"], model.loss(other)["loss"]
    assert torch.allclose(found, swapped, atol=1e-6)


def test_both_views_share_the_statistics_of_batchnorm():
    """Two passes, one for each view, would be another loss in training."""
    torch.manual_seed(0)
    model = SimCLR.from_preset("tiny").train()
    batch = SimCLR.example_batch(model.config, 4, generator=generator(0))
    batch["view2"] = batch["view2"] * 0.2
    apart = [model(batch[name]).projection for name in ("view1", "view2")]
    together = model.loss(batch)["loss"]
    assert (nt_xent(*pairs(*apart), temperature=0.2) - together).abs() > 1e-3


@pytest.mark.parametrize(
    ("first", "second"),
    [((1, 8), (1, 8)), ((4, 8), (3, 8)), ((4, 8), (4, 7)), ((4,), (4,)), ((0, 8),) * 2],
)
def test_views_that_do_not_pair_up_are_named(first, second):
    with pytest.raises(ValueError, match="two views of at least two pictures"):
        pairs(torch.zeros(first), torch.zeros(second))


def test_a_batch_of_one_picture_is_named():
    model = SimCLR.from_preset("tiny")
    batch = SimCLR.example_batch(model.config, 1, generator=generator(0))
    with pytest.raises(ValueError, match="at least two pictures"):
        model.loss(batch)


def test_an_unknown_loss_is_named():
    with pytest.raises(ValueError, match="expected loss as one of .nt-xent"):
        SimCLR(replace(SimCLR.PRESETS["tiny"], loss="triplet"))


def test_the_entropy_is_that_of_the_softmax_at_its_temperature():
    positive, negative = torch.tensor([0.5]), torch.tensor([[0.2, -0.1]])
    for tau in (0.1, 0.5, 1.0):
        weights = [math.exp(s / tau) for s in (0.5, 0.2, -0.1)]
        shares = [w / sum(weights) for w in weights]
        right = -sum(p * math.log(p) for p in shares)
        found = entropy(positive, negative, temperature=tau)
        assert found.item() == pytest.approx(right, rel=1e-4)


def test_a_typo_in_a_choice_never_means_something_else():
    z = torch.randn(4, 8)
    with pytest.raises(ValueError, match="one of 'cosine', 'dot', got 'Cosine'"):
        pairs(z, z, similarity="Cosine")
    with pytest.raises(ValueError, match="got 'non-linear'"):
        make_head("non-linear", 8, 8)
