"""LARS: two steps by hand, what is left out, and the training loop."""

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.models.resnet import ResNet
from mmdl_lib.train import fit
from mmdl_lib.train.lars import LARS


def weight(rows):
    return nn.Parameter(torch.tensor(rows))


def test_two_steps_by_hand():
    w = weight([[3.0, 4.0]])  # length 5
    optimizer = LARS([w], lr=2.0, momentum=0.5, weight_decay=0.1, trust=0.01)
    w.grad = torch.tensor([[0.0, 0.5]])  # length 0.5
    optimizer.step()
    # lambda = 0.01 * 5 / (0.5 + 0.1 * 5) = 0.05; v = 2 * 0.05 * (g + 0.1 w)
    v = 0.1 * torch.tensor([[0.3, 0.9]])
    one = torch.tensor([[3.0, 4.0]]) - v
    assert torch.allclose(w.detach(), one)
    optimizer.step()
    size = one.norm()
    local = 0.01 * size / (0.5 + 0.1 * size)
    v = 0.5 * v + 2 * local * (torch.tensor([[0.0, 0.5]]) + 0.1 * one)
    assert torch.allclose(w.detach(), one - v)


def test_the_size_of_a_gradient_does_not_matter_for_matrices():
    steps = []
    for scale in (1.0, 1000.0):
        w = weight([[1.0, 2.0], [3.0, 4.0]])
        w.grad = scale * torch.tensor([[1.0, 0.0], [0.5, -1.0]])
        LARS([w], lr=1.0).step()
        steps.append(w.detach())
    assert torch.allclose(*steps)
    moved = (steps[0] - torch.tensor([[1.0, 2.0], [3.0, 4.0]])).norm()
    assert moved.item() == pytest.approx(1e-3 * 30**0.5, rel=1e-4)


def test_biases_and_norms_take_plain_momentum_steps_without_decay():
    w = weight([3.0, 4.0])
    optimizer = LARS([w], lr=0.1, momentum=0.9, weight_decay=10.0)
    peer = weight([3.0, 4.0])
    sgd = torch.optim.SGD([peer], lr=0.1, momentum=0.9)
    for _ in range(3):
        w.grad = peer.grad = torch.tensor([0.5, -1.0])
        optimizer.step()
        sgd.step()
    assert torch.allclose(w, peer)


def test_weights_or_gradients_of_zero_stay_finite():
    w, v = weight([[0.0, 0.0]]), weight([[1.0, 1.0]])
    w.grad, v.grad = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
    LARS([w, v], lr=0.1).step()
    assert torch.allclose(w.detach(), torch.tensor([[-0.1, 0.0]]))
    assert torch.equal(v.detach(), torch.ones(1, 2))


def test_a_gradient_of_zero_shortens_a_weight_by_its_share():
    w = weight([[3.0, 4.0]])
    w.grad = torch.zeros(1, 2)
    # lambda = trust / weight_decay, so that lambda weight_decay w = trust w
    LARS([w], lr=2.0, weight_decay=0.1, trust=0.01).step()
    assert torch.allclose(w.detach(), 0.98 * torch.tensor([[3.0, 4.0]]))


def test_the_step_of_a_gradient_near_zero_goes_over_into_that_of_zero():
    ends = []
    for slope in (1e-12, 0.0):
        w = weight([[3.0, 4.0]])
        w.grad = torch.tensor([[slope, 0.0]])
        LARS([w], lr=2.0, weight_decay=0.1, trust=0.01).step()
        ends.append(w.detach())
    assert torch.allclose(*ends)


def test_a_stored_state_goes_on_where_it_was():
    ways = []
    for stop in (False, True):
        w = weight([[1.0, 2.0], [3.0, 4.0]])
        optimizer = LARS([w], lr=10.0, weight_decay=0.1)
        for step in range(4):
            if stop and step == 2:
                state = optimizer.state_dict()
                optimizer = LARS([w], lr=1.0)
                optimizer.load_state_dict(state)
            w.grad = torch.tensor([[1.0, 0.0], [0.5, -1.0]]) * (step + 1)
            optimizer.step()
        ways.append(w.detach())
    assert torch.allclose(*ways)


def test_the_training_loop_takes_it():
    torch.manual_seed(0)
    model = ResNet.from_preset("tiny")
    batch = ResNet.example_batch(model.config, 8, generator=generator(0))
    settings = {"lr": 30.0, "weight_decay": 1e-6, "optimizer": LARS}
    history = fit(model, lambda step: batch, steps=15, **settings)
    assert history.last() < 0.7 * history.losses["loss"][0]


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay", "trust"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_impossible_options_are_named(name, value):
    w = weight([1.0])
    with pytest.raises(ValueError, match=f"at least zero .* got .*'{name}': {value}"):
        LARS([w], **{"lr": 1.0} | {name: value})
    with pytest.raises(ValueError, match=f"'{name}': {value}"):
        LARS([{"params": [w], name: value}], lr=1.0)


@pytest.mark.parametrize("value", [True, "0.9", None])
def test_options_that_are_no_numbers_are_named(value):
    with pytest.raises(ValueError, match="finite options"):
        LARS([{"params": [weight([1.0])], "trust": value}], lr=1.0)


def test_a_momentum_of_one_never_forgets_and_is_refused():
    with pytest.raises(ValueError, match="momentum below one"):
        LARS([weight([1.0])], lr=1.0, momentum=1.0)
