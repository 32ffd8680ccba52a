"""Same weights in, same numbers out: BERT of `transformers`, and all-MiniLM-L6-v2."""

import json

import pytest
import torch
import torch.nn.functional as F
from transformers import BertConfig as PeerConfig
from transformers import BertForPreTraining, BertModel, BertTokenizerFast

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.pretrained import bert

PEERS = {
    "ours": "mmdl_lib.models.bert.BERT",
    "package": "transformers",
    "reference": "transformers BERT",
}


def make_peer(kind=BertForPreTraining, **changes):
    """A small BERT whose every parameter is random, so that none can be forgotten."""
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 192, "vocab_size": 70, "max_position_embeddings": 24}
    peer = kind(PeerConfig(**sizes, **changes)).eval()
    g = generator(3)
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=g)
    return peer


def texts():
    """Three pairs of texts; two rows end in padding of any ids."""
    tokens = torch.randint(70, (3, 20), generator=generator(4))
    mask = torch.arange(20) < torch.tensor([[20], [13], [7]])
    segments = (torch.arange(20) > 5).long().expand(3, 20)
    return tokens, mask, segments


@torch.no_grad()
def test_transformers_agrees_on_words_pairs_and_loss(tmp_path, agree):
    peer = make_peer()
    peer.save_pretrained(tmp_path)
    model, tokenizer = pretrained.load("bert", tmp_path)
    tokens, mask, segments = texts()
    words = torch.where(torch.rand(tokens.shape, generator=generator(5)) < 0.3, 7, -100)
    label = torch.tensor([0, 1, 0])
    theirs = peer(
        tokens, mask.long(), segments, labels=words, next_sentence_label=label
    )
    ours = model(tokens, mask, segments)
    real = mask[..., None]
    peers = PEERS | {"tolerance": 1e-5}
    agree("words", ours.words * real, theirs.prediction_logits * real, **peers)
    agree("pairs", ours.follows, theirs.seq_relationship_logits, **peers)
    # torch ignores -100; 0 of the label is "follows" on both sides
    loss = F.cross_entropy(ours.words.flatten(0, 1), words.flatten())
    loss += F.cross_entropy(ours.follows, label)
    agree("loss", loss, theirs.loss, **peers)
    assert tokenizer is None


@torch.no_grad()
def test_a_model_without_heads_is_read_and_guesses_nothing(tmp_path):
    peer = make_peer(BertModel)
    peer.save_pretrained(tmp_path)
    model, _ = pretrained.load("bert", tmp_path)
    tokens, mask, segments = texts()
    want = peer(tokens, mask.long(), segments)
    found = model.hidden(tokens, mask, segments)
    assert torch.allclose(found[mask], want.last_hidden_state[mask], atol=1e-5)
    pooled = torch.tanh(model.pool(found[:, 0]))
    assert torch.allclose(pooled, want.pooler_output, atol=1e-5)
    assert not model(tokens, mask, segments).words.any()


@torch.no_grad()
def test_what_no_weight_shows_comes_from_the_config(tmp_path):
    peer = make_peer(layer_norm_eps=1e-2)
    peer.save_pretrained(tmp_path)
    tokens, mask, _ = texts()
    want = peer(tokens, mask.long()).prediction_logits
    found = bert.load(tmp_path)[0](tokens, mask).words
    assert torch.allclose(found[mask], want[mask], atol=1e-5)
    file = tmp_path / "config.json"
    facts = json.loads(file.read_text())
    file.write_text(json.dumps(facts | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match="a BERT with gelu, got 'relu'"):
        bert.load(tmp_path)


SENTENCES = [
    "He went to the bank to borrow money.",
    "They sat on the bank of the river and watched the boats.",
    "Fischers naïve Fische - unbelievably, CAFÉ!",
    "A very long text. " * 60,
    "",
]


@torch.no_grad()
def test_sentences_lie_where_those_of_the_reference_lie(agree):
    model, tokenizer = pretrained.load("bert", "minilm")
    folder = bert._package()
    peer = BertModel.from_pretrained(folder).eval()
    given = BertTokenizerFast.from_pretrained(folder)(
        SENTENCES, return_tensors="pt", padding=True, truncation=True, max_length=512
    )
    tokens, mask = tokenizer(SENTENCES)
    assert torch.equal(tokens, given["input_ids"])
    assert torch.equal(mask, given["attention_mask"].bool())
    states = peer(**given).last_hidden_state
    weight = given["attention_mask"][..., None].float()
    # mean pooling and length one, as the folder's modules.json says
    theirs = F.normalize((states * weight).sum(1) / weight.sum(1), dim=1)
    ours = model.encode_text(tokens, mask)
    names = PEERS | {"reference": "transformers BERT, mean, normalized"}
    names |= {"tolerance": 1e-5}
    agree("all-MiniLM-L6-v2, sentences", ours, theirs, **names)
    similar = ours @ ours.T, theirs @ theirs.T
    agree("all-MiniLM-L6-v2, similarities", *similar, **names)
    assert (ours @ ours.T).fill_diagonal_(0).max() < 0.5  # the sentences differ
