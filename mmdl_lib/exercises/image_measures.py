"""Exercises of the chapter on data and measures of generated pictures
(`sec-image_measures`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge


def exercise_1(answer) -> None:
    """Predict: what is the inception score?

    A classifier knows ten classes and is always sure. A generator draws four of them,
    all four equally often. What is its inception score?

    Raises:
        Hint: all classes, one, a logarithm, a share.
    """
    last = "not right: p(y | x) is sure, and p(y) has four equal parts; what is the KL?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=1e-6, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: R-precision with all other texts as distractors.

    Write `hits(image, text)` for features (n, d) of pictures and of their texts: the
    share of pictures whose own text has a larger cosine than every other text.

    Raises:
        Hint: products for cosines, the other direction, ties, the mean cosine.
    """
    cases = []
    for n, d, seed in ((6, 3, 0), (9, 4, 1), (12, 3, 2), (8, 2, 3)):
        g = generator(seed)
        text = torch.randn(n, d, generator=g)
        image = text + 0.8 * torch.randn(n, d, generator=g)
        scale = 3 * torch.rand(2, n, 1, generator=g) + 0.2
        cases.append((scale[0] * image, scale[1] * text))
    twins = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=[*cases, (twins, twins)])


def exercise_3(answer) -> None:
    """Change the code: what would raters say who never err?

    Raters prefer the wrong picture with probability `error`. Write `undo(rate, error)`:
    the win rate (n,) that would be seen without errors, for the rates (n,) that are.

    Raises:
        Hint: the way there instead of back, half of the correction, a product.
    """
    rates = torch.tensor([0.5, 0.62, 0.74, 0.3])
    cases = [(rates, error) for error in (0.0, 0.1, 0.2, 0.35)]
    judge(answer, SOLUTIONS[3], MISTAKES[3], cases=cases)


def _cosines(image: Tensor, text: Tensor) -> Tensor:
    return F.normalize(image, dim=1) @ F.normalize(text, dim=1).T


def _share(table: Tensor) -> Tensor:
    """Rows in which the diagonal is larger than all else; a tie is a miss."""
    own = table.diagonal()
    other = table - torch.diag(torch.full((len(table),), torch.inf))
    return (own > other.amax(1)).double().mean()


def _hits(image: Tensor, text: Tensor) -> Tensor:
    return _share(_cosines(image, text))


def _products(image: Tensor, text: Tensor) -> Tensor:
    return _share(image @ text.T)


def _other_way(image: Tensor, text: Tensor) -> Tensor:
    return _share(_cosines(image, text).T)


def _first_wins(image: Tensor, text: Tensor) -> Tensor:
    table = _cosines(image, text)
    return (table.argmax(1) == torch.arange(len(table))).double().mean()


def _ties_win(image: Tensor, text: Tensor) -> Tensor:
    table = _cosines(image, text)
    return (table.diagonal() >= table.amax(1)).double().mean()


def _mean_cosine(image: Tensor, text: Tensor) -> Tensor:
    return _cosines(image, text).diagonal().double().mean()


def _undo(rate: Tensor, error: float) -> Tensor:
    return (rate - error) / (1 - 2 * error)


SOLUTIONS = {1: 4, 2: _hits, 3: _undo}
MISTAKES = {
    1: [
        (10, "that needs all ten classes: how many does p(y) hold?"),
        (1, "that is a generator whose pictures all look alike to the classifier."),
        (1.386294, "that is the mean of the KL: the score is e to its power."),
        (0.4, "that is a share of the classes: the score counts them."),
        (2, "natural logarithm and e belong together: no powers of two."),
    ],
    2: [
        (_products, "a long text would win too often: cosines, not products."),
        (_other_way, "that asks for each text: which picture is nearest?"),
        (_ties_win, "a tie with another text is a miss."),
        (_first_wins, "of two equal texts argmax takes the first: a tie is a miss."),
        (_mean_cosine, "that is the mean cosine: count the pictures that win."),
    ],
    3: [
        (
            lambda r, e: e + (1 - 2 * e) * r,
            "that is what raters with errors say: go the other way.",
        ),
        (lambda r, e: r - e, "a rater who errs also takes from the rest: divide."),
        (lambda r, e: (r - e) / (1 - e), "both kinds of error count: 1 - 2 error."),
        (lambda r, e: r * (1 - e), "half stays half with any error: does yours?"),
        (lambda r, e: r / (1 - 2 * e), "subtract the wrong votes before you divide."),
    ],
}
