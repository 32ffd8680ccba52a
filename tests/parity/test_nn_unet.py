"""Same weights in, same numbers out: diffusers' U-Net, and its attention with words."""

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention, AttnAddedKVProcessor2_0

from mmdl_lib.core import generator
from mmdl_lib.nn.unet import Attention2d, UNetConfig

SIZES = {
    "DDPM": UNetConfig(widths=(16, 32, 32), blocks=2, attention=(1,), groups=8),
    "ADM": UNetConfig(
        widths=(16, 32), blocks=1, attention=(0, 1), groups=8, head_width=8,
        step="scale",
    ),
}  # fmt: skip


def shake(net):
    for parameter in net.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return net.eval()


def peer_of(config):
    levels = range(len(config.widths))
    down = [
        "AttnDownBlock2D" if i in config.attention else "DownBlock2D" for i in levels
    ]
    return UNet2DModel(
        in_channels=config.inputs,
        out_channels=config.outputs,
        block_out_channels=config.widths,
        layers_per_block=config.blocks,
        down_block_types=down,
        up_block_types=[name.replace("Down", "Up") for name in reversed(down)],
        attention_head_dim=config.head_width,
        norm_num_groups=config.groups,
        attn_norm_num_groups=config.groups,  # else none in the middle of ADM's
        resnet_time_scale_shift="scale_shift" if config.step == "scale" else "default",
        flip_sin_to_cos=False,
        freq_shift=0,
    ).eval()


def copy(ours, theirs):
    theirs.load_state_dict(ours.state_dict())


def copy_level(level, block, attention):
    for one, two in (
        (level.block.norm1, block.norm1),
        (level.block.conv1, block.conv1),
        (level.block.step, block.time_emb_proj),
        (level.block.norm2, block.norm2),
        (level.block.conv2, block.conv2),
    ):
        copy(one, two)
    if block.conv_shortcut is not None:
        copy(level.block.skip, block.conv_shortcut)
    if attention is not None:
        copy_attention(level.attention, attention)


def copy_attention(one, two):
    copy(one.norm, two.group_norm)
    copy(one.out, two.to_out[0])
    parts = [one.qkv.weight.chunk(3), one.qkv.bias.chunk(3)]
    for weight, bias, linear in zip(
        *parts, (two.to_q, two.to_k, two.to_v), strict=True
    ):
        linear.weight.data.copy_(weight)
        linear.bias.data.copy_(bias)


def layers(blocks):
    """Residual blocks and attention of their levels, in order."""
    for block in blocks:
        attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
        yield from zip(block.resnets, attentions, strict=True)


def copied(config):
    torch.manual_seed(0)
    ours, theirs = shake(config.build()), peer_of(config)
    copy(ours.first, theirs.conv_in)
    copy(ours.time[0], theirs.time_embedding.linear_1)
    copy(ours.time[2], theirs.time_embedding.linear_2)
    middle = theirs.mid_block
    pairs = [*zip(ours.down, layers(theirs.down_blocks), strict=True)]
    pairs += zip(ours.up, layers(theirs.up_blocks), strict=True)
    pairs += zip(
        ours.middle,
        zip(middle.resnets, [*middle.attentions, None], strict=True),
        strict=True,
    )
    for level, (block, attention) in pairs:
        copy_level(level, block, attention)
    for one, two in zip(ours.shrink, theirs.down_blocks, strict=False):
        copy(one, two.downsamplers[0].conv)
    for one, two in zip(ours.grow, theirs.up_blocks, strict=False):
        copy(one, two.upsamplers[0].conv)
    copy(ours.norm, theirs.conv_norm_out)
    copy(ours.last, theirs.conv_out)
    return ours, theirs


def given():
    x = torch.randn(3, 3, 16, 16, generator=generator(0))
    return x, torch.tensor([0, 17, 900])


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_diffusers_agrees_on_what_the_net_says(agree, name):
    ours, theirs = copied(SIZES[name])
    x, step = given()
    said = theirs(x, step).sample
    names = {"ours": "mmdl_lib.nn.unet.UNet", "package": "diffusers"}
    names["reference"] = "diffusers UNet2DModel"
    assert said.flatten(1).std(0).mean() > 0.1
    agree(f"{name}'s U-Net", ours(x, step), said, tolerance=1e-4, **names)


@torch.no_grad()
def test_every_layer_of_theirs_is_written_over():
    _, theirs = copied(SIZES["DDPM"])
    ours = sum(p.numel() for p in SIZES["DDPM"].build().parameters())
    assert sum(p.numel() for p in theirs.parameters()) == ours


@torch.no_grad()
def test_with_the_step_added_where_it_should_scale_the_nets_differ():
    ours, theirs = copied(SIZES["DDPM"])
    x, step = given()
    assert not torch.allclose(ours(x, step + 1), theirs(x, step).sample, atol=1e-3)
    with torch.device("meta"):
        scaled = replace(SIZES["DDPM"], step="scale").build()
    assert sum(p.numel() for p in scaled.parameters()) > sum(
        p.numel() for p in ours.parameters()
    )


@pytest.mark.parametrize("places", [True, False])
@torch.no_grad()
def test_diffusers_agrees_on_attention_with_words_among_the_keys(agree, places):
    torch.manual_seed(0)
    ours = shake(Attention2d(16, head_width=8, context=12, places=places, groups=8))
    theirs = Attention(
        16,
        heads=2,
        dim_head=8,
        added_kv_proj_dim=12,
        norm_num_groups=8,
        bias=True,
        eps=1e-5,
        only_cross_attention=not places,
        processor=AttnAddedKVProcessor2_0(),
    ).eval()
    copy(ours.norm, theirs.group_norm)
    copy(ours.out, theirs.to_out[0])
    linears = [theirs.to_q] + ([theirs.to_k, theirs.to_v] if places else [])
    parts = [
        (p.weight.chunk(len(linears)), p.bias.chunk(len(linears)), linears)
        for p in [ours.qkv]
    ]
    words = [theirs.add_k_proj, theirs.add_v_proj]
    parts.append((ours.words.weight.chunk(2), ours.words.bias.chunk(2), words))
    for weights, biases, targets in parts:
        for weight, bias, linear in zip(weights, biases, targets, strict=True):
            linear.weight.data.copy_(weight)
            linear.bias.data.copy_(bias)
    x = torch.randn(3, 16, 4, 4, generator=generator(0))
    words = torch.randn(3, 5, 12, generator=generator(1))
    wanted = theirs(x, encoder_hidden_states=words)
    names = {"ours": "mmdl_lib.nn.unet.Attention2d", "package": "diffusers"}
    names["reference"] = "diffusers AttnAddedKVProcessor2_0"
    agree("attention with words", ours(x, words), wanted, tolerance=1e-5, **names)
