"""Exponential moving averages of weights, a <- decay a + (1 - decay) w.

One operation under many names: the teacher of Tarvainen and Valpola (2017, 1703.01780,
eq. 2), the target of BYOL, the sampling weights of diffusion models.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mmdl_lib.borders import check_number


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, decay: float) -> None:
    """Move the target's parameters toward those of the online net, in place.

    Buffers stay as they are: the target's BatchNorm keeps statistics of its own, which
    its own forward passes move, as in BYOL and DINO.

    Args:
        target: the net that follows; built as `online` is.
        online: the net that learns.
        decay: 1 leaves the target where it is, 0 makes it a copy. A schedule passes
            another one each time.

    Raises:
        ValueError: a decay outside of [0, 1], or nets of other parameters.
    """
    check_number("decay", decay, 0, 1)
    averages, weights = list(target.parameters()), list(online.parameters())
    if [a.shape for a in averages] != [w.shape for w in weights]:
        raise ValueError(
            f"expected two nets of equal parameters, got {len(averages)} and "
            f"{len(weights)} parameters, or ones of other shapes."
        )
    for average, weight in zip(averages, weights, strict=True):
        average.lerp_(weight, 1 - decay)


class Average:
    """A moving average of everything floating-point in a module's state.

    Parameters and floating-point buffers (BatchNorm's statistics) are averaged, in
    float32 or wider: a step of 1e-4 is lost in half precision. Other buffers, such as
    counters, are copied as they are now. Buffers outside of the state dict are not
    touched. The average begins as a copy and not at zero, so no bias is corrected.

    Example:
        >>> net = nn.Linear(1, 1, bias=False)
        >>> net.weight.data.fill_(0.0)
        tensor([[0.]])
        >>> average = Average(net, 0.75)
        >>> net.weight.data.fill_(1.0)
        tensor([[1.]])
        >>> average.update()
        >>> average.state["weight"]
        tensor([[0.2500]])

    Raises:
        ValueError: a decay outside of [0, 1].
    """

    def __init__(self, module: nn.Module, decay: float):
        check_number("decay", decay, 0, 1)
        self.module, self.decay = module, decay
        self.state = {
            name: _wide(value).clone() for name, value in module.state_dict().items()
        }

    @torch.no_grad()
    def update(self, decay: float | None = None) -> None:
        """Take in the weights after a step, with another decay where one is given.

        Raises:
            ValueError: a decay outside of [0, 1].
        """
        decay = self.decay if decay is None else decay
        check_number("decay", decay, 0, 1)
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                # the average follows a module that was moved to another device
                kept = self.state[name] = self.state[name].to(value.device)
                kept.lerp_(_wide(value), 1 - decay)
            else:
                self.state[name] = value.clone()

    def copy_to(self, module: nn.Module) -> None:
        """Write the average into a module built as the averaged one, in its dtype."""
        module.load_state_dict(self.state)

    @contextmanager
    def applied(self) -> Iterator[nn.Module]:
        """Inside of `with`, the module has the averaged weights; then its own again.

        What happens to its state in there, also a step of BatchNorm, is forgotten.
        """
        own = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.copy_to(self.module)
        try:
            yield self.module
        finally:
            self.module.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name, for a checkpoint."""
        return self.state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from stored averages.

        Raises:
            ValueError: averages of another module.
        """
        shapes = {name: value.shape for name, value in self.state.items()}
        if shapes != {name: value.shape for name, value in state.items()}:
            raise ValueError(
                f"expected averages of {len(shapes)} tensors with the names and shapes "
                f"of this module, got {len(state)} that differ from them."
            )
        self.state = {name: value.clone() for name, value in state.items()}


def _wide(value: Tensor) -> Tensor:
    """Floating-point values in float32 at least; others as they are."""
    if not value.is_floating_point():
        return value
    return value.to(torch.promote_types(value.dtype, torch.float32))
