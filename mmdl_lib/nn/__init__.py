"""Blocks that three or more papers use unchanged."""

from mmdl_lib.nn.attention import MultiHeadAttention
from mmdl_lib.nn.conv import ConvNormAct
from mmdl_lib.nn.transformer import Block, Transformer, quick_gelu

__all__ = ["Block", "ConvNormAct", "MultiHeadAttention", "Transformer", "quick_gelu"]
