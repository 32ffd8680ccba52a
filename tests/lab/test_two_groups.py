"""The plane of two groups: what is called exact is what autograd and counting find."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.lab import two_groups as plane
from mmdl_lib.models.ddpm import toward
from mmdl_lib.nn.diffusion import Diffusion, guided


def points(n=400):
    return torch.randn(n, 2, generator=generator(0))


@pytest.mark.parametrize("group", [None, 0, 1])
@pytest.mark.parametrize("place", [3, 60, 180])
def test_the_best_net_says_the_score(group, place):
    process, step = Diffusion("cosine", 200), torch.full((400,), place)
    x = points().requires_grad_()
    log_p = plane.log_density(process, x, step)
    if group is not None:
        log_p = log_p[:, group == plane.GROUP]
    (score,) = torch.autograd.grad(log_p.logsumexp(1).sum(), x)
    said = plane.best(process, group)(points(), step)
    wanted = -process.spread[place] * score
    assert torch.allclose(said, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("target", ["x0", "v"])
def test_other_targets_mean_the_same(target):
    step = torch.full((400,), 60)
    noise = plane.best(Diffusion("cosine", 200))(points(), step)
    process = Diffusion("cosine", 200, target=target)
    said = plane.best(process)(points(), step)
    assert torch.allclose(process.noise(said, points(), step), noise, atol=1e-4)


def test_probabilities_of_the_groups_sum_to_one():
    process, step = Diffusion("cosine", 200), torch.full((400,), 60)
    both = [plane.classifier(process, g)(points(), step).exp() for g in (0, 1)]
    assert torch.allclose(sum(both), torch.ones(400))


def test_the_two_guidances_are_one_here():
    process, step = Diffusion("cosine", 200), torch.full((400,), 90)
    net, own = plane.best(process), plane.best(process, 1)
    for scale in (1, 3):
        one = toward(net, plane.classifier(process, 1), process, scale)(points(), step)
        two = guided(own(points(), step), net(points(), step), scale)
        assert torch.allclose(one, two, atol=1e-3)


def test_walks_end_in_the_clouds_by_their_shares():
    process = Diffusion("cosine", 1000)
    end = plane.walk(process, plane.best(process), points(4000), steps=100)[-1]
    near = torch.cdist(end, plane.MEANS).argmin(1).bincount(minlength=3) / 4000
    true = plane.draw(4000, generator=generator(1))[0]
    real = torch.cdist(true, plane.MEANS).argmin(1).bincount(minlength=3) / 4000
    # four standard errors of a difference of shares
    assert (near - real).abs().max() < 0.045
    assert abs(end.std(0) - true.std(0)).max() < 0.03


def test_a_chain_whose_betas_are_not_scaled_leaves_a_third_of_the_picture():
    short = plane.unscaled(100)
    assert abs(short.table[-1] - 0.364) < 1e-3
    assert torch.allclose(short.signal**2 + short.spread**2, torch.ones(100))
    ends = []
    for process in (Diffusion("linear", 100), short):
        end = plane.walk(process, plane.best(process), points(3000), steps=100)[-1]
        ends.append(abs(plane.shares(end)[0] - 0.5))
    assert ends[0] < 0.04


def test_shares_count_the_nearest_center():
    assert plane.shares(plane.MEANS[[0, 0, 1, 2]]) == [0.5, 0.25, 0.25]
    assert plane.nearest(plane.MEANS + 0.05).tolist() == [0, 1, 2]
