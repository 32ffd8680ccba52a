"""The Transformer: pre-norm as in GPT-2, ViT and CLIP, post-norm as in the paper.

Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3; where the norm stands: Xiong
et al. 2020 (2002.04745).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.nn.attention import Cache, MultiHeadAttention


def quick_gelu(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x * sigmoid(1.702 x), the approximation that the released CLIP models use."""
    return x * torch.sigmoid(1.702 * x)


class BlockCache(NamedTuple):
    """What a block has read: earlier positions, and the memory."""

    past: Cache
    memory: Cache


class Block(nn.Module):
    """Pre-norm: x + f(norm(x)) for each f of attention, cross-attention and mlp.

    Dropout acts on attention weights and on what each f adds, as in BERT and GPT-2; the
    paper names only the second.

    Args:
        width: channels; the mlp is four times as wide.
        heads: of all attention.
        activation: of the mlp.
        memory_width: channels of the memory; None: there is no cross-attention.
        dropout: share that is dropped in training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        activation: Callable = F.gelu,
        memory_width: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, dropout=dropout)
        self.cross = None
        if memory_width is not None:
            self.norm_cross = nn.LayerNorm(width)
            self.cross = MultiHeadAttention(
                width, heads, memory_width=memory_width, dropout=dropout
            )
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.activation = activation
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        memory: Float[Tensor, "b m e"] | None = None,
        memory_mask: Tensor | None = None,
        cache: BlockCache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Arguments and errors as in `MultiHeadAttention.forward`."""
        self._check(memory)
        past, kept = (None, None) if cache is None else cache
        y = self.norm1(x)
        x = self.add(x, self.attention(y, mask, causal=causal, cache=past))
        if self.cross is not None:
            y = self.norm_cross(x)
            x = self.add(x, self.cross(y, memory_mask, memory=memory, cache=kept))
        return self.add(x, self.mlp(self.norm2(x)))

    def add(
        self, x: Float[Tensor, "b n d"], y: Float[Tensor, "b n d"]
    ) -> Float[Tensor, "b n d"]:
        """The residual sum: what a part says is added to what it read."""
        return x + self.drop(y)

    def mlp(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Section 3.3: two linear layers, the same for each position."""
        return self.fc2(self.activation(self.fc1(x)))

    def _check(self, memory: Tensor | None) -> None:
        if self.cross is None and memory is not None:
            raise ValueError("expected no memory, got one.")


class PostNormBlock(Block):
    """Post-norm, as in the paper: norm(x + f(x)); arguments as in `Block`."""

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        memory: Float[Tensor, "b m e"] | None = None,
        memory_mask: Tensor | None = None,
        cache: BlockCache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Arguments and errors as in `MultiHeadAttention.forward`."""
        self._check(memory)
        past, kept = (None, None) if cache is None else cache
        y = self.attention(x, mask, causal=causal, cache=past)
        x = self.norm1(self.add(x, y))
        if self.cross is not None:
            y = self.cross(x, memory_mask, memory=memory, cache=kept)
            x = self.norm_cross(self.add(x, y))
        return self.norm2(self.add(x, self.mlp(x)))


class Transformer(nn.Module):
    """`depth` blocks in a row; no embedding before them, no norm after them.

    A pre-norm stack needs a norm after its last block, a post-norm stack has one.

    Args:
        width: channels.
        depth: how many blocks.
        heads: of all attention.
        block: `Block` (pre-norm) or `PostNormBlock`.
        activation: of the mlps.
        memory_width: channels of the memory; None: there is no cross-attention.
        dropout: share that is dropped in training.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        block: type[Block] = Block,
        activation: Callable = F.gelu,
        memory_width: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        options = {"activation": activation, "memory_width": memory_width}
        self.blocks = nn.ModuleList(
            block(width, heads, dropout=dropout, **options) for _ in range(depth)
        )

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        memory: Float[Tensor, "b m e"] | None = None,
        memory_mask: Tensor | None = None,
        cache: list[BlockCache] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Run the blocks.

        Args:
            x: tokens; with a cache, the new ones only.
            mask: bool, True on real positions (b, n), or (b, n, n) what sees what.
            causal: hide later positions.
            memory: for cross-attention, the same for all blocks.
            memory_mask: bool, True on its real positions (b, m), or (b, n, m).
            cache: of `new_cache`; filled on the way.

        Raises:
            ValueError: a mask of another type or shape, a memory missing or too much.
        """
        options = {"causal": causal, "memory": memory, "memory_mask": memory_mask}
        caches = [None] * len(self.blocks) if cache is None else cache
        for block, kept in zip(self.blocks, caches, strict=True):
            x = block(x, mask, cache=kept, **options)
        return x

    def new_cache(self) -> list[BlockCache]:
        """Nothing read so far."""
        return [BlockCache(Cache(), Cache()) for _ in self.blocks]
