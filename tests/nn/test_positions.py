"""Positions: closed forms, laws, and golden values."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.nn import (
    LearnedPositions,
    MultiHeadAttention,
    RelativeBias,
    Rotary,
    sinusoidal,
    sinusoidal_2d,
)
from mmdl_lib.nn.positions import relative_bucket


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed))


def test_learned_positions_are_rows_of_their_table():
    positions = LearnedPositions(6, 4)
    assert torch.equal(positions(3), positions.table[:3])
    assert torch.equal(positions(2, start=4), positions.table[4:])
    torch.manual_seed(0)
    assert abs(LearnedPositions(1000, 64, std=0.3).table.std() - 0.3) < 0.01
    with pytest.raises(ValueError, match="positions from 0 to 5, got 4 to 6"):
        positions(3, start=4)
    with pytest.raises(ValueError, match="positions from 0 to 5, got -1 to 1"):
        positions(3, start=-1)


def test_waves_stand_side_by_side_and_have_the_papers_lengths():
    table = sinusoidal(torch.arange(3), 4)
    expected = [
        [math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)]
        for p in range(3)
    ]
    assert torch.allclose(table, torch.tensor(expected))


def test_a_step_is_the_same_rotation_everywhere():
    table = sinusoidal(torch.arange(50), 8).view(50, 4, 2)
    near = torch.einsum("nds,nds->n", table[:-5], table[5:])
    assert torch.allclose(near, near[0].expand(45), atol=1e-5)


def test_broken_positions_and_any_shape_are_fine():
    table = sinusoidal(torch.tensor([[0.5], [2.0]]), 6)
    assert table.shape == (2, 1, 6)
    assert torch.isclose(table[0, 0, 0], torch.tensor(0.5).sin())
    with pytest.raises(ValueError, match="an even width, got 5"):
        sinusoidal(torch.arange(3), 5)


def test_places_of_a_grid_tell_the_column_first_and_the_row_second():
    table = sinusoidal_2d((2, 3), 8).view(2, 3, 8)
    assert torch.equal(table[0, :, :4], table[1, :, :4])
    assert torch.equal(table[:, 0, 4:], table[:, 2, 4:])
    column = [f(2 / s) for f in (math.sin, math.cos) for s in (1, 100)]
    row = [f(1 / s) for f in (math.sin, math.cos) for s in (1, 100)]
    assert torch.allclose(table[1, 2], torch.tensor(column + row))
    with pytest.raises(ValueError, match="a width that 4 divides, got 6"):
        sinusoidal_2d((2, 3), 6)


def test_buckets_have_their_golden_values():
    golden = {
        True: {
            **{-128: 15, -64: 14, -20: 10, -8: 8, -1: 1, 0: 0},
            **{1: 17, 8: 24, 20: 26, 64: 30, 128: 31},
        },
        False: {-128: 31, -64: 26, -20: 17, -9: 9, 0: 0, 1: 0, 7: 0},
    }
    for both_sides, pairs in golden.items():
        found = relative_bucket(
            torch.tensor(list(pairs)), buckets=32, farthest=128, both_sides=both_sides
        )
        assert found.tolist() == list(pairs.values())


@pytest.mark.parametrize("both_sides", [True, False])
def test_a_bias_depends_on_the_distance_only(both_sides):
    bias = RelativeBias(2, buckets=8, farthest=20, both_sides=both_sides)
    found = bias(9, 9)
    assert found.shape == (1, 2, 9, 9)
    assert torch.equal(found[..., 1:, 1:], found[..., :-1, :-1])
    assert torch.equal(bias(2, 9), found[:, :, -2:])
    later, earlier = found[0, :, 0, 3], found[0, :, 3, 0]
    assert torch.equal(later, earlier) is False
    assert torch.equal(later, found[0, :, 0, 0]) is not both_sides


def test_turned_products_depend_on_the_difference_only():
    rotary, q, k = Rotary(), noise(8), noise(8, seed=1)
    turned_q, turned_k = rotary(q.expand(30, 8)), rotary(k.expand(30, 8))
    products = turned_q @ turned_k.T
    assert torch.allclose(products[1:, 1:], products[:-1, :-1], atol=1e-5)
    assert (products[0] - products[0, 0])[1:].abs().min() > 1e-3
    # position zero is not turned, and lengths never change
    assert torch.equal(turned_q[0], q)
    assert torch.allclose(turned_q.norm(dim=1), q.norm().expand(30), atol=1e-5)


def test_a_pair_of_channels_turns_by_the_papers_angles():
    x = torch.tensor([1.0, 0, 0, 1])
    turned = Rotary(base=100.0)(x.expand(4, 4))[3]
    expected = [math.cos(3), math.sin(3), -math.sin(0.3), math.cos(0.3)]
    assert torch.allclose(turned, torch.tensor(expected))
    assert torch.allclose(Rotary(base=100.0)(x[None], start=3)[0], turned)


def test_attention_with_rotation_does_not_see_a_shift():
    attention = MultiHeadAttention(16, 2, rotary=Rotary())
    x = noise(1, 4, 16)
    shifted = torch.cat([noise(1, 3, 16, seed=2), x], 1)
    mask = torch.arange(7)[None] >= 3
    assert torch.allclose(attention(shifted, mask)[:, 3:], attention(x), atol=1e-5)
    swapped = attention(x[:, [1, 0, 2, 3]])[:, [1, 0, 2, 3]]
    assert not torch.allclose(swapped, attention(x), atol=1e-3)


def test_rotation_keeps_the_type_and_wants_pairs():
    assert Rotary()(noise(2, 3, 4).bfloat16()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="an even width, got 5"):
        Rotary()(noise(3, 5))
