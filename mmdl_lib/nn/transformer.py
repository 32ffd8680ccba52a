"""The pre-norm Transformer that CLIP, ViT and GPT-2 share."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib.nn.attention import MultiHeadAttention


def quick_gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * sigmoid(1.702 x), the approximation that the released CLIP models use."""
    return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); the mlp is four times as wide."""

    def __init__(self, width: int, heads: int, *, activation: Callable = F.gelu):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.activation = activation

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b n d"]:
        x = x + self.attention(self.norm1(x), mask, causal=causal)
        return x + self.fc2(self.activation(self.fc1(self.norm2(x))))


class Transformer(nn.Module):
    """`depth` blocks in a row; no embedding before them, no norm after them."""

    def __init__(
        self, width: int, depth: int, heads: int, *, activation: Callable = F.gelu
    ):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, activation=activation) for _ in range(depth)
        )

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Bool[Tensor, "b n"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b n d"]:
        for block in self.blocks:
            x = block(x, mask, causal=causal)
        return x
