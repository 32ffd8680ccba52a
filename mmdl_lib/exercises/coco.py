"""Exercises of the chapter on Microsoft COCO (`sec-coco`)."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes.coco import run_lengths
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: how many workers miss at most one object in 100?

    Each finds every object with probability 0.5, independently of the others.

    Raises:
        Hint: one too few, the paper's eight, a sum of chances.
    """
    last = (
        "not right: all of them miss an object with 0.5 to the power of their number."
    )
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: what a union of workers finds.

    Write `found(chance, n)`: the expected share of objects that a union of n workers
    finds, where chance (m,) is that of one worker to see each of m objects.

    Raises:
        Hint: the promise at the mean chance, one worker, what is missed, what all find,
            no mean.
    """
    cases = [
        (torch.rand(m, generator=generator(m), dtype=torch.float64), n)
        for m, n in ((5, 3), (9, 8), (4, 2))
    ]
    last = "for each object, first the chance that all miss it; then the mean."
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases, otherwise=last)


def exercise_3(answer) -> None:
    """Change the code: a mask out of run lengths.

    Write `decode(runs, height, width)`: the mask, bool (height, width), of run lengths
    down the columns, empty pixels first.

    Raises:
        Hint: rows for columns, full pixels first, numbers for truth values.
    """
    cases = []
    for seed, height, width in ((0, 3, 5), (1, 4, 2), (2, 6, 7)):
        mask = torch.rand(height, width, generator=generator(seed)) < 0.5
        mask[0, 0] = seed == 1  # one of them begins with no empty pixel
        cases.append((run_lengths(mask), height, width))
    last = "empty and full runs in turns, laid down column by column."
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases, otherwise=last)


def _flat(runs, first=False):
    value = torch.arange(len(runs)) % 2 == (0 if first else 1)
    return value.repeat_interleave(torch.tensor(runs))


SOLUTIONS = {
    1: 7,
    2: lambda chance, n: (1 - (1 - chance) ** n).mean(),
    3: lambda runs, height, width: _flat(runs).reshape(width, height).T,
}
MISTAKES = {
    1: [
        (6, "six of them miss 1 object in 64: is that at most 1 in 100?"),
        (8, "eight, as in the paper, are enough: would one fewer do?"),
        (2, "chances of a union do not add up: multiply those of missing it."),
    ],
    2: [
        (
            lambda chance, n: 1 - (1 - chance.mean()) ** n,
            "that is the promise at the mean chance: objects differ, so take the mean "
            "last.",
        ),
        (lambda chance, n: chance.mean(), "that is one worker: where does n come in?"),
        (
            lambda chance, n: ((1 - chance) ** n).mean(),
            "that is the share that all of them miss.",
        ),
        (
            lambda chance, n: (chance**n).mean(),
            "that is what every single one finds: a union needs only one of them.",
        ),
        (
            lambda chance, n: 1 - (1 - chance) ** n,
            "that is right for each object: now the share of all objects.",
        ),
    ],
    3: [
        (
            lambda runs, height, width: _flat(runs).reshape(height, width),
            "runs go down the columns, not along the rows.",
        ),
        (
            lambda runs, height, width: _flat(runs, True).reshape(width, height).T,
            "the first run is of empty pixels, even where it has none.",
        ),
        (
            lambda runs, height, width: _flat(runs).reshape(width, height),
            "that mask lies on its side: what are its height and its width?",
        ),
    ],
}
