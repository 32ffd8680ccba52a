"""SwAV: clusters of equal size, and who predicts whose code."""

import math
from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.swav import TINY, SwAV, SwAVConfig, sinkhorn, swapped_loss


def scores(b=24, k=6, seed=0):
    g = generator(seed)
    return torch.rand(b, k, generator=g).double() * 2 - 1


def by_loop(score, epsilon, iterations):
    """The released code's way: a matrix of masses, scaled row by row."""
    k, b = score.shape[1], score.shape[0]
    mass = (score / epsilon).exp().T
    mass = mass / mass.sum()
    for _ in range(iterations):
        for i in range(k):
            mass[i] *= (1 / k) / mass[i].sum()
        for j in range(b):
            mass[:, j] *= (1 / b) / mass[:, j].sum()
    return (mass * b).T


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_sinkhorn_is_the_scaling_of_a_matrix_of_masses(epsilon):
    found = sinkhorn(scores(), epsilon=epsilon, iterations=3)
    assert torch.allclose(found, by_loop(scores(), epsilon, 3), atol=1e-12)


def test_rows_sum_to_one_and_columns_to_equal_shares():
    codes = sinkhorn(scores(), epsilon=0.5, iterations=50)
    assert torch.allclose(codes.sum(1), torch.ones(24).double())
    assert torch.allclose(codes.sum(0), torch.full((6,), 4.0).double(), atol=1e-6)


def test_more_iterations_come_closer_to_equal_clusters():
    errors = [
        (sinkhorn(scores(), epsilon=0.05, iterations=i).sum(0) - 4).abs().max()
        for i in (0, 1, 3, 30)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_collapsed_batch_is_still_spread_over_all_prototypes():
    same = torch.tensor([[0.9, 0.1, 0.0]]).repeat(9, 1)
    assert torch.allclose(sinkhorn(same, iterations=1), torch.full((9, 3), 1 / 3))


def test_small_epsilon_is_hard_large_epsilon_uniform_and_nothing_overflows():
    score = scores()
    hard = sinkhorn(score, epsilon=1e-3, iterations=3)
    soft = sinkhorn(score, epsilon=1e3, iterations=3)
    assert torch.isfinite(hard).all() and hard.max(1).values.mean() > 0.95
    assert torch.allclose(soft, torch.full_like(soft, 1 / 6), atol=1e-3)


def test_codes_carry_no_gradient():
    score = scores().requires_grad_()
    assert not sinkhorn(score).requires_grad


def test_the_swapped_loss_by_hand_each_code_meets_the_other_view():
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    code1, code2 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.25, 0.75]])
    # code1 with the second view, code2 with the first, at temperature one
    first = math.log(1 + math.e)
    second = math.log(math.e**2 + 1) - 0.25 * 2
    found = swapped_loss([one, other], [code1, code2], temperature=1.0)
    assert found.item() == pytest.approx((first + second) / 2, rel=1e-6)


def test_the_loss_of_identical_unsure_views_is_log_k():
    flat = torch.zeros(4, 8)
    code = torch.eye(8)[:4]
    loss = swapped_loss([flat, flat], [code, code], temperature=0.1)
    assert loss.item() == pytest.approx(math.log(8))


def test_small_views_predict_and_are_never_the_target():
    torch.manual_seed(0)
    model = SwAV.from_preset("tiny-multi-crop")
    batch = SwAV.example_batch(model.config, 6, generator=generator(1))
    assert batch["view3"].shape[-1] == 8 and batch["view1"].shape[-1] == 16
    score = [model(batch[f"view{i}"]) for i in (1, 2, 3, 4)]
    q, c = [model.codes(x) for x in score[:2]], model.config
    by_hand = 0
    for s, own in ((0, 0), (1, 1)):
        for v in range(4):
            if v != own:
                p = (score[v] / c.temperature).softmax(1)
                by_hand = by_hand - (q[s] * p.log()).sum(1).mean() / 3
    found = model.loss(batch)["loss"]
    assert torch.allclose(found, by_hand / 2, atol=1e-5)


def test_prototypes_have_length_one_before_and_after_a_step():
    model = SwAV.from_preset("tiny")
    one = torch.ones(32)
    assert torch.allclose(model.prototypes.norm(dim=1), one, atol=1e-6)
    model.prototypes.data.mul_(3.0)
    model.after_step(0)
    assert torch.allclose(model.prototypes.norm(dim=1), one, atol=1e-6)


def test_scores_are_cosines():
    torch.manual_seed(0)
    model = SwAV.from_preset("tiny").eval()
    image = SwAV.example_batch(model.config, 3, generator=generator(1))["image"]
    assert model(image).abs().max() <= 1 + 1e-6
    assert torch.allclose(model.project(image).norm(dim=1), torch.ones(3))


def test_the_encoder_at_full_size_has_23_5_million_and_the_head_its_widths():
    with torch.device("meta"):
        model = SwAV(SwAVConfig())
    whole = sum(p.numel() for p in model.encoder.parameters())
    head = sum(p.numel() for p in model.encoder.classifier.parameters())
    assert (whole - head) / 1e6 == pytest.approx(23.5, abs=0.05)
    assert model.prototypes.shape == (3000, 128)
    assert model.encoder.classifier.out_features == 2048


def test_an_epsilon_of_zero_is_named():
    with pytest.raises(ValueError, match="above zero, got 0"):
        sinkhorn(torch.zeros(2, 2), epsilon=0.0)
    with pytest.raises(ValueError, match="above zero, got -1"):
        SwAV(replace(TINY, epsilon=-1.0)).codes(torch.zeros(2, 2))
