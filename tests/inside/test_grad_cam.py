"""Grad-CAM in closed form, and its border."""

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.inside.grad_cam import grad_cam
from mmdl_lib.inside.record import record
from mmdl_lib.models.vit import ViT


def test_a_linear_score_of_the_mean_gives_the_weighted_channels():
    # score = w . mean(features): the gradient of channel c is w_c / (u v) everywhere
    layer, w = nn.Conv2d(3, 5, 1), torch.randn(5, generator=generator(0))
    image = torch.randn(2, 3, 4, 4, generator=generator(1))
    cam = grad_cam(layer, lambda: layer(image).mean((2, 3)) @ w)
    expected = torch.einsum("bcuv,c->buv", layer(image), w / 16).relu()
    assert torch.allclose(cam, expected, atol=1e-6)
    assert not cam.requires_grad


def test_the_weight_of_a_channel_is_the_mean_of_its_gradient_over_places():
    layer = nn.Identity()
    features = torch.ones(1, 1, 2, 2, requires_grad=True)
    slope = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    cam = grad_cam(layer, lambda: (layer(features) * slope).sum((1, 2, 3)))
    assert torch.allclose(cam, torch.ones(1, 2, 2))


def by_hand(features, slope, u, v):
    """Eq. (1) and (2) with loops: mean slope of a channel, weighted sum, ReLU."""
    b, _, c = features.shape
    cam = torch.zeros(b, u, v)
    for i in range(b):
        for row in range(u):
            for column in range(v):
                for k in range(c):
                    weight = slope[i, :, k].mean()
                    cam[i, row, column] += weight * features[i, row * v + column, k]
    return cam.clamp(min=0)


@pytest.mark.parametrize("grid", [(3, 3), (2, 4), (4, 2), (1, 8)])
@pytest.mark.parametrize("extra", [0, 1])
def test_tokens_become_their_grid_without_a_class_token(grid, extra):
    u, v = grid
    layer, n = nn.Identity(), u * v + extra
    tokens, slope = (torch.randn(2, n, 5, generator=generator(s)) for s in (2, 3))
    tokens.requires_grad_()
    cam = grad_cam(layer, lambda: (layer(tokens) * slope).sum((1, 2)), grid=grid)
    want = by_hand(tokens.detach()[:, extra:], slope[:, extra:], u, v)
    assert want.any() and torch.allclose(cam, want, atol=1e-5)


@pytest.mark.parametrize("preset", ["tiny", "tiny-mean"])
def test_a_vit_on_a_wide_picture_gets_a_map_of_its_patches(preset):
    torch.manual_seed(0)
    model = ViT.from_preset(preset).eval()
    image = torch.randn(1, 3, 16, 32, generator=generator(4)).clamp(-1, 1)
    grid = (16 // model.config.patch, 32 // model.config.patch)
    layer = model.transformer.blocks[0]
    cam = grad_cam(layer, lambda: model(image)[:, 3], grid=grid)
    with record(model, "transformer.blocks.0") as seen:
        score = model(image)[:, 3].sum()
    (tokens,) = seen["transformer.blocks.0"]
    (slope,) = torch.autograd.grad(score, tokens)
    extra = 0 if preset == "tiny-mean" else 1
    want = by_hand(tokens[:, extra:], slope[:, extra:], *grid)
    assert cam.shape == (1, *grid) and want.any()
    assert torch.allclose(cam, want, atol=1e-5)


@pytest.mark.parametrize("grid", [None, (2, 3), (1, 7), (3, 4), (0, 9), (-3, -3)])
def test_tokens_of_another_grid_or_none_are_refused(grid):
    layer, x = nn.Linear(6, 4), torch.randn(2, 9, 6, generator=generator(2))
    with pytest.raises(
        ValueError, match="rows and columns of 9 patches, or of 8 and a"
    ):
        grad_cam(layer, lambda: layer(x).mean((1, 2)), grid=grid)


def test_a_grid_for_a_map_and_a_score_of_something_else_are_refused():
    layer, x = nn.Conv2d(3, 2, 1), torch.randn(2, 3, 4, 4, generator=generator(2))
    with pytest.raises(ValueError, match=r"no grid for a feature map of shape \(2, 2"):
        grad_cam(layer, lambda: layer(x).sum((1, 2, 3)), grid=(4, 4))
    w = torch.ones(2, requires_grad=True)
    for score in (lambda: w * layer(x).detach().sum(), lambda: layer(x).detach()):
        with pytest.raises(ValueError, match="a score that depends on the layer"):
            grad_cam(layer, score)


def test_a_layer_that_runs_twice_is_refused():
    layer, x = nn.Conv2d(3, 3, 1), torch.randn(2, 3, 4, 4, generator=generator(2))
    with pytest.raises(ValueError, match="runs through once"):
        grad_cam(layer, lambda: layer(layer(x)).sum((1, 2, 3)))


def test_a_layer_that_is_not_used_or_flat_is_named_in_one_sentence():
    layer, x = nn.Linear(3, 2), torch.randn(4, 3, generator=generator(3))
    other = torch.zeros(4, requires_grad=True)
    for score in (lambda: other, lambda: layer(x).sum(1)):
        with pytest.raises(ValueError, match="expected a layer that the score runs"):
            grad_cam(layer, score)
