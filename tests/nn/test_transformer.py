"""Pre- and post-norm blocks: who sees whom, dropout, caches, errors."""

import pytest
import torch

from mmdl_lib.core import generator, seeded
from mmdl_lib.nn import Block, PostNormBlock, Transformer, quick_gelu

BLOCKS = [Block, PostNormBlock]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def decoder(block, **options):
    """A stack that reads a memory of six channels."""
    with seeded(generator(3)):
        return Transformer(16, 2, 2, block=block, memory_width=6, **options)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_stack_does_not_see_masked_positions_nor_the_future(block):
    model, x, memory = decoder(block), noise(2, 6, 16), noise(2, 5, 6, seed=1)
    other, changed = x.clone(), memory.clone()
    other[:, 4:] += 1
    changed[:, 3:] += 1
    mask, real = torch.arange(6).expand(2, 6) < 4, torch.arange(5).expand(2, 5) < 3
    pairs = {"mask": mask, "memory_mask": real}
    one = model(x, memory=memory, **pairs)[:, :4]
    assert torch.allclose(one, model(other, memory=changed, **pairs)[:, :4], atol=1e-6)
    one = model(x, memory=memory, causal=True)[:, :4]
    two = model(other, memory=memory, causal=True)[:, :4]
    assert torch.allclose(one, two, atol=1e-6)
    seen = model(x, memory=changed, causal=True)[:, :4]
    assert not torch.allclose(one, seen, atol=1e-2)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_stack_with_caches_gives_what_it_gives_without(block):
    model, x, memory = decoder(block), noise(2, 6, 16), noise(2, 5, 6, seed=1)
    mask = torch.tensor([[0, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1]]).bool()
    options = {"memory": memory, "memory_mask": torch.arange(5).expand(2, 5) < 4}
    whole = model(x, mask, causal=True, **options)
    cache, parts = model.new_cache(), []
    for cut in (slice(0, 3), slice(3, 4), slice(4, 6)):
        y = model(x[:, cut], mask[:, cut], causal=True, cache=cache, **options)
        parts.append(y)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)
    assert [(len(c.past), len(c.memory)) for c in cache] == [(6, 5), (6, 5)]


def test_a_block_with_everything_dropped_is_its_skip_path():
    x, memory = noise(2, 5, 16), noise(2, 4, 6)
    pre = Block(16, 2, memory_width=6, dropout=1.0)
    assert torch.equal(pre(x, memory=memory), x)
    post = PostNormBlock(16, 2, memory_width=6, dropout=1.0)
    for norm in (post.norm1, post.norm_cross, post.norm2):
        torch.nn.init.normal_(norm.weight)
    expected = post.norm2(post.norm_cross(post.norm1(x)))
    assert torch.equal(post(x, memory=memory), expected)
    assert not torch.equal(pre.eval()(x, memory=memory), x)


@pytest.mark.parametrize("block", BLOCKS)
def test_dropout_reaches_all_attention_and_is_off_in_evaluation(block):
    model, x = decoder(block, dropout=0.3), noise(2, 5, 16)
    assert all(b.attention.dropout == b.cross.dropout == 0.3 for b in model.blocks)
    assert all(b.drop.p == 0.3 for b in model.blocks)
    memory = noise(2, 4, 6)
    model.eval()
    assert torch.equal(model(x, memory=memory), model(x, memory=memory))
    model.train()
    found = []
    for seed in (0, 0, 1):
        with seeded(generator(seed)):
            found.append(model(x, memory=memory))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_post_norm_stack_ends_in_a_norm_and_a_pre_norm_stack_does_not():
    x = 3 * noise(2, 5, 16)
    post = Transformer(16, 2, 2, block=PostNormBlock)(x)
    assert torch.allclose(post.mean(-1), torch.zeros(2, 5), atol=1e-5)
    assert torch.allclose(post.std(-1, correction=0), torch.ones(2, 5), atol=1e-3)
    pre = Transformer(16, 2, 2)(x)
    assert (pre.std(-1, correction=0) - 1).abs().min() > 0.1


@pytest.mark.parametrize("block", BLOCKS)
def test_a_memory_is_given_where_it_is_read(block):
    x = noise(2, 5, 16)
    with pytest.raises(ValueError, match="expected no memory, got one"):
        Transformer(16, 1, 2, block=block)(x, memory=x)
    with pytest.raises(ValueError, match="expected a memory, got none"):
        Transformer(16, 1, 2, block=block, memory_width=16)(x)


def test_quick_gelu_is_near_gelu_but_not_equal():
    x = torch.linspace(-4, 4, 801)
    gap = (quick_gelu(x) - torch.nn.functional.gelu(x)).abs().max()
    assert 0.015 < gap < 0.025
    assert torch.isclose(
        quick_gelu(torch.tensor(1.0)), torch.tensor(0.84579), atol=1e-5
    )
