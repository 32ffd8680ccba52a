"""Attention: closed forms, who sees whom, caches, and errors."""

import pytest
import torch
from einops import rearrange
from torch import nn

from mmdl_lib.core import generator, seeded
from mmdl_lib.nn import Cache, MultiHeadAttention, RelativeBias, Rotary


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def prefix(lengths, n):
    """Masks whose first positions are real."""
    return torch.arange(n) < torch.tensor(lengths)[:, None]


def mixed(attention, x, *args, **kwargs):
    """What the layer must return, from its own weights: out(weights v)."""
    source = kwargs.get("memory", x)
    fused = attention.kv if attention.crossed else attention.qkv
    v = fused(source).chunk(2 if attention.crossed else 3, -1)[-1]
    v = rearrange(v, "b m (h d) -> b h m d", h=attention.heads)
    y = attention.weights(x, *args, **kwargs) @ v
    return attention.out(rearrange(y, "b h n d -> b n (h d)"))


HOLES = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
EACH = torch.rand(3, 5, 5, generator=generator(9)) < 0.5
CASES = {
    "all": {},
    "holes": {"mask": HOLES},
    "causal": {"causal": True},
    "causal with holes": {"mask": HOLES, "causal": True},
    "a mask for each query": {"mask": EACH},
    "relative": {"relative": noise(1, 2, 5, 5, seed=8)},
    "all of it": {
        "mask": HOLES,
        "causal": True,
        "relative": noise(3, 2, 5, 5, seed=8),
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("options", [{}, {"scale": 1.0}, {"head_width": 3}])
def test_the_output_is_mixed_with_the_very_weights_that_are_shown(case, options):
    attention = MultiHeadAttention(8, 2, **options)
    x = noise(3, 5, 8)
    assert torch.allclose(attention(x, **case), mixed(attention, x, **case), atol=1e-6)


@pytest.mark.parametrize("mask", [None, HOLES, EACH[:, :4]], ids=["all", "2", "3"])
def test_cross_attention_mixes_with_its_weights_too(mask):
    attention = MultiHeadAttention(8, 2, memory_width=6)
    x, memory = noise(3, 4, 8), noise(3, 5, 6, seed=1)
    found = attention(x, mask, memory=memory)
    expected = mixed(attention, x, mask, memory=memory)
    assert torch.allclose(found, expected, atol=1e-6)
    assert attention.weights(x, mask, memory=memory).shape == (3, 2, 4, 5)


def test_weights_are_a_softmax_of_scaled_products():
    attention = MultiHeadAttention(4, 1)
    with torch.no_grad():
        attention.qkv.weight.copy_(torch.eye(4).repeat(3, 1))
        attention.qkv.bias.zero_()
    x = torch.tensor([[[2.0, 0, 0, 0], [0, 2, 0, 0]]])
    # products 4 and 0, divided by sqrt(4)
    own = 1 / (1 + torch.tensor(-2.0).exp())
    expected = torch.stack([torch.stack([own, 1 - own]), torch.stack([1 - own, own])])
    assert torch.allclose(attention.weights(x)[0, 0], expected)


def test_hidden_keys_get_no_weight_and_the_others_share_one():
    x = noise(3, 5, 16, seed=1)
    weights = MultiHeadAttention(16, 2).weights(x, HOLES, causal=True)
    assert torch.equal(weights, weights.tril())
    assert not weights[:, :, :, ~HOLES[0]][0].any()
    seen = (HOLES[:, None] & torch.ones(5, 5).bool().tril()).any(-1)
    assert torch.allclose(weights.sum(-1), seen[:, None].float().expand(3, 2, 5))


def test_a_causal_row_with_a_mask_sees_the_real_past_only():
    attention, x = MultiHeadAttention(16, 2), noise(3, 5, 16)
    seen = attention.weights(x, HOLES, causal=True) > 0
    expected = HOLES[:, None, None, :] & torch.ones(5, 5).bool().tril()
    assert torch.equal(seen, expected.expand(3, 2, 5, 5))


@pytest.mark.parametrize("options", [{}, {"relative": noise(1, 2, 4, 4)}])
def test_a_row_of_padding_only_gives_finite_numbers_and_gradients(options):
    attention = MultiHeadAttention(8, 2)
    x, mask = noise(2, 4, 8).requires_grad_(), torch.zeros(2, 4).bool()
    assert not attention.weights(x, mask, **options).any()
    y = attention(x, mask, **options)
    assert torch.allclose(y, attention.out.bias.expand(2, 4, 8))
    (y.sum() + attention.weights(x, mask, **options).square().sum()).backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in attention.parameters())


def test_left_padding_and_right_padding_give_the_same():
    attention, x = MultiHeadAttention(8, 2), noise(1, 3, 8)
    left = torch.cat([noise(1, 2, 8, seed=5), x], 1)
    right = torch.cat([x, noise(1, 2, 8, seed=6)], 1)
    expected = attention(x)
    assert torch.allclose(
        attention(left, prefix([2], 5).logical_not())[:, 2:], expected, atol=1e-6
    )
    assert torch.allclose(attention(right, prefix([3], 5))[:, :3], expected, atol=1e-6)


KINDS = {"plain": {}, "rotary": {"rotary": Rotary()}}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("cuts", [[1] * 6, [3, 1, 2], [6]])
def test_a_cache_gives_what_the_whole_sequence_gives(options, cuts):
    attention, x = MultiHeadAttention(8, 2, **options), noise(2, 6, 8)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1]]).bool()
    for real in (None, mask):
        whole = attention(x, real, causal=True)
        cache, parts, start = Cache(), [], 0
        for n in cuts:
            piece = slice(start, start + n)
            now = None if real is None else real[:, piece]
            parts.append(attention(x[:, piece], now, causal=True, cache=cache))
            start += n
        assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)
        assert len(cache) == 6


def test_a_relative_bias_works_with_a_cache():
    attention, x = MultiHeadAttention(8, 2, scale=1.0), noise(2, 6, 8)
    bias = RelativeBias(2, both_sides=False)
    whole = attention(x, causal=True, relative=bias(6, 6))
    cache = Cache()
    attention(x[:, :4], causal=True, relative=bias(4, 4), cache=cache)
    for i in (4, 5):
        y = attention(
            x[:, i : i + 1], causal=True, relative=bias(1, i + 1), cache=cache
        )
        assert torch.allclose(y[:, 0], whole[:, i], atol=1e-6)


def test_a_mask_that_begins_late_is_remembered_by_the_cache():
    attention, x = MultiHeadAttention(8, 2), noise(2, 4, 8)
    mask = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1]]).bool()
    cache = Cache()
    attention(x[:, :2], causal=True, cache=cache)
    attention(x[:, 2:3], mask[:, 2:3], causal=True, cache=cache)
    y = attention(x[:, 3:], causal=True, cache=cache)
    assert torch.allclose(y, attention(x, mask, causal=True)[:, 3:], atol=1e-6)


def test_cross_attention_computes_the_memory_once():
    attention = MultiHeadAttention(8, 2, memory_width=6)
    x, memory, mask = noise(2, 3, 8), noise(2, 5, 6, seed=1), HOLES[:2]
    cache, calls = Cache(), []
    attention.kv.register_forward_hook(lambda *_: calls.append(1))
    parts = [
        attention(x[:, i : i + 1], mask, memory=memory, cache=cache) for i in range(3)
    ]
    assert len(calls) == 1 and len(cache) == 5
    whole = attention(x, mask, memory=memory)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)


def test_selected_rows_of_a_cache_go_on_alone():
    attention, x = MultiHeadAttention(8, 2), noise(3, 4, 8)
    rows, cache = torch.tensor([2, 0, 0, 1]), Cache()
    attention(x[:, :3], HOLES[:, :3], causal=True, cache=cache)
    chosen = cache.select(rows)
    y = attention(x[rows, 3:], causal=True, cache=chosen)
    mask = torch.cat([HOLES[:, :3], torch.ones(3, 1).bool()], 1)
    whole = attention(x, mask, causal=True)[rows, 3:]
    assert torch.allclose(y, whole, atol=1e-6)
    assert (len(cache), len(chosen), len(Cache().select(rows))) == (3, 4, 0)


def test_dropout_acts_on_the_weights_in_training_only():
    attention = MultiHeadAttention(4, 1, dropout=0.25)
    # all values are one, so each output channel is the sum of the weights that stay
    with torch.no_grad():
        attention.qkv.weight.zero_()
        attention.qkv.bias.copy_(torch.tensor([0.0] * 8 + [1.0] * 4))
        attention.out.weight.copy_(torch.eye(4))
        attention.out.bias.zero_()
    x = noise(64, 50, 4)
    assert torch.allclose(attention.eval()(x), torch.ones(64, 50, 4))
    with seeded(generator(0)):
        y = attention.train()(x)[..., 0]
    # 3,200 sums of 50 draws of 1 / 0.75 / 50 with probability 0.75; 5 standard errors
    spread = (0.25 / 0.75 / 50) ** 0.5
    assert abs(y.mean() - 1) < 5 * spread / 3200**0.5
    assert abs(y.std() - spread) < 5 * spread / (2 * 3200) ** 0.5
    with seeded(generator(0)):
        assert torch.equal(attention(x)[..., 0], y)
    assert torch.allclose(attention.weights(x).sum(-1), torch.ones(64, 1, 50))


@pytest.mark.parametrize("memory_width", [None, 12])
def test_each_projection_can_be_drawn_by_itself(memory_width):
    attention = MultiHeadAttention(16, 2, memory_width=memory_width)
    with seeded(generator(0)):
        for weight in attention.projections():
            nn.init.xavier_uniform_(weight)
    width = memory_width or 16
    q, k, v, out = attention.projections()
    assert [w.shape for w in (q, k, v, out)] == [(16, 16), *[(16, width)] * 2, (16, 16)]
    for weight, inputs in ((q, 16), (k, width), (v, width), (out, 16)):
        bound = (6 / (16 + inputs)) ** 0.5
        assert 0.95 * bound < weight.abs().max() <= bound
    used = (attention.q, attention.kv) if memory_width else (attention.qkv,)
    assert torch.equal(torch.cat([layer.weight for layer in used[-1:]])[-16:], v)
    assert attention.out.weight.data_ptr() == out.data_ptr()


def test_without_bias_there_is_none():
    for kind in ({}, {"memory_width": 8}):
        names = dict(MultiHeadAttention(8, 2, bias=False, **kind).named_parameters())
        assert not any("bias" in name for name in names)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="a width that 3 heads divide, got 16"):
        MultiHeadAttention(16, 3)
    assert MultiHeadAttention(16, 3, head_width=4).out.weight.shape == (16, 12)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (HOLES.long(), "mask expected bool, got"),
        (HOLES.float(), "mask expected bool, got"),
        (HOLES[:, :4], r"mask expected shape \(3, 5\) or \(3, ., 5\), got \(3, 4\)"),
        (HOLES[0], r"mask expected shape \(3, 5\) or \(3, ., 5\), got \(5,\)"),
    ],
)
def test_a_mask_is_bool_and_fits(wrong, words):
    attention, x = MultiHeadAttention(8, 2), noise(3, 5, 8)
    for method in (attention, attention.weights):
        with pytest.raises(ValueError, match=words):
            method(x, wrong)
    cross = MultiHeadAttention(8, 2, memory_width=8)
    with pytest.raises(ValueError, match=words):
        cross(x[:, :2], wrong, memory=x)


def test_a_cache_takes_no_mask_for_each_query():
    with pytest.raises(ValueError, match=r"shape \(3, 5\), got \(3, 5, 5\)"):
        MultiHeadAttention(8, 2)(noise(3, 5, 8), EACH, cache=Cache())


def test_a_memory_is_given_where_it_is_read():
    x = noise(3, 5, 8)
    with pytest.raises(ValueError, match="expected no memory, got one"):
        MultiHeadAttention(8, 2)(x, memory=x)
    cross = MultiHeadAttention(8, 2, memory_width=8)
    with pytest.raises(ValueError, match="expected a memory, got none"):
        cross(x)
    with pytest.raises(ValueError, match="expected causal=False in cross-attention"):
        cross(x, memory=x, causal=True)
