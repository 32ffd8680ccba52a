"""Exercises of the chapter on the Meshed-Memory Transformer (`sec-m2`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how much do three equal regions get?

    Every region has the score 0, the one slot the score ln 2. What share of the
    attention do three equal regions get together?

    Raises:
        Hint: the share of one, the slot's, one region only, scores for weights.
    """
    last = "not right: exponentiate every score, then divide by their sum."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: one head of memory-augmented attention.

    Write `remember(q, k, v, keys, values, mask)`: queries (n, d), keys and values of
    the regions (n, d), slots (m, d), a mask (n,), true where a region is real.

    Raises:
        Hint: no slots, padding seen, no scale, two softmaxes, keys for values, slots
            in front of the regions.
    """
    cases = []
    for n, d, m, real in ((5, 4, 3, 3), (4, 6, 2, 4), (6, 5, 4, 1)):
        g = generator(n)
        q, k, v = (torch.randn(n, d, generator=g) for _ in range(3))
        keys, values = (torch.randn(m, d, generator=g) for _ in range(2))
        cases.append((q, k, v, keys, values, torch.arange(n) < real))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: the gated sum over levels.

    Write `mesh(y, answers, weights, biases)`: words (t, d), the answers of the levels
    (l, t, d), gate matrices (l, d, 2 d), biases (l, d).

    Raises:
        Hint: a softmax over levels, no gates, gates without the answer or in the other
            order, one gate for all, a residual, no sigmoid, a mean.
    """
    cases = []
    for t, d, levels in ((4, 3, 2), (2, 5, 3), (3, 4, 3)):
        g = generator(t)
        y, answers = (
            torch.randn(t, d, generator=g),
            torch.randn(levels, t, d, generator=g),
        )
        weights = torch.randn(levels, d, 2 * d, generator=g)
        cases.append((y, answers, weights, torch.randn(levels, d, generator=g)))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _attend(q: Tensor, k: Tensor, v: Tensor, open_: Tensor) -> Tensor:
    scores = (q @ k.T / q.shape[1] ** 0.5).masked_fill(~open_, -torch.inf)
    return scores.softmax(1) @ v


def _remember(q, k, v, keys, values, mask) -> Tensor:
    open_ = torch.cat([mask, torch.ones(len(keys), dtype=torch.bool)])
    return _attend(q, torch.cat([k, keys]), torch.cat([v, values]), open_)


def _no_slots(q, k, v, keys, values, mask) -> Tensor:
    return _attend(q, k, v, mask)


def _padding_seen(q, k, v, keys, values, mask) -> Tensor:
    return _remember(q, k, v, keys, values, torch.ones_like(mask))


def _unscaled(q, k, v, keys, values, mask) -> Tensor:
    return _remember(q * q.shape[1] ** 0.5, k, v, keys, values, mask)


def _two_softmaxes(q, k, v, keys, values, mask) -> Tensor:
    every = torch.ones(len(keys), dtype=torch.bool)
    return _attend(q, k, v, mask) + _attend(q, keys, values, every)


def _keys_for_values(q, k, v, keys, values, mask) -> Tensor:
    return _remember(q, k, v, keys, keys, mask)


def _before(q, k, v, keys, values, mask) -> Tensor:
    open_ = torch.cat([mask, torch.ones(len(keys), dtype=torch.bool)])
    return _attend(q, torch.cat([keys, k]), torch.cat([values, v]), open_)


def _gates(y: Tensor, answers: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    both = torch.cat([y.expand_as(answers), answers], -1)
    return both @ weights.mT + biases[:, None]


def _mesh(y, answers, weights, biases) -> Tensor:
    return (_gates(y, answers, weights, biases).sigmoid() * answers).sum(0)


def _other_order(y, answers, weights, biases) -> Tensor:
    both = torch.cat([answers, y.expand_as(answers)], -1)
    return ((both @ weights.mT + biases[:, None]).sigmoid() * answers).sum(0)


def _one_gate(y, answers, weights, biases) -> Tensor:
    first = weights[:1].expand_as(weights), biases[:1].expand_as(biases)
    return _mesh(y, answers, *first)


def _softmax(y, answers, weights, biases) -> Tensor:
    return (_gates(y, answers, weights, biases).softmax(0) * answers).sum(0)


SOLUTIONS = {1: 0.6, 2: _remember, 3: _mesh}
MISTAKES = {
    1: [
        (0.2, "that is the share of one of the three."),
        (0.4, "that is what the slot gets."),
        (1 / 3, "that is one region beside the slot: there are three."),
        (0.75, "a score of ln 2 counts twice as much as a score of 0."),
        (1.0, "the slot is in the same softmax."),
        (0.0, "a score of 0 is no weight of 0: exponentiate it."),
    ],
    2: [
        (_no_slots, "where are the slots? They are never hidden."),
        (_padding_seen, "padding is looked at: where is the mask?"),
        (_unscaled, "divide the products by the root of the width."),
        (_two_softmaxes, "one softmax over regions and slots together."),
        (_keys_for_values, "a slot has a key to be found and a value to be given."),
        (_before, "the mask belongs to the regions: are keys and mask in one order?"),
    ],
    3: [
        (lambda y, a, w, b: a.sum(0), "where are the gates?"),
        (_softmax, "gates do not compete: each has a sigmoid of its own."),
        (_other_order, "the word first, then the answer."),
        (_one_gate, "each level has a gate of its own."),
        (lambda y, a, w, b: (_gates(y, a, w, b) * a).sum(0), "where is the sigmoid?"),
        (
            lambda y, a, w, b: _mesh(y, a, w, b) + y,
            "without AddNorm: no residual here.",
        ),
        (lambda y, a, w, b: _mesh(y, a, w, b) / len(a), "a sum, no mean."),
        (
            lambda y, a, w, b: _gates(y, a, w, b).sigmoid().sum(0),
            "those are the gates: multiply them with the answers.",
        ),
    ],
}
