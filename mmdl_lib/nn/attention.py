"""Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Self-attention with `heads` heads of `width / heads` channels each.

    Raises:
        ValueError: `width` is not a multiple of `heads`.
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(
                f"expected a width that {heads} heads divide, got {width}."
            )
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pattern = "b n (three heads d) -> three b heads n d"
        return tuple(rearrange(self.qkv(x), pattern, three=3, heads=self.heads))

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b n d"]:
        """Mix positions; `mask` is True on real ones, `causal` hides the future."""
        q, k, v = self._split(x)
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=visible(x, mask, causal=causal)
        )
        return self.out(rearrange(y, "b heads n d -> b n (heads d)"))

    def weights(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b heads n n"]:
        """The attention weights themselves, for figures; each row sums to one."""
        q, k, _ = self._split(x)
        # section 3.2.1: softmax(Q K^T / sqrt(d_k))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        allowed = visible(x, mask, causal=causal)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        return scores.softmax(-1)


def visible(
    x: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"] | None, *, causal: bool
) -> Bool[Tensor, "b2 1 n2 n"] | None:
    """Which key (last axis) each query may see; None where all may see all."""
    n = x.shape[1]
    allowed = None if mask is None else rearrange(mask, "b n -> b 1 1 n")
    if causal:
        past = torch.ones(1, 1, n, n, dtype=torch.bool, device=x.device).tril()
        allowed = past if allowed is None else allowed & past
    return allowed
