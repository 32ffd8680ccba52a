"""Same weights in, same numbers out: torch's own encoder and decoder over regions."""

import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner

PEERS = {
    "ours": "mmdl_lib.models.captioner.RegionCaptioner",
    "package": "torch",
    "reference": "torch.nn.TransformerEncoder and Decoder, norm first",
}
SIZES = {"d_model": 32, "nhead": 4, "dim_feedforward": 128, "dropout": 0.0}


def make():
    """Our captioner and torch's stacks with its weights."""
    torch.manual_seed(0)
    config = CaptionerConfig(
        region=10, vocab=50, width=32, encoder=2, decoder=3, heads=4, dropout=0.0
    )
    ours = RegionCaptioner(config).eval()
    for p in ours.parameters():
        p.data += 0.05 * torch.randn(p.shape, generator=generator(3))
    options = SIZES | {"batch_first": True, "norm_first": True, "activation": "gelu"}
    last = (nn.LayerNorm(32), nn.LayerNorm(32))
    reader = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(**options), 2, last[0], enable_nested_tensor=False
    ).eval()
    writer = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(**options), 3, last[1]
    ).eval()
    for block, layer in zip(ours.encoder.blocks, reader.layers, strict=True):
        copy_block(block, layer, norms=(layer.norm1, layer.norm2))
    for block, layer in zip(ours.decoder.blocks, writer.layers, strict=True):
        copy_block(block, layer, norms=(layer.norm1, layer.norm3))
        layer.norm2.load_state_dict(block.norm_cross.state_dict())
        attention = layer.multihead_attn
        weights = block.cross.q.weight, block.cross.kv.weight
        attention.in_proj_weight.data = torch.cat(weights).detach()
        biases = block.cross.q.bias, block.cross.kv.bias
        attention.in_proj_bias.data = torch.cat(biases).detach()
        attention.out_proj.load_state_dict(block.cross.out.state_dict())
    reader.norm.load_state_dict(ours.encoder_norm.state_dict())
    writer.norm.load_state_dict(ours.norm.state_dict())
    return ours, reader, writer


def copy_block(block, layer, *, norms):
    own = block.attention
    layer.self_attn.in_proj_weight.data = own.qkv.weight.detach()
    layer.self_attn.in_proj_bias.data = own.qkv.bias.detach()
    layer.self_attn.out_proj.load_state_dict(own.out.state_dict())
    layer.linear1.load_state_dict(block.fc1.state_dict())
    layer.linear2.load_state_dict(block.fc2.state_dict())
    for norm, mine in zip(norms, (block.norm1, block.norm2), strict=True):
        norm.load_state_dict(mine.state_dict())


def theirs(ours, reader, writer, batch, *, inverted=True):
    """Torch's masks say True = ignore."""
    turn = torch.logical_not if inverted else (lambda x: x)
    pads = turn(batch["region_mask"])
    memory = reader(ours.project(batch["regions"]), src_key_padding_mask=pads)
    x = ours.embedded(batch["tokens"])
    past = turn(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril())
    return ours.out(writer(x, memory, tgt_mask=past, memory_key_padding_mask=pads))


@torch.no_grad()
def test_torch_agrees_on_all_logits(agree):
    ours, reader, writer = make()
    batch = RegionCaptioner.example_batch(ours.config, 4, generator=generator(1))
    keys = ("tokens", "regions", "region_mask")
    found = ours.logits(*(batch[key] for key in keys))
    expected = theirs(ours, reader, writer, batch)
    agree("captioner, logits", found, expected, tolerance=1e-5, **PEERS)


@torch.no_grad()
def test_masks_of_the_other_meaning_give_other_numbers():
    ours, reader, writer = make()
    batch = RegionCaptioner.example_batch(ours.config, 4, generator=generator(1))
    batch["region_mask"][:, -1] = False  # or there would be nothing left to see
    keys = ("tokens", "regions", "region_mask")
    found = ours.logits(*(batch[key] for key in keys))
    wrong = theirs(ours, reader, writer, batch, inverted=False)
    assert not torch.allclose(found, wrong, atol=1e-2)
