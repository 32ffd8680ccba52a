"""Exercises of the chapter on encoder, decoder and attention (`sec-seq2seq`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does a beam search look at?

    A vocabulary of 3,000 subwords, a sentence of exactly 10, four beams. How many
    scores of a next subword does the search look at in all?

    Raises:
        Hint: four beginnings at once, one beam, all sentences, a step too many.
    """
    last = "not right: how many beginnings are there before each of the ten steps?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: a step of Luong's dot.

    Write `look(state, states, mask)` for the decoder's state (d,), the encoder's (n, d)
    and a mask (n,), true where a word is real: the context (d,).

    Raises:
        Hint: padding seen, weights that miss padding's share, a scale, scores for
            weights, the weights alone, a plain mean.
    """
    cases = []
    for n, d, real in ((5, 4, 3), (6, 3, 6), (4, 5, 1)):
        g = generator(n)
        state, states = torch.randn(d, generator=g), torch.randn(n, d, generator=g)
        cases.append((state, states, torch.arange(n) < real))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: which finished sentence is best?

    Write `best(log_p, length, alpha)`: the place of the largest log p / length^alpha.

    Raises:
        Hint: no penalty or one for all, the mean always, a product, the smallest, the
            score itself.
    """
    cases = [
        (torch.tensor([-6.0, -4.0, -7.0]), torch.tensor([6, 2, 12]), 1.0),
        (torch.tensor([-6.0, -4.0, -7.0]), torch.tensor([6, 2, 12]), 0.0),
        (torch.tensor([-6.0, -3.5, -9.9]), torch.tensor([9, 3, 11]), 0.6),
        (torch.tensor([-5.0, -3.0, -8.0]), torch.tensor([5, 2, 9]), 0.4),
        (torch.tensor([-4.0, -3.9, -7.0]), torch.tensor([2, 6, 12]), 1.0),
    ]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _look(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return (states @ state).masked_fill(~mask, -torch.inf).softmax(0) @ states


def _padding_seen(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return (states @ state).softmax(0) @ states


def _share_lost(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return ((states @ state).softmax(0) * mask) @ states


def _zero_scores(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return ((states @ state) * mask).softmax(0) @ states


def _scaled(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return _look(state / len(state) ** 0.5, states, mask)


def _scores(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return ((states @ state) * mask) @ states


def _weights(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return (states @ state).masked_fill(~mask, -torch.inf).softmax(0)


def _mean(state: Tensor, states: Tensor, mask: Tensor) -> Tensor:
    return states[mask].mean(0)


def _best(log_p: Tensor, length: Tensor, alpha: float) -> Tensor:
    return (log_p / length**alpha).argmax()


SOLUTIONS = {1: 111_000, 2: _look, 3: _best}
MISTAKES = {
    1: [
        (120_000, "before the first step there is one beginning, not four."),
        (30_000, "that is one beam: greedy search."),
        (108_000, "the first step looks at scores, too."),
        (123_000, "ten steps in all: the first has one beginning, and nine follow."),
        (3000**10, "that is exact search: a beam keeps only four beginnings."),
        (12_000, "that is a single step with four beginnings."),
    ],
    2: [
        (_padding_seen, "padding is looked at: where is the mask?"),
        (_share_lost, "the weights of the real words must sum to one."),
        (_zero_scores, "a score of zero is no ban: exp(0) is one."),
        (_scaled, "Luong's dot has no scale."),
        (_scores, "scores are no weights yet: softmax before you mix."),
        (_weights, "those are the weights: mix the states with them."),
        (_mean, "the state should decide which word counts."),
    ],
    3: [
        (
            lambda p, n, a: p.argmax(),
            "where is the length? One length for all sentences changes nothing.",
        ),
        (lambda p, n, a: (p / n).argmax(), "alpha is a power of the length."),
        (lambda p, n, a: (p * n**a).argmax(), "divide: log p is negative."),
        (lambda p, n, a: (p / n**a).argmin(), "the best score is the largest."),
        (lambda p, n, a: (p / n**a).amax(), "return its place, not its score."),
    ],
}
