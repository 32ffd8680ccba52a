"""Exercises of the chapter on whether pictures were worth it (`sec-worth_it`)."""

import torch
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: the chance that a table of nothing has a false gain.

    Forty independent comparisons, none of which has any gain, each tested at 0.05 on
    both sides. How likely is at least one below 0.05 with the new method ahead?

    Raises:
        Hint: losses counted too, one test, the expected number, the chance of none.
    """
    last = "how likely is a false gain in one test, and that none of forty has one?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=5e-3, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: a gain on equal terms.

    Write `gain(old, new, people, known)`: Pearson's correlation of the new method with
    people less that of the old one, tensors (n,). `known` (2, n) is true where the old
    and where the new method know the pair; where one does not, it says 0. Only pairs
    that both know may count.

    Raises:
        Hint: each on its own pairs, unknown as zero, the wrong sign, one's pairs.
    """
    last = "keep the pairs that both know, and take both correlations on these."
    cases = [_columns(seed) for seed in range(3)]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, near=1e-4, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: a paired bootstrap.

    Write `drawn(old, new, people, rows)`: for each draw, a row of numbers of items in
    rows (s, n), the gain of the new method over the old one in Pearson's correlation
    on the items of that draw: a tensor (s,).

    Raises:
        Hint: people or the old method not drawn, different draws for the two.
    """
    cases = []
    for seed in range(2):
        old, new, people, _ = _columns(seed)
        rows = torch.randint(30, (5, 30), generator=generator(seed))
        cases.append((old, new, people, rows))
    last = "draw old, new and people by the same row, then take both correlations."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, near=1e-4, otherwise=last)


def _columns(seed: int) -> tuple[Tensor, ...]:
    g = generator(seed)
    people, known = torch.randn(30, generator=g), torch.ones(2, 30, dtype=torch.bool)
    known[0, [3, 8, 9, 20]] = known[1, [1, 8, 11, 15, 29, 5]] = False
    said = [people + k * torch.randn(30, generator=g) for k in (2, 1)]
    old, new = (x * row for x, row in zip(said, known, strict=True))
    return old, new, people, known


def _gain(old: Tensor, new: Tensor, people: Tensor, known: Tensor) -> Tensor:
    both = known.all(0)
    return _difference(old[both], new[both], people[both], people[both])


def _difference(old, new, people, others) -> Tensor:
    pairs = ((new, others), (old, people))
    one, two = (torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs)
    return one - two


def _own(old, new, people, known) -> Tensor:
    one, two = known
    return _difference(old[one], new[two], people[one], people[two])


def _zero(old, new, people, known) -> Tensor:
    return _difference(old, new, people, people)


def _turned(old, new, people, known) -> Tensor:
    return _gain(new, old, people, known)


def _news(old, new, people, known) -> Tensor:
    return _gain(old, new, people, known[1:])


def _drawn(old, new, people, rows) -> Tensor:
    return torch.stack(
        [_difference(old[i], new[i], people[i], people[i]) for i in rows]
    )


def _still(old, new, people, rows) -> Tensor:
    return torch.stack([_difference(old[i], new[i], people, people) for i in rows])


def _whole(old, new, people, rows) -> Tensor:
    return torch.stack([_difference(old, new[i], people, people[i]) for i in rows])


def _apart(old, new, people, rows) -> Tensor:
    two = zip(rows, rows.flip(0), strict=True)
    return torch.stack(
        [_difference(old[i], new[j], people[i], people[j]) for i, j in two]
    )


SOLUTIONS = {1: 1 - 0.975**40, 2: _gain, 3: _drawn}
MISTAKES = {
    1: [
        (1 - 0.95**40, "half of these alarms have the old method ahead."),
        (0.025, "that is one test; here are forty, and any of them may do it."),
        (1.0, "so many are expected; that is not how likely one or more is."),
        (0.975**40, "that is the chance of none; the question is at least one."),
    ],
    2: [
        (_own, "each stands on its own pairs: their pairs differ, not only methods."),
        (_zero, "an unknown pair is no pair with cosine zero; leave it out."),
        (_turned, "that is the old one's lead: new less old was asked."),
        (_news, "you kept the new method's pairs; the old one lacks some of them."),
    ],
    3: [
        (_still, "people's scores must be drawn by the same rows, or pairs break."),
        (_whole, "the old method stays as it was: draw it as well."),
        (_apart, "the two methods got different draws: that interval is not paired."),
    ],
}
