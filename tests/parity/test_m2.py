"""M2 without slots, reading the last level, is torch's own post-norm Transformer."""

import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.m2 import M2, M2Config

WORDS = {
    "ours": "mmdl_lib.models.m2.M2",
    "package": "torch",
    "reference": "torch.nn.TransformerEncoder and TransformerDecoder, post-norm",
}
SIZES = {"vocab": 40, "region_width": 12, "width": 32, "hidden": 64, "heads": 4}


def fill(theirs, ours, cross=None):
    """Our numbers in torch's names."""
    norms = [(theirs.norm1, ours.norm1)]
    pairs = [(theirs.self_attn, ours.attention.qkv, ours.attention.out)]
    if cross is not None:
        kv = nn.Linear(1, 1)
        kv.weight = nn.Parameter(torch.cat([cross.q.weight, cross.kv.weight]))
        kv.bias = nn.Parameter(torch.cat([cross.q.bias, cross.kv.bias]))
        pairs.append((theirs.multihead_attn, kv, cross.out))
        norms += [(theirs.norm2, ours.norm_cross), (theirs.norm3, ours.norm2)]
    else:
        norms.append((theirs.norm2, ours.norm2))
    for attention, inputs, out in pairs:
        attention.in_proj_weight.data.copy_(inputs.weight)
        attention.in_proj_bias.data.copy_(inputs.bias)
        attention.out_proj.load_state_dict(out.state_dict())
    norms += [(theirs.linear1, ours.fc1), (theirs.linear2, ours.fc2)]
    for layer, own in norms:
        layer.load_state_dict(own.state_dict())


def both():
    """Our model, shaken, and torch's layers with its numbers."""
    torch.manual_seed(0)
    config = M2Config(**SIZES, slots=0, connection="last", dropout=0.0)
    model, g = M2(config).eval(), generator(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    options = {"dim_feedforward": 64, "dropout": 0.0, "batch_first": True}
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(32, 4, **options), 3, enable_nested_tensor=False
    )
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(32, 4, **options), 3)
    for theirs, ours in zip(encoder.layers, model.encoder, strict=True):
        fill(theirs, ours)
    for theirs, ours in zip(decoder.layers, model.decoder, strict=True):
        fill(theirs, ours, ours.cross)
    return model, encoder.eval(), decoder.eval()


@torch.no_grad()
def test_without_slots_the_encoder_is_torchs(agree):
    model, encoder, _ = both()
    batch = M2.example_batch(model.config, 6, generator=generator(3))
    regions, mask = batch["regions"], batch["region_mask"]
    x = model.norm(model.project(regions).relu())
    expected = encoder(x, src_key_padding_mask=~mask)
    found = model.encode_regions(regions, mask)[:, -1]
    name = "M2 without slots, encoder"
    agree(name, found[mask], expected[mask], tolerance=1e-5, **WORDS)


@torch.no_grad()
def test_reading_the_last_level_the_whole_is_torchs(agree):
    model, encoder, decoder = both()
    batch = M2.example_batch(model.config, 6, generator=generator(3))
    x = model.norm(model.project(batch["regions"]).relu())
    hidden = ~batch["region_mask"]
    memory = encoder(x, src_key_padding_mask=hidden)
    y = decoder(
        model.embed(batch["tokens"]),
        memory,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(7),
        tgt_key_padding_mask=torch.zeros_like(batch["mask"]).float(),
        memory_key_padding_mask=hidden,
    )
    found = model.logits(
        *(batch[k] for k in ("tokens", "mask", "regions", "region_mask"))
    )
    real, name = batch["mask"], "M2 without slots, reading the last level, logits"
    agree(name, found[real], model.out(y)[real], tolerance=2e-5, **WORDS)
