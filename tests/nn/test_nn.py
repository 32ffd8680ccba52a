"""The shared blocks: closed forms, masks, and errors."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.nn import ConvNormAct, MultiHeadAttention, Transformer


def test_attention_equals_torchs_own_module():
    ours, peer = (
        MultiHeadAttention(32, 4),
        torch.nn.MultiheadAttention(32, 4, batch_first=True),
    )
    peer.in_proj_weight.data = ours.qkv.weight.data
    peer.in_proj_bias.data = ours.qkv.bias.data
    peer.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(3, 7, 32, generator=generator(0))
    mask = torch.arange(7) < torch.tensor([[7], [4], [1]])
    theirs, weights = peer(x, x, x, key_padding_mask=~mask, average_attn_weights=False)
    assert torch.allclose(ours(x, mask), theirs, atol=1e-6)
    assert torch.allclose(ours.weights(x, mask), weights, atol=1e-6)


def test_causal_attention_weights_are_a_lower_triangle_of_shares():
    x = torch.randn(2, 5, 16, generator=generator(1))
    weights = MultiHeadAttention(16, 2).weights(x, causal=True)
    assert torch.equal(weights, weights.tril())
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 5))


def test_a_transformer_does_not_see_masked_positions_nor_the_future():
    model = Transformer(16, 2, 2)
    x = torch.randn(2, 6, 16, generator=generator(2))
    other = x.clone()
    other[:, 4:] += 1
    mask = torch.arange(6).expand(2, 6) < 4
    assert torch.allclose(model(x, mask)[:, :4], model(other, mask)[:, :4], atol=1e-6)
    assert torch.allclose(
        model(x, causal=True)[:, :4], model(other, causal=True)[:, :4], atol=1e-6
    )


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="a width that 3 heads divide, got 16"):
        MultiHeadAttention(16, 3)


def test_a_convolution_block_keeps_the_size_and_is_its_three_parts():
    block = ConvNormAct(3, 8, kernel=5).eval()
    x = torch.randn(2, 3, 9, 7, generator=generator(3))
    expected = F.relu(block.norm(F.conv2d(x, block.conv.weight, padding=2)))
    assert torch.allclose(block(x), expected, atol=1e-6)
    assert block(x).shape == (2, 8, 9, 7)


def test_an_even_kernel_is_an_error():
    with pytest.raises(ValueError, match="an odd kernel, got 2"):
        ConvNormAct(3, 8, kernel=2)
