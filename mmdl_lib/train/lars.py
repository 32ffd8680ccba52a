"""LARS: a learning rate of its own for each layer (You et al. 2017, 1708.03888)."""

import math
from collections.abc import Iterable

import torch


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step is a fixed share of the length of each weight.

    In section 4 of the paper the local rate of a layer is

        lambda = trust |w| / (|g| + weight_decay |w|)
        v <- momentum v + lr lambda (g + weight_decay w),    w <- w - v

    so that a step depends on the direction of the gradient and not on its size. Where
    the gradient is zero, this shortens w by the share lr trust. Where w is zero, lambda
    is one, as in the released code of SimCLR.
    Parameters with one axis (biases, gains and offsets of norms) take part in neither
    the local rate nor the decay, as in SimCLR and BYOL: for them it is momentum SGD.

    Args:
        params: parameters or groups of them; a group may have its own options.
        lr: global learning rate, gamma in the paper; large, such as 4.8 in SimCLR.
        momentum: m.
        weight_decay: beta.
        trust: eta, the share.

    Raises:
        ValueError: an option that is negative or no finite number, or a momentum of one
            or more.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
    ):
        options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, options | {"trust": trust})

    def add_param_group(self, param_group: dict) -> None:
        """Take in a group, with options of its own where it names some.

        Raises:
            ValueError: as for the class.
        """
        options = {
            k: param_group.get(k, default) for k, default in self.defaults.items()
        }
        fit = all(_number(value) and value >= 0 for value in options.values())
        if not fit or options["momentum"] >= 1:
            raise ValueError(
                "expected finite options of at least zero and a momentum below one, "
                f"got {options}."
            )
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure=None):
        """One update; returns the closure's loss where one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    self._update(w, group)
        return loss

    def _update(self, w: torch.Tensor, group: dict) -> None:
        step = w.grad
        if w.ndim > 1:
            decay = group["weight_decay"]
            size, slope = w.norm(), w.grad.norm()
            whole = slope + decay * size
            local = group["trust"] * size / whole
            # a weight of zero could never grow; no gradient and no decay give 0 / 0
            local = torch.where((size > 0) & (whole > 0), local, torch.ones_like(local))
            step = local * (w.grad + decay * w)
        velocity = self.state[w].setdefault("velocity", torch.zeros_like(w))
        velocity.mul_(group["momentum"]).add_(step, alpha=group["lr"])
        w.sub_(velocity)


def _number(value) -> bool:
    """Whether it is a finite number; a flag is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
