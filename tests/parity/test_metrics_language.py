"""Perplexity beside torchmetrics'; energy and operations have tests of their own."""

import torch
from torchmetrics.text import Perplexity

from mmdl_lib.core import generator
from mmdl_lib.metrics.perplexity import perplexity


def test_perplexity_is_torchmetrics(agree):
    g = generator(0)
    logits = 3 * torch.randn(5, 40, 50, generator=g).double()
    target = torch.randint(50, (5, 40), generator=g)
    mask = torch.rand(5, 40, generator=g) < 0.8
    peer = Perplexity(ignore_index=-100)
    theirs = peer(logits, target.where(mask, -100)).double()
    mine = torch.tensor(perplexity(logits, target, mask), dtype=torch.float64)
    agree(
        "perplexity, relative",
        mine / theirs,
        torch.ones_like(theirs),
        tolerance=1e-5,
        ours="mmdl_lib.metrics.perplexity",
        package="torchmetrics",
        reference="torchmetrics Perplexity",
    )
