"""Exercises of the chapter on DALL-E (`sec-dalle`)."""

import math

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what does a model pay that knows nothing?

    A DALL-E has 1,000 words and pads, and 250 codes. Its logits are zero everywhere. It
    reads 20 text places and 64 picture places. What is its loss in nats, with the
    paper's weights?

    Raises:
        Hint: one mean over all places, equal weights, weights the other way, base two.
    """
    last = "not right: what does a place of the text cost, and what one of the picture?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the KL divergence to even codes.

    Write `kl(scores)` for scores (b, k, n) of k codes at n places: the mean over
    pictures of the sum over places of KL(q || uniform) in nats.

    Raises:
        Hint: the sign, a mean over places, a sum over pictures, no log K.
    """
    cases = []
    for b, k, n, seed in ((2, 4, 3, 0), (3, 7, 2, 1), (1, 5, 6, 2), (4, 3, 5, 3)):
        cases.append((3 * torch.randn(b, k, n, generator=generator(seed)),))
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: who sees whom along a column?

    Write `column(text, grid)`: a bool table over `text` text places and grid x grid
    codes, True where the place of the row may look at that of the column. A text place
    sees itself and the text before it. A code sees all text, itself, and the codes
    above it in its column.

    Raises:
        Hint: the row, codes that come later, no text, text that sees codes.
    """
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=[(2, 3), (1, 4), (3, 2), (4, 3)])


def _kl_places(scores: Tensor) -> Tensor:
    log_q = scores.log_softmax(1)
    return math.log(scores.shape[1]) + (log_q.exp() * log_q).sum(1)


def _kl(scores: Tensor) -> Tensor:
    return _kl_places(scores).sum(1).mean()


def _entropy(scores: Tensor) -> Tensor:
    return (math.log(scores.shape[1]) - _kl_places(scores)).sum(1).mean()


def _other_way(scores: Tensor) -> Tensor:
    k = scores.shape[1]
    return (-math.log(k) - scores.log_softmax(1).mean(1)).sum(1).mean()


def _parts(text: int, grid: int) -> tuple[Tensor, Tensor, Tensor]:
    """A causal table, and columns and rows of pairs of codes."""
    n = text + grid * grid
    place = torch.arange(grid * grid)
    x, y = place % grid, place // grid
    same = x[:, None] == x, y[:, None] == y
    return torch.ones(n, n, dtype=torch.bool), *same


def _column(text: int, grid: int) -> Tensor:
    table, same, _ = _parts(text, grid)
    table[text:, text:] = same
    return table.tril()


def _row(text: int, grid: int) -> Tensor:
    table, _, same = _parts(text, grid)
    table[text:, text:] = same
    return table.tril()


def _later(text: int, grid: int) -> Tensor:
    table, same, _ = _parts(text, grid)
    table = table.tril()
    table[text:, text:] = same
    return table


def _deaf(text: int, grid: int) -> Tensor:
    table = _column(text, grid)
    table[text:, :text] = False
    return table


def _reading(text: int, grid: int) -> Tensor:
    table = _column(text, grid)
    table[:text] = True
    return table


TEXT, CODES = math.log(1000), math.log(250)
SOLUTIONS = {1: (TEXT + 7 * CODES) / 8, 2: _kl, 3: _column}
MISTAKES = {
    1: [
        ((20 * TEXT + 64 * CODES) / 84, "that is one mean over all places: two means."),
        ((TEXT + CODES) / 2, "that weighs text and picture equally: 1 and 7."),
        ((7 * TEXT + CODES) / 8, "the other way round: the picture weighs more."),
        (TEXT + 7 * CODES, "the weights sum to one: divide by 8."),
        ((TEXT + 7 * CODES) / 8 / math.log(2), "that is in bits: nats are asked."),
    ],
    2: [
        (lambda s: -_kl(s), "an even choice costs nothing, all others more than that."),
        (lambda s: _kl_places(s).mean(), "a picture pays for all its places: a sum."),
        (lambda s: _kl_places(s).sum(), "twice the pictures would cost twice as much."),
        (_entropy, "that is the entropy: it is largest where the divergence is 0."),
        (_other_way, "that is KL(uniform || q): which of the two is averaged over?"),
    ],
    3: [
        (_row, "that is along a row: which codes share the column?"),
        (_later, "codes that come later have not been drawn yet."),
        (_deaf, "the codes do not hear the text: which part of the table is that?"),
        (_reading, "text places come first: they cannot look at codes."),
        (lambda t, g: _column(t, g).T, "rows ask, columns are looked at."),
    ],
}
