"""Heads: what they look at, and what is missing without them."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.inside.heads import (
    importance,
    prefix_matching,
    previous_token,
    ranked,
    without,
)
from mmdl_lib.models.gpt import GPT


def make():
    torch.manual_seed(0)
    model = GPT.from_preset("tiny").eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return model


def texts(n=3, t=12):
    return torch.randint(64, (n, t), generator=generator(1))


def test_a_head_that_looks_one_back_has_a_previous_token_score_of_one():
    attention = torch.zeros(2, 1, 2, 5, 5)
    attention[:, 0, 0] = torch.eye(5).roll(1, 0).tril()
    attention[:, 0, 1] = torch.eye(5)
    # the first token has nothing before it
    assert previous_token(attention).tolist() == [[1.0, 0.0]]


def test_prefix_matching_looks_behind_earlier_copies_and_nowhere_else():
    tokens = torch.tensor([[7, 3, 5, 7, 3]])
    behind = torch.zeros(1, 1, 3, 5, 5)
    # head 0 looks at what followed, head 1 at the copies, head 2 at itself
    behind[0, 0, 0, 3, 1] = behind[0, 0, 0, 4, 2] = 1
    behind[0, 0, 1, 3, 0] = behind[0, 0, 1, 4, 1] = 1
    behind[0, 0, 2] = torch.eye(5)
    assert prefix_matching(behind, tokens).tolist() == [[1.0, 0.0, 0.0]]
    with pytest.raises(ValueError, match="one that comes twice in a row, got none"):
        prefix_matching(behind, torch.arange(5)[None])


def test_a_head_in_doubt_shares_what_it_gives():
    tokens = torch.tensor([[4, 4, 4]])
    # both earlier copies count, and what follows the nearest is the token itself
    uniform = torch.ones(1, 1, 1, 3, 3).tril() / torch.tensor([1, 2, 3])[:, None]
    assert prefix_matching(uniform, tokens).item() == pytest.approx((1 / 2 + 2 / 3) / 2)


@torch.no_grad()
def test_without_heads_their_parts_of_the_sum_are_missing_and_afterwards_back():
    model, tokens = make(), texts()
    before = model.logits(tokens)
    with without(model, [(0, 1), (1, 2)]):
        gone = model.logits(tokens)
    assert torch.equal(model.logits(tokens), before)
    assert not torch.allclose(gone, before, atol=1e-2)
    # by hand: in each layer the columns that read its own head
    for layer, head in ((0, 1), (1, 2)):
        weight = model.transformer.blocks[layer].attention.out.weight
        weight[:, 16 * head : 16 * (head + 1)] = 0
    assert torch.allclose(model.logits(tokens), gone, atol=1e-5)


@torch.no_grad()
def test_without_all_heads_tokens_do_not_hear_of_each_other():
    model, tokens = make(), texts()
    other = tokens.clone()
    other[:, 0] = (tokens[:, 0] + 1) % 64
    heads = [(layer, head) for layer in range(2) for head in range(4)]
    with without(model.transformer, heads):
        assert torch.equal(model.logits(tokens)[:, 1:], model.logits(other)[:, 1:])
    assert not torch.allclose(
        model.logits(tokens)[:, 1:], model.logits(other)[:, 1:], atol=1e-3
    )


def test_a_failure_inside_puts_the_heads_back():
    model, tokens = make(), texts()
    before = model.logits(tokens)
    with pytest.raises(KeyError), without(model, [(0, 0)]):
        raise KeyError
    assert torch.equal(model.logits(tokens), before)


@torch.no_grad()
def test_importance_is_what_the_loss_grows_by_and_the_least_comes_first():
    model, tokens = make(), texts()
    batch = {"tokens": tokens, "mask": tokens >= 0}

    def loss():
        return model.loss(batch)["loss"].item()

    model.transformer.blocks[0].attention.out.weight[:, 16:32] = 0
    found, whole = importance(model, loss), loss()
    assert found.shape == (2, 4) and found[0, 1] == 0
    with without(model, [(1, 3)]):
        assert found[1, 3] == pytest.approx(loss() - whole, abs=1e-6)
    table = torch.tensor([[0.5, 0.1], [0.1, -0.2]])
    assert ranked(table) == [(1, 1), (0, 1), (1, 0), (0, 0)]


@pytest.mark.parametrize("head", [(2, 0), (0, 4), (-1, 0)])
def test_a_head_that_is_not_there_is_named(head):
    words = r"heads from \(0, 0\) to \(1, 3\), got"
    with pytest.raises(ValueError, match=words), without(make(), [head]):
        pass
