"""Same weights in, same numbers out: Stable Diffusion's two nets in diffusers."""

import pytest
import torch
from diffusers import AutoencoderKL as Their
from diffusers import UNet2DConditionModel

from mmdl_lib.core import generator
from mmdl_lib.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig
from mmdl_lib.models.latent_diffusion import TextUNetConfig
from tests.parity.conftest import rows_differ

NAMES = {"package": "diffusers", "reference": "diffusers"}
SLUG = "mmdl_lib.models.latent_diffusion"


def loosened(net):
    """Its random weights, none of them zero: what is silent would hide mistakes."""
    for p in net.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    return net.eval()


def give(ours, theirs):
    """Our weights to a layer of theirs; a 1 x 1 convolution may be a linear layer."""
    assert (ours.bias is None) == (theirs.bias is None)
    theirs.weight.data.copy_(ours.weight.reshape(theirs.weight.shape))
    if ours.bias is not None:
        theirs.bias.data.copy_(ours.bias)


def give_block(one, two):
    for name in ("norm1", "norm2", "conv1", "conv2"):
        give(getattr(one, name), getattr(two, name))
    if two.conv_shortcut is not None:
        give(one.skip, two.conv_shortcut)


def give_heads(one, two):
    """Queries, keys and values stand in one or two matrices of ours."""
    if one.crossed:
        parts = one.q.weight, *one.kv.weight.chunk(2)
    else:
        parts = one.qkv.weight.chunk(3)
    for part, layer in zip(parts, (two.to_q, two.to_k, two.to_v), strict=True):
        layer.weight.data.copy_(part)
    give(one.out, two.to_out[0])


def give_places(one, two):
    give(one.norm, two.group_norm)
    give_heads(one.attention, two)
    biases = one.attention.qkv.bias.chunk(3)
    for bias, layer in zip(biases, (two.to_q, two.to_k, two.to_v), strict=True):
        layer.bias.data.copy_(bias)


# the autoencoder


def autoencoders():
    torch.manual_seed(0)
    config = AutoencoderKLConfig(image_size=16, widths=(8, 16, 24), blocks=2, groups=4)
    ours = loosened(AutoencoderKL(config))
    theirs = Their(
        block_out_channels=(8, 16, 24),
        layers_per_block=2,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
    ).eval()
    give_side(list(ours.encoder), theirs.encoder, theirs.encoder.down_blocks, down=True)
    give(ours.encoder[-1], theirs.quant_conv)
    give(ours.decoder[0], theirs.post_quant_conv)
    give_side(list(ours.decoder)[1:], theirs.decoder, theirs.decoder.up_blocks)
    return ours, theirs


def give_side(layers, theirs, blocks, *, down=False):
    """Walk through both in the order of computing."""
    mine = iter([x for x in layers if not isinstance(x, torch.nn.SiLU)])
    give(next(mine), theirs.conv_in)

    def middle():
        give_block(next(mine), theirs.mid_block.resnets[0])
        give_places(next(mine), theirs.mid_block.attentions[0])
        give_block(next(mine), theirs.mid_block.resnets[1])

    if not down:
        middle()
    for block in blocks:
        for resnet in block.resnets:
            give_block(next(mine), resnet)
        if down and block.downsamplers:
            give(next(mine).conv, block.downsamplers[0].conv)
        if not down and block.upsamplers:
            assert isinstance(next(mine), torch.nn.Upsample)
            give(next(mine), block.upsamplers[0].conv)
    if down:
        middle()
    give(next(mine), theirs.conv_norm_out)
    give(next(mine), theirs.conv_out)


@torch.no_grad()
def test_diffusers_agrees_on_the_first_stage(agree):
    ours, theirs = autoencoders()
    image = torch.rand(3, 3, 16, 16, generator=generator(1)) * 2 - 1
    names = NAMES | {"ours": "mmdl_lib.models.autoencoder_kl.AutoencoderKL"}
    z, other = ours.encode(image), theirs.encode(image).latent_dist
    assert rows_differ(z)
    agree("first stage, means", z, other.mean, tolerance=2e-5, **names)
    latent, _ = ours.posterior(image)
    found = latent.log_var, other.logvar.flatten(1)
    agree("first stage, log variances", *found, tolerance=2e-5, **names)
    agree(
        "first stage, KL of a picture",
        latent.kl().sum(1),
        other.kl(),
        tolerance=2e-3,
        **names,
    )
    back = ours.decode(z), theirs.decode(z).sample
    agree("first stage, pictures", *back, tolerance=5e-5, **names)


@torch.no_grad()
def test_without_zeros_right_and_below_the_means_differ():
    ours, theirs = autoencoders()
    for layer in ours.encoder:
        if type(layer).__name__ == "Shrink":
            layer.forward = lambda x, c=layer.conv: torch.nn.functional.conv2d(
                x, c.weight, c.bias, stride=2, padding=1
            )
    image = torch.rand(3, 3, 16, 16, generator=generator(1)) * 2 - 1
    apart = ours.encode(image) - theirs.encode(image).latent_dist.mean
    assert apart.abs().max() > 1e-2


# the net


def give_transformer(one, two):
    give(one.norm, two.norm)
    give(one.inward, two.proj_in)
    give(one.out, two.proj_out)
    (block,) = two.transformer_blocks
    for mine, their in zip(
        one.norms, (block.norm1, block.norm2, block.norm3), strict=True
    ):
        give(mine, their)
    give_heads(one.own, block.attn1)
    give_heads(one.words, block.attn2)
    give(one.gated, block.ff.net[0].proj)
    give(one.narrow, block.ff.net[2])


def give_level(one, resnet, attention):
    give_block(one.block, resnet)
    give(one.block.step, resnet.time_emb_proj)
    assert (one.attention is None) == (attention is None)
    if attention is not None:
        give_transformer(one.attention, attention)


def unets(heads=2):
    torch.manual_seed(0)
    config = TextUNetConfig(
        widths=(8, 16, 24), blocks=2, attention=(0, 1), context=6, heads=heads, groups=4
    )
    ours = loosened(config.build())
    theirs = UNet2DConditionModel(
        block_out_channels=(8, 16, 24),
        layers_per_block=2,
        norm_num_groups=4,
        cross_attention_dim=6,
        attention_head_dim=heads,  # the number of heads, whatever it is called
        down_block_types=("CrossAttnDownBlock2D",) * 2 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 2,
    ).eval()
    give(ours.first, theirs.conv_in)
    first = theirs.time_embedding.linear_1
    give(ours.time[0], first)
    first.weight.data.copy_(torch.cat(ours.time[0].weight.chunk(2, 1)[::-1], 1))
    give(ours.time[2], theirs.time_embedding.linear_2)
    down, up, grow = iter(ours.down), iter(ours.up), iter(ours.grow)
    for i, block in enumerate(theirs.down_blocks):
        for j, resnet in enumerate(block.resnets):
            give_level(next(down), resnet, attention_of(block, j))
        if block.downsamplers:
            give(ours.shrink[i], block.downsamplers[0].conv)
    middle = theirs.mid_block
    give_level(ours.middle[0], middle.resnets[0], middle.attentions[0])
    give_level(ours.middle[1], middle.resnets[1], None)
    for block in theirs.up_blocks:
        for j, resnet in enumerate(block.resnets):
            give_level(next(up), resnet, attention_of(block, j))
        if block.upsamplers:
            give(next(grow), block.upsamplers[0].conv)
    give(ours.norm, theirs.conv_norm_out)
    give(ours.last, theirs.conv_out)
    return ours, theirs


def attention_of(block, j):
    found = getattr(block, "attentions", None)
    return found[j] if found is not None else None


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2])
def test_diffusers_agrees_on_the_net_that_reads_words(agree, heads):
    ours, theirs = unets(heads)
    random = {"generator": generator(1)}
    x, words = torch.randn(3, 4, 16, 16, **random), torch.randn(3, 5, 6, **random)
    step = torch.tensor([0, 7, 901])
    mine = ours(x, step, words)
    assert rows_differ(mine)
    names = NAMES | {"ours": f"{SLUG}.TextUNet"}
    other = theirs(x, step, words).sample
    agree("net, what it says", mine, other, tolerance=5e-5, **names)
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]).bool()
    mine = ours(x, step, words, real)
    other = theirs(x, step, words, encoder_attention_mask=real).sample
    agree("net, with padding masked", mine, other, tolerance=5e-5, **names)


def test_at_full_size_the_counts_are_those_of_stable_diffusion_1():
    with torch.device("meta"):
        ours = TextUNetConfig().build()
        theirs = UNet2DConditionModel(cross_attention_dim=768)
        first = AutoencoderKL.from_preset("SD")
        other = Their(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
    count = {net: sum(p.numel() for p in net.parameters()) for net in (ours, theirs)}
    assert count[ours] == count[theirs] == 859_520_964
    pair = [sum(p.numel() for p in net.parameters()) for net in (first, other)]
    assert pair[0] - 1 == pair[1] == 83_653_863  # ours learns the pixels' variance
