"""Repeated texts and rules that no weight can know, and the ideal learner's answers."""

from types import SimpleNamespace

import pytest
import torch

from mmdl_lib.lab.sequences import (
    answered,
    answers,
    examples,
    ideal,
    in_all_orders,
    repeated,
)


def test_texts_begin_again_after_their_period_and_only_their_copies_count():
    texts = repeated(200, 3)
    for row, period, copied in zip(*texts, strict=True):
        p = period.item()
        assert torch.equal(row[p:], row[: 24 - p])
        assert copied.tolist() == [i > p for i in range(24)]
    assert set(texts.period.flatten().tolist()) == set(range(8, 17))
    assert repeated(9, 0, periods=(12, 12)).period.unique().tolist() == [12]
    assert texts.batch()["scored"].equal(texts.copied) and texts.batch()["mask"].all()


def test_half_of_the_circle_answers_1_and_the_rule_says_which():
    around = torch.arange(16)
    assert answers(torch.tensor(0), around).tolist() == [1] * 8 + [0] * 8
    assert answers(torch.tensor(12), around).tolist() == [1] * 4 + [0] * 8 + [1] * 4
    some = examples(50, 1)
    assert torch.equal(some.answer, answers(some.rule, some.symbol))
    assert all(len(set(row)) == 8 for row in some.symbol.tolist())
    tokens = some.tokens()
    assert torch.equal(tokens[:, ::2], some.symbol)
    assert torch.equal(tokens[:, 1::2], 16 + some.answer)
    assert some.batch()["scored"][0].tolist() == [False, True] * 8


def test_the_ideal_learner_counts_the_rules_that_fit():
    asked = torch.arange(16)[None]
    none = torch.zeros(1, 0).long()
    assert torch.equal(ideal(none, none, asked), torch.full((1, 16), 0.5).double())
    # after "3 answers 1" the rule is one of -4 ... 3: 4 answers 1 under 7 of 8
    found = ideal(torch.tensor([[3]]), torch.tensor([[1]]), asked)[0]
    assert found[3] == 1 and found[11] == 0 and found[4] == found[2] == 7 / 8
    # both ends of a half known: nothing is left to guess
    found = ideal(torch.tensor([[0, 15]]), torch.tensor([[1, 0]]), asked)[0]
    assert found.tolist() == [1] * 8 + [0] * 8


def test_the_ideal_learner_does_not_care_about_order():
    some = examples(20, 5, shots=4)
    asked = torch.arange(16).expand(20, 16)
    every = in_all_orders(some)
    assert every.shape == (24, 20, 4, 2)
    assert len({tuple(x.flatten().tolist()) for x in every[:, 0]}) == 24
    first = ideal(some.symbol, some.answer, asked)
    for pairs in every:
        assert torch.equal(ideal(*pairs.unbind(-1), asked), first)


def test_a_model_is_asked_each_symbol_after_the_same_examples():
    some = examples(3, 2, shots=2)
    asked = torch.arange(16).expand(3, 16)
    heard = []

    def logits(tokens):
        heard.append(tokens)
        # knows nothing but the symbol asked: says 1 from 8 on
        said = torch.zeros(*tokens.shape, 18)
        said[..., 17] = tokens - 7.5
        return said

    found = answered(SimpleNamespace(logits=logits), in_all_orders(some)[0], asked)
    assert torch.equal(found, (asked - 7.5).float())
    assert torch.equal(heard[0][16:32, :4], some.tokens()[1].expand(16, 4))
    assert torch.equal(heard[0][16:32, 4], torch.arange(16))


@pytest.mark.parametrize("periods", [(0, 8), (9, 8), (8, 17)])
def test_periods_that_no_row_has_are_refused(periods):
    with pytest.raises(ValueError, match="period expected a whole number"):
        repeated(3, 0, periods=periods)


def test_more_examples_than_symbols_are_refused():
    with pytest.raises(ValueError, match="shots expected .* from 1 to 16, got 17"):
        examples(3, 0, shots=17)
