"""Same weights in, same numbers out: GPT-1 and GPT-2 of transformers."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
)

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.pretrained import gpt

END = 1


def peers(name):
    return {
        "ours": "mmdl_lib.models.gpt.GPT",
        "package": "transformers",
        "reference": f"transformers {name}",
    }


def make_peer(kind="GPT-2", **changes):
    """A small model whose every parameter is random, so that none can be forgotten."""
    sizes = {"vocab_size": 50, "n_positions": 40, "n_embd": 48, "n_layer": 3}
    sizes |= {"n_head": 4, "eos_token_id": END, "pad_token_id": 0}
    sizes |= {"resid_pdrop": 0.1, "attn_pdrop": 0.1, "embd_pdrop": 0.1}
    if kind == "GPT-2":
        peer = GPT2LMHeadModel(GPT2Config(**sizes | changes))
    else:
        peer = OpenAIGPTLMHeadModel(OpenAIGPTConfig(**sizes | changes))
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    peer.set_attn_implementation("eager")
    return peer.eval()


def texts(n=4, t=11):
    return torch.randint(2, 50, (n, t), generator=generator(4))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["GPT-1", "GPT-2"])
def test_transformers_agrees_on_states_attention_logits_and_loss(tmp_path, agree, kind):
    peer = make_peer(kind)
    peer.save_pretrained(tmp_path)
    model, tokens = pretrained.load("gpt", tmp_path), texts()
    assert model.config.norm == ("pre" if kind == "GPT-2" else "post")
    wanted = {"output_attentions": True, "output_hidden_states": True}
    theirs = peer(tokens, labels=tokens, **wanted)
    names = peers(kind)
    agree(
        f"{kind}, logits", model.logits(tokens), theirs.logits, tolerance=2e-5, **names
    )
    weights = torch.stack(theirs.attentions, 1)
    agree(
        f"{kind}, attention", model.attention(tokens), weights, tolerance=1e-5, **names
    )
    # theirs ends with the normed state, and in GPT-2 leaves the last raw one out
    states = torch.stack(theirs.hidden_states[:3], 1)
    agree(
        f"{kind}, states", model.states(tokens)[:, :3], states, tolerance=1e-5, **names
    )
    ours = model.loss({"tokens": tokens, "mask": tokens >= 0})["loss"]
    agree(f"{kind}, loss", ours, theirs.loss, tolerance=1e-5, **names)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["GPT-1", "GPT-2"])
def test_transformers_agrees_on_what_follows_with_a_cache_and_with_beams(
    tmp_path, agree, kind
):
    peer = make_peer(kind)
    peer.save_pretrained(tmp_path)
    model, tokens = gpt.load(tmp_path), texts()
    given = {"attention_mask": torch.ones_like(tokens), "max_new_tokens": 12}
    # GPT-1 of transformers has no cache, ours has
    theirs = peer.generate(tokens, do_sample=False, **given)[:, 11:]
    mine = model.generate(tokens, length=12, end=END)
    mine = padded(mine)
    assert mine.shape[1] > 6
    what = f"{kind}, what greedy search says"
    agree(what, mine.tolist(), padded(theirs).tolist(), tolerance=0, **peers(kind))
    beams = {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never"}
    theirs = peer.generate(tokens, do_sample=False, **beams, **given)[:, 11:]
    mine = model.generate(tokens, length=12, end=END, beams=3)
    what = f"{kind}, what three beams say"
    agree(
        what, padded(mine).tolist(), padded(theirs).tolist(), tolerance=0, **peers(kind)
    )


def padded(tokens):
    """Zeros behind the first end token, which each library fills otherwise."""
    ended = (tokens == END).cumsum(1) - (tokens == END).long() > 0
    width = int((~ended).sum(1).max())
    return tokens.masked_fill(ended, 0)[:, :width]


@torch.no_grad()
def test_transformers_agrees_on_prompts_of_unequal_length(tmp_path, agree):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model, tokens = gpt.load(tmp_path), texts()
    length = torch.tensor([11, 4, 1, 7])
    mask = torch.arange(11) < length[:, None]
    mine = model.generate(tokens, mask, length=9)
    # theirs wants padding in front
    left = torch.stack(
        [row.roll(11 - n) for row, n in zip(tokens, length.tolist(), strict=True)]
    )
    given = {"attention_mask": mask.flip(1).long(), "max_new_tokens": 9}
    peer.generation_config.eos_token_id = None
    theirs = peer.generate(left, do_sample=False, **given)[:, 11:]
    what = "GPT-2, prompts of unequal length"
    agree(what, mine.tolist(), theirs.tolist(), tolerance=0, **peers("GPT-2"))


@torch.no_grad()
def test_both_containers_and_files_without_a_head_are_read(tmp_path):
    peer, tokens = make_peer(), texts()
    want = peer(tokens).logits
    peer.save_pretrained(tmp_path / "a")
    config = (tmp_path / "a/config.json").read_text()
    # as the first release has it: no prefix, and the causal mask in the file
    bare = {k: v.contiguous() for k, v in peer.transformer.state_dict().items()}
    bare |= {"h.0.attn.bias": torch.ones(1, 1, 40, 40).tril()}
    for name, write in (("b", torch.save), ("c", save_file)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        file = folder / ("pytorch_model.bin" if name == "b" else "model.safetensors")
        write(bare, file)
        assert torch.allclose(gpt.load(folder).logits(tokens), want, atol=2e-5)


def test_damaged_and_foreign_files_are_named_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="got neither"):
        gpt.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python recipes/gpt.py"):
        gpt.load(tmp_path / "none.safetensors")
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    facts = json.loads(file.read_text())
    for change, words in (
        ({"activation_function": "gelu"}, "the tanh gelu, got 'gelu'"),
        ({"layer_norm_epsilon": 1e-12}, "an epsilon of 1e-5, got 1e-12"),
    ):
        file.write_text(json.dumps(facts | change))
        with pytest.raises(ValueError, match=words):
            gpt.load(tmp_path)
    file.write_text(json.dumps(facts))
    state = peer.state_dict()
    del state["transformer.h.0.ln_1.bias"], state["lm_head.weight"]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="the weights of a whole GPT .*norm1.bias"):
        gpt.load(tmp_path)
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="names of a GPT-1 or GPT-2 .* got x, ..."):
        gpt.load(tmp_path)
