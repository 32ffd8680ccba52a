"""AlexNet: sizes and costs by the paper's arithmetic, normalization, border."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdl_lib.core import generator
from mmdl_lib.models.alexnet import AlexNet, AlexNetConfig, local_response_norm


def on_meta(name):
    with torch.device("meta"):
        return AlexNet.from_preset(name).eval()


def test_the_parameters_are_those_of_the_layers_that_section_3_5_describes():
    counts = [
        96 * (11 * 11 * 3 + 1),
        256 * (5 * 5 * 48 + 1),
        384 * (3 * 3 * 256 + 1),
        384 * (3 * 3 * 192 + 1),
        256 * (3 * 3 * 192 + 1),
        4096 * (6 * 6 * 256 + 1),
        4096 * (4096 + 1),
        1000 * (4096 + 1),
    ]
    model = on_meta("AlexNet")
    layers = [*model.convs, *model.hidden, model.classifier]
    found = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    assert found == counts and sum(found) == 60_965_224
    whole = sum(p.numel() for p in on_meta("AlexNet-one-GPU").parameters())
    assert whole == 62_378_344


def test_the_maps_have_the_sizes_of_figure_2():
    model = on_meta("AlexNet")
    found = model.layers(torch.zeros(1, 3, 224, 224, device="meta"))
    sizes = [(96, 55), (256, 27), (384, 13), (384, 13), (256, 13)]
    assert [tuple(x.shape[1:]) for x in found] == [(c, s, s) for c, s in sizes]
    assert model.sides() == [55, 27, 13, 6]
    # Figure 2 counts the neurons of layers 2 to 5
    assert [x.numel() for x in found[1:]] == [186_624, 64_896, 64_896, 43_264]


def test_the_cost_is_that_of_the_layers_arithmetic():
    maps, kernels = (55, 27, 13, 13, 13), (96, 256, 384, 384, 256)
    seen = (11 * 11 * 3, 25 * 48, 9 * 256, 9 * 192, 9 * 192)
    convs = sum(s * s * n * k for s, n, k in zip(maps, kernels, seen, strict=True))
    full = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    with FlopCounterMode(display=False) as counter:
        on_meta("AlexNet")(torch.zeros(1, 3, 224, 224, device="meta"))
    assert counter.get_total_flops() == 2 * (convs + full)


@pytest.mark.parametrize(("n", "channels"), [(5, 12), (3, 7), (5, 3), (4, 9), (2, 5)])
def test_response_normalization_is_pytorchs_with_alpha_times_n(n, channels):
    a = 3 * torch.rand(2, channels, 4, 5, generator=generator(0))
    ours = local_response_norm(a, n=n, alpha=0.3)
    peer = nn.LocalResponseNorm(n, alpha=n * 0.3, beta=0.75, k=2.0)
    assert torch.allclose(ours, peer(a), atol=1e-6)
    assert not torch.allclose(ours, nn.LocalResponseNorm(n, 0.3, 0.75, 2.0)(a))


def test_a_strong_neighbor_weakens_and_a_far_one_does_not():
    a = torch.ones(1, 9, 1, 1)
    near, far = a.clone(), a.clone()
    near[0, 2], far[0, 1] = 10, 10
    alone = local_response_norm(a, alpha=1.0)[0, 4]
    assert local_response_norm(near, alpha=1.0)[0, 4] < 0.2 * alone
    assert torch.equal(local_response_norm(far, alpha=1.0)[0, 4], alone)
    # in the middle: 1 / (2 + 5)^0.75
    assert alone.item() == pytest.approx(7**-0.75, rel=1e-5)


def test_the_two_halves_meet_in_layer_3_only():
    torch.manual_seed(0)
    model = AlexNet.from_preset("tiny-no-norm").eval()
    image = torch.rand(1, 3, 32, 32, generator=generator(1)) * 2 - 1
    before = model.layers(image)
    model.convs[0].weight.data[:16] *= 0.5  # the first GPU
    after = model.layers(image)
    moved = [(a != b).flatten(2).any(2)[0] for a, b in zip(before, after, strict=True)]
    assert not moved[1][24:].any() and moved[1][:24].any()
    assert moved[2][:32].any() and moved[2][32:].any()


def test_pools_overlap_and_the_layers_follow_section_3_5():
    torch.manual_seed(0)
    model = AlexNet.from_preset("tiny").eval()
    image = AlexNet.example_batch(model.config, 2, generator=generator(4))["image"]
    one, two, three, _, _ = model.layers(image)
    # 3 x 3 at a stride of 2: windows share a row and a column
    windows = one.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    expected = local_response_norm(
        model.convs[1](windows).relu(), alpha=model.config.alpha
    )
    assert torch.allclose(two, expected, atol=1e-5)
    windows = two.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
    assert torch.allclose(three, model.convs[2](windows).relu(), atol=1e-5)


def test_dropout_acts_in_training_only_and_keeps_the_mean():
    torch.manual_seed(0)
    model = AlexNet.from_preset("tiny-dropout")
    image = AlexNet.example_batch(model.config, 1, generator=generator(2))["image"]
    assert not torch.equal(model(image), model(image))
    hidden = torch.cat([model.encode_image(image) for _ in range(300)])
    # half of the units of the last hidden layer are silent, besides those below zero
    assert (hidden == 0).float().mean() > 0.5
    model.eval()
    assert torch.equal(model(image), model(image))
    found = model.encode_image(image)
    assert (found == 0).float().mean() < 0.75


def test_tanh_is_bounded_and_relu_is_not():
    torch.manual_seed(0)
    image = AlexNet.example_batch(AlexNet.TINY, 4, generator=generator(3))["image"]
    tanh, relu = (AlexNet.from_preset(n).eval() for n in ("tiny-tanh", "tiny-no-norm"))
    assert all(x.abs().max() <= 1 for x in tanh.layers(image))
    assert any(x.min() < 0 for x in tanh.layers(image))
    assert all(x.min() == 0 for x in relu.layers(image))
    assert any(x.max() > 1 for x in relu.layers(image))


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (1, 3, 28, 28), (2, 3, 32, 31)])
def test_wrong_pictures_are_named(shape):
    model = AlexNet.from_preset("tiny").eval()
    with pytest.raises(ValueError, match=r"shape \(b, 3, 32, 32\), got"):
        model(torch.zeros(shape))


def test_pictures_too_small_for_three_pools_are_named():
    with pytest.raises(ValueError, match="three pools leave something of"):
        AlexNet(AlexNetConfig(size=48))
