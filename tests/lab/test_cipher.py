"""The cipher and what Transformers without a part can make of it."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.lab.cipher import (
    DIGITS,
    FIRST,
    PARTS,
    SMALL,
    Peeking,
    cipher,
    sharpest,
    solved,
    without,
)
from mmdl_lib.models.transformer import KEYS, Transformer


def logits(model, batch):
    return model.eval().logits(*(batch[key] for key in KEYS))


def test_a_row_is_translated_by_its_key_from_the_end():
    batch = cipher(3, 4, length=6)
    for row in range(3):
        key, *digits = (batch["source"][row] - FIRST).tolist()
        assert DIGITS <= key < 2 * DIGITS
        expected = [(d + key) % DIGITS for d in reversed(digits)]
        assert batch["tokens"][row].tolist() == [0, *(FIRST + d for d in expected), 1]
    assert batch["mask"].all() and batch["source_mask"].all()
    assert torch.equal(cipher(3, 4, length=6)["source"], batch["source"])
    assert not torch.equal(cipher(3, 5, length=6)["source"], batch["source"])


@torch.no_grad()
def test_the_whole_one_is_the_model_of_the_paper_and_every_lack_shows():
    batch = cipher(4, 0)
    torch.manual_seed(7)
    whole = logits(Transformer(SMALL), batch)
    assert torch.equal(logits(without(None, seed=7), batch), whole)
    for part in PARTS:
        found = logits(without(part, seed=7), batch)
        assert not torch.allclose(found, whole, atol=1e-3), part
    with pytest.raises(ValueError, match="part expected"):
        without("softmax")


@torch.no_grad()
def test_all_but_positions_start_from_the_same_weights():
    first = dict(without(None, seed=3).named_parameters())
    for part in PARTS:
        for name, value in without(part, seed=3).named_parameters():
            assert torch.equal(value, first[name]), (part, name)


@torch.no_grad()
def test_only_the_peeking_one_sees_later_tokens():
    batch, other = cipher(4, 0), cipher(4, 0)
    other["tokens"][:, 5:] = FIRST
    for part in (None, *PARTS):
        model = without(part)
        change = logits(model, batch)[:, :5] - logits(model, other)[:, :5]
        assert (change.abs().max() > 1e-3) == (part == "mask"), part
    assert isinstance(without("mask"), Peeking)


@torch.no_grad()
def test_without_a_part_the_block_is_what_remains_of_it():
    x = torch.randn(2, 5, 48)
    block = without("network").encoder.blocks[0]
    y = block.norm2(block.norm1(x + block.attention(x)))
    assert torch.allclose(block(x), y, atol=1e-6)
    block = without("residual").encoder.blocks[0]
    y = block.norm2(block.mlp(block.norm1(block.attention(x))))
    assert torch.allclose(block(x), y, atol=1e-6)
    block = without("norm").encoder.blocks[0]
    y = x + block.attention(x)
    assert torch.allclose(block(x), y + block.mlp(y), atol=1e-6)
    memory, block = torch.randn(2, 3, 48), without("norm").decoder.blocks[0]
    y = x + block.attention(x, causal=True)
    y = y + block.cross(y, memory=memory)
    found = block(x, causal=True, memory=memory)
    assert torch.allclose(found, y + block.mlp(y), atol=1e-5)
    block = without("residual").decoder.blocks[0]
    y = block.norm1(block.attention(x, causal=True))
    y = block.norm2(block.mlp(block.norm_cross(block.cross(y, memory=memory))))
    assert torch.allclose(block(x, causal=True, memory=memory), y, atol=1e-6)


def test_without_the_scale_attention_begins_sharper():
    batch = cipher(50, 0)
    assert sharpest(without("scale"), batch) > 1.5 * sharpest(without(None), batch)


@torch.no_grad()
def test_the_sharpest_weight_is_that_of_each_query_in_the_first_layer():
    batch, model = cipher(6, 0), without(None, replace(SMALL, depth=2))
    first = model.encoder.blocks[0].attention
    weights = first.weights(model.embed(batch["source"]), batch["source_mask"])
    want = weights.max(dim=-1).values.mean().item()
    assert sharpest(model, batch) == pytest.approx(want, abs=1e-6)


def test_shares_of_right_tokens_are_counted_without_the_end():
    batch = cipher(20, 0)

    class Oracle(Transformer):
        """Knows the answers."""

        def logits(self, tokens, mask, source, source_mask):
            right = torch.nn.functional.one_hot(batch["tokens"][:, 1:], 12).float()
            right[:, :3] = right[:, :3].roll(1, -1)
            return right

        def generate(self, source, source_mask, *, max_length):
            return batch["tokens"][:, 1:7]

    model = Oracle(SMALL)
    found = solved(model, batch)
    assert found["forced"] == pytest.approx(6 / 9)
    assert found["generated"] == pytest.approx(6 / 9)
