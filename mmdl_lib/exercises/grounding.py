"""Exercises of the chapter on words and what they refer to (`sec-grounding`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how many words of a small dictionary must be known before?

    forest: tree; tree: wood; wood: tree; ice: cold; snow: white, cold; white: snow;
    cold: snow. How large is a smallest set from which all the rest can be learned?

    Raises:
        Hint: one a cycle, the kernel, a set that leaves a cycle, all words.
    """
    last = "find the cycles first: which words lie on more than one?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the kernel of a table.

    Write `kernel(table)` for a table (n, n) of truth values, true where the word of the
    row stands in the definition of the word of the column: truth values (n,), true for
    the words of the kernel.

    Raises:
        Hint: one round only, rows for columns, both at once.
    """
    last = "remove words that define nothing that is left, until none is removed."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=_tables(), near=0, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: a map that is told of a few words.

    Write `place(x, y, asked, penalty)`: what a ridge regression from vectors x (n, d)
    to pictures y (n, p) says of vectors asked (m, d). It has no constant term; the
    penalty multiplies the sum of squares of its weights, beside the sum of squared
    errors.

    Raises:
        Hint: no penalty, a mean instead of a sum, the other way round.
    """
    cases = []
    for n, d, p in ((12, 4, 3), (6, 5, 7)):
        g = generator(n)
        x, y = torch.randn(n, d, generator=g), torch.randn(n, p, generator=g)
        cases.append((x, y, torch.randn(3, d, generator=g), 2.0))
    last = "set the derivative to zero: (x^T x + penalty I) W = x^T y."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-3, otherwise=last)


def _tables() -> list[tuple[Tensor]]:
    chain = torch.zeros(6, 6, dtype=torch.bool)
    for one, word in ((0, 1), (1, 0), (1, 2), (2, 3), (3, 4), (5, 0)):
        chain[one, word] = True
    tables = [chain]
    for seed in range(3):
        there = torch.rand(12, 12, generator=generator(seed)) < 0.12
        tables.append(there & ~torch.eye(12, dtype=torch.bool))
    return [(table,) for table in tables]


def _kernel(table: Tensor, *, rounds: int = 99) -> Tensor:
    kept = torch.ones(len(table), dtype=torch.bool)
    for _ in range(min(rounds, len(table))):
        kept = kept & (table & kept).any(1)
    return kept


def _turned(table: Tensor) -> Tensor:
    return _kernel(table.T)


def _both(table: Tensor) -> Tensor:
    kept = torch.ones(len(table), dtype=torch.bool)
    for _ in table:
        kept = kept & (table & kept).any(1) & (table.T & kept).any(1)
    return kept


def _place(x, y, asked, penalty, *, scale: float | int = 1) -> Tensor:
    square = x.T @ x + scale * penalty * torch.eye(x.shape[1])
    return asked @ torch.linalg.solve(square, x.T @ y)


def _free(x, y, asked, penalty) -> Tensor:
    return asked @ torch.linalg.pinv(x) @ y


def _averaged(x, y, asked, penalty) -> Tensor:
    return _place(x, y, asked, penalty, scale=len(x))


def _weights(x, y, asked, penalty) -> Tensor:
    return _place(x, y, torch.eye(x.shape[1]), penalty)


SOLUTIONS = {1: 2, 2: _kernel, 3: _place}
MISTAKES = {
    1: [
        (3, "one word for each cycle; but a word can break two of them at once."),
        (5, "that is the kernel: does it need no word less?"),
        (1, "one word leaves a cycle: tree and wood, or snow with white and cold."),
        (7, "those are all words: definitions teach some of them."),
    ],
    2: [
        (lambda table: _kernel(table, rounds=1), "that is one round: who is idle now?"),
        (_turned, "you remove words without a definition: rows are those that define."),
        (_both, "words that nothing defines stay, as long as they define others."),
    ],
    3: [
        (_free, "there is no penalty in yours: with few words it learns noise."),
        (_averaged, "your penalty stands beside a mean of errors, the task's, a sum."),
        (_weights, "that is the map; apply it to the vectors that are asked."),
    ],
}
