"""ResNet: the paper's rules in numbers, the identity construction, the border."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib.core import generator
from mmdl_lib.models.resnet import (
    Basic,
    Bottleneck,
    Plain,
    ResNet,
    ZeroPad,
    make_shortcut,
    multi_scale,
    ten_crop,
    vgg19,
)


def multiply_adds(model, size=224):
    """Billions of multiply-adds for one picture; the counter counts two for each."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() / 2e9


@pytest.mark.parametrize(
    ("name", "printed"),
    # Table 1 of the paper
    [
        ("ResNet-18", 1.8),
        ("ResNet-34-A", 3.6),
        ("plain-34", 3.6),
        ("ResNet-50", 3.8),
        ("ResNet-101", 7.6),
        ("ResNet-152", 11.3),
    ],
)
def test_the_cost_is_the_one_that_the_paper_prints(name, printed):
    with torch.device("meta"):
        found = multiply_adds(ResNet.from_preset(name).eval())
    assert found == pytest.approx(printed, rel=0.03)


def test_vgg_costs_19_6_and_the_34_layers_18_percent_of_it():
    with torch.device("meta"):
        vgg, net = vgg19(), ResNet.from_preset("plain-34").eval()
    assert multiply_adds(vgg) == pytest.approx(19.6, rel=0.01)
    assert multiply_adds(net) / multiply_adds(vgg) == pytest.approx(0.18, abs=0.01)


@pytest.mark.parametrize("name", [n for n in ResNet.PRESETS if n[-1].isdigit()])
def test_the_number_of_weighted_layers_is_the_one_in_the_name(name):
    with torch.device("meta"):
        model = ResNet.from_preset(name)
    layers = [
        m
        for n, m in model.named_modules()
        if isinstance(m, torch.nn.Conv2d | torch.nn.Linear) and "shortcut" not in n
    ]
    assert len(layers) == int(name.split("-")[-1])


def test_identity_shortcuts_cost_no_parameter():
    plain, residual = Plain(8, 8, 1, "A"), Basic(8, 8, 1, "B")
    assert [p.shape for p in plain.parameters()] == [
        p.shape for p in residual.parameters()
    ]


def test_a_block_whose_residual_is_zero_is_the_identity_behind_a_relu():
    block = Basic(8, 8, 1, "A").eval()
    for p in block.residual.parameters():
        p.data.zero_()
    x = torch.randn(2, 8, 6, 6, generator=generator(0))
    assert torch.equal(block(x), F.relu(x))


def test_option_a_subsamples_and_pads_with_zeros():
    x = torch.randn(2, 4, 6, 6, generator=generator(1))
    y = ZeroPad(4, 2)(x)
    assert y.shape == (2, 8, 3, 3)
    assert torch.equal(y[:, :4], x[:, :, ::2, ::2])
    assert not y[:, 4:].any()
    assert list(ZeroPad(4, 2).parameters()) == []


def projections(option):
    model = ResNet.from_preset(f"ResNet-34{option}")
    return sum(
        isinstance(m, torch.nn.Conv2d)
        for n, m in model.named_modules()
        if "shortcut" in n
    )


def test_options_a_b_c_project_never_where_needed_and_always():
    with torch.device("meta"):
        assert [projections(o) for o in ("-A", "", "-C")] == [0, 3, 16]


def test_the_stride_of_a_bottleneck_is_on_its_first_convolution():
    strides = [
        m.stride
        for m in Bottleneck(8, 4, 2, "B").residual.modules()
        if isinstance(m, torch.nn.Conv2d)
    ]
    assert strides == [(2, 2), (1, 1), (1, 1)]


def test_ten_crops_are_corners_middle_and_their_mirrors():
    image = torch.arange(36.0).view(1, 1, 6, 6)
    crops = ten_crop(image, 4)
    assert crops.shape == (1, 10, 1, 4, 4)
    assert crops[0, 0, 0, 0, 0] == 0 and crops[0, 3, 0, -1, -1] == 35
    assert torch.equal(crops[0, 4, 0], image[0, 0, 1:5, 1:5])
    assert torch.equal(crops[:, 5:], crops[:, :5].flip(-1))


def test_one_scale_is_the_plain_forward_pass_and_non_square_pictures_pass():
    torch.manual_seed(0)
    model = ResNet.from_preset("tiny").eval()
    image = torch.rand(2, 3, 32, 40, generator=generator(2)) * 2 - 1
    assert torch.allclose(multi_scale(model, image, (32,)), model(image), atol=1e-5)
    apart = torch.stack([multi_scale(model, image, (size,)) for size in (24, 32, 48)])
    found = multi_scale(model, image, (24, 32, 48))
    assert torch.allclose(found, apart.mean(0), atol=1e-5)


@pytest.mark.parametrize("preset", ["ResNet-34", "ResNet-50"])
def test_convolutions_start_with_variance_two_over_fan_out(preset):
    torch.manual_seed(0)
    for module in ResNet.from_preset(preset).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 100_000:
            o, i, h, w = module.weight.shape
            if o != i:  # where the two fans differ
                assert module.weight.var().item() * o * h * w == pytest.approx(
                    2, rel=0.03
                )


@pytest.mark.parametrize(
    "shape", [(1, 1, 32, 32), (1, 3, 3, 32), (1, 4, 32, 32), (2, 3, 32, 2)]
)
def test_wrong_channels_and_too_small_pictures_are_named(shape):
    model = ResNet.from_preset("tiny").eval()
    with pytest.raises(ValueError, match="three channels and at least 4 pixels"):
        model(torch.zeros(shape))


def test_a_crop_larger_than_the_picture_is_an_error():
    with pytest.raises(ValueError, match="at least 40 pixels, got 32 x 32"):
        ten_crop(torch.zeros(1, 3, 32, 32), 40)


def test_an_unknown_shortcut_is_named():
    with pytest.raises(ValueError, match="option expected one of 'A', 'B', 'C', got"):
        make_shortcut(4, 4, 1, "b")
