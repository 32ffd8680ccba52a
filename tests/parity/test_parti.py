"""Same weights in, same numbers out: Parti's stacks are torch's."""

import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.parti import Parti


def copied():
    """Our tiny Parti and torch's own Transformer with its weights."""
    torch.manual_seed(0)
    model = Parti.from_preset("tiny").eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    c = model.config
    peer = torch.nn.Transformer(
        *(c.width, c.heads, c.encoder, c.decoder, 4 * c.width),
        dropout=0.0,
        activation=F.gelu,
        batch_first=True,
        norm_first=True,
    ).eval()
    for ours, its in zip(model.encoder.blocks, peer.encoder.layers, strict=True):
        block(ours, its)
    for ours, its in zip(model.decoder.blocks, peer.decoder.layers, strict=True):
        block(ours, its)
        cross, other = ours.cross, its.multihead_attn
        other.in_proj_weight.data = torch.cat([cross.q.weight, cross.kv.weight]).data
        other.in_proj_bias.data = torch.cat([cross.q.bias, cross.kv.bias]).data
        other.out_proj.load_state_dict(cross.out.state_dict())
        its.norm2.load_state_dict(ours.norm_cross.state_dict())
        its.norm3.load_state_dict(ours.norm2.state_dict())
    peer.encoder.norm.load_state_dict(model.norm_text.state_dict())
    peer.decoder.norm.load_state_dict(model.norm.state_dict())
    return model, peer


def block(ours, its):
    """Copy what encoder and decoder blocks share; a decoder's last norm comes later."""
    its.self_attn.in_proj_weight.data = ours.attention.qkv.weight.data
    its.self_attn.in_proj_bias.data = ours.attention.qkv.bias.data
    its.self_attn.out_proj.load_state_dict(ours.attention.out.state_dict())
    its.norm1.load_state_dict(ours.norm1.state_dict())
    its.norm2.load_state_dict(ours.norm2.state_dict())
    its.linear1.load_state_dict(ours.fc1.state_dict())
    its.linear2.load_state_dict(ours.fc2.state_dict())


@torch.no_grad()
def test_torch_agrees_on_what_is_said_of_every_code(agree):
    model, peer = copied()
    names = {"ours": "mmdl_lib.models.parti.Parti", "package": "torch"}
    names["reference"] = "torch.nn.Transformer, norm first"
    batch = Parti.example_batch(model.config, 3, generator=generator(1))
    tokens, mask, codes = batch["tokens"], batch["mask"], batch["codes"]
    x = model.words(tokens) + model.places(tokens.shape[1])
    # theirs: True is what is ignored
    memory = peer.encoder(x, src_key_padding_mask=~mask)
    ours, _ = model.read(tokens, mask)
    real = mask[..., None]
    agree("Parti, words", ours * real, memory * real, tolerance=1e-5, **names)
    begin = model.begin.expand(3, 1, -1)
    y = torch.cat([begin, model.placed(codes[:, :-1], 0)], 1)
    causal = peer.generate_square_subsequent_mask(y.shape[1])
    how = {"tgt_mask": causal, "memory_key_padding_mask": ~mask}
    found = model.guess(peer.decoder(y, memory, **how))
    ours = model.scores(tokens, mask, codes)
    agree("Parti, codes", ours, found, tolerance=2e-5, **names)
