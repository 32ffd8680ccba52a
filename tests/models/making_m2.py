"""What the tests of M2 share."""

import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.m2 import M2, M2Config

NAMES = ("tokens", "mask", "regions", "region_mask")


def make(preset="tiny", **changes):
    """In evaluation mode; shaken, so that no bias or gain can be forgotten."""
    torch.manual_seed(0)
    sizes = M2.PRESETS[preset].to_dict() | changes
    model, g = M2(M2Config.from_dict(sizes)).eval(), generator(2)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=g)
    return model


def talkative(**changes):
    """A model whose captions differ and end."""
    model = make(vocab=7, **changes)
    model.out.weight.data *= 4
    return model


def batch_of(model, n=4):
    return M2.example_batch(model.config, n, generator=generator(1))


def given(batch):
    return [batch[name] for name in NAMES]


def longer(batch, more=3):
    """With further rows of zeros, which the mask hides."""
    rows = F.pad(batch["regions"], (0, 0, 0, more))
    return batch | {
        "regions": rows,
        "region_mask": F.pad(batch["region_mask"], (0, more)),
    }
