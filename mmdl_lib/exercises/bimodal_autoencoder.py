"""Exercises of the chapter on the bimodal autoencoder (`sec-bimodal_autoencoder`)."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: which share of the texts' numbers is 0?

    A row loses one of its two modalities with chance 0.5, either equally often. Before
    that, each number is masked with chance 0.2. No number was 0 from the start. Which
    share of all numbers of the texts is 0 in the mean?

    Raises:
        Hint: chances added, the share that stays, one of both kinds of noise alone.
    """
    last = "not right: with which chance does a number stay? It must survive twice."
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-6, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the least error of a linear autoencoder, without training.

    Write `least(x, k)`: the smallest mean squared error that a linear, tied autoencoder
    with k units and no noise can reach on numbers (n, d), as one number. The mean goes
    over rows and columns.

    Raises:
        Hint: not centered, the part that is kept, no squares, a sum, a mean over rows.
    """
    cases = []
    for n, d, k, seed in ((20, 5, 2, 0), (9, 4, 1, 1), (30, 6, 4, 2)):
        cases.append((2 * torch.randn(n, d, generator=generator(seed)) + 1, k))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: hide one of any number of modalities.

    Write `hide(x, draw, rate)` for things with m modalities of equal width, (b, m, d),
    and one uniform draw a thing, (b,), from 0 to 1: below `rate` a modality is lost,
    the first for draws in the first m-th of that range, and so on; from `rate` on
    nothing is. Returned is x with zeros in place of what is lost.

    Raises:
        Hint: the rate forgotten, all but one lost, the rate for each, made larger.
    """
    cases = []
    for b, m, d, rate, seed in ((40, 3, 2, 0.6, 0), (30, 2, 3, 0.5, 1)):
        g = generator(seed)
        x = torch.randn(b, m, d, generator=g)
        cases.append((x, torch.rand(b, generator=g), rate))
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _singular(x):
    return torch.linalg.svdvals((x - x.mean(0)).double())


def _least(x, k):
    return _singular(x)[k:].square().sum() / x.numel()


def _not_centered(x, k):
    return torch.linalg.svdvals(x.double())[k:].square().sum() / x.numel()


def _kept(x, k):
    return _singular(x)[:k].square().sum() / x.numel()


def _no_squares(x, k):
    return _singular(x)[k:].sum() / x.numel()


def _total(x, k):
    return _singular(x)[k:].square().sum()


def _over_rows(x, k):
    return _singular(x)[k:].square().sum() / len(x)


def _lost(x, draw, rate):
    """Number of the modality that is lost, m or more for none."""
    return (draw / rate * x.shape[1]).long()


def _each(x):
    return torch.arange(x.shape[1])


def _hide(x, draw, rate):
    return x * (_lost(x, draw, rate)[:, None] != _each(x))[..., None]


def _no_rate(x, draw, rate):
    return _hide(x, draw, 1.0)


def _all_but_one(x, draw, rate):
    stays = (_lost(x, draw, rate)[:, None] == _each(x)) | (draw >= rate)[:, None]
    return x * stays[..., None]


def _rate_for_each(x, draw, rate):
    return _hide(x, draw, x.shape[1] * rate)


def _whole_thing(x, draw, rate):
    return x * (draw >= rate)[:, None, None]


def _larger(x, draw, rate):
    return _hide(x, draw, rate) / (1 - rate / x.shape[1])


SOLUTIONS = {1: 0.4, 2: _least, 3: _hide}
MISTAKES = {
    1: [
        (0.45, "chances of two losses do not add: some numbers are hit twice."),
        (0.7, "chances do not add, and a row loses its text only half of the time."),
        (
            0.6,
            "either the share that stays, or a text that is lost in half of the rows.",
        ),
        (0.2, "that is the masking of single numbers alone."),
        (0.25, "that is the loss of whole texts alone."),
        (0.5, "a row that loses a modality keeps the other: how often goes the text?"),
        (0.05, "that is the share that is hit twice."),
    ],
    2: [
        (_not_centered, "the biases take the mean away: center the columns first."),
        (_kept, "that is what k units keep: asked is what they leave."),
        (_no_squares, "an error is squared: so are the singular values."),
        (_total, "a mean, not a sum: over rows and columns."),
        (_over_rows, "the mean goes over the columns, too."),
    ],
    3: [
        (_no_rate, "from `rate` on nothing is lost: the ranges end there."),
        (_all_but_one, "one modality is lost, the others stay."),
        (_rate_for_each, "together they are lost with chance `rate`, not each."),
        (_whole_thing, "a thing that loses all can teach nothing: one modality only."),
        (_larger, "masking noise does not make larger what stays; that is dropout."),
    ],
}
