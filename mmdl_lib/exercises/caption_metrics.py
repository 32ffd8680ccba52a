"""Exercises of the chapter on metrics of captions (`sec-caption_metrics`)."""

import torch
from torch import Tensor

from mmdl_lib.exercises import Hint, judge
from mmdl_lib.lab import wrongness as wr
from mmdl_lib.metrics.meteor import meteor

REFERENCES = (
    "two small red circles left of a large blue star",
    "there are two red circles and a blue star",
    "a picture of two small red circles left of a blue star",
)
TRUE = "a big blue asterisk right of two tiny red discs"


def exercise_1(answer) -> None:
    """Predict: what is left of a caption that repeats itself?

    The caption is "a red red red star". Its references are "a red star" and "a big red
    star above a red ring". What is the clipped precision of its single words?

    Raises:
        Hint: no clipping, one reference only, words of the reference, kinds of words.
    """
    last = "not right: which words match, and how often does one reference hold each?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: the weights of CIDEr.

    Write `weigh(count, held, pictures)`: for counts of n-grams in a text (n,) and the
    number of pictures that hold each in a reference (n,), of `pictures` in all, the
    weights (n,). What no reference holds counts as held by one.

    Raises:
        Hint: no counts, no rarity, the inverse ratio, another base, a shifted log,
            unseen n-grams without a number.
    """
    cases = [
        (torch.tensor([1.0, 2.0, 1.0]), torch.tensor([100.0, 10.0, 1.0]), 100),
        (torch.tensor([3.0, 1.0, 1.0, 0.0]), torch.tensor([7.0, 50.0, 0.0, 2.0]), 50),
        (torch.tensor([1.0, 4.0]), torch.tensor([0.0, 8.0]), 8),
    ]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=cases)


def exercise_3(answer) -> None:
    """Change the code: a caption that fools METEOR.

    Write a caption that says all nine facts in the words of our world, at least one of
    them false, and that METEOR without synonyms still scores above the true `TRUE`,
    against the three `REFERENCES`.

    Raises:
        Hint: no text, other words, a true caption, or one that scores too low.
    """
    if not isinstance(answer, str):
        raise Hint(f"expected a caption, got {type(answer).__name__}.")
    try:
        false = wr.wrong(wr.read(answer), wr.read(REFERENCES[0]))
    except ValueError as error:
        raise Hint(
            "say all nine facts, in words of our world: number, size, color and shape "
            "of both groups, and where the first stands."
        ) from error
    if not false:
        raise Hint("it is true: which single word would make it false?")
    both = [answer, TRUE]
    mine, true = meteor(both, [REFERENCES] * 2)
    if mine <= true:
        raise Hint(
            f"METEOR gives it {mine:.2f}, and the true one {true:.2f}: stay closer to "
            "the words of a reference."
        )


def _weigh(count: Tensor, held: Tensor, pictures: int) -> Tensor:
    return count * (pictures / held.clamp(min=1)).log()


SOLUTIONS = {
    1: 0.8,
    2: _weigh,
    3: "two small red circles right of a large blue star",
}
MISTAKES = {
    1: [
        (1.0, "that is without clipping: red is said three times."),
        (0.6, "several references: the one that holds a word most often counts."),
        (4 / 3, "divide by the words of the caption, all five."),
        (0.5, "divide by the words of the caption, not of a reference."),
    ],
    2: [
        (
            lambda c, h, n: (n / h.clamp(min=1)).log(),
            "a word said twice weighs twice.",
        ),
        (lambda c, h, n: c, "where is the rarity?"),
        (
            lambda c, h, n: c * (h.clamp(min=1) / n).log(),
            "rare n-grams weigh more, not less.",
        ),
        (
            lambda c, h, n: c * (n / h.clamp(min=1)).log2(),
            "the logarithm is the natural one.",
        ),
        (
            lambda c, h, n: c * (n / h.clamp(min=1) + 1).log(),
            "what every picture holds weighs nothing: log 1 is 0.",
        ),
        (
            lambda c, h, n: c * (n / (h + 1)).log(),
            "only what no reference holds is raised to one.",
        ),
        (
            lambda c, h, n: c * (n / h).log(),
            "an n-gram that no reference holds divides by 0.",
        ),
        (
            lambda c, h, n: c / c.sum() * (n / h.clamp(min=1)).log(),
            "no division by the length of the text is asked for.",
        ),
    ],
    3: [
        (
            "three large pink moons above a small green ring",
            "METEOR gives it 0.12",
        ),
        (TRUE, "it is true: which single word would make it false?"),
        (
            "a nice picture",
            "say all nine facts, in words of our world: number, size, color and shape "
            "of both groups, and where the first stands.",
        ),
    ],
}
