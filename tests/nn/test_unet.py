"""U-Nets: sizes of the papers, what is silent at the start, who reads which word."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.nn.unet import (
    Attention2d,
    NoisedTower,
    PatchUNetConfig,
    ResBlock,
    UNetConfig,
    norm,
)

SMALL = UNetConfig(widths=(16, 32), blocks=1, groups=8, head_width=16)
WORDS = replace(SMALL, context=12, step="scale", attention=(0, 1))
PATCHES = PatchUNetConfig(side=8, patch=2, widths=(16, 32), head_width=16)
READING = replace(PATCHES, context=12)
each = pytest.mark.parametrize("config", [SMALL, WORDS, PATCHES, READING])
each_reader = pytest.mark.parametrize("config", [WORDS, READING])


def loud(net):
    """Layers that begin at zero would hide what they do."""
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return net.eval()


def given(config, n=3, t=5):
    x = torch.randn(n, 3, 8, 8, generator=generator(0))
    step = torch.tensor([0, 7, 40])[:n]
    words = torch.randn(n, t, config.context or 1, generator=generator(1))
    mask = torch.arange(t) < torch.tensor([t, 2, 3])[:n, None]
    return (x, step, words, mask) if config.context else (x, step)


@each
def test_pictures_keep_their_shape_and_one_row_does_not_hear_of_another(config):
    net, parts = loud(config.build()), given(config)
    whole = net(*parts)
    assert whole.shape == parts[0].shape
    alone = torch.cat([net(*(part[i : i + 1] for part in parts)) for i in range(3)])
    assert torch.allclose(whole, alone, atol=1e-5)


@each
def test_every_parameter_is_used(config):
    net = loud(config.build())
    net(*given(config)).square().sum().backward()
    silent = [
        k for k, p in net.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert silent == []


@each
def test_the_step_is_heard(config):
    net, parts = loud(config.build()), list(given(config))
    one = net(*parts)
    parts[1] = parts[1] + 1
    assert (net(*parts) - one).flatten(1).abs().amax(1).min() > 1e-4


@each
def test_what_is_added_to_the_step_is_heard_by_its_row(config):
    net, parts = loud(config.build()), given(config)
    pooled = torch.zeros(3, net.time[-1].out_features)
    assert torch.equal(net(*parts, pooled=pooled), net(*parts))
    pooled[1] = 1
    moved = (net(*parts, pooled=pooled) - net(*parts)).flatten(1).abs().amax(1)
    assert moved[1] > 1e-3 and moved[[0, 2]].max() < 1e-5


def test_a_new_net_says_nothing_and_its_branches_let_all_through():
    torch.manual_seed(0)
    net = SMALL.build()
    assert not net(*given(SMALL)).any()
    x, e = torch.randn(2, 16, 4, 4), torch.randn(2, 9)
    for step in ("add", "scale"):
        block = ResBlock(16, 16, 9, step=step, groups=8)
        assert torch.equal(block(x, e), x)
    assert torch.equal(Attention2d(16, groups=8)(x), x)


def test_a_step_that_scales_also_shifts_and_one_that_is_added_comes_first():
    x, e = torch.randn(2, 8, 4, 4, generator=generator(0)), torch.zeros(2, 3)
    block = loud(ResBlock(8, 8, 3, step="scale", groups=2))
    y = block.norm2(block.conv1(F.silu(block.norm1(x))))
    scale, shift = block.step(F.silu(e))[..., None, None].chunk(2, 1)
    wanted = x + block.conv2(F.silu(y * (1 + scale) + shift))
    assert torch.allclose(block(x, e), wanted, atol=1e-6)
    assert scale.abs().min() > 1e-3 and shift.abs().min() > 1e-3
    block = loud(ResBlock(8, 8, 3, groups=2))
    y = block.conv1(F.silu(block.norm1(x))) + block.step(F.silu(e))[..., None, None]
    assert torch.allclose(
        block(x, e), x + block.conv2(F.silu(block.norm2(y))), atol=1e-6
    )


@each_reader
def test_padding_is_not_read_and_every_real_word_is(config):
    net, (x, step, words, mask) = loud(config.build()), given(config)
    whole = net(x, step, words, mask)
    other = torch.where(mask[..., None], words, 100.0)
    assert torch.allclose(net(x, step, other, mask), whole, atol=1e-5)
    # the wrong version: the mask upside down reads what stands in the padding
    upside = ~mask | (torch.arange(5) == 0)
    assert not torch.allclose(
        net(x, step, other, upside), net(x, step, words, upside), atol=1e-2
    )
    for i in range(2):
        changed = words.clone()
        changed[:, i] += 1
        moved = (net(x, step, changed, mask) - whole).flatten(1).abs().amax(1)
        assert (moved > 1e-4).all()


@each_reader
def test_words_are_read_as_a_set(config):
    """Order is the business of who makes the words."""
    net, (x, step, words, _) = loud(config.build()), given(config)
    turned = words[:, [3, 1, 4, 0, 2]]
    assert torch.allclose(net(x, step, words), net(x, step, turned), atol=1e-5)


def test_without_places_a_place_reads_words_only():
    layer = loud(Attention2d(16, context=12, places=False, groups=8))
    x = torch.randn(1, 16, 4, 4, generator=generator(0))
    words = torch.randn(1, 3, 12, generator=generator(1))
    # keys and values come from words: equal words give one answer to all places
    same = words[:, :1].expand(1, 3, 12)
    said = layer(x, same) - x
    assert torch.allclose(said, said[..., :1, :1].expand_as(said), atol=1e-5)
    full = loud(Attention2d(16, context=12, groups=8))
    said = full(x, same) - x
    assert not torch.allclose(said, said[..., :1, :1].expand_as(said), atol=1e-3)


def test_attention_is_a_softmax_over_words_and_places_said_once_more():
    layer = loud(Attention2d(8, head_width=4, context=6, groups=4))
    x = torch.randn(1, 8, 2, 2, generator=generator(0))
    words = torch.randn(1, 3, 6, generator=generator(1))
    y = layer.norm(x)[0].flatten(1).T
    q, k, v = layer.qkv(y).chunk(3, 1)
    kw, vw = layer.words(words[0]).chunk(2, 1)
    k, v = torch.cat([kw, k]), torch.cat([vw, v])
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weight = (q[:, part] @ k[:, part].T / 4**0.5).softmax(-1)
        assert weight.shape == (4, 7)
        heads.append(weight @ v[:, part])
    told = layer.out(torch.cat(heads, 1)).T.reshape(1, 8, 2, 2)
    assert torch.allclose(layer(x, words), x + told, atol=1e-6)


def test_what_was_seen_on_the_way_down_comes_back_in_reverse():
    config = replace(SMALL, widths=(8, 16, 24), blocks=2, groups=4, attention=())
    net = config.build()
    inward = [level.block.norm1.num_channels for level in net.up]
    # deepest first: 24 three times, and what each level had put aside
    assert inward == [
        24 + 24,
        24 + 24,
        24 + 16,
        24 + 16,
        16 + 16,
        16 + 8,
        16 + 8,
        16,
        16,
    ]
    assert len(net.down) == 6 and len(net.shrink) == len(net.grow) == 2


def test_ddpms_net_for_cifar_has_35_7_million_parameters():
    with torch.device("meta"):
        net = UNetConfig(dropout=0.1).build()
    count = sum(p.numel() for p in net.parameters())
    assert round(count / 1e6, 1) == 35.7


def test_groups_are_as_many_as_divide_the_width():
    assert [norm(w, 32).num_groups for w in (64, 48, 20, 7)] == [32, 24, 20, 7]
    assert norm(64, 8).num_groups == 8


def test_patches_come_back_where_they_were():
    """A change in one patch is seen there first, without attention and depth."""
    net = loud(replace(PATCHES, widths=(16,)).build())
    x = torch.zeros(1, 3, 8, 8, requires_grad=True)
    net(x, torch.zeros(1, dtype=torch.long))[0, 0, 0, 0].backward()
    near = x.grad[..., :2, :2].abs().mean()
    assert near > x.grad[..., 6:, 6:].abs().mean()


def test_a_tower_hears_of_the_step_only_when_its_branches_open():
    tower, step = NoisedTower(2, (16, 32)), torch.tensor([0, 40])
    one = torch.randn(1, 3, 8, 8, generator=generator(0)).expand(2, -1, -1, -1)
    early, late = tower(one, step)
    assert torch.allclose(early, late, atol=1e-6)
    early, late = loud(tower)(one, step)
    assert (early - late).abs().max() > 1e-2


def test_a_tower_sees_every_pixel_and_keeps_rows_apart():
    tower, step = loud(NoisedTower(2, (16, 32))), torch.tensor([0, 40])
    x = torch.randn(2, 3, 16, 16, generator=generator(0)).requires_grad_()
    last = []
    tower.norm.register_forward_hook(lambda _, __, y: last.append(F.silu(y)))
    found = tower(x, step)
    assert last[0].shape == (2, 32, 2, 2)
    assert torch.allclose(found, last[0].sum((2, 3)) / 4, atol=1e-6)
    found[0].sum().backward()
    assert (x.grad[0] != 0).all() and (x.grad[1] == 0).all()
