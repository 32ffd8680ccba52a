"""What recipes of learning without labels share: views, probes, shortcuts, leaks."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from mmdl_lib.core import generator
from mmdl_lib.data import views
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.data.views import Views, two_views


def windows(scenes: Scenes, seed: int) -> UInt8[Tensor, "b 3 16 16"]:
    """The first object of each scene in a window, a little off its middle."""
    off = torch.randint(-2, 3, (len(scenes), 2), generator=generator(seed))
    corner = (scenes.center[:, 0].round().long() - 8 + off).clamp(0, 16)
    row, line = torch.arange(len(scenes))[:, None, None], torch.arange(16)
    y, x = corner[:, 1, None, None] + line[:, None], corner[:, 0, None, None] + line
    return scenes.render(32).movedim(1, -1)[row, y, x].movedim(-1, 1).contiguous()


def pair(first: Views, second: Views | None = None) -> Callable[[dict, object], dict]:
    """For `lab.rows(change=)`: two fresh views of each picture."""

    def change(batch: dict, random) -> dict:
        one, other = two_views(batch["image"], first, second, generator=random)
        return {"view1": one, "view2": other}

    return change


def single(settings: Views) -> Callable[[dict, object], dict]:
    """For `lab.rows(change=)`: one fresh view of each picture, beside its label."""

    def change(batch: dict, random) -> dict:
        return batch | {"image": views.view(batch["image"], settings, generator=random)}

    return change


@torch.no_grad()
def encode(model: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
    """What a model in eval mode gives for pictures, bytes or floats: h and z."""
    model.eval()
    image = to_float(image) if image.dtype == torch.uint8 else image
    found = [model(part) for part in image.split(500)]
    return tuple(torch.cat(part) for part in zip(*found, strict=True))


def histogram(
    image: Float[Tensor, "b 3 h w"], bins: int = 6
) -> Float[Tensor, "b bins3"]:
    """Three histograms, one a channel, of pictures in [-1, 1]."""
    place = ((image + 1) / 2 * bins).long().clamp(0, bins - 1)
    return F.one_hot(place, bins).float().mean((2, 3)).flatten(1)


def matched_by_color(image: Tensor, settings: Views, seed: int) -> float:
    """Share of views whose other view, among 64, has the nearest color histogram.

    SimCLR, Figure 6: what crops of one picture share. Chance is 1/64.
    """
    right = []
    for i, part in enumerate(image.split(64)):
        one, other = two_views(part, settings, generator=generator(seed + i))
        nearest = torch.cdist(histogram(one), histogram(other), p=1).argmin(1)
        right.append((nearest == torch.arange(len(part))).double())
    return torch.cat(right).mean().item()


def transformed(
    image: Float[Tensor, "b 3 h w"], seed: int
) -> dict[str, tuple[Float[Tensor, "b 3 h w"], Int[Tensor, " b"]]]:
    """Pictures changed in three ways, and the label that tells how: SimCLR, Table 3."""
    random, n = generator(seed), len(image)
    kind = torch.randint(2, (n,), generator=random)
    turns = torch.randint(4, (n,), generator=random)
    loud = views.noise(image, 0.3, generator=random)

    def either(changed: Tensor) -> Tensor:
        return torch.where((kind == 1)[:, None, None, None], changed, image)

    return {
        "rotation": (views.rotate(image, turns), turns),
        "gray or color": (either(views.gray(image)), kind),
        "noise or none": (either(loud), kind),
    }


class LocalBatchNorm(nn.BatchNorm2d):
    """BatchNorm as on several devices, each with the two views of its own pictures."""

    own = 2  # pictures on a device

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not self.training:
            return super().forward(x)
        parts = rearrange(x, "(v e n) c h w -> e (v n) c h w", v=2, n=self.own)
        mean = parts.mean((1, 3, 4), keepdim=True)
        var = parts.var((1, 3, 4), keepdim=True, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.mean(0).flatten(), self.momentum)
            self.running_var.lerp_(var.mean(0).flatten(), self.momentum)
        parts = (parts - mean) / (var + self.eps).sqrt()
        x = rearrange(parts, "e (v n) c h w -> (v e n) c h w", v=2)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def replace_norms(model: nn.Module, make: Callable[[int], nn.Module]) -> None:
    """Every `BatchNorm2d` becomes what `make` says for its number of channels."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, make(child.num_features))
