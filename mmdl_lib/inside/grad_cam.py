"""Which pixels speak for a score: Grad-CAM (Selvaraju et al. 2017, 1610.02391)."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


def grad_cam(
    layer: nn.Module,
    score: Callable[[], Float[Tensor, " b"]],
    *,
    grid: tuple[int, int] | None = None,
) -> Float[Tensor, "b u v"]:
    """Maps of where the output of a layer raises a score.

    Args:
        layer: a module inside the model; its output is a feature map (b, c, u, v), or
            tokens (b, n, c).
        score: runs the model and returns one number per picture.
        grid: rows and columns of the patches, for tokens only. Their number does not
            give it away: 9 tokens are 3 x 3, or 2 x 4 after a class token. One token
            more than patches is a class token, which stands first and is left out.

    Returns:
        Non-negative maps, not normalized; all zero where no channel helps.

    Raises:
        ValueError: the layer gave neither of the two shapes, was not used or more than
            once, or a grid is missing, not needed or of another size.
    """
    kept = []
    hook = layer.register_forward_hook(lambda module, given, out: kept.append(out))
    try:
        with torch.enable_grad():
            total = score().sum()
    finally:
        hook.remove()
    sizes = [tuple(getattr(out, "shape", ())) for out in kept]
    if len(kept) != 1 or len(sizes[0]) not in (3, 4):
        raise ValueError(
            "expected a layer that the score runs through once and that gives "
            f"(b, c, u, v) or (b, n, c), got {sizes}."
        )
    _check_grid(sizes[0], grid)
    features, gradient = kept[0], None
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, features, allow_unused=True)
    if gradient is None:
        raise ValueError("expected a score that depends on the layer, got another.")
    if grid is not None:
        # the patches are the last tokens, after a class token if there is one
        features, gradient = (
            rearrange(x[:, -grid[0] * grid[1] :], "b (u v) c -> b c u v", u=grid[0])
            for x in (features, gradient)
        )
    # eq. (1): the weight of a channel is its gradient, averaged over the places
    weight = gradient.mean((2, 3), keepdim=True)
    # eq. (2): ReLU of the weighted sum of channels
    return (weight * features).sum(1).relu().detach()


def _check_grid(shape: tuple[int, ...], grid: tuple[int, int] | None) -> None:
    if len(shape) == 4:
        if grid is not None:
            raise ValueError(
                f"expected no grid for a feature map of shape {shape}, got "
                f"{grid}: its rows and columns are known."
            )
        return
    n = shape[1]
    if grid is None or min(grid) < 1 or n - grid[0] * grid[1] not in (0, 1):
        raise ValueError(
            f"expected grid as the rows and columns of {n} patches, or of {n - 1} and "
            f"a class token, got {grid}."
        )
