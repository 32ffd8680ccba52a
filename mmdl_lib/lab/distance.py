"""How far back can a net look? One token matters, and it stands at the beginning."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number
from mmdl_lib.core import Model, generator
from mmdl_lib.nn import PostNormBlock, Transformer, sinusoidal

KINDS = 8  # of first tokens, and of the tokens that follow


def first_token(n: int, seed: int, *, length: int) -> dict[str, Tensor]:
    """Rows whose first token is the label; the rest is noise of other tokens.

    Raises:
        ValueError: no row, or fewer than two tokens.
    """
    check_number("n", n, 1, whole=True)
    check_number("length", length, 2, whole=True)
    draw = partial(torch.randint, KINDS, generator=generator(seed))
    label = draw((n,))
    noise = KINDS + draw((n, length - 1))
    return {"tokens": torch.cat([label[:, None], noise], 1), "label": label}


class Recurrent(nn.Module):
    """A GRU: what stands first passes through every step to the last."""

    def __init__(self, width: int):
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """The state after each token."""
        return self.gru(x)[0]


class Attentive(nn.Module):
    """One block of a Transformer: any two tokens are one step apart."""

    def __init__(self, width: int):
        super().__init__()
        options = {"block": PostNormBlock, "activation": F.relu}
        self.stack = Transformer(width, 1, 4, **options)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Each token, having seen all."""
        place = torch.arange(x.shape[1], device=x.device)
        return self.stack(x + sinusoidal(place, x.shape[2]))


class Reader(Model):
    """Names the first token from what the body holds at the last place."""

    def __init__(self, body: Callable[[int], nn.Module], width: int):
        super().__init__(None)
        self.embedding = nn.Embedding(2 * KINDS, width)
        self.body, self.head = body(width), nn.Linear(width, KINDS)

    def read(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b k"]:
        """Logits from embedded tokens."""
        return self.head(self.body(x)[:, -1])

    def forward(self, tokens: Int[Tensor, "b n"]) -> Float[Tensor, "b k"]:
        """Logits of the first token."""
        return self.read(self.embedding(tokens))

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Cross-entropy of a batch of `first_token`, in nats."""
        return {"loss": F.cross_entropy(self(batch["tokens"]), batch["label"])}


def reach(model: Reader, batch: dict[str, Tensor]) -> Float[Tensor, " n"]:
    """Size of the loss's gradient at each place, beside that of the last place."""
    x = model.embedding(batch["tokens"]).detach().requires_grad_()
    loss = F.cross_entropy(model.read(x), batch["label"])
    (gradient,) = torch.autograd.grad(loss, x)
    size = gradient.norm(dim=-1).mean(0)
    return size / size[-1]
