"""ViT: patches, positions, attention, other resolutions, the border."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.models import vit
from mmdl_lib.models.vit import ViT, attention_distance, interpolate, patches, rollout
from mmdl_lib.record import results


def make(preset="tiny"):
    torch.manual_seed(0)
    return ViT.from_preset(preset).eval()


def pictures(h=32, w=32, seed=1):
    return torch.rand(3, 3, h, w, generator=generator(seed)) * 2 - 1


def test_patches_lie_in_reading_order_and_lose_nothing():
    image = torch.arange(2 * 3 * 8 * 12.0).view(2, 3, 8, 12)
    x = patches(image, 4)
    assert x.shape == (2, 2 * 3, 3 * 4 * 4)
    # the fourth patch is the first of the second row
    assert torch.equal(x[1, 3].view(3, 4, 4), image[1, :, 4:8, 0:4])
    assert torch.equal(x[1, 2].view(3, 4, 4), image[1, :, 0:4, 8:12])


def test_the_projection_of_patches_is_a_convolution_with_its_stride():
    model, image = make(), pictures()
    kernel = model.projection.weight.view(64, 3, 4, 4)
    found = F.conv2d(image, kernel, model.projection.bias, stride=4)
    expected = found.flatten(2).transpose(1, 2)
    assert torch.allclose(
        model.projection(patches(image, 4)), expected, rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
def test_equations_1_to_4_written_out_give_the_same_numbers():
    model, image = make(), pictures()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator(2))
    x = model.projection(patches(image, 4))
    z = torch.cat([model.class_token.expand(3, 1, 64), x], 1) + model.positions.table

    def norm(x, layer):
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        return (x - mean) / (var + 1e-6).sqrt() * layer.weight + layer.bias

    for block in model.transformer.blocks:
        qkv = block.attention.qkv(norm(z, block.norm1))
        q, k, v = qkv.view(3, 65, 3, 4, 16).permute(2, 0, 3, 1, 4)
        heads = (q @ k.transpose(-1, -2) / 16**0.5).softmax(-1) @ v
        z = z + block.attention.out(heads.transpose(1, 2).reshape(3, 65, 64))
        z = z + block.fc2(F.gelu(block.fc1(norm(z, block.norm2))))
    y = norm(z[:, 0], model.norm)
    assert torch.allclose(model.encode_image(image), y, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "tokens"), [("B/16", 197), ("B/32", 50), ("L/32", 50), ("H/14", 257)]
)
def test_the_number_of_tokens_is_hw_over_p_squared_and_one(preset, tokens):
    with torch.device("meta"):
        model = ViT.from_preset(preset)
        found = model.hidden(torch.zeros(1, 3, 224, 224))
    assert found.shape == (1, tokens, model.config.width)


def cost(name, size=224):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        ViT.from_preset(name)(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2


def test_the_cost_is_the_closed_form():
    n, d = 197, 768
    block = 12 * n * d**2 + 2 * n**2 * d
    expected = 12 * block + (n - 1) * 768 * d + d * 1000
    assert cost("B/16") == pytest.approx(expected, rel=1e-6)


@torch.no_grad()
def test_without_positions_the_order_of_patches_means_nothing_and_with_them_it_does():
    order = torch.randperm(64, generator=generator(3))
    image = pictures()
    cut = patches(image, 4)[:, order].view(3, 8, 8, 3, 4, 4)
    mixed = cut.permute(0, 3, 1, 4, 2, 5).reshape(3, 3, 32, 32)
    assert torch.equal(patches(mixed, 4), patches(image, 4)[:, order])
    blind, tiny = make("tiny-none"), make()
    assert torch.allclose(blind(mixed), blind(image), atol=1e-5)
    assert not torch.allclose(tiny(mixed), tiny(image), atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["tiny", "tiny-mean", "tiny-2d"])
def test_attention_rows_are_shares_and_show_what_the_model_uses(preset):
    model, image = make(preset), pictures()
    found = model.attention(image)
    n = 64 + (preset != "tiny-mean")
    assert found.shape == (3, 4, 4, n, n)
    assert torch.allclose(found.sum(-1), torch.ones(3, 4, 4, n), atol=1e-5)
    # the last layer's weights, times its values, give the last layer's output
    x = model.embed(image)
    for block in model.transformer.blocks[:-1]:
        x = block(x)
    last = model.transformer.blocks[-1]
    v = last.attention.qkv(last.norm1(x))[..., 128:].view(3, n, 4, 16).transpose(1, 2)
    mixed = (found[:, -1] @ v).transpose(1, 2).reshape(3, n, 64)
    expected = last.attention(last.norm1(x))
    assert torch.allclose(last.attention.out(mixed), expected, atol=1e-5)


def test_rollout_multiplies_layers_from_the_first_to_the_last():
    g = generator(4)
    attention = torch.rand(2, 3, 2, 5, 5, generator=g).softmax(-1)
    found = rollout(attention)
    assert torch.allclose(found.sum(-1), torch.ones(2, 5), atol=1e-6)
    a, b, c = (attention.mean(2)[0, i] / 2 + torch.eye(5) / 2 for i in range(3))
    assert torch.allclose(found[0], c @ b @ a, atol=1e-6)
    one = torch.eye(5).expand(2, 3, 2, 5, 5)
    assert torch.equal(rollout(one), torch.eye(5).expand(2, 5, 5))


def test_attention_distance_in_closed_form():
    still = torch.eye(13).expand(2, 1, 3, 13, 13)
    assert torch.allclose(attention_distance(still, (3, 4), 8), torch.zeros(1, 3))
    # each patch looks at the one to its right, the last column one to its left
    place = torch.arange(12)
    target = torch.where(place % 4 < 3, place + 1, place - 1)
    step = F.one_hot(target, 12).float().expand(2, 1, 3, 12, 12)
    assert torch.allclose(attention_distance(step, (3, 4), 8), torch.full((1, 3), 8.0))
    down = F.one_hot((place + 4) % 12, 12).float().expand(2, 1, 3, 12, 12)
    # two of three rows go down one, the last one goes up two
    expected = torch.full((1, 3), 8 * 4 / 3)
    assert torch.allclose(attention_distance(down, (3, 4), 8), expected)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["tiny", "tiny-mean", "tiny-2d", "tiny-none"])
@pytest.mark.parametrize("size", [(48, 48), (24, 40)])
def test_another_resolution_is_read_through_interpolated_positions(preset, size):
    model, image = make(preset), pictures(*size)
    other = model.resized(size)
    assert other.config.image_size == size and model.config.image_size == (32, 32)
    assert torch.allclose(other(image), model(image), atol=1e-5)
    assert model.resized((32, 32))(pictures()).equal(model(pictures()))
    for parameter in other.parameters():
        parameter.zero_()
    assert model(image).any()


def test_interpolation_keeps_a_constant_and_a_ramp_in_the_middle():
    rows, columns = torch.arange(6.0), torch.arange(8.0)
    ramp = (rows[:, None] + 10 * columns).reshape(-1, 1)
    table = torch.cat([ramp, torch.full_like(ramp, 3.0)], 1)
    found = interpolate(table, (6, 8), (12, 16)).view(12, 16, 2)
    assert torch.allclose(found[..., 1], torch.full((12, 16), 3.0), atol=1e-5)
    # a new place i lies at (i + 1/2) / 2 - 1/2 of the old grid
    y, x = ((torch.arange(float(n)) + 0.5) / 2 - 0.5 for n in (12, 16))
    expected = y[:, None] + 10 * x
    # PyTorch's cubic kernel bends a ramp by less than a tenth of its step
    assert torch.allclose(found[4:-4, 4:-4, 0], expected[4:-4, 4:-4], atol=1.1)


def test_a_new_head_starts_at_zero_and_keeps_the_rest():
    model = make("tiny-mlp")
    other = model.with_head(5)
    image = pictures()
    assert other(image).shape == (3, 5) and not other(image).any()
    assert torch.equal(other.encode_image(image), model.encode_image(image))
    assert ViT(other.config).load_state_dict(other.state_dict())
    assert model(image).shape == (3, 64) and model(image).any()


def test_a_position_of_the_2d_kind_is_its_row_beside_its_column():
    table = make("tiny-2d").positions.at((8, 8))[1:].view(8, 8, 64)
    assert torch.equal(table[3, :, :32], table[3, :1, :32].expand(8, 32))
    assert torch.equal(table[:, 5, 32:], table[:1, 5, 32:].expand(8, 32))
    assert not torch.equal(table[3], table[4])


@pytest.mark.parametrize("shape", [(1, 3, 30, 32), (1, 3, 32, 6), (1, 3, 0, 32)])
def test_sides_that_the_patch_does_not_divide_are_named(shape):
    with pytest.raises(ValueError, match="sides that 4 divides, got"):
        make()(torch.zeros(shape))
    with pytest.raises(ValueError, match="sides that 4 divides, got"):
        make().resized(shape[2:])


def test_wrong_channels_and_ranges_are_named():
    with pytest.raises(ValueError, match="three channels, got"):
        make()(torch.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"pixels in \[-1, 1\]"):
        make().encode_image(torch.full((1, 3, 32, 32), 2.0))


def test_only_kinds_of_positions_that_exist_are_made():
    assert set(vit.POSITIONS) == {"1d", "2d", "none"}


@torch.no_grad()
def test_the_shipped_weights_have_their_recorded_accuracy_and_look_at_the_object():
    model = pretrained.load("vit", "shapes")
    scenes = shapes.sample(4000, seed=78, objects=1, held_out="include")
    solid = (scenes.texture[:, 0] == 0) & (scenes.size[:, 0] > 0)
    scenes = scenes[solid.nonzero()[:500, 0]]
    image = shapes.to_float(scenes.render())
    label = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    right = (model(image).argmax(1) == label).float().mean().item()
    # three standard errors of the difference of samples of 500 and 2,000
    assert right == pytest.approx(results("vit")["weights"]["accuracy"], abs=0.06)
    touched = F.max_pool2d(scenes.instance_masks()[:, :1].float(), 4).flatten(1)
    flow = rollout(model.attention(image))[:, 0, 1:]
    inside = ((flow * touched).sum(1) / flow.sum(1)).mean()
    assert inside > 1.2 * touched.mean()


def test_queries_keys_and_values_start_each_by_themselves_as_in_the_released_code():
    torch.manual_seed(0)
    model = ViT.from_preset("tiny")
    # Glorot's uniform distribution of a square matrix ends at sqrt(6 / (2 d)), and
    # 4,096 draws come within a hundredth of its end
    end = (6 / (64 + 64)) ** 0.5
    for block in model.transformer.blocks:
        for weight in block.attention.projections():
            assert 0.99 * end < weight.abs().max() <= end
            assert weight.std().item() == pytest.approx(end / 3**0.5, rel=0.05)
        assert not block.attention.qkv.bias.any()
