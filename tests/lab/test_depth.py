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


def looking(seekers, among):
    """Share of the seekers whose own row is nearest, by the cosine, one by one."""
    right = 0
    for i, one in enumerate(seekers):
        cosines = [torch.dot(one, x) / one.norm() / x.norm() for x in among]
        right += int(torch.stack(cosines).argmax()) == i
    return right / len(seekers)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_copy_looks_for_its_picture_in_maps_without_their_mean(seed):
    model, n = net(), 40
    model.stem, model.blocks = nn.Identity(), nn.Sequential()
    shade = torch.linspace(-0.1, 0.1, n)[:, None, None, None]
    image = 0.5 + shade + 0.006 * torch.randn(n, 3, 4, 4, generator=generator(3))
    noise = depth.NOISE * torch.randn(image.shape, generator=generator(seed))
    both = torch.cat([image, image + noise])
    whole = both.flatten(1)
    flat = (both - both.mean((0, 2, 3), keepdim=True)).flatten(1)
    right = looking(flat[n:], flat[:n])
    assert depth.recognized(model, image, seed=seed) == [pytest.approx(right)]
    assert right != looking(flat[:n], flat[n:]) and right != looking(
        whole[n:], whole[:n]
    )


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
    """The squared length of its two weights."""

    def __init__(self):
        super().__init__(Config())
        self.a = nn.Parameter(torch.tensor([3.0, 0.0]))
        self.b = nn.Parameter(torch.tensor([4.0]))

    def loss(self, batch, *, phase="main", generator=None):
        return {"loss": self.a.square().sum() + self.b.square().sum()}


def test_a_step_down_a_bowl_is_known_exactly():
    fall = depth.step_down(Bowl(), {}, 0.1)  # from a length of 5 to one of 4.5
    assert fall == pytest.approx(5**2 - 4.5**2, rel=1e-5)


@pytest.mark.parametrize("block", ["plain", "basic"])
def test_blocks_that_change_the_size_cannot_be_taken_out(block):
    model = net(block, 2)
    assert depth.removable(model) == [0, 1, 3, 5]
    with pytest.raises(ValueError, match=r"one of \[0, 1, 3, 5\], got 2"):
        depth.without(model, 2)


def test_the_first_bottleneck_widens_and_cannot_be_taken_out():
    assert depth.removable(net("bottleneck", stages=(2, 2))) == [1, 3]


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
    stem = model.eval().stem(image)
    first = F.cosine_similarity(stem.flatten(1), model.blocks[0](stem).flatten(1))
    assert found[0] == pytest.approx(first.mean().item(), abs=1e-6)


@torch.no_grad()
def test_pre_activation_is_norm_relu_convolution_twice_and_a_bare_sum():
    block = Basic(3, 5, 2, "A")
    made = depth.PreActivation(block).eval()
    x = torch.randn(4, 3, 6, 6, generator=generator(2))
    one, two = (layer for layer in made.residual if isinstance(layer, nn.Conv2d))
    for norm in (made.residual[0], made.residual[3]):
        norm.bias.fill_(0.4)
    scale = (1 + 1e-5) ** 0.5  # of an untrained norm in evaluation mode
    y = F.conv2d(F.relu(x / scale + 0.4), one.weight, stride=2, padding=1)
    y = F.conv2d(F.relu(y / scale + 0.4), two.weight, padding=1)
    expected = y + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, 2))
    assert torch.allclose(made(x), expected, atol=1e-5) and (expected < 0).any()


@torch.no_grad()
def test_a_pre_activated_net_ends_in_a_norm_and_a_relu():
    model = depth.pre_activated(net(n=2)).eval()
    assert model.feature_map(batch()["image"]).min() == 0
    for block in model.blocks[:6]:
        nn.init.zeros_(block.residual[-1].weight)
    model.blocks[6].bias.fill_(-0.2)
    stem = model.stem(batch()["image"])[:, :, ::4, ::4] / (1 + 1e-5) ** 0.5
    kept = model.feature_map(batch()["image"])[:, :8]
    assert torch.allclose(kept, F.relu(stem - 0.2), atol=1e-5) and kept.any()
