"""Holes in pictures of the shapes world, and what to ask for in them.

Masks are as GLIDE's: bool (b, 1, h, w), True = known. A hole to train with is a box, a
half, the trace of a brush, or all of the picture.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmdl_lib.data.shapes import Scenes
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.nn.diffusion import known

SIDE = 32
KINDS = ("box", "half", "brush", "all")
SHARES = (0.4, 0.2, 0.2, 0.2)  # how often each kind is drawn
SPARE = 1.5  # pixels between an object and the edge of the box around it


def random(n: int, generator: torch.Generator) -> Bool[Tensor, "b 1 h w"]:
    """Masks for training, each of a kind of its own."""
    how = {"generator": generator}
    kind = torch.multinomial(torch.tensor(SHARES), n, True, **how)[:, None, None]
    at = torch.arange(SIDE)
    x, y = at.expand(1, 1, SIDE), at.view(1, SIDE, 1)
    size = torch.randint(8, 25, (n, 2, 1, 1), **how)
    start = (torch.rand(n, 2, 1, 1, **how) * (SIDE + 1 - size)).long()
    box = (x >= start[:, 0]) & (x < (start + size)[:, 0])
    box = box & (y >= start[:, 1]) & (y < (start + size)[:, 1])
    way = torch.randint(4, (n, 1, 1), **how)
    near = torch.where(way < 2, x.expand(n, SIDE, -1), y.expand(n, -1, SIDE))
    half = (near < SIDE // 2) == (way % 2 == 0)
    end = torch.rand(n, 2, 2, **how) * SIDE
    share = torch.linspace(0, 1, 8)[:, None, None, None]
    trace = end[:, 0] + share[..., 0] * (end[:, 1] - end[:, 0])  # (8, n, 2)
    radius = 3 + 4 * torch.rand(n, 1, 1, **how)
    away = (x - trace[..., 0, None, None]) ** 2 + (y - trace[..., 1, None, None]) ** 2
    brush = (away <= radius**2).any(0)
    whole = torch.ones(n, SIDE, SIDE, dtype=torch.bool)
    hole = torch.stack([box, half, brush, whole]).take_along_dim(kind[None], 0)[0]
    return ~hole[:, None]


def around(scenes: Scenes, number: int) -> Bool[Tensor, "b 1 h w"]:
    """Masks that hide a box around one object of each scene; all else is known.

    It may cut into the other object: about a twentieth of those pixels are hidden.
    """
    box = scenes.boxes()[:, number, :, None, None]
    at = torch.arange(SIDE) + 0.5
    x, y = at.expand(1, SIDE), at.view(SIDE, 1)
    inside = (x > box[:, 0] - SPARE) & (x < box[:, 2] + SPARE)
    inside = inside & (y > box[:, 1] - SPARE) & (y < box[:, 3] + SPARE)
    return ~inside[:, None]


def changed(scenes: Scenes, *, seed: int) -> Scenes:
    """The same pairs with another second object in the same place.

    Its color and shape are those of a fresh scene, so no pair is one that was held out;
    where they are the old ones, they stay.
    """
    other = fo.sample(len(scenes), 2, seed=seed)
    values = {}
    for name in ("color", "shape"):
        values[name] = getattr(scenes, name).clone()
        values[name][:, 1] = getattr(other, name)[:, 1]
    return replace(scenes, **values)


def seam(image: Float[Tensor, "b c h w"], mask: Bool[Tensor, "b 1 h w"]) -> float:
    """Mean step in color between neighbors of which one is known and one is not."""
    steps = []
    for dim in (2, 3):
        across = mask.narrow(dim, 1, SIDE - 1) != mask.narrow(dim, 0, SIDE - 1)
        step = image.diff(dim=dim).abs().mean(1, keepdim=True)
        steps.append(step[across])
    return torch.cat(steps).mean().item()


@torch.no_grad()
def put_back(model, tokens, mask, beside: dict, *, steps: int = 20, scale=2, **how):
    """A net that draws from captions alone fills holes: what is known is put back.

    `how` goes to `Diffusion.sample`, and has the generator of the noise.
    """
    size = model.config.image_size
    x = torch.randn(len(tokens), 3, size, size, generator=how["generator"])
    extra = None
    if model.config.role == "inpaint":  # it is told that nothing is known
        extra = torch.zeros(len(tokens), 4, size, size)
    settle = known(beside["image"], beside["known"])
    say = model.guided(tokens, mask, scale, extra)
    return model.diffusion.sample(say, x, steps=steps, settle=settle, **how)
