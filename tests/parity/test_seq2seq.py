"""The recurrent layers and both attentions against torch, weights copied in."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mmdl_lib.core import generator
from mmdl_lib.models.bahdanau import Bahdanau, Dot, Memory, attend
from mmdl_lib.models.seq2seq import LSTM, Seq2Seq, Stack

PEERS = {"package": "torch", "ours": "mmdl_lib.models.seq2seq"}


def copied(stack: Stack, peer: nn.Module) -> None:
    """The weights of the peer's layers."""
    for i, layer in enumerate(stack.layers):
        for name, value in layer.named_parameters():
            value.data.copy_(getattr(peer, f"{name}_l{i}"))


@torch.no_grad()
@pytest.mark.parametrize(("cell", "kind"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_torch_agrees_on_states_over_time_and_at_the_true_end(cell, kind, agree):
    torch.manual_seed(0)
    peer, stack = kind(7, 9, 2, batch_first=True), Stack(cell, 7, 9, 2)
    copied(stack, peer)
    x, size = torch.randn(4, 6, 7), torch.tensor([6, 4, 3, 1])
    mask = torch.arange(6) < size[:, None]
    packed = pack_padded_sequence(x, size, batch_first=True)
    theirs, last = peer(packed)
    theirs, _ = pad_packed_sequence(theirs, batch_first=True)
    found, states = stack(x, None, mask)
    name = f"torch.nn.{kind.__name__}"
    facts = PEERS | {"reference": name, "tolerance": 1e-6}
    agree(f"{name}, states over time", found * mask[..., None], theirs, **facts)
    if cell == "lstm":
        last = torch.stack(last, 1)
        states = torch.stack([torch.stack(pair) for pair in states])
    else:
        states = torch.stack(states)
    agree(f"{name}, states at the true end", states, last, **facts)


@torch.no_grad()
def test_a_whole_translator_is_torchs_lstms_one_behind_the_other(agree):
    torch.manual_seed(0)
    model = Seq2Seq.from_preset("tiny-lstm").eval()
    batch = Seq2Seq.example_batch(model.config, 1, generator=generator(1))
    source = batch["source"][batch["source_mask"]][None]
    peers = []
    for stack in (model.encoder, model.decoder):
        peer = nn.LSTM(32, 32, 2, batch_first=True)
        for i, layer in enumerate(stack.layers):
            for name, value in layer.named_parameters():
                getattr(peer, f"{name}_l{i}").data.copy_(value)
        peers.append(peer)
    _, state = peers[0](model.source_embedding(source.flip(1)))
    want = model.out(peers[1](model.embedding(batch["tokens"]), state)[0])
    found = model.logits(batch["tokens"], batch["source"], batch["source_mask"])
    facts = PEERS | {"reference": "torch.nn.LSTM", "tolerance": 1e-6}
    agree("two LSTMs, source reversed: logits", found, want, **facts)


@torch.no_grad()
def test_a_translator_with_context_at_every_step_is_two_grus(agree):
    torch.manual_seed(0)
    model = Seq2Seq.from_preset("tiny").eval()
    batch = Seq2Seq.example_batch(model.config, 1, generator=generator(1))
    source = batch["source"][batch["source_mask"]][None]
    peers = []
    for stack, size in ((model.encoder, 32), (model.decoder, 64)):
        peer = nn.GRU(size, 32, batch_first=True)
        for name, value in stack.layers[0].named_parameters():
            getattr(peer, f"{name}_l0").data.copy_(value)
        peers.append(peer)
    c = peers[0](model.source_embedding(source))[1][0]
    y = model.embedding(batch["tokens"])
    at_each = c[:, None].expand(-1, y.shape[1], -1)
    begin = model.bridge(c).tanh()[None]
    h = peers[1](torch.cat([y, at_each], -1), begin)[0]
    want = model.out(model.readout(torch.cat([h, y, at_each], -1)).tanh())
    found = model.logits(batch["tokens"], batch["source"], batch["source_mask"])
    facts = PEERS | {"reference": "torch.nn.GRU", "tolerance": 1e-6}
    agree("two GRUs, the summary at every step: logits", found, want, **facts)


@torch.no_grad()
def test_luongs_dot_is_torchs_attention_without_a_scale(agree):
    torch.manual_seed(0)
    state, values = torch.randn(3, 8), torch.randn(3, 5, 8)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    found, _ = attend(Dot(8, 8)(state, values), Memory(values, values, mask))
    want = F.scaled_dot_product_attention(
        state[:, None], values, values, attn_mask=mask[:, None], scale=1.0
    )[:, 0]
    facts = {"package": "torch", "ours": "mmdl_lib.models.bahdanau", "tolerance": 1e-6}
    name = "scaled_dot_product_attention, scale=1"
    agree("Luong's dot: context", found, want, reference=name, **facts)


@torch.no_grad()
def test_the_encoder_of_both_directions_is_torchs(agree):
    torch.manual_seed(0)
    model = Bahdanau.from_preset("tiny").eval()
    peer = nn.GRU(32, 16, bidirectional=True, batch_first=True)
    for layer, end in ((model.ahead, ""), (model.back, "_reverse")):
        for name, value in layer.named_parameters():
            getattr(peer, f"{name}_l0{end}").data.copy_(value)
    batch = Bahdanau.example_batch(model.config, 6, generator=generator(1))
    size = batch["source_mask"].sum(1)
    x = model.source_embedding(batch["source"])
    packed = pack_padded_sequence(x, size, batch_first=True, enforce_sorted=False)
    want, _ = pad_packed_sequence(peer(packed)[0], batch_first=True, total_length=6)
    found = model.encode_source(batch["source"], batch["source_mask"])
    facts = {"package": "torch", "ours": "mmdl_lib.models.bahdanau", "tolerance": 1e-6}
    agree("encoder, both directions", found, want, reference="torch.nn.GRU", **facts)


def test_the_layers_have_torchs_number_of_parameters():
    for ours, theirs in ((Stack("gru", 5, 6, 1), nn.GRU), (LSTM(5, 6), nn.LSTM)):
        counts = [sum(p.numel() for p in m.parameters()) for m in (ours, theirs(5, 6))]
        assert counts[0] == counts[1]
