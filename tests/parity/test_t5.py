"""Same weights in, same numbers out: T5 of `transformers`, also word by word."""

import json

import pytest
import torch
from transformers import T5Config as PeerConfig
from transformers import T5ForConditionalGeneration

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.nn import decode
from mmdl_lib.pretrained import t5

PEERS = {
    "ours": "mmdl_lib.models.t5.T5",
    "package": "transformers",
    "reference": "transformers T5",
}


def make_peer(**changes):
    """A small T5 whose every parameter is random, so that none can be forgotten."""
    sizes = {"d_model": 40, "d_ff": 96, "d_kv": 12, "num_layers": 3, "num_heads": 4}
    sizes |= {"vocab_size": 60, "relative_attention_max_distance": 16}
    sizes |= {"relative_attention_num_buckets": 8, "decoder_start_token_id": 0}
    peer = T5ForConditionalGeneration(PeerConfig(**sizes, **changes)).eval()
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=g)
    return peer


def texts():
    tokens = torch.randint(2, 60, (4, 30), generator=generator(4))
    mask = torch.arange(30) < torch.tensor([[30], [22], [9], [1]])
    target = torch.randint(2, 60, (4, 25), generator=generator(5))
    return torch.where(mask, tokens, 0), mask, target


@torch.no_grad()
def test_transformers_agrees_on_states_logits_and_loss(tmp_path, agree):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model = pretrained.load("t5", tmp_path)
    tokens, mask, target = texts()
    theirs = peer(tokens, mask.long(), labels=target)
    peers = PEERS | {"tolerance": 1e-4}
    states = theirs.encoder_last_hidden_state * mask[..., None]
    agree("encoder", model.encode_text(tokens, mask), states, **peers)
    agree("logits", model(tokens, mask, target), theirs.logits, **peers)
    batch = {"tokens": tokens, "mask": mask, "target": target}
    batch["target_mask"] = torch.ones_like(target, dtype=torch.bool)
    agree("loss", model.loss(batch)["loss"], theirs.loss, **peers)


@torch.no_grad()
@pytest.mark.parametrize("beams", [None, 1, 3, 5])
def test_transformers_writes_the_same_text(tmp_path, agree, beams):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model = pretrained.load("t5", tmp_path)
    tokens, mask, _ = texts()
    search = {} if beams is None else {"penalty": decode.power(1.0), "stop": "now"}
    found = model.generate(tokens, mask, beams=beams, max_length=18, **search)
    theirs = peer.generate(
        tokens,
        attention_mask=mask.long(),
        num_beams=beams or 1,
        max_new_tokens=18,
        do_sample=False,
    )[:, 1:]
    # they fill up with padding, and we with end tokens
    ended = (theirs == 1).long().cumsum(1) - (theirs == 1).long() > 0
    theirs = theirs.masked_fill(ended, 1)
    assert len({tuple(row) for row in found.tolist()}) > 1
    name = "greedy" if beams is None else f"{beams} beams"
    same = theirs.tolist()
    width = len(same[0])
    rows = [row[:width] for row in found.tolist()]
    agree(f"text, {name}", rows, same, **PEERS, tolerance=0)


def test_version_1_1_is_refused(tmp_path):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    facts = json.loads(file.read_text())
    for name, value in (("feed_forward_proj", "gated-gelu"), ("tie", False)):
        name = "tie_word_embeddings" if name == "tie" else name
        file.write_text(json.dumps(facts | {name: value}))
        with pytest.raises(ValueError, match=r"expected T5 of version 1\.0"):
            t5.load(tmp_path)
