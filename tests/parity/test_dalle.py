"""Same weights in, same numbers out: DALL-E's plain causal part is GPT-2."""

import torch
from transformers import GPT2Config, GPT2Model

from mmdl_lib.core import generator
from mmdl_lib.models.dalle import DALLE

NAMES = {
    "ours": "mmdl_lib.models.dalle.DALLE",
    "package": "transformers",
    "reference": "transformers GPT-2",
}


def copied():
    """A small GPT-2 with random weights, and our model with the same ones."""
    torch.manual_seed(0)
    model = DALLE.from_preset("tiny").eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    c = model.config
    length = c.text + c.grid**2
    sizes = {"n_embd": c.width, "n_layer": c.depth, "n_head": c.heads}
    peer = GPT2Model(GPT2Config(vocab_size=2, n_positions=length, **sizes)).eval()
    peer.wpe.weight.data.zero_()  # places are in what enters the first block
    for one, two in zip(model.transformer.blocks, peer.h, strict=True):
        for ours, theirs in (
            (one.norm1, two.ln_1),
            (one.norm2, two.ln_2),
            (one.attention.qkv, two.attn.c_attn),
            (one.attention.out, two.attn.c_proj),
            (one.fc1, two.mlp.c_fc),
            (one.fc2, two.mlp.c_proj),
        ):
            # theirs keeps matrices of linear layers the other way round
            linear = isinstance(ours, torch.nn.Linear)
            weight = ours.weight.T if linear else ours.weight
            theirs.weight.data.copy_(weight)
            theirs.bias.data.copy_(ours.bias)
    peer.ln_f.load_state_dict(model.norm.state_dict())
    return model, peer


@torch.no_grad()
def test_transformers_agrees_on_states_of_text_and_picture(agree):
    model, peer = copied()
    batch = DALLE.example_batch(model.config, 3, generator=generator(1))
    words = model.filled(batch["tokens"], batch["mask"])
    x = model.embed(words, batch["codes"][:, :-1])
    theirs = peer(inputs_embeds=x).last_hidden_state
    agree("DALL-E, states", model.hidden(x), theirs, tolerance=1e-5, **NAMES)
    text, picture = model.told(words, batch["codes"])
    t = model.config.text
    heads = model.to_words.weight.T, model.to_codes.weight.T
    agree("DALL-E, words", text, theirs[:, :t] @ heads[0], tolerance=2e-5, **NAMES)
    agree("DALL-E, codes", picture, theirs[:, t:] @ heads[1], tolerance=2e-5, **NAMES)


@torch.no_grad()
def test_without_the_tanh_of_the_activation_the_states_differ():
    model, peer = copied()
    for block in model.transformer.blocks:
        block.activation = torch.nn.functional.relu
    x = torch.randn(2, 9, model.config.width, generator=generator(2))
    theirs = peer(inputs_embeds=x).last_hidden_state
    assert (model.hidden(x) - theirs).abs().max() > 1e-3
