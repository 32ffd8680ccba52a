"""Moving averages: closed forms with decays other than a half, buffers, errors."""

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.nn.average import Average, follow


def make_net(value: float) -> nn.Module:
    """A layer and a BatchNorm, all of whose floats are `value`."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(value)
    return net


def test_the_target_keeps_most_of_itself_and_takes_a_little_of_the_online_net():
    target, online = make_net(1.0), make_net(2.0)
    follow(target, online, 0.9)
    for parameter in target.parameters():
        # 0.9 x 1 + 0.1 x 2
        assert torch.allclose(parameter, torch.tensor(1.1))
    for parameter in online.parameters():
        assert torch.all(parameter == 2)


def test_the_target_keeps_statistics_of_its_own():
    target, online = make_net(1.0), make_net(2.0)
    follow(target, online, 0.0)
    assert torch.all(target[0].weight == 2)
    assert torch.all(target[1].running_mean == 1)


def test_a_decay_of_one_stands_still_and_of_zero_copies():
    target, online = make_net(1.0), make_net(2.0)
    follow(target, online, 1.0)
    assert torch.all(target[0].weight == 1)
    follow(target, online, 0.0)
    assert torch.all(target[0].weight == 2)


def test_following_is_no_part_of_a_gradient():
    target, online = make_net(1.0), make_net(2.0)
    follow(target, online, 0.9)
    assert all(p.is_leaf and p.requires_grad for p in target.parameters())


def test_the_average_is_the_geometric_sum_of_all_weights_that_it_saw():
    net = nn.Linear(1, 1, bias=False)
    values = torch.randn(6, generator=generator(0))
    net.weight.data.fill_(values[0])
    average = Average(net, 0.8)
    for value in values[1:]:
        net.weight.data.fill_(value)
        average.update()
    shares = 0.2 * 0.8 ** torch.arange(4, -1, -1)
    expected = 0.8**5 * values[0] + (shares * values[1:]).sum()
    assert torch.allclose(average.state["weight"], expected, atol=1e-6)


def test_a_schedule_gives_each_update_a_decay_of_its_own():
    net = make_net(0.0)
    average = Average(net, 0.5)
    net.load_state_dict(make_net(1.0).state_dict())
    average.update(0.9)
    assert torch.allclose(average.state["0.weight"], torch.tensor(0.1))
    average.update()
    assert torch.allclose(average.state["0.weight"], torch.tensor(0.55))
    average.update(0.0)
    assert torch.all(average.state["0.weight"] == 1)


def test_float_buffers_are_averaged_and_counters_are_copied():
    net = make_net(0.0)
    average = Average(net, 0.9)
    net.load_state_dict(make_net(1.0).state_dict())
    net[1].num_batches_tracked.fill_(7)
    average.update()
    assert torch.allclose(average.state["1.running_var"], torch.tensor(0.1))
    assert average.state["1.num_batches_tracked"] == 7
    net[1].num_batches_tracked.fill_(8)
    assert average.state["1.num_batches_tracked"] == 7


def test_small_steps_are_not_lost_in_half_precision():
    net = make_net(1.0).bfloat16()
    average = Average(net, 0.999)
    net.load_state_dict(make_net(2.0).state_dict())
    for _ in range(100):
        average.update()
    expected = torch.tensor(2 - 0.999**100)
    assert torch.allclose(average.state["0.weight"], expected, atol=1e-5)
    average.copy_to(net)
    assert net[0].weight.dtype == torch.bfloat16


def test_inside_of_the_context_the_module_is_averaged_and_then_itself_again():
    net = make_net(0.0)
    average = Average(net, 0.9)
    net.load_state_dict(make_net(1.0).state_dict())
    average.update()
    with average.applied() as inner:
        assert inner is net and torch.allclose(net[0].weight, torch.tensor(0.1))
        inner[1].running_mean.fill_(5)
    assert torch.all(net[0].weight == 1) and torch.all(net[1].running_mean == 1)
    assert torch.allclose(average.state["1.running_mean"], torch.tensor(0.1))
    with pytest.raises(RuntimeError, match="inside"), average.applied():
        raise RuntimeError("inside")
    assert torch.all(net[0].weight == 1)


def test_a_stored_average_goes_on_where_it_stopped():
    net, copy = make_net(0.0), make_net(0.0)
    average, again = Average(net, 0.9), Average(copy, 0.9)
    net.load_state_dict(make_net(1.0).state_dict())
    average.update()
    stored = average.state_dict()
    again.load_state_dict(stored)
    copy.load_state_dict(net.state_dict())
    again.update()
    # the stored tensors are no longer shared
    assert torch.allclose(stored["0.weight"], torch.tensor(0.1))
    assert torch.allclose(again.state["0.weight"], torch.tensor(0.19))


@pytest.mark.parametrize("decay", [-0.1, 1.1, 2.0, float("nan")])
def test_a_decay_outside_of_its_range_is_an_error(decay):
    net = make_net(0.0)
    with pytest.raises(ValueError, match="decay expected a number from 0 to 1, got"):
        Average(net, decay)
    with pytest.raises(ValueError, match="decay expected a number from 0 to 1, got"):
        Average(net, 0.9).update(decay)
    with pytest.raises(ValueError, match="decay expected a number from 0 to 1, got"):
        follow(net, net, decay)


def test_averages_of_other_nets_are_an_error():
    net, other = make_net(0.0), nn.Linear(2, 3)
    with pytest.raises(ValueError, match="two nets of equal parameters, got 4 and 2"):
        follow(net, other, 0.9)
    with pytest.raises(ValueError, match="averages of 7 tensors .* got 2"):
        Average(net, 0.9).load_state_dict(Average(other, 0.9).state_dict())
