"""Grad-CAM in closed form, and its border."""

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.inside.grad_cam import grad_cam


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


def test_tokens_become_a_square_without_the_class_token():
    layer = nn.Linear(6, 4)
    x = torch.randn(2, 10, 6, generator=generator(2))
    assert grad_cam(layer, lambda: layer(x).mean((1, 2))).shape == (2, 3, 3)


def test_a_layer_that_is_not_used_or_flat_is_named_in_one_sentence():
    layer, x = nn.Linear(3, 2), torch.randn(4, 3, generator=generator(3))
    other = torch.zeros(4, requires_grad=True)
    for score in (lambda: other, lambda: layer(x).sum(1)):
        with pytest.raises(ValueError, match="expected a layer that the score runs"):
            grad_cam(layer, score)
