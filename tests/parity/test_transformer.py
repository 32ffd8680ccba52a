"""Same weights in, same numbers out: torch's own Transformer and label smoothing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.transformer import (
    Transformer,
    TransformerConfig,
    smoothed_nats,
)

PEERS = {
    "ours": "mmdl_lib.models.transformer.Transformer",
    "package": "torch",
    "reference": "torch.nn.Transformer",
}


def make_peer():
    """Torch's module; it has a norm behind each stack, which the paper has not."""
    torch.manual_seed(0)
    peer = nn.Transformer(
        *(32, 4, 3, 2, 128), dropout=0.0, batch_first=True, norm_first=False
    ).eval()
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=g)
    return peer


def copy_attention(ours, peer):
    weight, bias = peer.in_proj_weight.data, peer.in_proj_bias.data
    if ours.crossed:
        ours.q.weight.data, ours.kv.weight.data = weight[:32], weight[32:]
        ours.q.bias.data, ours.kv.bias.data = bias[:32], bias[32:]
    else:
        ours.qkv.weight.data, ours.qkv.bias.data = weight, bias
    ours.out.load_state_dict(peer.out_proj.state_dict())


def copied(peer):
    """Our model with its weights: the encoder has three blocks, the decoder two."""
    config = TransformerConfig(vocab=50, width=32, depth=3, heads=4, dropout=0.0)
    model = Transformer(config).eval()
    model.decoder.blocks = model.decoder.blocks[:2]
    for ours, theirs in zip(model.encoder.blocks, peer.encoder.layers, strict=True):
        copy_attention(ours.attention, theirs.self_attn)
        pairs = [(ours.norm1, theirs.norm1), (ours.norm2, theirs.norm2)]
        _copy(pairs + [(ours.fc1, theirs.linear1), (ours.fc2, theirs.linear2)])
    for ours, theirs in zip(model.decoder.blocks, peer.decoder.layers, strict=True):
        copy_attention(ours.attention, theirs.self_attn)
        copy_attention(ours.cross, theirs.multihead_attn)
        pairs = [(ours.norm1, theirs.norm1), (ours.norm_cross, theirs.norm2)]
        pairs += [(ours.norm2, theirs.norm3), (ours.fc1, theirs.linear1)]
        _copy([*pairs, (ours.fc2, theirs.linear2)])
    return model


def _copy(pairs):
    for ours, theirs in pairs:
        ours.load_state_dict(theirs.state_dict())


def batch():
    g = generator(1)
    length, source_length = torch.tensor([[7], [4], [6]]), torch.tensor([[5], [6], [3]])
    return {
        "tokens": torch.randint(2, 50, (3, 7), generator=g),
        "mask": torch.arange(7) < length,
        "source": torch.randint(2, 50, (3, 6), generator=g),
        "source_mask": torch.arange(6) < source_length,
    }


def theirs(peer, model, b, *, inverted=True):
    """What torch's module makes of our embeddings; its masks say True = ignore."""
    turn = torch.logical_not if inverted else (lambda x: x)
    past = torch.ones(7, 7, dtype=torch.bool).tril()
    pads = turn(b["source_mask"])
    x = peer(
        *(model.embed(b["source"]), model.embed(b["tokens"])),
        tgt_mask=turn(past),
        src_key_padding_mask=pads,
        memory_key_padding_mask=pads,
        tgt_key_padding_mask=turn(b["mask"]),
    )
    return model.read_out(x)


@torch.no_grad()
def test_torch_without_its_final_norms_agrees_on_all_logits(agree):
    peer = make_peer()
    model, b = copied(peer), batch()
    peer.encoder.norm = peer.decoder.norm = None
    found, expected = model.logits(**b), theirs(peer, model, b)
    real = b["mask"]
    words = PEERS | {"reference": "torch.nn.Transformer without its final norms"}
    agree("Transformer, logits", found[real], expected[real], tolerance=1e-5, **words)


@torch.no_grad()
def test_the_final_norms_of_torch_are_all_that_differs(agree):
    peer = make_peer()
    model, b = copied(peer), batch()
    x, pads = model.embed(b["tokens"]), b["source_mask"]
    memory = peer.encoder.norm(model.encode(b["source"], pads))
    given = {"memory": memory, "memory_mask": pads}
    x = peer.decoder.norm(model.decoder(x, b["mask"], causal=True, **given))
    expected, real = theirs(peer, model, b), b["mask"]
    found = model.read_out(x)[real]
    name = "Transformer, two norms added"
    agree(name, found, expected[real], tolerance=1e-5, **PEERS)
    assert not torch.allclose(model.logits(**b)[real], expected[real], atol=1e-2)


@torch.no_grad()
def test_masks_of_the_other_meaning_give_other_numbers():
    peer = make_peer()
    model, b = copied(peer), batch()
    peer.encoder.norm = peer.decoder.norm = None
    wrong = theirs(peer, model, b, inverted=False)
    found = model.logits(**b)
    assert not torch.allclose(found, wrong, atol=1e-2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_torch_agrees_on_label_smoothing(agree, smoothing):
    logits = 3 * torch.randn(40, 30, generator=generator(0))
    target = torch.randint(30, (40,), generator=generator(1))
    found = smoothed_nats(logits.log_softmax(-1), target, smoothing=smoothing)
    options = {"label_smoothing": smoothing, "reduction": "none"}
    expected = F.cross_entropy(logits, target, **options)
    words = {"ours": "mmdl_lib.models.transformer.smoothed_nats", "package": "torch"}
    words["reference"] = "torch.nn.functional.cross_entropy"
    name = f"Transformer, smoothed loss of {smoothing}"
    agree(name, found, expected, tolerance=1e-5, **words)
