"""Same projections in, same loss out: NTXentLoss of pytorch-metric-learning."""

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import NTXentLoss

from mmdl_lib.core import generator
from mmdl_lib.models.simclr import SimCLR, nt_xent, pairs


def projections(n, p=16):
    return torch.randn(2, n, p, generator=generator(n), dtype=torch.float64)


@pytest.mark.parametrize("n", [2, 7, 64])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5, 1.0])
def test_pytorch_metric_learning_agrees_on_nt_xent(n, temperature, agree):
    first, second = (z.requires_grad_() for z in projections(n))
    label = torch.arange(n).repeat(2)
    peer = NTXentLoss(temperature)(torch.cat([first, second]), label)
    mine = nt_xent(*pairs(first, second), temperature=temperature)
    facts = {
        "ours": "mmdl_lib.models.simclr.nt_xent",
        "package": "pytorch-metric-learning",
        "reference": "pytorch-metric-learning NTXentLoss",
    }
    agree("NT-Xent", mine, peer, tolerance=1e-9, **facts)
    slopes = (torch.autograd.grad(x, first)[0] for x in (mine, peer))
    agree("NT-Xent, gradient", *slopes, tolerance=1e-9, **facts)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_torchs_cross_entropy_over_the_table_agrees(temperature, agree):
    first, second = projections(9)
    z = F.normalize(torch.cat([first, second]), dim=1)
    table = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    partner = torch.arange(18).roll(9)
    agree(
        "NT-Xent as a cross-entropy",
        nt_xent(*pairs(first, second), temperature=temperature),
        F.cross_entropy(table, partner),
        tolerance=1e-12,
        ours="mmdl_lib.models.simclr.nt_xent",
        package="torch",
        reference="torch cross_entropy",
    )


def test_pytorch_metric_learning_agrees_on_the_whole_model(agree):
    torch.manual_seed(0)
    model = SimCLR.from_preset("tiny").double().train()
    batch = SimCLR.example_batch(model.config, 8, generator=generator(0))
    batch = {name: value.double() for name, value in batch.items()}
    mine = model.loss(batch)["loss"]
    views = torch.cat([batch["view1"], batch["view2"]])
    z = model(views).projection
    peer = NTXentLoss(model.config.temperature)(z, torch.arange(8).repeat(2))
    agree(
        "SimCLR tiny, loss in training",
        mine,
        peer,
        tolerance=1e-9,
        ours="mmdl_lib.models.simclr.SimCLR",
        package="pytorch-metric-learning",
        reference="pytorch-metric-learning NTXentLoss",
    )
