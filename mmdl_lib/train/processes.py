"""Several processes as one: they begin equal, and their gradients are averaged.

By hand and not by a wrapped model: phases that train parts of a model in turns, each
with a loss of its own, would break torch's wrapper, which expects one forward pass.
With one process nothing happens here.
"""

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from mmdl_lib.core import Model


@torch.no_grad()
def begin_equal(accelerator: Accelerator, model: Model) -> None:
    """Give every process the weights and buffers of the first."""
    if accelerator.num_processes == 1:
        return
    for value in model.state_dict().values():
        value.copy_(broadcast(value.contiguous()))


def mean_gradients(accelerator: Accelerator, parameters: list[Tensor]) -> None:
    """Average the gradients over processes, in one message."""
    found = [p.grad for p in parameters if p.grad is not None]
    if accelerator.num_processes == 1 or not found:
        return
    means = accelerator.reduce(torch.cat([g.flatten() for g in found]), "mean")
    for gradient, mean in zip(
        found, means.split([g.numel() for g in found]), strict=True
    ):
        gradient.copy_(mean.view_as(gradient))


@torch.no_grad()
def mean_buffers(accelerator: Accelerator, model: Model) -> None:
    """Average running statistics, which saw only a share of the batch.

    In float64, in which equal buffers stay the same bits for any number of processes.
    """
    if accelerator.num_processes == 1:
        return
    for value in model.buffers():
        if value.is_floating_point():
            value.copy_(accelerator.reduce(value.double(), "mean"))
