"""PPMI and SVD against numbers by hand and the full decomposition."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.ppmi import factors, optimum, pmi, shifted_ppmi


def test_pmi_by_hand():
    count = torch.tensor([[6.0, 2.0], [2.0, 0.0]])
    # p(0, 0) = .6, p(0) = .8: log(.6 / .64); p(0, 1) = .2, p(1) = .2: log(.2 / .16)
    found = pmi(count)
    assert found[0, 0] == pytest.approx(math.log(0.6 / 0.64), abs=1e-6)
    assert found[0, 1] == pytest.approx(math.log(0.2 / 0.16), abs=1e-6)
    assert found[1, 1] == -math.inf


def test_independent_words_have_no_mutual_information():
    share = torch.tensor([0.5, 0.3, 0.2])
    assert pmi(1000 * share[:, None] * share).abs().max() < 1e-6


def test_counting_a_text_seven_times_changes_nothing():
    count = torch.rand(6, 5, generator=generator(4)) + 0.1
    torch.testing.assert_close(pmi(7 * count), pmi(count))


def test_a_power_smooths_the_contexts_only():
    count = torch.tensor([[60.0, 4.0, 1.0], [4.0, 9.0, 2.0], [1.0, 2.0, 3.0]])
    smooth = count.sum(0) ** 0.75 / (count.sum(0) ** 0.75).sum()
    joint, row = count / count.sum(), count.sum(1, keepdim=True) / count.sum()
    torch.testing.assert_close(pmi(count, power=0.75), (joint / row / smooth).log())


def test_the_shift_is_log_k_and_nothing_is_below_zero():
    count = torch.eye(9) + 0.01 * torch.rand(9, 9, generator=generator(0))
    plain, shifted = (shifted_ppmi(count, negatives=k) for k in (1, 5))
    assert plain.min() == shifted.min() == 0
    some = shifted > 0
    assert some.any()
    gap = (plain - shifted)[some]
    torch.testing.assert_close(gap, torch.full_like(gap, math.log(5)))


def test_a_word_that_never_occurs_gives_zeros_and_no_nan():
    count = torch.tensor([[4.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    assert not pmi(count).isnan().any()
    assert not shifted_ppmi(count)[2].any()


def test_the_optimum_is_pmi_less_log_k_where_no_neighbor_dominates():
    count = 1 + torch.rand(400, 400, generator=generator(1))
    plain = pmi(count) - math.log(3)
    torch.testing.assert_close(optimum(count, negatives=3), plain, atol=6e-3, rtol=0)


def test_all_directions_give_the_table_back_and_fewer_the_best_of_that_rank():
    half = torch.rand(30, 30, generator=generator(2))
    whole = half @ half.T
    u = factors(whole, 30, generator=generator(0))
    torch.testing.assert_close(u @ u.T, whole, atol=1e-3, rtol=1e-4)
    u = factors(whole, 3, root=1, generator=generator(0))
    _, s, _ = torch.linalg.svd(whole)
    torch.testing.assert_close(u.norm(dim=0), s[:3], rtol=1e-4, atol=0)


def test_the_sketch_comes_from_its_generator():
    whole = torch.rand(60, 60, generator=generator(2))
    state = torch.get_rng_state()
    one, two, other = (factors(whole, 4, generator=generator(s)) for s in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("bad", [torch.zeros(2, 2), torch.tensor([[1.0, -1.0]])])
def test_what_is_no_count_is_refused(bad):
    with pytest.raises(ValueError, match="count expected numbers from 0"):
        pmi(bad)


def test_too_many_directions_and_minus_infinity_are_refused():
    with pytest.raises(ValueError, match="negatives expected"):
        optimum(torch.ones(2, 2), negatives=0)
    with pytest.raises(ValueError, match="width expected"):
        factors(torch.ones(3, 3), 4)
    with pytest.raises(ValueError, match="table expected"):
        factors(pmi(torch.eye(3)), 2)
