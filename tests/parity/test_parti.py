"""Same weights in, same numbers out: Parti's stacks are torch's, its codes known."""

import torch
import torch.nn.functional as F
from vector_quantize_pytorch import VectorQuantize

from mmdl_lib.core import generator
from mmdl_lib.models.parti import Parti
from mmdl_lib.models.vit_vqgan import NormedCodebook


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


@torch.no_grad()
def test_a_known_codebook_agrees_on_normed_codes(agree):
    torch.manual_seed(0)
    book = NormedCodebook(32, 12, 4)
    peer = VectorQuantize(dim=4, codebook_size=32, use_cosine_sim=True).eval()
    codes = F.normalize(book.book.codes, dim=-1)
    peer._codebook.embed.copy_(codes[None])
    z = 3 * torch.randn(2, 50, 12, generator=generator(1))
    q, index, _ = peer(book.down(z))
    names = {"ours": "mmdl_lib.models.vit_vqgan.NormedCodebook"}
    names |= {"package": "vector-quantize-pytorch", "reference": "its cosine codebook"}
    mine, ours = book(z)
    agree("numbers of codes", ours.tolist(), index.tolist(), tolerance=0, **names)
    agree("what is read", mine, book.up(q), tolerance=1e-6, **names)
