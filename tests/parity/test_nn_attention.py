"""Same weights in, same numbers out: attention and layers of torch, T5's attention."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5Attention

from mmdl_lib.core import generator
from mmdl_lib.nn import (
    Block,
    MultiHeadAttention,
    PostNormBlock,
    RelativeBias,
    Transformer,
)


def peers(name, reference, package="torch"):
    file = "attention" if name == "MultiHeadAttention" else "transformer"
    ours = f"mmdl_lib.nn.{file}.{name}"
    return {"ours": ours, "package": package, "reference": reference}


ATTENTION = peers("MultiHeadAttention", "torch.nn.MultiheadAttention")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def shake(peer, seed=0):
    """Make every parameter random, so that none can be forgotten."""
    g = generator(seed)
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    return peer


def copy_attention(ours, peer):
    """Weights of torch's attention; its memory may have a width of its own."""
    bias = peer.in_proj_bias.data
    if ours.crossed:
        if peer.in_proj_weight is None:
            weights = [peer.q_proj_weight, peer.k_proj_weight, peer.v_proj_weight]
        else:
            weights = peer.in_proj_weight.chunk(3)
        ours.q.weight.data, ours.kv.weight.data = (
            weights[0].data,
            torch.cat(weights[1:]).data,
        )
        ours.q.bias.data, ours.kv.bias.data = (
            bias[: len(weights[0])],
            bias[len(weights[0]) :],
        )
    else:
        ours.qkv.weight.data, ours.qkv.bias.data = peer.in_proj_weight.data, bias
    ours.out.load_state_dict(peer.out_proj.state_dict())


def copy_stack(ours, peer):
    """Weights of torch's encoder or decoder layers."""
    for block, layer in zip(ours.blocks, peer.layers, strict=True):
        copy_attention(block.attention, layer.self_attn)
        pairs = {"norm1": "norm1", "fc1": "linear1", "fc2": "linear2", "norm2": "norm2"}
        if block.cross is not None:
            copy_attention(block.cross, layer.multihead_attn)
            pairs |= {"norm_cross": "norm2", "norm2": "norm3"}
        for mine, theirs in pairs.items():
            getattr(block, mine).load_state_dict(getattr(layer, theirs).state_dict())


# True is real: torch's own module means the opposite
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [1, 0, 0, 1, 1]]).bool()


@torch.no_grad()
def test_torchs_self_attention_agrees(agree):
    peer = shake(nn.MultiheadAttention(32, 4, batch_first=True))
    ours, x = MultiHeadAttention(32, 4), noise(3, 5, 32)
    copy_attention(ours, peer)
    causal = torch.ones(5, 5).triu(1).bool()
    first = MASK.clone()
    first[:, 0] = True  # else torch's own module gives NaN
    for name, mask, future in (
        ("all", None, False),
        ("holes", MASK, False),
        ("causal", None, True),
        ("causal, holes", first, True),
    ):
        theirs, weights = peer(
            *(x, x, x),
            key_padding_mask=None if mask is None else ~mask,
            attn_mask=causal if future else None,
            average_attn_weights=False,
        )
        mine = ours(x, mask, causal=future)
        agree(f"self-attention, {name}", mine, theirs, tolerance=1e-6, **ATTENTION)
        mine = ours.weights(x, mask, causal=future)
        agree(f"weights, {name}", mine, weights, tolerance=1e-6, **ATTENTION)


@torch.no_grad()
def test_torchs_cross_attention_agrees(agree):
    peer = shake(nn.MultiheadAttention(32, 4, kdim=12, vdim=12, batch_first=True))
    ours, x = MultiHeadAttention(32, 4, memory_width=12), noise(3, 4, 32)
    memory = noise(3, 5, 12, seed=1)
    copy_attention(ours, peer)
    theirs, weights = peer(
        *(x, memory, memory), key_padding_mask=~MASK, average_attn_weights=False
    )
    mine = ours(x, MASK, memory=memory)
    agree("cross-attention", mine, theirs, tolerance=1e-6, **ATTENTION)
    mine = ours.weights(x, MASK, memory=memory)
    agree("cross-attention, weights", mine, weights, tolerance=1e-6, **ATTENTION)


@torch.no_grad()
@pytest.mark.parametrize("block", [Block, PostNormBlock])
@pytest.mark.parametrize("act", ["relu", "gelu"])
def test_torchs_encoder_layers_agree(agree, block, act):
    first, name = block is Block, block.__name__
    sizes = {"batch_first": True, "norm_first": first, "activation": act}
    layer = nn.TransformerEncoderLayer(32, 4, 128, **sizes)
    peer = shake(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)).eval()
    ours = Transformer(32, 2, 4, block=block, activation=getattr(F, act)).eval()
    copy_stack(ours, peer)
    x = noise(3, 5, 32)
    theirs = peer(x, src_key_padding_mask=~MASK)
    reference = peers(name, f"torch.nn.TransformerEncoderLayer(norm_first={first})")
    agree(f"encoder, {act}", ours(x, MASK), theirs, tolerance=1e-5, **reference)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("block", [Block, PostNormBlock])
def test_torchs_whole_transformer_agrees(agree, block):
    first, name = block is Block, block.__name__
    # its encoder and decoder end in a norm, also in post-norm
    peer = shake(
        nn.Transformer(32, 4, 2, 2, 128, norm_first=first, batch_first=True)
    ).eval()
    encoder = Transformer(32, 2, 4, block=block, activation=F.relu)
    decoder = Transformer(32, 2, 4, block=block, activation=F.relu, memory_width=32)
    copy_stack(encoder, peer.encoder)
    copy_stack(decoder, peer.decoder)
    source, target = noise(3, 5, 32), noise(3, 6, 32, seed=1)
    real = torch.arange(6) < torch.tensor([[6], [3], [1]])
    theirs = peer(
        *(source, target),
        tgt_mask=torch.ones(6, 6).triu(1).bool(),
        src_key_padding_mask=~MASK,
        tgt_key_padding_mask=~real,
        memory_key_padding_mask=~MASK,
    )
    memory = peer.encoder.norm(encoder.eval()(source, MASK))
    mine = decoder.eval()(target, real, causal=True, memory=memory, memory_mask=MASK)
    mine = peer.decoder.norm(mine)
    reference = peers(name, f"torch.nn.Transformer(norm_first={first})")
    agree("encoder and decoder", mine, theirs, tolerance=1e-5, **reference)
    cache, parts = decoder.new_cache(), []
    for i in range(6):
        y = decoder(
            *(target[:, i : i + 1], real[:, i : i + 1]),
            **{"causal": True, "memory": memory, "memory_mask": MASK, "cache": cache},
        )
        parts.append(peer.decoder.norm(y))
    mine = torch.cat(parts, 1)
    agree("decoder, token by token", mine, theirs, tolerance=1e-5, **reference)


@torch.no_grad()
@pytest.mark.parametrize("decoder", [False, True])
def test_t5s_attention_agrees(agree, decoder):
    config = T5Config(d_model=32, d_kv=6, num_heads=4, is_decoder=decoder)
    config._attn_implementation = "eager"
    peer = shake(T5Attention(config, True, layer_idx=0)).eval()
    ours = MultiHeadAttention(32, 4, head_width=6, bias=False, scale=1.0)
    fused = torch.cat([peer.q.weight, peer.k.weight, peer.v.weight])
    ours.qkv.weight.data, ours.out.weight.data = fused, peer.o.weight
    bias = RelativeBias(4, both_sides=not decoder)
    bias.table.load_state_dict(peer.relative_attention_bias.state_dict())
    x = noise(3, 150, 32)
    hidden = torch.ones(150, 150).triu(1) * decoder
    theirs = peer(x, mask=(hidden * torch.finfo(x.dtype).min)[None, None])
    relative = bias(150, 150)
    mine = ours(x, causal=decoder, relative=relative)
    kind = "decoder" if decoder else "encoder"
    reference = peers("MultiHeadAttention", "transformers T5Attention", "transformers")
    agree(f"T5, {kind}", mine, theirs[0], tolerance=1e-5, **reference)
