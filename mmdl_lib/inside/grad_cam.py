"""Which pixels speak for a score: Grad-CAM (Selvaraju et al. 2017, 1610.02391)."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


def grad_cam(
    layer: nn.Module, score: Callable[[], Float[Tensor, " b"]]
) -> Float[Tensor, "b u v"]:
    """Maps of where the output of a layer raises a score.

    Args:
        layer: a module inside the model; its output is a feature map (b, c, u, v), or
            tokens (b, n, c) of which the first is a class token and the rest a square.
        score: runs the model and returns one number per picture.

    Returns:
        Non-negative maps, not normalized; all zero where no channel helps.

    Raises:
        ValueError: the layer gave neither of the two shapes, or was not used.
    """
    kept = []
    hook = layer.register_forward_hook(lambda module, given, out: kept.append(out))
    try:
        with torch.enable_grad():
            total = score().sum()
    finally:
        hook.remove()
    if not kept or kept[0].ndim not in (3, 4):
        raise ValueError(
            "expected a layer that the score runs through and that gives (b, c, u, v) "
            f"or (b, n, c), got {[tuple(out.shape) for out in kept]}."
        )
    features, gradient = kept[0], torch.autograd.grad(total, kept[0])[0]
    if features.ndim == 3:
        side = round((features.shape[1] - 1) ** 0.5)
        features, gradient = (
            rearrange(x[:, 1:], "b (u v) c -> b c u v", u=side)
            for x in (features, gradient)
        )
    # eq. (1): the weight of a channel is its gradient, averaged over the places
    weight = gradient.mean((2, 3), keepdim=True)
    # eq. (2): ReLU of the weighted sum of channels
    return (weight * features).sum(1).relu().detach()
