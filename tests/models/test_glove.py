"""GloVe: its weight, its loss written out, and the exact solution."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.corpus import Corpus
from mmdl_lib.models.glove import GloVe, GloVeConfig, cells, weight


def make(v=6, d=4):
    torch.manual_seed(0)
    model = GloVe(GloVeConfig(vocab=v, width=d))
    for parameter in model.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator(3))
    return model


def table(v=6):
    half = torch.rand(v, v, generator=generator(1)).exp() ** 4
    return half + half.T


def test_the_weight_rises_to_one_at_the_ceiling():
    found = weight(torch.tensor([1.0, 16.0, 100.0, 1e6]))
    expected = [100**-0.75, 0.16**0.75, 1.0, 1.0]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert weight(torch.tensor([2.0]), ceiling=4, power=0.5).item() == pytest.approx(
        math.sqrt(0.5)
    )


def test_cells_are_those_above_zero_so_no_log_of_zero_is_taken():
    counts = Corpus.read([["a", "b", "c"], ["b", "c"]]).cooccurrences(2, near=True)
    batch = cells(counts)
    assert len(batch["count"]) == int((counts > 0).sum()) < counts.numel()
    back = torch.zeros(3, 3)
    back[batch["row"], batch["column"]] = batch["count"]
    assert torch.equal(back, counts)
    loss = GloVe(GloVeConfig(vocab=3)).loss(batch)["loss"]
    assert torch.isfinite(loss)


def test_the_loss_is_the_formula_written_out():
    model, batch = make(), cells(table())
    total, sides = 0.0, (model.word.weight, model.context.weight)
    bias = model.word_bias.weight[:, 0], model.context_bias.weight[:, 0]
    for i, j, x in zip(batch["row"], batch["column"], batch["count"], strict=True):
        error = sides[0][i] @ sides[1][j] + bias[0][i] + bias[1][j] - math.log(x)
        total += min(1, (x / 100) ** 0.75) * error**2
    torch.testing.assert_close(model.loss(batch)["loss"], total / len(batch["count"]))


def test_enough_dimensions_fit_every_count():
    model, batch = make(d=6), cells(table())
    # exact: with zero biases a factorization of log X
    u, s, v = torch.linalg.svd(table().log())
    model.word.weight.data, model.context.weight.data = u * s, v.T.contiguous()
    model.word_bias.weight.data.zero_(), model.context_bias.weight.data.zero_()
    assert model.loss(batch)["loss"] < 1e-10


def test_training_drives_the_loss_of_a_full_rank_model_to_zero():
    model, batch = make(d=6), cells(table())
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2000, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    assert model.loss(batch)["loss"] < 1e-6


def test_for_a_symmetric_table_both_vectors_of_a_word_are_of_equal_standing():
    model, batch = make(), cells(table())
    before, kept = model.loss(batch)["loss"], model.vectors().clone()
    for one, other in (("word", "context"), ("word_bias", "context_bias")):
        first, second = getattr(model, one).weight, getattr(model, other).weight
        first.data, second.data = second.data.clone(), first.data.clone()
    torch.testing.assert_close(model.loss(batch)["loss"], before)
    torch.testing.assert_close(model.vectors(), kept)


def test_vectors_are_the_sum_of_both_tables():
    model = make()
    expected = model.word.weight + model.context.weight
    assert torch.equal(model.vectors(), expected)


def test_all_parameters_start_within_half_a_share_of_zero():
    model = GloVe(GloVeConfig(vocab=500, width=10))
    for parameter in model.parameters():
        assert 0.045 < parameter.abs().max() <= 0.05


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="expected a cell above zero, got none"):
        cells(torch.zeros(3, 3))
