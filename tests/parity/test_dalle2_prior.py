"""Same weights in, same numbers out: the prior's net is diffusers' PriorTransformer."""

import torch
from diffusers import PriorTransformer

from mmdl_lib.core import generator
from mmdl_lib.models.dalle2_prior import Prior

NAMES = {
    "ours": "mmdl_lib.models.dalle2_prior.Prior",
    "package": "diffusers",
    "reference": "diffusers PriorTransformer",
}


def copied():
    """Our tiny prior with random weights, and theirs with the same ones."""
    torch.manual_seed(0)
    model = Prior.from_preset("tiny").eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    c, row = model.config, model.row
    peer = PriorTransformer(
        num_attention_heads=c.heads,
        attention_head_dim=c.width // c.heads,
        num_layers=c.depth,
        embedding_dim=c.embed,
        num_embeddings=c.text,
    ).eval()
    pairs = [
        (row.words, peer.encoder_hidden_states_proj),
        (row.text, peer.embedding_proj),
        (model.time[0], peer.time_embedding.linear_1),
        (model.time[2], peer.time_embedding.linear_2),
        (model.noised, peer.proj_in),
        (row.norm, peer.norm_out),
        (model.out, peer.proj_to_clip_embeddings),
    ]
    for one, two in zip(row.transformer.blocks, peer.transformer_blocks, strict=True):
        pairs += [(one.norm1, two.norm1), (one.norm2, two.norm3)]
        pairs += [(one.attention.out, two.attn1.to_out[0])]
        pairs += [(one.fc1, two.ff.net[0].proj), (one.fc2, two.ff.net[2])]
        third = (two.attn1.to_q, two.attn1.to_k, two.attn1.to_v)
        weights = one.attention.qkv.weight.chunk(3), one.attention.qkv.bias.chunk(3)
        for layer, weight, bias in zip(third, *weights, strict=True):
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
    for ours, theirs in pairs:
        theirs.load_state_dict(ours.state_dict())
    # theirs has cosines before sines
    half = c.width // 2
    first = peer.time_embedding.linear_1.weight.data
    first.copy_(first.roll(half, 1))
    peer.positional_embedding.data.copy_(row.positions[None])
    peer.prd_embedding.data.copy_(model.query[None, None])
    return model, peer


def asked(model):
    batch = Prior.example_batch(model.config, 5, generator=generator(1))
    x = torch.randn(5, model.config.embed, generator=generator(2))
    return x, torch.tensor([0, 7, 20, 33, 49]), batch


def told(peer, x, step, batch, **how):
    return peer(x, step, batch["text"], batch["words"], **how).predicted_image_embedding


@torch.no_grad()
def test_diffusers_agrees_on_the_believed_embedding(agree):
    model, peer = copied()
    x, step, batch = asked(model)
    theirs = told(peer, x, step, batch, attention_mask=batch["mask"])
    ours = model(x, step, batch["words"], batch["mask"], batch["text"])
    agree("Prior, believed embedding", ours, theirs, tolerance=2e-5, **NAMES)


@torch.no_grad()
def test_diffusers_hides_later_places_only_where_it_gets_a_mask():
    model, peer = copied()
    x, step, batch = asked(model)
    batch["mask"][:] = True
    ours = model(x, step, batch["words"], batch["mask"], batch["text"])
    masked = told(peer, x, step, batch, attention_mask=batch["mask"])
    assert torch.allclose(masked, ours, atol=2e-5)
    assert (told(peer, x, step, batch) - ours).abs().max() > 1e-3


@torch.no_grad()
def test_their_means_and_deviations_must_be_set():
    model, peer = copied()
    batch = asked(model)[2]
    model.begin(batch["picture"])
    x = torch.randn(3, model.config.embed, generator=generator(4))
    # the trap: both begin as zeros, so that every embedding becomes zero
    assert peer.post_process_latents(x).abs().max() == 0
    peer.clip_mean.data.copy_(model.mean[None])
    peer.clip_std.data.copy_(model.spread[None])
    back = x * model.spread + model.mean
    assert torch.allclose(peer.post_process_latents(x), back, atol=1e-6)
