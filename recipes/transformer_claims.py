"""What residual sums are for: twelve blocks with them, and without.

Command: python recipes/transformer_claims.py
Expected: two minutes on one core; results/transformer_claims.json. Twelve blocks learn
to name the first token of a row; without residual sums they guess.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib import lab
from mmdl_lib.lab.cipher import NoResidual
from mmdl_lib.lab.distance import Reader, first_token
from mmdl_lib.nn import PostNormBlock, Transformer, sinusoidal

LENGTH, WIDTH, STEPS = 16, 32, 200
# the best of 3e-3 and 1e-3 on seed 100, where both rates gave 1.00 with the sums and
# 0.11 without
RATE = 1e-3


class Deep(nn.Module):
    """Some blocks of a Transformer's encoder, one above the other."""

    def __init__(self, width: int, *, depth: int, block: type[PostNormBlock]):
        super().__init__()
        self.stack = Transformer(width, depth, 4, block=block, activation=F.relu)

    def forward(self, x):
        place = torch.arange(x.shape[1], device=x.device)
        return self.stack(x + sinusoidal(place, x.shape[2]))


def likeness(model, tokens):
    """The mean cosine of two rows' last vectors: 1 where all rows look alike."""
    with torch.no_grad():
        x = F.normalize(model.body(model.embedding(tokens))[:, -1], dim=1)
    n = len(x)
    return ((x @ x.T).sum().item() - n) / (n * (n - 1))


def named(seed, *, depth, block=PostNormBlock):
    """Accuracy on new rows, and how alike rows look before any training."""
    torch.manual_seed(seed)
    model = Reader(partial(Deep, depth=depth, block=block), WIDTH)
    test = first_token(1000, 50_000 + seed, length=LENGTH)
    alike = likeness(model, test["tokens"][:200])
    batches = lab.rows(32, seed, **first_token(8000, seed, length=LENGTH))
    losses = lab.train(model, batches, steps=STEPS, lr=RATE, warmup=0.2).losses
    with torch.no_grad():
        right = model.eval()(test["tokens"]).argmax(1) == test["label"]
    return {
        "accuracy": right.double().mean().item(),
        "alike": alike,
        "loss": lab.means(losses["loss"], 10),
    }


GROUPS = {
    "residual": {
        f"{name}/{depth}": partial(named, depth=depth, block=block)
        for depth in (1, 12)
        for name, block in (("with", PostNormBlock), ("without", NoResidual))
    }
}
LAB = lab.Lab(
    "transformer_claims",
    groups=GROUPS,
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
