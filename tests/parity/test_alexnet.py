"""Response normalization is PyTorch's, once alpha is multiplied by n."""

import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.alexnet import local_response_norm


def test_pytorch_agrees_on_response_normalization(agree):
    a = 5 * torch.rand(3, 24, 6, 7, generator=generator(0))
    for n in (3, 5):
        agree(
            f"AlexNet, response normalization over {n} maps",
            local_response_norm(a, n=n, alpha=0.02),
            nn.LocalResponseNorm(n, alpha=n * 0.02, beta=0.75, k=2.0)(a),
            ours="mmdl_lib.models.alexnet.local_response_norm",
            package="torch",
            reference="torch LocalResponseNorm, alpha times n",
            tolerance=1e-6,
        )
