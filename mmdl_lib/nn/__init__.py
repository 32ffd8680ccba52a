"""Blocks that three or more papers use unchanged."""

from mmdl_lib.nn.attention import Cache, MultiHeadAttention
from mmdl_lib.nn.average import Average, follow
from mmdl_lib.nn.positions import (
    LearnedPositions,
    RelativeBias,
    Rotary,
    sinusoidal,
    sinusoidal_2d,
)
from mmdl_lib.nn.transformer import Block, PostNormBlock, Transformer, quick_gelu

__all__ = [
    "Average",
    "Block",
    "Cache",
    "LearnedPositions",
    "MultiHeadAttention",
    "PostNormBlock",
    "RelativeBias",
    "Rotary",
    "Transformer",
    "follow",
    "quick_gelu",
    "sinusoidal",
    "sinusoidal_2d",
]
