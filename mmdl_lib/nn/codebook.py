r"""A codebook: every vector is replaced by the nearest of K codes.

$$i = \arg\min_k \lVert z - e_k \rVert^2, \qquad q = e_i$$

The step has no gradient. `straight_through` gives the decoder's gradient to the encoder
as it is; the codes learn by a loss of their own (`Codebook`) or as moving averages of
what they stand for (`MovingCodebook`).

**Source** van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation
Learning", NeurIPS 2017, arXiv 1711.00937: section 3.2 and appendix A.1. Revival of dead
codes is common practice and not in the paper.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_integers, check_number, check_numbers


def straight_through(
    z: Float[Tensor, "... d"], q: Float[Tensor, "... d"]
) -> Float[Tensor, "... d"]:
    """The value of q with the gradient of z: dL/dz = dL/dq, and none for q."""
    return z + (q - z).detach()


def codebook_loss(z: Float[Tensor, "... d"], q: Float[Tensor, "... d"]) -> Tensor:
    """Mean of (sg[z] - q)^2: moves the codes to the vectors, and no encoder."""
    return F.mse_loss(q, z.detach())


def commitment_loss(z: Float[Tensor, "... d"], q: Float[Tensor, "... d"]) -> Tensor:
    """Mean of (z - sg[q])^2: keeps the vectors at their codes, and moves no code."""
    return F.mse_loss(z, q.detach())


class Usage(NamedTuple):
    """How a set of indices uses a codebook.

    Attributes:
        used: number of codes that occur at all.
        perplexity: exp of the entropy of their shares, from 1 to the number of codes.
    """

    used: int
    perplexity: float


def usage(index: Int[Tensor, "..."], size: int) -> Usage:
    """How many codes a whole set uses; one small batch would use fewer by itself.

    Args:
        index: codes of all vectors of the set.
        size: number of codes in the book.

    Raises:
        ValueError: no index, or one that is not in the book.

    Example:
        >>> usage(torch.tensor([0, 0, 3, 3]), 8)
        Usage(used=2, perplexity=2.0)
    """
    check_integers("index", index, 0, size - 1)
    if index.numel() == 0:
        raise ValueError("index expected at least one code, got none.")
    share = torch.bincount(index.flatten().long(), minlength=size).double()
    share = share[share > 0] / index.numel()
    return Usage(len(share), round((-(share * share.log()).sum()).exp().item(), 6))


class Codebook(nn.Module):
    """Codes that learn by gradient, the paper's main version.

    Args:
        size: number of codes, K.
        width: their length, D.
        spread: codes start uniform in +-spread; by default 1 / K, as in the code of
            VQGAN's authors (those of the VQ-VAE start wider, by the length of a code).

    Example:
        >>> book = Codebook(16, 4)
        >>> q, index = book(torch.zeros(2, 3, 3, 4))
        >>> q.shape, index.shape
        (torch.Size([2, 3, 3, 4]), torch.Size([2, 3, 3]))
    """

    def __init__(self, size: int, width: int, *, spread: float | None = None):
        super().__init__()
        check_number("size", size, 1, whole=True)
        check_number("width", width, 1, whole=True)
        self.size, self.width = size, width
        self.spread = 1 / size if spread is None else spread
        self.keep(torch.empty(size, width).uniform_(-self.spread, self.spread))

    def keep(self, codes: Float[Tensor, "k d"]) -> None:
        """Where the codes live: here, a parameter."""
        self.codes = nn.Parameter(codes)

    @torch.no_grad()
    def nearest(self, z: Float[Tensor, "... d"]) -> Int[Tensor, "..."]:
        """Number of the nearest code by squared distance.

        Raises:
            ValueError: no floats, or of another width.
        """
        if z.shape[-1:] != (self.width,):
            raise ValueError(
                f"vectors expected a last axis of {self.width}, got {tuple(z.shape)}."
            )
        flat, codes = z.flatten(0, -2).float(), self.codes.float()
        # ||z - e||^2 without ||z||^2, which is the same for all codes
        half = 0.5 * codes.square().sum(1)
        kind = "cpu" if z.is_meta else z.device.type
        with torch.autocast(kind, enabled=False):  # bfloat16 would mistake neighbors
            score = torch.addmm(half, flat, codes.T, alpha=-1)
        return score.argmin(1).view(z.shape[:-1])

    def look(self, index: Int[Tensor, "..."]) -> Float[Tensor, "... d"]:
        """The codes of these numbers.

        Raises:
            ValueError: no integers, or a number that is not in the book.
        """
        check_integers("index", index, 0, self.size - 1)
        return F.embedding(index.long(), self.codes)

    def forward(self, z: Float[Tensor, "... d"]):
        """Nearest codes q, of the shape of z, and their numbers."""
        index = self.nearest(z)
        return F.embedding(index, self.codes), index

    @torch.no_grad()
    def place(self, z: Float[Tensor, "... d"], *, generator=None) -> None:
        """Put every code on a vector of the data, drawn by lot.

        Raises:
            ValueError: no finite floats, or of another width.
        """
        flat = z.reshape(-1, z.shape[-1])
        check_numbers("vectors", flat, "n d")
        if flat.shape[1] != self.width or len(flat) == 0:
            raise ValueError(
                f"vectors expected a last axis of {self.width} and at least one row, "
                f"got {tuple(z.shape)}."
            )
        row = torch.randint(len(flat), (self.size,), generator=generator)
        self.codes.copy_(flat[row.to(flat.device)])

    def follow(self, z: Tensor, index: Tensor, *, generator=None) -> None:
        """Learn from a batch that has been looked up: nothing, the loss does it."""


class MovingCodebook(Codebook):
    """Codes as moving averages of the vectors that chose them; no gradient.

    A code that hardly any vector chooses is dead: it moves no more, so nothing will
    choose it later. Revival puts it on a vector of the batch.

    Args:
        size, width, spread: as in `Codebook`.
        decay: gamma of the averages.
        revive: a code that stands for fewer vectors of a batch, on average, is dead;
            0 for no revival.

    Raises:
        ValueError: a decay outside of [0, 1], or a negative `revive`.
    """

    EPSILON = 1e-5  # of the counts, as in the authors' code

    def __init__(
        self,
        size: int,
        width: int,
        *,
        spread: float | None = None,
        decay: float = 0.99,
        revive: float = 0.0,
    ):
        check_number("decay", decay, 0, 1)
        check_number("revive", revive, 0)
        super().__init__(size, width, spread=spread)
        self.decay, self.revive = decay, revive

    def keep(self, codes: Float[Tensor, "k d"]) -> None:
        """Codes, how many vectors chose each, and the sum of these vectors."""
        self.register_buffer("codes", codes)
        self.register_buffer("count", torch.ones(len(codes)))
        self.register_buffer("total", codes.clone())

    @torch.no_grad()
    def place(self, z: Float[Tensor, "... d"], *, generator=None) -> None:
        """As in `Codebook`; the averages begin anew."""
        super().place(z, generator=generator)
        self.count.fill_(1.0)
        self.total.copy_(self.codes)

    @torch.no_grad()
    def follow(
        self, z: Float[Tensor, "... d"], index: Int[Tensor, "..."], *, generator=None
    ) -> None:
        """Move each code to the mean of its vectors, as appendix A.1 of the paper.

        Called after the lookup: a batch is coded by the codes that it found.

        Args:
            z: the vectors.
            index: the codes that they chose.
            generator: draws the vectors on which dead codes come to life.
        """
        z, index = z.detach().flatten(0, -2).to(self.total), index.flatten()
        count = torch.zeros_like(self.count)
        count.index_add_(0, index, torch.ones_like(index, dtype=count.dtype))
        # N <- gamma N + (1 - gamma) n,  m <- gamma m + (1 - gamma) sum z
        total = torch.zeros_like(self.total).index_add_(0, index, z)
        self.count.lerp_(count, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        # e = m / N, the counts smoothed so that none is zero
        n = self.count.sum()
        smooth = (self.count + self.EPSILON) * n / (n + self.size * self.EPSILON)
        self.codes.copy_(self.total / smooth[:, None])
        if self.revive > 0:
            self._wake(z, generator)

    def _wake(self, z: Float[Tensor, "n d"], generator) -> None:
        """Put dead codes on vectors of the batch; without waiting for a GPU."""
        where = generator.device if generator is not None else z.device
        row = torch.randint(len(z), (self.size,), generator=generator, device=where).to(
            z.device
        )
        dead = (self.count < self.revive)[:, None]
        fresh = z[row]
        self.codes.copy_(torch.where(dead, fresh, self.codes))
        self.total.copy_(torch.where(dead, fresh * self.revive, self.total))
        self.count.clamp_(min=self.revive)
