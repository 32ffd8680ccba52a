"""Perplexity and bits per byte: by hand, at the bounds, with padding, refused."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.metrics.perplexity import bits_per_byte, perplexity


def batch(b=3, t=7, k=11):
    g = generator(0)
    logits = torch.randn(b, t, k, generator=g)
    target = torch.randint(k, (b, t), generator=g)
    mask = torch.rand(b, t, generator=g) < 0.7
    return logits, target, mask


def test_by_hand():
    # probabilities 1/2 and 1/8: mean of 1 and 3 bits is 2 bits, so 4
    logits = torch.tensor([[[0.5, 0.5], [0.125, 0.875]]]).log()
    target, mask = torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2).bool()
    assert perplexity(logits, target, mask) == pytest.approx(4)
    # four bits for the two bytes of one letter
    assert bits_per_byte(logits, target, mask, text=["é"]) == pytest.approx(2)


def test_a_certain_model_has_one_and_a_uniform_one_its_vocabulary():
    _, target, mask = batch()
    sure = 100.0 * torch.nn.functional.one_hot(target, 11)
    assert perplexity(sure, target, mask) == pytest.approx(1)
    assert perplexity(0 * sure, target, mask) == pytest.approx(11)


def test_what_stands_under_the_mask_does_not_matter():
    logits, target, mask = batch()
    before = perplexity(logits, target, mask)
    logits[~mask], target[~mask] = float("nan"), -100
    assert perplexity(logits, target, mask) == before


def test_twice_the_same_texts_is_the_same_and_order_does_not_matter():
    logits, target, mask = batch()
    twice = [x.repeat(2, *[1] * (x.ndim - 1)) for x in (logits, target, mask)]
    turned = [x.flip(0) for x in (logits, target, mask)]
    for other in (twice, turned):
        assert perplexity(*other) == pytest.approx(perplexity(logits, target, mask))


def test_the_mean_is_over_tokens_not_over_sentences():
    logits, target, mask = batch()
    mask[0], mask[0, 0] = False, True
    each = [perplexity(*(x[i : i + 1] for x in (logits, target, mask))) for i in (0, 1)]
    count = mask[:2].sum(1).tolist()
    mean = sum(n * math.log(p) for n, p in zip(count, each, strict=True)) / sum(count)
    whole = perplexity(logits[:2], target[:2], mask[:2])
    assert whole == pytest.approx(math.exp(mean))


def test_a_mask_of_zeros_and_ones_is_no_mask(as_a_reader):
    logits = torch.randn(2, 5, 5, generator=generator(0))
    target = torch.randint(5, (2, 5), generator=generator(1))
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    assert perplexity(logits, target, mask.bool()) == pytest.approx(8.5296, abs=1e-4)
    for other in (mask, mask.byte() * 255, mask.float()):
        with pytest.raises(ValueError, match="mask expected bool, got"):
            perplexity(logits, target, other)


def test_probabilities_are_no_logits():
    logits, target, mask = batch()
    with pytest.raises(ValueError, match="scores before softmax, got probabilities"):
        perplexity(logits.softmax(2), target, mask)
    assert perplexity(logits.log_softmax(2), target, mask) == pytest.approx(
        perplexity(logits, target, mask)
    )


def test_bad_input_is_named():
    logits, target, mask = batch()
    with pytest.raises(ValueError, match="a position that counts"):
        perplexity(logits, target, mask & False)
    with pytest.raises(
        ValueError, match="tokens expected numbers from 0 to 10, got 0 to 30"
    ):
        perplexity(logits, target.where(target < 10, 30), torch.ones_like(mask))
    with pytest.raises(ValueError, match="logits expected finite numbers"):
        perplexity(logits / 0, target, mask)
    with pytest.raises(ValueError, match="expected 3 texts, got 1"):
        bits_per_byte(logits, target, mask, text=["a"])
    with pytest.raises(ValueError, match="at least one byte"):
        bits_per_byte(logits, target, mask, text=["", "", ""])
