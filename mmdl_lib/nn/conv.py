"""The convolution, norm, activation triple of modern convolutional networks."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ConvNormAct(nn.Module):
    """Convolution without bias, BatchNorm, activation (He et al. 2016, section 3.4).

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: an odd size; the padding keeps h and w at stride one.
        stride: step of the convolution.
        groups: of channels; `inputs` makes it depthwise.
        activation: applied last; `nn.Identity()` for a linear end of a block.

    Raises:
        ValueError: an even kernel.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        activation: Callable = F.relu,
    ):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"expected an odd kernel, got {kernel}.")
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = activation

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return self.activation(self.norm(self.conv(x)))
