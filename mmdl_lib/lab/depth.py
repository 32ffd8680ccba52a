"""What depth does to a net: how smooth it starts, and what one block is worth.

`recipes/resnet.py` measures it and the chapter shows it.
"""

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.core import Model, generator
from mmdl_lib.models.resnet import ResNet

NOISE = 0.01  # standard deviation, in a range of 2
LENGTH = 0.01  # of a step, as a share of the length of all weights


@torch.no_grad()
def recognized(
    model: ResNet, image: Float[Tensor, "b 3 h w"], *, seed: int = 0
) -> list[float]:
    """Share of slightly noisy copies that are known after the stem and each block.

    A copy is known where, by the cosine of the whole map, its own picture is nearest
    to it. BatchNorm is in training mode; the model is left as it was.

    Args:
        model: trained or not.
        image: in [-1, 1]; chance is 1 / b.
        seed: of the noise.
    """
    net, n = copy.deepcopy(model).train(), len(image)
    noise = NOISE * torch.randn(image.shape, generator=generator(seed))
    x, found = torch.cat([image, image + noise]), []
    for part in (net.stem, *net.blocks):
        x = part(x)
        flat = F.normalize((x - x.mean((0, 2, 3), keepdim=True)).flatten(1), dim=1)
        nearest = (flat[n:] @ flat[:n].T).argmax(1)
        found.append((nearest == torch.arange(n)).double().mean().item())
    return found


@torch.enable_grad()
def gradient_sizes(model: Model, batch: dict) -> list[float]:
    """Length of the gradient of each convolution with a 3 x 3 kernel, in their order.

    BatchNorm is in training mode; the model is left as it was.
    """
    net = copy.deepcopy(model).train()
    net.loss(batch)["loss"].backward()
    return [w.grad.norm().item() for w in net.parameters() if w.shape[2:] == (3, 3)]


@torch.enable_grad()
def step_down(model: Model, batch: dict, length: float = LENGTH) -> float:
    """How far the loss of a batch falls by one step against its own gradient, in nats.

    Args:
        model: trained or not; it is left as it was.
        batch: what `model.loss` wants.
        length: of the step, as a share of the length of all weights.
    """
    net = copy.deepcopy(model).train()
    before = net.loss(batch)["loss"]
    weights = list(net.parameters())
    gradient = torch.autograd.grad(before, weights)
    scale = length * _length(weights) / _length(gradient)
    with torch.no_grad():
        for weight, direction in zip(weights, gradient, strict=True):
            weight -= scale * direction
        return (before - net.loss(batch)["loss"]).item()


def _length(tensors) -> Tensor:
    return torch.stack([t.detach().norm() for t in tensors]).norm()


def removable(model: ResNet) -> list[int]:
    """Numbers of the blocks whose output fits into the place of their input."""
    found = []
    for i, block in enumerate(model.blocks):
        first, last = block.residual[0][0], block.residual[-1][0]
        if first.in_channels == last.out_channels:  # a stride doubles them
            found.append(i)
    return found


def without(model: ResNet, number: int) -> ResNet:
    """A copy in which a block passes its input on, as Veit et al. 2016 deleted blocks.

    The input is no longer negative since the last ReLU, so a residual block without its
    residual does just that, and what follows a plain block gets a map that fits.

    Raises:
        ValueError: a block that changes the size of its input.
    """
    if number not in removable(model):
        raise ValueError(
            f"expected a block of the same size before and after, one of "
            f"{removable(model)}, got {number}."
        )
    net = copy.deepcopy(model)
    net.blocks[number] = nn.Identity()
    return net


@torch.no_grad()
def passed_on(model: ResNet, image: Float[Tensor, "b 3 h w"]) -> list[float]:
    """Mean cosine of what leaves a block with what entered it, by `removable` block.

    BatchNorm is in evaluation mode.
    """
    x, found = model.eval().stem(image), []
    for i, block in enumerate(model.blocks):
        before, x = x, block(x)
        if i in removable(model):
            cosine = F.cosine_similarity(before.flatten(1), x.flatten(1))
            found.append(cosine.mean().item())
    return found


class PreActivation(nn.Module):
    """Norm and ReLU before each convolution, nothing after the sum (He et al. 2016b).

    It takes the place of a `Basic` block, with that block's convolutions and shortcut.
    """

    def __init__(self, block: nn.Module):
        super().__init__()
        convs = block.residual[0][0], block.residual[2][0]
        parts = ((nn.BatchNorm2d(c.in_channels), nn.ReLU(), c) for c in convs)
        self.residual = nn.Sequential(*(layer for part in parts for layer in part))
        self.shortcut = block.shortcut

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return self.residual(x) + self.shortcut(x)


def pre_activated(model: ResNet) -> ResNet:
    """The model with `PreActivation` blocks, one norm and ReLU behind the last."""
    blocks = [PreActivation(block) for block in model.blocks]
    last = nn.BatchNorm2d(model.classifier.in_features)
    model.blocks = nn.Sequential(*blocks, last, nn.ReLU())
    return model
