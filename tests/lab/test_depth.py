"""What depth does: noisy copies, one step down, blocks taken out."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import Config, Model, generator
from mmdl_lib.lab import depth
from mmdl_lib.models.resnet import Basic, ResNet, ResNetConfig


def net(block="basic", n=1, **changes):
    torch.manual_seed(0)
    sizes = {"stages": (n, n, n), "width": 8, "stem": "cifar", "classes": 4}
    return ResNet(ResNetConfig(block=block, **sizes | {"shortcut": "A"} | changes))


def batch(n=32, size=8):
    label = torch.arange(n) % 4
    return {"image": torch.randn(n, 3, size, size, generator=generator(1)) / 2} | {
        "label": label
    }


def identity(block):
    nn.init.zeros_(block.residual[-1][1].weight)


def test_copies_are_known_behind_a_smooth_net_and_lost_behind_a_rough_one():
    image = batch(64, 16)["image"]
    smooth, rough = (depth.recognized(net(b, 9), image) for b in ("basic", "plain"))
    assert len(smooth) == 1 + 27 and smooth[0] == rough[0] == 1
    assert smooth[-1] > 0.95 and rough[-1] < 0.2


def test_a_copy_looks_for_its_picture_and_not_a_picture_for_its_copy():
    model, image = net(), batch(3)["image"]
    model.stem, model.blocks = nn.Identity(), nn.Sequential()
    image[1] = 0.999 * image[0]  # by the cosine both copies may be of either
    assert depth.recognized(model, image, seed=1)[0] in (1 / 3, 2 / 3, 1)
    assert depth.recognized(model, image[[0, 2]], seed=1) == [1.0]


@pytest.mark.parametrize("measure", ["recognized", "gradient_sizes", "step_down"])
def test_a_measure_leaves_the_model_as_it_was(measure):
    model = net().eval()
    before = copy.deepcopy(model.state_dict())
    given = batch()["image"] if measure == "recognized" else batch()
    assert getattr(depth, measure)(model, given) == getattr(depth, measure)(
        model, given
    )
    assert not model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_gradient_sizes_are_those_of_the_three_by_three_convolutions_in_order():
    model = net(shortcut="C").train()
    model.loss(batch())["loss"].backward()
    convs = [model.stem[0][0]]
    convs += [block.residual[i][0] for block in model.blocks for i in (0, 2)]
    sizes = [conv.weight.grad.norm().item() for conv in convs]
    model.zero_grad(set_to_none=True)
    assert depth.gradient_sizes(model, batch()) == pytest.approx(sizes, rel=1e-4)


class Bowl(Model):
    """Half the squared length of its two weights."""

    def __init__(self):
        super().__init__(Config())
        self.a = nn.Parameter(torch.tensor([3.0, 0.0]))
        self.b = nn.Parameter(torch.tensor([4.0]))

    def loss(self, batch, *, phase="main", generator=None):
        return {"loss": (self.a.square().sum() + self.b.square().sum()) / 2}


def test_a_step_down_a_bowl_is_known_exactly():
    fall = depth.step_down(Bowl(), {}, 0.1)  # from a length of 5 to one of 4.5
    assert fall == pytest.approx((5**2 - 4.5**2) / 2, rel=1e-5)


@pytest.mark.parametrize("block", ["plain", "basic"])
def test_blocks_that_change_the_size_cannot_be_taken_out(block):
    model = net(block, 2)
    assert depth.removable(model) == [0, 1, 3, 5]
    with pytest.raises(ValueError, match=r"one of \[0, 1, 3, 5\], got 2"):
        depth.without(model, 2)


@torch.no_grad()
def test_a_block_that_adds_nothing_is_not_missed_and_no_other_is_taken():
    model, image = net(n=2).eval(), batch()["image"]
    for block in (model.blocks[1], model.blocks[3]):
        identity(block)
    assert torch.allclose(depth.without(model, 1)(image), model(image), atol=1e-5)
    assert torch.allclose(depth.without(model, 3)(image), model(image), atol=1e-5)
    assert not torch.allclose(depth.without(model, 5)(image), model(image), atol=1e-2)
    assert isinstance(model.blocks[1], Basic)


@torch.no_grad()
def test_a_block_that_adds_nothing_passes_all_on():
    model, image = net(n=2), batch()["image"]
    identity(model.blocks[3])
    found = depth.passed_on(model, image)
    assert len(found) == 4 and found[2] == pytest.approx(1, abs=1e-5)
    assert max(found[0], found[1], found[3]) < 0.99


@torch.no_grad()
def test_pre_activation_is_norm_relu_convolution_twice_and_a_bare_sum():
    block = Basic(3, 5, 2, "A")
    made = depth.PreActivation(block).eval()
    x = torch.randn(4, 3, 6, 6, generator=generator(2))
    one, two = (layer for layer in made.residual if isinstance(layer, nn.Conv2d))
    scale = (1 + 1e-5) ** 0.5  # of an untrained norm in evaluation mode
    y = F.conv2d(F.relu(x / scale), one.weight, stride=2, padding=1)
    y = F.conv2d(F.relu(y / scale), two.weight, padding=1)
    expected = y + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2))
    assert torch.allclose(made(x), expected, atol=1e-5) and (expected < 0).any()


@torch.no_grad()
def test_a_pre_activated_net_ends_in_a_norm_and_a_relu():
    model = depth.pre_activated(net(n=2)).eval()
    assert model.feature_map(batch()["image"]).min() == 0
    for block in model.blocks[:6]:
        nn.init.zeros_(block.residual[-1].weight)
    stem = model.stem(batch()["image"])
    kept = model.feature_map(batch()["image"])[:, :8] * (1 + 1e-5) ** 0.5
    assert torch.allclose(kept, stem[:, :, ::4, ::4], atol=1e-5)
